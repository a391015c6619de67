"""What every real client must manage, once per client: test_clients_<client>.py gives the class. Upstream is Debian's
docker-registry; one of each serves all tests of a file, each test has its own repositories."""

import os
import unittest

from . import case, clients, fake_upstream, images, procs, registry, shoal


class ClientBattery(case.Case):
    client_class = None
    limit = 120

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if clients.skipped(cls.client_class.name):
            raise unittest.SkipTest("SHOAL_E2E_SKIP lists " + cls.client_class.name)
        clients.need("docker-registry")
        cls.class_dir = procs.make_temp_dir()
        cls.addClassCleanup(procs.remove_tree, cls.class_dir)
        cls.registry = registry.Registry(cls.class_dir)
        cls.addClassCleanup(cls.registry.stop)
        cls.flaky = fake_upstream.FakeUpstream().start()
        cls.addClassCleanup(cls.flaky.stop)
        cls.mirror_address, cls.mirror = cls._start_mirror()
        cls.client = cls.client_class(cls.class_dir, cls.mirror_address)
        cls.addClassCleanup(cls.client.stop)

    @classmethod
    def _start_mirror(cls):
        if os.environ.get("SHOAL_E2E_STANDIN"):  # try the harness out on docker-registry, without a mirror
            return cls.registry.host, None
        mirror = shoal.Shoal(cls.class_dir, {
            "docker.io": {"urls": [cls.registry.url], "tag_ttl": "1s", "negative_ttl": "1s"},
            "quay.test": {"urls": [cls.registry.url], "tag_ttl": "1s"},
            "flaky.test": {"urls": [cls.flaky.url], "tag_ttl": "0s", "stall_timeout": "2s"},
        })
        mirror.start()
        cls.addClassCleanup(mirror.stop)
        return mirror.host, mirror

    def setUp(self):
        super().setUp()
        if self.mirror and not self.mirror.alive():
            self.fail("shoal died in an earlier test:\n" + self.mirror.stderr()[-3000:])

    def push(self, repository, manifest, *tags):
        self.registry.push(repository, manifest, *tags)
        return manifest

    def pull_and_compare(self, name, manifest, timeout=120):
        self.client.pull(name, timeout)
        wanted = {manifest.digest, manifest.for_platform().digest}
        self.assertTrue(wanted & set(self.client.digests(name)),
                        "%s has %s, upstream has %s" % (name, self.client.digests(name), sorted(wanted)))

    # --- image kinds, by tag, through the configured mirror ---
    def test_docker_schema2_image(self):
        self.pull_and_compare("docker.io/kinds/docker:v1", self.push(
            "kinds/docker", images.small_image("docker2", docker=True), "v1"))

    def test_oci_image(self):
        self.pull_and_compare("docker.io/kinds/oci:v1", self.push("kinds/oci", images.small_image("oci"), "v1"))

    def test_docker_manifest_list(self):
        manifest = self.push("kinds/list", images.multi_platform("list", docker=True), "v1")
        self.pull_and_compare("docker.io/kinds/list:v1", manifest)

    def test_oci_index_with_odd_whitespace(self):
        manifest = self.push("kinds/index", images.multi_platform("index"), "v1")
        self.pull_and_compare("docker.io/kinds/index:v1", manifest)

    def test_children_of_other_platforms_are_not_fetched(self):
        manifest = self.push("kinds/lazy", images.multi_platform("lazy"), "v1")
        self.client.pull("docker.io/kinds/lazy:v1")
        other = manifest.for_platform("s390x")
        self.assertEqual([r for r in self.registry.requests() if r[0] == "GET" and (
            other.digest in r[1] or any(b.digest in r[1] for b in other.blobs))], [])

    def test_zstd_layers(self):
        manifest = self.push("kinds/zstd", images.small_image("zstd", zstd=True), "v1")
        if self.client.zstd:
            self.pull_and_compare("docker.io/kinds/zstd:v1", manifest)
        else:  # the client cannot unpack it; what it would get must still be right
            self.assert_pull(self.mirror, "kinds/zstd", "v1", manifest)

    def test_forty_layers(self):
        manifest = self.push("kinds/forty", images.small_image("forty", layers=40, layer_size=3000), "v1")
        self.pull_and_compare("docker.io/kinds/forty:v1", manifest)

    def test_300_mb_layer(self):
        manifest = self.push("kinds/big", images.big_image(), "v1")
        self.pull_and_compare("docker.io/kinds/big:v1", manifest)
        self.client.remove("docker.io/kinds/big:v1")

    def test_deep_name(self):
        repository = "/".join("level%02d" % i for i in range(20))
        self.pull_and_compare("docker.io/%s:v1" % repository, self.push(repository, images.small_image("deep"), "v1"))

    def test_library_image_by_short_path(self):
        manifest = self.push("library/short", images.small_image("short"), "v1")
        self.pull_and_compare("docker.io/library/short:v1", manifest)

    # --- by digest, by the mirror's own address ---
    def test_by_digest(self):
        manifest = self.push("refs/digest", images.multi_platform("by-digest"), "v1")
        self.pull_and_compare("docker.io/refs/digest@" + manifest.digest, manifest)

    def test_mirrors_own_address_by_tag(self):
        manifest = self.push("refs/own", images.small_image("own"), "v1")
        self.pull_and_compare("%s/refs/own:v1" % self.mirror_address, manifest)

    def test_mirrors_own_address_by_digest_with_registry_prefix(self):
        manifest = self.push("refs/prefix", images.small_image("prefix", docker=True), "v1")
        self.pull_and_compare("%s/quay.test/refs/prefix@%s" % (self.mirror_address, manifest.digest), manifest)

    def test_second_registry_through_the_mirror(self):
        manifest = self.push("refs/second", images.small_image("second"), "v1")
        self.pull_and_compare("quay.test/refs/second:v1", manifest)

    # --- again, and changed ---
    def test_pull_again_costs_upstream_no_manifest_and_no_blob(self):
        manifest = self.push("again/same", images.multi_platform("again"), "v1")
        self.pull_and_compare("docker.io/again/same:v1", manifest)
        self.client.remove("docker.io/again/same:v1")
        seen = len(self.registry.requests())
        self.pull_and_compare("docker.io/again/same:v1", manifest)
        self.assertEqual([r for r in self.registry.requests()[seen:] if r[0] == "GET" and "/again/same/" in r[1]], [])

    def test_moved_tag_is_followed_after_its_ttl(self):
        self.pull_and_compare("docker.io/again/moved:v1", self.push("again/moved", images.small_image("old"), "v1"))
        new = self.push("again/moved", images.small_image("new"), "v1")

        def followed():
            self.client.pull("docker.io/again/moved:v1")
            return new.digest in self.client.digests("docker.io/again/moved:v1")

        procs.wait_until(followed, 10, "the new image", step=0.3)

    def test_image_runs(self):
        self.push("run/busybox", images.busybox_image("it runs"), "v1")
        self.client.pull("docker.io/run/busybox:v1")
        self.assertIn("it runs", self.client.run("docker.io/run/busybox:v1"))

    def test_unknown_tag_fails_and_says_so(self):
        self.push("refs/unknown", images.small_image("unknown"), "v1")
        with self.assertRaises(procs.ToolFailed):
            self.client.pull("%s/refs/unknown:nope" % self.mirror_address)

    # --- a short burst of upstream errors is ridden out behind the client's back ---
    def burst(self, name, **fault):
        manifest = self.flaky.add("burst/" + name, images.small_image("burst-" + name + self.client.name), "v1")
        for part in ("/burst/%s/manifests/" % name, "/burst/%s/blobs/%s" % (name, manifest.blobs[0].digest),
                     "/burst/%s/blobs/%s" % (name, manifest.blobs[1].digest)):
            self.flaky.fault(path=part, times=2, **fault)
        self.pull_and_compare("%s/flaky.test/burst/%s:v1" % (self.mirror_address, name), manifest, timeout=40)

    def test_burst_of_503(self):
        self.burst("e503", status=503)

    def test_burst_of_429_with_retry_after(self):
        self.burst("e429", status=429, headers={"Retry-After": "1"})

    def test_burst_of_resets(self):
        self.burst("rst", reset=True)

    def test_resets_in_the_middle_of_a_blob(self):
        layer = images.gzip_layer(images.tar_of({"f": images.random_bytes(6 << 20)}), level=0)
        manifest = self.flaky.add("burst/middle", images.image([layer], nonce=self.client.name), "v1")
        self.flaky.fault(path=layer.digest, times=1, reset_at=2 << 20)
        self.flaky.fault(path=layer.digest, times=1, skip=1, truncate_at=4 << 20)
        self.pull_and_compare("%s/flaky.test/burst/middle:v1" % self.mirror_address, manifest, timeout=40)

    def test_corrupt_blob_is_healed_before_the_client_sees_it(self):
        layer = images.gzip_layer(images.tar_of({"f": images.random_bytes(40 << 10)}), level=0)
        manifest = self.flaky.add("burst/corrupt", images.image([layer], nonce=self.client.name), "v1")
        self.flaky.fault(path=layer.digest, times=1, flip_at=5000)
        self.pull_and_compare("%s/flaky.test/burst/corrupt:v1" % self.mirror_address, manifest, timeout=40)
