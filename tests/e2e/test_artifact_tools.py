"""oras and helm against a hosted node: push, pull, attach, discover, copy, delete; and through a mirror of it."""

import json
import os
import unittest

from lib import case, gotools, images, procs, registry, tls
from test_login import ANN, hash_password

TOOLS = {}


def setUpModule():
    TOOLS.update(gotools.need("oras", "helm"))


class ToolCase(case.Case):
    limit = 120

    def setUp(self):
        super().setUp()
        self.node = self.shoal({}, {"hosted": ["**"]})
        self.host = "127.0.0.1:%d" % self.node.port
        self.oras = gotools.Tool(TOOLS["oras"], self.dir)
        self.helm = gotools.Tool(TOOLS["helm"], self.dir)

    def mirror_of(self, node, name="mirror"):
        mirror = self.shoal(node, name=name)
        return mirror, "127.0.0.1:%d" % mirror.port


class TestOras(ToolCase):
    def push(self, *more, name="team/artifact:v1", content=b"hello\n"):
        self.oras.write("hello.txt", content)
        out = self.oras("push", "--plain-http", "--format", "json", "--artifact-type", "application/vnd.test", *more,
                        self.host + "/" + name, "hello.txt:text/plain")
        return json.loads(out)["digest"]

    def attach(self, kind, content, *more, name="team/artifact:v1", host=None):
        self.oras.write("attached.txt", content)
        out = self.oras("attach", "--plain-http", "--format", "json", "--artifact-type", kind, *more,
                        (host or self.host) + "/" + name, "attached.txt:text/plain")
        return json.loads(out)["digest"]

    def discover(self, host, name="team/artifact:v1", *more):
        out = json.loads(self.oras("discover", "--plain-http", "--format", "json", *more, host + "/" + name))
        found = out.get("referrers", out.get("manifests"))
        return {each["digest"]: each["artifactType"] for each in found or []}

    def pull(self, host, name="team/artifact:v1"):
        target = os.path.join(self.dir, "pulled-" + host.replace(":", "-"))
        self.oras("pull", "--plain-http", "-o", target, host + "/" + name)
        with open(os.path.join(target, "hello.txt"), "rb") as f:
            return f.read()

    def test_push_pull_tag_and_large_files(self):
        data = images.random_bytes(12 << 20)
        digest = self.push(content=data)
        self.assertEqual(self.pull(self.host), data)
        self.oras("tag", "--plain-http", self.host + "/team/artifact:v1", "v2", "v3")
        tags = self.oras("repo", "tags", "--plain-http", self.host + "/team/artifact").split()
        self.assertEqual(tags, ["v1", "v2", "v3"])
        self.assertEqual(self.oras("resolve", "--plain-http", self.host + "/team/artifact:v3").strip(), digest)
        self.assertIn("team/artifact", self.oras("repo", "ls", "--plain-http", self.host).split())

    def test_attach_and_discover(self):
        self.push()
        found = {self.attach("test/sbom", b"sbom"): "test/sbom", self.attach("test/sig", b"signature"): "test/sig"}
        self.assertEqual(self.discover(self.host), found)
        some = self.discover(self.host, "team/artifact:v1", "--artifact-type", "test/sig")
        self.assertEqual(list(some.values()), ["test/sig"])
        mirror, host = self.mirror_of(self.node)
        self.assertEqual(self.discover(host), found)
        self.assertEqual(self.pull(host), b"hello\n")

    def test_what_was_attached_under_the_fallback_tag_is_discovered(self):
        subject = self.push()
        attached = self.attach("test/sbom", b"sbom", "--distribution-spec", "v1.1-referrers-tag")
        self.assertIn(subject.replace(":", "-"),
                      self.oras("repo", "tags", "--plain-http", self.host + "/team/artifact"))
        self.assertEqual(self.discover(self.host), {attached: "test/sbom"})

    def test_copy_takes_what_is_attached_along(self):
        subject = self.push()
        sbom = self.attach("test/sbom", b"sbom")
        signature = self.attach("test/sig", b"of the sbom", name="team/artifact@" + sbom)
        mirror, host = self.mirror_of(self.node)
        other = self.shoal({}, {"hosted": ["**"]}, name="other")
        target = "127.0.0.1:%d" % other.port
        self.oras("cp", "-r", "--from-plain-http", "--to-plain-http", host + "/team/artifact:v1",
                  target + "/copied/artifact:v1")
        self.assertEqual(self.discover(target, "copied/artifact@" + subject, "--depth", "1"), {sbom: "test/sbom"})
        self.assertEqual(self.discover(target, "copied/artifact@" + sbom), {signature: "test/sig"})
        self.assertEqual(self.pull(target, "copied/artifact:v1"), b"hello\n")

    def test_mirror_of_a_registry_without_the_api(self):
        old = registry.Registry(self.dir)
        self.addCleanup(old.stop)
        self.host = old.host
        subject = self.push()
        attached = self.attach("test/sbom", b"sbom")  # oras finds out, and keeps the fallback tag
        mirror, host = self.mirror_of(old)
        self.assertEqual(self.discover(host, "team/artifact@" + subject), {attached: "test/sbom"})
        digest = self.push(name="team/other:v1", content=b"nothing attached")
        self.assertEqual(self.discover(host, "team/other@" + digest), {})

    def test_delete(self):
        self.push()
        sbom = self.attach("test/sbom", b"sbom")
        self.oras("manifest", "delete", "--plain-http", "--force", self.host + "/team/artifact@" + sbom)
        self.assertEqual(self.discover(self.host), {})
        self.oras("manifest", "delete", "--plain-http", "--force", self.host + "/team/artifact:v1")
        with self.assertRaises(procs.ToolFailed) as failed:
            self.oras("manifest", "fetch", "--plain-http", self.host + "/team/artifact:v1")
        self.assertIn("not found", failed.exception.output)

    def test_blobs(self):
        path = self.oras.write("blob", b"a blob alone")
        digest = images.digest_of(b"a blob alone")
        self.oras("blob", "push", "--plain-http", self.host + "/team/blobs@" + digest, path)
        self.assertEqual(self.oras("blob", "fetch", "--plain-http", "--output", "-",
                                   self.host + "/team/blobs@" + digest), "a blob alone")
        self.oras("blob", "delete", "--plain-http", "--force", self.host + "/team/blobs@" + digest)


class TestHelm(ToolCase):
    def package(self, name="demo", version="0.1.0", dependency=""):
        self.helm.write(name + "/Chart.yaml", "apiVersion: v2\nname: %s\nversion: %s\ndescription: a test\n%s"
                        % (name, version, dependency))
        self.helm.write(name + "/templates/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: "
                        "{{ .Release.Name }}-map\ndata:\n  greeting: {{ .Values.greeting | quote }}\n")
        self.helm.write(name + "/values.yaml", "greeting: hello\n")
        self.helm("package", name)
        return "%s-%s.tgz" % (name, version)

    def test_push_pull_and_template(self):
        package = self.package()
        self.helm("push", "--plain-http", package, "oci://%s/charts" % self.host)
        pushed = self.helm.read(package)
        mirror, host = self.mirror_of(self.node)
        for each in (self.host, host):
            os.remove(os.path.join(self.helm.dir, package))
            self.helm("pull", "--plain-http", "oci://%s/charts/demo" % each, "--version", "0.1.0")
            self.assertEqual(self.helm.read(package), pushed)
            out = self.helm("template", "release", "--plain-http", "oci://%s/charts/demo" % each, "--version", "0.1.0",
                            "--set", "greeting=hi")
            self.assertIn("name: release-map", out)
            self.assertIn('greeting: "hi"', out)
            self.assertIn("a test", self.helm("show", "chart", "--plain-http", "oci://%s/charts/demo" % each))

    def test_newest_version_is_found_among_the_tags(self):
        for version in ("0.9.0", "0.10.0", "0.2.0", "1.0.0-rc.1"):
            self.helm("push", "--plain-http", self.package(version=version), "oci://%s/charts" % self.host)
        self.assertIn("version: 0.10.0", self.helm("show", "chart", "--plain-http", "oci://%s/charts/demo" % self.host))
        self.assertIn("version: 0.2.0", self.helm("show", "chart", "--plain-http", "oci://%s/charts/demo" % self.host,
                                                  "--version", "~0.2"))

    def test_unknown_chart_is_not_found(self):
        with self.assertRaises(procs.ToolFailed) as failed:
            self.helm("pull", "--plain-http", "oci://%s/charts/none" % self.host, "--version", "1.0.0")
        self.assertIn("not found", failed.exception.output)


class TestLogin(case.Case):
    """Over TLS, with a password."""
    limit = 120

    def setUp(self):
        super().setUp()
        self.ca = tls.PrivateCa(self.dir)
        certificate, key = self.ca.issue()
        passwords = os.path.join(self.dir, "htpasswd")
        with open(passwords, "w") as f:
            f.write(hash_password(*ANN))
        os.chmod(passwords, 0o600)
        self.node = self.shoal({}, {"hosted": ["**"], "auth": {"htpasswd": passwords}, "server": {
            "plain_listen": ["127.0.0.1:0"], "tls": {"cert": certificate, "key": key}}}, port_index=1)
        self.host = "127.0.0.1:%d" % self.node.ports[0]

    def test_oras(self):
        oras = gotools.Tool(TOOLS["oras"], self.dir)
        oras.write("hello.txt", "hello")
        with self.assertRaises(procs.ToolFailed):
            oras("push", "--ca-file", self.ca.ca_file, self.host + "/team/a:1", "hello.txt")
        oras("login", "--ca-file", self.ca.ca_file, "-u", ANN[0], "-p", ANN[1], self.host)
        oras("push", "--ca-file", self.ca.ca_file, self.host + "/team/a:1", "hello.txt")
        oras("pull", "--ca-file", self.ca.ca_file, "-o", os.path.join(self.dir, "out"), self.host + "/team/a:1")

    def test_helm(self):
        helm = gotools.Tool(TOOLS["helm"], self.dir)
        helm.write("demo/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 0.1.0\n")
        helm("package", "demo")
        with self.assertRaises(procs.ToolFailed):
            helm("registry", "login", "--ca-file", self.ca.ca_file, "-u", ANN[0], "-p", "wrong", self.host)
        helm("registry", "login", "--ca-file", self.ca.ca_file, "-u", ANN[0], "-p", ANN[1], self.host)
        helm("push", "--ca-file", self.ca.ca_file, "demo-0.1.0.tgz", "oci://%s/charts" % self.host)
        self.assertIn("name: demo", helm("show", "chart", "--ca-file", self.ca.ca_file,
                                         "oci://%s/charts/demo" % self.host))


if __name__ == "__main__":
    unittest.main()
