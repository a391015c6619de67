"""A disk that fails below the running program: reads and writes that answer EIO, a filesystem that turns read-only, a slow
disk, and the index on each of them. The faults are real ones (lib/faulty_disk.py); the program knows nothing of them."""

import ctypes
import http.client
import os
import signal
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, faulty_disk, images, procs
from lib.layers import LayerCase
from lib.site import Site

MB = 1 << 20


def setUpModule():
    """Mounts made here are seen by this process and its children only, and go with it."""
    if faulty_disk.missing():
        raise unittest.SkipTest("this machine has no %s" % faulty_disk.missing())
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare: the disk tests need root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class FaultCase(case.Case):
    journal = True
    limit = 120

    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.disk = faulty_disk.FaultyDisk(os.path.join(self.dir, "disk"), journal=self.journal)
        self.addCleanup(self.disk.close)
        self.prepare()
        self.node = self.shoal(self.up, {"storage": {"min_free": "0", "index_size": "16MiB"}, "hosted": ["own/**"]},
                               storage=self.disk.directory)

    def prepare(self):
        pass

    def put_index_elsewhere(self):
        """That it is not the first to notice."""
        index = os.path.join(self.disk.directory, "index")
        os.mkdir(index)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", index], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", index], check=False)

    def make_directories(self):
        for shard in range(256):
            os.makedirs(os.path.join(self.disk.directory, "blobs", "sha256", "%02x" % shard))

    def blob(self, size):
        return self.up.add_blob("team/app", images.random_blob(size))

    def get(self, blob, repository="team/app"):
        return self.node.blob(repository, blob.digest)

    def held(self, size):
        """A blob that is stored, and not asked of upstream again."""
        blob = self.blob(size)
        self.assert_sound_blob(self.get(blob), blob)
        self.node.wait_for_blob(blob.digest)
        self.up.forget()
        return blob

    def ask(self, method, path, body=b""):
        """(status, text, Location)"""
        connection = http.client.HTTPConnection(*self.node.address, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.getheader("Location")
        finally:
            connection.close()

    def push(self, blob):
        """(status, text) of the last answer."""
        return self.ask("POST", "/v2/own/app/blobs/uploads/?digest=" + blob.digest, blob.data)[:2]

    def begin_push(self, blob):
        """All bytes are there, but for the end. Its place."""
        status, text, place = self.ask("POST", "/v2/own/app/blobs/uploads/")
        self.assertEqual(status, 202, text)
        status, text, place = self.ask("PATCH", place, blob.data)
        self.assertEqual(status, 202, text)
        return place

    def logged(self, *words):
        """A line of the log that has all of these."""
        def look():
            return next((line for line in self.node.stderr().splitlines() if all(word in line for word in words)), None)
        return procs.wait_until(look, 10, "a line of the log with %s" % (words,))

    def assert_cut(self, blob):
        answer = self.get(blob)
        self.assert_not_complete(answer, blob)
        self.assertTrue(answer.broken, answer)

    def start_over_on_a_sound_disk(self):
        self.node.stop()
        self.disk.heal()
        self.disk.unmount()
        self.disk.mount()
        self.node.start()

    def assert_nothing_is_kept(self):
        """What a node does whose disk takes nothing: it serves what it holds and what upstream sends, and refuses pushes."""
        for size in (20 * MB, 100_000):
            blob = self.blob(size)
            self.assert_sound_blob(self.get(blob), blob)
        pushed = images.random_blob(2 * MB)
        status, text = self.push(pushed)
        self.assertGreaterEqual(status, 500, text)
        self.assertEqual(self.node.head("/v2/own/app/blobs/" + pushed.digest).status, 404)
        return text

    def wait_for_a_trial_that_fails(self):
        # Each question drives the upkeep, as a probe or a scrape does.
        procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1 and
                         "the store stays read-only" in self.node.stderr(), 60, "a trial that fails")

    def wait_until_it_writes_again(self):
        """Without a question, each of which would drive the upkeep."""
        procs.wait_until(lambda: "the store writes again" in self.node.stderr(), 100, "the store to write again")
        self.assertEqual(self.node.metric("shoal_store_read_only"), 0)
        self.assertEqual(self.node.get("/readyz").status, 200)

    def assert_keeps_again(self, *doubtful):
        """Pulls are stored and pushes taken; `doubtful`: pulled meanwhile, and sound wherever they come from."""
        for blob in doubtful + (self.blob(3 * MB),):
            self.assert_sound_blob(self.get(blob), blob)
            self.node.wait_for_blob(blob.digest)
            faulty_disk.drop_cache(self.node.blob_file(blob.digest))
            self.up.forget()
            self.assert_sound_blob(self.get(blob), blob)
            self.assertEqual(self.up.count("GET", blob.digest), 0)
        pushed = images.random_blob(2 * MB)
        self.assertEqual(self.push(pushed)[0], 201)
        self.assert_sound_blob(self.get(pushed, "own/app"), pushed)


class TestReads(FaultCase):
    def test_blob_that_cannot_be_read_is_cut_told_and_fetched_again(self):
        blob = self.held(5 * MB)
        self.disk.fail_reads_of(self.node.blob_file(blob.digest))
        self.assert_cut(blob)
        self.logged("error", self.node.blob_file(blob.digest), "Input/output error", "fetched again")
        self.assertEqual(self.node.metric("shoal_store_read_errors_total"), 1)
        last = procs.wait_until(lambda: next((line for line in self.node.access() if not line["complete"]), None), 5,
                                "the access log's line")
        self.assertEqual(last["end"], "store", last)
        self.assert_sound_blob(self.get(blob), blob)
        self.assertEqual(self.up.count("GET", blob.digest), 1)
        self.node.wait_for_blob(blob.digest)
        self.disk.heal()
        self.up.forget()
        self.assert_sound_blob(self.get(blob), blob)
        self.assertEqual(self.up.count("GET", blob.digest), 0)

    def test_upstream_away_too_is_an_error_that_ends_with_either(self):
        blob = self.held(5 * MB)
        self.disk.fail_reads_of(self.node.blob_file(blob.digest))
        self.assert_cut(blob)
        self.up.refuse()
        self.assert_unavailable(self.get(blob), "docker.io")
        self.up.listen_again()
        self.assert_sound_blob(procs.wait_until(lambda: self.sound_or_none(blob), 30, "upstream to be asked again"), blob)

    def sound_or_none(self, blob, repository="team/app"):
        answer = self.get(blob, repository)
        return answer if answer.status == 200 and not answer.broken else None

    def test_pushed_blob_comes_back_with_the_disk(self):
        blob = images.random_blob(5 * MB)
        self.assertEqual(self.push(blob)[0], 201)
        path = self.node.blob_file(blob.digest)
        self.disk.fail_reads_of(path)
        answer = self.get(blob, "own/app")
        self.assertTrue(answer.broken, answer)
        self.logged("error", path, "Input/output error", "pushed here")
        self.assert_oci_error(self.get(blob, "own/app"), 503, mentions=("push it again",))
        self.disk.heal()
        answer = procs.wait_until(lambda: self.sound_or_none(blob, "own/app"), 20, "the blob to be read again", step=0.5)
        self.assert_sound_blob(answer, blob)

    def test_pushing_it_again_puts_it_elsewhere(self):
        blob = images.random_blob(5 * MB)
        self.assertEqual(self.push(blob)[0], 201)
        self.disk.fail_reads_of(self.node.blob_file(blob.digest))
        self.assertTrue(self.get(blob, "own/app").broken)
        self.assertEqual(self.node.head("/v2/own/app/blobs/" + blob.digest).status, 404)  # else nobody would push it
        self.assertEqual(self.push(blob)[0], 201)
        self.assert_sound_blob(self.get(blob, "own/app"), blob)

    def test_scrub_tells_which_and_why(self):
        blob = self.held(2 * MB)
        self.disk.fail_reads_of(self.node.blob_file(blob.digest))
        self.node.cli("scrub", "--admin", "127.0.0.1:%d" % self.node.admin_port, check=False)
        self.logged("error", self.node.blob_file(blob.digest), "Input/output error")
        self.assertEqual(self.node.metric("shoal_store_read_errors_total"), 1)
        self.assert_sound_blob(self.get(blob), blob)
        self.assertEqual(self.up.count("GET", blob.digest), 1)


class TestReadsForNeighbours(LayerCase):
    limit = 120

    def setUp(self):
        super().setUp()
        self.disk = faulty_disk.FaultyDisk(os.path.join(self.dir, "disk"))
        self.addCleanup(self.disk.close)
        self.site = Site(self, self.up, 2, p2p={"trust_domain": True}, more={"storage": {"min_free": "0", "index_size": "16MiB"}},
                         place=lambda number: {"storage": self.disk.directory} if number == 0 else {})

    def assert_found_out_for_a_neighbour(self, size):
        layer = self.add_layer(size)
        self.know(self.site, layer)
        holder, asker = self.site
        self.hold(holder, layer)
        self.up.forget()
        path = holder.blob_file(layer.digest)
        self.disk.fail_reads_of(path)
        self.assert_sound_blob(asker.get(self.path(layer), timeout=60), layer)
        line = procs.wait_until(lambda: next((line for line in holder.stderr().splitlines() if path in line), None), 10,
                                "the holder's line about its file")
        self.assertIn("Input/output error", line)
        self.assertEqual(holder.metric("shoal_store_read_errors_total"), 1)
        asker.wait_for_blob(layer.digest)
        time.sleep(1.5)  # the trackers have heard of it
        self.up.forget()
        # Its own file is not tried again, and its neighbour has another.
        self.assert_sound_blob(holder.get(self.path(layer), timeout=60), layer)
        self.assertEqual(self.gets(layer), 0)

    def test_whole_blob(self):
        self.assert_found_out_for_a_neighbour(300_000)

    def test_pieces(self):
        self.assert_found_out_for_a_neighbour(12 * MB)


class TestWrites(FaultCase):
    def test_cold_layer_is_whole_and_nothing_is_taken_that_is_not_there_later(self):
        held = self.held(MB)
        self.disk.fail_writes()
        blob = self.blob(20 * MB)
        self.assert_sound_blob(self.get(blob), blob)
        procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1, 20, "the store to turn read-only")
        self.logged("error", "read-only until its disk writes again")
        self.assertGreaterEqual(self.node.metric("shoal_store_write_errors_total"), 1)
        self.assertIn("read-only", self.assert_nothing_is_kept())
        self.assertEqual(self.node.get("/readyz").status, 503)
        self.assertIn("read-only", self.node.get("/readyz").body.decode())
        self.assertEqual(self.node.get("/healthz").status, 200)
        self.up.forget()
        self.assert_sound_blob(self.get(held), held)
        self.assertEqual(self.up.count(), 0)
        self.start_over_on_a_sound_disk()
        self.assert_sound_blob(self.get(held), held)
        self.assert_keeps_again(blob)

    def test_push_that_could_not_be_written_is_not_acknowledged(self):
        self.disk.fail_writes()
        for size in (5 * MB, 1000):
            blob = images.random_blob(size)
            status, text = self.push(blob)
            self.assertGreaterEqual(status, 500, text)
        self.assertIn("read-only", text)  # the first of them found out
        self.logged("error", "read-only until its disk writes again")
        self.start_over_on_a_sound_disk()
        self.assertEqual(self.node.head("/v2/own/app/blobs/" + blob.digest).status, 404)
        self.assert_keeps_again()


class TestWritesThatTheKernelForgets(FaultCase):
    """Without a journal the filesystem goes on. The pages of a failed write-back stay in memory as if they were written: the
    bytes read well until the kernel needs the memory."""

    journal = False

    def prepare(self):
        self.put_index_elsewhere()

    def test_what_was_not_written_is_not_taken_up_after_a_restart(self):
        self.disk.fail_writes()
        blob = self.blob(20 * MB)
        self.assert_sound_blob(self.get(blob), blob)
        procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1, 20, "the store to turn read-only")
        self.logged("error", "read-only until a restart, best after a check of its filesystem")
        self.disk.heal()
        self.node.restart()
        self.assert_keeps_again(blob)

    def test_slow_reader_gets_no_bytes_that_only_memory_had(self):
        self.disk.fail_writes()
        blob = self.blob(20 * MB)
        path = "/v2/team/app/blobs/" + blob.digest
        with self.node.stream(path, receive_buffer=8192) as slow:
            slow.read(1000)
            self.assert_sound_blob(self.get(blob), blob)
            procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1, 20, "the store to turn read-only")
            self.forget_pages_of_fills()
            slow.read_all()
        self.assertTrue(slow.broken or images.digest_of(slow.got) == blob.digest, "wrong bytes were served as complete")
        self.assertEqual(bytes(slow.got), blob.data[:len(slow.got)])

    def forget_pages_of_fills(self):
        """As the kernel does when it needs the memory; the node holds them open, and may have removed them."""
        directory = "/proc/%d/fd" % self.node.daemon.pid()
        names = [os.path.join(directory, name) for name in os.listdir(directory)]
        fills = [name for name in names if os.path.islink(name) and "/fills/" in os.readlink(name)]
        self.assertTrue(fills)
        for name in fills:
            with open(name, "rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class TestWritesAgain(FaultCase):
    """The filesystem's structures are sound, and so is what was written before; new files' data is not, nor the index."""

    def prepare(self):
        self.make_directories()

    def test_pushes_are_taken_again_without_a_restart(self):
        held = self.held(MB)
        self.disk.fail_writes_of_new_data()
        lost, passed_on = images.random_blob(5 * MB), self.blob(20 * MB)
        self.assertGreaterEqual(self.push(lost)[0], 500)
        procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1, 20, "the store to turn read-only")
        self.assert_sound_blob(self.get(passed_on), passed_on)
        self.disk.heal()
        self.wait_until_it_writes_again()
        self.assertEqual(self.node.head("/v2/own/app/blobs/" + lost.digest).status, 404)
        self.assertEqual(self.push(lost)[0], 201)
        self.assert_keeps_again(passed_on)
        self.node.stop()
        self.disk.unmount()  # what only memory had is gone
        self.disk.mount()
        self.node.start()
        self.assert_sound_blob(self.get(lost, "own/app"), lost)
        self.up.forget()
        for blob in (held, passed_on):
            self.assert_sound_blob(self.get(blob), blob)
        self.assertEqual(self.up.count(), 0)


class TestWritesAgainThoughTheKernelForgets(FaultCase):
    def prepare(self):
        self.put_index_elsewhere()
        self.make_directories()

    def test_pushes_whose_bytes_were_given_up_are_not_acknowledged_later(self):
        self.disk.fail_writes_of_new_data()
        blobs = [images.random_blob(200_000 + n) for n in range(4)]
        places = [self.begin_push(blob) for blob in blobs]
        self.assertGreaterEqual(self.push(images.random_blob(5 * MB))[0], 500)
        procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1, 20, "the store to turn read-only")
        self.wait_for_a_trial_that_fails()
        self.disk.heal()
        self.wait_until_it_writes_again()
        with ThreadPoolExecutor(4) as pool:
            ends = list(pool.map(lambda each: self.ask("PUT", each[0] + "?digest=" + each[1].digest), zip(places, blobs)))
        for (status, text, _), blob in zip(ends, blobs):
            self.assertEqual(status, 404, text)
            self.assertIn("BLOB_UPLOAD_UNKNOWN", text)
            self.assertEqual(self.node.head("/v2/own/app/blobs/" + blob.digest).status, 404)
            self.assertEqual(self.push(blob)[0], 201)
        for blob in blobs:
            faulty_disk.drop_cache(self.node.blob_file(blob.digest))
            self.assert_sound_blob(self.get(blob, "own/app"), blob)

    def test_what_was_not_written_is_not_taken_up(self):
        self.disk.fail_writes_of_new_data()
        blob = self.blob(20 * MB)
        self.assert_sound_blob(self.get(blob), blob)
        procs.wait_until(lambda: self.node.metric("shoal_store_read_only") == 1, 20, "the store to turn read-only")
        self.disk.heal()
        self.wait_until_it_writes_again()
        self.assert_keeps_again(blob)


class TestReadOnly(FaultCase):
    def test_filesystem_turns_read_only(self):
        held = self.held(MB)
        self.disk.turn_read_only()
        text = self.assert_nothing_is_kept()
        self.assertRegex(text, "(?i)read-only")
        self.logged("ithout being kept", "Read-only file system")
        self.assertGreaterEqual(self.node.metric("shoal_store_write_errors_total"), 1)
        self.up.forget()
        self.assert_sound_blob(self.get(held), held)
        self.assertEqual(self.up.count(), 0)
        self.start_over_on_a_sound_disk()
        self.assert_sound_blob(self.get(held), held)
        self.assert_keeps_again()


class TestIndex(FaultCase):
    def fill_index(self):
        """More than a start looks at, and none of it in memory."""
        manifests = [self.up.add("team/app", images.small_image("m%d" % i, layers=1, layer_size=10), "v%d" % i)
                     for i in range(200)]
        for number in range(len(manifests)):
            self.assertEqual(self.node.manifest("team/app", "v%d" % number).status, 200)
        self.node.stop()
        self.disk.unmount()
        self.disk.mount()

    def test_index_that_cannot_be_read_ends_the_program_with_a_reason(self):
        self.fill_index()
        self.node.start()
        self.disk.fail_reads_of(os.path.join(self.disk.directory, "index", "data.mdb"))
        for number in range(200):
            try:
                self.node.manifest("team/app", "v%d" % number, timeout=5)
            except OSError:
                pass
            if not self.node.alive():
                break
        self.assertEqual(self.node.daemon.wait(10), -signal.SIGBUS)
        self.logged("bus error", os.path.join(self.disk.directory, "index"))
        self.node.daemon = None
        self.disk.heal()
        self.node.start()
        self.up.refuse()
        self.assertEqual(self.node.manifest("team/app", "v7").status, 200)

    def test_index_that_cannot_be_read_at_the_start(self):
        self.fill_index()
        self.disk.fail_reads_of(os.path.join(self.disk.directory, "index", "data.mdb"))
        with self.assertRaisesRegex(AssertionError, "did not start"):
            self.node.start()
        self.node.daemon = None
        self.logged("cannot start", "index", "Input/output error")
        self.disk.heal()
        self.node.start()


class TestSlowDisk(FaultCase):
    def test_nobody_waits_for_it_who_need_not(self):
        warm, cold_on_disk = self.held(MB), self.held(2 * MB)
        faulty_disk.drop_cache(self.node.blob_file(cold_on_disk.digest))
        self.disk.slow_down(0.2)  # 128 KiB at a time: about 0.6 MB/s
        with self.node.stream("/v2/team/app/blobs/" + cold_on_disk.digest) as slow:
            with self.within(2):
                self.assert_sound_blob(self.get(warm), warm)
                self.assertEqual(self.node.get("/healthz").status, 200)
            with self.within(9):  # the disk alone would take 13
                layer = self.blob(8 * MB)
                self.assert_sound_blob(self.get(layer), layer)
            slow.read_all()
        self.assertFalse(slow.broken)
        self.assertEqual(images.digest_of(slow.got), cold_on_disk.digest)
        self.disk.heal()
        self.node.wait_for_blob(layer.digest)

    def test_push_is_answered_when_it_is_on_the_disk(self):
        self.disk.slow_down(0.05)
        blob = images.random_blob(4 * MB)
        began = time.monotonic()
        self.assertEqual(self.push(blob)[0], 201)
        self.assertGreater(time.monotonic() - began, 0.5)  # not earlier
        self.assert_sound_blob(self.get(blob, "own/app"), blob)


if __name__ == "__main__":
    unittest.main()
