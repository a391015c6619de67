"""What several benchmarks do to a server: curl, wrk, a link shaped between it and its upstream, layers nobody has yet."""
import os
import re
import subprocess
import sys

from lib import MANIFEST_TYPE, MIB

SHAPED = "127.0.0.2"  # where an upstream listens whose link is shaped
FORMAT = "%{http_code} %{time_starttransfer} %{time_total} %{size_download}"


def enter_namespace():
    """The script again in a network namespace of its own, where shape() disturbs nobody. Call first of all."""
    if "--help" in sys.argv or "-h" in sys.argv:
        return
    if os.geteuid() != 0:
        raise SystemExit(f"{os.path.basename(sys.argv[0])} shapes traffic in a network namespace of its own: run it as root")
    if os.environ.get("SHOAL_BENCH_NAMESPACE") != "1":
        os.environ["SHOAL_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def shape(megabits):
    """What comes from SHAPED, to so many Mbit/s; 0: nothing is shaped."""
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], stderr=subprocess.DEVNULL, check=False)
    if not megabits:
        return
    for command in ("qdisc add dev lo root handle 1: htb default 0 r2q 1000",
                    f"class add dev lo parent 1: classid 1:2 htb rate {megabits}mbit burst 256k cburst 256k quantum 200000",
                    f"filter add dev lo parent 1: protocol ip u32 match ip src {SHAPED}/32 flowid 1:2"):
        subprocess.run(["tc"] + command.split(), check=True)


def curl_start(server, path):
    url = f"http://{server.address}:{server.port}{path}"
    return subprocess.Popen(["curl", "-q", "-s", "--noproxy", "*", "-o", "/dev/null", "-w", FORMAT, url],
                            stdout=subprocess.PIPE, text=True)


def curl_end(process):
    """(first byte ms, MiB/s)"""
    code, first, total, size = process.communicate()[0].split()
    if process.returncode or code != "200":
        raise SystemExit(f"{process.args[-1]}: HTTP {code}, curl exit {process.returncode}")
    return float(first) * 1e3, float(size) / MIB / float(total)


def curl(server, path):
    return curl_end(curl_start(server, path))


def wrk(server, path, seconds, connections=32):
    """(requests per second, CPU us of the server for each)"""
    before = server.cpu_seconds()
    text = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Accept: {MANIFEST_TYPE}",
         f"http://127.0.0.1:{server.port}{path}"], stdout=subprocess.PIPE, check=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"{server.name} {path}:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return rate, (server.cpu_seconds() - before) / requests * 1e6


class Images:
    """Hands out images nobody has pulled yet."""

    def __init__(self, content):
        self.content, self.made = content, 0

    def next(self, size):
        """(repository, digest of its layer)"""
        self.made += 1
        name = f"bench/cold{self.made}"
        return name, self.content.image(name, "latest", size)[1]


def touch_memory(bench, size):
    """Written and gone: the pages that the layer will lie in are the guest's already."""
    path = bench.directory / "touched"
    with open(path, "wb") as out:
        for _ in range(2 * size // MIB):
            out.write(bytes(MIB))
    path.unlink()
