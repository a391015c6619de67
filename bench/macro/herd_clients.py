"""herd.py's clients: one for each node, at its own node, all at the same moment. One thread serves them all, so that they
cost little and share a clock; a socket stays in the namespace it was made in."""
import hashlib
import selectors
import socket
import time

BUFFER = 1 << 20
TICK = 0.005


class Client:
    """One GET of a blob. `order` stream: done with the last byte. all: leaves after the first one, and is done when its
    node holds the blob."""

    def __init__(self, node, path, size, order, verify):
        self.node, self.size, self.order = node, size, order
        self.request = f"GET {path} HTTP/1.1\r\nHost: herd\r\nUser-Agent: herd\r\nAccept: */*\r\n\r\n".encode()
        self.hash = hashlib.sha256() if verify else None
        self.head, self.received = b"", -1  # bytes of the body; -1: the head is not here yet
        self.first = self.done = self.error = None
        self.killed = False  # with its node, on purpose
        self.socket = node.connect()

    @property
    def over(self):
        return self.done is not None or self.error is not None or self.killed

    def read(self, buffer, now):
        try:
            if self.received < 0:
                return self.read_head(now)
            flags = 0 if self.hash else socket.MSG_TRUNC  # drops them in the kernel
            count = self.socket.recv_into(buffer, BUFFER, flags)
        except OSError as error:
            return self.fail(error)
        if count == 0:
            return self.fail(f"cut off after {self.received} of {self.size} bytes")
        self.take(buffer[:count] if self.hash else None, count, now)

    def read_head(self, now):
        some = self.socket.recv(4096)
        self.head += some
        if not some:
            return self.fail(f"no answer, only {self.head!r}")
        head, end, rest = self.head.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").lower().split("\r\n")
        if not lines[0].startswith("http/1.1 200") or f"content-length: {self.size}" not in lines:
            return self.fail(f"answered {lines[0]!r}")
        self.received = 0
        if rest:
            self.take(rest, len(rest), now)

    def take(self, data, count, now):
        self.first = self.first or now
        if self.hash:
            self.hash.update(data)
        self.received += count
        if self.order == "stream" and self.received == self.size:
            self.done = now

    def look(self, digest, now):
        """Of one that has left: does its node hold the blob now?"""
        if self.node.blob_file(digest).exists():
            self.done = now

    def fail(self, error):
        self.error = str(error)

    def check(self, digest):
        """After the measurement. A node's file is looked at where nothing was kept of what the client got."""
        if self.error or self.hash is None:
            return
        if self.order == "all":
            self.hash = hashlib.sha256()
            with open(self.node.blob_file(digest), "rb") as file:
                while chunk := file.read(BUFFER):
                    self.hash.update(chunk)
        if "sha256:" + self.hash.hexdigest() != digest:
            self.fail("other bytes than the digest's")


def let_loose(clients, digest, deadline, on_tick):
    """All clients ask; returns the moment they did when the last is done, has failed or was killed. Calls on_tick() every
    few milliseconds."""
    selector = selectors.DefaultSelector()
    buffer = memoryview(bytearray(BUFFER))
    left = []
    start = time.monotonic()
    for client in clients:
        client.socket.sendall(client.request)
        client.socket.setblocking(False)
        selector.register(client.socket, selectors.EVENT_READ, client)
    next_tick = start + TICK
    while not all(client.over for client in clients):
        ready = selector.select(max(0, next_tick - time.monotonic()))
        now = time.monotonic()
        for key, _ in ready:
            client = key.data
            if not client.killed:
                client.read(buffer, now)
            leaves = client.order == "all" and client.first is not None
            if client.over or leaves:
                selector.unregister(client.socket)
                client.socket.close()
                if leaves and not client.over:
                    left.append(client)
        if now < next_tick:
            continue
        next_tick = now + TICK
        on_tick()
        for client in left:
            if not client.over:
                client.look(digest, now)
        if now > deadline + start:
            for client in clients:
                if not client.over:
                    client.fail(f"not done after {deadline:.0f} s: {max(client.received, 0)} of {client.size} bytes")
    selector.close()
    for client in clients:
        client.socket.close()
    return start
