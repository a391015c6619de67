"""What can be wrong with an upstream, as rows of a matrix: each Row breaks a registry of its own and heals it again."""

import os
import socket
import struct
import threading

from .fake_auth import Bearer
from .fake_upstream import FakeUpstream, Hangup

CUT_AT = 100_000  # in a layer; configurations are smaller and come whole


class FaultyUpstream(FakeUpstream):
    """`raw`: sent instead of any answer, then the connection is closed. `deaf`: ... as soon as a byte comes."""
    raw = None
    deaf = False

    def _read_request(self, wire, buffer, peer):
        if self.deaf:
            wire.recv(65536)
            wire.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            raise Hangup(reset=False)
        return super()._read_request(wire, buffer, peer)

    def _answer(self, wire, request):
        if self.raw is not None:
            wire.sendall(self.raw)
            raise Hangup(reset=False)
        return super()._answer(wire, request)

    def cut(self):
        """Connections that were opened before do not outlive the change."""
        self.refuse()
        self.listen_again()


class Row:
    """One fault. `layers_only`: manifests are not struck. `statuses`: what a client may be told when nothing helps.
    `log`: a pattern of the log line that tells why, at one of `levels`. `metric`: of those labelled with the upstream (and with `labels`),
    one that grows."""
    layers_only = False
    statuses = (503,)
    scheme = "http"
    levels = ("warn", "error")

    def __init__(self, name, log, metric="shoal_upstream_failures_total", labels=()):
        self.name, self.log, self.metric, self.labels = name, log, metric, labels
        self.registry = name.replace(" ", "-") + ".test"
        self.up = FaultyUpstream()

    def start(self):
        self.up.start()

    def stop(self):
        self.up.stop()

    @property
    def url(self):
        return self.up.url

    def strike(self):
        raise NotImplementedError

    def heal(self):
        raise NotImplementedError


class Healthy(Row):
    """The control: the others' troubles are not its."""

    def strike(self):
        pass

    heal = strike


class Answers(Row):
    """Every request is answered by `how` (see fake_upstream.Fault)."""

    def __init__(self, name, log, statuses=(503,), how=None, **more):
        super().__init__(name, log, **more)
        self.statuses, self.how = statuses, how

    def strike(self):
        self.up.fault(**self.how)

    def heal(self):
        self.up.heal()
        self.up.cut()


class LayerFault(Answers):
    """Blobs suffer, manifests are well."""
    layers_only = True

    def strike(self):
        self.up.fault("GET", "/blobs/", **self.how)


class RedirectLoop(Row):
    def strike(self):
        self.up.fault(status=307, headers={"Location": self.up.url + "/v2/again"})

    def heal(self):
        self.up.heal()
        self.up.cut()


class RawAnswer(Row):
    def __init__(self, name, log, raw):
        super().__init__(name, log)
        self.bytes = raw

    def strike(self):
        self.up.raw = self.bytes

    def heal(self):
        self.up.raw = None


class NoTokenIsGoodEnough(Row):
    """Tokens are issued, and none is accepted any more."""
    levels = ("info",)  # without credentials that is what private images look like

    def __init__(self, name, log):
        super().__init__(name, log)
        self.up.auth = Bearer(anonymous=True)

    def strike(self):
        self.up.auth.real_life = -1
        self.up.auth.revoke_all()

    def heal(self):
        self.up.auth.real_life = self.up.auth.life


class Refused(Row):
    def strike(self):
        self.up.refuse()

    def heal(self):
        self.up.listen_again()


class BlackHole(Row):
    """Connects get no answer: the queue of a listener that nobody accepts from is full."""

    def strike(self):
        self.up.refuse()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.up.address)
        self.listener.listen(0)
        self.held = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.up.address)
            self.held.append(filler)

    def heal(self):
        for each in (*self.held, self.listener):
            each.close()
        self.up.listen_again()


class Unresolved(Row):
    """The name is not known, or nobody answers who should know it. `how`: "no such name" or "silence"."""

    def __init__(self, name, log, dns, how):
        super().__init__(name, log)
        self.dns, self.how = dns, how
        self.host = name.replace(" ", "-") + ".invalid"

    @property
    def url(self):
        return "http://%s:%d" % (self.host, self.up.port)

    def strike(self):
        self.dns.bad[self.host] = self.how

    def heal(self):
        del self.dns.bad[self.host]


class BadTls(Row):
    """`bad`: a server context that must not be trusted; None: plain HTTP where TLS is expected."""
    scheme = "https"

    def __init__(self, name, log, good, bad):
        super().__init__(name, log)
        self.good, self.bad = good, bad
        self.up = FaultyUpstream(tls=good)

    @property
    def url(self):
        return "https://127.0.0.1:%d" % self.up.port

    def strike(self):
        self.up.tls, self.up.deaf = self.bad, self.bad is None
        self.up.cut()

    def heal(self):
        self.up.tls, self.up.deaf = self.good, False
        self.up.cut()


class Dns:
    """A name server on an address of its own: every name is 127.0.0.1, but for the `bad` ones."""

    def __init__(self):
        self.address = "127.53.%d.%d" % (os.getpid() >> 8 & 255, os.getpid() & 255)
        self.bad = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))

    def start(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def stop(self):
        self.socket.close()

    def _serve(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(2048)
                answer = self._answer(question)
                if answer:
                    self.socket.sendto(answer, peer)
            except OSError:
                return

    def _answer(self, message):
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1").lower())
            at += 1 + message[at]
        question = message[12:at + 5]
        how = self.bad.get(".".join(labels))
        if how == "silence":
            return None
        (kind,) = struct.unpack("!H", question[-4:-2])
        found = kind == 1 and not how
        flags = 0x8183 if how else 0x8180  # an answer: no such name, or well
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + b"\x7f\x00\x00\x01" if found else b""
        return message[:2] + struct.pack("!HHHHH", flags, 1, 1 if found else 0, 0, 0) + question + record


def all_rows(dns, good_tls, strange_tls):
    """`good_tls`: a context whose CA the mirror knows, `strange_tls`: of another CA."""
    again = {"Retry-After": "2"}
    return [
        Healthy("healthy", None),
        Refused("refused", "connection refused"),
        BlackHole("black hole", "no connection within"),
        Unresolved("no such name", "DNS: no address", dns, "no such name"),
        Unresolved("silent dns", "DNS: no address", dns, "silence"),
        Answers("half open", "no answer within", how={"hang": True}),
        Answers("500", "answered 500", how={"status": 500}),
        Answers("503", "answered 503", how={"status": 503, "headers": again}),
        Answers("429", "429|rate limit", (429,), metric="shoal_upstream_responses_total", labels=('status="429"',),
                how={"status": 429, "headers": again}),
        NoTokenIsGoodEnough("401", "refused the token|credentials"),
        RawAnswer("garbage", "not HTTP", b"\x16\xff\x00 what is this\r\nno header\r\n\r\n"),
        RawAnswer("huge header", "header.*(large|long)", b"HTTP/1.1 200 OK\r\nX-Filler: " + b"a" * (2 << 20)),
        RedirectLoop("redirect loop", "redirects"),
        BadTls("strange ca", "not signed by a known CA", good_tls, strange_tls),
        BadTls("no tls", "does not answer with TLS", good_tls, None),
        LayerFault("cut", "connection lost|cut short", how={"reset_at": CUT_AT}),
        LayerFault("short body", "cut short", how={"truncate_at": CUT_AT}),
        LayerFault("wrong bytes", "digest mismatch", metric="shoal_corrupt_blobs_total", how={"flip_at": CUT_AT}),
        LayerFault("wrong size", "where the manifest says", how={"short": CUT_AT}),
        LayerFault("a byte a second", "stalled", how={"rate": 1}),
        LayerFault("stall", "stalled", how={"stall_at": CUT_AT}),
    ]
