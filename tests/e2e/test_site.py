"""Nodes of one site: each layer is fetched once, whoever asks, and neighbours prove who they are."""

import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, images, procs, wire
from lib.layers import LayerCase
from lib.site import SECRET, Neighbour, Site

MB = 1 << 20


class SiteCase(LayerCase):
    limit = 90


class TestOneCopy(SiteCase):
    def test_a_layer_that_all_nodes_want_at_once_is_fetched_once(self):
        layer = self.add_layer(6 * MB)
        self.up.fault(path=layer.digest, rate=6 * MB)
        site = Site(self, self.up, 4)
        for node in site:
            self.assertEqual(node.manifest("team/app", "v1").status, 200)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda node: node.get(self.path(layer)), list(site) * 2))
        for answer in answers:
            self.assert_sound_blob(answer, layer)
        self.assertEqual(self.gets(layer), 1)
        self.assertLessEqual(self.up.body_bytes(layer.digest), 1.02 * layer.size)
        self.assertEqual(sum("neighbour" in case.cache_status(a) for a in answers), 6, answers)
        # Manifests, too, are fetched once.
        self.assertEqual(self.up.count("GET", "/manifests/"), 1)
        for node in site:
            node.wait_for_blob(layer.digest)

    def test_first_byte_reaches_every_node_while_upstream_is_still_sending(self):
        layer = self.add_layer(4 * MB)
        self.up.fault(path=layer.digest, rate=2 * MB)
        site = Site(self, self.up, 3)
        for node in site:
            node.manifest("team/app", "v1")
        with site[0].stream(self.path(layer)) as first:
            first.read(1)
            for node in site.nodes[1:]:
                with node.stream(self.path(layer)) as other:
                    other.read(1)
                    self.assertLess(time.monotonic() - other.started, 0.5)
            first.read_all()
        self.assertEqual(self.gets(layer), 1)

    def test_what_one_node_holds_the_others_do_not_fetch(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 3)
        self.assert_pull(site[2], "team/app", "v1", self.manifest)
        site[2].wait_for_blob(layer.digest)
        time.sleep(1.5)  # the tracker has heard of it
        for node in (site[0], site[1]):
            self.assert_pull(node, "team/app", "v1", self.manifest)
        self.assertEqual(self.gets(layer), 1)
        self.assertEqual(self.up.count("GET", "/manifests/"), 1)

    def test_after_a_restart_of_all_trackers_holders_are_known_again(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 3, trackers=2)
        self.assert_pull(site[2], "team/app", "v1", self.manifest)
        site[2].wait_for_blob(layer.digest)
        for node in (site[0], site[1]):
            node.restart()
        site.wait_for_peers()
        time.sleep(1.5)
        self.assert_sound_blob(site[0].get(self.path(layer)), layer)
        self.assertEqual(self.gets(layer), 1)


class TestLoss(SiteCase):
    def test_when_the_fetching_node_dies_another_takes_over_where_it_was(self):
        layer = self.add_layer(8 * MB)
        self.up.fault(path=layer.digest, rate=2 * MB)
        site = Site(self, self.up, 3)
        for node in site:
            node.manifest("team/app", "v1")
        with site[2].stream(self.path(layer)) as doomed, ThreadPoolExecutor(2) as pool:
            doomed.read(1)
            others = [pool.submit(node.get, self.path(layer), timeout=60) for node in site.nodes[:2]]
            doomed.read(4 * MB)
            site[2].kill()
            for other in others:
                self.assert_sound_blob(other.result(), layer)
        self.assertEqual(self.gets(layer), 2)
        # What the survivors had was not fetched again; a second and the sockets' buffers aside.
        second = self.up.requests("GET", "/blobs/" + layer.digest)[1]
        self.assertGreater(int(second.headers["range"].split("=")[1].split("-")[0]), 3 * MB)

    def test_a_fetch_that_stalls_passes_to_another_node(self):
        layer = self.add_layer(4 * MB)
        self.up.fault(method="GET", path="/blobs/" + layer.digest, times=1, stall_at=MB)
        site = Site(self, self.up, 2, p2p={"lease_patience": "1s", "lease": "1s", "stall_timeout": "2s"})
        for node in site:
            node.manifest("team/app", "v1")
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(site[0].get, self.path(layer), timeout=60)
            procs.wait_until(lambda: self.gets(layer) == 1, 10, "the fetch to begin")
            second = pool.submit(site[1].get, self.path(layer), timeout=60)
            with self.within(12):  # upstream's own stall_timeout is 15 s
                self.assert_sound_blob(second.result(), layer)
                self.assert_sound_blob(first.result(), layer)
        self.assertEqual(self.gets(layer), 2)

    def test_a_lost_tracker_changes_nothing(self):
        site = Site(self, self.up, 3, trackers=2)
        site[0].kill()
        for number in range(6):
            layer = self.add_layer(200_000)
            for node in site.nodes[1:]:
                self.assert_sound_blob(node.get(self.path(layer)), layer)
                node.wait_for_blob(layer.digest)
                time.sleep(0.05)
            self.assertLessEqual(self.gets(layer), 2)
        # Once its loss was noticed, one copy again.
        self.assertEqual(self.gets(layer), 1)

    def test_without_any_tracker_the_members_agree_among_themselves(self):
        site = Site(self, self.up, 4, trackers=1)
        site[0].kill()
        procs.wait_until(lambda: all(n.metric("shoal_p2p_trackers_alive") == 0 for n in site.nodes[1:]), 15,
                         "the loss to be noticed")
        layer = self.add_layer(2 * MB)
        self.up.fault(path=layer.digest, rate=4 * MB)
        with ThreadPoolExecutor(3) as pool:
            for answer in pool.map(lambda node: node.get(self.path(layer)), site.nodes[1:]):
                self.assert_sound_blob(answer, layer)
        self.assertEqual(self.gets(layer), 1)

    def test_a_node_without_neighbours_works_as_ever(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 2, trackers=2, start=False)
        with self.within(10):
            site[1].start()
            self.assert_sound_blob(site[1].get(self.path(layer)), layer)
        self.assertEqual(self.gets(layer), 1)


class TestVisible(SiteCase):
    """Where bytes come from is told: while they come, in each access line, in the log and in metrics."""

    def swarms(self, node):
        answer = wire.get(("127.0.0.1", node.admin_port), "/api/v1/swarms")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["swarms"]

    def table(self, node):
        return node.cli("status", "--swarm", "--admin", "127.0.0.1:%d" % node.admin_port)

    def test_the_swarm_can_be_looked_at_while_a_layer_comes(self):
        layer = self.add_layer(12 * MB)
        self.up.fault(path=layer.digest, rate=3 * MB)
        site = Site(self, self.up, 2, p2p={"trust_domain": True})
        self.assertEqual(self.swarms(site[0]), [])
        self.assertIn("no blob is in the swarm", self.table(site[0]))
        for node in site:
            node.manifest("team/app", "v1")
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(site[0].get, self.path(layer), timeout=60)
            procs.wait_until(lambda: self.gets(layer) == 1, 10, "the fetch to begin")
            second = pool.submit(site[1].get, self.path(layer), timeout=60)

            def both():
                sides = [self.swarms(node) for node in site]
                return sides if all(sides) and sides[1][0]["authors"] and sides[1][0]["pieces_here"] else None

            fetcher, follower = [side[0] for side in procs.wait_until(both, 10, "both to be in the swarm")]
            table = self.table(site[1])
            for answer in (first.result(), second.result()):
                self.assert_sound_blob(answer, layer)
        self.assertEqual((fetcher["role"], follower["role"]), ("fetcher", "follower"))
        for side in (fetcher, follower):
            self.assertEqual((side["digest"], side["size"]), (layer.digest, layer.size))
            self.assertEqual(side["pieces"], -(-layer.size // side["piece_length"]))
        self.assertEqual(fetcher["followers"], 1)
        self.assertEqual(follower["authors"], [site[0].url])
        self.assertLess(follower["pieces_here"], follower["pieces"])
        self.assertGreater(follower["bytes_from_peers"], 0)
        self.assertRegex(table, r"(?m)^DIGEST +SIZE +PIECES +ROLE +FOLLOWERS +FROM PEERS +AUTHORS$")
        self.assertRegex(table, r"(?m)^%s +12.0 MiB +\d+/%d +(follower|seed) .*" % (layer.digest[:19], follower["pieces"]))

    def test_a_node_without_neighbours_says_that_it_has_no_swarm(self):
        node = self.shoal(self.up)
        answer = wire.get(("127.0.0.1", node.admin_port), "/api/v1/swarms")
        self.assert_oci_error(answer, 404, "NOT_FOUND", mentions=["p2p.enabled"])

    def test_every_byte_of_an_answer_is_counted_by_where_it_came_from(self):
        layer = self.add_layer(12 * MB)
        self.up.fault(path=layer.digest, rate=6 * MB)
        site = Site(self, self.up, 3, p2p={"trust_domain": True})
        for node in site:
            node.manifest("team/app", "v1")
        with ThreadPoolExecutor(3) as pool:
            for answer in pool.map(lambda node: node.get(self.path(layer), timeout=60), site):
                self.assert_sound_blob(answer, layer)
        for node in site:
            node.wait_for_blob(layer.digest)
            self.assert_sound_blob(node.get(self.path(layer)), layer)

        def lines(node):
            found = [line for line in node.access() if layer.digest in line["target"]]
            return found if len(found) == 2 else None

        def sources(line):
            return [line.get("from_" + name, 0) for name in ("upstream", "neighbours", "disk", "swarm")]

        from_upstream = 0
        for node in site:
            cold, warm = procs.wait_until(lambda: lines(node), 5, "two lines")
            upstream, neighbours, disk, swarm = sources(cold)
            self.assertEqual((upstream + neighbours, disk), (layer.size, 0), cold)
            self.assertLessEqual(swarm, neighbours)
            self.assertEqual(sources(warm), [0, 0, layer.size, 0])
            from_upstream += upstream
            # The log of the node and its metrics say the same.
            line = "%s of docker.io/team/app: %d bytes in " % (layer.digest, layer.size)
            told = [text for text in node.stderr().splitlines() if line in text]
            self.assertEqual(len(told), 1, told)
            self.assertIn("%d from upstream, %d from neighbours (%d of them by the swarm), 0 kept from before" %
                          (upstream, neighbours, swarm), told[0])
            self.assertEqual(node.metric('shoal_fill_bytes_total{source="upstream"}'), upstream)
            self.assertEqual(node.metric('shoal_fill_bytes_total{source="swarm"}'), swarm)
            self.assertEqual(node.metric('shoal_sent_bytes_total{source="disk"}'), layer.size)
            self.assertEqual(node.metric("shoal_upstream_copies_count"), 1)
        self.assertGreaterEqual(from_upstream, layer.size)
        copies = sum(node.metric("shoal_upstream_copies_sum") for node in site)
        self.assertGreaterEqual(copies, 1)
        self.assertLessEqual(copies, 1.02)
        self.assertAlmostEqual(copies, self.up.body_bytes(layer.digest) / layer.size, delta=0.02)


class TestOutage(SiteCase):
    def test_with_upstream_gone_a_trust_domain_serves_what_any_node_holds(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 2, p2p={"trust_domain": True})
        self.assert_pull(site[0], "team/app", "v1", self.manifest)
        site[0].wait_for_blob(layer.digest)
        time.sleep(1.5)
        self.up.refuse()
        manifest = site[1].manifest("team/app", "v1", timeout=60)
        self.assert_sound_manifest(manifest, self.manifest)
        self.assertIn("neighbour", case.cache_status(manifest))
        self.assertIn("warning", manifest.headers)
        answer = site[1].get(self.path(layer), timeout=60)
        self.assert_sound_blob(answer, layer)
        self.assertIn("neighbour", case.cache_status(answer))

    def test_with_upstream_gone_manifests_are_found_after_a_restart_of_their_holder(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 2, p2p={"trust_domain": True})
        self.assert_pull(site[1], "team/app", "v1", self.manifest)
        site[1].wait_for_blob(layer.digest)
        site[1].restart()
        site.wait_for_peers()
        time.sleep(2.5)  # the trackers have heard of it
        self.up.refuse()
        self.assert_sound_blob(site[0].get(self.path(layer), timeout=60), layer)
        self.assert_sound_manifest(site[0].manifest("team/app", "v1", timeout=60), self.manifest)

    def test_with_upstream_gone_an_image_pulled_by_digest_is_found_after_a_restart_of_its_holder(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 2, p2p={"trust_domain": True})
        digest = self.manifest.digest
        self.assert_sound_manifest(site[1].manifest("team/app", digest), self.manifest)
        self.assert_sound_blob(site[1].get(self.path(layer)), layer)
        site[1].wait_for_blob(layer.digest)
        site[1].restart()
        site.wait_for_peers()
        time.sleep(2.5)  # the trackers have heard of it
        self.up.refuse()
        self.assert_sound_manifest(site[0].manifest("team/app", digest, timeout=60), self.manifest)

    def test_without_a_trust_domain_upstream_must_say_that_a_repository_may_show_it(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 2)
        self.assert_pull(site[0], "team/app", "v1", self.manifest)
        site[0].wait_for_blob(layer.digest)
        time.sleep(1.5)
        # The same digest in a repository that does not have it: our neighbour's copy is no right to read.
        self.up.add("team/other", images.small_image("x"), "v1")
        self.assertEqual(site[1].get(self.path(layer, "team/other")).status, 404)
        self.assert_sound_blob(site[1].get(self.path(layer)), layer)
        self.assertEqual(self.gets(layer), 1)
        self.assertGreaterEqual(self.up.count("HEAD", layer.digest), 1)


class TestStrangers(SiteCase):
    def test_calls_without_the_secret_are_refused(self):
        layer = self.add_layer(100_000)
        site = Site(self, self.up, 1, trackers=1)
        self.assert_sound_blob(site[0].get(self.path(layer)), layer)
        site[0].wait_for_blob(layer.digest)
        target = "/p2p/v1/blobs/%s?repository=docker.io%%2Fteam%%2Fapp&offset=0" % layer.digest
        good, bad = Neighbour(), Neighbour(secret="another secret than theirs")
        status, body = good.call(site[0].address, "GET", target)
        self.assertEqual((status, body), (200, layer.data))
        for status, body in (bad.call(site[0].address, "GET", target),
                             good.call(site[0].address, "GET", target, seal=False)):
            self.assertEqual(status, 403)
            self.assertNotIn(layer.data[:64], body)
        self.assertEqual(site[0].metric('shoal_p2p_refused_total{why="seal"}'), 2)
        self.assertIn("was refused", site[0].stderr())
        for text in (site[0].stderr(), site[0].get("/metrics").body.decode()):
            self.assertNotIn(SECRET, text)
        shown = site[0].cli("check", "--print", "--config", site[0].config_file)
        self.assertNotIn(SECRET, shown)

    def test_other_networks_are_refused(self):
        site = Site(self, self.up, 1, trackers=1, p2p={"allow": ["10.0.0.0/8"]}, start=False)
        site[0].start()
        self.assertEqual(Neighbour().call(site[0].address, "GET", "/p2p/v1/tags?repository=x&tag=y")[0], 403)
        # Its own announcements to itself are among them.
        self.assertGreaterEqual(site[0].metric('shoal_p2p_refused_total{why="network"}'), 1)

    def test_a_neighbour_that_sends_wrong_bytes_is_found_out(self):
        layer = self.add_layer(3 * MB)
        site = Site(self, self.up, 1, trackers=1)
        liar = self.server(Neighbour())
        liar.blobs[layer.digest] = b"x" * layer.size
        status, _ = liar.announce(site[0].address, have=[layer.digest])
        self.assertEqual(status, 200)
        site[0].manifest("team/app", "v1")
        answer = site[0].get(self.path(layer), timeout=60)
        self.assert_not_complete(answer, layer)
        self.assertTrue(liar.asked)
        procs.wait_until(lambda: site[0].has_blob(layer.digest), 20, "the blob to come from upstream")
        self.assert_sound_blob(site[0].get(self.path(layer)), layer)
        self.assertEqual(site[0].metric("shoal_site_corrupt_blobs_total"), 1)

    def test_a_neighbour_that_says_nothing_is_left(self):
        layer = self.add_layer(MB)
        site = Site(self, self.up, 1, trackers=1, p2p={"lease_patience": "1s", "patience": "2s"})
        silent = self.server(_Silent())
        silent.announce(site[0].address, have=[layer.digest])
        with self.within(25):
            self.assert_sound_blob(site[0].get(self.path(layer), timeout=60), layer)


class _Silent(Neighbour):
    def serve(self, handler):
        time.sleep(60)


if __name__ == "__main__":
    unittest.main()
