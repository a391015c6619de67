"""A member of a site that may go bad: it knows the secret, announces, follows and tells piece maps (lib/site.py), and
speaks BitTorrent (BEP 3, 6, 10) with the proof that Shoal asks for (src/p2p/peer_proof.h). What it does once it was let
in is up to the test."""

import hashlib
import hmac
import http.client
import json
import random
import socket
import struct
import threading
import time

from .site import SECRET, Neighbour, map_frame, seal_answer, seal_request

BLOCK = 16 * 1024
CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL = range(9)
SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST, EXTENDED = 13, 14, 15, 16, 17, 20


def _hmac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def message(kind, body=b""):
    return struct.pack(">IB", 1 + len(body), kind) + body


def piece_message(piece, begin, data):
    return message(PIECE, struct.pack(">II", piece, begin) + data)


class Torrent:
    """What nodes of a site call a blob by, derived as in src/p2p/naming.h."""

    def __init__(self, blob, secret=SECRET):
        self.digest, self.size, self.data = blob.digest, blob.size, blob.data
        self.piece_length = 64 * 1024  # src/p2p/piece_choice.cc
        while self.piece_length < 4 << 20 and self.size // self.piece_length > 512:
            self.piece_length *= 2
        self.pieces = -(-self.size // self.piece_length)
        self.key = _hmac(secret.encode(), b"shoal p2p swarm 1")
        hexadecimal = self.digest.split(":")[1]
        seed = _hmac(self.key, b"shoal p2p pieces 1", bytes.fromhex(hexadecimal),
                     struct.pack(">QI", self.size, self.piece_length))
        hashes = b"".join(hashlib.sha1(seed + struct.pack(">I", i)).digest() for i in range(self.pieces))
        info = b"d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%s7:privatei1ee" % (
            self.size, len(hexadecimal), hexadecimal.encode(), self.piece_length, len(hashes), hashes)
        self.info_hash = hashlib.sha1(info).digest()

    def proof(self, own_id, other_id, node):
        return _hmac(self.key, b"shoal p2p hello 1", self.info_hash, own_id, other_id, node.encode())

    def entries(self, data=None):
        """The piece map of these bytes, as the payload of an 'E' frame."""
        data = self.data if data is None else data
        return b"".join(struct.pack(">I", i) +
                        hashlib.sha256(data[i * self.piece_length:(i + 1) * self.piece_length]).digest()
                        for i in range(self.pieces))


def lie_of(blob, seed=1):
    """Other bytes of the same length."""
    return random.Random(seed).randbytes(blob.size)


class Wire:
    """One connection, after both handshakes. Reads time out after `patience`."""

    def __init__(self, peer, connection, outgoing, patience=120):
        self.peer, self.socket, self.requests = peer, connection, 0
        connection.settimeout(patience)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own = b"-XX0000-" + random.randbytes(12)
        hello = b"\x13BitTorrent protocol" + b"\0\0\0\0\0\x10\0\x04" + peer.torrent.info_hash + own
        if outgoing:
            self.send(hello)
        theirs = self.read(68)
        if theirs[28:48] != peer.torrent.info_hash:
            raise ConnectionError("another info-hash")
        if not outgoing:
            self.send(hello)
        proof = peer.torrent.proof(own, theirs[48:], peer.id)
        self.hello = b"\0d1:mde4:reqqi250e10:shoal_node32:%s11:shoal_proof32:%se" % (peer.id.encode(), proof)
        if peer.proves:
            self.send(message(EXTENDED, self.hello))

    def send(self, data):
        self.socket.sendall(data)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def next(self):
        """(kind, body); keep-alives are skipped."""
        while True:
            size = struct.unpack(">I", self.read(4))[0]
            if size:
                body = self.read(size)
                return body[0], body[1:]

    def close(self):
        self.socket.close()


class BadPeer(Neighbour):
    """`answer`: function(wire, piece, begin, length), called for each request; None: nothing is answered. `talk`:
    function(wire), called after the handshakes instead of the usual have-all, unchoke and answering. `proves`: it gives
    the proof of its membership."""

    def __init__(self, blob, answer=None, talk=None, ip="127.0.0.66", secret=SECRET):
        super().__init__(secret, ip)
        self.torrent = Torrent(blob, secret)
        self.answer, self.talk, self.proves = answer, talk, True
        self.lock = threading.Lock()
        self.wires, self.met, self.requests, self.cut = [], 0, 0, 0
        self.authors = []
        self.going = True
        self.listener = socket.create_server((ip, 0), backlog=64)
        self.swarm_port = self.listener.getsockname()[1]
        self.accepts = True

    # --- life ---
    def start(self):
        super().start()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def stop(self):
        self.going = False
        self.listener.close()
        for each in [getattr(wire, "socket", wire) for wire in self.wires] + self.authors:
            try:
                each.shutdown(socket.SHUT_RDWR)  # wakes its thread, which closes it
            except OSError:
                pass
        super().stop()

    def _listen(self):
        while self.going:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection, False), daemon=True).start()

    def dial(self, port, ip="127.0.0.1"):
        connection = socket.create_connection((ip, port), timeout=10, source_address=(self.ip, 0))
        threading.Thread(target=self._converse, args=(connection, True), daemon=True).start()

    def _converse(self, connection, outgoing):
        if not self.accepts:  # half-open: it is there, and that is all
            with self.lock:
                self.wires.append(connection)
                self.met += 1
            return
        try:
            wire = Wire(self, connection, outgoing)
            with self.lock:
                self.wires.append(wire)
                self.met += 1
            (self.talk or self.serve_pieces)(wire)
        except (OSError, ConnectionError):
            pass
        finally:
            with self.lock:
                self.cut += 1
            connection.close()

    def serve_pieces(self, wire):
        """Says that it has everything, and answers as `answer` does."""
        wire.send(message(HAVE_ALL) + message(UNCHOKE))
        while self.going:
            kind, body = wire.next()
            if kind != REQUEST:
                continue
            with self.lock:
                self.requests += 1
            wire.requests += 1
            if self.answer:
                self.answer(wire, *struct.unpack(">III", body))

    # --- among the members ---
    def announce_to(self, nodes, **lists):
        for node in nodes:
            self.announce(node.address, **lists)

    def want(self, node, avoid=()):
        """Asks a tracker for the blob: the advice. `avoid`: ids of nodes."""
        body = json.dumps({"node": self.describe(), "digest": self.torrent.digest, "size": self.torrent.size,
                           "avoid": list(avoid)}).encode()
        status, answer = self.call(node.address, "POST", "/p2p/v1/want", body, {"Content-Type": "application/json"})
        if status != 200:
            raise AssertionError((status, answer))
        return json.loads(answer)

    def lead(self, node):
        """Gets the lease of the blob at that tracker, and keeps it."""
        advice = self.want(node)
        if "fetch" not in advice:
            raise AssertionError(advice)

        def renew():
            while self.going:
                try:
                    self.announce(node.address, fetching=[self.torrent.digest])
                except (OSError, http.client.HTTPException):
                    return
                time.sleep(0.5)
        threading.Thread(target=renew, daemon=True).start()

    def follow(self, node, repository="docker.io%2Fteam%2Fapp"):
        """Takes part in the swarm of a node: that one names this peer to all who come later. Its swarm port."""
        target = "/p2p/v1/pieces/%s?repository=%s&size=%d&port=%d" % (self.torrent.digest, repository,
                                                                  self.torrent.size, self.swarm_port)
        seal, _ = seal_request("GET", "%s:%d" % node.address, target, self.id, b"", self.secret)
        connection = http.client.HTTPConnection(*node.address, timeout=30, source_address=(self.ip, 0))
        connection.connect()
        self.authors.append(connection.sock)
        connection.request("GET", target, None, {"Shoal-Seal": seal})
        response = connection.getresponse()
        if response.status != 200:
            raise AssertionError((response.status, response.read()))

        def drain():
            try:
                while response.read1(65536):
                    pass
            except (OSError, http.client.HTTPException):
                pass
            connection.close()
        threading.Thread(target=drain, daemon=True).start()
        return int(response.headers["Shoal-Swarm-Port"])

    def tell(self, data):
        """From now on it is an author: who asks is told the map of these bytes, and kept up to date."""
        entries = self.torrent.entries(data)

        def answer(handler, nonce):
            handler.send_response(200)
            handler.send_header("Shoal-Swarm-Port", str(self.swarm_port))
            handler.send_header("Shoal-Proven", "1")
            handler.send_header("Shoal-Seal", seal_answer(nonce, 200, b"1\npieces\n%d" % self.swarm_port, self.secret))
            handler.end_headers()
            handler.wfile.write(map_frame(nonce, 1, b"S", b'{"rank": 0, "of": 1}', self.secret))
            number, step = 2, 36 * 4096
            for at in range(0, len(entries), step):
                handler.wfile.write(map_frame(nonce, number, b"E", entries[at:at + step], self.secret))
                number += 1
            try:
                while self.going:
                    handler.wfile.write(map_frame(nonce, number, b"K", b"", self.secret))
                    handler.wfile.flush()
                    number += 1
                    time.sleep(1)
            except OSError:  # nobody follows it any more
                handler.close_connection = True
        self.maps[self.torrent.digest] = answer


# --- what a peer may do with a request ---
def bytes_of(data, torrent):
    """Sends these bytes."""
    def answer(wire, piece, begin, length):
        at = piece * torrent.piece_length + begin
        wire.send(piece_message(piece, begin, data[at:at + length]))
    return answer


def reject(wire, piece, begin, length):
    wire.send(message(REJECT, struct.pack(">III", piece, begin, length)))


def trickle(torrent):
    """The right bytes, one a second."""
    def answer(wire, piece, begin, length):
        at = piece * torrent.piece_length + begin
        for byte in piece_message(piece, begin, torrent.data[at:at + length]):
            wire.send(bytes([byte]))
            time.sleep(1)
    return answer
