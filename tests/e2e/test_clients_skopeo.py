"""skopeo pulls through the mirror and by the mirror's own address; see lib/battery.py."""

import unittest

from lib import battery, clients, images


class TestSkopeo(battery.ClientBattery):
    client_class = clients.Skopeo
    test_children_of_other_platforms_are_not_fetched = None  # --all: skopeo copies every platform
    test_image_runs = None  # skopeo runs nothing

    def copy_artifact(self, repository, artifact):
        self.push(repository, artifact, "v1")
        self.pull_and_compare("docker.io/%s:v1" % repository, artifact)
        self.assertLessEqual({blob.digest for blob in artifact.blobs}, self.client.files("docker.io/%s:v1" % repository))

    def test_helm_chart(self):
        self.copy_artifact("artifacts/chart", images.helm_chart())

    def test_wasm_artifact(self):
        self.copy_artifact("artifacts/wasm", images.wasm_artifact())

    def test_index_with_all_platforms_is_copied_bit_by_bit(self):
        manifest = self.push("all/platforms", images.multi_platform("all-platforms"), "v1")
        self.client.pull("docker.io/all/platforms:v1")
        wanted = {each.digest for each in manifest.all_manifests() + manifest.all_blobs()}
        self.assertLessEqual(wanted, self.client.files("docker.io/all/platforms:v1"))


del battery  # else unittest would find the base class too

if __name__ == "__main__":
    unittest.main()
