#!/usr/bin/env python3
"""Pushes over loopback: many small blobs over 64 connections, and one large layer, against Debian's docker-registry
with the same client in one run. Shoal answers when the push would survive a power cut; docker-registry syncs nothing."""
import json
import subprocess

from lib import MIB, Bench, arguments, build_tool, main, median

CONNECTIONS = 64


def push(tool, server, **flags):
    before = server.cpu_seconds()
    command = [tool, "--host", server.address, "--port", str(server.port)]
    for flag, value in flags.items():
        command += [f"--{flag}"] + ([] if value is True else [str(value)])
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True).stdout)
    if result["errors"]:
        raise SystemExit(f"{server.name}: {result['errors']} failed, first: {result['first_error']}")
    result["cpu"] = server.cpu_seconds() - before
    return result


def run():
    options = arguments(__doc__)
    rounds, count, large = (2, 500, 128 * MIB) if options.quick else (5, 3000, 1024 * MIB)
    with Bench("push", options) as bench:
        tool = build_tool("push", "-lcrypto", "-lpthread")
        servers = [bench.shoal(), bench.registry(bench.directory / "registry")]
        bench.note(f"small: {count} blobs of 4 KiB, POST and PUT, {CONNECTIONS} connections; large: one blob of "
                   f"{large // MIB} MiB, POST, PATCH and PUT; medians of {rounds} interleaved rounds")
        small, big = {}, {}
        for number in range(rounds):
            for server in servers if number % 2 == 0 else reversed(servers):
                small.setdefault(server, []).append(push(tool, server, connections=CONNECTIONS, count=count, size=4096))
                big.setdefault(server, []).append(push(tool, server, connections=1, count=1, size=large, patch=True))
        rate = {s: median([r["pushes"] / r["seconds"] for r in small[s]]) for s in servers}
        speed = {s: median([r["bytes"] / r["seconds"] / MIB for r in big[s]]) for s in servers}
        for server in servers:
            bench.row(**{"server": server.name, "small pushes/s": round(rate[server]),
                         "of docker-registry (>= 5)": rate[server] / rate[servers[1]],
                         "CPU us/push": median([r["cpu"] / r["pushes"] * 1e6 for r in small[server]]),
                         "large MiB/s": round(speed[server]),
                         "of it (>= 0.9)": speed[server] / speed[servers[1]],
                         "CPU ms/MiB": median([r["cpu"] / r["bytes"] * MIB * 1e3 for r in big[server]])})
        bench.finish()


main(run)
