"""herd.py's nodes: a site of Shoal processes, each in its place."""
import http.client
import pathlib
import signal
import subprocess
import time

from lib import MANIFEST_TYPE, REGISTRY, Server

PORT = 5000
SECRET = "a secret of this site, for benchmarks"


class Node(Server):
    """Does not wait until it answers: see Site."""

    def __init__(self, number, place, home, upstream, network, trackers, options):  # pylint: disable=super-init-not-called
        self.number, self.place, self.home = number, place, home
        self.name, self.port, self.address, self.log = f"node{number}", PORT, place.address, home / "log"
        self.storage = home / "data"
        home.mkdir(parents=True)
        secret = home / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        listen = [f"{place.address}:{PORT}"]
        if place.client_address != place.address:
            listen.append(f"{place.client_address}:{PORT}")
        access = f"{home}/access.log" if options.access_log == "on" else ""
        (home / "shoal.yml").write_text(f"""
server: {{listen: {quoted(listen)}}}
storage: {{path: "{self.storage}", min_free: 1MiB}}
default_upstream: {REGISTRY}
upstreams:
  {REGISTRY}:
    urls: ["http://{upstream.address}:{upstream.port}"]
    tag_ttl: 1h
p2p:
  enabled: true
  secret_file: "{secret}"
  allow: ["{network}"]
  trackers: {quoted(trackers)}
admin: {{listen: ""}}
log: {{level: info, access: "{access}"}}
""")
        command = [options.shoal, "serve", "--config", str(home / "shoal.yml")]
        for pair in options.set:
            command += ["--set", pair]
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(place.command(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def connect(self):
        return self.place.connect(PORT)

    def get(self, path, headers=None):
        connection = http.client.HTTPConnection("herd", PORT, timeout=60)
        connection.sock = self.connect()
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def neighbours(self):
        """How many it knows; -1: it does not answer yet."""
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended:\n{self.log.read_text(errors='replace')[-2000:]}")
        try:
            _, _, body = self.get("/metrics")
        except OSError:
            return -1
        for line in body.decode().splitlines():
            if line.startswith("shoal_p2p_peers "):
                return int(float(line.split()[1]))
        return -1

    def blob_file(self, digest):
        hexadecimal = digest.split(":")[1]
        return self.storage / "blobs/sha256" / hexadecimal[:2] / hexadecimal

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)

    def stop(self):
        """What it has on disk goes with it."""
        if self.process.poll() is None:
            self.kill()
        self.process.wait()


def quoted(words):
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


class Site:
    """One node in each place; all know each other when this returns."""

    def __init__(self, places, home, upstream, network, options):
        trackers = [f"{place.address}:{PORT}" for place in places[:2]]
        self.nodes = []
        for number, place in enumerate(places):
            self.nodes.append(Node(number, place, home / f"node{number}", upstream, network, trackers, options))
        deadline = time.monotonic() + 20 + len(places)
        for node in self.nodes:
            while (known := node.neighbours()) < len(places) - 1:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{node.name} knows {known} of {len(places) - 1} neighbours:\n"
                                     f"{node.log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.05)

    def pull_manifest(self, repository):
        """Each node knows then what the layer's size is, and that it may show it."""
        for node in self.nodes:
            status, _, body = node.get(f"/v2/{repository}/manifests/latest", {"Accept": MANIFEST_TYPE})
            if status != 200:
                raise SystemExit(f"{node.name}: the manifest answered {status}: {body[:500]!r}")

    def at(self, address):
        return next((node for node in self.nodes if node.address == address), None)

    def stop(self):
        for node in self.nodes:
            node.stop()
