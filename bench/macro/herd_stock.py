"""herd.py --stock: the same herd of nodes that are libtorrent as it comes (stock_swarm), to compare with."""
import pathlib
import selectors
import subprocess
import time

from lib import TOP, Server

PROGRAM = TOP / "build" / "bench" / "macro" / "stock_swarm" / "stock_swarm"


class StockNode(Server):
    """Seeds, or waits to be let loose. Done when libtorrent has checked the last piece."""

    def __init__(self, number, place, home, torrent, directory, peers):  # pylint: disable=super-init-not-called
        self.name, self.place, self.directory, self.node = f"node{number}", place, directory, self
        self.first = self.done = self.error = None
        self.killed = False
        directory.mkdir(parents=True, exist_ok=True)
        words = ["seed"] if peers is None else ["get"]
        command = [str(PROGRAM), *words, str(torrent), str(directory), place.address, *(peers or [])]
        with open(home / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(place.command(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        if self.process.stdout.readline() != b"ready\n":
            raise SystemExit(f"{self.name} did not start; see {home}")

    def go(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def hear(self, now):
        line = self.process.stdout.readline().decode().strip()
        if line == "done":
            self.first = self.done = now
        else:
            self.error = line or "it has ended"

    def stop(self):
        self.process.kill()
        self.process.wait()


class StockSite:
    """The last node is the seed, as in herd.py; every node is told of all others."""

    def __init__(self, places, home, file):
        home.mkdir(parents=True)
        torrent = home / "torrent"
        subprocess.run([str(PROGRAM), "make", str(file), str(torrent)], check=True, stdout=subprocess.DEVNULL)
        addresses = [place.address for place in places]
        self.seed = StockNode(len(places) - 1, places[-1], home, torrent, pathlib.Path(file).parent, None)
        self.askers = []
        for number, place in enumerate(places[:-1]):
            peers = [address for address in addresses if address != place.address]
            self.askers.append(StockNode(number, place, home, torrent, home / f"node{number}", peers))
        self.nodes = [*self.askers, self.seed]

    def let_loose(self, deadline):
        selector = selectors.DefaultSelector()
        for node in self.askers:
            selector.register(node.process.stdout, selectors.EVENT_READ, node)
        start = time.monotonic()
        for node in self.askers:
            node.go()
        while left := [node for node in self.askers if node.done is None and node.error is None]:
            for key, _ in selector.select(1):
                selector.unregister(key.fileobj)
                key.data.hear(time.monotonic())
            if time.monotonic() > start + deadline:
                for node in left:
                    node.error = node.error or f"not done after {deadline:.0f} s"
        selector.close()
        return start

    def stop(self):
        for node in self.nodes:
            node.stop()
