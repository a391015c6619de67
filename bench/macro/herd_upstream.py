"""The registry that herd.py's nodes fetch from: files under /v2/, in a process of its own, which counts what it was asked
for and what has arrived at those who asked."""
import fcntl
import http.server
import multiprocessing
import os
import pathlib
import re
import struct
import time

from lib import MANIFEST_TYPE

PORT = 80
CHUNK = 128 << 10
SIOCOUTQ = 0x5411  # what the other end has not acknowledged yet


class Upstream:
    def __init__(self, place, root):
        self.place, self.port, self.address = place, PORT, place.address
        self.listener = place.listen(PORT)
        # Shared with the process: GETs of blobs, their body bytes that have arrived, HEADs, who asked last (an IPv4 address).
        self.counts = multiprocessing.Array("q", 4)
        self.process = multiprocessing.get_context("fork").Process(
            target=serve, args=(self.listener, pathlib.Path(root), self.counts), daemon=True)
        self.process.start()

    def reset(self):
        with self.counts:
            self.counts[:] = [0, 0, 0, 0]

    gets = property(lambda self: self.counts[0])
    arrived = property(lambda self: self.counts[1])
    heads = property(lambda self: self.counts[2])

    @property
    def asked_by(self):
        return ".".join(str(byte) for byte in struct.pack("!I", self.counts[3]))

    def stop(self):
        self.process.kill()
        self.process.join()
        self.listener.close()


def serve(listener, root, counts):
    class Handler(RequestHandler):
        pass

    Handler.root, Handler.counts = root, counts
    server = http.server.ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket, server.daemon_threads = listener, True
    server.serve_forever()


class RequestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # the head in one piece

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        if "/blobs/" in self.path:
            with self.counts:
                self.counts[2] += 1
        self.answer(None)

    def do_GET(self):
        is_blob = "/blobs/" in self.path
        if is_blob:
            with self.counts:
                self.counts[0] += 1
                self.counts[3] = struct.unpack("!I", bytes(int(part) for part in self.client_address[0].split(".")))[0]
        self.answer(self.send_counted if is_blob else self.send_plain)

    def answer(self, send):
        path = self.root / self.path.split("?")[0].lstrip("/")
        if self.path == "/v2/" or ".." in self.path or not path.is_file():
            self.send_response(200 if self.path == "/v2/" else 404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        size = path.stat().st_size
        first, end = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and int(asked[1]) < size:
            first, end = int(asked[1]), min(int(asked[2] or size - 1) + 1, size)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", MANIFEST_TYPE if "/manifests/" in self.path else "application/octet-stream")
        self.end_headers()
        self.wfile.flush()
        if send:
            with open(path, "rb") as file:
                send(file.fileno(), first, end)

    def send_plain(self, file, first, end):
        while first < end:
            first += os.sendfile(self.connection.fileno(), file, first, end - first)

    def send_counted(self, file, first, end):
        at = first
        counted = 0

        def count():
            nonlocal counted
            waiting = struct.unpack("i", fcntl.ioctl(self.connection.fileno(), SIOCOUTQ, b"\0\0\0\0"))[0]
            arrived = max(0, at - first - waiting)
            with self.counts:
                self.counts[1] += arrived - counted
            counted = arrived

        try:
            while at < end:
                at += os.sendfile(self.connection.fileno(), file, at, min(CHUNK, end - at))
                count()
            patience = time.monotonic() + 10
            while counted < end - first and time.monotonic() < patience:
                time.sleep(0.001)
                count()
        except OSError:  # the other end is gone: what it acknowledged has arrived
            count()
            self.close_connection = True
