"""What stands around an upstream: a token service elsewhere, and a forward proxy."""

import json
import socket
import threading
import urllib.parse

from .fake_upstream import Answer, Server


class TokenServer(Server):
    """The realm of a Bearer challenge, on a port (or address) of its own."""

    def __init__(self, host="127.0.0.1", tls=None):
        super().__init__(host, tls)
        self.bearer = None  # set to the fake_auth.Bearer whose tokens it gives

    def handle(self, request):
        if request.path != "/token":
            return Answer(404)
        status, body = self.bearer.issue(request)
        return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


class ForwardProxy:
    """An HTTP proxy: absolute-form requests and CONNECT. Remembers the targets."""

    def __init__(self):
        self.targets = []
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client):
        try:
            client.settimeout(60)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            head, rest = head.split(b"\r\n\r\n", 1)
            line, *headers = head.decode("latin-1").split("\r\n")
            method, target, version = line.split(" ")
            self.targets.append((method, target))
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                far = socket.create_connection((host, int(port)), 10)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                url = urllib.parse.urlsplit(target)
                far = socket.create_connection((url.hostname, url.port or 80), 10)
                path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
                headers = [h for h in headers if not h.lower().startswith(("proxy-", "connection:"))]
                far.sendall(("\r\n".join(["%s %s %s" % (method, path, version), *headers, "Connection: close"])
                             + "\r\n\r\n").encode("latin-1"))
            if rest:
                far.sendall(rest)
            up = threading.Thread(target=_copy, args=(client, far), daemon=True)
            up.start()
            _copy(far, client)
            up.join(60)
        except (OSError, ValueError):
            pass
        finally:
            client.close()


def _copy(source, target):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    except OSError:
        pass
    finally:
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
