"""The harness itself: each fault of the fake upstream is what it says, or the other tests prove nothing."""

import time
import unittest

from lib import case, fake_auth, fake_parts, fake_upstream, images, registry, tls, wire


class TestFakeUpstream(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.data = images.random_blob(3 << 20)
        self.up.add_blob("team/app", self.data)
        self.path = "/v2/team/app/blobs/" + self.data.digest

    def get(self, **more):
        return wire.get(self.up.address, self.path, **more)

    def test_serves_blobs_whole_and_by_range(self):
        self.assertEqual(self.get().body, self.data.data)
        part = self.get(headers={"Range": "bytes=100-199"})
        self.assertEqual((part.status, part.body), (206, self.data.data[100:200]))
        self.assertEqual(self.get(headers={"Range": "bytes=-10"}).body, self.data.data[-10:])
        self.assertEqual(self.get(headers={"Range": "bytes=99999999-"}).status, 416)
        self.assertEqual(self.up.count("GET", self.data.digest), 4)
        self.assertEqual(self.up.requests()[0].sent, self.data.size)

    def test_reset_and_truncate_break_at_their_byte(self):
        for how in ("reset_at", "truncate_at"):
            fault = self.up.fault(path=self.data.digest, **{how: 1 << 20})
            answer = self.get()
            fault.remove()
            self.assertTrue(answer.broken)
            self.assertEqual(answer.body, self.data.data[:1 << 20])

    def test_fault_positions_are_passed_by_a_range_behind_them(self):
        self.up.fault(path=self.data.digest, truncate_at=1 << 20)
        self.assertEqual(self.get(headers={"Range": "bytes=2000000-"}).body, self.data.data[2000000:])

    def test_flip_short_and_lengths(self):
        self.up.fault(times=1, flip_at=5)
        self.assertEqual([i for i, (a, b) in enumerate(zip(self.get().body, self.data.data)) if a != b], [5])
        self.up.fault(times=1, short=1000)
        answer = self.get()
        self.assertEqual((answer.headers["content-length"], len(answer.body), answer.broken), ("1000", 1000, False))
        self.up.fault(times=1, length_delta=1000)
        self.assertTrue(self.get().broken)
        self.up.fault(times=1, length_delta=-1000)
        self.assertEqual(len(self.get().body), self.data.size - 1000)
        self.up.fault(times=1, no_length=True)
        answer = self.get()
        self.assertNotIn("content-length", answer.headers)
        self.assertEqual(answer.body, self.data.data)

    def test_times_and_skip(self):
        self.up.fault(path="/blobs/", times=2, skip=1, status=503, headers={"Retry-After": "1"})
        self.assertEqual([self.get().status for _ in range(5)], [200, 503, 503, 200, 200])

    def test_hang_stall_rate_and_delay(self):
        self.up.fault(times=1, hang=True)
        with self.assertRaises(TimeoutError):
            self.get(timeout=0.5)
        self.up.fault(times=1, stall_at=1000)
        with wire.Stream(self.up.address, "GET", self.path, timeout=0.5) as stream:
            with self.assertRaises(TimeoutError):
                stream.read_all()
            self.assertEqual(len(stream.got), 1000)
        self.up.fault(times=1, delay=0.3)
        self.assertGreater(self.get().head_after, 0.3)
        self.up.fault(times=1, rate=100_000)
        with wire.Stream(self.up.address, "GET", self.path) as stream:
            began = time.monotonic()
            stream.read(30_000)
            self.assertGreater(time.monotonic() - began, 0.2)

    def test_refuse_and_back_on_the_same_port(self):
        self.assertEqual(self.get().status, 200)
        self.up.refuse()
        with self.assertRaises(ConnectionRefusedError):
            self.get()
        self.up.listen_again()
        self.assertEqual(self.get().status, 200)

    def test_bearer_token_is_demanded_and_given(self):
        self.up.auth = fake_auth.Bearer(users={"me": "secret"})
        refused = self.get()
        self.assertEqual(refused.status, 401)
        self.assertIn('scope="repository:team/app:pull"', refused.headers["www-authenticate"])
        ask = "/token?service=e2e.registry&scope=repository:team/app:pull"
        self.assertEqual(wire.get(self.up.address, ask).status, 401)
        token = wire.get(self.up.address, ask, {"Authorization": "Basic bWU6c2VjcmV0"}).json()["token"]
        self.assertEqual(self.get(headers={"Authorization": "Bearer " + token}).status, 200)
        self.up.auth.revoke_all()
        self.assertEqual(self.get(headers={"Authorization": "Bearer " + token}).status, 401)

    def test_cdn_refuses_authorization_and_expired_urls(self):
        cdn = self.up.cdn = self.server(fake_upstream.Cdn(self.up, life=0.5))
        location = self.get().headers["location"]
        path = location[location.index("/data"):]
        self.assertEqual(wire.get(cdn.address, path).body, self.data.data)
        self.assertEqual(wire.get(cdn.address, path, {"Authorization": "Bearer x"}).status, 400)
        time.sleep(0.6)
        self.assertEqual(wire.get(cdn.address, path).status, 403)

    def test_tag_pages_are_linked(self):
        self.up.add("team/app", images.small_image("x"), *["v%02d" % i for i in range(25)])
        first = wire.get(self.up.address, "/v2/team/app/tags/list?n=10")
        self.assertEqual(first.json()["tags"][-1], "v09")
        self.assertIn("last=v09", first.headers["link"])

    def test_forward_proxy_passes_on(self):
        proxy = fake_parts.ForwardProxy()
        self.addCleanup(proxy.stop)
        answer = wire.get(("127.0.0.1", proxy.port), self.up.url + self.path)
        self.assertEqual(answer.body, self.data.data)
        self.assertEqual(proxy.targets, [("GET", self.up.url + self.path)])


class TestRealRegistry(case.Case):
    def test_push_keeps_the_bytes(self):
        up = registry.Registry(self.dir)
        self.addCleanup(up.stop)
        for number, manifest in enumerate((images.multi_platform("a"), images.multi_platform("b", docker=True),
                                           images.helm_chart(), images.wasm_artifact())):
            up.push("kinds/%d" % number, manifest, "v1")
            got = wire.get(up.address, "/v2/kinds/%d/manifests/v1" % number, {"Accept": images.ALL_MANIFESTS})
            self.assertEqual(got.body, manifest.data)

    def test_users_and_tls(self):
        ca = tls.PrivateCa(self.dir)
        up = registry.Registry(self.dir, users={"me": "secret"}, ca=ca)
        self.addCleanup(up.stop)
        up.push("team/app", images.small_image("x"), "v1")  # logs in, trusts the CA
        self.assertIn(("PUT", "/v2/team/app/manifests/v1", 201), up.requests())


if __name__ == "__main__":
    unittest.main()
