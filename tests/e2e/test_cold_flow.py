"""A cold layer flows: who waits for whom, and what upstream is asked."""

import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, fake_auth, images, procs, wire
from lib.layers import LayerCase

MB = 1 << 20


class TestFirstByte(LayerCase):
    def test_first_byte_comes_long_before_the_last_and_a_late_joiner_shares_the_transfer(self):
        layer = self.add_layer(4 * MB)
        self.up.fault(path=layer.digest, rate=2 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        with mirror.stream(self.path(layer)) as first:
            first.read(1)
            self.assertLess(time.monotonic() - first.started, 0.5)
            first.read(2 * MB)
            with mirror.stream(self.path(layer)) as late:
                late.read(MB)
                self.assertLess(time.monotonic() - late.started, 0.5)  # what is there already comes at once
                late.read_all()
                joined_for = time.monotonic() - late.started
            first.read_all()
        self.assertLess(joined_for, 1.9)  # not from the start again: that would be 2 s
        for stream in (first, late):
            self.assertFalse(stream.broken)
            self.assertEqual(images.digest_of(stream.got), layer.digest)
        self.assertEqual(self.up.count("GET", layer.digest), 1)

    def test_first_byte_without_knowing_the_size(self):
        layer = self.add_layer(2 * MB)
        self.up.fault(path=layer.digest, rate=MB)
        mirror = self.shoal(self.up)  # no manifest was asked for: the size comes from upstream's answer
        with mirror.stream(self.path(layer)) as stream:
            stream.read(1)
            self.assertLess(time.monotonic() - stream.started, 0.5)
            stream.read_all()
        self.assertEqual(images.digest_of(stream.got), layer.digest)

    def test_the_answer_says_where_it_came_from(self):
        layer = self.add_layer(100_000)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        cold = mirror.get(self.path(layer))
        self.assert_sound_blob(cold, layer)
        self.assertRegex(case.cache_status(cold), r"^shoal; ?fwd=miss; ?stored")
        mirror.wait_for_blob(layer.digest)
        warm = mirror.get(self.path(layer))
        self.assert_sound_blob(warm, layer)
        self.assertRegex(case.cache_status(warm), r"^shoal; ?hit")


class TestOneFetch(LayerCase):
    def test_32_clients_on_one_cold_blob_cost_one_get(self):
        layer = self.add_layer(6 * MB)
        self.up.fault(path=layer.digest, rate=12 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: mirror.get(self.path(layer)), range(32)))
        for answer in answers:
            self.assert_sound_blob(answer, layer)
        self.assertEqual(self.up.count("GET", layer.digest), 1)
        self.assertTrue(any("collapsed" in case.cache_status(a) for a in answers))

    def test_32_clients_on_one_cold_tag_cost_one_request_each_kind(self):
        self.up.add("team/app", images.small_image("x"), "v1")
        self.up.fault(delay=0.5)
        mirror = self.shoal(self.up)
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: mirror.manifest("team/app", "v1"), range(32)))
        self.assertEqual({a.status for a in answers}, {200})
        self.assertLessEqual(self.up.count("HEAD"), 1)
        self.assertEqual(self.up.count("GET", "/manifests/"), 1)

    def test_32_clients_on_one_expired_tag_cost_one_check(self):
        self.up.add("team/app", images.small_image("x"), "v1")
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "1s"}})
        mirror.manifest("team/app", "v1")
        time.sleep(1.2)
        self.up.forget()
        self.up.fault(delay=0.3)
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: mirror.manifest("team/app", "v1"), range(32)))
        self.assertEqual({a.status for a in answers}, {200})
        self.assertEqual((self.up.count("HEAD"), self.up.count("GET")), (1, 0))

    def test_32_clients_on_a_manifest_by_digest_cost_one_get(self):
        manifest = self.up.add("team/app", images.small_image("x"), "v1")
        self.up.fault(delay=0.4)
        mirror = self.shoal(self.up)
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: mirror.manifest("team/app", manifest.digest), range(32)))
        for answer in answers:
            self.assert_sound_manifest(answer, manifest)
        self.assertEqual(self.up.count(), 1)

    def test_blob_of_two_repositories_is_fetched_once(self):
        layer = self.add_layer(500_000, "team/one")
        self.up.add("team/two", images.image([layer], nonce="two"), "v1")
        mirror = self.shoal(self.up)
        for repository in ("team/one", "team/two"):
            mirror.manifest(repository, "v1")
            self.assert_sound_blob(mirror.get(self.path(layer, repository)), layer)
        self.assertEqual(self.up.count("GET", layer.digest), 1)

    def test_blob_named_twice_by_one_manifest_is_fetched_once(self):
        layer = self.add_layer(MB)
        self.up.add("team/twice", images.image([layer, layer]), "v1")
        self.up.fault(path=layer.digest, delay=0.3)
        mirror = self.shoal(self.up)
        mirror.manifest("team/twice", "v1")
        with ThreadPoolExecutor(2) as pool:
            for answer in pool.map(lambda _: mirror.get(self.path(layer, "team/twice")), range(2)):
                self.assert_sound_blob(answer, layer)
        self.assertEqual(self.up.count("GET", layer.digest), 1)


class TestReaders(LayerCase):
    def test_slow_reader_does_not_hold_back_a_fast_one(self):
        layer = self.add_layer(30 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        with mirror.stream(self.path(layer), receive_buffer=8192) as slow:
            slow.read(1000)
            with self.within(5):
                self.assert_sound_blob(mirror.get(self.path(layer)), layer)
            slow.read_all()
            self.assertEqual(images.digest_of(slow.got), layer.digest)
        self.assertEqual(self.up.count("GET", layer.digest), 1)

    def test_client_that_leaves_does_not_stop_the_fill(self):
        layer = self.add_layer(4 * MB)
        self.up.fault(path=layer.digest, rate=4 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        with mirror.stream(self.path(layer)) as leaver:
            leaver.read(100_000)
        mirror.wait_for_blob(layer.digest, 10)
        self.assertEqual(self.up.count("GET", layer.digest), 1)
        self.assert_sound_blob(mirror.get(self.path(layer)), layer)
        self.assertEqual(self.up.count("GET", layer.digest), 1)

    def test_first_of_two_leaves_and_the_second_is_served_on(self):
        layer = self.add_layer(4 * MB)
        self.up.fault(path=layer.digest, rate=4 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        with mirror.stream(self.path(layer)) as stays:
            with mirror.stream(self.path(layer)) as leaver:
                leaver.read(500_000)
            stays.read_all()
        self.assertEqual(images.digest_of(stays.got), layer.digest)

    def test_last_bytes_wait_for_the_digest_and_then_come(self):
        layer = self.add_layer(2 * MB)
        self.up.fault(path=layer.digest, times=1, stall_at=2 * MB - 1000)
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "stall_timeout": "2s", "min_rate": "0"}})
        mirror.manifest("team/app", "v1")
        with mirror.stream(self.path(layer)) as stream:
            stream.read(2 * MB - 70_000)
            self.assertEqual(len(stream.got), 2 * MB - 70_000)
            stream.connection.sock.settimeout(0.7)
            with self.assertRaises(TimeoutError):
                stream.read_all()
            self.assertLessEqual(len(stream.got), 2 * MB - 65_536)


class TestRangesOnAnArrivingBlob(LayerCase):
    def setUp(self):
        super().setUp()
        self.layer = self.add_layer(6 * MB)
        self.up.fault(path=self.layer.digest, rate=4 * MB)
        self.mirror = self.shoal(self.up)
        self.mirror.manifest("team/app", "v1")

    def test_ranges_and_suffix_ranges_are_answered_from_the_one_transfer(self):
        data = self.layer.data
        wanted = {"bytes=0-99": data[:100], "bytes=1000000-1000099": data[1000000:1000100], "bytes=-100": data[-100:],
                  "bytes=5000000-": data[5000000:], "bytes=3000000-3999999": data[3000000:4000000]}
        with self.mirror.stream(self.path(self.layer)) as whole:
            whole.read(10_000)
            with ThreadPoolExecutor(len(wanted)) as pool:
                answers = list(pool.map(lambda r: self.mirror.get(self.path(self.layer), {"Range": r}), wanted))
            whole.read_all()
        for (text, expected), answer in zip(wanted.items(), answers):
            with self.subTest(text):
                self.assertEqual(answer.status, 206, answer)
                self.assertEqual(answer.body, expected)
                self.assertTrue(answer.headers["content-range"].endswith("/%d" % self.layer.size))
        self.assertEqual(images.digest_of(whole.got), self.layer.digest)
        self.assertEqual(self.up.count("GET", self.layer.digest), 1)

    def test_range_that_has_arrived_flows_up_to_its_last_64_kib(self):
        with self.mirror.stream(self.path(self.layer), {"Range": "bytes=0-1999999"}) as part:
            part.read(1_900_000)
            self.assertLess(time.monotonic() - part.started, 1.2)  # the whole takes 1.5 s
            part.read_all()
        self.assertEqual(bytes(part.got), self.layer.data[:2_000_000])

    def test_range_past_the_end_is_416(self):
        answer = self.mirror.get(self.path(self.layer), {"Range": "bytes=99999999-"})
        self.assertEqual(answer.status, 416)
        self.assertEqual(answer.headers.get("content-range"), "bytes */%d" % self.layer.size)


class TestOpenEndedRangesClosedEarly(LayerCase):
    def take(self, mirror, layer, offset, size):
        with mirror.stream(self.path(layer), {"Range": "bytes=%d-" % offset}) as stream:
            self.assertEqual(stream.status, 206)
            return stream.read(min(size, layer.size - offset))

    def take_all(self, mirror, layer, size=256 * 1024):
        """As containerd 2.1 does: a request for each chunk, hung up when the chunk is there."""
        with ThreadPoolExecutor(8) as pool:
            return b"".join(pool.map(lambda offset: self.take(mirror, layer, offset, size), range(0, layer.size, size)))

    def test_cold(self):
        layer = self.add_layer(8 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        self.assertEqual(images.digest_of(self.take_all(mirror, layer)), layer.digest)
        mirror.wait_for_blob(layer.digest)
        self.assertLessEqual(self.up.body_bytes(layer.digest), layer.size * 1.05)
        self.assert_sound_blob(mirror.get(self.path(layer)), layer)

    def test_warm(self):
        layer = self.add_layer(64 * MB)
        mirror = self.shoal(self.up)
        mirror.manifest("team/app", "v1")
        mirror.get(self.path(layer))
        mirror.wait_for_blob(layer.digest)
        before = self.up.count()
        self.assertEqual(images.digest_of(self.take_all(mirror, layer, 2 * MB)), layer.digest)
        self.assertEqual(self.up.count(), before)

        def all_logged():
            sent = [line["bytes"] for line in mirror.access() if line["status"] == 206]
            return sent if len(sent) == 32 else None

        sent = procs.wait_until(all_logged, 5, "the access log")
        self.assertLess(sum(sent), 32 * (2 + 10) * MB)  # what was taken and what sockets hold; 32 tails are 1056 MB


class TestFarUpstream(LayerCase):
    """Everything upstream takes 2 s before its first byte."""

    def setUp(self):
        super().setUp()
        self.layer = self.add_layer(300_000)
        self.far = self.up.fault(delay=2)

    def test_cold_things_cost_one_round_trip_and_fresh_ones_none(self):
        mirror = self.shoal(self.up)
        with self.within(2.9):
            answer = mirror.manifest("team/app", "v1")
        self.assertEqual(answer.status, 200)
        with self.within(2.9):
            self.assert_sound_blob(mirror.get(self.path(self.layer)), self.layer)
        with self.within(0.5):
            mirror.manifest("team/app", "v1")
            mirror.manifest("team/app", answer.headers["docker-content-digest"])
            mirror.get(self.path(self.layer))

    def test_head_of_a_tag_then_get_by_digest_costs_at_most_one_each(self):
        mirror = self.shoal(self.up)
        with self.within(2.9):
            head = mirror.head("/v2/team/app/manifests/v1")
        self.assertEqual(head.status, 200)
        with self.within(2.9):
            self.assertEqual(mirror.manifest("team/app", head.headers["docker-content-digest"]).status, 200)

    def test_cold_manifest_by_digest_and_blob_without_a_manifest(self):
        mirror = self.shoal(self.up)
        with self.within(2.9):
            self.assertEqual(mirror.manifest("team/app", self.up.tags["team/app"]["v1"]).status, 200)
        other = self.shoal(self.up, name="other")
        with self.within(2.9):
            self.assert_sound_blob(other.get(self.path(self.layer)), self.layer)

    def test_with_a_token_in_hand_too(self):
        self.up.auth = fake_auth.Bearer(anonymous=True)
        mirror = self.shoal(self.up)
        self.assertEqual(mirror.manifest("team/app", "v1").status, 200)
        with self.within(2.9):
            self.assert_sound_blob(mirror.get(self.path(self.layer)), self.layer)


class TestHead(LayerCase):
    def test_head_of_a_cold_blob_moves_no_body(self):
        layer = self.add_layer(2 * MB)
        mirror = self.shoal(self.up)
        answer = mirror.head(self.path(layer))
        self.assertEqual(answer.status, 200)
        self.assert_headers(answer, layer.digest, layer.size)
        self.assertEqual(self.up.count("GET", layer.digest), 0)
        self.assertEqual(self.up.body_bytes(layer.digest), 0)

    def test_head_of_manifests_by_tag_and_digest(self):
        manifest = self.up.add("team/app", images.multi_platform("x"), "v2")
        mirror = self.shoal(self.up)
        for reference in ("v2", manifest.digest):
            answer = mirror.head("/v2/team/app/manifests/" + reference)
            self.assertEqual(answer.status, 200)
            self.assert_headers(answer, manifest.digest, manifest.size)
            self.assertEqual(answer.headers["content-type"], manifest.media_type)

    def test_head_of_what_is_not_there(self):
        mirror = self.shoal(self.up)
        self.assertEqual(mirror.head("/v2/team/app/blobs/sha256:" + "0" * 64).status, 404)
        self.assertEqual(mirror.head("/v2/team/app/manifests/nope").status, 404)

    def test_tag_that_moves_between_head_and_get_is_still_there_by_digest(self):
        old = self.up.add("team/moves", images.small_image("old"), "v1")
        mirror = self.shoal(self.up)
        digest = mirror.head("/v2/team/moves/manifests/v1").headers["docker-content-digest"]
        self.up.add("team/moves", images.small_image("new"), "v1")
        self.assert_sound_manifest(mirror.manifest("team/moves", digest), old)


class TestManyAtOnce(LayerCase):
    def test_forty_blobs_at_once_on_their_own_connections(self):
        manifest = self.up.add("team/forty", images.small_image("forty", layers=40, layer_size=50_000), "v1")
        mirror = self.shoal(self.up)
        mirror.manifest("team/forty", "v1")
        done = []

        def fetch(blob):
            answer = wire.get(mirror.address, "/v2/team/forty/blobs/" + blob.digest, {"Connection": "close"})
            done.append((blob, answer))

        threads = [threading.Thread(target=fetch, args=(blob,)) for blob in manifest.all_blobs()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(len(done), 41)
        for blob, answer in done:
            self.assert_sound_blob(answer, blob)
            self.assertEqual(self.up.count("GET", blob.digest), 1)


if __name__ == "__main__":
    unittest.main()
