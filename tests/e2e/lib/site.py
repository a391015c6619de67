"""Nodes of one site, and a neighbour that the test plays itself."""

import hashlib
import hmac
import http.client
import http.server
import json
import os
import random
import secrets
import socket
import threading
import time
import urllib.parse

from .shoal import merge

SECRET = "a secret of this site, for tests"


def free_ports(count):
    """Below those that the kernel gives to outgoing connections (32768 to 60999): one of these would be in the way of a
    node that is started again."""
    held = []
    while len(held) < count:
        try:
            held.append(socket.create_server(("127.0.0.1", random.randrange(20_000, 32_000))))
        except OSError:
            continue
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Site:
    """`count` nodes; the first `trackers` of them are named as trackers. `p2p`: further keys for all of them, `more`:
    sections, `each`: function(number) to those of one. `prefix`: of their names, where a test has several sites.
    `options`: as for case.shoal; `place`: function(number) to those of one."""

    def __init__(self, case, upstreams, count, trackers=2, p2p=None, start=True, more=None, each=None, prefix="", place=None,
                 **options):
        self.case = case
        secret = os.path.join(case.dir, prefix + "site.secret")
        with open(secret, "w") as f:
            f.write(SECRET)
        os.chmod(secret, 0o600)
        self.secret_file = secret
        self.ports = free_ports(count)
        self.trackers = ["127.0.0.1:%d" % port for port in self.ports[:trackers]]
        self.p2p = {"enabled": True, "secret_file": secret, "allow": ["127.0.0.0/8"], "trackers": self.trackers,
                    **(p2p or {})}
        self.nodes = []
        for number, port in enumerate(self.ports):
            keys = {"server": {"listen": ["127.0.0.1:%d" % port]}, "p2p": dict(self.p2p), **(more or {})}
            if each:
                merge(keys, each(number))
            self.nodes.append(case.shoal(upstreams, keys, start=False, name="%snode%d" % (prefix, number),
                                         **(place(number) if place else {}), **options))
        if start:
            for node in self.nodes:
                node.start()
            self.wait_for_peers()

    def __getitem__(self, number):
        return self.nodes[number]

    def __len__(self):
        return len(self.nodes)

    def wait_for_peers(self, timeout=15):
        """Until every node that runs knows all others that do."""
        running = [node for node in self.nodes if node.alive()]
        end = time.monotonic() + timeout
        while any(node.metric("shoal_p2p_peers") < len(running) - 1 for node in running):
            if time.monotonic() > end:
                raise AssertionError("the nodes do not know each other: %s" %
                                     [node.metric("shoal_p2p_peers") for node in running])
            time.sleep(0.05)


def seal_request(method, host, target, node, body=b"", secret=SECRET, at=None, nonce=None):
    """The header of src/p2p/seal.h, made from its description."""
    at = int((time.time() if at is None else at) * 1000)
    nonce = nonce or secrets.token_hex(16)
    text = "v1\nrequest\n%s\n%s%s\n%s\n%d\n%s\n%s" % (method, host, target, node, at, nonce,
                                                  hashlib.sha256(body).hexdigest())
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return "v1 %s %d %s %s" % (node, at, nonce, mac), nonce


def seal_answer(nonce, status, text, secret=SECRET):
    line = "v1\nanswer\n%s\n%d\n%s" % (nonce, status, hashlib.sha256(text).hexdigest())
    return "v1 " + hmac.new(secret.encode(), line.encode(), hashlib.sha256).hexdigest()


def map_frame(nonce, number, kind, payload, secret=SECRET):
    """A frame of src/p2p/map_frames.h."""
    seal = seal_answer(nonce, number, b"map\n" + kind + payload, secret).encode()
    return kind + len(payload).to_bytes(4, "big") + payload + seal


class Neighbour:
    """A node that the test plays: it announces what it likes and serves `blobs`: {digest: bytes or function(handler)}."""

    def __init__(self, secret=SECRET, ip="127.0.0.1"):
        self.id = secrets.token_hex(16)
        self.secret = secret
        self.ip = ip
        self.blobs = {}
        self.maps = {}  # {digest: function(handler, nonce)}, which answers GET /p2p/v1/pieces/
        self.swarm_port = 0
        self.asked = []
        neighbour = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                neighbour.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((ip, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = "http://%s:%d" % (ip, self.port)

    def start(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def call(self, address, method, target, body=b"", headers=None, seal=True, tls=None):
        """`tls`: an ssl.SSLContext."""
        host = "%s:%d" % address
        sent = dict(headers or {})
        if seal:
            sent["Shoal-Seal"], _ = seal_request(method, host, target, self.id, body, self.secret)
        own = (self.ip, 0)
        connection = (http.client.HTTPSConnection(*address, timeout=10, context=tls, source_address=own) if tls else
                      http.client.HTTPConnection(*address, timeout=10, source_address=own))
        try:
            connection.request(method, target, body or None, sent)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def describe(self):
        return {"id": self.id, "url": self.url, "zone": "", "port": self.swarm_port}

    def announce(self, address, seen=0, **lists):
        body = json.dumps({"node": self.describe(), "fetching": [], "have": [], "gone": [], "seen": seen,
                           "leaving": False, **lists}).encode()
        status, answer = self.call(address, "POST", "/p2p/v1/announce", body, {"Content-Type": "application/json"})
        return status, json.loads(answer)

    def serve(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        digest = url.path.rsplit("/", 1)[1]
        query = dict(urllib.parse.parse_qsl(url.query))
        self.asked.append(handler.path)
        nonce = handler.headers["Shoal-Seal"].split()[3]
        if url.path.startswith("/p2p/v1/pieces/") and digest in self.maps:
            return self.maps[digest](handler, nonce)
        data = self.blobs.get(digest)
        if data is None:
            handler.send_response(404)
            handler.send_header("Shoal-Seal", seal_answer(nonce, 404, b"\n", self.secret))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        offset = int(query.get("offset", 0))
        text = "1\n%d\n%d" % (offset, len(data))
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) - offset))
        handler.send_header("Shoal-Offset", str(offset))
        handler.send_header("Shoal-Size", str(len(data)))
        handler.send_header("Shoal-Proven", "1")
        handler.send_header("Shoal-Seal", seal_answer(nonce, 200, text.encode(), self.secret))
        handler.end_headers()
        handler.wfile.write(data[offset:])
