"""Long lists of hosted repositories: 100,000 tags in one answer, as long as the client likes to take over it."""

import concurrent.futures
import http.client
import json
import re
import socket
import unittest

from test_push import MANIFEST, PushCase, digest_of

TAGS = 100_000
PER_PUSH = 10  # tag= parameters of one request


def tag(number):
    return "v%06d-%s" % (number, "x" * 112)  # 120 of the 128 that a tag may have


class TestManyTags(PushCase):
    def setUp(self):
        super().setUp()
        config = self.push(b"{}")
        body = self.manifest(config)
        digest = digest_of(body)

        def some(worker):
            connection = http.client.HTTPConnection(*self.node.address, timeout=60)
            for first in range(worker * PER_PUSH, TAGS, PER_PUSH * 8):
                query = "&".join("tag=" + tag(i) for i in range(first, first + PER_PUSH))
                connection.request("PUT", self.path("manifests/" + digest) + "?" + query, body,
                                   {"Content-Type": MANIFEST})
                answer = connection.getresponse()
                text = answer.read()
                self.assertEqual(answer.status, 201, text)
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(some, worker) for worker in range(8)]:
                done.result()

    def resident(self):
        with open("/proc/%d/status" % self.node.daemon.process.pid) as status:
            return int(re.search(r"RssAnon:\s+(\d+) kB", status.read()).group(1)) * 1024

    def test_all_come_in_one_answer_in_bounded_memory_and_in_pages(self):
        before = self.resident()
        answer = self.ask("GET", self.path("tags/list"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers.get("transfer-encoding"), "chunked")
        self.assertNotIn("link", answer.headers)
        expected = [tag(i) for i in range(TAGS)]
        self.assertEqual(json.loads(answer.body), {"name": self.repository, "tags": expected})
        # Readers that take nothing: 12 MB each, if the node kept it for them.
        readers = []
        for _ in range(20):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(30)
            reader.connect(self.node.address)
            reader.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.path("tags/list").encode())
            readers.append(reader)
        for reader in readers:
            self.assertTrue(reader.recv(100).startswith(b"HTTP/1.1 200 "))
        self.assertEqual(self.ask("GET", self.path("tags/list?n=1")).status, 200)  # others are served meanwhile
        grown = self.resident() - before
        self.assertLess(grown, 40 << 20, "20 slow readers and one list of 12 MB")
        for reader in readers:
            reader.close()
        seen, path = [], self.path("tags/list?n=30000")
        while path:
            page = self.ask("GET", path)
            self.assertEqual(page.status, 200)
            seen += json.loads(page.body)["tags"]
            link = re.match(r'<(.*)>; rel="next"', page.headers.get("link", ""))
            path = link and link.group(1)
            self.assertEqual(len(seen) % 10_000, 0)
        self.assertEqual(seen, expected)


if __name__ == "__main__":
    unittest.main()
