"""A node among neighbours has manners: its own clients come first, and what it shares may go any moment."""

import os
import threading
import time

from lib import images, lan, procs, shoal, wire
from lib.layers import LayerCase
from lib.site import Site

MB = 1 << 20


def setUpModule():
    lan.enter()


class MannersCase(LayerCase):
    limit = 150
    upstream_options = {"host": lan.HUB, "send_buffer": 64 * 1024}


class TestClientsFirst(MannersCase):
    """One node with a link of 80 Mbit/s holds two layers. Four neighbours take one, in pieces; a client the other."""

    def measure(self, **keys):
        """Bytes a second of the client: alone, and, after two seconds, while neighbours pull; and what these got then."""
        large, own = self.add_layer(96 * MB), self.add_layer(32 * MB)
        places = []
        for number in range(5):
            places.append(lan.Place(10 + number, "80mbit"))
            self.addCleanup(places[-1].end)
        site = Site(self, self.up, 5, trackers=1, start=False, p2p={"trust_domain": True},
                    each=lambda n: {"server": {"listen": [places[n].ip + ":5000"]},
                                    "admin": {"listen": places[n].ip + ":5001", "allow_remote": True},
                                    "p2p": {"allow": ["10.77.0.0/24"], "trackers": ["10.77.0.10:5000"],
                                            **(keys if n == 0 else {})}},
                    place=lambda n: {"ip": places[n].ip, "wrapped": places[n].wrapped})
        for node in site:
            node.start()
        site.wait_for_peers()
        self.know(site, large)
        first = site[0]
        self.know([first], own)
        self.hold(first, large)
        self.hold(first, own)
        alone = own.size / self.timed(first, own)
        pulls = [threading.Thread(target=node.get, args=(self.path(large),), kwargs={"timeout": 120}, daemon=True)
                 for node in site.nodes[1:]]
        for pull in pulls:
            pull.start()
        time.sleep(1)
        with first.stream(self.path(own), timeout=120) as stream:
            began = time.monotonic()
            while time.monotonic() < began + 2:
                stream.read_some()
            early, served, began = len(stream.got), first.metric("shoal_p2p_served_bytes_total"), time.monotonic()
            while len(stream.got) < 0.9 * own.size:
                stream.read_some()
            took = time.monotonic() - began
            among = (len(stream.got) - early) / took
            shared = (first.metric("shoal_p2p_served_bytes_total") - served) / took
            stream.read_all()
        self.assertEqual(images.digest_of(bytes(stream.got)), own.digest)
        self.assertTrue(any(pull.is_alive() for pull in pulls), "neighbours were done before")
        rates = "client alone %.2f MB/s, among neighbours %.2f, neighbours %.2f" % (alone / 1e6, among / 1e6, shared / 1e6)
        for node in site.nodes[1:]:  # not waited for
            node.kill()
        return alone, among, shared, rates

    def test_a_client_keeps_its_rate_while_neighbours_pull(self):
        alone, among, shared, rates = self.measure(upload_rate="9MiB")
        self.assertGreater(among, 0.8 * alone, rates)  # without the setting it is 0.4
        self.assertGreater(shared, 0, "and neighbours are not shut out")

    def test_without_an_upload_rate_they_share_alike(self):
        alone, among, _, rates = self.measure()
        self.assertLess(among, 0.7 * alone, "else the test above shows nothing: " + rates)


class TestEviction(MannersCase):
    def deleted_files(self, node):
        directory = "/proc/%d/fd" % node.daemon.pid()
        found = []
        for name in os.listdir(directory):
            try:
                target = os.readlink(os.path.join(directory, name))
            except OSError:
                continue
            if "/blobs/" in target or "/fills/" in target:
                found.append(target)
        return found

    def remove(self, node, layer):
        return wire.request((node.ip, node.admin_port), "DELETE", "/api/v1/blobs/" + layer.digest, {"X-Shoal": "1"})

    def test_a_layer_that_must_go_while_a_neighbour_takes_it(self):
        layer = self.add_layer(16 * MB)
        others = [self.add_layer(4 * MB + n) for n in range(4)]
        site = Site(self, self.up, 2, trackers=1, p2p={"trust_domain": True},
                    each=lambda n: {"storage": {"max_size": "24MiB"}, "p2p": {"upload_rate": "2MiB"}} if n == 0 else {})
        self.know(site, layer)
        self.hold(site[0], layer)
        with site[1].stream(self.path(layer), timeout=60) as pull:
            pull.read(2 * MB)
            # Told to remove it: it is in use.
            self.assertEqual(self.remove(site[0], layer).status, 409)
            # And pushed out by others: they come, whatever must give.
            for other in others:
                self.know([site[0]], other)
                self.assert_sound_blob(site[0].get(self.path(other)), other)
            self.assertIn("no blob can be evicted: all", site[0].stderr())
            self.assertTrue(site[0].has_blob(layer.digest))
            pull.read_all()
            self.assertFalse(pull.broken)
            self.assertEqual(images.digest_of(bytes(pull.got)), layer.digest)
        self.assertEqual(self.gets(layer), 1)
        # When nobody follows it any more, no descriptor keeps it, and it can go.
        procs.wait_until(lambda: site[0].metric("shoal_p2p_shares") == 0, 40, "the share to close")
        procs.wait_until(lambda: not [f for f in self.deleted_files(site[0]) if layer.digest[7:] in f], 10 * shoal.slow_build(),
                         "its file to be let go")

        last = self.add_layer(12 * MB)
        self.know([site[0]], last)
        self.assert_sound_blob(site[0].get(self.path(last)), last)
        procs.wait_until(lambda: not site[0].has_blob(layer.digest), 10 * shoal.slow_build(), "it to be evicted")
        self.assertGreater(site[0].metric("shoal_store_evicted_blobs_total"), 0)

    def test_a_file_that_is_deleted_under_a_seed(self):
        layer = self.add_layer(16 * MB)
        site = Site(self, self.up, 2, trackers=1, p2p={"trust_domain": True, "upload_rate": "2MiB"})
        self.know(site, layer)
        self.hold(site[0], layer)
        with site[1].stream(self.path(layer), timeout=60) as pull:
            pull.read(2 * MB)
            os.remove(site[0].blob_file(layer.digest))
            pull.read_all()
            self.assertFalse(pull.broken)
            self.assertEqual(images.digest_of(bytes(pull.got)), layer.digest)
        procs.wait_until(lambda: site[0].metric("shoal_p2p_shares") == 0, 40, "the share to close")
        procs.wait_until(lambda: not self.deleted_files(site[0]), 10 * shoal.slow_build(), "its file to be let go")
        self.assert_sound_blob(site[0].get(self.path(layer)), layer)  # it is fetched again


if __name__ == "__main__":
    import unittest
    unittest.main()
