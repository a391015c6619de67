#!/usr/bin/env python3
"""Does a node grow? Minutes of 10,000 manifests a second (open loop, by `shoal bench`), by tag and by digest, fresh ones from
upstream among them, with pulls of layers beside them: memory and descriptors at the end of each step, and the answers'
times. With a program built for AddressSanitizer (--shoal build-asan/shoal --rate 1000) its leak check at the end counts."""
import json
import os
import pathlib
import subprocess
import time

from lib import MIB, Bench, Content, arguments, main, pull_through

GROWTH = 8  # MiB of anonymous memory, from the end of the second step to the end of the last one: more is an error


def more_arguments(parser):
    parser.add_argument("--rate", type=int, default=10_000, help="manifests a second (default: 10,000)")
    parser.add_argument("--minutes", type=float, default=5)


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def step(bench, server, targets, seconds):
    """`shoal bench` for so long; what it says of the manifests, and layers pulled meanwhile."""
    command = [bench.options.bench, "bench", "--no-pulls", "--manifests", str(bench.options.rate), "--seconds", str(seconds),
               "--rounds", "1", "--json", *targets]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pulls = 0
    while running.poll() is None:
        pull_through(server, "bench/soak", "latest", bench.layer)
        pulls += 1
        time.sleep(0.5)
    out, said = running.communicate()
    if running.returncode != 0:
        raise SystemExit(f"shoal bench: {said[-2000:]}{out[-2000:]}")
    return json.loads(out), pulls


def run():
    options = arguments(__doc__, more_arguments)
    options.bench = str(pathlib.Path(__file__).resolve().parents[2] / "build" / "shoal")
    seconds, steps = (2, 3) if options.quick else (20, max(3, round(options.minutes * 3)))
    with Bench("soak", options) as bench:
        content = Content(bench.directory)
        digest, bench.layer, _ = content.image("bench/soak", "latest", 8 * MIB)
        upstream = bench.registry(content.registry_root)
        server = bench.shoal(upstream, tag_ttl="100ms")
        pull_through(server, "bench/soak", "latest", bench.layer)
        base, held = f"http://{server.address}:{server.port}/bench/soak", []
        for number in range(1, steps + 1):
            target = f"{base}:latest" if number % 2 else f"{base}@{digest}"
            result, pulls = step(bench, server, [target], seconds)
            manifests = result["manifests"][0]
            held.append(server.memory("RssAnon") / MIB)
            bench.row(**{"step": number, "of": "tag" if number % 2 else "digest", "wanted a second": options.rate,
                         "came a second": manifests["answered"] / manifests["seconds"],
                         "p50 ms": manifests["response"]["p50"] / 1e6, "p99.9 ms": manifests["response"]["p99_9"] / 1e6,
                         "pulls of 8 MiB": pulls, "anon MiB": held[-1], "descriptors": descriptors(server)})
        bench.note(f"steps of {seconds} s; a tag is fresh for 100 ms; anonymous memory grew by {held[-1] - held[1]:.1f} MiB "
                   f"from the second step to the last (limit {GROWTH})")
        bench.stop(server)
        if server.process.returncode != 0:
            raise SystemExit(f"the node ended with {server.process.returncode}:\n{pathlib.Path(server.log).read_text()[-4000:]}")
        bench.finish()
        if held[-1] - held[1] > GROWTH:
            raise SystemExit("the node grew")


main(run)
