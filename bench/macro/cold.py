#!/usr/bin/env python3
"""Cold layers: bytes per second and first byte, curl straight from the upstream against curl through Shoal and through
Debian's docker-registry as a mirror of it, and many clients on one cold layer. Upstreams: docker-registry and nginx; links: 1, 2.5 and 5 Gbit/s, unshaped.

The upstream listens on 127.0.0.2 in a network namespace of the script's own, where tc shapes what comes from it.
"""
import pathlib
import re

from lib import MIB, Bench, Content, arguments, main, median, pull_through
from loads import SHAPED, Images, curl, enter_namespace, shape, touch_memory


def blob_requests(bench, upstream, digest):
    log = pathlib.Path(upstream.log if upstream.name == "docker-registry" else bench.directory / "nginx/access.log")
    return sum(1 for line in log.read_text(errors="replace").splitlines()
               if re.search(f'"GET /v2/[^ ]*blobs/{digest}', line))


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
                   f"herd: {clients} clients at once on one cold layer, which drop their bodies in the kernel (tools/drain): "
                   f"they share the mirror's processors, which clients elsewhere do not")
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
        # Until the last of them has its last byte.
        herd = bench.drain(shoal, [path], connections=clients, requests=clients, seconds=120)
        if herd["requests"] != clients:
            raise SystemExit(f"{clients - herd['requests']} of {clients} clients did not get the layer within 120 s")
        slowest.append(size / MIB / herd["seconds"])
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


enter_namespace()
main(run)
