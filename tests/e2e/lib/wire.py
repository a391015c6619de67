"""A plain HTTP client that shows what really came over the wire: timings, broken bodies, raw bytes."""

import hashlib
import http.client
import json
import socket
import time


class Response:
    def __init__(self, status, headers, body, broken, started, first_byte, finished):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body
        self.broken = broken  # the transfer ended before its Content-Length, or was reset
        self.head_after = first_byte - started
        self.took = finished - started

    @property
    def digest(self):
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    def json(self):
        return json.loads(self.body)

    def error(self):
        """(code, message) of an OCI error body; fails when it is none."""
        errors = self.json()["errors"]
        assert errors and errors[0]["code"], self.body
        return errors[0]["code"], errors[0].get("message", "")

    def __repr__(self):
        return "<%s %s %d bytes%s %r>" % (self.status, self.headers, len(self.body), " BROKEN" if self.broken else "",
                                          self.body[:200])


class Stream:
    """An answer that is read piece by piece."""

    def __init__(self, address, method, path, headers=None, timeout=30, receive_buffer=None):
        self.started = time.monotonic()
        self.connection = http.client.HTTPConnection(*address, timeout=timeout)
        if receive_buffer:
            self.connection.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.connection.sock.settimeout(timeout)
            self.connection.sock.connect(address)
        named = {name.lower() for name in headers or {}}
        self.connection.putrequest(method, path, skip_host="host" in named, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        self.response = self.connection.getresponse()
        self.head_at = time.monotonic()
        self.status = self.response.status
        self.headers = {}
        for name, value in self.response.getheaders():
            name = name.lower()
            self.headers[name] = self.headers[name] + ", " + value if name in self.headers else value
        self.got = bytearray()
        self.broken = False

    def read(self, size):
        """Up to `size` bytes more; fewer only at the end or at a break."""
        start = len(self.got)
        while len(self.got) - start < size:
            piece = self.read_some(size - (len(self.got) - start))
            if not piece:
                break
        return bytes(self.got[start:])

    def read_some(self, size=65536):
        """What is there; blocks for the first byte only. b"" at the end or at a break (see broken)."""
        try:
            piece = self.response.read1(size)
        except (ConnectionError, http.client.IncompleteRead) as e:
            self.got += getattr(e, "partial", b"")
            self.broken = True
            return b""
        if not piece and self.response.length not in (None, 0):
            self.broken = True
        self.got += piece
        return piece

    def read_all(self):
        while self.read_some(1 << 20):
            pass
        return bytes(self.got)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(address, method, path, headers=None, timeout=30):
    """Status 0 and broken: the connection was cut before the head."""
    began = time.monotonic()
    try:
        return _request(address, method, path, headers, timeout)
    except ConnectionRefusedError:
        raise
    except ConnectionError:
        return Response(0, {}, b"", True, began, time.monotonic(), time.monotonic())


def _request(address, method, path, headers, timeout):
    with Stream(address, method, path, headers, timeout) as stream:
        body = stream.read_all() if method != "HEAD" else b""
        return Response(stream.status, stream.headers, body, stream.broken, stream.started, stream.head_at,
                        time.monotonic())


def get(address, path, headers=None, timeout=30):
    return request(address, "GET", path, headers, timeout)


def head(address, path, headers=None, timeout=30):
    return request(address, "HEAD", path, headers, timeout)


class Raw:
    """Bytes to and from a socket."""

    def __init__(self, address, timeout=10, family=socket.AF_INET):
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except ConnectionError:
            pass  # the peer may answer and close before it has read all

    def read_until_closed(self):
        """Everything up to FIN or RST."""
        data, self.buffer = self.buffer, b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                return data
            if not piece:
                return data
            data += piece

    def read_answer(self, has_body=True):
        """One answer with Content-Length: (status, headers, body). Status 0: closed without one."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return 0, {}, self.buffer
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(lines[0].split(" ")[1])
        if status == 100:
            return status, headers, b""
        length = int(headers.get("content-length", 0)) if has_body and status not in (204, 304) else 0
        while len(self.buffer) < length and self._more():
            pass
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, headers, body

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except ConnectionError:
            return False
        self.buffer += piece
        return bool(piece)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
