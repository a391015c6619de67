"""The four ways to name an upstream on one listener; nothing else is reachable."""

import unittest

from lib import case, images, wire


class TestStyles(case.Case):
    def setUp(self):
        super().setUp()
        self.hub, self.quay = self.upstream(), self.upstream()
        self.hub_image = self.hub.add("library/app", images.small_image("hub"), "v1")
        self.team_image = self.hub.add("team/app", images.small_image("hub-team"), "v1")
        self.quay_image = self.quay.add("team/app", images.small_image("quay"), "v1")
        self.mirror = self.shoal({"docker.io": self.hub, "quay.test": self.quay},
                                 {"hosts": {"quay.mirror.lan": "quay.test"}})

    def test_default_upstream(self):
        self.assert_pull(self.mirror, "team/app", "v1", self.team_image)
        self.assert_pull(self.mirror, "library/app", "v1", self.hub_image)

    def test_default_upstream_with_short_library_name(self):
        self.assert_pull(self.mirror, "app", "v1", self.hub_image)
        self.assertEqual(self.hub.count(pattern="/v2/app/"), 0)

    def test_ns_query(self):
        answer = self.mirror.get("/v2/team/app/manifests/v1?ns=quay.test")
        self.assert_sound_manifest(answer, self.quay_image)
        self.assertEqual(answer.headers.get("oci-namespace"), "quay.test")
        self.assert_sound_manifest(self.mirror.get("/v2/team/app/manifests/v1?ns=docker.io"), self.team_image)
        blob = self.quay_image.blobs[1]
        self.assert_sound_blob(self.mirror.get("/v2/team/app/blobs/%s?ns=quay.test" % blob.digest), blob)

    def test_ns_is_not_passed_upstream(self):
        self.mirror.get("/v2/team/app/manifests/v1?ns=quay.test")
        self.assertEqual([r.target for r in self.quay.requests() if "ns=" in r.target], [])

    def test_registry_in_the_path_behind_v2(self):
        self.assert_pull(self.mirror, "quay.test/team/app", "v1", self.quay_image)
        self.assert_pull(self.mirror, "docker.io/library/app", "v1", self.hub_image)
        self.assert_sound_manifest(self.mirror.manifest("docker.io/app", "v1"), self.hub_image)

    def test_registry_in_the_path_before_v2(self):
        answer = self.mirror.get("/quay.test/v2/team/app/manifests/v1")
        self.assert_sound_manifest(answer, self.quay_image)
        self.assertEqual(self.mirror.get("/quay.test/v2/").status, 200)

    def test_registry_by_host(self):
        answer = self.mirror.get("/v2/team/app/manifests/v1", {"Host": "quay.mirror.lan"})
        self.assert_sound_manifest(answer, self.quay_image)
        answer = self.mirror.get("/v2/team/app/manifests/v1", {"Host": "Quay.Mirror.Lan:5000"})
        self.assert_sound_manifest(answer, self.quay_image)
        self.assert_sound_manifest(self.mirror.get("/v2/team/app/manifests/v1", {"Host": "other.lan"}), self.team_image)

    def test_prefix_beats_ns_beats_host(self):
        answer = self.mirror.get("/v2/docker.io/team/app/manifests/v1?ns=quay.test", {"Host": "quay.mirror.lan"})
        self.assert_sound_manifest(answer, self.team_image)
        answer = self.mirror.get("/v2/team/app/manifests/v1?ns=docker.io", {"Host": "quay.mirror.lan"})
        self.assert_sound_manifest(answer, self.team_image)

    def test_all_styles_share_one_cache(self):
        blob = self.quay_image.blobs[1]
        for path in ("/v2/quay.test/team/app", "/quay.test/v2/team/app"):
            self.assert_sound_blob(self.mirror.get("%s/blobs/%s" % (path, blob.digest)), blob)
        self.assert_sound_blob(self.mirror.get("/v2/team/app/blobs/%s?ns=quay.test" % blob.digest), blob)
        self.assertEqual(self.quay.count("GET", blob.digest), 1)

    def test_ping(self):
        answer = self.mirror.get("/v2/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers.get("docker-distribution-api-version"), "registry/2.0")
        self.assertEqual(self.hub.count() + self.quay.count(), 0)

    def test_a_blob_is_shown_only_where_upstream_has_it(self):
        secret = self.quay.add("private/app", images.small_image("secret"), "v1").blobs[1]
        self.assert_sound_blob(self.mirror.blob("quay.test/private/app", secret.digest), secret)
        self.assert_oci_error(self.mirror.blob("docker.io/team/app", secret.digest), 404, "BLOB_UNKNOWN")
        self.assert_oci_error(self.mirror.blob("quay.test/team/app", secret.digest), 404, "BLOB_UNKNOWN")

    def test_a_manifest_by_digest_is_shown_only_where_upstream_has_it(self):
        secret = self.quay.add("private/app", images.small_image("secret"), "v1")
        self.assert_sound_manifest(self.mirror.manifest("quay.test/private/app", secret.digest), secret)
        self.assert_oci_error(self.mirror.manifest("quay.test/team/app", secret.digest), 404, "MANIFEST_UNKNOWN")


class TestRefusals(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.up.add("library/app", images.small_image("hub"), "v1")
        self.mirror = self.shoal(self.up)

    def test_unknown_registry_is_404_with_an_oci_error(self):
        for path in ("/v2/unknown.test/team/app/manifests/v1", "/v2/team/app/manifests/v1?ns=unknown.test",
                     "/unknown.test/v2/team/app/manifests/v1", "/v2/localhost:5000/app/manifests/v1",
                     "/v2/team/app/blobs/sha256:%s?ns=unknown.test" % ("0" * 64)):
            with self.subTest(path):
                answer = self.mirror.get(path)
                self.assertEqual(answer.status, 404, answer)
                answer.error()
        self.assertEqual(self.up.count(), 0)

    def test_no_default_upstream_means_404_without_a_registry(self):
        mirror = self.shoal({"quay.test": self.up}, {"default_upstream": ""}, name="second")
        self.assert_oci_error(mirror.manifest("library/app", "v1"), 404)
        self.assertEqual(mirror.manifest("quay.test/library/app", "v1").status, 200)

    def test_no_open_proxy(self):
        host = "127.0.0.1:%d" % self.up.port
        for path in ("/v2/%s/library/app/manifests/v1" % host, "/v2/library/app/manifests/v1?ns=" + host,
                     "/v2/library/app/manifests/v1?ns=http://" + host, "/%s/v2/library/app/manifests/v1" % host):
            with self.subTest(path):
                self.assertIn(self.mirror.get(path).status, (400, 404))
        for line in ("CONNECT %s HTTP/1.1" % host, "GET http://%s/v2/other/app/manifests/v1 HTTP/1.1" % host):
            with self.subTest(line), wire.Raw(self.mirror.address) as raw:
                raw.send((line + "\r\nHost: " + host + "\r\nConnection: close\r\n\r\n").encode())
                status, _, _ = raw.read_answer()
                self.assertTrue(status == 0 or 400 <= status < 500, status)
        self.assertEqual(self.up.count("CONNECT"), 0)

    def test_path_tricks_reach_nobody(self):
        tricks = ["/v2/../etc/passwd", "/v2/library/../../etc/manifests/v1", "/v2/library/%2e%2e/app/manifests/v1",
                  "/v2/library%2fapp/manifests/v1", "/v2/library/app%00/manifests/v1", "/v2//library/app/manifests/v1",
                  "/v2/library/app//manifests/v1", "/v2/Library/App/manifests/v1", "/v2/library/app/manifests/..",
                  "/v2/library/app/manifests/v1%2f..", "/v2/library/app/manifests/" + "t" * 129,
                  "/v2/" + "a" * 256 + "/manifests/v1", "/v2/" + "/".join(["abc"] * 70) + "/manifests/v1",
                  "/v2/library/app/blobs/sha256:zz", "/v2/library/app/blobs/sha256:" + "A" * 64,
                  "/v2/library/app/blobs/md5:" + "0" * 32, "/v2/library/app/blobs/../blobs/x", "/v2/_app/manifests/v1",
                  "/v2/library/app/manifests/%zz", "/v2/library/app/manifests/v1%", "/v2/library/./app/manifests/v1",
                  "/v2/docker.io/../../x/manifests/v1", "/v2/library\\app/manifests/v1", "/v2/-a/manifests/v1"]
        for path in tricks:
            with self.subTest(path[:60]), wire.Raw(self.mirror.address) as raw:
                raw.send(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path).encode())
                status, headers, body = raw.read_answer()
                self.assertTrue(400 <= status < 500, (status, body))
                self.assertIn(b'"errors"', body)
        self.assertEqual(self.up.count(), 0, self.up.requests())
        self.assertEqual(self.mirror.manifest("library/app", "v1").status, 200)

    def test_writing_is_405_unsupported(self):
        for method, path in (("PUT", "/v2/library/app/manifests/v1"), ("POST", "/v2/library/app/blobs/uploads/"),
                             ("DELETE", "/v2/library/app/manifests/v1"),
                             ("DELETE", "/v2/library/app/blobs/sha256:" + "0" * 64),
                             ("PATCH", "/v2/library/app/blobs/uploads/abc"),
                             ("PUT", "/v2/library/app/blobs/uploads/abc")):
            with self.subTest(method + " " + path):
                answer = wire.request(self.mirror.address, method, path, {"Content-Length": "0"})
                self.assert_oci_error(answer, 405, "UNSUPPORTED")
        self.assertEqual(self.up.count(), 0)

    def test_unknown_things_upstream_are_404_with_their_codes(self):
        self.assert_oci_error(self.mirror.manifest("library/app", "nope"), 404, "MANIFEST_UNKNOWN",
                              mentions=("docker.io has no library/app:nope", "/v2/docker.io/library/app/tags/list"))
        self.assertEqual(self.mirror.get("/v2/docker.io/library/app/tags/list").status, 200)
        self.assert_oci_error(self.mirror.blob("library/app", "sha256:" + "1" * 64), 404, "BLOB_UNKNOWN")
        self.assert_oci_error(self.mirror.get("/v2/library/nothing/tags/list"), 404, "NAME_UNKNOWN")
        self.assertEqual(self.mirror.get("/nowhere").status, 404)


if __name__ == "__main__":
    unittest.main()
