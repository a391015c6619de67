"""containerd pulls through the mirror and by the mirror's own address; see lib/battery.py."""

import unittest

from lib import battery, clients, images


class TestContainerd(battery.ClientBattery):
    client_class = clients.Containerd
    test_image_runs = None  # ctr run needs more of the machine than a pull

    def fetch_artifact(self, repository, artifact):
        self.push(repository, artifact, "v1")
        name = "docker.io/%s:v1" % repository
        self.client.fetch(name)
        self.assertEqual(self.client.digests(name), [artifact.digest])
        for blob in artifact.blobs:
            self.assertEqual("sha256:" + self.client.content(blob.digest), blob.digest)

    def test_helm_chart(self):
        self.fetch_artifact("artifacts/chart", images.helm_chart())

    def test_wasm_artifact(self):
        self.fetch_artifact("artifacts/wasm", images.wasm_artifact())


del battery  # else unittest would find the base class too

if __name__ == "__main__":
    unittest.main()
