"""cosign against a hosted node and through mirrors: signatures and attestations, as bundles among the referrers and
under cosign's own tags. cosign takes long to build: without a built one this is skipped unless SHOAL_E2E_COSIGN=1."""

import json
import os
import unittest

from lib import case, clients, gotools, images, procs, registry

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
TOOLS = {}


def setUpModule():
    if not os.environ.get("SHOAL_E2E_COSIGN") and not gotools.built("cosign"):
        gotools.skip("cosign is not built here, which takes minutes: SHOAL_E2E_COSIGN=1 does it")
    TOOLS.update(gotools.need("cosign"))


class CosignCase(case.Case):
    limit = 150

    def setUp(self):
        super().setUp()
        self.cosign = gotools.Tool(TOOLS["cosign"], self.dir)
        self.cosign.env["COSIGN_PASSWORD"] = ""
        self.cosign("generate-key-pair")
        self.image = images.small_image("signed")

    def hosted(self, name="shoal"):
        return self.shoal({}, {"hosted": ["**"]}, name=name)

    def push(self, node):
        registry.push(node.address, "team/app", self.image, ["v1"])
        return self.reference(node)

    def reference(self, node, repository="team/app"):
        return "127.0.0.1:%d/%s@%s" % (node.port, repository, self.image.digest)

    def sign(self, reference, *more, command="sign"):
        self.cosign(command, "--key", "cosign.key", "--use-signing-config=false", "--tlog-upload=false",
                    "--allow-http-registry", "--yes", *more, reference)

    def verify(self, reference, *more, command="verify"):
        return self.cosign(command, "--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-http-registry", *more,
                           reference)

    def assert_unsigned(self, reference, *more):
        with self.assertRaises(procs.ToolFailed) as failed:
            self.verify(reference, *more)
        self.assertRegex(failed.exception.output, "no (matching )?signatures|no matching attestations")

    def referrers(self, node):
        answer = node.get("/v2/team/app/referrers/" + self.image.digest)
        self.assertEqual(answer.status, 200)
        return [each.get("artifactType") for each in answer.json()["manifests"]]

    def attest(self, reference, *more):
        self.cosign.write("predicate.json", json.dumps({"built": "here"}))
        self.sign(reference, "--predicate", "predicate.json", "--type", "https://test/predicate", *more,
                  command="attest")

    def verify_attestation(self, reference, *more):
        return self.verify(reference, "--type", "https://test/predicate", *more, command="verify-attestation")


class TestBundles(CosignCase):
    """What cosign 3 makes: bundles that name the image as their subject."""

    def test_sign_attest_and_verify_also_through_a_mirror(self):
        node = self.hosted()
        reference = self.push(node)
        mirror = self.shoal(node, name="mirror")
        self.assert_unsigned(self.reference(mirror))
        self.sign(reference)
        self.attest(reference)
        self.assertEqual(self.referrers(node), [BUNDLE, BUNDLE])
        for each in (reference, self.reference(mirror)):
            self.assertIn(self.image.digest, self.verify(each))
            self.verify_attestation(each)
            tree = self.cosign("tree", "--allow-http-registry", each)
            self.assertIn("cosign/sign/v1 artifacts via OCI referrer", tree)
        self.cosign("generate-key-pair", "--output-key-prefix", "other")
        with self.assertRaises(procs.ToolFailed):
            self.cosign("verify", "--key", "other.pub", "--insecure-ignore-tlog", "--allow-http-registry", reference)

    def test_upstream_without_the_api(self):
        old = registry.Registry(self.dir)
        self.addCleanup(old.stop)
        old.push("team/app", self.image, "v1")
        reference = "%s/team/app@%s" % (old.host, self.image.digest)
        self.sign(reference)
        mirror = self.shoal(old, name="mirror")
        self.assertIn(BUNDLE, self.referrers(mirror))
        self.assertIn(self.image.digest, self.verify(self.reference(mirror)))


class TestTags(CosignCase):
    """What cosign made before: tags named after the image."""
    old = "--new-bundle-format=false"

    def test_sign_attest_and_verify_also_through_a_mirror(self):
        node = self.hosted()
        reference = self.push(node)
        self.sign(reference, self.old)
        self.attest(reference, self.old)
        mirror = self.shoal(node, name="mirror")
        for each in (reference, self.reference(mirror)):
            self.assertIn(self.image.digest, self.verify(each, self.old))
            self.verify_attestation(each, self.old)
            self.assertIn(".sig", self.cosign("tree", "--allow-http-registry", each))

    def test_tags_of_an_upstream_without_the_api_are_referrers(self):
        old = registry.Registry(self.dir)
        self.addCleanup(old.stop)
        old.push("team/app", self.image, "v1")
        reference = "%s/team/app@%s" % (old.host, self.image.digest)
        self.sign(reference, self.old)
        self.attest(reference, self.old)
        mirror = self.shoal(old, name="mirror")
        self.assertIn(self.image.digest, self.verify(self.reference(mirror), self.old))
        self.assertEqual(self.referrers(mirror), [images.OCI_CONFIG] * 2)

    def test_skopeo_copies_signatures_through_a_mirror(self):
        node = self.hosted()
        self.sign(self.push(node), self.old)
        mirror, other = self.shoal(node, name="mirror"), self.hosted("other")
        skopeo = clients.Skopeo(self.dir)
        self.addCleanup(skopeo.stop)
        registries = os.path.join(self.dir, "registries.d")
        os.makedirs(registries)
        with open(os.path.join(registries, "default.yaml"), "w") as f:
            f.write("default-docker:\n  use-sigstore-attachments: true\n")
        skopeo._call("--registries.d", registries, "--policy", skopeo.dir + "/policy.json", "copy", "-q", "--all",
                     "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests",
                     "docker://127.0.0.1:%d/team/app:v1" % mirror.port,
                     "docker://127.0.0.1:%d/copied/app:v1" % other.port)
        self.assertIn(self.image.digest, self.verify(self.reference(other, "copied/app"), self.old))


if __name__ == "__main__":
    unittest.main()
