"""--dry-run: says what would go, how much, and why not; changes nothing; and what then really happens is the same."""

import json
import unittest

from lib import case, images, procs, registry, wire


class DryRunCase(case.Case):
    def cli(self, node, *arguments):
        """Standard output and exit code."""
        try:
            return node.cli(*arguments, "--admin", "127.0.0.1:%d" % node.admin_port), 0
        except procs.ToolFailed as failed:
            return failed.output, failed.code

    def ask(self, node, *arguments):
        text, code = self.cli(node, *arguments, "--json")
        self.assertEqual(code, 0, text)
        return json.loads(text)

    def admin(self, node, path):
        return wire.get(("127.0.0.1", node.admin_port), path).json()

    def catalog(self, node):
        return node.get("/v2/_catalog").json()["repositories"]

    def bytes_of(self, blobs):
        return sum(blob.size for blob in blobs)


class TestHosted(DryRunCase):
    def setUp(self):
        super().setUp()
        self.node = self.shoal({}, {"registry": {"gc_grace": "0"}})

    def push(self, repository, manifest, *tags):
        registry.push(self.node.address, repository, manifest, tags)
        return manifest

    def test_a_repository(self):
        """Two images with a layer in common, one of them shared with a repository that stays."""
        base = images.gzip_layer(images.tar_of({"base": images.random_bytes(5000, "base")}))
        lent = images.gzip_layer(images.tar_of({"lent": images.random_bytes(7000, "lent")}))
        one, two = images.image([base, lent], nonce="one"), images.image([base], nonce="two")
        self.push("team/app", one, "v1", "latest")
        self.push("team/app", two, "v2")
        self.push("team/other", images.image([lent], nonce="other"), "v1")
        goes = {blob.digest: blob for blob in one.blobs + two.blobs if blob.digest != lent.digest}.values()
        would = self.ask(self.node, "rm", "--dry-run", "team/app")
        self.assertEqual((would["tags"], would["manifests"], would["blobs"], would["bytes_freed"]), (3, 2, 0, 0))
        collection = would["collection"]
        self.assertEqual((collection["manifests"], collection["blobs"], collection["bytes"]),
                         (0, len(goes), self.bytes_of(goes)), would)
        self.assertEqual((collection["blobs_shared"], collection["bytes_shared"]), (1, lent.size))
        text, code = self.cli(self.node, "rm", "--dry-run", "team/app")
        self.assertEqual(code, 0)
        self.assertIn("would remove team/app\n", text)
        self.assertIn("at once: 3 tags, 2 manifests, 0 blobs, 0 B (0 bytes)", text)
        self.assertIn("the next `shoal gc` would then free", text)
        self.assertIn("(%d bytes): 0 manifests, %d blobs" % (self.bytes_of(goes), len(goes)), text)
        self.assertIn("stay: 1 blobs", text)
        self.assert_pull(self.node, "team/app", "v1", one)  # nothing happened

        self.assertEqual(self.cli(self.node, "rm", "team/app"), ("removed team/app\n", 0))
        self.assertEqual(self.catalog(self.node), ["team/app", "team/other"])
        dry = self.ask(self.node, "gc", "--dry-run")
        did = self.ask(self.node, "gc")
        for report in (dry, did):
            self.assertEqual((report["blobs_removed"], report["bytes_freed"], report["repositories_removed"]),
                             (len(goes), self.bytes_of(goes), 1))
        self.assertEqual(self.catalog(self.node), ["team/other"])
        self.assertEqual(self.node.get("/v2/team/app/tags/list").status, 404)
        self.push("team/app", two, "v2")
        self.assertEqual(self.catalog(self.node), ["team/app", "team/other"])
        self.assert_pull(self.node, "team/app", "v2", two)

    def test_a_tag(self):
        image = self.push("team/app", images.multi_platform("a"), "v1", "v2")
        text, code = self.cli(self.node, "rm", "--dry-run", "team/app:v1")
        self.assertEqual(code, 0)
        self.assertIn("other tags lead to the same image: v2", text)
        self.assertIn("`shoal gc --untagged` would then free 0 B", text)
        self.cli(self.node, "rm", "team/app:v1")
        would = self.ask(self.node, "rm", "--dry-run", "team/app:v2")["collection"]
        blobs = image.all_blobs()
        self.assertEqual((would["manifests"], would["blobs"], would["bytes"], would["needs_untagged"]),
                         (4, len(blobs), self.bytes_of(blobs), True))
        self.cli(self.node, "rm", "team/app:v2")
        did = self.ask(self.node, "gc", "--untagged")
        self.assertEqual((did["manifests_removed"], did["blobs_removed"], did["bytes_freed"]),
                         (4, len(blobs), self.bytes_of(blobs)))

    def test_what_is_refused_in_earnest_is_refused_before(self):
        self.push("team/app", images.small_image("a"), "v1")
        digest = images.small_image("a").blobs[0].digest
        for name in ("team/app:nope", "no/such", "sha256:" + "0" * 64, digest, "a b"):
            dry, real = self.cli(self.node, "rm", "--dry-run", name), self.cli(self.node, "rm", name)
            self.assertEqual(dry, real, name)
            self.assertNotEqual(dry[1], 0)
        self.assertEqual(self.node.manifest("team/app", "v1").status, 200)

    def test_collection_after_retention(self):
        node = self.shoal({}, {"registry": {"gc_grace": "0", "retention": [
            {"repositories": ["team/**"], "keep": "latest_pushed", "count": 1}]}}, name="retaining")
        shared = images.gzip_layer(images.tar_of({"shared": images.random_bytes(9000, "shared")}))
        own = images.gzip_layer(images.tar_of({"own": images.random_bytes(8000, "own")}))
        old, new = images.image([shared, own], nonce="old"), images.image([shared], nonce="new")
        registry.push(node.address, "team/app", old, ["old"])
        registry.push(node.address, "team/app", new, ["new"])
        goes = [blob for blob in old.blobs if blob.digest != shared.digest]
        dry = self.ask(node, "gc", "--dry-run")
        self.assertEqual(dry["tags"], ["team/app:old"])
        self.assertEqual(dry["manifests"], ["team/app@" + old.digest])
        self.assertEqual((dry["blobs_removed"], dry["bytes_freed"]), (len(goes), self.bytes_of(goes)))
        text, _ = self.cli(node, "gc", "--dry-run")
        self.assertIn("would free %.1f KiB (%d bytes)" % (self.bytes_of(goes) / 1024, self.bytes_of(goes)), text)
        self.assertIn("team/app@" + old.digest, text)
        self.assert_pull(node, "team/app", "old", old)
        did = self.ask(node, "gc")
        for key in ("tags_removed", "manifests_removed", "links_removed", "blobs_removed", "bytes_freed"):
            self.assertEqual(did[key], dry[key], key)
        self.assertEqual(node.manifest("team/app", "old").status, 404)
        self.assert_pull(node, "team/app", "new", new)

    def test_what_grace_keeps_is_said(self):
        node = self.shoal({}, {"registry": {"gc_grace": "36h"}}, name="young")
        image = images.small_image("young")
        registry.push(node.address, "team/app", image, ["v1"])
        size = self.bytes_of(image.blobs)
        would = self.ask(node, "rm", "--dry-run", "team/app")["collection"]
        self.assertEqual((would["bytes"], would["grace_seconds"]), (0, 36 * 3600))
        self.assertEqual(would["kept_by_grace"], {"manifests": 0, "blobs": len(image.blobs), "bytes": size})
        text, _ = self.cli(node, "rm", "--dry-run", "team/app")
        self.assertIn("not before it is older than registry.gc_grace (36 h): 0 manifests, %d blobs" % len(image.blobs),
                      text)
        self.cli(node, "rm", "team/app")
        text, _ = self.cli(node, "gc", "--dry-run")
        self.assertIn("would free 0 B", text)
        self.assertIn("(%d bytes) more" % size, text)

    def test_immutable_tags_are_told_like_others(self):
        """`rm` is the operator's word: it takes them, and so says its dry run."""
        node = self.shoal({}, {"registry": {"immutable_tags": ["team/**"]}}, name="fixed")
        registry.push(node.address, "team/app", images.small_image("a"), ["v1"])
        self.assertEqual(self.cli(node, "rm", "--dry-run", "team/app:v1")[1], 0)
        self.assertEqual(node.manifest("team/app", "v1").status, 200)
        self.assertEqual(self.cli(node, "rm", "team/app:v1")[1], 0)

    def test_quotas_are_measured(self):
        node = self.shoal({}, {"registry": {"quotas": {"team/**": "50MiB", "ci/**": "1MiB"}}}, name="quotas")
        image = images.small_image("a")
        registry.push(node.address, "team/app", image, ["v1"])
        self.assertEqual(node.metric('shoal_quota_limit_bytes{quota="team/**"}'), 50 << 20)
        node.reload()  # measures at once
        held = self.admin(node, "/api/v1/hosted")["repositories"][0]["bytes"]
        self.assertEqual(held, self.bytes_of(image.blobs) + len(image.data))
        procs.wait_until(lambda: node.metric('shoal_quota_used_bytes{quota="team/**"}') == held, 20, "the measurement")
        self.assertEqual(node.metric('shoal_quota_used_bytes{quota="ci/**"}'), 0)


class TestMirrored(DryRunCase):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.multi_platform("app"), "v1")
        self.mirror = self.shoal(self.up)
        self.name = "docker.io/team/app"

    def pull_platform(self, architecture="amd64"):
        child = self.image.for_platform(architecture)
        self.mirror.manifest("team/app", "v1")
        self.mirror.pull("team/app", child.digest)
        for blob in child.blobs:
            self.mirror.wait_for_blob(blob.digest)
        return child

    def test_removals(self):
        child = self.pull_platform()
        size = self.bytes_of(child.blobs)
        tag = self.ask(self.mirror, "rm", "--dry-run", self.name + ":v1")
        self.assertEqual((tag["tags"], tag["bytes_freed"]), (1, 0))
        self.assertEqual((tag["cached"]["manifests"], tag["cached"]["blobs"]), (2, len(child.blobs)))
        self.assertIn("stay until eviction: 2 manifests, %d blobs" % len(child.blobs),
                      self.cli(self.mirror, "rm", "--dry-run", self.name + ":v1")[0])
        layer = child.blobs[1]
        blob = self.ask(self.mirror, "rm", "--dry-run", layer.digest)
        self.assertEqual((blob["blobs"], blob["bytes_freed"]), (1, layer.size))
        repository = self.ask(self.mirror, "rm", "--dry-run", self.name)
        self.assertEqual((repository["tags"], repository["manifests"], repository["blobs"], repository["bytes_freed"]),
                         (1, 2, len(child.blobs), size))
        self.cli(self.mirror, "pin", "--partial", layer.digest)
        repository = self.ask(self.mirror, "rm", "--dry-run", self.name)
        self.assertEqual((repository["bytes_freed"], repository["bytes_pinned"]), (size - layer.size, layer.size))
        self.assertEqual(self.cli(self.mirror, "rm", "--dry-run", layer.digest),
                         self.cli(self.mirror, "rm", layer.digest))
        before = self.admin(self.mirror, "/api/v1/status")["store"]["blob_bytes"]
        self.assertEqual(before, size)
        self.assertEqual(self.cli(self.mirror, "rm", self.name)[1], 0)
        procs.wait_until(lambda: self.admin(self.mirror, "/api/v1/status")["store"]["blob_bytes"] == layer.size, 10,
                         "the bytes that were told to be free")

    def test_pins(self):
        child = self.pull_platform()
        dry, code = self.cli(self.mirror, "pin", "--dry-run", self.name + ":v1")
        self.assertEqual(code, 1)
        self.assertIn("would pin %s: %d objects" % (self.image.digest, 2 + len(child.blobs)), dry)
        self.assertIn("INCOMPLETE", dry)
        self.assertIn("linux/arm64", dry)
        self.assertEqual(self.cli(self.mirror, "pin", "--list"), ("nothing is pinned\n", 0))
        self.assertFalse(self.admin(self.mirror, "/api/v1/blobs/" + child.blobs[0].digest)["pinned"])

        text, code = self.cli(self.mirror, "pin", self.name + ":v1")
        self.assertEqual(code, 1, "incomplete is no success")
        self.assertIn("INCOMPLETE", text)
        self.assertTrue(self.admin(self.mirror, "/api/v1/blobs/" + child.blobs[0].digest)["pinned"])
        listed, code = self.cli(self.mirror, "pin", "--list")
        self.assertEqual(code, 1)
        self.assertIn(self.name + ":v1", listed)
        self.assertIn("INCOMPLETE: 2 objects", listed)
        self.assertEqual(self.cli(self.mirror, "pin", "--partial", self.name + ":v1")[1], 0)

        for architecture in ("arm64", "s390x"):
            self.pull_platform(architecture)
        listed, code = self.cli(self.mirror, "pin", "--list")
        self.assertEqual(code, 1)
        self.assertIn("are here, but not pinned", listed)
        whole = self.ask(self.mirror, "pin", self.name + ":v1")
        self.assertEqual((whole["complete"], whole["contents"]), (True, 4 + len(self.image.all_blobs())))
        listed, code = self.cli(self.mirror, "pin", "--list")
        self.assertEqual(code, 0, listed)
        self.mirror.restart()
        pins = self.ask(self.mirror, "pin", "--list")["pins"]
        self.assertEqual([(pin["digest"], pin["name"], pin["bytes"]) for pin in pins],
                         [(self.image.digest, self.name + ":v1", whole["bytes"])])

        self.assertIn("would unpin", self.cli(self.mirror, "unpin", "--dry-run", self.image.digest)[0])
        self.assertTrue(self.admin(self.mirror, "/api/v1/blobs/" + child.blobs[0].digest)["pinned"])
        self.assertEqual(self.cli(self.mirror, "unpin", self.image.digest)[1], 0)
        self.assertEqual(self.cli(self.mirror, "pin", "--list"), ("nothing is pinned\n", 0))
        self.assertEqual(self.cli(self.mirror, "pin")[1], 2)
        self.assertEqual(self.cli(self.mirror, "pin", "--list", "x")[1], 2)

    def test_scrub(self):
        child = self.pull_platform()
        size = self.bytes_of(child.blobs)
        dry = self.ask(self.mirror, "scrub", "--dry-run", "--rate", "1KiB")
        self.assertEqual((dry["blobs"], dry["bytes"], dry["seconds"]), (len(child.blobs), size, -(-size // 1024)))
        self.assertEqual((dry["background_rate"], dry["background_seconds"]), (0, None))
        text, code = self.cli(self.mirror, "scrub", "--dry-run")
        self.assertEqual(code, 0)
        self.assertIn("would hash %d blobs" % len(child.blobs), text)
        self.assertIn("storage.scrub_rate is 0", text)
        self.assertEqual(self.mirror.metric("shoal_scrubbed_bytes_total"), 0)

        wire.request(("127.0.0.1", self.mirror.admin_port), "POST", "/api/v1/scrub?bytes=1000", {"X-Shoal": "1"})
        did = self.ask(self.mirror, "scrub")  # all of it, though a pass was under way
        self.assertEqual((did["blobs"], did["bytes"]), (dry["blobs"], dry["bytes"]))
        self.assertEqual(self.mirror.metric("shoal_scrubbed_bytes_total"), size + 1000)
        self.assertEqual(self.mirror.metric("shoal_scrub_passes_total"), 1)
        self.assertEqual(self.mirror.metric("shoal_scrub_damaged_total"), 0)

    def test_scrub_at_the_configured_rate(self):
        node = self.shoal({}, {"storage": {"scrub_rate": "2KiB"}}, name="scrubbing")
        registry.push(node.address, "team/app", images.small_image("a"), ["v1"])
        dry = self.ask(node, "scrub", "--dry-run")
        self.assertEqual((dry["background_rate"], dry["background_seconds"]), (2048, -(-dry["bytes"] // 2048)))
        self.assertGreater(dry["bytes"], 0)


if __name__ == "__main__":
    unittest.main()
