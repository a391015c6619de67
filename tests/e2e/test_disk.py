"""Full disks, small caches, damaged files."""

import ctypes
import http.client
import os
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, images, procs

MB = 1 << 20


def setUpModule():
    """Mounts made here are seen by this process and its children only, and go with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare: the disk tests need root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class DiskCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()

    def blob(self, size, seed=None):
        return self.up.add_blob("team/app", images.random_blob(size, seed))

    def get(self, mirror, blob):
        return mirror.blob("team/app", blob.digest)


class TestFullDisk(DiskCase):
    def small_disk(self, megabytes, more=None, **storage):
        path = os.path.join(self.dir, "disk")
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False)
        return self.shoal(self.up, {"storage": {"min_free": "0", "index_size": "16MiB", **storage}, **(more or {})},
                          storage=path)

    def test_client_gets_the_whole_blob_and_small_ones_are_cached_on(self):
        mirror = self.small_disk(24)
        self.assertLess(mirror.metric("shoal_store_room_bytes"), 24 * MB)
        self.assertRegex(mirror.cli("status", "--admin", "http://127.0.0.1:%d" % mirror.admin_port),
                         "HARDLY ROOM: what is larger than [0-9.]+ MiB is passed on")
        big = self.blob(40 * MB)
        for _ in range(2):
            self.assert_sound_blob(self.get(mirror, big), big)
        small = self.blob(100_000)
        self.assert_sound_blob(self.get(mirror, small), small)
        mirror.wait_for_blob(small.digest)
        self.up.forget()
        self.assert_sound_blob(self.get(mirror, small), small)
        self.assertEqual(self.up.count(), 0)
        self.assertEqual(mirror.get("/healthz").status, 200)

    def test_push_that_finds_no_room_leaves_it_to_the_next(self):
        mirror = self.small_disk(24, {"hosted": ["own/**"]})

        def push(size):
            """The last answer: (status, text)."""
            blob = images.random_blob(size)
            connection = http.client.HTTPConnection(*mirror.address, timeout=30)
            try:
                connection.request("POST", "/v2/own/app/blobs/uploads/")
                answer = connection.getresponse()
                answer.read()
                for method, suffix, body in (("PATCH", "", blob.data), ("PUT", "?digest=" + blob.digest, b"")):
                    connection.request(method, answer.headers["Location"] + suffix, body)
                    answer = connection.getresponse()
                    text = answer.read().decode()
                    if answer.status >= 400:
                        break
                return answer.status, text
            finally:
                connection.close()

        status, text = push(40 * MB)
        self.assertEqual(status, 507, text)
        self.assertIn("no room", text)
        self.assertIn("the upload is over", text)
        procs.wait_until(lambda: os.listdir(os.path.join(self.dir, "disk", "uploads")) == [], 10, "its bytes to go")
        self.assertEqual(push(12 * MB)[0], 201)
        told = [line for line in mirror.stderr().splitlines() if "pushes are refused" in line]
        self.assertEqual(len(told), 1, told)

    def test_two_clients_share_a_blob_that_does_not_fit(self):
        mirror = self.small_disk(24)
        big = self.blob(40 * MB)
        self.up.fault(path=big.digest, rate=40 * MB)
        with ThreadPoolExecutor(2) as pool:
            for answer in pool.map(lambda _: self.get(mirror, big), range(2)):
                self.assert_sound_blob(answer, big)

    def test_stuck_client_on_a_blob_that_does_not_fit_holds_back_nobody(self):
        mirror = self.small_disk(24)
        big = self.blob(40 * MB)
        with mirror.stream("/v2/team/app/blobs/" + big.digest, receive_buffer=8192) as stuck:
            stuck.read(1000)
            with self.within(15):
                self.assert_sound_blob(mirror.blob("team/app", big.digest, timeout=20), big)
            stuck.read_all()  # its turn again, or cut: it cannot be kept for it
        if not stuck.broken:
            self.assertEqual(images.digest_of(stuck.got), big.digest)

    def test_disk_filled_by_somebody_else(self):
        mirror = self.small_disk(24)
        with open(os.path.join(self.dir, "disk", "ballast"), "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        blob = self.blob(3 * MB)
        self.assert_sound_blob(self.get(mirror, blob), blob)
        self.assertTrue(mirror.alive())
        os.remove(os.path.join(self.dir, "disk", "ballast"))
        self.assert_sound_blob(self.get(mirror, blob), blob)
        manifest = self.up.add("team/app", images.small_image("after"), "v1")

        def pulls():
            return mirror.manifest("team/app", "v1").body == manifest.data

        procs.wait_until(pulls, 10, "the mirror to take manifests again")


class TestCacheSize(DiskCase):
    def test_max_size_holds_and_every_pull_is_sound(self):
        mirror = self.shoal(self.up, {"storage": {"max_size": "20MiB"}})
        for number in range(15):
            blob = self.blob(4 * MB)
            self.assert_sound_blob(self.get(mirror, blob), blob)
            self.assertLessEqual(mirror.disk_use(), 25 * MB)
        procs.wait_until(lambda: mirror.disk_use() <= 20 * MB, 10, "the cache to shrink below max_size")
        self.assertGreater(mirror.disk_use(), 8 * MB)  # and it does keep something
        self.assertGreater(sum(v for k, v in mirror.metrics().items() if "evict" in k), 0)

    def test_often_used_blobs_outlive_a_stream_of_new_ones(self):
        mirror = self.shoal(self.up, {"storage": {"max_size": "20MiB"}})
        loved = self.blob(500_000)
        for number in range(12):
            for _ in range(3):
                self.assert_sound_blob(self.get(mirror, loved), loved)
            once = self.blob(4 * MB)
            self.assert_sound_blob(self.get(mirror, once), once)
            time.sleep(0.1)
        self.assertEqual(self.up.count("GET", loved.digest), 1)

    def test_a_layer_that_upstream_does_not_send_evicts_nothing(self):
        layer = images.random_blob(8 * MB)
        layer.diff_id, layer.media_type = layer.digest, images.OCI_LAYER_GZIP
        self.up.add("team/large", images.image([layer]), "v1")
        held = [self.blob(MB) for _ in range(8)]
        mirror = self.shoal(self.up, {"storage": {"max_size": "10MiB"}})
        for blob in held:
            self.assert_sound_blob(self.get(mirror, blob), blob)
            mirror.wait_for_blob(blob.digest)
        self.assertEqual(mirror.manifest("team/large", "v1").status, 200)  # tells the layer's size
        self.up.refuse()
        self.assert_unavailable(mirror.blob("team/large", layer.digest), "docker.io")
        time.sleep(0.5)
        for blob in held:
            self.assert_sound_blob(self.get(mirror, blob), blob)

    def test_blob_in_use_is_not_taken_away(self):
        mirror = self.shoal(self.up, {"storage": {"max_size": "20MiB"}})
        used = self.blob(8 * MB)
        self.get(mirror, used)
        mirror.wait_for_blob(used.digest)
        with mirror.stream("/v2/team/app/blobs/" + used.digest, receive_buffer=8192) as reader:
            reader.read(1000)
            for number in range(8):
                other = self.blob(4 * MB)
                self.assert_sound_blob(self.get(mirror, other), other)
            reader.read_all()
        self.assertEqual(images.digest_of(reader.got), used.digest)

    def test_blob_larger_than_the_cache_passes_through(self):
        mirror = self.shoal(self.up, {"storage": {"max_size": "4MiB"}})
        small, big = self.blob(200_000), self.blob(12 * MB)
        self.assert_sound_blob(self.get(mirror, small), small)
        mirror.wait_for_blob(small.digest)
        for _ in range(2):
            answer = self.get(mirror, big)
            self.assert_sound_blob(answer, big)
            self.assertNotIn("stored", case.cache_status(answer))
            self.assertLessEqual(mirror.disk_use(), 5 * MB)
        self.assertFalse(mirror.has_blob(big.digest))
        self.up.forget()
        self.assert_sound_blob(self.get(mirror, small), small)
        self.assertEqual(self.up.count("GET", small.digest), 0)

    def test_max_blob_size_refuses(self):
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "max_blob_size": "1MiB", "retries": 0}})
        big, small = self.blob(2 * MB), self.blob(1000)
        self.assertGreaterEqual(self.get(mirror, big).status, 400)
        self.assert_sound_blob(self.get(mirror, small), small)

    def test_smaller_max_size_after_a_restart_is_kept_to(self):
        mirror = self.shoal(self.up, {"storage": {"max_size": "40MiB"}})
        for number in range(6):
            blob = self.blob(4 * MB)
            self.get(mirror, blob)
            mirror.wait_for_blob(blob.digest)  # a stop may come before the record, and leaves the file to the sweeper
        mirror.config["storage"]["max_size"] = "10MiB"
        mirror.write_config()
        mirror.restart()
        self.get(mirror, self.blob(100_000))
        procs.wait_until(lambda: mirror.disk_use() <= 11 * MB, 20, "the cache to shrink")


class TestDamage(DiskCase):
    def setUp(self):
        super().setUp()
        self.kept = self.blob(2 * MB, "kept")
        self.mirror = self.shoal(self.up)
        self.assert_sound_blob(self.get(self.mirror, self.kept), self.kept)
        self.wait_until_recorded()
        self.file = self.mirror.blob_file(self.kept.digest)
        procs.wait_until(lambda: not self.is_open(), 10, "the last answer to be done with the file")
        self.up.forget()

    def is_open(self):
        """Does the node have it open? The answer to the next request may come from there, whatever happens to its name."""
        directory = "/proc/%d/fd" % self.mirror.daemon.pid()
        names = [os.path.join(directory, name) for name in os.listdir(directory)]
        return any(os.path.islink(name) and os.readlink(name) == self.file for name in names)

    def wait_until_recorded(self):
        """The file is in its place a moment before the index knows it; until then answers come from the fill."""
        procs.wait_until(lambda: "hit" in case.cache_status(self.get(self.mirror, self.kept)), 10, "a hit")

    def assert_healed(self):
        self.assert_sound_blob(self.get(self.mirror, self.kept), self.kept)
        self.assertGreaterEqual(self.up.count("GET", self.kept.digest), 1)
        self.wait_until_recorded()
        with open(self.file, "rb") as f:
            self.assertEqual(images.digest_of(f.read()), self.kept.digest)
        asked = self.up.count()
        self.assert_sound_blob(self.get(self.mirror, self.kept), self.kept)
        self.assertEqual(self.up.count(), asked)

    def flip(self, offset):
        os.chmod(self.file, 0o644)
        with open(self.file, "r+b") as f:
            f.seek(offset)
            byte = f.read(1)
            f.seek(offset)
            f.write(bytes([byte[0] ^ 1]))

    def test_flipped_byte(self):
        self.flip(1_000_000)
        self.assert_healed()

    def test_flipped_byte_while_stopped(self):
        self.mirror.stop()
        self.flip(10)
        self.mirror.start()
        self.assert_healed()

    def test_short_file(self):
        os.chmod(self.file, 0o644)
        os.truncate(self.file, 1_000_000)
        self.assert_healed()

    def test_empty_file(self):
        os.chmod(self.file, 0o644)
        os.truncate(self.file, 0)
        self.assert_healed()

    def test_longer_file(self):
        os.chmod(self.file, 0o644)
        with open(self.file, "ab") as f:
            f.write(b"more")
        self.assert_sound_blob(self.get(self.mirror, self.kept), self.kept)
        self.assert_sound_blob(self.get(self.mirror, self.kept), self.kept)

    def test_missing_file(self):
        os.remove(self.file)
        self.assert_healed()

    def test_damage_with_upstream_away_is_503_not_wrong_bytes(self):
        self.flip(1_000_000)
        self.up.refuse()
        answer = self.get(self.mirror, self.kept)
        self.assert_not_complete(answer, self.kept)

    def test_touched_but_sound_file_costs_upstream_nothing(self):
        os.utime(self.file)
        self.assert_sound_blob(self.get(self.mirror, self.kept), self.kept)
        self.assertEqual(self.up.count("GET"), 0)

    def test_unknown_format_is_refused(self):
        self.mirror.stop()
        with open(os.path.join(self.mirror.storage, "FORMAT"), "w") as f:
            f.write("shoal 9999\n")
        with self.assertRaisesRegex(AssertionError, "did not start"):
            self.mirror.start()
        self.mirror.daemon = None


if __name__ == "__main__":
    unittest.main()
