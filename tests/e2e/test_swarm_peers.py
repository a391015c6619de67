"""Members of a site that have gone bad: they know the secret, and lie, dawdle or flood. Clients of the others get the
right bytes, in time; what it costs the others is bounded, and they say who it was."""

import http.client
import secrets
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib import bad_peer, case, images, procs, shoal, wire
from lib.bad_peer import BadPeer, Torrent, lie_of
from lib.site import Neighbour, Site

MB = 1 << 20


class PeerCase(case.Case):
    limit = 120
    trackers = 1

    def setUp(self):
        super().setUp()
        self.up = self.upstream(send_buffer=64 * 1024)

    def add_layer(self, size):
        layer = images.random_blob(size)
        layer.diff_id = layer.digest
        layer.media_type = images.OCI_LAYER_GZIP
        self.up.add("team/app", images.image([layer]), "v%d" % size)
        return layer

    def site(self, count, *layers, **keys):
        """Nodes that know how large the layers are."""
        keys = {"trust_domain": True, "stall_timeout": "2s", "patience": "4s", **keys}
        site = Site(self, self.up, count, trackers=1, p2p=keys)
        for node in site:
            for layer in layers:
                self.assertEqual(node.manifest("team/app", "v%d" % layer.size).status, 200)
        return site

    def path(self, blob):
        return "/v2/team/app/blobs/" + blob.digest

    def gets(self, blob):
        return self.up.count("GET", "/blobs/" + blob.digest)

    def hold(self, node, blob):
        self.assert_sound_blob(node.get(self.path(blob), timeout=60), blob)
        node.wait_for_blob(blob.digest)
        time.sleep(1.5)  # the tracker has heard of it

    def pull(self, node, blob, within=20):
        with self.within(within):
            self.assert_sound_blob(node.get(self.path(blob), timeout=90), blob)

    def bad(self, blob, answer=None, talk=None, **options):
        peer = BadPeer(blob, answer, talk, **options).start()
        self.addCleanup(peer.stop)
        return peer

    def among(self, node, peer):
        """Everybody who follows that node's map hears of the peer."""
        peer.announce(node.address)
        return peer.follow(node)

    def peers(self, node):
        answer = wire.get(("127.0.0.1", node.admin_port), "/api/v1/peers")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()


class TestBadBytes(PeerCase):
    def test_a_member_that_sends_wrong_bytes_is_caught_at_the_piece_banned_and_reported(self):
        layer = self.add_layer(16 * MB)
        site = self.site(2, layer, upload_rate="4MiB")  # of the only sound source: the bad one is asked a lot
        self.hold(site[0], layer)
        peer = self.bad(layer)
        peer.answer = bad_peer.bytes_of(lie_of(layer), peer.torrent)
        self.among(site[0], peer)
        self.pull(site[1], layer)
        self.assertEqual(self.gets(layer), 1)
        self.assertGreater(peer.requests, 0)
        self.assertGreaterEqual(site[1].metric("shoal_p2p_pieces_failed_total"), 1)
        self.assertLessEqual(site[1].metric("shoal_p2p_pieces_failed_total"), 4, "it was banned at the first")
        self.assertIn("node %s sent a piece" % peer.id, site[1].stderr())
        self.assertEqual(site[1].metric('shoal_p2p_bans_total{why="bad piece"}'), 1)
        banned = self.peers(site[1])["banned"]
        self.assertEqual([(each["id"], each["ip"], each["why"]) for each in banned], [(peer.id, peer.ip, "bad piece")])
        self.assertEqual(self.peers(site[0])["banned"], [])

    def test_a_ban_ends(self):
        layers = [self.add_layer(8 * MB), self.add_layer(8 * MB + 1)]
        site = self.site(2, *layers, ban_time="8s", upload_rate="4MiB")  # longer than a pull takes
        for layer in layers:
            self.hold(site[0], layer)
        first = self.bad(layers[0])
        first.answer = bad_peer.bytes_of(lie_of(layers[0]), first.torrent)
        self.among(site[0], first)
        self.pull(site[1], layers[0])
        self.assertEqual(len(self.peers(site[1])["banned"]), 1)
        procs.wait_until(lambda: not self.peers(site[1])["banned"], 20 * shoal.slow_build(), "the ban to end")
        # The same node, which has seen better days, and does its part again.
        second = self.bad(layers[1])
        second.id = first.id
        second.answer = bad_peer.bytes_of(layers[1].data, second.torrent)
        self.among(site[0], second)
        self.pull(site[1], layers[1])
        self.assertGreater(second.requests, 0)
        self.assertEqual(site[1].metric('shoal_p2p_bans_total{why="bad piece"}'), 1)


class TestAddresses(PeerCase):
    def test_who_calls_from_elsewhere_cannot_connect_to_the_swarm_whatever_he_knows(self):
        layer = self.add_layer(8 * MB)
        node = self.site(1, layer, allow=["127.0.0.1"])[0]
        self.hold(node, layer)
        inside, outside = self.bad(layer, ip="127.0.0.1"), self.bad(layer)
        port = self.among(node, inside)  # the layer is in the swarm now
        inside.dial(port)
        procs.wait_until(lambda: inside.met == 1, 10, "it to be let in")
        outside.dial(port)
        procs.wait_until(lambda: outside.cut == 1, 10, "it to be turned away")
        self.assertEqual(outside.met, 0)
        self.assertEqual(node.metric('shoal_p2p_refused_total{why="network"}'), 1)


class TestBadFetchers(PeerCase):
    """A member that got the lease of a cold layer, keeps it, and tells false pieces, or brings nothing. The others take
    it away: one of them fetches, once, and the rest follow that one."""

    def client(self, node, layer):  # one that is cut comes again, as clients do
        for _ in range(8):
            answer = node.get(self.path(layer), timeout=90)
            if answer.status == 200 and not answer.broken:
                break
            time.sleep(0.5)
        return answer

    def pull_everywhere(self, site, layer, within=60):
        with self.within(within), ThreadPoolExecutor(len(site)) as pool:
            for answer in pool.map(lambda node: self.client(node, layer), site):
                self.assert_sound_blob(answer, layer)
        for node in site:
            node.wait_for_blob(layer.digest)

    def copies(self, site, layer):
        return sum(node.metric("shoal_upstream_blob_bytes_total") for node in site) / layer.size

    def beside_honest_ones(self, prepare, size=12 * MB):
        layer = self.add_layer(size)
        site = self.site(3, layer, patience="20s")
        peer = self.bad(layer)
        prepare(peer)
        peer.announce(site[0].address)
        peer.lead(site[0])
        self.pull_everywhere(site, layer)
        self.assertLessEqual(self.copies(site, layer), 1.05)
        self.assertEqual(self.gets(layer), 1)
        fall_backs = [node.metric('shoal_site_turns_total{role="fall-back"}') for node in site]
        self.assertEqual(sum(fall_backs), 0, "nobody had to act alone")
        return site, peer

    def test_one_that_tells_false_pieces_is_found_out_by_the_digest(self):
        def lie(peer):
            peer.answer = bad_peer.bytes_of(lie_of(peer.torrent), peer.torrent)
            peer.tell(lie_of(peer.torrent))
        site, peer = self.beside_honest_ones(lie)
        self.assertGreater(peer.requests, 0)
        for node in site:
            if node.metric("shoal_site_corrupt_blobs_total"):
                self.assertRegex(node.stderr(), "does not match the digest, though the pieces are as .*%s" % peer.url)
        self.assertGreater(sum(node.metric("shoal_site_corrupt_blobs_total") for node in site), 0)

    def test_one_that_tells_true_pieces_and_sends_none(self):
        site, peer = self.beside_honest_ones(lambda peer: peer.tell(peer.torrent.data))
        self.assertGreater(peer.requests, 0)

    def test_one_that_answers_nobody(self):
        _, peer = self.beside_honest_ones(lambda peer: None)
        self.assertTrue(any("/pieces/" in target for target in peer.asked), peer.asked)

    def test_a_follower_that_says_it_cannot_reach_the_fetcher_gets_nobodys_lease(self):
        layer = self.add_layer(16 * MB)
        self.up.fault(method="GET", path="/blobs/" + layer.digest, rate=3 * MB)
        site = self.site(3, layer)
        peer = self.bad(layer)
        peer.announce(site[0].address)
        with ThreadPoolExecutor(2) as pool:
            pulls = [pool.submit(self.client, site[0], layer)]
            procs.wait_until(lambda: self.gets(layer) == 1, 10, "the fetch to begin")
            pulls.append(pool.submit(self.client, site[1], layer))
            time.sleep(0.5)
            said = []
            while not all(pull.done() for pull in pulls):
                advice = peer.want(site[0])  # to be told who it is
                fetcher = advice.get("follow", {}).get("fetcher")
                if fetcher:
                    said.append(peer.want(site[0], avoid=[fetcher["id"]]))
                    said.append(peer.want(site[0], avoid=[fetcher["id"]]))
                time.sleep(0.2)
            for pull in pulls:
                self.assert_sound_blob(pull.result(), layer)
        self.assertGreater(len(said), 10)
        self.assertFalse([advice for advice in said if "fetch" in advice])
        self.assertEqual(self.gets(layer), 1)


class TestSilence(PeerCase):
    """A source that holds everything, says so, and brings nothing, or next to nothing."""

    def beside_a_sound_one(self, prepare, within=15):
        layer = self.add_layer(16 * MB)
        site = self.site(2, layer, upload_rate="4MiB")
        self.hold(site[0], layer)
        peer = self.bad(layer)
        prepare(peer)
        self.among(site[0], peer)
        self.pull(site[1], layer, within)
        self.assertGreater(peer.met, 0, "it was asked")
        self.assertEqual(self.gets(layer), 1, "upstream need not help")
        return site, peer

    def alone(self, prepare, within=20):
        layer = self.add_layer(16 * MB)
        site = self.site(1, layer)
        peer = self.bad(layer)
        prepare(peer)
        peer.tell(layer.data)
        peer.announce(site[0].address, have=[layer.digest])
        time.sleep(1)
        self.pull(site[0], layer, within)
        self.assertGreater(peer.met, 0, "it was asked")
        self.assertEqual(self.gets(layer), 1)
        # Why that took its time is told.
        self.assertRegex(site[0].stderr(), "%s: no piece came for 2000 ms; left: %s" % (layer.digest, peer.url))
        return site, peer

    def mute(self, peer):
        peer.answer = None

    def drip(self, peer):
        peer.answer = bad_peer.trickle(peer.torrent)

    def deny(self, peer):
        peer.answer = bad_peer.reject

    def half_open(self, peer):
        peer.accepts = False

    def deaf(self, peer):
        def talk(each):
            each.send(bad_peer.message(bad_peer.HAVE_ALL) + bad_peer.message(bad_peer.UNCHOKE))
            while peer.going:
                time.sleep(0.2)
        peer.talk = talk

    def test_one_that_is_silent_once_it_was_asked(self):
        self.beside_a_sound_one(self.mute)

    def test_one_that_sends_a_byte_a_second(self):
        self.beside_a_sound_one(self.drip)

    def test_one_that_rejects_all_it_offered(self):
        site, peer = self.beside_a_sound_one(self.deny)
        self.assertLess(peer.requests, 20_000)
        self.assertEqual([each["why"] for each in self.peers(site[1])["banned"]], ["flood"])

    def test_one_that_accepts_connections_and_says_nothing(self):
        self.beside_a_sound_one(self.half_open)

    def test_one_that_never_reads(self):
        self.beside_a_sound_one(self.deaf)

    def test_only_a_silent_one(self):
        self.alone(self.mute)

    def test_only_one_that_sends_a_byte_a_second(self):
        self.alone(self.drip)

    def test_only_one_that_rejects_all(self):
        self.alone(self.deny)

    def test_only_one_that_accepts_connections_and_says_nothing(self):
        self.alone(self.half_open)


class TestFloods(PeerCase):
    """A member that wears a node out, while a neighbour of that node takes a layer from it."""

    memory = 48 * MB  # more than before the flood, at most

    def setUp(self):
        super().setUp()
        self.layer = self.add_layer(24 * MB)
        self.site_ = None

    def begin(self, **keys):
        """The node that holds the layer and will be flooded, the one that wants it, and the bad peer."""
        site = self.site(2, self.layer, upload_rate="8MiB", **keys)
        self.hold(site[0], self.layer)
        peer = self.bad(self.layer)
        port = self.among(site[0], peer)
        self.before = site[0].memory(), site[0].open_files()
        self.most = [0, 0]
        return site[0], site[1], peer, port

    def watch(self, node):
        """What the node takes meanwhile, at most."""
        self.watching = True

        def look():
            while self.watching:
                self.most = [max(self.most[0], node.memory() - self.before[0]),
                             max(self.most[1], node.open_files() - self.before[1])]
                time.sleep(0.05)
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        return thread

    def pull_meanwhile(self, node, other, within=20):
        thread = self.watch(node)
        began = node.processor_seconds()
        self.pull(other, self.layer, within)
        self.watching = False
        thread.join()
        self.took = node.processor_seconds() - began
        self.assertEqual(node.get("/healthz").status, 200)
        self.assertLess(self.most[0], self.memory * shoal.slow_build())

    def redial(self, peer, port, talk, times):
        """As often as it is let in."""
        peer.talk = talk

        def dialling():
            for _ in range(times):
                if not peer.going:
                    return
                met, cut = peer.met, peer.cut
                try:
                    peer.dial(port)
                except OSError:
                    pass
                end = time.monotonic() + 5
                while peer.cut == cut and peer.going and time.monotonic() < end:
                    time.sleep(0.01)
                del met
        thread = threading.Thread(target=dialling, daemon=True)
        thread.start()
        return thread

    def assert_banned_for(self, node, peer, why):
        self.assertEqual([(each["id"], each["why"]) for each in self.peers(node)["banned"]], [(peer.id, why)])
        self.assertEqual(node.metric('shoal_p2p_bans_total{why="%s"}' % why), 1)
        self.assertIn("node %s at %s floods this one" % (peer.id, peer.ip), node.stderr())

    def test_requests_without_end_whose_answers_are_not_read(self):
        node, other, peer, port = self.begin()
        request = bad_peer.message(bad_peer.REQUEST, struct.pack(">III", 0, 0, bad_peer.BLOCK))

        def talk(each):
            each.send(bad_peer.message(bad_peer.INTERESTED))
            while peer.going:
                each.send(request * 4096)
        self.redial(peer, port, talk, 20)
        self.pull_meanwhile(node, other)
        self.assert_banned_for(node, peer, "flood")
        self.assertEqual(self.gets(self.layer), 1)

    def test_small_messages_without_end(self):
        torrent = Torrent(self.layer)
        words = {
            "have": b"".join(bad_peer.message(bad_peer.HAVE, struct.pack(">I", i % torrent.pieces)) for i in range(4096)),
            "choking": (bad_peer.message(bad_peer.UNCHOKE) + bad_peer.message(bad_peer.CHOKE)) * 2048,
            "interest": (bad_peer.message(bad_peer.INTERESTED) + bad_peer.message(bad_peer.NOT_INTERESTED)) * 2048,
            "cancel": bad_peer.message(bad_peer.CANCEL, struct.pack(">III", 0, 0, bad_peer.BLOCK)) * 4096,
            "reject": bad_peer.message(bad_peer.REJECT, struct.pack(">III", 0, 0, bad_peer.BLOCK)) * 4096,
        }
        node, other, _, port = self.begin()
        peers = []
        for word in words.values():
            peer = self.bad(self.layer)
            peers.append(peer)

            def talk(each, word=word, peer=peer):
                while peer.going:
                    each.send(word)
            self.redial(peer, port, talk, 20)
        self.pull_meanwhile(node, other)
        banned = {each["id"] for each in self.peers(node)["banned"]}
        self.assertEqual(banned, {peer.id for peer in peers})
        self.assertEqual(self.gets(self.layer), 1)

    def test_messages_that_no_peer_may_send(self):
        torrent = Torrent(self.layer)
        node, other, peer, port = self.begin()
        junk = [
            b"\xff\xff\xff\xff\x07",  # a message of 4 GiB
            struct.pack(">I", (1 << 20) + 1) + b"\x07",
            struct.pack(">IB", 1 << 20, bad_peer.PIECE) + bytes(1 << 20),
            bad_peer.message(bad_peer.HAVE, struct.pack(">I", torrent.pieces)),
            bad_peer.message(bad_peer.HAVE, b"\xff\xff\xff\xff"),
            bad_peer.message(bad_peer.BITFIELD, bytes(torrent.pieces)),
            bad_peer.message(bad_peer.REQUEST, struct.pack(">III", 0xffffffff, 0xffffffff, 0xffffffff)) * 1000,
            bad_peer.message(bad_peer.REQUEST, struct.pack(">III", 0, 0, 1 << 20)) * 1000,
            bad_peer.piece_message(0xffffffff, 0xffffffff, b"x" * 100),
            bad_peer.message(bad_peer.EXTENDED, b"\x7f" + b"d" * 100_000),
            bad_peer.message(bad_peer.EXTENDED, b"\0" + b"l" * 500_000),
            bad_peer.message(99, b"?" * 1000),
            secrets.token_bytes(200_000),
        ]
        turn = iter(junk * 3)

        def talk(each):
            each.send(next(turn, b"\xff" * 5))
            while True:
                each.next()
        self.redial(peer, port, talk, 3 * len(junk))
        self.pull_meanwhile(node, other)
        procs.wait_until(lambda: peer.met >= len(junk), 60, "all to be said")
        self.assertEqual(self.gets(self.layer), 1)

    def test_thousands_of_connections(self):
        most = 100
        node, other, peer, port = self.begin(max_connections=most)
        own = (peer.ip, 0)
        idle = []

        def crowd():
            while peer.going and len(idle) < 3000:
                try:
                    idle.append(socket.create_connection(("127.0.0.1", port), timeout=5, source_address=own))
                except OSError:
                    time.sleep(0.01)
        thread = threading.Thread(target=crowd, daemon=True)
        thread.start()
        procs.wait_until(lambda: len(idle) > most, 20, "the crowd")
        self.pull_meanwhile(node, other, 40)
        self.assertLess(self.most[1], most + 60)
        peer.going = False
        thread.join()
        for each in idle:
            each.close()
        # Afterwards it is as before.
        procs.wait_until(lambda: node.open_files() <= self.before[1] + 20, 30 * shoal.slow_build(), "files to be closed")

    def test_one_member_that_comes_again_and_again_at_once(self):
        node, other, peer, port = self.begin()

        def talk(each):
            while True:
                each.next()
        peer.talk = talk
        for _ in range(40):
            peer.dial(port)
        procs.wait_until(lambda: peer.met == 40, 20, "all to have come")
        self.pull_meanwhile(node, other)
        self.assertGreaterEqual(node.metric('shoal_p2p_refused_total{why="too many connections"}'), 36)
        self.assertEqual(self.gets(self.layer), 1)

    def test_one_that_never_proves_itself(self):
        node, other, peer, port = self.begin()
        peer.proves = False
        peer.talk = lambda each: each.next() and time.sleep(60)
        for _ in range(40):
            peer.dial(port)
        procs.wait_until(lambda: peer.met == 40, 20, "all to have come")
        self.pull_meanwhile(node, other)
        procs.wait_until(lambda: node.metric('shoal_p2p_refused_total{why="no proof"}') >= 40, 30 * shoal.slow_build(),
                         "them to be cut off")

    def test_calls_without_end(self):
        self.memory = 160 * MB  # a tracker keeps records of 1,000,000 blobs, about 110 bytes each
        node, other, peer, _ = self.begin()
        stop = time.monotonic() + 8

        def calls(number):
            caller = Neighbour(ip=peer.ip)
            count = 0
            while time.monotonic() < stop and peer.going:
                have = ["sha256:" + secrets.token_hex(32) for _ in range(400)]
                try:
                    if number % 2:
                        caller.announce(node.address, have=have)
                    else:
                        peer.call(node.address, "POST", "/p2p/v1/want", b"{" + b"x" * 60_000)
                except (OSError, http.client.HTTPException, ValueError):
                    pass
                count += 1
            return count
        with ThreadPoolExecutor(16) as pool:
            callers = [pool.submit(calls, number) for number in range(16)]
            time.sleep(1)
            self.pull_meanwhile(node, other, 25)
            self.assertGreater(sum(caller.result() for caller in callers), 100)
        self.assertEqual(self.gets(self.layer), 1)

    def test_subscriptions_without_end(self):
        # Followers that want nothing take stripes all the same: it is 3.5 s before everybody asks for theirs.
        node, other, peer, _ = self.begin(stall_timeout="5s", patience="10s")
        answers = []

        def subscribe(_):
            try:
                peer.follow(node)
                return 200
            except AssertionError as e:
                return e.args[0][0]
            except (OSError, http.client.HTTPException):
                return 0
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(subscribe, range(300)))
        self.pull_meanwhile(node, other, 25)
        self.assertLessEqual(answers.count(200), 4)
        self.assertGreaterEqual(answers.count(503), 290)
        self.assertEqual(self.gets(self.layer), 1)


if __name__ == "__main__":
    import unittest
    unittest.main()
