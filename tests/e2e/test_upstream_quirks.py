"""Upstreams as they really are: CDNs, private CAs, proxies, missing headers, rate limits, pages."""

import os
import time
import unittest

from lib import case, fake_auth, fake_parts, fake_upstream, images, procs, registry, tls, wire


class QuirkCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.small_image("quirk", layer_size=300_000), "v1")
        self.layer = self.image.layers()[0]

    def mirror_with(self, **keys):
        return self.shoal({"docker.io": {"urls": [self.up.url], **keys}})


class TestCdn(QuirkCase):
    def setUp(self):
        super().setUp()
        self.up.auth = fake_auth.Bearer(anonymous=True)
        self.cdn = self.up.cdn = self.server(fake_upstream.Cdn(self.up))

    def test_redirected_blobs_come_without_our_authorization(self):
        self.assert_pull(self.mirror_with(), "team/app", "v1", self.image)
        self.assertEqual({r.status for r in self.cdn.requests()}, {200})

    def test_cdn_on_another_port_of_the_same_host(self):
        cdn = self.up.cdn = self.server(fake_upstream.Cdn(self.up, host="127.0.0.1"))
        self.assert_pull(self.mirror_with(), "team/app", "v1", self.image)
        self.assertGreater(cdn.count("GET"), 0)

    def test_expired_url_sends_us_back_to_the_registry_with_a_range(self):
        big = self.up.add_blob("team/app", images.random_blob(3 << 20))
        self.cdn.life = 0.3
        self.cdn.fault(path=big.digest, times=1, rate=2 << 20, truncate_at=1 << 20)
        mirror = self.mirror_with()
        self.assert_sound_blob(mirror.blob("team/app", big.digest), big)
        self.assertGreaterEqual(self.up.count("GET", big.digest), 2)
        resumed = self.cdn.requests("GET", big.digest)[-1]
        self.assertIn("range", resumed.headers)

    def test_expired_already_when_we_get_there(self):
        self.cdn.fault(times=1, status=403, body=b"<Error>Request has expired</Error>")
        self.assert_sound_blob(self.mirror_with().blob("team/app", self.layer.digest), self.layer)

    def test_cdn_urls_are_not_kept(self):
        self.cdn.life = 0.5
        mirror = self.mirror_with()
        for number, blob in enumerate(self.image.blobs):
            if number:
                time.sleep(0.6)
            self.assert_sound_blob(mirror.blob("team/app", blob.digest), blob)

    def test_head_of_a_redirected_blob(self):
        answer = self.mirror_with().head("/v2/team/app/blobs/" + self.layer.digest)
        self.assertEqual(answer.status, 200)
        self.assert_headers(answer, self.layer.digest, self.layer.size)
        self.assertEqual(self.cdn.body_bytes(), 0)

    def test_endless_redirects_end(self):
        self.up.cdn = None
        self.up.fault(path="/blobs/", status=307,
                      headers={"Location": "/v2/team/app/blobs/" + self.layer.digest})
        with self.within(20):
            answer = self.mirror_with(retries=1).blob("team/app", self.layer.digest)
        self.assert_unavailable(answer, "docker.io")
        self.assertLess(self.up.count("GET", "/blobs/"), 200)

    def test_redirected_manifests(self):
        other = self.upstream()
        other.add("team/app", self.image, "v1")
        self.up.auth = None
        self.up.fault(path="/manifests/v1", status=307, headers={"Location": other.url + "/v2/team/app/manifests/v1"})
        self.assert_sound_manifest(self.mirror_with().manifest("team/app", "v1"), self.image)


class TestTlsAndProxy(QuirkCase):
    def tls_upstream(self):
        self.ca = tls.PrivateCa(self.dir)
        up = self.upstream(tls=self.ca.server_context())
        up.add("team/app", self.image, "v1")
        return up

    def test_private_ca(self):
        up = self.tls_upstream()
        mirror = self.shoal({"docker.io": {"urls": [up.url], "ca_file": self.ca.ca_file}})
        self.assert_pull(mirror, "team/app", "v1", self.image)

    def test_unknown_ca_is_503_naming_the_upstream(self):
        up = self.tls_upstream()
        mirror = self.shoal({"docker.io": {"urls": [up.url], "retries": 1}})
        self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")
        self.assertEqual(up.count(), 0)

    def test_certificate_of_another_host_is_refused(self):
        ca = tls.PrivateCa(self.dir)
        up = self.upstream(tls=ca.server_context("other", ("DNS:other.example",)))
        mirror = self.shoal({"docker.io": {"urls": [up.url], "ca_file": ca.ca_file, "retries": 1}})
        self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")

    def test_tls_verify_off(self):
        up = self.tls_upstream()
        mirror = self.shoal({"docker.io": {"urls": [up.url], "tls_verify": False}})
        self.assert_pull(mirror, "team/app", "v1", self.image)

    def proxy(self):
        proxy = fake_parts.ForwardProxy()
        self.addCleanup(proxy.stop)
        return proxy

    def test_http_proxy(self):
        proxy = self.proxy()
        self.assert_pull(self.mirror_with(proxy=proxy.url), "team/app", "v1", self.image)
        self.assertTrue(all(target.startswith((self.up.url, self.up.host)) for _, target in proxy.targets))
        self.assertGreater(len(proxy.targets), 0)

    def test_http_proxy_to_a_tls_upstream(self):
        up, proxy = self.tls_upstream(), self.proxy()
        mirror = self.shoal({"docker.io": {"urls": [up.url], "ca_file": self.ca.ca_file, "proxy": proxy.url}})
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.assertEqual({method for method, _ in proxy.targets}, {"CONNECT"})

    def test_no_proxy_leaves_the_proxy_out(self):
        proxy = self.proxy()
        self.assert_pull(self.mirror_with(proxy=proxy.url, no_proxy="127.0.0.1"), "team/app", "v1", self.image)
        self.assertEqual(proxy.targets, [])

    def test_proxy_that_is_down_is_503(self):
        proxy = self.proxy()
        proxy.stop()
        mirror = self.mirror_with(proxy=proxy.url, retries=1)
        self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")


class TestMissingThings(QuirkCase):
    def test_no_content_length(self):
        self.up.fault(no_length=True)
        mirror = self.mirror_with()
        self.assert_pull(mirror, "team/app", "v1", self.image)

    def test_blob_without_content_length_and_without_a_known_size(self):
        self.up.fault(no_length=True)
        answer = self.mirror_with().blob("team/app", self.layer.digest)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.digest, self.layer.digest)

    def test_no_digest_header(self):
        self.up.fault(no_digest=True)
        mirror = self.mirror_with(tag_ttl="0s")
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)

    def test_head_refused(self):
        self.up.fault("HEAD", status=405)
        mirror = self.mirror_with(tag_ttl="0s")
        answer = mirror.head("/v2/team/app/manifests/v1")
        self.assertEqual(answer.status, 200)
        self.assert_headers(answer, self.image.digest, self.image.size)
        self.assert_pull(mirror, "team/app", "v1", self.image)
        new = self.up.add("team/app", images.small_image("moved"), "v1")
        self.assert_sound_manifest(mirror.manifest("team/app", "v1"), new)

    def test_no_ranges(self):
        big = self.up.add_blob("team/app", images.random_blob(2 << 20))
        self.up.fault(path=big.digest, ignore_range=True)
        self.up.fault(path=big.digest, times=1, truncate_at=1 << 20)
        self.assert_sound_blob(self.mirror_with().blob("team/app", big.digest), big)

    def test_vague_content_type_is_told_by_the_body(self):
        for number, content_type in enumerate(("application/json", "text/plain; charset=utf-8",
                                               "application/octet-stream")):
            with self.subTest(content_type):
                name = "team/type%d" % number
                manifest = self.up.add(name, images.small_image(content_type), "v1")
                fault = self.up.fault(path=name + "/manifests/", headers={"Content-Type": content_type})
                answer = self.mirror_once().manifest(name, "v1")
                fault.remove()
                self.assert_sound_manifest(answer, manifest)

    def mirror_once(self):
        if not self.shoals:
            self.mirror_with()
        return self.shoals[0]

    def test_every_manifest_request_accepts_all_kinds(self):
        mirror = self.mirror_with()
        mirror.manifest("team/app", "v1", headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"})
        mirror.manifest("team/app", self.image.digest)
        for request in self.up.requests(None, "/manifests/"):
            for kind in images.ALL_MANIFESTS.split(", "):
                self.assertIn(kind, request.headers.get("accept", ""))
            self.assertTrue(request.headers.get("user-agent"))

    def test_second_url_takes_over(self):
        dead = self.upstream()
        dead.refuse()
        mirror = self.shoal({"docker.io": {"urls": [dead.url, self.up.url]}})
        with self.within(5):
            self.assert_pull(mirror, "team/app", "v1", self.image)

    def test_encoded_bodies_are_not_asked_for(self):
        self.mirror_with().pull("team/app", "v1")
        for request in self.up.requests():
            self.assertIn(request.headers.get("accept-encoding", "identity"), ("identity", ""))


class TestRateLimit(QuirkCase):
    def test_429_reaches_the_client_with_its_retry_after_when_nothing_helps(self):
        self.up.fault(status=429, headers={"Retry-After": "120"}, body=b'{"errors":[{"code":"TOOMANYREQUESTS",'
                      b'"message":"You have reached your pull rate limit."}]}')
        with self.within(10):
            answer = self.mirror_with().manifest("team/app", "v1")
        self.assert_oci_error(answer, 429, "TOOMANYREQUESTS", ("docker.io",))
        self.assertTrue(100 <= int(answer.headers["retry-after"]) <= 120, answer.headers)

    def test_429_with_a_stale_tag_in_hand_is_not_the_clients_business(self):
        mirror = self.mirror_with(tag_ttl="0s")
        self.assert_pull(mirror, "team/app", "v1", self.image)
        self.up.fault(status=429, headers={"Retry-After": "120"})
        with self.within(4):
            self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)

    def test_remaining_is_read_and_shown(self):
        self.up.rate_limit = (100, 42)
        mirror = self.mirror_with()
        mirror.manifest("team/app", "v1")
        shown = {k: v for k, v in mirror.metrics().items() if "rate_limit_remaining" in k}
        self.assertEqual(list(shown.values()), [42], shown)

    def test_reserve_serves_stale_tags_unasked(self):
        self.up.rate_limit = (100, 5)
        mirror = self.mirror_with(tag_ttl="0s", rate_limit_reserve=10)
        mirror.manifest("team/app", "v1")
        self.up.forget()
        self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)
        self.assertEqual(self.up.count("GET"), 0)


class TestTagLists(case.Case):
    def all_pages(self, mirror, repository, page):
        """Follows Link as a client does."""
        path, names, pages = "/v2/%s/tags/list?n=%d" % (repository, page), [], 0
        while path:
            answer = mirror.get(path)
            self.assertEqual(answer.status, 200, answer)
            names += answer.json()["tags"]
            pages += 1
            link = answer.headers.get("link", "")
            path = None
            if link:
                self.assertIn('rel="next"', link)
                path = link[link.index("<") + 1:link.index(">")]
                self.assertTrue(path.startswith("/"), link)
            self.assertLess(pages, 300)
        return names, pages

    def test_250_tags_of_a_real_registry(self):
        up = registry.Registry(self.dir)
        self.addCleanup(up.stop)
        registry.push_many_tags(up.address, "team/many", 250)
        mirror = self.shoal({"quay.test": up.url, "docker.io": up.url})
        wanted = sorted("v%03d" % i for i in range(250))
        for repository in ("team/many", "quay.test/team/many"):
            names, _ = self.all_pages(mirror, repository, 40)
            self.assertEqual(sorted(names), wanted)
        whole = mirror.get("/v2/team/many/tags/list").json()
        self.assertEqual(sorted(whole["tags"])[:3], wanted[:3])
        direct = wire.get(up.address, "/v2/team/many/tags/list").json()
        self.assertEqual(direct["tags"], whole["tags"])

    def test_pages_are_smaller_upstream_than_asked(self):
        up = self.upstream()
        up.page_size = 20
        up.add("team/many", images.small_image("many"), *["v%03d" % i for i in range(250)])
        mirror = self.shoal(up)
        names, pages = self.all_pages(mirror, "team/many", 100)
        self.assertEqual(len(names), 250)
        self.assertEqual(len(set(names)), 250)

    def test_second_page_by_last(self):
        up = self.upstream()
        up.add("team/many", images.small_image("many"), "a", "b", "c")
        mirror = self.shoal(up)
        self.assertEqual(mirror.get("/v2/team/many/tags/list?n=1&last=a").json()["tags"], ["b"])

    def test_bad_page_sizes_are_refused_or_bounded(self):
        up = self.upstream()
        up.add("team/many", images.small_image("many"), "a")
        mirror = self.shoal(up)
        for n in ("-1", "x", "99999999999999999999999"):
            self.assertIn(mirror.get("/v2/team/many/tags/list?n=" + n).status, (200, 400))

    def test_name_in_a_prefixed_list_is_the_clients(self):
        up = self.upstream()
        up.add("team/many", images.small_image("many"), "a")
        mirror = self.shoal({"quay.test": up})
        self.assertIn(mirror.get("/v2/quay.test/team/many/tags/list").json()["name"],
                      ("quay.test/team/many", "team/many"))


class TestRealRegistryKinds(case.Case):
    def test_all_kinds_from_a_real_registry(self):
        up = registry.Registry(self.dir)
        self.addCleanup(up.stop)
        mirror = self.shoal(up)
        kinds = {"list": images.multi_platform("l", docker=True), "index": images.multi_platform("i"),
                 "chart": images.helm_chart(), "wasm": images.wasm_artifact(),
                 "zstd": images.small_image("z", zstd=True), "forty": images.small_image("f", layers=40, layer_size=200),
                 "/".join(["deep"] * 30): images.small_image("d")}
        for name, manifest in kinds.items():
            with self.subTest(name):
                up.push("kinds/" + name, manifest, "v1")
                self.assert_pull(mirror, "kinds/" + name, "v1", manifest)
                self.assert_pull(mirror, "kinds/" + name, manifest.digest, manifest)
        self.assertTrue(os.path.isdir(mirror.storage))

    def test_children_of_an_index_are_lazy(self):
        up = self.upstream()
        manifest = up.add("kinds/lazy", images.multi_platform("lazy"), "v1")
        mirror = self.shoal(up)
        self.assert_sound_manifest(mirror.manifest("kinds/lazy", "v1"), manifest)
        procs.wait_until(lambda: True, 1)
        time.sleep(0.3)
        self.assertEqual(up.count("GET"), 1, up.requests())


if __name__ == "__main__":
    unittest.main()
