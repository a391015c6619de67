"""Manners and hardship: rates by the time of the week, and nodes of a site that run out of room."""

import ctypes
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from lib import images, procs, shoal
from lib.layers import LayerCase
from lib.site import Site

MB = 1 << 20
ALWAYS = "daily 00:00-24:00 "


def setUpModule():
    """Mounts made here are seen by this process and its children only, and go with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare: these tests need root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class LimitCase(LayerCase):
    limit = 120

    def held_by_first(self, layer, **keys):
        """A site of two; the first node holds the layer, and the second has heard of it."""
        site = Site(self, self.up, 2, trackers=1, p2p={"trust_domain": True, **keys})
        self.know(site, layer)
        self.hold(site[0], layer)
        return site


class TestRates(LimitCase):
    def test_all_fetches_from_upstream_together_keep_to_its_rate_until_a_reload(self):
        layers = [self.add_layer(MB + n) for n in range(3)]
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "max_rate": "10MiB",
                                           "windows": [ALWAYS + "max_rate=1MiB"]}})
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda layer: mirror.get(self.path(layer), timeout=60), layers[:2]))
        self.assertGreater(time.monotonic() - began, 1.6)
        for answer, layer in zip(answers, layers):
            self.assert_sound_blob(answer, layer)
        mirror.config["upstreams"]["docker.io"]["windows"] = []
        mirror.write_config()
        mirror.reload()
        procs.wait_until(lambda: "reload: upstreams.docker.io.windows is in force" in mirror.stderr(), 10, "the reload")
        time.sleep(1.1)
        self.assertLess(self.timed(mirror, layers[2]), 0.9)

    def test_a_whole_layer_goes_to_a_neighbour_at_the_upload_rate(self):
        layer = self.add_layer(2 * MB)
        site = self.held_by_first(layer, upload_rate="1MiB")
        self.assertGreater(self.timed(site[1], layer), 1.6)
        self.assertEqual(self.gets(layer), 1)

    def test_pieces_go_at_the_rate_of_the_hour_and_a_reload_changes_it(self):
        layer = self.add_layer(12 * MB)
        site = self.held_by_first(layer, windows=[ALWAYS + "upload=2MiB"])
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            pull = pool.submit(site[1].get, self.path(layer), timeout=60)
            time.sleep(2.5)
            self.assertFalse(pull.done(), "12 MiB at 2 MiB a second")
            site[0].config["p2p"]["windows"] = []
            site[0].write_config()
            site[0].reload()
            self.assert_sound_blob(pull.result(), layer)
            self.assertLess(time.monotonic() - began, 5.5)
        self.assertIn("reload: p2p.windows is in force", site[0].stderr())
        self.assertEqual(self.gets(layer), 1)


class TestPressure(LimitCase):
    def small_disk(self, megabytes):
        path = os.path.join(self.dir, "disk")
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False)
        return path

    def fill_up(self, disk):
        with open(os.path.join(disk, "ballast"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 65536)
            except OSError:
                pass

    def site_with_one_small(self, storage, **keys):
        """The second node has that storage."""
        site = Site(self, self.up, 3, p2p={"trust_domain": True, **keys},
                    each=lambda number: {"storage": storage} if number == 1 else {})
        site[1].storage = storage.get("path", site[1].storage)
        return site

    def pull_all(self, site, layer):
        self.know(site, layer)
        with ThreadPoolExecutor(len(site)) as pool:
            for answer in pool.map(lambda node: node.get(self.path(layer), timeout=60), site):
                self.assert_sound_blob(answer, layer)

    def assert_others_hold(self, site, layer):
        for node in (site[0], site[2]):
            node.wait_for_blob(layer.digest)

    def test_a_layer_larger_than_one_nodes_cache(self):
        layer = self.add_layer(24 * MB)
        self.up.fault(path=layer.digest, rate=24 * MB)
        site = self.site_with_one_small({"max_size": "10MiB"})
        self.pull_all(site, layer)
        self.assert_others_hold(site, layer)
        self.assertLessEqual(self.gets(layer), 2)
        small = self.add_layer(MB)  # and it keeps what fits
        self.pull_all(site, small)
        site[1].wait_for_blob(small.digest)

    def test_a_disk_that_is_full_in_the_middle_of_a_fill(self):
        layer = self.add_layer(40 * MB)
        self.up.fault(path=layer.digest, rate=20 * MB)
        site = self.site_with_one_small({"path": self.small_disk(24), "min_free": "0", "index_size": "16MiB"})
        self.pull_all(site, layer)
        self.assert_others_hold(site, layer)
        self.assertLessEqual(self.gets(layer), 2 if shoal.slow_build() == 1 else 8)
        self.assertEqual(site[1].get("/healthz").status, 200)

    def test_a_disk_that_somebody_else_fills_while_pieces_come(self):
        layer = self.add_layer(30 * MB)
        disk = self.small_disk(60)
        site = self.site_with_one_small({"path": disk, "min_free": "0", "index_size": "16MiB"}, upload_rate="8MiB")
        self.know(site, layer)
        for node in (site[0], site[2]):
            self.assert_sound_blob(node.get(self.path(layer), timeout=60), layer)
            node.wait_for_blob(layer.digest)
        time.sleep(1.5)
        with site[1].stream(self.path(layer), timeout=60) as pull:
            pull.read(4 * MB)
            self.fill_up(disk)
            pull.read_all()
            self.assertFalse(pull.broken)
            self.assertEqual(images.digest_of(pull.got), layer.digest)
        os.remove(os.path.join(disk, "ballast"))
        small = self.add_layer(MB)
        self.pull_all(site, small)
        site[1].wait_for_blob(small.digest)

    def test_a_node_whose_disk_is_full_goes_on_sharing_what_it_holds(self):
        held, new = self.add_layer(12 * MB), self.add_layer(13 * MB)
        disk = self.small_disk(40)
        site = self.site_with_one_small({"path": disk, "min_free": "0", "index_size": "16MiB"})
        self.know(site, held, new)
        self.hold(site[1], held)
        self.fill_up(disk)
        for node in (site[0], site[2]):
            self.assert_sound_blob(node.get(self.path(held), timeout=60), held)
        self.assertEqual(self.gets(held), 1)
        self.assertGreaterEqual(site[1].metric("shoal_p2p_served_bytes_total"), held.size)
        # What it does not hold it passes on, and takes no part in its swarm.
        self.assert_sound_blob(site[1].get(self.path(new), timeout=60), new)
        self.assertFalse(site[1].has_blob(new.digest))

    def test_more_pieces_at_once_than_memory_for_them(self):
        layers = [self.add_layer(12 * MB + n) for n in range(4)]
        site = Site(self, self.up, 3, p2p={"trust_domain": True, "swarm_memory": "16MiB"})
        self.know(site, *layers)
        with ThreadPoolExecutor(12) as pool:
            pulls = [(layer, pool.submit(node.get, self.path(layer), timeout=90)) for layer in layers for node in site]
            for layer, pull in pulls:
                self.assert_sound_blob(pull.result(), layer)
        # A node so slow that its tracker does not answer within a second is passed over: its neighbour fetches, too.
        most = 1 if shoal.slow_build() == 1 else len(site)
        for layer in layers:
            self.assertIn(self.gets(layer), range(1, most + 1))


if __name__ == "__main__":
    import unittest
    unittest.main()
