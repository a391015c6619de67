"""Base of all end-to-end tests: a directory, a time limit, and everything started is stopped."""

import faulthandler
import os
import signal
import sys
import time
import unittest

from . import fake_upstream, procs, shoal

faulthandler.enable()


class TimeLimit(AssertionError):
    pass


def _on_alarm(*_):
    raise TimeLimit("the test took too long")


class Case(unittest.TestCase):
    limit = 60  # seconds for one test; stretched under sanitizers
    maxDiff = 2000

    def setUp(self):
        self.dir = procs.make_temp_dir()
        self.addCleanup(procs.remove_tree, self.dir)
        signal.signal(signal.SIGALRM, _on_alarm)
        signal.alarm(int(self.limit * shoal.slow_build()))
        self.addCleanup(signal.alarm, 0)
        self.shoals = []

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        outcome = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            for each in getattr(self, "shoals", []):
                sys.stderr.write("--- log of %s (end) ---\n%s\n" % (each.directory, each.last_log))
        return outcome

    def upstream(self, **more):
        """A started FakeUpstream."""
        up = fake_upstream.FakeUpstream(**more).start()
        self.addCleanup(up.stop)
        return up

    def server(self, server):
        """Starts any fake server, and stops it at the end."""
        server.start()
        self.addCleanup(server.stop)
        return server

    def shoal(self, upstreams, more=None, start=True, **options):
        """A started mirror. A single upstream object or URL is docker.io."""
        if not isinstance(upstreams, dict):
            upstreams = {"docker.io": upstreams}
        prepared = {}
        for name, how in upstreams.items():
            prepared[name] = how.url if hasattr(how, "url") else how
        mirror = shoal.Shoal(self.dir, prepared, more, **options)
        mirror.last_log = ""
        self.shoals.append(mirror)
        self.addCleanup(self._end, mirror)
        if start:
            mirror.start()
        return mirror

    def _end(self, mirror):
        try:
            mirror.stop()
        finally:
            lines = mirror.stderr().splitlines()
            mirror.last_log = "\n".join(line[:400] for line in lines[-60:])
            keep = os.environ.get("SHOAL_E2E_KEEP")
            if keep:
                mirror.keep_files(os.path.join(keep, self.id(), os.path.basename(mirror.directory)))

    # --- checks ---
    def assert_sound_blob(self, response, blob):
        self.assertEqual(response.status, 200, response)
        self.assertFalse(response.broken, "transfer broke after %d of %d bytes" % (len(response.body), blob.size))
        self.assertEqual(len(response.body), blob.size)
        self.assertEqual(response.digest, blob.digest)
        self.assert_headers(response, blob.digest, blob.size)

    def assert_sound_manifest(self, response, manifest):
        self.assertEqual(response.status, 200, response)
        self.assertFalse(response.broken)
        self.assertEqual(response.body, manifest.data)
        self.assertEqual(response.headers.get("content-type"), manifest.media_type)
        self.assert_headers(response, manifest.digest, manifest.size)

    def assert_headers(self, response, digest, size):
        self.assertEqual(response.headers.get("docker-content-digest"), digest)
        self.assertEqual(response.headers.get("content-length"), str(size))
        self.assertEqual(response.headers.get("etag"), '"%s"' % digest)
        self.assertEqual(response.headers.get("accept-ranges"), "bytes")
        self.assertNotIn("content-encoding", response.headers)

    def assert_oci_error(self, response, status, code=None, mentions=()):
        self.assertEqual(response.status, status, response)
        got_code, message = response.error()
        if code:
            self.assertIn(got_code, code if isinstance(code, (tuple, list)) else (code,), response)
        for word in mentions:
            self.assertIn(word, message)
        self.assertTrue(message, "an error says what to do")

    def assert_unavailable(self, response, mentions):
        """503 with Retry-After and an OCI body that names the upstream."""
        self.assert_oci_error(response, 503, mentions=(mentions,))
        self.assertTrue(response.headers.get("retry-after", "").isdigit(), response.headers)

    def assert_not_complete(self, response, blob):
        """An error, or a transfer that is visibly broken; never a complete body of wrong bytes."""
        if response.status in (200, 206) and not response.broken:
            self.assertEqual(response.digest, blob.digest, "wrong bytes were served as complete")

    def assert_pull(self, mirror, repository, reference, manifest, timeout=30):
        """A whole image over HTTP, every byte checked."""
        for response in mirror.pull(repository, reference, timeout):
            self.assertEqual(response.status, 200, response)
            self.assertFalse(response.broken)
            self.assertEqual(response.digest, response.headers["docker-content-digest"])
        first = mirror.manifest(repository, reference)
        self.assert_sound_manifest(first, manifest)

    def within(self, seconds):
        return _Within(self, seconds * shoal.slow_build())


class _Within:
    def __init__(self, case, seconds):
        self.case, self.seconds = case, seconds

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        self.took = time.monotonic() - self.began
        if kind is None and self.took > self.seconds:
            raise AssertionError("took %.2f s, allowed %.2f s" % (self.took, self.seconds))


def cache_status(response):
    return response.headers.get("cache-status", "")
