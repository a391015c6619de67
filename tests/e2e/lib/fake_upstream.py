"""A registry that misbehaves on demand. Threads, raw sockets: every byte and every moment is under the test's control.

    up = FakeUpstream(); up.start()
    up.add("library/hello", image, "v1")
    up.fault(path="/blobs/", times=2, status=503)      # the first two blob requests
    up.fault(path=digest, reset_at=4_000_000)          # every answer that passes byte 4,000,000 of that blob
    up.requests("GET", "/blobs/")                      # what came in
"""

import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

from . import images
from .fake_auth import authorise

_REASONS = {200: "OK", 206: "Partial Content", 304: "Not Modified", 307: "Temporary Redirect", 400: "Bad Request",
            401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            416: "Range Not Satisfiable", 429: "Too Many Requests", 500: "Internal Server Error",
            502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class Request:
    """What came in, and what was sent for it (kept up to date while it runs)."""

    def __init__(self, method, target, headers, peer):
        self.method = method
        self.target = target
        url = urllib.parse.urlsplit(target)
        self.path = urllib.parse.unquote(url.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.headers = headers
        self.peer = peer
        self.at = time.monotonic()
        self.status = 0
        self.sent = 0  # body bytes given to the kernel
        self.finished = False
        self.client_left = False

    def __repr__(self):
        return "%s %s -> %s, %d bytes" % (self.method, self.target, self.status, self.sent)


class Answer:
    def __init__(self, status, body=b"", headers=None):
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.offset = 0  # of body[0] in the whole object: faults count from the object's start


class Fault:
    """One misbehaviour. Positions are offsets in the whole blob or manifest, so that a resumed Range passes them.
    delay: seconds before the head. status (+ headers, body): an error instead. hang: never answers. close: FIN before
    the head. reset: RST before the head. reset_at / truncate_at / stall_at: RST / FIN / silence at that byte. flip_at:
    that byte is wrong. short: only so many bytes, with a Content-Length that agrees. length_delta: Content-Length is
    wrong by so much. no_length: delimited by close. no_digest: no Docker-Content-Digest, no ETag. rate: bytes a second.
    replace: (body, content type), with 200. ignore_range: 200 and everything. strip: header names to leave out."""

    def __init__(self, method=None, path=None, times=None, skip=0, **how):
        known = {"delay", "status", "headers", "body", "hang", "close", "reset", "reset_at", "truncate_at", "stall_at",
                 "flip_at", "short", "length_delta", "no_length", "no_digest", "rate", "replace", "ignore_range",
                 "strip"}
        assert set(how) <= known, how
        self.method, self.path, self.times, self.skip, self.how = method, path, times, skip, how
        self.hits = 0

    def matches(self, request):
        return (self.method in (None, request.method)) and (self.path is None or re.search(self.path, request.target))

    def remove(self):
        self.times = 0


class Hangup(Exception):
    def __init__(self, reset):
        super().__init__()
        self.reset = reset


class Server:
    """Listens on `host`:0 (the port stays through refuse() and listen_again())."""

    def __init__(self, host="127.0.0.1", tls=None, send_buffer=None):
        self.host, self.port, self.tls = host, 0, tls
        self.send_buffer = send_buffer
        self.lock = threading.Lock()
        self.log = []
        self.faults = []
        self.connections = 0
        self._listener = None
        self._open = set()
        self._stop = threading.Event()

    # --- life ---
    def start(self):
        self._stop.clear()
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        listener.bind((self.host, self.port))
        listener.listen(256)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def refuse(self):
        """From now on connections are refused, and running ones are reset."""
        self._stop.set()
        listener, self._listener = self._listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        with self.lock:
            running = list(self._open)
        for connection in running:
            _abort(connection)

    def listen_again(self):
        self.start()

    stop = refuse

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def url(self):
        return "%s://%s:%d" % ("https" if self.tls else "http", self.host, self.port)

    # --- what came in ---
    def requests(self, method=None, pattern="", since=0.0):
        with self.lock:
            return [r for r in self.log if method in (None, r.method) and re.search(pattern, r.target) and r.at >= since]

    def count(self, method=None, pattern="", since=0.0):
        return len(self.requests(method, pattern, since))

    def body_bytes(self, pattern=""):
        return sum(r.sent for r in self.requests(None, pattern))

    def forget(self):
        with self.lock:
            self.log = []

    def fault(self, method=None, path=None, times=None, skip=0, **how):
        fault = Fault(method, path, times, skip, **how)
        with self.lock:
            self.faults.append(fault)
        return fault

    def heal(self):
        with self.lock:
            self.faults = []

    # --- machinery ---
    def _accept(self, listener):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection, peer):
        with self.lock:
            self._open.add(connection)
        wire = connection
        try:
            connection.settimeout(120)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                wire = self.tls.wrap_socket(connection, server_side=True)
                with self.lock:
                    self._open.add(wire)
            buffer = b""
            while not self._stop.is_set():
                request, buffer = self._read_request(wire, buffer, peer)
                if request is None or not self._answer(wire, request):
                    break
        except Hangup as e:
            if e.reset:
                _abort(wire)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self.lock:
                self._open.discard(connection)
                self._open.discard(wire)
            wire.close()

    def _read_request(self, wire, buffer, peer):
        while b"\r\n\r\n" not in buffer:
            piece = wire.recv(65536)
            if not piece:
                return None, b""
            buffer += piece
        head, rest = buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        while len(rest) < length:
            rest += wire.recv(65536)
        request = Request(method, target, headers, peer)
        request.body = rest[:length]
        with self.lock:
            self.log.append(request)
        return request, rest[length:]

    def _pick_fault(self, request):
        merged = {}
        with self.lock:
            for fault in self.faults:
                if not fault.matches(request) or (fault.times is not None and fault.hits >= fault.times + fault.skip):
                    continue
                fault.hits += 1
                if fault.hits > fault.skip:
                    merged.update(fault.how)
        return merged

    def _answer(self, wire, request):
        how = self._pick_fault(request)
        if "delay" in how:
            self._stop.wait(how["delay"])
        if how.get("reset") or how.get("close"):
            raise Hangup(reset=bool(how.get("reset")))
        if how.get("hang"):
            self._sleep_until_closed(wire)
        if "status" in how:
            body = how.get("body", b'{"errors":[{"code":"UNKNOWN","message":"injected"}]}')
            answer = Answer(how["status"], body, {"Content-Type": "application/json", **how.get("headers", {})})
        elif "replace" in how:
            answer = Answer(200, how["replace"][0], {"Content-Type": how["replace"][1]})
        else:
            if how.get("ignore_range"):
                request.headers.pop("range", None)
            answer = self.handle(request)
            answer.headers.update(how.get("headers", {}))
        return self._send(wire, request, answer, how)

    def handle(self, request):
        raise NotImplementedError

    def _sleep_until_closed(self, wire):
        wire.settimeout(0.2)
        while not self._stop.is_set():
            try:
                if not wire.recv(1):
                    break
            except (TimeoutError, ssl.SSLWantReadError):
                continue
        raise Hangup(reset=False)

    def _send(self, wire, request, answer, how):
        body = memoryview(bytes(answer.body) if not isinstance(answer.body, (bytes, memoryview)) else answer.body)
        begin = answer.offset
        if "short" in how:
            body = body[:max(0, how["short"] - begin)]
        if "flip_at" in how and begin <= how["flip_at"] < begin + len(body):
            damaged = bytearray(body)
            damaged[how["flip_at"] - begin] ^= 0x01
            body = memoryview(bytes(damaged))
        headers = dict(answer.headers)
        headers.setdefault("Docker-Distribution-Api-Version", "registry/2.0")
        if not how.get("no_length"):
            headers["Content-Length"] = str(len(body) + how.get("length_delta", 0))
        if how.get("no_digest"):
            headers.pop("Docker-Content-Digest", None)
            headers.pop("ETag", None)
        for name in how.get("strip", ()):
            headers.pop(name, None)
        keep = not (how.get("no_length") or how.get("length_delta", 0)) and \
            request.headers.get("connection", "").lower() != "close"
        headers["Connection"] = "keep-alive" if keep else "close"
        request.status = answer.status
        head = "HTTP/1.1 %d %s\r\n" % (answer.status, _REASONS.get(answer.status, "Status"))
        head += "".join("%s: %s\r\n" % item for item in headers.items()) + "\r\n"
        wire.sendall(head.encode("latin-1"))
        if request.method != "HEAD" and answer.status not in (204, 304):
            self._send_body(wire, request, body, begin, how)
        request.finished = True
        return keep

    def _send_body(self, wire, request, body, begin, how):
        ends = {name: how[name] - begin for name in ("reset_at", "truncate_at", "stall_at")
                if name in how and 0 <= how[name] - begin < len(body)}
        stop_at = min(ends.values(), default=len(body))
        chunk = 65536
        pause = 0.0
        if how.get("rate"):
            chunk = max(1, min(65536, how["rate"] // 20))
            pause = chunk / how["rate"]
        sent = 0
        try:
            while sent < stop_at:
                piece = body[sent:min(sent + chunk, stop_at)]
                wire.sendall(piece)
                sent += len(piece)
                request.sent = sent
                if pause and self._stop.wait(pause):
                    raise Hangup(reset=True)
        except OSError:
            request.client_left = True
            raise
        if not ends:
            return
        which = min(ends, key=ends.get)
        if which == "stall_at":
            self._sleep_until_closed(wire)
        if which == "reset_at":
            time.sleep(0.05)  # a reset throws away what the other side has not read: let it read
        raise Hangup(reset=which == "reset_at")


def _abort(connection):
    """RST instead of FIN."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if not isinstance(connection, ssl.SSLSocket):
            connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass


class FakeUpstream(Server):
    """A registry in memory."""

    def __init__(self, host="127.0.0.1", tls=None, auth=None, send_buffer=None):
        super().__init__(host, tls, send_buffer)
        self.auth = auth            # fake_auth.Basic or Bearer
        self.repositories = {}      # name -> set of digests
        self.tags = {}              # name -> {tag: digest}
        self.objects = {}           # digest -> Blob or Manifest
        self.cdn = None             # Cdn: blobs are redirected there
        self.rate_limit = None      # (limit, remaining): headers on manifests
        self.page_size = 100        # of tags/list, at most

    def add(self, repository, manifest, *tags):
        with self.lock:
            known = self.repositories.setdefault(repository, set())
            for each in manifest.all_manifests() + manifest.all_blobs():
                self.objects[each.digest] = each
                known.add(each.digest)
            for tag in tags:
                self.tags.setdefault(repository, {})[tag] = manifest.digest
        return manifest

    def add_blob(self, repository, blob):
        with self.lock:
            self.objects[blob.digest] = blob
            self.repositories.setdefault(repository, set()).add(blob.digest)
        return blob

    def remove_tag(self, repository, tag):
        with self.lock:
            del self.tags[repository][tag]

    def handle(self, request):
        refusal = authorise(self, request)
        if refusal:
            return refusal
        path = request.path
        if path.rstrip("/") == "/v2":
            return Answer(200, b"{}", {"Content-Type": "application/json"})
        if request.method not in ("GET", "HEAD"):
            return _error(405, "UNSUPPORTED")
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs|referrers)/([^/]+)", path)
        if match:
            repository, kind, reference = match.groups()
            if kind == "manifests":
                return self._manifest(request, repository, reference)
            if kind == "blobs":
                return self._blob(request, repository, reference)
            return _error(404, "NOT_FOUND")
        match = re.fullmatch(r"/v2/(.+)/tags/list", path)
        if match:
            return self._tag_page(request, match.group(1))
        return _error(404, "NAME_UNKNOWN")

    def _manifest(self, request, repository, reference):
        with self.lock:
            digest = self.tags.get(repository, {}).get(reference, reference)
            found = self.objects.get(digest) if digest in self.repositories.get(repository, ()) else None
        if not isinstance(found, images.Manifest):
            return _error(404, "MANIFEST_UNKNOWN")
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": digest, "ETag": '"%s"' % digest}
        if self.rate_limit:
            headers["ratelimit-limit"] = "%d;w=21600" % self.rate_limit[0]
            headers["ratelimit-remaining"] = "%d;w=21600" % self.rate_limit[1]
        return Answer(200, found.data, headers)

    def _blob(self, request, repository, digest):
        with self.lock:
            found = self.objects.get(digest) if digest in self.repositories.get(repository, ()) else None
        if found is None:
            return _error(404, "BLOB_UNKNOWN")
        if self.cdn:
            return Answer(307, b"", {"Location": self.cdn.sign(digest), "Docker-Content-Digest": digest})
        return ranged(request, found.data, {"Content-Type": "application/octet-stream", "ETag": '"%s"' % digest,
                                            "Docker-Content-Digest": digest, "Accept-Ranges": "bytes"})

    def _tag_page(self, request, repository):
        with self.lock:
            names = sorted(self.tags.get(repository, {}))
        if not names:
            return _error(404, "NAME_UNKNOWN")
        count = min(int(request.query.get("n", self.page_size)), self.page_size)
        rest = [n for n in names if n > request.query.get("last", "")]
        page, headers = rest[:count], {"Content-Type": "application/json"}
        if len(rest) > len(page):
            headers["Link"] = '</v2/%s/tags/list?n=%d&last=%s>; rel="next"' % (repository, count, page[-1])
        return Answer(200, images.render({"name": repository, "tags": page}), headers)


class Cdn(Server):
    """Where blobs are redirected to: another address, refuses Authorization with 400, URLs die after `life` seconds."""

    def __init__(self, upstream, host="127.0.0.2", life=60.0):
        super().__init__(host)
        self.upstream, self.life = upstream, life

    def sign(self, digest):
        return "%s/data/%s?expires=%.3f&signature=x%%2Fy%%3D" % (self.url, digest, time.time() + self.life)

    def handle(self, request):
        if "authorization" in request.headers:
            return Answer(400, b"<Error>Only one auth mechanism allowed</Error>", {"Content-Type": "application/xml"})
        if request.query.get("signature") != "x/y=" or time.time() > float(request.query.get("expires", 0)):
            return Answer(403, b"<Error>Request has expired</Error>", {"Content-Type": "application/xml"})
        blob = self.upstream.objects.get(request.path.rsplit("/", 1)[1])
        if blob is None:
            return Answer(404)
        return ranged(request, blob.data, {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"})


def ranged(request, data, headers):
    """200, 206 or 416 for the single range of `request`."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not match:
        return Answer(200, memoryview(data), headers)
    first, last = match.groups()
    if first == "":
        begin, end = max(0, len(data) - int(last)), len(data)
    else:
        begin, end = int(first), min(int(last) + 1 if last else len(data), len(data))
    if begin >= end:
        return Answer(416, b"", {**headers, "Content-Range": "bytes */%d" % len(data)})
    answer = Answer(206, memoryview(data)[begin:end],
                    {**headers, "Content-Range": "bytes %d-%d/%d" % (begin, end - 1, len(data))})
    answer.offset = begin
    return answer


def _error(status, code):
    return Answer(status, images.render({"errors": [{"code": code, "message": "fake upstream: " + code}]}),
                  {"Content-Type": "application/json"})
