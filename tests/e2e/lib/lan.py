"""A network of the test's own: a bridge where the test itself is (10.77.0.1), and namespaces for nodes behind links of a
rate. All of it goes with the process. Root, iproute2 and tbf are needed."""

import ctypes
import os
import subprocess

from . import procs

HUB = "10.77.0.1"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def enter():
    """For setUpModule: from now on this process and its children are in that network."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: these tests need root")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "hub", "type", "bridge")
    _run("ip", "addr", "add", HUB + "/24", "dev", "hub")
    _run("ip", "link", "set", "hub", "up")


class Place:
    """A namespace with the address 10.77.0.<number>; `rate`: bits a second, each way, as tc writes it."""

    def __init__(self, number, rate):
        self.ip = "10.77.0.%d" % number
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "3600"], preexec_fn=procs.die_with_parent)
        pid = str(self.holder.pid)
        procs.wait_until(lambda: os.readlink("/proc/%s/ns/net" % pid) != os.readlink("/proc/self/ns/net"), 10,
                         "a namespace")
        self.wrapped = ["nsenter", "-t", pid, "-n", "--"]
        outer, inner = "out%d" % number, "in%d" % number
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", pid)
        _run("ip", "link", "set", outer, "master", "hub", "up")
        _run(*self.wrapped, "ip", "link", "set", "lo", "up")
        _run(*self.wrapped, "ip", "addr", "add", self.ip + "/24", "dev", inner)
        _run(*self.wrapped, "ip", "link", "set", inner, "up")
        shape = ("root", "tbf", "rate", rate, "burst", "64kb", "latency", "30ms")
        _run("tc", "qdisc", "add", "dev", outer, *shape)
        _run(*self.wrapped, "tc", "qdisc", "add", "dev", inner, *shape)

    def end(self):
        self.holder.kill()
        self.holder.wait()
