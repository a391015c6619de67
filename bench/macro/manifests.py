#!/usr/bin/env python3
"""Warm manifests by digest and by fresh tag: requests per second and CPU per request (wrk), against nginx serving a
static file of that size and Debian's docker-registry as a mirror, in one run."""
from lib import Bench, Content, arguments, main, median, pull_through
from loads import wrk

CONNECTIONS = 32


def run():
    options = arguments(__doc__)
    rounds, seconds = (2, 1) if options.quick else (7, 3)
    with Bench("manifests", options) as bench:
        content = Content(bench.directory)
        digest, _, manifest = content.image("bench/manifest", "latest", 1024, "x" * 1500)
        upstream = bench.registry(content.registry_root, "upstream")
        nginx = bench.nginx(content.static_root)
        cached = bench.nginx(content.static_root, "nginx+open_file_cache", "open_file_cache max=1000;")
        rival = bench.registry(bench.directory / "rival", "docker-registry mirror",
                               remote=f"http://127.0.0.1:{upstream.port}")
        shoal = bench.shoal(upstream)
        pull_through(shoal, "bench/manifest", "latest")
        pull_through(rival, "bench/manifest", "latest")
        bench.note(f"manifest of {len(manifest)} bytes; wrk, 1 thread, {CONNECTIONS} connections; medians of {rounds} "
                   f"interleaved rounds of {seconds} s")
        by_digest, by_tag = (f"/v2/bench/manifest/manifests/{r}" for r in (digest, "latest"))
        cases = [(nginx, "static file", by_tag), (cached, "static file", by_tag), (shoal, "by digest", by_digest),
                 (shoal, "by fresh tag", by_tag), (rival, "by digest", by_digest), (rival, "by tag", by_tag)]
        samples = {}
        for number in range(rounds):
            for case in cases if number % 2 == 0 else reversed(cases):
                samples.setdefault(case, []).append(wrk(case[0], case[2], seconds, CONNECTIONS))
        base = median([s[0] for s in samples[cases[0]]])
        for case in cases:
            rates = [s[0] for s in samples[case]]
            bench.row(**{"server": case[0].name, "request": case[1], "requests/s": round(median(rates)),
                         "of nginx (shoal: >= 0.9)": median(rates) / base,
                         "CPU us/request": median([s[1] for s in samples[case]]),
                         "range": f"{min(rates):.0f}-{max(rates):.0f}"})
        bench.finish()


main(run)
