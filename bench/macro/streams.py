#!/usr/bin/env python3
"""Memory: 1,000 concurrent layer streams to slow readers, warm and on one cold layer, and 10,000 idle connections; resident
bytes above idle, beside nginx doing the same from a file."""
import json
import subprocess
import time

from lib import MIB, Bench, Content, arguments, main, pull_through

PACE = 50_000  # bytes a second and connection


def held(bench, server, path, connections, seconds, *flags):
    """Highest resident memory above what it was before, while `connections` are held; all must have been answered."""
    before = server.memory(), server.memory("RssAnon")
    cpu = server.cpu_seconds()
    process = subprocess.Popen(
        [bench.drain_path, "--port", str(server.port), "--connections", str(connections), "--seconds", str(seconds),
         *flags, path], stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline())
    if ready.get("event") != "ready":
        raise SystemExit(f"{server.name}: {connections} connections were not all answered in {seconds} s: {ready}")
    peak = [0, 0]
    while process.poll() is None:
        now = server.memory(), server.memory("RssAnon")
        peak = [max(a, b) for a, b in zip(peak, now)]
        time.sleep(0.1)
    result = json.loads(process.stdout.readline())
    if result["errors"]:
        raise SystemExit(f"{server.name}: {result['errors']} connections failed: {result['first_error']}")
    return (peak[0] - before[0]) / MIB, (peak[1] - before[1]) / MIB, before[0] / MIB, server.cpu_seconds() - cpu, result


def run():
    options = arguments(__doc__)
    streams, idle, seconds = (200, 1000, 6) if options.quick else (1000, 10000, 20)
    with Bench("streams", options) as bench:
        content = Content(bench.directory)
        _, layer, _ = content.image("bench/streams", "latest", 64 * MIB)
        _, cold_layer, _ = content.image("bench/coldstreams", "latest", 64 * MIB)
        path = f"/v2/bench/streams/blobs/{layer}"
        upstream = bench.registry(content.registry_root)
        nginx = bench.nginx(content.static_root)
        bench.note(f"readers take {PACE} bytes/s each; above idle: the highest over {seconds} s minus before, Shoal: per case a "
                   "fresh process, nginx: one for all; anon: without mapped files; kernel socket buffers are in neither")
        cases = [("warm streams", streams, path, "--pace", f"{PACE}", 64),
                 ("streams of one cold layer", streams, f"/v2/bench/coldstreams/blobs/{cold_layer}", "--pace", f"{PACE}", 64),
                 ("idle connections", idle, "/v2/", "--hold", None, 100)]
        for what, count, target, *flags, limit in cases:
            flags = [f for f in flags if f]
            for server in (nginx, bench.shoal(upstream, f"shoal-{what.split()[-1]}-{what.split()[0]}")):
                if server is not nginx:
                    pull_through(server, "bench/streams", "latest", layer)
                    pull_through(server, "bench/coldstreams", "latest")
                above, anonymous, before, cpu, result = held(bench, server, target, count, seconds, *flags)
                is_shoal = server is not nginx
                bench.row(**{"server": "shoal" if is_shoal else "nginx", "case": what, "connections": count,
                             "idle MiB": before, "above idle MiB": above,
                             "limit": f"< {limit}" if is_shoal and not options.quick else "",
                             "above idle, anon MiB": anonymous, "server CPU s": cpu,
                             "MiB sent": result["bytes"] / MIB, "first byte p99 ms": result["first_byte_ms"]["p99"]})
                if is_shoal:
                    bench.stop(server)
        bench.finish()


main(run)
