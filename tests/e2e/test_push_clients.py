"""Real clients push, and what another pulls has the same digests."""

import unittest

from lib import case, clients, images


class TestPushClients(case.Case):
    limit = 180

    def setUp(self):
        super().setUp()
        self.node = self.shoal({}, {"hosted": ["**"]})
        self.host = "%s:%d" % self.node.address
        self.skopeo = clients.Skopeo(self.dir, self.host)
        self.addCleanup(self.skopeo.stop)

    def copy(self, *arguments):
        self.skopeo._call("--registries-conf", self.skopeo.dir + "/registries.conf", "--policy",
                          self.skopeo.dir + "/policy.json", "copy", "-q", *arguments)

    def tool(self, kind):
        tool = kind(self.dir, self.host)
        self.addCleanup(tool.stop)
        return tool

    def digest(self, name):
        answer = self.node.get("/v2/" + name.replace(":", "/manifests/"))
        self.assertEqual(answer.status, 200)
        return answer.digest

    def source(self, name, manifest):
        """An image in a fake upstream; returns its address."""
        up = self.upstream()
        up.add(name, manifest, "v1")
        return up.url.split("//")[1] + "/" + name + ":v1"

    def test_skopeo_copies_every_way_and_keeps_digests(self):
        image = images.multi_platform("pushed")
        source = self.source("lib/multi", image)
        here = "docker://%s/team/multi" % self.host
        plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        self.copy(*plain, "--all", "--preserve-digests", "docker://" + source, here + ":v1")
        self.assertEqual(self.digest("team/multi:v1"), image.digest)
        self.copy("--src-tls-verify=false", "--all", "--preserve-digests", here + ":v1", "dir:" + self.dir + "/out")
        self.copy("--dest-tls-verify=false", "--all", "--preserve-digests", "dir:" + self.dir + "/out", here + ":v2")
        self.assertEqual(self.digest("team/multi:v2"), image.digest)
        self.copy("--src-tls-verify=false", "--all", "--preserve-digests", here + ":v2",
                  "oci:" + self.dir + "/layout:x")
        self.copy(*plain, "--all", "oci:" + self.dir + "/layout:x", "docker://%s/team/other:v3" % self.host)
        self.assertEqual(self.digest("team/other:v3"), image.digest)

    def test_podman_and_buildah_push_what_they_pulled(self):
        image = images.small_image("pp", docker=False)
        source = self.source("lib/small", image)
        self.copy("--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests", "docker://" + source,
                  "docker://%s/team/small:v1" % self.host)
        for kind in (clients.Podman, clients.Buildah):
            with self.subTest(kind.name):
                tool = self.tool(kind)
                name = "%s/team/small:v1" % self.host
                tool.pull(name)
                pushed = "team/%s:v2" % kind.name
                tool._call("push", "-q", "--tls-verify=false", "--signature-policy", tool.dir + "/policy.json", name,
                           "docker://%s/%s" % (self.host, pushed))
                fresh = "%s/%s" % (self.host, pushed)
                tool.pull(fresh)
                self.assertIn(self.digest(pushed), tool.digests(fresh))

    def test_buildah_pushes_a_manifest_list(self):
        image = images.multi_platform("list")
        source = self.source("lib/list", image)
        self.copy("--src-tls-verify=false", "--dest-tls-verify=false", "--all", "docker://" + source,
                  "docker://%s/team/list:v1" % self.host)
        buildah = self.tool(clients.Buildah)
        buildah._call("manifest", "create", "shoal-list")
        buildah._call("manifest", "add", "--all", "--tls-verify=false", "shoal-list",
                      "docker://%s/team/list:v1" % self.host)
        buildah._call("manifest", "push", "--all", "--tls-verify=false", "--signature-policy",
                      buildah.dir + "/policy.json", "shoal-list", "docker://%s/team/made:v1" % self.host)
        made = self.node.get("/v2/team/made/manifests/v1")
        self.assertEqual(made.status, 200)
        self.assertEqual(len(made.json()["manifests"]), len(image.children))

    def test_docker_pushes_and_pulls(self):
        image = images.busybox_image("pushed by docker")
        source = self.source("lib/busybox", image)
        self.copy("--src-tls-verify=false", "--dest-tls-verify=false", "docker://" + source,
                  "docker://%s/team/busybox:v1" % self.host)
        docker = self.tool(clients.Docker)
        name = "%s/team/busybox" % self.host
        docker.pull(name + ":v1")
        for pushed in (name + ":v2", "%s/elsewhere/busybox:v1" % self.host):  # the second mounts its layers
            docker._docker("tag", name + ":v1", pushed)
            docker._docker("push", "-q", pushed)
            docker.remove(pushed)
            docker.pull(pushed)
            self.assertIn(self.digest(pushed.split("/", 1)[1]), docker.digests(pushed))


if __name__ == "__main__":
    unittest.main()
