"""The network that herd.py measures in: a sandbox that leaves nothing behind, a bridge, and a shaped link for each node.

The sandbox is a process with network, mount and process namespaces of its own. All that is in it, interfaces, named
namespaces, servers, files in memory, is gone when that process is: the kernel sees to it, even after a kill -9.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

INSIDE = "SHOAL_HERD_DIRECTORY"
CLONE_NEWNET = 0x40000000
LATENCY = 0.030  # a full queue at a link
NAMES = pathlib.Path("/run/netns")  # where ip looks for them
LIBC = ctypes.CDLL(None, use_errno=True)


def directory():
    return pathlib.Path(os.environ[INSIDE])


def enter_sandbox():
    """Returns in the sandbox; outside it waits for the sandbox's end, removes its directory and exits like it."""
    if INSIDE in os.environ:
        return
    if os.geteuid() != 0:
        raise SystemExit("herd.py makes network namespaces: run it as root")
    missing = [tool for tool in ("ip", "tc", "unshare", "nsenter", "setpriv") if not shutil.which(tool)]
    if missing:
        raise SystemExit(f"{', '.join(missing)} is missing: packaging/install-deps.sh bench (iproute2, util-linux)")
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], stderr=subprocess.PIPE, text=True,
                           check=False)
    if probe.returncode:
        raise SystemExit(f"no namespaces may be made here (a container without CAP_SYS_ADMIN?): {probe.stderr.strip()}")
    place = tempfile.mkdtemp(prefix="shoal-herd-")
    had_names = NAMES.is_dir()
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
               "--mount-proc", sys.executable, *sys.argv]

    def end(number, _):
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    child = None
    try:
        # A session of its own: Ctrl-C comes here only.
        child = subprocess.Popen(command, env={**os.environ, INSIDE: place}, start_new_session=True)
        status = child.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if child and child.poll() is None:
            end_sandbox(child)
        shutil.rmtree(place, ignore_errors=True)
        if not had_names:
            with contextlib.suppress(OSError):
                NAMES.rmdir()
    sys.exit(status if status >= 0 else 128 - status)


def end_sandbox(child):
    """Its first process is killed, and unshare waits until all others in there have ended."""
    children = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children")
    for pid in children.read_text().split() or [child.pid]:
        os.kill(int(pid), signal.SIGKILL)
    child.wait()


def prepare_sandbox(needed):
    """Inside: a place for temporary files that goes with us, in memory if `needed` bytes fit (says where they are); names
    for namespaces that only we see."""
    tempfile.tempdir = str(directory())
    NAMES.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "herd", str(NAMES))
    run("mount", "--make-shared", str(NAMES))  # as `ip netns` wants it; in our mount namespace
    run("ip", "link", "set", "lo", "up")
    available = next(int(line.split()[1]) * 1024 for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
                     if line.startswith("MemAvailable:"))
    if needed > 0.6 * available:
        return f"on disk, {directory()}: all nodes write to one"
    run("mount", "-t", "tmpfs", "-o", f"size={int(0.8 * available)}", "herd", str(directory()))
    return "in memory"


def run(*words):
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def inside(namespace):
    """Sockets that are made meanwhile belong to the namespace. For one thread."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(str(NAMES / namespace), os.O_RDONLY)
    try:
        if LIBC.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        yield
    finally:
        if LIBC.setns(home, CLONE_NEWNET):
            os.abort()
        os.close(there)
        os.close(home)


class Place:
    """Where a server runs: an address, and with a namespace a link of its own."""

    def __init__(self, address, namespace=None, interface=None):
        self.address, self.namespace, self.interface = address, namespace, interface

    def inside(self):
        return inside(self.namespace) if self.namespace else contextlib.nullcontext()

    def command(self, words):
        return ["nsenter", f"--net={NAMES / self.namespace}", *words] if self.namespace else words

    @property
    def client_address(self):
        """Where its own clients find it."""
        return "127.0.0.1" if self.namespace else self.address

    def connect(self, port, timeout=10):
        with self.inside():
            return socket.create_connection((self.client_address, port), timeout)

    def listen(self, port):
        with self.inside():
            return socket.create_server((self.address, port), backlog=512)


class Lan:
    """A bridge, and of each place a veth pair to it."""

    network = "10.77.0.0/16"

    def __init__(self):
        self.shaper = None
        with contextlib.suppress(OSError):  # no IPv6: nothing but what is measured is on the wire
            pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        run("ip", "link", "add", "lan", "type", "bridge")
        run("ip", "link", "set", "lan", "up")

    def place(self, number, name):
        address = f"10.77.{number // 250}.{number % 250 + 1}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"v{name}", "master", "lan", "up")
        for words in ("link set lo up", "link set eth0 up", f"address add {address}/16 dev eth0"):
            run("ip", "-n", name, *words.split())
        return Place(address, name, f"v{name}")

    def shape(self, place, megabits):
        """Both ways: what leaves the place, and what comes to it."""
        if self.shaper is None:
            self.shaper = self._choose()
        discipline = self.shaper(megabits)
        run("tc", "qdisc", "replace", "dev", place.interface, "root", *discipline)
        run("tc", "-n", place.namespace, "qdisc", "replace", "dev", "eth0", "root", *discipline)

    def unshape(self, place):
        run("tc", "qdisc", "del", "dev", place.interface, "root")
        run("tc", "-n", place.namespace, "qdisc", "del", "dev", "eth0", "root")

    def sent(self, place):
        """Bytes that the place has put on the wire, headers and repetitions too."""
        answer = subprocess.run(["ip", "-j", "-s", "link", "show", "dev", place.interface], stdout=subprocess.PIPE,
                                check=True, text=True).stdout
        return json.loads(answer)[0]["stats64"]["rx"]["bytes"]

    def _choose(self):
        run("ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
        try:
            for shaper in (token_bucket, delay_line):
                words = ["tc", "qdisc", "add", "dev", "probe0", "root", *shaper(100)]
                if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                    return shaper
        finally:
            run("ip", "link", "del", "probe0")
        raise SystemExit("this kernel shapes no link: it has neither sch_tbf nor sch_netem. --loopback needs neither.")


def token_bucket(megabits):
    burst = min(256, max(64, megabits * 10_000 // 8 // 1024))  # 10 ms, in KiB
    return ["tbf", "rate", f"{megabits}mbit", "burst", f"{burst}kb", "latency", f"{LATENCY * 1000:.0f}ms"]


def delay_line(megabits):
    """Where there is no tbf: netem sends a packet at a time, at the rate."""
    return ["netem", "rate", f"{megabits}mbit", "limit", f"{max(20, int(megabits * 1e6 / 8 * LATENCY / 1500))}"]


class Loopback:
    """Two nodes on 127.0.0.0/8, nothing shaped."""

    network = "127.0.0.0/8"
    shaper = None

    def place(self, number, _):
        return Place(f"127.0.0.{number + 1}")

    def shape(self, *_):
        pass

    def unshape(self, _):
        pass

    def sent(self, _):
        return 0
