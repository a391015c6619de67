#!/usr/bin/env python3
"""Cold layers: bytes per second and first byte, curl straight from the upstream against curl through Shoal and through
Debian's docker-registry as a mirror of it, and many clients on one cold layer. Upstreams: docker-registry and nginx; links: 1, 2.5 and 5 Gbit/s, unshaped.

The upstream listens on 127.0.0.2 in a network namespace of the script's own, where tc shapes what comes from it.
"""
import os
import pathlib
import re
import subprocess
import sys

from lib import MIB, Bench, Content, arguments, main, median, pull_through

FORMAT = "%{http_code} %{time_starttransfer} %{time_total} %{size_download}"
SHAPED = "127.0.0.2"


def shape(megabits):
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


def blob_requests(bench, upstream, digest):
    log = pathlib.Path(upstream.log if upstream.name == "docker-registry" else bench.directory / "nginx/access.log")
    return sum(1 for line in log.read_text(errors="replace").splitlines()
               if re.search(f'"GET /v2/[^ ]*blobs/{digest}', line))


class Images:
    """Hands out images nobody has pulled yet; the mirror has seen the manifest, so that only the layer is measured."""

    def __init__(self, content):
        self.content, self.made = content, 0

    def next(self, size):
        self.made += 1
        name = f"bench/cold{self.made}"
        return name, self.content.image(name, "latest", size)[1]


def run():
    options = arguments(__doc__)
    if options.access_log == "off":
        raise SystemExit("cold.py counts upstream requests in access logs; it needs them on")
    rounds, small_rounds, clients = (3, 7, 4) if options.quick else (5, 30, 8)
    links = ((1000, 64 if options.quick else 256), (2500, 128 if options.quick else 512), (5000, 256), (0, 256))
    with Bench("cold", options) as bench:
        content = Content(bench.directory)
        images = Images(content)
        bench.note(f"medians of {rounds} interleaved rounds; first byte: 1 MiB layers, {small_rounds} rounds; "
                   f"herd: {clients} clients at once on one cold layer")
        bench.note("memory is touched before each cold layer: a hypervisor that has to find pages for the guest first "
                   "is measured otherwise (1.8 instead of 0.2 s/GiB for any file written)")
        for kind in ("docker-registry", "nginx"):
            for megabits, size in links:
                shape(megabits)
                upstream = (bench.registry(content.registry_root, address=SHAPED) if kind == "docker-registry"
                            else bench.nginx(content.static_root, address=SHAPED))
                name = f"shoal-{kind}-{megabits}"
                shoal = bench.shoal(upstream, name)
                rival = None
                if kind == "docker-registry":  # it cannot mirror a static file tree
                    rival = bench.registry(bench.directory / f"rival-{megabits}", "docker-registry mirror",
                                           remote=f"http://{SHAPED}:{upstream.port}")
                measure(bench, images, upstream, shoal, rival, megabits, size * MIB, rounds, small_rounds, clients)
                bench.stop(shoal)
                if rival:
                    bench.stop(rival)
                bench.stop(upstream)
        shape(0)
        bench.finish()


def touch_memory(bench, size):
    """Written and gone: the pages that the layer will lie in are the guest's already."""
    path = bench.directory / "touched"
    with open(path, "wb") as out:
        for _ in range(2 * size // MIB):
            out.write(bytes(MIB))
    path.unlink()


def measure(bench, images, upstream, shoal, rival, megabits, size, rounds, small_rounds, clients):
    def cold(layer_bytes):
        repository, layer = images.next(layer_bytes)
        pull_through(shoal, repository, "latest")
        return layer, f"/v2/{repository}/blobs/{layer}"

    curl(upstream, cold(MIB)[1])  # the first request of a program is nobody's measure
    curl(shoal, cold(MIB)[1])
    direct, through, by_rival, first_direct, first_through = [], [], [], [], []
    if rival:
        curl(rival, cold(MIB)[1])
    for _ in range(small_rounds):
        path = cold(MIB)[1]
        first_direct.append(curl(upstream, path)[0])
        first_through.append(curl(shoal, path)[0])
    cpu = 0.0
    for _ in range(rounds):
        path = cold(size)[1]
        touch_memory(bench, size)
        direct.append(curl(upstream, path)[1])
        before = shoal.cpu_seconds()
        through.append(curl(shoal, path)[1])
        cpu += shoal.cpu_seconds() - before
        if rival:
            touch_memory(bench, size)
            by_rival.append(curl(rival, path)[1])
    slowest, gets = [], []
    for _ in range(rounds):
        layer, path = cold(size)
        touch_memory(bench, size)
        slowest.append(min(curl_end(p)[1] for p in [curl_start(shoal, path) for _ in range(clients)]))
        gets.append(blob_requests(bench, upstream, layer))
    bench.row(**{"upstream": upstream.name, "link": f"{megabits} Mbit/s" if megabits else "unshaped",
                 "layer": f"{size // MIB} MiB", "curl direct MiB/s": round(median(direct)),
                 "through shoal MiB/s": round(median(through)), "ratio (>= 0.9)": median(through) / median(direct),
                 "docker-registry mirror": median(by_rival) / median(direct) if rival else "-",
                 "first byte direct ms": median(first_direct),
                 "added ms (<= 2)": median(first_through) - median(first_direct),
                 "shoal CPU s/GiB": cpu / rounds / size * 1024 * MIB,
                 "herd slowest / direct (>= 0.9)": median(slowest) / median(direct),
                 "herd upstream GETs (1)": max(gets)})


def enter_namespace():
    if os.environ.get("SHOAL_BENCH_NAMESPACE") != "1":
        os.environ["SHOAL_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


if "--help" not in sys.argv and "-h" not in sys.argv:
    if os.geteuid() != 0:
        raise SystemExit("cold.py shapes traffic in a network namespace of its own: run it as root")
    enter_namespace()
main(run)
