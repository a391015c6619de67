"""A node under load that is killed again and again, and what must be true of it afterwards.

Pushers note what was acknowledged, pullers check every byte they are given. After the last kill everything that was
acknowledged must be there, every file must be what its name says, and every image must be pulled whole.
"""

import hashlib
import http.client
import os
import random
import threading
import time

from . import images, procs
from .site import free_ports

CONFIG = b'{"architecture":"amd64","os":"linux"}'
PUSHED_BYTES = 20 << 20  # by all pushers; then their layers are small, and room stays for mirrored ones
# What a client meets when the node dies beneath it.
BROKEN = (OSError, http.client.HTTPException)


class Pusher(threading.Thread):
    """Pushes blobs and moves a tag to a manifest that names them, in a repository of its own."""

    def __init__(self, loop, number):
        super().__init__(daemon=True)
        self.loop, self.repository, self.random = loop, "own/p%d" % number, random.Random(number)
        self.blobs = {}      # digest -> size, acknowledged
        self.manifests = {}  # digest -> bytes, acknowledged
        self.tagged = []     # digests in the order they were tried as "latest"
        self.acknowledged = -1  # index in `tagged`

    def run(self):
        while not self.loop.done.is_set():
            try:
                self.push_image()
            except BROKEN:
                self.loop.done.wait(0.01)

    def push_image(self):
        room = sum(self.blobs.values()) < PUSHED_BYTES / 2
        layer = self.random.randbytes(self.random.choice((1000, 50_000, 700_000) if room else (500, 1000)))
        parts = [self.push_blob(CONFIG), self.push_blob(layer)]
        if None in parts:
            return
        body = images.render({
            "schemaVersion": 2, "mediaType": images.OCI_MANIFEST,
            "config": {"mediaType": images.OCI_CONFIG, "digest": parts[0], "size": len(CONFIG)},
            "layers": [{"mediaType": images.OCI_LAYER_GZIP, "digest": parts[1], "size": len(layer)}]})
        digest = images.digest_of(body)
        self.tagged.append(digest)
        if self.ask("PUT", "/v2/%s/manifests/latest" % self.repository, body,
                    {"Content-Type": images.OCI_MANIFEST})[0] == 201:
            self.manifests[digest] = body
            self.acknowledged = len(self.tagged) - 1

    def push_blob(self, data):
        digest = images.digest_of(data)
        if self.ask("HEAD", "/v2/%s/blobs/%s" % (self.repository, digest))[0] == 200:
            return digest
        status, headers = self.ask("POST", "/v2/%s/blobs/uploads/" % self.repository)
        if status != 202:
            return None
        if self.ask("PUT", headers["location"] + "?digest=" + digest, data)[0] != 201:
            return None
        self.blobs[digest] = len(data)
        return digest

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.loop.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            response.read()
            self.loop.note_status(response.status)
            return response.status, {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()


class Puller(threading.Thread):
    """Pulls mirrored images; what comes whole must be right."""

    def __init__(self, loop, number):
        super().__init__(daemon=True)
        self.loop, self.random = loop, random.Random(1000 + number)

    def run(self):
        while not self.loop.done.is_set():
            image = self.random.choice(self.loop.images)
            try:
                self.pull(*image)
            except BROKEN:
                self.loop.done.wait(0.01)

    def pull(self, repository, image):
        first = self.loop.node.get("/v2/%s/manifests/v1" % repository, timeout=10)
        self.loop.note_answer(first, image.digest)
        for blob in image.blobs:
            self.loop.note_answer(self.loop.node.get("/v2/%s/blobs/%s" % (repository, blob.digest), timeout=20),
                                  blob.digest)


class CrashLoop:
    def __init__(self, case, seed=1, pushers=2, pullers=3):
        self.case, self.random = case, random.Random(seed)
        self.done, self.lock = threading.Event(), threading.Lock()
        self.pulled = 0
        self.wrong = []  # what must not have been
        self.up = case.upstream()
        self.images = []
        for number in range(24):
            size = (1000, 30_000, 300_000, 2_000_000)[number % 4]
            repository = "team/app%d" % number
            self.images.append((repository, self.up.add(repository, images.small_image(
                "crash%d" % number, layers=2, layer_size=size), "v1")))
        (self.port,) = free_ports(1)
        self.node = case.shoal({"docker.io": {"urls": [self.up.url], "tag_ttl": "1s", "retries": 1}},
                               {"server": {"listen": ["127.0.0.1:%d" % self.port]}, "hosted": ["own/**"],
                                # Pushes and half of what is mirrored: there is eviction, too.
                                "storage": {"max_size": "48MiB"}, "log": {"level": "info", "access": ""}})
        self.workers = [Pusher(self, n) for n in range(pushers)] + [Puller(self, n) for n in range(pullers)]

    @property
    def pushers(self):
        return [worker for worker in self.workers if isinstance(worker, Pusher)]

    def note_status(self, status):
        # 507: layers whose push was cut before the answer take room, too, and are collected much later.
        if status >= 400 and status not in (404, 429, 503, 507):
            with self.lock:
                self.wrong.append("a push was answered %d" % status)

    def note_answer(self, answer, digest):
        with self.lock:
            if answer.status == 200 and not answer.broken:
                self.pulled += 1
                if answer.digest != digest:
                    self.wrong.append("%s was served as %s, %d bytes" % (answer.digest, digest, len(answer.body)))
            elif answer.status not in (0, 200, 503):
                self.wrong.append("a pull of %s was answered %d: %r" % (digest, answer.status, answer.body[:200]))

    def run(self, kills, progress=lambda done: None):
        for worker in self.workers:
            worker.start()
        try:
            for number in range(kills):
                # Mostly at work, sometimes while it starts.
                if self.random.random() < 0.2:
                    time.sleep(self.random.uniform(0, 0.08))
                else:
                    self.wait_until_it_answers()
                    time.sleep(self.random.uniform(0, 0.3))
                self.node.kill()
                if number + 1 < kills:
                    self.spawn()
                progress(number + 1)
        finally:
            self.done.set()
            for worker in self.workers:
                worker.join(60)
        self.node.start()

    def spawn(self):
        """Starts it without waiting."""
        self.node.daemon = procs.Daemon(self.node.command(), self.node.log_file, self.node.env)

    def wait_until_it_answers(self):
        def answers():
            if not self.node.alive():
                raise AssertionError("shoal did not start:\n" + self.node.stderr()[-3000:])
            try:
                return self.node.get("/readyz", timeout=5).status == 200
            except OSError:
                return False

        procs.wait_until(answers, 30, "shoal to be ready again")

    # --- afterwards ---
    def verify(self):
        """Everything that is not as it must be; and what there is, for the report."""
        problems = list(self.wrong)
        for pusher in self.pushers:
            problems += self.verify_pushes(pusher)
        problems += self.verify_files()
        for repository, image in self.images:
            for answer in self.node.pull(repository, "v1"):
                if answer.status != 200 or answer.broken or answer.digest != answer.headers["docker-content-digest"]:
                    problems.append("%s after all kills: %r" % (repository, answer))
        if not self.node.alive():
            problems.append("shoal died during the check")
        return problems

    def verify_pushes(self, pusher):
        for digest, size in pusher.blobs.items():
            answer = self.node.blob(pusher.repository, digest)
            if (answer.status, answer.digest) != (200, digest):
                yield "blob %s (%d bytes) of %s was acknowledged: %r" % (digest, size, pusher.repository, answer)
        for digest, body in pusher.manifests.items():
            answer = self.node.manifest(pusher.repository, digest)
            if (answer.status, answer.body) != (200, body):
                yield "manifest %s of %s was acknowledged: %r" % (digest, pusher.repository, answer)
        if pusher.acknowledged >= 0:
            tag = self.node.manifest(pusher.repository, "latest")
            if tag.status != 200 or tag.digest not in pusher.tagged[pusher.acknowledged:]:
                yield "tag latest of %s is older than what was acknowledged: %r" % (pusher.repository, tag)

    def verify_files(self):
        """Files are named by their content; nothing half-written stands among them."""
        for folder, _, names in os.walk(os.path.join(self.node.storage, "blobs", "sha256")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    if hashlib.sha256(f.read()).hexdigest() != name:
                        yield "file blobs/%s does not hold what its name says" % name

    def report(self):
        return "%d blobs and %d manifests acknowledged, %d answers pulled and checked" % (
            sum(len(p.blobs) for p in self.pushers), sum(len(p.manifests) for p in self.pushers), self.pulled)
