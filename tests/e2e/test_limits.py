"""A machine that is short of something or whose clock jumps: descriptors, memory, time. Shoal goes on with what it has,
says so, and is well again when there is enough."""

import email.utils
import glob
import os
import re
import resource
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, images, procs, wire

MB = 1 << 20


class LimitCase(case.Case):
    limit = 120

    def setUp(self):
        super().setUp()
        self.up = self.upstream()

    def status_value(self, mirror, name):
        """A line of /proc/<pid>/status, in bytes."""
        with open("/proc/%d/status" % mirror.daemon.pid()) as f:
            return int(re.search(r"%s:\s+(\d+) kB" % name, f.read()).group(1)) * 1024

    def loud(self, mirror):
        return [line for line in mirror.stderr().splitlines() if re.search(" (warn|error) ", line)]


class TestDescriptors(LimitCase):
    def setUp(self):
        super().setUp()
        self.layer = images.random_blob(2 * MB)
        self.layer.diff_id, self.layer.media_type = self.layer.digest, images.OCI_LAYER_GZIP
        self.image = self.up.add("team/app", images.image([self.layer]), "v1")
        self.mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "60s", "retries": 1}},
                                 {"log": {"level": "info"}})
        self.path = "/v2/team/app/blobs/" + self.layer.digest
        self.assert_sound_blob(self.mirror.get(self.path), self.layer)
        self.mirror.wait_for_blob(self.layer.digest)

    def leave_descriptors(self, count):
        """So many more may be opened."""
        pid = self.mirror.daemon.pid()
        used = max(int(name) for name in os.listdir("/proc/%d/fd" % pid)) + 1
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + count, hard))
        return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))

    def occupy(self, count):
        """Connections that stay, as far as they are accepted."""
        held = []
        for _ in range(count):
            try:
                held.append(wire.Raw(self.mirror.address, timeout=2))
            except OSError:
                break
        self.addCleanup(lambda: [raw.close() for raw in held])
        return held

    @staticmethod
    def health_of(raw):
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return raw.read_answer()[0]

    def test_without_descriptors_it_lives_says_so_seldom_and_recovers(self):
        early = wire.Raw(self.mirror.address, timeout=5)
        self.addCleanup(early.close)
        self.assertEqual(self.health_of(early), 200)
        log = len(self.loud(self.mirror))
        self.leave_descriptors(20)
        held = self.occupy(60)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            self.assertEqual(self.health_of(early), 200)
            try:  # a new one is turned away, or waits; it is never answered wrongly
                answer = self.mirror.get(self.path, timeout=1)
                self.assertIn(answer.status, (0, 200, 503))
                self.assert_not_complete(answer, self.layer)
            except OSError:
                pass
            time.sleep(0.1)
        lines = self.loud(self.mirror)[log:]
        told = [line for line in lines if re.search("descriptor|open files", line)]
        self.assertTrue(told, lines)
        self.assertLessEqual(len(lines), 10, "the log floods")
        for raw in held:
            raw.close()

        def well():
            try:
                return self.mirror.get("/healthz", timeout=2).status == 200
            except OSError:
                return False

        procs.wait_until(well, 10, "new clients to be answered again")
        self.assert_sound_blob(self.mirror.get(self.path), self.layer)
        other = self.up.add("team/other", images.small_image("other"), "v1")
        self.assert_pull(self.mirror, "team/other", "v1", other)

    def test_what_cannot_be_opened_is_503_and_works_once_there_are_descriptors(self):
        """Clients have their connections; files and upstream's connections are what is missing."""
        clients = [wire.Raw(self.mirror.address, timeout=20) for _ in range(6)]
        for raw in clients:
            self.addCleanup(raw.close)
            self.assertEqual(self.health_of(raw), 200)
        fresh = self.up.add("team/fresh", images.small_image("fresh"), "v1")
        give_back = self.leave_descriptors(0)
        statuses = []
        for raw, path in zip(clients, ["/v2/team/fresh/manifests/v1", self.path,
                                       "/v2/team/fresh/blobs/" + fresh.blobs[1].digest] * 2):
            raw.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            status, headers, body = raw.read_answer()
            statuses.append(status)
            self.assertIn(status, (200, 503), body[:300])
            if status == 503:
                self.assertIn(b'"errors"', body)
                self.assertTrue(headers.get("retry-after", "").isdigit(), headers)
            elif path.rsplit("/", 1)[1].startswith("sha256:"):
                self.assertIn(images.digest_of(body), path)
            self.assertEqual(self.health_of(raw), 200)
        self.assertIn(503, statuses)
        give_back()
        self.assert_sound_blob(self.mirror.get(self.path), self.layer)

        def pulls():
            return self.mirror.manifest("team/fresh", "v1").body == fresh.data

        procs.wait_until(pulls, 15, "what could not be fetched")
        self.assert_pull(self.mirror, "team/fresh", "v1", fresh)


class TestMemory(LimitCase):
    ROOM = 64 * MB

    def test_many_streams_and_a_cold_layer_fit_into_a_small_limit(self):
        """RLIMIT_DATA, which an allocation beyond it fails by."""
        warm = self.up.add_blob("team/app", images.random_blob(8 * MB))
        mirror = self.shoal({"docker.io": {"urls": [self.up.url]}})
        self.assert_sound_blob(mirror.blob("team/app", warm.digest), warm)
        mirror.wait_for_blob(warm.digest)
        pid = mirror.daemon.pid()
        size = self.status_value(mirror, "VmData") + self.ROOM
        resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))
        path = "/v2/team/app/blobs/" + warm.digest
        slow = [mirror.stream(path, receive_buffer=4096, timeout=60) for _ in range(300)]
        cold = [self.up.add_blob("team/app", images.random_blob(16 * MB)) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            for blob, answer in zip(cold, pool.map(lambda b: mirror.blob("team/app", b.digest, timeout=60), cold)):
                self.assert_sound_blob(answer, blob)
        for number in range(40):
            image = self.up.add("team/app%d" % number, images.small_image("m%d" % number), "v1")
            self.assert_pull(mirror, "team/app%d" % number, "v1", image)
        for stream in slow[:20]:
            stream.read_all()
            self.assertEqual(images.digest_of(stream.got), warm.digest)
        for stream in slow:
            stream.close()
        self.assertTrue(mirror.alive())
        self.assertLess(self.status_value(mirror, "VmData"), size)


    def test_without_any_memory_it_ends_says_so_and_starts_again(self):
        mirror = self.shoal({"docker.io": {"urls": [self.up.url]}})
        image = self.up.add("team/app", images.small_image("kept"), "v1")
        self.assert_pull(mirror, "team/app", "v1", image)
        pid = mirror.daemon.pid()
        resource.prlimit(pid, resource.RLIMIT_DATA, (self.status_value(mirror, "VmData"),) * 2)
        held = []
        deadline = time.monotonic() + 30
        while mirror.alive() and time.monotonic() < deadline:
            try:
                held.append(mirror.stream("/v2/team/app/manifests/v1", timeout=2))
            except OSError:
                time.sleep(0.1)
        for stream in held:
            stream.close()
        self.assertFalse(mirror.alive(), "it was to run out of memory")
        self.assertIn("out of memory", mirror.stderr())
        mirror.start()
        self.assert_pull(mirror, "team/app", "v1", image)


def faketime():
    """libfaketime of Debian's package of that name."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return os.environ.get("SHOAL_E2E_FAKETIME") or (found[0] if found else None)


@unittest.skipUnless(faketime(), "needs Debian's package faketime, or SHOAL_E2E_FAKETIME=<libfaketimeMT.so.1>")
class TestClock(LimitCase):
    """The wall clock jumps, as it does when a machine wakes or NTP sets it; the steady one does not."""

    def setUp(self):
        super().setUp()
        self.offset = os.path.join(self.dir, "offset")
        self.jump(0)
        self.image = self.up.add("team/app", images.small_image("first"), "v1")
        self.mirror = self.shoal(
            {"docker.io": {"urls": [self.up.url], "tag_ttl": "1s", "negative_ttl": "1s", "retries": 1,
                           "connect_timeout": "2s", "revalidate_wait": "2s"}},
            env={"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": self.offset, "FAKETIME_NO_CACHE": "1",
                 "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        self.assert_pull(self.mirror, "team/app", "v1", self.image)

    def jump(self, seconds):
        with open(self.offset + ".new", "w") as f:
            f.write("%+d\n" % seconds)
        os.rename(self.offset + ".new", self.offset)

    def node_time(self):
        """What the node thinks, from its Date."""
        return email.utils.parsedate_to_datetime(self.mirror.get("/healthz").headers["date"]).timestamp()

    def assert_jumped(self, seconds):
        procs.wait_until(lambda: abs(self.node_time() - time.time() - seconds) < 5, 5, "the clock to have jumped")

    def new_content_within(self, seconds):
        new = self.up.add("team/app", images.small_image("at %f" % time.monotonic()), "v1")
        procs.wait_until(lambda: self.mirror.manifest("team/app", "v1").body == new.data, seconds,
                         "the tag's new content", step=0.2)
        answer = self.mirror.manifest("team/app", "v1")
        self.assertLess(int(answer.headers.get("age", "0")), 60, answer.headers)

    def test_tags_are_fresh_again_soon_after_a_jump(self):
        for seconds in (86400, -86400, 0, 400 * 86400, 0):
            self.jump(seconds)
            self.assert_jumped(seconds)
            self.new_content_within(6)

    def test_not_found_is_not_remembered_for_a_day_after_a_jump_back(self):
        self.assertEqual(self.mirror.manifest("team/app", "later").status, 404)
        self.jump(-86400)
        self.assert_jumped(-86400)
        later = self.up.add("team/app", images.small_image("later"), "later")
        procs.wait_until(lambda: self.mirror.manifest("team/app", "later").body == later.data, 6, "the new tag",
                         step=0.2)

    def fail_and_jump_back(self, fail, heal):
        fail()
        for _ in range(4):
            time.sleep(1.1)
            self.assert_sound_manifest(self.mirror.manifest("team/app", "v1"), self.image)
        self.jump(-86400)
        self.assert_jumped(-86400)
        heal()
        self.new_content_within(20)

    def test_an_upstream_that_failed_is_asked_again_after_a_jump_back(self):
        self.fail_and_jump_back(self.up.refuse, self.up.listen_again)

    def test_a_rate_limit_does_not_last_a_day_after_a_jump_back(self):
        self.fail_and_jump_back(lambda: self.up.fault(status=429, headers={"Retry-After": "3"}), self.up.heal)

    def test_a_running_transfer_does_not_notice(self):
        big = self.up.add_blob("team/app", images.random_blob(6 * MB))
        self.up.fault(path=big.digest, rate=2 * MB)
        with self.mirror.stream("/v2/team/app/blobs/" + big.digest) as stream:
            for seconds in (3600, -3600, 0):
                stream.read(MB)
                self.jump(seconds)
            stream.read_all()
        self.assertFalse(stream.broken)
        self.assertEqual(images.digest_of(stream.got), big.digest)

    def test_it_starts_again_in_the_past_with_what_it_has(self):
        self.jump(-30 * 86400)
        self.mirror.restart()
        self.up.refuse()
        self.assert_pull(self.mirror, "team/app", "v1", self.image)
        self.up.listen_again()
        self.new_content_within(20)


if __name__ == "__main__":
    unittest.main()
