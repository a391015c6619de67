"""Base of tests whose images have one layer each."""

import time

from . import case, images


class LayerCase(case.Case):
    upstream_options = {}

    def setUp(self):
        super().setUp()
        self.up = self.upstream(**self.upstream_options)

    def add_layer(self, size, repository="team/app"):
        """In an image self.manifest, tagged v1; of further images in the repository: v2, v3, ..."""
        layer = images.random_layer(size)
        layer.tag = "v%d" % (1 + len(self.up.tags.get(repository, ())))
        self.manifest = self.up.add(repository, images.image([layer]), layer.tag)
        return layer

    def path(self, blob, repository="team/app"):
        return "/v2/%s/blobs/%s" % (repository, blob.digest)

    def gets(self, blob):
        return self.up.count("GET", "/blobs/" + blob.digest)

    def know(self, nodes, *layers):
        """A layer's size is known from its manifest."""
        for node in nodes:
            for layer in layers:
                self.assertEqual(node.manifest("team/app", layer.tag).status, 200)

    def timed(self, node, blob):
        """Seconds of a pull."""
        began = time.monotonic()
        self.assert_sound_blob(node.get(self.path(blob), timeout=90), blob)
        return time.monotonic() - began

    def hold(self, node, blob):
        self.assert_sound_blob(node.get(self.path(blob), timeout=60), blob)
        node.wait_for_blob(blob.digest)
        time.sleep(1.5)  # the trackers have heard of it
