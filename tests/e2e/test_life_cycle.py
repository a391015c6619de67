"""What an operator does with hosted repositories: list, remove, pin, collect garbage; while pushes go on."""

import json
import os
import threading
import unittest

from lib import case, images, procs, registry, wire


class LifeCycle(case.Case):
    def setUp(self):
        super().setUp()
        # No grace: what is garbage goes at once.
        self.node = self.shoal({}, {"registry": {"gc_grace": "0"}})

    def push(self, repository, manifest, *tags):
        registry.push(self.node.address, repository, manifest, tags)
        return manifest

    def cli(self, *arguments, **more):
        return self.node.cli(*arguments, "--admin", "127.0.0.1:%d" % self.node.admin_port, **more)

    def admin(self, method, path):
        return wire.request(("127.0.0.1", self.node.admin_port), method, path, {"X-Shoal": "1"})

    def gc(self, *arguments):
        return json.loads(self.cli("gc", "--json", *arguments))

    def test_lists_what_is_hosted(self):
        self.push("team/app", images.small_image("a"), "v1", "v2")
        self.push("tool", images.small_image("b"), "latest")
        self.assertEqual(self.cli("list").splitlines(),
                         ["team/app:v1  (hosted)", "team/app:v2  (hosted)", "tool:latest  (hosted)"])
        self.assertIn("team/app:v1", self.cli("list", "team/app"))
        hosted = self.admin("GET", "/api/v1/hosted").json()["repositories"]
        self.assertEqual([(each["name"], each["tags"], each["manifests"]) for each in hosted],
                         [("team/app", 2, 1), ("tool", 1, 1)])
        self.assertIn(images.small_image("a").digest, self.cli("show", "team/app:v1"))

    def test_a_removed_repository_is_freed_by_garbage_collection(self):
        gone = self.push("team/app", images.multi_platform("gone"), "v1")
        stays = self.push("team/other", images.small_image("stays"), "v1")
        self.cli("rm", "team/app")
        self.assertEqual(self.node.manifest("team/app", "v1").status, 404)
        self.assertEqual(self.node.manifest("team/app", gone.digest).status, 404)
        would = self.gc("--dry-run")
        self.assertEqual(would["dry_run"], True)
        self.assertEqual(would["blobs_removed"], len(gone.all_blobs()), would)
        self.assertTrue(self.node.has_blob(gone.all_blobs()[0].digest))
        did = self.gc()
        self.assertEqual(did["blobs_removed"], would["blobs_removed"])
        self.assertEqual(did["bytes_freed"], would["bytes_freed"])
        for blob in gone.all_blobs():
            self.assertFalse(self.node.has_blob(blob.digest))
        self.assert_pull(self.node, "team/other", "v1", stays)
        self.assertEqual(self.gc()["blobs_removed"], 0)
        self.assertGreaterEqual(self.node.metric("shoal_gc_freed_bytes_total"), did["bytes_freed"])
        self.assertIn("garbage collected in", self.node.stderr())

    def test_an_untagged_manifest_goes_only_when_asked(self):
        old = self.push("team/app", images.small_image("old"), "v1")
        new = self.push("team/app", images.small_image("new"), "v1")
        self.assertEqual(self.gc()["manifests_removed"], 0)
        self.assertEqual(self.node.manifest("team/app", old.digest).status, 200)
        text = self.cli("gc", "--untagged")
        self.assertIn("removed 1 manifests", text)
        self.assertEqual(self.node.manifest("team/app", old.digest).status, 404)
        self.assert_pull(self.node, "team/app", "v1", new)

    def test_a_removed_tag_goes_alone(self):
        image = self.push("team/app", images.small_image("a"), "v1", "v2")
        self.cli("rm", "team/app:v1")
        self.assertEqual(self.node.manifest("team/app", "v1").status, 404)
        self.assert_pull(self.node, "team/app", "v2", image)
        with self.assertRaises(procs.ToolFailed) as refused:
            self.cli("rm", "team/app:v1")
        self.assertEqual(refused.exception.code, 1)

    def test_pins(self):
        up = self.upstream()
        image = up.add("team/app", images.small_image("pinned"), "v1")
        mirror = self.shoal(up, name="mirror")
        mirror.pull("team/app", "v1")
        for blob in image.blobs:
            mirror.wait_for_blob(blob.digest)
        admin = ["--admin", "127.0.0.1:%d" % mirror.admin_port]
        text = mirror.cli("pin", "docker.io/team/app:v1", *admin)
        self.assertIn("pinned %s: %d objects" % (image.digest, 1 + len(image.blobs)), text)

        def pinned():
            return [wire.get(("127.0.0.1", mirror.admin_port), "/api/v1/blobs/" + blob.digest).json()["pinned"]
                    for blob in image.blobs]

        self.assertEqual(set(pinned()), {True})
        with self.assertRaises(procs.ToolFailed):
            mirror.cli("rm", image.blobs[0].digest, *admin)
        mirror.cli("unpin", image.digest, *admin)
        self.assertEqual(set(pinned()), {False})
        mirror.cli("rm", image.blobs[0].digest, *admin)

    def test_scrub_finds_damage(self):
        image = self.push("team/app", images.small_image("scrubbed"), "v1")
        self.assertIn("no damage", self.cli("scrub"))
        victim = image.layers()[0]
        path = self.node.blob_file(victim.digest)
        with open(path, "rb") as f:
            data = f.read()
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            f.write(bytes([data[0] ^ 1]))
        with self.assertRaises(procs.ToolFailed) as found:
            self.cli("scrub", "--rate", "10MiB")
        self.assertEqual(found.exception.code, 1)
        self.assertIn(victim.digest, found.exception.output)
        self.assertNotEqual(self.node.blob("team/app", victim.digest).status, 200)
        self.assertIn("no damage", self.cli("scrub"))

    def test_wrong_use_is_told(self):
        for arguments in (("pin", "UPPER/case"), ("rm", "a b"), ("hash-password", "a:b")):
            with self.assertRaises(procs.ToolFailed) as refused:
                self.cli(*arguments) if arguments[0] != "hash-password" else self.node.cli(*arguments)
            self.assertEqual(refused.exception.code, 2, arguments)
        for command in ("gc", "pin", "unpin", "scrub", "hash-password"):
            self.assertIn("Example:", self.node.cli(command, "--help"))


class TestGarbageBesidePushes(case.Case):
    def test_pushes_lose_nothing_while_garbage_is_collected(self):
        node = self.shoal({})  # with its default grace
        failures, pushed = [], []

        def push(worker):
            for i in range(6):
                manifest = images.small_image("shared", layers=1) if i % 2 else images.small_image("%d.%d" % (worker, i))
                try:
                    registry.push(node.address, "team/w%d" % worker, manifest, ["v%d" % i])
                    pushed.append(("team/w%d" % worker, "v%d" % i, manifest))
                except Exception as error:  # told below, by the test's own thread
                    failures.append(repr(error))

        workers = [threading.Thread(target=push, args=(i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            node.cli("gc", "--untagged", "--admin", "127.0.0.1:%d" % node.admin_port)
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])
        for repository, tag, manifest in pushed:
            self.assert_pull(node, repository, tag, manifest)


if __name__ == "__main__":
    unittest.main()
