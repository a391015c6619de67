#!/usr/bin/env python3
"""Warm layers: bytes per second and server CPU per byte, against nginx sendfile on the same file and Debian's
docker-registry as a mirror, in one run."""
from lib import Bench, Content, MIB, arguments, main, median, pull_through

CONNECTIONS = (1, 8, 64)


def run():
    options = arguments(__doc__)
    rounds, seconds = (2, 1.5) if options.quick else (7, 4)
    with Bench("warm", options) as bench:
        content = Content(bench.directory)
        _, layer, _ = content.image("bench/warm", "latest", 256 * MIB)
        path = f"/v2/bench/warm/blobs/{layer}"
        nginx = bench.nginx(content.static_root)
        upstream = bench.registry(content.registry_root, "upstream")
        rival = bench.registry(bench.directory / "rival", "docker-registry mirror",
                               remote=f"http://127.0.0.1:{upstream.port}")
        shoal = bench.shoal(upstream)
        for mirror in (shoal, rival):
            pull_through(mirror, "bench/warm", "latest", layer)
        bench.note(f"one 256 MiB layer, page cache warm; medians of {rounds} interleaved rounds of {seconds} s; "
                   "client: tools/drain (one thread, MSG_TRUNC) on the same machine")
        samples = {}
        for number in range(rounds):
            for connections in CONNECTIONS:
                order = [nginx, shoal, rival] if number % 2 == 0 else [rival, shoal, nginx]
                for server in order:
                    got = bench.drain(server, [path], connections=connections, seconds=seconds)
                    samples.setdefault((server.name, connections), []).append(
                        (got["bytes"] / got["seconds"] / MIB, got["server_cpu_seconds"] / got["bytes"] * 1e12))
        for connections in CONNECTIONS:
            rate, cpu = {}, {}
            for name in ("nginx", "shoal", rival.name):
                rate[name] = median([s[0] for s in samples[(name, connections)]])
                cpu[name] = median([s[1] for s in samples[(name, connections)]])
            bench.row(**{"connections": connections, "nginx MiB/s": round(rate["nginx"]),
                         "shoal MiB/s": round(rate["shoal"]), "rate ratio (>= 1.0)": rate["shoal"] / rate["nginx"],
                         "docker-registry mirror MiB/s": round(rate[rival.name]),
                         "nginx CPU ps/byte": round(cpu["nginx"]), "shoal CPU ps/byte": round(cpu["shoal"]),
                         "CPU ratio (<= 1.1)": cpu["shoal"] / cpu["nginx"],
                         "nginx range": spread(samples[("nginx", connections)]),
                         "shoal range": spread(samples[("shoal", connections)])})
        bench.finish()


def spread(values):
    return f"{min(v[0] for v in values):.0f}-{max(v[0] for v in values):.0f}"


main(run)
