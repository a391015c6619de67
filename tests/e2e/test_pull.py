"""shoal pull: an image through one node, or through all of a site, every byte checked."""

import json
import os

from lib import images, procs, shoal
from lib.layers import LayerCase
from lib.site import Site

MB = 1 << 20


def run(*arguments):
    return shoal.run("pull", *arguments)


class PullCase(LayerCase):
    limit = 90

    def add_image(self, size=6 * MB):
        self.layer = self.add_layer(size)
        return self.manifest

    def admin(self, node):
        return ("--admin", "127.0.0.1:%d" % node.admin_port)


class TestSite(PullCase):
    def test_all_nodes_have_the_image_and_upstream_sent_it_once(self):
        manifest = self.add_image()
        site = Site(self, self.up, 3, p2p={"trust_domain": True})
        code, out, err = run("--all-nodes", *self.admin(site[1]), "--platform", "linux/amd64", "docker.io/team/app:v1")
        self.assertEqual((code, err), (0, ""))
        lines = sorted(out.splitlines())
        self.assertEqual(len(lines), 3, out)
        for line, url in zip(lines, sorted(node.url for node in site)):
            self.assertRegex(line, r"^%s: %s, 2 blobs, 6.0 MiB in \d+\.\d s$" % (url, manifest.digest))
        for node in site:
            node.wait_for_blob(self.layer.digest)
        self.assertEqual(self.gets(self.layer), 1)

    def test_a_node_that_fails_is_named_and_the_others_go_on(self):
        self.add_image()
        site = Site(self, self.up, 3, p2p={"trust_domain": True})
        dead = site[2].url
        site[2].kill()  # the others take a few seconds to notice
        code, out, err = run("--all-nodes", *self.admin(site[0]), "--json", "docker.io/team/app:v1")
        self.assertEqual(code, 1)
        nodes = {node["url"]: node for node in json.loads(out)["nodes"]}
        self.assertEqual({url for url, node in nodes.items() if node["ok"]}, {site[0].url, site[1].url})
        self.assertIn("connect", nodes[dead]["error"])
        self.assertIn("1 of 3 nodes failed", err)
        for node in site.nodes[:2]:
            self.assertEqual(nodes[node.url]["bytes"], nodes[site[0].url]["bytes"])
            node.wait_for_blob(self.layer.digest)

    def test_without_a_site_there_are_no_other_nodes(self):
        node = self.shoal(self.up)
        code, out, err = run("--all-nodes", *self.admin(node), "docker.io/team/app:v1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("p2p.enabled", err)


class TestNode(PullCase):
    def test_one_node_is_asked_where_it_serves(self):
        self.add_image()
        node = self.shoal(self.up)
        code, out, _ = run(*self.admin(node), "docker.io/team/app:v1")
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith(node.url + ": "), out)
        node.wait_for_blob(self.layer.digest)

    def test_of_an_index_the_platform_is_taken_that_was_asked_for(self):
        index = self.up.add("team/multi", images.multi_platform(), "v1")
        arm = next(child for child in index.children if child.platform["architecture"] == "arm64")
        node = self.shoal(self.up)
        pull = lambda platform: run("--node", node.url, "--json", "--platform", platform, "docker.io/team/multi:v1")
        code, out, _ = pull("linux/arm64")
        self.assertEqual((code, json.loads(out)["nodes"][0]["blobs"]), (0, len(arm.blobs)))
        self.assertEqual(json.loads(out)["nodes"][0]["digest"], index.digest)
        code, out, _ = pull("linux/riscv64")
        self.assertEqual(code, 1)
        for there in ("linux/riscv64", "linux/arm64", "linux/amd64", "linux/s390x"):
            self.assertIn(there, json.loads(out)["nodes"][0]["error"])
        code, out, _ = pull("all")
        self.assertEqual((code, json.loads(out)["nodes"][0]["blobs"]),
                         (0, len({blob.digest for child in index.children for blob in child.blobs})))

    def test_what_does_not_match_its_digest_is_no_success(self):
        manifest = self.add_image(MB)
        # The fake registry itself plays a node that sends wrong bytes.
        self.up.fault(path="/blobs/" + self.layer.digest, flip_at=1000)
        code, out, err = run("--node", self.up.url, "team/app:v1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn(self.layer.digest, err)
        self.assertIn("do not match", err)
        self.up.heal()
        self.up.fault(path="/manifests/", flip_at=20)
        code, out, err = run("--node", self.up.url, "team/app@" + manifest.digest)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("what came is", err)

    def test_nodes_that_show_different_images_under_a_tag_are_told_of(self):
        self.add_image(MB)
        other = self.upstream()
        other.add("team/app", images.small_image("another"), "v1")
        code, _, err = run("--node", self.up.url, "--node", other.url, "team/app:v1")
        self.assertEqual(code, 1)
        self.assertIn("2 different images", err)

    def test_what_the_node_only_passes_on_is_no_success(self):
        self.add_image()
        node = self.shoal(self.up, {"storage": {"max_size": "4MiB"}})
        code, out, err = run(*self.admin(node), "docker.io/team/app:v1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("1 of 2 blobs were not kept", err)

    def test_an_absent_image_is_told_in_the_nodes_words(self):
        node = self.shoal(self.up)
        code, out, err = run(*self.admin(node), "docker.io/team/nothing:v1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("manifest v1: ", err)
        self.assertIn(node.url, err)

    def test_wrong_use_is_exit_code_2(self):
        for arguments in (["UPPER/case"], [], ["--all-nodes", "--node", "http://127.0.0.1:1", "a:b"],
                          ["--user", "ann", "a:b"]):
            code, out, err = run(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertTrue(err)

    def test_a_password_comes_from_its_file_and_is_not_shown(self):
        self.add_image(MB)
        hashed = procs.run(["sh", "-c", "echo 'the password' | '%s' hash-password --cost 4 ann" % shoal.binary()])
        for name, text in (("htpasswd", hashed), ("right", "the password\n"), ("wrong", "another\n")):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text)
            os.chmod(f.name, 0o600)
        node = self.shoal(self.up, {"auth": {"htpasswd": os.path.join(self.dir, "htpasswd")}})
        log_in = lambda name: run("--node", node.url, "--user", "ann", "--password-file",
                                  os.path.join(self.dir, name), "docker.io/team/app:v1")
        self.assertEqual(run("--node", node.url, "docker.io/team/app:v1")[0], 1)
        self.assertEqual(log_in("wrong")[0], 1)
        code, out, err = log_in("right")
        self.assertEqual((code, err), (0, ""))
        self.assertNotIn("the password", out + node.stderr())
        self.assertEqual(log_in("no such file")[0], 1)


class TestTerminal(PullCase):
    def test_each_node_has_a_bar_that_grows(self):
        self.add_image(4 * MB)
        self.up.fault(path="/blobs/" + self.layer.digest, rate=2 * MB)
        node = self.shoal(self.up)
        code, out, shown = shoal.run_on_terminal("pull", "--node", node.url, "docker.io/team/app:v1")
        self.assertEqual(code, 0)
        self.assertIn("4.0 MiB in ", out)
        bars = [text for text in shown.split("\n") if "[" in text and "% " in text]
        self.assertGreater(len(bars), 2, shown)
        self.assertIn(node.url, bars[0])
        self.assertIn("of 4.0 MiB", bars[-1])
        self.assertLess(bars[1].count("#"), bars[-1].count("#"))


if __name__ == "__main__":
    import unittest
    unittest.main()
