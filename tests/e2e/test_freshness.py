"""Tags: TTL, revalidation by HEAD, stale by policy, negative cache; per upstream, over restarts."""

import time
import unittest

from lib import case, images, procs


class FreshnessCase(case.Case):
    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.old = self.up.add("team/app", images.small_image("old"), "v1")

    def mirror_with(self, **policy):
        return self.shoal({"docker.io": {"urls": [self.up.url], **policy}})

    def get(self, mirror, reference="v1"):
        return mirror.manifest("team/app", reference)

    def move_tag(self):
        return self.up.add("team/app", images.small_image("new"), "v1")


class TestTtl(FreshnessCase):
    def test_fresh_tag_is_served_without_asking(self):
        mirror = self.mirror_with(tag_ttl="60s")
        self.get(mirror)
        self.up.forget()
        self.move_tag()
        for _ in range(5):
            answer = self.get(mirror)
            self.assert_sound_manifest(answer, self.old)
        self.assertEqual(self.up.count(), 0)
        self.assertRegex(case.cache_status(answer), r"^shoal; ?hit")
        self.assertTrue(answer.headers.get("age", "").isdigit(), answer.headers)

    def test_unchanged_tag_is_checked_by_head_alone(self):
        mirror = self.mirror_with(tag_ttl="1s")
        self.get(mirror)
        self.up.forget()
        time.sleep(1.2)
        self.assert_sound_manifest(self.get(mirror), self.old)
        self.assertEqual((self.up.count("HEAD"), self.up.count("GET")), (1, 0))
        self.assert_sound_manifest(self.get(mirror), self.old)  # fresh again
        self.assertEqual(self.up.count(), 1)

    def test_moved_tag_is_followed_within_its_ttl(self):
        mirror = self.mirror_with(tag_ttl="1s")
        self.get(mirror)
        new = self.move_tag()
        time.sleep(1.2)
        self.assert_sound_manifest(self.get(mirror), new)
        self.assert_sound_manifest(self.get(mirror, self.old.digest), self.old)

    def test_zero_ttl_asks_each_time(self):
        mirror = self.mirror_with(tag_ttl="0s")
        self.get(mirror)
        new = self.move_tag()
        self.assert_sound_manifest(self.get(mirror), new)

    def test_digest_is_never_asked_again(self):
        mirror = self.mirror_with(tag_ttl="0s")
        self.get(mirror)
        self.up.forget()
        self.assert_sound_manifest(self.get(mirror, self.old.digest), self.old)
        self.assertEqual(self.up.count(), 0)

    def test_tag_deleted_upstream_is_gone_after_its_ttl(self):
        mirror = self.mirror_with(tag_ttl="1s")
        self.get(mirror)
        self.up.remove_tag("team/app", "v1")
        self.assert_sound_manifest(self.get(mirror), self.old)
        time.sleep(1.2)
        self.assert_oci_error(self.get(mirror), 404, "MANIFEST_UNKNOWN")

    def test_each_upstream_has_its_own_policy(self):
        other = self.upstream()
        other.add("team/app", images.small_image("other"), "v1")
        mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "60s"},
                             "quay.test": {"urls": [other.url], "tag_ttl": "0s"}})
        for _ in range(3):
            mirror.manifest("docker.io/team/app", "v1")
            mirror.manifest("quay.test/team/app", "v1")
        self.assertEqual(self.up.count(), 1)
        self.assertGreaterEqual(other.count(), 3)

    def test_freshness_survives_a_restart(self):
        mirror = self.mirror_with(tag_ttl="60s")
        self.get(mirror)
        mirror.restart()
        self.up.forget()
        self.assert_sound_manifest(self.get(mirror), self.old)
        self.assertEqual(self.up.count(), 0)


class TestStale(FreshnessCase):
    def test_stale_while_revalidate_answers_at_once_and_refreshes_behind(self):
        mirror = self.mirror_with(tag_ttl="1s", stale_while_revalidate="60s")
        self.get(mirror)
        new = self.move_tag()
        time.sleep(1.2)
        self.up.fault(delay=1)
        with self.within(0.5):
            self.assert_sound_manifest(self.get(mirror), self.old)
        procs.wait_until(lambda: self.get(mirror).body == new.data, 6, "the refresh behind")

    def test_stale_if_error_serves_the_old_tag_and_says_so(self):
        mirror = self.mirror_with(tag_ttl="1s", revalidate_wait="1s")
        self.get(mirror)
        time.sleep(1.2)
        self.up.fault(status=503)
        answer = self.get(mirror)
        self.assert_sound_manifest(answer, self.old)
        self.assertGreaterEqual(int(answer.headers.get("age", "-1")), 1)
        self.assertIn("shoal", case.cache_status(answer))
        self.assertRegex(case.cache_status(answer), r"stale|hit|fwd")

    def test_after_stale_if_error_it_is_503_naming_the_upstream(self):
        mirror = self.mirror_with(tag_ttl="1s", stale_if_error="1s", revalidate_wait="1s", retries=1)
        self.get(mirror)
        time.sleep(2.5)
        self.up.fault(status=503)
        self.assert_unavailable(self.get(mirror), "docker.io")
        self.assert_sound_manifest(self.get(mirror, self.old.digest), self.old)

    def test_slow_upstream_does_not_hold_a_stale_tag_longer_than_revalidate_wait(self):
        mirror = self.mirror_with(tag_ttl="1s", revalidate_wait="500ms")
        self.get(mirror)
        time.sleep(1.2)
        self.up.fault(delay=5)
        with self.within(2):
            self.assert_sound_manifest(self.get(mirror), self.old)

    def test_moved_tag_whose_new_manifest_fails_keeps_the_old_one(self):
        mirror = self.mirror_with(tag_ttl="1s", revalidate_wait="1s", retries=1)
        self.get(mirror)
        self.move_tag()
        time.sleep(1.2)
        self.up.fault("GET", status=500)
        self.assert_sound_manifest(self.get(mirror), self.old)


class TestNegative(FreshnessCase):
    def test_not_found_is_remembered_briefly(self):
        mirror = self.mirror_with(negative_ttl="2s")
        self.assert_oci_error(self.get(mirror, "later"), 404, "MANIFEST_UNKNOWN")
        asked = self.up.count()
        self.assert_oci_error(self.get(mirror, "later"), 404, "MANIFEST_UNKNOWN")
        self.assertEqual(self.up.count(), asked)
        new = self.up.add("team/app", images.small_image("later"), "later")
        time.sleep(2.2)
        self.assert_sound_manifest(self.get(mirror, "later"), new)

    def test_blob_not_found_is_remembered_briefly(self):
        mirror = self.mirror_with(negative_ttl="60s")
        for _ in range(3):
            self.assert_oci_error(mirror.blob("team/app", "sha256:" + "0" * 64), 404, "BLOB_UNKNOWN")
        self.assertLessEqual(self.up.count(pattern="0" * 64), 2)

    def test_a_failure_is_not_remembered_as_not_found(self):
        mirror = self.mirror_with(retries=0, negative_ttl="60s")
        fault = self.up.fault(status=500)
        self.assert_unavailable(self.get(mirror), "docker.io")
        fault.remove()
        procs.wait_until(lambda: self.get(mirror).status == 200, 10, "the mirror to ask again")

    def test_not_found_survives_a_restart(self):
        mirror = self.mirror_with(negative_ttl="60s")
        self.get(mirror, "nope")
        mirror.restart()
        self.up.forget()
        self.assert_oci_error(self.get(mirror, "nope"), 404, "MANIFEST_UNKNOWN")
        self.assertEqual(self.up.count(), 0)


if __name__ == "__main__":
    unittest.main()
