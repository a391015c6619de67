"""Whatever upstream sends: a client gets sound bytes or a visibly broken transfer, the next client gets sound bytes,
and nothing bad is kept."""

import hashlib
import os
import time
import unittest

from lib import case, images, procs

MB = 1 << 20


class BadCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.layer = images.random_blob(3 * MB)
        self.layer.diff_id, self.layer.media_type = self.layer.digest, images.OCI_LAYER_GZIP
        self.image = self.up.add("team/app", images.image([self.layer]), "v1")
        self.path = "/v2/team/app/blobs/" + self.layer.digest

    def mirror_with(self, **keys):
        return self.shoal({"docker.io": {"urls": [self.up.url], "stall_timeout": "1s", "tag_ttl": "0s", **keys}},
                          {"mirror": {"answer_wait": "8s"}})

    def assert_nothing_bad_kept(self, mirror):
        root = os.path.join(mirror.storage, "blobs", "sha256")
        for folder, _, files in os.walk(root):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    self.assertEqual(hashlib.sha256(f.read()).hexdigest(), name)


class TestBlobFaultOnce(BadCase):
    """The fault happens to the first transfer only: the client must not notice."""

    def ride_out(self, *faults, known_size=True, **keys):
        for number, fault in enumerate(faults):
            self.up.fault("GET", self.layer.digest, times=1, skip=number, **fault)
        mirror = self.mirror_with(**keys)
        if known_size:
            mirror.manifest("team/app", "v1")
        answer = mirror.get(self.path)
        self.assert_sound_blob(answer, self.layer)
        self.assert_sound_blob(mirror.get(self.path), self.layer)
        self.assert_nothing_bad_kept(mirror)
        return mirror

    def second(self):
        return self.up.requests("GET", self.layer.digest)[1]

    def test_reset_in_the_middle_is_resumed_by_range(self):
        self.ride_out({"reset_at": 2 * MB})
        begin = int(self.second().headers["range"].split("=")[1].split("-")[0])
        self.assertGreater(begin, 0)
        self.assertLessEqual(begin, 2 * MB)

    def test_truncation_is_resumed_by_range(self):
        self.ride_out({"truncate_at": 2 * MB})
        self.assertEqual(self.second().headers["range"], "bytes=%d-" % (2 * MB))
        self.assertLess(self.up.body_bytes(self.layer.digest), self.layer.size + 200_000)

    def test_reset_before_the_head(self):
        self.ride_out({"reset": True})

    def test_closed_before_the_head(self):
        self.ride_out({"close": True}, {"close": True})

    def test_503_burst(self):
        self.ride_out(*[{"status": 503}] * 3)

    def test_429_burst_with_retry_after(self):
        self.ride_out(*[{"status": 429, "headers": {"Retry-After": "1"}}] * 2)

    def test_reset_burst(self):
        self.ride_out({"reset": True}, {"reset_at": 1 * MB}, {"reset_at": 2 * MB})

    def test_500_then_html(self):
        self.ride_out({"status": 500}, {"replace": (b"<html>please log in</html>", "text/html")})

    def test_html_page_with_200(self):
        self.ride_out({"replace": (b"<html>please log in</html>", "text/html")})

    def test_consistent_but_short(self):
        self.ride_out({"short": 1 * MB})

    def test_content_length_too_big(self):
        self.ride_out({"length_delta": 1000})

    def test_content_length_too_small(self):
        self.ride_out({"length_delta": -1000})

    def test_stall_is_noticed_and_resumed(self):
        with self.within(6):
            self.ride_out({"stall_at": 1 * MB})
        self.assertIn("range", self.second().headers)

    def test_hang_before_the_head(self):
        with self.within(8):
            self.ride_out({"hang": True}, first_byte_timeout="1s")

    def test_one_byte_a_second_is_a_stall(self):
        with self.within(10):
            self.ride_out({"rate": 1}, min_rate="64KiB")

    def test_wrong_byte_in_a_small_blob_is_healed(self):
        small = self.up.add_blob("team/app", images.random_blob(50_000))
        self.up.fault("GET", small.digest, times=1, flip_at=100)
        mirror = self.mirror_with()
        self.assert_sound_blob(mirror.blob("team/app", small.digest), small)

    def test_ignored_range_after_a_break(self):
        self.up.fault("GET", self.layer.digest, skip=1, ignore_range=True)
        self.ride_out({"truncate_at": 1 * MB})

    def test_wrong_range_after_a_break(self):
        self.up.fault("GET", self.layer.digest, skip=1, times=1, headers={"Content-Range": "bytes 0-99/100"})
        self.ride_out({"truncate_at": 1 * MB})

    def test_unknown_size_and_a_reset(self):
        self.ride_out({"reset_at": 1 * MB}, known_size=False)


class TestBlobFaultSeen(BadCase):
    """Damage that the client must see as a broken transfer, and the next client not at all."""

    def test_early_wrong_byte_never_completes(self):
        self.up.fault("GET", self.layer.digest, times=1, flip_at=1000)
        mirror = self.mirror_with()
        mirror.manifest("team/app", "v1")
        self.assert_not_complete(mirror.get(self.path), self.layer)
        self.assert_sound_blob(mirror.get(self.path), self.layer)
        self.assert_nothing_bad_kept(mirror)

    def test_late_wrong_byte_never_completes(self):
        self.up.fault("GET", self.layer.digest, times=1, flip_at=self.layer.size - 10)
        mirror = self.mirror_with()
        mirror.manifest("team/app", "v1")
        self.assert_not_complete(mirror.get(self.path), self.layer)
        self.assert_sound_blob(mirror.get(self.path), self.layer)
        self.assert_nothing_bad_kept(mirror)

    def test_early_wrong_byte_never_completes_in_a_range_either(self):
        mirror = self.mirror_with()
        mirror.manifest("team/app", "v1")
        self.up.fault("GET", self.layer.digest, times=1, flip_at=self.layer.size - 200_000)
        answer = mirror.get(self.path, {"Range": "bytes=%d-%d" % (self.layer.size - 201_000, self.layer.size - 101)})
        expected = self.layer.data[-201_000:-100]
        if not answer.broken and answer.status == 206:
            self.assertEqual(answer.body, expected)
        self.assert_sound_blob(mirror.get(self.path), self.layer)

    def test_always_corrupt_is_never_complete_and_never_kept(self):
        self.up.fault("GET", self.layer.digest, flip_at=1000)
        mirror = self.mirror_with(retries=2)
        mirror.manifest("team/app", "v1")
        for _ in range(2):
            answer = mirror.get(self.path, timeout=40)
            self.assertTrue(answer.broken or answer.status == 503, answer.status)
        self.assert_nothing_bad_kept(mirror)
        self.assertFalse(mirror.has_blob(self.layer.digest))
        self.up.heal()

        def sound():  # one who joins the last bad attempt may still be cut
            answer = mirror.get(self.path)
            self.assert_not_complete(answer, self.layer)
            return answer.status == 200 and not answer.broken

        procs.wait_until(sound, 15, "sound bytes")

    def test_always_short_is_never_complete(self):
        self.up.fault("GET", self.layer.digest, short=MB)
        mirror = self.mirror_with(retries=2)
        for known in (False, True):
            if known:
                mirror.manifest("team/app", "v1")
            self.assert_not_complete(mirror.get(self.path, timeout=40), self.layer)
        self.assert_nothing_bad_kept(mirror)

    def test_always_html_is_503(self):
        self.up.fault("GET", self.layer.digest, replace=(b"<html>log in</html>", "text/html"))
        mirror = self.mirror_with(retries=2)
        answer = mirror.get(self.path, timeout=40)
        self.assertTrue(answer.broken or answer.status == 503, answer)
        self.assertFalse(mirror.has_blob(self.layer.digest))

    def test_another_url_helps_when_the_first_is_always_corrupt(self):
        good = self.upstream()
        good.add("team/app", self.image, "v1")
        small = images.random_blob(40_000)
        for up in (self.up, good):
            up.add_blob("team/app", small)
        self.up.fault("GET", "/blobs/", flip_at=1000)
        mirror = self.mirror_with(urls=[self.up.url, good.url])
        mirror.manifest("team/app", "v1")
        self.assert_sound_blob(mirror.blob("team/app", small.digest), small)
        self.assert_not_complete(mirror.get(self.path), self.layer)
        self.assert_sound_blob(mirror.get(self.path), self.layer)

    def test_another_url_helps_when_the_first_breaks_off(self):
        good = self.upstream()
        good.add("team/app", self.image, "v1")
        self.up.fault("GET", "/blobs/", reset_at=MB)
        mirror = self.mirror_with(urls=[self.up.url, good.url])
        mirror.manifest("team/app", "v1")
        self.assert_sound_blob(mirror.get(self.path), self.layer)

    def test_stalled_fetch_does_not_make_later_clients_wait(self):
        self.up.fault("GET", self.layer.digest, times=1, stall_at=MB)
        mirror = self.mirror_with(stall_timeout="2s")
        mirror.manifest("team/app", "v1")
        with mirror.stream(self.path) as first:
            first.read(MB - 70_000)
            time.sleep(1)
            with self.within(5):
                self.assert_sound_blob(mirror.get(self.path), self.layer)
            first.read_all()
        self.assertEqual(images.digest_of(first.got), self.layer.digest)


class TestManifestFaults(BadCase):
    def ride_out(self, *faults, reference="v1", **keys):
        for number, fault in enumerate(faults):
            self.up.fault(None, "/manifests/", times=1, skip=number, **fault)
        mirror = self.mirror_with(**keys)
        reference = self.image.digest if reference == "digest" else reference
        self.assert_sound_manifest(mirror.manifest("team/app", reference), self.image)
        self.assert_sound_manifest(mirror.manifest("team/app", reference), self.image)
        return mirror

    def test_503_burst_on_a_tag(self):
        self.ride_out(*[{"status": 503}] * 3)

    def test_503_burst_on_a_digest(self):
        self.ride_out(*[{"status": 503}] * 3, reference="digest")

    def test_429_burst_with_retry_after(self):
        self.ride_out(*[{"status": 429, "headers": {"Retry-After": "1"}}] * 2)

    def test_reset_burst(self):
        self.ride_out({"reset": True}, {"reset_at": 50}, {"truncate_at": 100})

    def test_502_504_and_close(self):
        self.ride_out({"status": 502}, {"status": 504}, {"close": True})

    def test_wrong_manifest_for_a_digest_once(self):
        wrong = images.small_image("wrong")
        self.ride_out({"replace": (wrong.data, wrong.media_type)}, reference="digest")

    def test_wrong_manifest_for_a_digest_always(self):
        wrong = images.small_image("wrong")
        self.up.fault(None, "/manifests/sha256", replace=(wrong.data, wrong.media_type))
        mirror = self.mirror_with(retries=1)
        for _ in range(2):
            self.assert_unavailable(mirror.manifest("team/app", self.image.digest), "docker.io")
        self.up.heal()
        self.assert_sound_manifest(mirror.manifest("team/app", self.image.digest), self.image)

    def bad_tag(self, body, content_type):
        self.up.fault("GET", "/manifests/v1", replace=(body, content_type))
        mirror = self.mirror_with(retries=1)
        answer = mirror.manifest("team/app", "v1")
        self.assert_unavailable(answer, "docker.io")
        self.up.heal()
        self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)
        return mirror

    def test_html_page_under_a_tag(self):
        self.bad_tag(b"<html>please log in</html>", "text/html")

    def test_broken_json_under_a_tag(self):
        self.bad_tag(self.image.data[:-20], self.image.media_type)

    def test_empty_body_under_a_tag(self):
        self.bad_tag(b"", self.image.media_type)

    def test_json_that_is_no_manifest_under_a_tag(self):
        self.bad_tag(b'[1,2,3]', self.image.media_type)

    def test_huge_manifest_is_refused(self):
        self.bad_tag(b'{"schemaVersion":2,"x":"' + b"a" * (5 * MB) + b'"}', self.image.media_type)

    def test_deeply_nested_manifest_is_refused(self):
        self.bad_tag(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, self.image.media_type)

    def test_bad_manifest_keeps_the_good_cached_tag(self):
        mirror = self.mirror_with(retries=1)
        self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)
        self.up.add("team/app", images.small_image("new"), "v1")
        self.up.fault("GET", "/manifests/", replace=(b"<html>", "text/html"))
        with self.within(6):
            self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)

    def test_wrong_digest_header_is_not_believed(self):
        self.up.fault("GET", "/manifests/", headers={"Docker-Content-Digest": "sha256:" + "0" * 64})
        mirror = self.mirror_with(retries=1)
        answer = mirror.manifest("team/app", "v1")
        if answer.status == 200:
            self.assert_sound_manifest(answer, self.image)
        else:
            self.assert_unavailable(answer, "docker.io")

    def test_hanging_manifest_is_answered_in_time(self):
        self.up.fault(None, "/manifests/", hang=True)
        mirror = self.mirror_with(first_byte_timeout="2s", retries=1)
        with self.within(12):
            self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")

    def test_garbage_instead_of_http(self):
        self.up.fault(None, "/manifests/", times=1, headers={"Bad\r\nHeader": "x\0y"})
        mirror = self.mirror_with()
        self.assertIn(mirror.manifest("team/app", "v1").status, (200, 503))
        self.up.heal()
        self.assert_sound_manifest(mirror.manifest("team/app", "v1"), self.image)


if __name__ == "__main__":
    unittest.main()
