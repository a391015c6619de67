"""HTTP as it should not be, and as it rarely is: raw sockets."""

import random
import socket
import time
import unittest

from lib import case, images, procs, wire

LIMITS = {"server": {"limits": {"header_bytes": "4KiB", "headers": 20, "uri_bytes": "1KiB", "body_bytes": "2KiB",
                                "header_timeout": "1s", "body_timeout": "1s", "keep_alive_timeout": "1s",
                                "send_timeout": "2s"}}}


class HttpCase(case.Case):
    more = None

    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.small_image("http"), "v1")
        self.big = self.up.add_blob("team/app", images.random_blob(20 << 20))
        self.mirror = self.shoal(self.up, self.more)
        self.assert_pull(self.mirror, "team/app", "v1", self.image)
        self.layer = self.image.layers()[0]
        self.manifest_path = "/v2/team/app/manifests/v1"
        self.blob_path = "/v2/team/app/blobs/" + self.layer.digest

    def raw(self, timeout=10):
        raw = wire.Raw(self.mirror.address, timeout)
        self.addCleanup(raw.close)
        return raw

    def send(self, data, timeout=10):
        """(status, headers, body) of the first answer; status 0 when the connection was just closed."""
        raw = self.raw(timeout)
        raw.send(data)
        raw.socket.shutdown(socket.SHUT_WR)
        return raw.read_answer()

    def assert_alive(self):
        self.assertEqual(self.mirror.get("/v2/").status, 200)


class TestMalformed(HttpCase):
    CORPUS = [
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET /v2/\r\n\r\n", b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n", b"\0" * 100,
        b"GET /v2/ HTTP/1.1\r\n\r\n",  # no Host
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"G\0T /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nNo colon here\r\n\r\n", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET v2 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", b"GET  /v2/ HTTP/1.1\r\n\r\n",
        b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
        b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /v2/ HTTP/1.1\nHost: x\n\n",
        b"BREW /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v2/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50000 + b"\r\n", b"A" * 100000,
        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x80" * 5000,
    ]

    def test_corpus_is_answered_with_4xx_or_closed(self):
        for data in self.CORPUS:
            with self.subTest(data[:60]):
                status, _, _ = self.send(data)
                self.assertTrue(status in (0, 200, 501, 505) or 400 <= status < 500, status)
                if status == 200:  # only what is merely unusual
                    self.assertIn(data[:4], (b"GET ", b"\r\n\r\n"))
        self.assert_alive()

    def test_mutations_of_good_requests_never_kill_it(self):
        rng = random.Random(20240101)
        good = [b"GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=0-99,200-\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                % self.blob_path.encode(),
                b"GET %s?ns=docker.io HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\nConnection: close\r\n\r\n"
                % self.manifest_path.encode(),
                b"PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
        for number in range(300):
            data = bytearray(rng.choice(good))
            for _ in range(rng.randint(1, 6)):
                at = rng.randrange(len(data))
                choice = rng.randrange(4)
                if choice == 0:
                    data[at] = rng.randrange(256)
                elif choice == 1:
                    del data[at:at + rng.randint(1, 8)]
                elif choice == 2:
                    data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
                else:
                    data[at:at] = data[:rng.randint(1, 60)]
                if not data:
                    data = bytearray(b"x")
            raw = wire.Raw(self.mirror.address, 5)
            raw.send(bytes(data))
            raw.socket.shutdown(socket.SHUT_WR)
            raw.read_until_closed()
            raw.close()
        self.assertTrue(self.mirror.alive())
        self.assert_alive()
        self.assert_pull(self.mirror, "team/app", "v1", self.image)

    def test_tls_hello_on_the_plain_port_is_closed_quietly(self):
        hello = bytes.fromhex("16030100c8010000c40303") + b"\x11" * 200
        with self.within(2):
            raw = self.raw()
            raw.send(hello)
            data = raw.read_until_closed()
        self.assertTrue(data == b"" or data.startswith((b"HTTP/1.1 4", b"\x15")), data)
        self.assert_alive()

    def test_errors_have_an_oci_body(self):
        status, headers, body = self.send(b"GET /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(status, (400, 404))
        self.assertIn("json", headers["content-type"])
        self.assertIn(b'"errors"', body)


class TestLimits(HttpCase):
    more = LIMITS

    def test_long_uri_is_414(self):
        self.assertEqual(self.send(b"GET /v2/%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 2000))[0], 414)

    def test_long_headers_are_431(self):
        self.assertEqual(self.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * 8000))[0], 431)

    def test_many_headers_are_431(self):
        self.assertEqual(self.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 30 + b"\r\n")[0], 431)

    def test_large_body_is_413(self):
        for head in (b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + b"x" * 4096 + b"\r\n"):
            status, _, _ = self.send(b"PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n" + head)
            self.assertIn(status, (413, 405))
        self.assert_alive()

    def test_slow_header_is_cut(self):
        with self.within(4):
            raw = self.raw()
            raw.send(b"GET /v2/ HTTP/1.1\r\nHo")
            answer = raw.read_until_closed()
        self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 408"), answer)

    def test_slow_loris_cannot_buy_time_with_single_bytes(self):
        raw = self.raw()
        began = time.monotonic()
        try:
            for byte in b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 60:
                raw.socket.sendall(bytes([byte]))
                time.sleep(0.1)
                if time.monotonic() - began > 6:
                    break
        except OSError:
            pass
        self.assertLess(time.monotonic() - began, 4)

    def test_slow_body_is_cut(self):
        with self.within(4):
            raw = self.raw()
            raw.send(b"PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            raw.read_until_closed()

    def test_idle_connection_is_closed_after_the_keep_alive_time(self):
        raw = self.raw()
        raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(raw.read_answer()[0], 200)
        with self.within(4):
            self.assertEqual(raw.read_until_closed(), b"")

    def test_connection_that_says_nothing_is_closed(self):
        with self.within(4):
            self.assertIn(self.raw().read_until_closed()[:12], (b"", b"HTTP/1.1 408"))

    def test_client_that_takes_nothing_is_cut(self):
        self.mirror.blob("team/app", self.big.digest)
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(self.mirror.address)
        connection.sendall(b"GET /v2/team/app/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n" % self.big.digest.encode())

        def logged():
            return [line for line in self.mirror.access() if line["bytes"] < self.big.size and
                    self.big.digest in str(line)]

        procs.wait_until(logged, 10, "the stuck client to be cut")

    def test_many_slow_connections_do_not_stop_others(self):
        crowd = [self.raw() for _ in range(300)]
        for raw in crowd:
            raw.send(b"GET /v2/ HT")
        with self.within(1):
            self.assert_pull(self.mirror, "team/app", "v1", self.image)


class TestConnectionLimit(HttpCase):
    more = {"server": {"loops": 1, "limits": {"connections": 10, "keep_alive_timeout": "2s"}}}

    def test_beyond_the_limit_accepting_pauses_and_goes_on(self):
        crowd = [self.raw() for _ in range(30)]
        for raw in crowd:
            raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual([raw.read_answer()[0] for raw in crowd], [200] * 30)


class TestProtocol(HttpCase):
    def test_pipelined_requests_are_answered_in_order(self):
        raw = self.raw()
        raw.send((("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.manifest_path)
                  + ("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.blob_path)
                  + ("HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.blob_path)
                  + "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").encode())
        self.assertEqual(raw.read_answer()[2], self.image.data)
        self.assertEqual(raw.read_answer()[2], self.layer.data)
        status, headers, _ = raw.read_answer(has_body=False)
        self.assertEqual((status, headers["content-length"]), (200, str(self.layer.size)))
        self.assertEqual(raw.read_answer()[0], 200)
        self.assertEqual(raw.read_until_closed(), b"")

    def test_keep_alive_over_many_requests(self):
        raw = self.raw()
        for _ in range(50):
            raw.send(("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.blob_path).encode())
            self.assertEqual(raw.read_answer()[2], self.layer.data)

    def test_connection_stays_usable_after_an_error_answer(self):
        raw = self.raw()
        raw.send(b"GET /v2/team/app/manifests/nope HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(raw.read_answer()[0], 404)
        raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(raw.read_answer()[0], 200)

    def test_http_1_0(self):
        raw = self.raw()
        raw.send(("GET %s HTTP/1.0\r\n\r\n" % self.blob_path).encode())
        data = raw.read_until_closed()
        self.assertTrue(data.startswith(b"HTTP/1."), data[:50])
        self.assertNotIn(b"chunked", data.split(b"\r\n\r\n")[0].lower())
        self.assertTrue(data.endswith(self.layer.data))

    def test_request_in_single_bytes(self):
        raw = self.raw()
        for byte in ("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.manifest_path).encode():
            raw.socket.sendall(bytes([byte]))
        self.assertEqual(raw.read_answer()[2], self.image.data)

    def test_expect_100_continue(self):
        raw = self.raw()
        raw.send(b"PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        status, _, _ = raw.read_answer()
        if status == 100:
            raw.send(b"hello")
            status, _, _ = raw.read_answer()
        self.assertEqual(status, 405)

    def test_unknown_expectation_is_417_or_ignored(self):
        status, _, _ = self.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n")
        self.assertIn(status, (417, 200))

    def test_conditional_requests(self):
        for path, digest in ((self.manifest_path, self.image.digest), (self.blob_path, self.layer.digest)):
            for value in ('"%s"' % digest, 'W/"%s"' % digest, '"other", "%s"' % digest, "*"):
                for method in ("GET", "HEAD"):
                    with self.subTest(path + value + method):
                        answer = wire.request(self.mirror.address, method, path, {"If-None-Match": value})
                        self.assertEqual((answer.status, answer.body), (304, b""))
                        self.assertEqual(answer.headers.get("etag"), '"%s"' % digest)
            answer = self.mirror.get(path, {"If-None-Match": '"other"'})
            self.assertEqual(answer.status, 200)

    def test_if_range(self):
        headers = {"Range": "bytes=0-9", "If-Range": '"%s"' % self.layer.digest}
        self.assertEqual(self.mirror.get(self.blob_path, headers).status, 206)
        headers["If-Range"] = '"other"'
        self.assertEqual(self.mirror.get(self.blob_path, headers).status, 200)

    def test_ranges(self):
        data, size = self.layer.data, self.layer.size
        for text, expected in (("bytes=0-0", data[:1]), ("bytes=10-19", data[10:20]), ("bytes=10-", data[10:]),
                               ("bytes=-7", data[-7:]), ("bytes=0-99999999", data), ("bytes=-99999999", data)):
            with self.subTest(text):
                answer = self.mirror.get(self.blob_path, {"Range": text})
                self.assertEqual((answer.status, answer.body), (206, expected))
        for text in ("bytes=%d-" % size, "bytes=-0"):
            with self.subTest(text):
                answer = self.mirror.get(self.blob_path, {"Range": text})
                self.assertEqual(answer.status, 416)
                self.assertEqual(answer.headers["content-range"], "bytes */%d" % size)
        for text in ("bytes=9-2", "lines=1-2", "bytes=a-b", "bytes", "bytes=18446744073709551616-"):
            with self.subTest(text):
                self.assertIn(self.mirror.get(self.blob_path, {"Range": text}).status, (200, 416))

    def test_several_ranges(self):
        answer = self.mirror.get(self.blob_path, {"Range": "bytes=0-9,100-199,-5"})
        self.assertIn(answer.status, (200, 206))
        if answer.status == 200:
            self.assertEqual(answer.body, self.layer.data)
            return
        content_type = answer.headers["content-type"]
        self.assertTrue(content_type.startswith("multipart/byteranges"), content_type)
        boundary = content_type.split("boundary=")[1].strip('"').encode()
        parts = answer.body.split(b"--" + boundary)[1:-1]
        bodies = [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts]
        data = self.layer.data
        self.assertEqual(bodies, [data[:10], data[100:200], data[-5:]])

    def test_thousand_ranges_are_not_an_amplifier(self):
        text = "bytes=" + ",".join("0-" for _ in range(1000))
        raw = self.raw()
        raw.send(("GET %s HTTP/1.1\r\nHost: x\r\nRange: %s\r\nConnection: close\r\n\r\n" % (self.blob_path, text)).encode())
        self.assertLess(len(raw.read_until_closed()), 3 * self.layer.size + 10_000)

    def test_nothing_is_ever_encoded(self):
        answer = self.mirror.get(self.blob_path, {"Accept-Encoding": "gzip, zstd, br"})
        self.assert_sound_blob(answer, self.layer)
        answer = self.mirror.get(self.manifest_path, {"Accept-Encoding": "gzip"})
        self.assert_sound_manifest(answer, self.image)

    def test_accept_does_not_change_the_answer(self):
        for accept in ("application/json", "text/html", "application/vnd.docker.distribution.manifest.v2+json", "*/*"):
            self.assert_sound_manifest(self.mirror.get(self.manifest_path, {"Accept": accept}), self.image)

    def test_body_on_get_does_not_shift_the_next_request(self):
        raw = self.raw()
        raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                 b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(raw.read_answer()[0], 200)
        self.assertEqual(raw.read_answer()[0], 200)

    def test_unknown_methods(self):
        for method in ("OPTIONS", "TRACE", "PROPFIND"):
            self.assertIn(self.send(b"%s /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" % method.encode())[0], (400, 405, 501))

    def test_client_that_leaves_in_the_middle_a_hundred_times(self):
        for _ in range(100):
            with self.mirror.stream("/v2/team/app/blobs/" + self.big.digest) as stream:
                stream.read(1000)
        self.assert_sound_blob(self.mirror.blob("team/app", self.big.digest), self.big)
        self.assertEqual(self.up.count("GET", self.big.digest), 1)


class TestAddresses(case.Case):
    def test_ipv6_and_several_listeners(self):
        up = self.upstream()
        up.add("team/app", images.small_image("v6"), "v1")
        mirror = self.shoal(up, {"server": {"listen": ["127.0.0.1:0", "[::1]:0"]}})
        self.assertGreaterEqual(len(mirror.ports), 2)
        raw = wire.Raw(("::1", mirror.ports[1]), family=socket.AF_INET6)
        self.addCleanup(raw.close)
        raw.send(b"GET /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n")
        self.assertEqual(raw.read_answer()[0], 200)


if __name__ == "__main__":
    unittest.main()
