"""Upstream is away: what is cached pulls on, quickly; what is not is 503 with a reason, never 404."""

import time
import unittest

from lib import case, images

TAG_LIMIT = 4.0   # seconds for a tag; blobs and manifests by digest: 2


class TestOutage(case.Case):
    limit = 100

    def setUp(self):
        super().setUp()
        self.up = self.upstream()
        self.image = self.up.add("team/app", images.multi_platform("cached"), "v1")
        self.mirror = self.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "0s", "first_byte_timeout": "3s",
                                                "connect_timeout": "2s"}},
                                 {"mirror": {"answer_wait": "6s"}})
        self.assert_pull(self.mirror, "team/app", "v1", self.image)

    def pull_in_time(self):
        for _ in range(2):
            with self.within(TAG_LIMIT):
                self.assert_sound_manifest(self.mirror.manifest("team/app", "v1"), self.image)
        with self.within(TAG_LIMIT):
            self.assertEqual(self.mirror.head("/v2/team/app/manifests/v1").status, 200)
        for manifest in self.image.all_manifests():
            with self.within(2):
                self.assert_sound_manifest(self.mirror.manifest("team/app", manifest.digest), manifest)
        for blob in self.image.all_blobs():
            with self.within(2):
                self.assert_sound_blob(self.mirror.blob("team/app", blob.digest), blob)

    def outage(self, break_it):
        break_it()
        self.pull_in_time()
        self.mirror.restart()
        self.pull_in_time()
        with self.within(12):
            unknown = self.mirror.manifest("team/app", "never-seen")
        if unknown.status != 429:
            self.assert_unavailable(unknown, "docker.io")
        with self.within(12):
            blob = self.mirror.blob("team/app", "sha256:" + "5" * 64)
        if blob.status != 429:
            self.assert_unavailable(blob, "docker.io")

    def test_refused(self):
        self.outage(self.up.refuse)

    def test_hanging(self):
        self.outage(lambda: self.up.fault(hang=True))

    def test_500(self):
        self.outage(lambda: self.up.fault(status=500))

    def test_502(self):
        self.outage(lambda: self.up.fault(status=502, body=b"<html>bad gateway</html>",
                                          headers={"Content-Type": "text/html"}))

    def test_503(self):
        self.outage(lambda: self.up.fault(status=503))

    def test_504(self):
        self.outage(lambda: self.up.fault(status=504))

    def test_429(self):
        self.outage(lambda: self.up.fault(status=429, headers={"Retry-After": "60"}))

    def test_reset(self):
        self.outage(lambda: self.up.fault(reset=True))

    def test_upstream_comes_back_and_is_asked_again(self):
        self.up.refuse()
        self.pull_in_time()
        new = self.up.add("team/app", images.multi_platform("new"), "v1")
        self.up.listen_again()
        deadline = time.monotonic() + 15
        while self.mirror.manifest("team/app", "v1").body != new.data:
            self.assertLess(time.monotonic(), deadline, "the mirror never noticed that upstream is back")
            time.sleep(0.3)
        self.assert_pull(self.mirror, "team/app", "v1", new)

    def test_names_that_do_not_resolve_are_503(self):
        mirror = self.shoal({"docker.io": "http://does-not-exist.invalid"}, name="nodns")
        with self.within(15):
            self.assert_unavailable(mirror.manifest("team/app", "v1"), "docker.io")

    def test_tag_list_of_an_upstream_that_is_away_is_503_or_what_is_known(self):
        self.up.refuse()
        with self.within(12):
            answer = self.mirror.get("/v2/team/app/tags/list")
        if answer.status == 200:
            self.assertIn("v1", answer.json()["tags"])
        else:
            self.assert_unavailable(answer, "docker.io")


if __name__ == "__main__":
    unittest.main()
