"""Webhooks: what happens to content reaches a real HTTP receiver, in both formats, whatever the receiver does and
whenever the node is killed."""

import hashlib
import hmac
import json
import os
import socket
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib import case, images, procs, tls, wire
from test_push import MANIFEST, PushCase

SECRET = "s3cret-of-the-receiver"
TOKEN = "Bearer t0ken-of-the-receiver"


class Receiver:
    """Takes events and remembers them; `answer` (status, headers) while that is not 200; `hang` holds every request."""

    def __init__(self, context=None):
        self.requests = []
        self.answer = (200, {})
        self.hang = False
        self.released = threading.Event()
        self.context = context
        self.port = 0
        self.server = None
        self.connections = []

    def start(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = receiver.answer
                if receiver.hang:
                    receiver.released.wait(60)
                    status, headers = receiver.answer
                receiver.requests.append((time.monotonic(), status, dict(self.headers.items()), body))
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # nobody waits for it any more

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

            def process_request(self, connection, address):
                receiver.connections.append(connection)
                super().process_request(connection, address)

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.context:
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.released.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        for connection in self.connections:  # those that were kept alive
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections = []

    @property
    def url(self):
        return "%s://127.0.0.1:%d/hook" % ("https" if self.context else "http", self.port)

    def taken(self):
        """Events of the requests that were answered with 200, in order."""
        events = []
        for _, status, _, body in list(self.requests):
            if status == 200:
                data = json.loads(body)
                events += data["events"] if isinstance(data, dict) and "events" in data else \
                    data if isinstance(data, list) else [data]
        return events

    def texts(self):
        """push team/app:1, ... of Distribution's events."""
        return ["%s %s%s" % (e["action"], e["target"].get("repository", ""),
                             ":" + e["target"]["tag"] if "tag" in e["target"] else "") for e in self.taken()]

    def wait_for(self, count, timeout=20):
        procs.wait_until(lambda: len(self.taken()) >= count, timeout, "%d events at the receiver" % count)
        return self.taken()


class Notified(PushCase):
    endpoint = {}

    def setUp(self):
        case.Case.setUp(self)
        self.receiver = self.server(Receiver())
        self.node = self.shoal({}, {"hosted": ["**"], "notifications": {
            "source": "edge-7", "endpoints": {"ci": self.to(self.receiver)}}})
        self.repository = "team/app"

    def to(self, receiver, **more):
        return {"url": receiver.url, "backoff": "50ms", "max_backoff": "200ms", "timeout": "5s", **self.endpoint, **more}

    def admin(self, path, method="GET"):
        return wire.request(("127.0.0.1", self.node.admin_port), method, "/api/v1/" + path, {"X-Shoal": "1"})

    def status(self, name="ci"):
        endpoints = self.admin("notifications").json()["endpoints"]
        return [each for each in endpoints if each["name"] == name][0]

    def push_image(self, tag):
        config = self.push(b"{}")
        data = self.manifest(config, annotations={"tag": tag})
        self.assertEqual(self.put(tag, data).status, 201)
        return digest_of(data), data


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class TestWhatIsTold(Notified):
    endpoint = {"blobs": True}

    def test_push_pull_mount_delete_in_distributions_envelope(self):
        digest, data = self.push_image("1")
        self.assertEqual(self.ask("GET", self.path("manifests/1"), headers={"User-Agent": "tester/1"}).status, 200)
        self.assertEqual(self.ask("HEAD", self.path("manifests/1")).status, 200)
        mount = self.path("blobs/uploads/?mount=%s&from=team/app" % digest_of(b"{}"), "team/other")
        self.assertEqual(self.ask("POST", mount).status, 201)
        self.assertEqual(self.ask("DELETE", self.path("manifests/1")).status, 202)
        self.assertEqual(self.ask("DELETE", self.path("manifests/" + digest)).status, 202)
        events = self.receiver.wait_for(6)
        self.assertEqual(self.receiver.texts(), ["push team/app", "push team/app:1", "pull team/app:1",
                                                 "mount team/other", "delete team/app:1", "delete team/app"])
        pushed, pulled = events[1], events[2]
        self.assertEqual(pushed["target"], {
            "mediaType": MANIFEST, "digest": digest, "size": len(data), "length": len(data), "repository": "team/app",
            "url": "%s/v2/team/app/manifests/%s" % (self.node.url, digest), "tag": "1"})
        self.assertEqual(pulled["request"]["useragent"], "tester/1")
        self.assertEqual(pulled["request"]["method"], "GET")
        self.assertEqual(pulled["request"]["addr"], "127.0.0.1")
        self.assertEqual(pulled["source"]["addr"], "edge-7")
        self.assertEqual(events[3]["target"]["fromRepository"], "team/app")
        self.assertEqual(len({event["id"] for event in events}), 6)
        types = {headers["Content-Type"] for _, _, headers, _ in self.receiver.requests}
        self.assertEqual(types, {"application/vnd.docker.distribution.events.v2+json"})

    def test_what_the_operator_removes_is_told_too(self):
        self.push_image("1")
        self.receiver.wait_for(2)
        self.assertEqual(self.admin("images/team/app?tag=1", "DELETE").status, 200)
        event = self.receiver.wait_for(3)[2]
        self.assertEqual((event["action"], event["target"]["tag"], event["shoal"]["reason"]), ("delete", "1", "admin"))


class TestCache(case.Case):
    def test_fills_and_evictions_as_cloud_events(self):
        up = self.upstream()
        layers = [up.add("team/app%d" % i, images.small_image("n%d" % i, layer_size=400_000), "v1").layers()[0]
                  for i in range(8)]
        receiver = self.server(Receiver())
        node = self.shoal({"docker.io": up}, {"storage": {"max_size": "2MiB"}, "notifications": {"endpoints": {"cache": {
            "url": receiver.url, "format": "cloudevents", "events": ["fill", "evict"]}}}})
        for i, layer in enumerate(layers):
            self.assert_sound_blob(node.get("/v2/team/app%d/blobs/%s" % (i, layer.digest)), layer)

        def kinds():
            return [e["type"] for e in receiver.taken()]
        procs.wait_until(lambda: kinds().count("dev.shoal.blob.fill") == len(layers) and "dev.shoal.blob.evict" in kinds(), 20,
                         "fills and an eviction")
        events = receiver.taken()
        first = "docker.io/team/app0@" + layers[0].digest  # asked for first; which is stored first is another matter
        [fill] = [e for e in events if e["type"] == "dev.shoal.blob.fill" and e["subject"] == first]
        self.assertEqual((fill["specversion"], fill["datacontenttype"]), ("1.0", "application/json"))
        self.assertEqual(fill["data"]["target"]["size"], layers[0].size)
        self.assertEqual(fill["data"]["shoal"]["upstream"], "docker.io")
        self.assertIn("durationMs", fill["data"]["shoal"])
        evicted = [e for e in events if e["type"] == "dev.shoal.blob.evict"][0]
        self.assertEqual(evicted["data"]["shoal"], {"object": "blob", "reason": "space"})
        self.assertIn(evicted["subject"], {layer.digest for layer in layers})
        for _, _, headers, body in receiver.requests:
            self.assertEqual(headers["Content-Type"], "application/cloudevents+json")
            self.assertIsInstance(json.loads(body), dict)


class TestReceiversThatFail(Notified):
    limit = 90

    def test_each_kind_of_failure_then_recovery(self):
        def broken(change):
            change()
            before = self.status()["failed_requests"]
            delivered = self.status()["delivered"]
            tag = "t%d" % delivered
            self.push_image(tag)
            procs.wait_until(lambda: self.status()["failed_requests"] > before, 20, "a failed request")
            self.assertFalse(self.status()["ok"])
            return tag, self.status()["last_error"]

        def recovered(tag):
            self.receiver.answer = (200, {})
            procs.wait_until(lambda: "push team/app:" + tag in self.receiver.texts(), 20, tag + " to arrive")
            procs.wait_until(lambda: self.status()["ok"] and self.status()["pending"] == 0, 20, "an empty queue")

        self.push_image("first")
        self.receiver.wait_for(1)
        tag, why = broken(lambda: setattr(self.receiver, "answer", (503, {})))
        self.assertIn("503", why)
        recovered(tag)
        tag, why = broken(lambda: setattr(self.receiver, "answer", (429, {"Retry-After": "2"})))
        refused_at = self.receiver.requests[-1][0]
        recovered(tag)
        arrived = [at for at, status, _, _ in self.receiver.requests if status == 200][-1]
        self.assertGreaterEqual(arrived - refused_at, 1.9, "Retry-After was not honoured")
        tag, why = broken(self.receiver.stop)
        self.assertIn("connect", why)
        self.receiver.start()
        recovered(tag)
        self.assertEqual(self.status()["dead"], 0)
        self.assertEqual(self.node.metric('shoal_notifications_delivered_total{endpoint="ci"}'), 4)

    def test_a_receiver_that_hangs_slows_nobody_and_recovers(self):
        self.receiver.hang = True
        self.push_image("warm-up")
        took = []
        for i in range(30):
            began = time.monotonic()
            self.push_image("t%d" % i)
            took.append(time.monotonic() - began)
        self.assertLess(sorted(took)[len(took) // 2], 0.5 * self.slow())
        self.assertEqual(self.ask("GET", self.path("manifests/t0")).status, 200)
        procs.wait_until(lambda: self.status()["pending"] >= 31, 20, "the events to wait")
        self.receiver.hang = False
        self.receiver.released.set()
        procs.wait_until(lambda: {"push team/app:t%d" % i for i in range(30)} <= set(self.receiver.texts()), 40,
                         "every push to arrive")

    def slow(self):
        from lib import shoal
        return shoal.slow_build()

    def test_a_certificate_of_an_unknown_ca_until_a_reload_names_it(self):
        ca = tls.PrivateCa(self.dir)
        secure = self.server(Receiver(ca.server_context()))
        self.node.config["notifications"]["endpoints"]["secure"] = self.to(secure)
        self.node.write_config()
        self.node.reload()
        procs.wait_until(lambda: len(self.admin("notifications").json()["endpoints"]) == 2, 20, "the reload")
        self.push_image("1")
        procs.wait_until(lambda: "not signed by a known CA" in self.status("secure").get("last_error", ""), 20,
                         "the failure")
        self.receiver.wait_for(1)  # the other endpoint goes on
        self.node.config["notifications"]["endpoints"]["secure"]["ca_file"] = ca.ca_file
        self.node.write_config()
        self.node.reload()
        secure.wait_for(1)
        self.assertEqual(secure.texts(), ["push team/app:1"])

    def test_dead_letters_are_shown_and_retried(self):
        self.receiver.answer = (400, {})
        digest, _ = self.push_image("bad")
        procs.wait_until(lambda: self.status()["dead_letters"] == 1, 20, "a dead letter")
        letters = self.admin("notifications/ci/dead").json()["dead_letters"]
        self.assertEqual(len(letters), 1)
        self.assertEqual(letters[0]["reason"], "the receiver answered 400")
        self.assertEqual(letters[0]["event"]["target"]["digest"], digest)
        self.assertIn("1 dead letters", self.node.cli("status", "--admin",
                                                      "http://127.0.0.1:%d" % self.node.admin_port))
        self.assertEqual(self.node.metric("shoal_notifications_dead_total"), 1)
        self.assertEqual(self.admin("notifications/nobody/dead").status, 404)
        self.assertEqual(self.admin("notifications/nobody/retry", "POST").status, 404)
        self.receiver.answer = (200, {})
        self.assertEqual(self.admin("notifications/ci/retry", "POST").json()["queued"], 1)
        self.receiver.wait_for(1)
        self.assertEqual(self.admin("notifications/ci/dead").json()["dead_letters"], [])


class TestCrash(Notified):
    def test_after_kill_9_everything_that_was_queued_arrives(self):
        self.receiver.stop()
        for i in range(40):
            self.push_image("t%d" % i)
        procs.wait_until(lambda: self.status()["pending"] == 40, 20, "all to be queued")
        self.node.kill()
        self.receiver.start()
        self.node.start()
        wanted = {"push team/app:t%d" % i for i in range(40)}
        procs.wait_until(lambda: wanted <= set(self.receiver.texts()), 20, "every event to arrive")

    def kept(self, tags):
        """Those of `tags` whose event is in the queue's files or has arrived. The files first: from there it goes."""
        directory = os.path.join(self.node.storage, "events", "ci")
        queue = b""
        for name in os.listdir(directory):
            if name.startswith("q-"):
                try:
                    with open(os.path.join(directory, name), "rb") as f:
                        queue += f.read()
                except FileNotFoundError:
                    pass  # all of it is delivered
        arrived = {text.rpartition(":")[2] for text in self.receiver.texts()}
        return {tag for tag in tags if tag.encode() in queue or tag in arrived}

    def test_killed_again_and_again_under_way_nothing_is_lost(self):
        self.receiver.answer = (503, {})
        tags = []
        for _ in range(4):
            for _ in range(5):
                tags.append("tag-%02d" % len(tags))
                self.push_image(tags[-1])
            procs.wait_until(lambda: self.kept(tags) == set(tags), 20, "every event to be queued")
            self.receiver.answer = (200, {}) if self.receiver.answer[0] == 503 else (503, {})
            self.node.kill()
            self.node.start()
        self.receiver.answer = (200, {})
        wanted = {"push team/app:" + tag for tag in tags}
        procs.wait_until(lambda: wanted <= set(self.receiver.texts()), 30, "every event to arrive")

    def test_a_damaged_queue_does_not_keep_the_node_from_starting(self):
        self.receiver.stop()
        for i in range(5):
            self.push_image("t%d" % i)
        procs.wait_until(lambda: self.status()["pending"] == 5, 20, "all to be queued")
        self.node.kill()
        directory = os.path.join(self.node.storage, "events", "ci")
        segment = [name for name in os.listdir(directory) if name.startswith("q-")][0]
        with open(os.path.join(directory, segment), "r+b") as f:
            f.truncate(os.path.getsize(f.name) - 3)
        self.receiver.start()
        self.node.start()
        self.receiver.wait_for(4)
        self.assertEqual(self.receiver.texts(), ["push team/app:t%d" % i for i in range(4)])
        self.assertIn("were not whole", self.node.stderr())
        self.push_image("next")
        self.receiver.wait_for(5)


class TestBound(Notified):
    endpoint = {"queue_size": "64KiB", "events": ["pull"]}

    def test_a_full_queue_drops_the_newest_counts_and_goes_on(self):
        self.receiver.stop()
        self.push_image("1")
        for _ in range(400):
            self.assertEqual(self.ask("GET", self.path("manifests/1")).status, 200)
        procs.wait_until(lambda: self.status()["pending"] + self.status()["dropped"] == 400, 20, "all to be accounted for")
        status = self.status()
        self.assertGreater(status["dropped"], 0)
        self.assertLessEqual(status["pending_bytes"], 64 << 10)
        self.assertEqual(self.node.metric("shoal_notifications_dropped_total"), status["dropped"])
        self.assertIn("its queue is full", self.node.stderr())
        size = sum(os.path.getsize(os.path.join(self.node.storage, "events", "ci", name))
                   for name in os.listdir(os.path.join(self.node.storage, "events", "ci")))
        self.assertLess(size, 80 << 10)
        self.receiver.start()
        self.receiver.wait_for(status["pending"])
        self.assertEqual(len(self.receiver.taken()), status["pending"])


class TestSecrets(Notified):
    def setUp(self):
        case.Case.setUp(self)
        self.receiver = self.server(Receiver())
        self.repository = "team/app"
        for name, text in (("secret", SECRET), ("token", TOKEN), ("url", self.receiver.url + "?key=qu3ry")):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text + "\n")
        self.node = self.shoal({}, {"hosted": ["**"], "notifications": {"endpoints": {"ci": {
            "url_file": os.path.join(self.dir, "url"), "secret_file": os.path.join(self.dir, "secret"),
            "header_files": {"Authorization": os.path.join(self.dir, "token")},
            "header_env": {"X-Env": "HOOK_ENV"}, "headers": {"X-Plain": "seen"}, "backoff": "50ms"}}}},
            env={"HOOK_ENV": "fr0m-env"})

    def test_they_reach_the_receiver_and_nobody_else(self):
        self.push_image("1")
        self.receiver.wait_for(1)
        _, _, headers, body = self.receiver.requests[0]
        self.assertEqual(headers["Authorization"], TOKEN)
        self.assertEqual(headers["X-Env"], "fr0m-env")
        self.assertEqual(headers["X-Plain"], "seen")
        self.assertEqual(headers["X-Shoal-Signature"],
                         "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest())
        self.receiver.stop()
        self.push_image("2")
        procs.wait_until(lambda: not self.status()["ok"], 20, "a failure")
        shown = [self.node.stderr(), self.admin("config").body.decode(), self.admin("status").body.decode(),
                 self.admin("notifications").body.decode(), self.node.get("/metrics").body.decode(),
                 procs.run([os.environ["SHOAL_BIN"], "check", "--print", "--config", self.node.config_file],
                           env={"HOOK_ENV": "fr0m-env"})]
        for text in shown:
            for secret in (SECRET, "t0ken-of", "fr0m-env", "qu3ry"):
                self.assertNotIn(secret, text)
        self.assertIn("seen", shown[1])

    def test_a_new_secret_in_the_same_file_is_taken_up(self):
        with open(os.path.join(self.dir, "secret"), "w") as f:
            f.write("another")
        report = self.admin("reload", "POST").json()
        self.assertEqual(report["applied"], ["notifications.endpoints.ci.secrets"])
        self.push_image("1")
        self.receiver.wait_for(1)
        _, _, headers, body = self.receiver.requests[0]
        self.assertEqual(headers["X-Shoal-Signature"],
                         "sha256=" + hmac.new(b"another", body, hashlib.sha256).hexdigest())


if __name__ == "__main__":
    unittest.main()
