"""Pushes, lists and deletions over raw HTTP: what neither conformance suite checks (facts of the specification), broken
connections, resumed uploads, and what a kill leaves."""

import hashlib
import http.client
import json
import socket
import threading
import unittest

from lib import case, images, procs

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def code(self):
        return json.loads(self.body)["errors"][0]["code"]


class PushCase(case.Case):
    more = {}

    def setUp(self):
        super().setUp()
        self.node = self.shoal({}, {"hosted": ["**"], **self.more})
        self.repository = "team/app"

    def ask(self, method, path, body=None, headers=None, chunked=False):
        connection = http.client.HTTPConnection(*self.node.address, timeout=20)
        try:
            if chunked:
                body = iter([body[i:i + 5000] for i in range(0, len(body), 5000)])
            connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def path(self, rest, repository=None):
        return "/v2/%s/%s" % (repository or self.repository, rest)

    def begin(self, repository=None):
        answer = self.ask("POST", self.path("blobs/uploads/", repository))
        self.assertEqual(answer.status, 202, answer.body)
        return answer.headers["location"]

    def push(self, data, repository=None):
        digest = digest_of(data)
        answer = self.ask("PUT", self.begin(repository) + "?digest=" + digest, data)
        self.assertEqual(answer.status, 201, answer.body)
        return digest

    def manifest(self, config, **more):
        return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}, **more}).encode()

    def put(self, reference, data, kind=MANIFEST, repository=None, chunked=False):
        headers = {"Content-Type": kind} if kind else {}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        return self.ask("PUT", self.path("manifests/" + reference, repository), data, headers, chunked)

    def pull(self, digest, repository=None):
        return self.ask("GET", self.path("blobs/" + digest, repository))


class TestUploads(PushCase):
    def received(self):
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith("shoal_received_bytes_total"):
                return float(line.split()[-1])
        return 0

    def test_old_locations_serve_the_whole_session(self):
        location = self.begin()
        data = images.random_bytes(3000)
        for start in (0, 1000, 2000):
            answer = self.ask("PATCH", location, data[start:start + 1000],
                              {"Content-Range": "%d-%d" % (start, start + 999)})
            self.assertEqual((answer.status, answer.headers["range"]), (202, "0-%d" % (start + 999)))
            wrong = self.ask("PATCH", location, b"x" * 10, {"Content-Range": "%d-%d" % (start, start + 9)})
            self.assertEqual(wrong.status, 416)
            self.assertEqual(self.ask("GET", location).headers["range"], "0-%d" % (start + 999))
        self.assertEqual(self.ask("PUT", location + "?digest=" + digest_of(data)).status, 201)
        self.assertEqual(self.pull(digest_of(data)).body, data)

    def test_broken_connection_is_resumed_where_it_stopped(self):
        location = self.begin()
        data = images.random_bytes(2 << 20)
        raw = socket.create_connection(self.node.address)
        raw.sendall(("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (location, len(data))).encode())
        raw.sendall(data[:1 << 20])
        procs.wait_until(lambda: self.received() >= 1 << 19, 10, "bytes to arrive")  # asking for the length takes over
        raw.close()
        answer = self.ask("GET", location)
        self.assertEqual(answer.status, 204)
        have = int(answer.headers["range"].split("-")[1]) + 1
        self.assertTrue(1 << 18 <= have <= 1 << 20, have)
        answer = self.ask("PATCH", location, data[have:], {"Content-Range": "%d-%d" % (have, len(data) - 1)})
        self.assertEqual(answer.status, 202, answer.body)
        self.assertEqual(self.ask("PUT", location + "?digest=" + digest_of(data)).status, 201)
        self.assertEqual(self.pull(digest_of(data)).body, data)

    def test_session_survives_a_kill(self):
        location = self.begin()
        data = images.random_bytes(300000)
        self.assertEqual(self.ask("PATCH", location, data[:200000]).status, 202)
        self.push(b"a finished upload is durable, and what was written before it")
        self.node.kill()
        self.node.start()
        answer = self.ask("GET", location)
        self.assertEqual(answer.status, 204)
        have = int(answer.headers["range"].split("-")[1])
        have = have + 1 if have else 0
        self.assertEqual(self.ask("PUT", location + "?digest=" + digest_of(data), data[have:]).status, 201)
        self.assertEqual(self.pull(digest_of(data)).body, data)

    def test_what_was_acknowledged_is_there_after_kill_9(self):
        for i in range(3):
            blob = self.push(images.random_bytes(50000, seed=i))
            data = self.manifest(blob)
            self.assertEqual(self.put("v%d" % i, data).status, 201)
            self.node.kill()
            self.node.start()
            self.assertEqual(self.ask("GET", self.path("manifests/v%d" % i)).body, data)
            self.assertEqual(digest_of(self.pull(blob).body), blob)

    def test_parallel_uploads_of_one_digest(self):
        data = images.random_bytes(1 << 20)
        statuses = []

        def push():
            statuses.append(self.ask("PUT", self.begin() + "?digest=" + digest_of(data), data).status)

        threads = [threading.Thread(target=push) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [201] * 8)
        self.assertEqual(self.pull(digest_of(data)).body, data)

    def test_one_repositorys_blob_is_not_anothers(self):
        digest = self.push(b"only here")
        self.assertEqual(self.pull(digest, "team/other").status, 404)
        anonymous = self.ask("POST", self.path("blobs/uploads/?mount=" + digest, "team/other"))
        self.assertEqual(anonymous.status, 202)
        missing = self.ask("POST", self.path("blobs/uploads/?mount=%s&from=team/none" % digest, "team/other"))
        self.assertEqual(missing.status, 202)
        mounted = self.ask("POST", self.path("blobs/uploads/?mount=%s&from=team/app" % digest, "team/other"))
        self.assertEqual((mounted.status, mounted.headers["location"]), (201, "/v2/team/other/blobs/" + digest))
        self.assertEqual(self.pull(digest, "team/other").body, b"only here")

    def test_malformed_input_is_never_5xx(self):
        location = self.begin()
        for method, path, headers in (
                ("PUT", location, {}), ("PUT", location + "?digest=x", {}), ("PUT", location + "?digest=%00", {}),
                ("PATCH", location, {"Content-Range": "bytes"}), ("PATCH", location, {"Content-Range": "9-1"}),
                ("POST", self.path("blobs/uploads/?digest=sha256:0"), {}),
                ("POST", self.path("blobs/uploads/?mount=%ff&from=%ff"), {}),
                ("DELETE", self.path("blobs/sha256:0"), {}), ("GET", self.path("referrers/sha256:zz"), {}),
                ("GET", self.path("tags/list?n=-1"), {}), ("PUT", self.path("manifests/sha256:abc"), {}),
                ("PUT", self.path("manifests/-bad-"), {}), ("GET", self.path("blobs/uploads/none"), {})):
            answer = self.ask(method, path, b"x" if method in ("PUT", "PATCH") else None, headers)
            self.assertTrue(answer.status == 202 or 400 <= answer.status < 500, (method, path, answer.status))
            if answer.status >= 400:
                self.assertTrue(answer.code().isupper())


class TestManifests(PushCase):
    def test_bytes_are_kept_exactly(self):
        config = self.push(b"{}")
        odd = (' {"layers":[],\n\t"schemaVersion" :2,"x":1,"x":"\u00e4", "config":{"size":2,"digest":"%s"}}  ' %
               config).encode()
        answer = self.put("odd", odd, MANIFEST + "; charset=utf-8")
        self.assertEqual(answer.status, 201, answer.body)
        got = self.ask("GET", self.path("manifests/odd"))
        self.assertEqual((got.body, got.headers["content-type"]), (odd, MANIFEST))
        self.assertEqual(got.headers["content-length"], str(len(odd)))

    def test_limit_of_4_mib_with_and_without_a_length(self):
        config = self.push(b"{}")
        fits = self.manifest(config, annotations={"a": "x" * 3900000})
        beyond = self.manifest(config, annotations={"a": "x" * 4300000})
        for chunked in (False, True):
            self.assertEqual(self.put("large", fits, chunked=chunked).status, 201)
            try:
                answer = self.put("beyond", beyond, chunked=chunked)
                self.assertEqual((answer.status, answer.code()), (413, "SIZE_INVALID"))
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused while this side still wrote
        self.assertEqual(self.ask("HEAD", self.path("manifests/beyond")).status, 404)

        def refused():
            return [line["status"] for line in self.node.access()
                    if line["method"] == "PUT" and line["target"].endswith("/beyond")] == [413, 413]
        procs.wait_until(refused, 10, "both to be logged as 413, whatever this side saw of it")

    def test_tags_walk_in_byte_order(self):
        config = self.push(b"{}")
        data = self.manifest(config)
        tags = sorted(["v%d" % i for i in range(25)] + ["A", "_", "latest"])
        for tag in tags:
            self.assertEqual(self.put(tag, data).status, 201)
        seen, path = [], self.path("tags/list?n=7")
        while path:
            answer = self.ask("GET", path)
            page = json.loads(answer.body)["tags"]
            self.assertLessEqual(len(page), 7)
            seen += page
            link = answer.headers.get("link")
            path = link[1:link.index(">")] if link else None
        self.assertEqual(seen, tags)
        none = self.ask("GET", self.path("tags/list?n=0"))
        self.assertEqual(json.loads(none.body)["tags"], [])
        self.assertNotIn("link", none.headers)
        after = self.ask("GET", self.path("tags/list?n=1&last=m"))  # no such tag
        self.assertEqual(json.loads(after.body)["tags"], ["v0"])
        self.assertEqual(self.ask("GET", self.path("tags/list", "team/none")).code(), "NAME_UNKNOWN")

    def test_referrers(self):
        config = self.push(b"{}")
        subject = digest_of(b"not there")
        self.assertEqual(self.ask("GET", self.path("referrers/" + subject, "team/none")).status, 200)
        descriptor = {"mediaType": MANIFEST, "digest": subject, "size": 9}
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": descriptor}).encode()
        answer = self.put(digest_of(index), index, INDEX)
        self.assertEqual((answer.status, answer.headers["oci-subject"]), (201, subject))
        self.put("s", self.manifest(config, subject=descriptor, artifactType="a/b"))
        found = json.loads(self.ask("GET", self.path("referrers/" + subject)).body)["manifests"]
        self.assertEqual(len(found), 2)
        self.assertNotIn("artifactType", [each for each in found if each["mediaType"] == INDEX][0])
        some = self.ask("GET", self.path("referrers/%s?artifactType=a/b" % subject))
        self.assertEqual(some.headers["oci-filters-applied"], "artifactType")
        self.assertEqual(len(json.loads(some.body)["manifests"]), 1)

    def test_delete(self):
        config = self.push(b"{}")
        data = self.manifest(config)
        digest = digest_of(data)
        for tag in ("a", "b"):
            self.put(tag, data)
        self.assertEqual(self.ask("DELETE", self.path("manifests/a")).status, 202)
        self.assertEqual(self.ask("GET", self.path("manifests/a")).status, 404)
        self.assertEqual(self.ask("GET", self.path("manifests/" + digest)).status, 200)
        self.assertEqual(self.ask("DELETE", self.path("manifests/" + digest)).status, 202)
        for reference in ("b", digest):
            self.assertEqual(self.ask("GET", self.path("manifests/" + reference)).status, 404)
            self.assertEqual(self.ask("DELETE", self.path("manifests/" + reference)).status, 404)
        self.assertEqual(self.ask("DELETE", self.path("blobs/" + config)).status, 202)
        self.assertEqual(self.ask("DELETE", self.path("blobs/" + config)).code(), "BLOB_UNKNOWN")

    def test_pushes_are_logged_and_counted(self):
        self.push(b"x" * 1000)
        lines = procs.wait_until(lambda: [line for line in self.node.access() if line["method"] == "PUT"], 5, "the line")
        self.assertEqual((lines[0]["status"], lines[0]["repository"]), (201, "team/app"))


class TestMirroredStaysReadOnly(case.Case):
    def test_push_to_a_mirrored_repository_is_405(self):
        up = self.upstream()
        node = self.shoal(up, {"hosted": ["team/**"]})
        for method, path in (("POST", "/v2/library/x/blobs/uploads/"), ("PUT", "/v2/library/x/manifests/1"),
                             ("DELETE", "/v2/library/x/manifests/1")):
            connection = http.client.HTTPConnection(*node.address, timeout=20)
            self.addCleanup(connection.close)
            connection.request(method, path)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 405)
            self.assertIn(b"mirror of docker.io", answer.read())


if __name__ == "__main__":
    unittest.main()
