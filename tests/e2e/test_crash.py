"""kill -9 and SIGTERM in the middle of a fill: what was kept is used, and only what is sound is served."""

import os
import signal
import threading
import time
import unittest

from lib import case, images, procs

MB = 1 << 20
SIZE = 40 * MB


class CrashCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.layer = images.random_blob(SIZE)
        self.layer.diff_id, self.layer.media_type = self.layer.digest, images.OCI_LAYER_GZIP
        self.image = self.up.add("team/app", images.image([self.layer]), "v1")
        self.path = "/v2/team/app/blobs/" + self.layer.digest
        self.slow = self.up.fault(path=self.layer.digest, rate=20 * MB)
        self.mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "60s"}})
        self.assertEqual(self.mirror.manifest("team/app", "v1").status, 200)

    def fill_until(self, size):
        """A client is in the middle of the blob, and so is the mirror."""
        stream = self.mirror.stream(self.path)
        self.addCleanup(stream.close)
        stream.read(size)
        return stream

    def pull_the_rest(self, kept):
        """Everything comes, and upstream sends (almost) only what was not kept."""
        self.slow.remove()
        self.up.forget()
        self.assert_sound_blob(self.mirror.get(self.path), self.layer)
        refetched = self.up.body_bytes(self.layer.digest) - (SIZE - kept)
        self.assertLessEqual(refetched, 4 * MB, self.up.requests())
        self.assertLessEqual(self.mirror.disk_use(), SIZE * 1.1)
        for request in self.up.requests("GET", self.layer.digest):
            self.assertIn("range", request.headers)
        self.mirror.wait_for_blob(self.layer.digest)
        self.assert_sound_blob(self.mirror.get(self.path), self.layer)


class TestKill(CrashCase):
    def test_fill_resumes_after_kill_9(self):
        self.fill_until(20 * MB)
        self.mirror.kill()
        self.mirror.start()
        self.pull_the_rest(20 * MB)

    def test_two_kills_in_one_fill(self):
        for size in (10 * MB, 25 * MB):
            self.fill_until(size)
            self.mirror.kill()
            self.mirror.start()
        self.pull_the_rest(25 * MB)

    def test_client_comes_back_with_a_range_after_the_kill(self):
        self.fill_until(20 * MB)
        self.mirror.kill()
        self.mirror.start()
        self.slow.remove()
        answer = self.mirror.get(self.path, {"Range": "bytes=%d-" % (15 * MB)})
        self.assertEqual(answer.status, 206)
        self.assertEqual(answer.body, self.layer.data[15 * MB:])

    def test_kept_bytes_that_were_damaged_are_not_served(self):
        self.fill_until(20 * MB)
        self.mirror.kill()
        path = self.mirror.fill_file(self.layer.digest)
        with open(path, "r+b") as f:
            f.seek(5 * MB)
            f.write(b"damage")
        self.mirror.start()
        self.slow.remove()
        self.assert_not_complete(self.mirror.get(self.path), self.layer)
        self.assert_sound_blob(self.mirror.get(self.path), self.layer)

    def test_disk_use_stays_near_the_blobs_size_all_the_time(self):
        peak, done = [0], threading.Event()

        def watch():
            while not done.wait(0.05):
                peak[0] = max(peak[0], self.mirror.disk_use())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.fill_until(20 * MB)
            self.mirror.kill()
            self.mirror.start()
            self.slow.remove()
            self.assert_sound_blob(self.mirror.get(self.path), self.layer)
        finally:
            done.set()
            watcher.join()
        self.assertLessEqual(peak[0], SIZE * 1.1)

    def test_cached_image_survives_kill_9(self):
        small = self.up.add("team/small", images.small_image("small"), "v1")
        self.assert_pull(self.mirror, "team/small", "v1", small)
        for blob in small.blobs:
            self.mirror.wait_for_blob(blob.digest)
        time.sleep(0.5)
        self.mirror.kill()
        self.mirror.start()
        self.up.forget()
        self.assert_pull(self.mirror, "team/small", "v1", small)
        self.assertEqual(self.up.count("GET"), 0, self.up.requests())

    def test_kill_9_at_odd_moments_never_serves_wrong_bytes(self):
        self.slow.remove()
        for number in range(6):
            image = self.up.add("team/odd%d" % number, images.small_image("odd%d" % number, layer_size=400_000), "v1")
            puller = threading.Thread(target=self._pull_quietly, args=("team/odd%d" % number,))
            puller.start()
            time.sleep(0.01 * number)
            self.mirror.kill()
            puller.join(10)
            self.mirror.start()
            self.assert_pull(self.mirror, "team/odd%d" % number, "v1", image)

    def _pull_quietly(self, repository):
        try:
            self.mirror.pull(repository, "v1", timeout=5)
        except (OSError, ValueError, KeyError, procs.ToolFailed):
            pass
        except Exception:  # the connection breaks in all sorts of ways when the mirror is killed
            pass


class TestTerm(CrashCase):
    def test_fill_resumes_after_sigterm(self):
        stream = self.fill_until(20 * MB)
        stream.close()
        with self.within(10):
            self.mirror.stop()
        self.mirror.start()
        self.pull_the_rest(20 * MB)

    def test_sigterm_drains_the_running_answer(self):
        stream = self.fill_until(1 * MB)
        self.mirror.daemon.signal(signal.SIGTERM)  # 39 MB to go at 20 MB/s, drain_timeout 5 s
        stream.read_all()
        self.assertFalse(stream.broken)
        self.assertEqual(images.digest_of(stream.got), self.layer.digest)
        self.assertEqual(self.mirror.daemon.wait(10), 0)
        self.mirror.daemon = None

    def test_sigterm_ends_after_the_drain_time_though_a_client_hangs_on(self):
        self.slow.remove()
        self.up.fault(path=self.layer.digest, rate=1 * MB)
        mirror = self.shoal({"docker.io": {"urls": [self.up.url]}}, {"server": {"drain_timeout": "1s"}}, name="short")
        with mirror.stream(self.path) as stream:
            stream.read(100_000)
            with self.within(6):
                mirror.stop()

    def test_no_new_connections_while_draining(self):
        self.fill_until(1 * MB)
        self.mirror.daemon.signal(signal.SIGTERM)
        time.sleep(0.3)
        try:
            status = self.mirror.get("/readyz", timeout=3).status
        except OSError:
            status = 0
        self.assertIn(status, (0, 503))
        self.assertEqual(self.mirror.daemon.wait(20), 0)
        self.mirror.daemon = None

    def test_idle_mirror_stops_at_once(self):
        with self.within(2):
            self.mirror.stop()

    def test_second_mirror_on_the_same_directory_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "did not start"):
            self.shoal({"docker.io": self.up.url}, name="second", storage=self.mirror.storage, start=False).start()
        self.shoals[-1].daemon = None
        self.assertEqual(self.mirror.manifest("team/app", "v1").status, 200)
        self.assertTrue(os.path.exists(os.path.join(self.mirror.storage, "FORMAT")))


if __name__ == "__main__":
    unittest.main()
