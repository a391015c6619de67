#!/usr/bin/env python3
"""An index of 1,000,000 blobs in 100,000 repositories beside one of 1,000 in 100: lookups a second, and what eviction of a
tenth and a pass of the scrubber cost those who pull meanwhile; and 20,000 connections."""
import http.client
import json
import random
import re
import resource
import subprocess
import time
import types

from lib import MIB, REGISTRY, Bench, arguments, build_filler, build_tool, fill, free_port, main, median
from stalls import Windows

SIZE = 64
NOBODY = types.SimpleNamespace(address="127.0.0.1", port=9)


def more_arguments(parser):
    parser.add_argument("--files-per", type=int, default=1, metavar="N",
                        help="only every N-th blob has its file, where making a million takes too long (default: 1)")


class Node:
    """A store of so many blobs, and the program that serves it, as often as it is started."""

    def __init__(self, bench, name, blobs, repositories):
        self.bench, self.name, self.blobs, self.repositories = bench, name, blobs, repositories
        self.home = bench.directory / name
        bench.stop(self.start())  # makes its directories
        files = max(1, blobs // bench.options.files_per)
        self.digests = fill(build_filler(bench.options.shoal), str(self.home / "data"), f"{REGISTRY}/bench/scale",
                            blobs, files, repositories)[:files]

    def start(self, **storage):
        return self.bench.shoal(NOBODY, self.name, admin=free_port(), storage=storage)

    def path(self, number):
        return f"/v2/bench/scale/{number % self.repositories}/blobs/{self.digests[number]}"

    def some_paths(self, count):
        chosen = random.Random(7).sample(range(len(self.digests)), min(count, len(self.digests)))
        return [self.path(number) for number in chosen]


def lookups(bench, nodes, rounds):
    """GETs of random blobs of 64 bytes, the nodes in turn."""
    servers, rates = [node.start() for node in nodes], [[] for _ in nodes]
    for _ in range(rounds):
        for node, server, found in zip(nodes, servers, rates):
            done = bench.drain(server, node.some_paths(1000), connections=8, seconds=1 if bench.options.quick else 4)
            found.append(done["requests"] / done["seconds"])
    small, large = (median(found) for found in rates)
    for node, found in zip(nodes, rates):
        bench.row(**{"": f"lookups, {node.blobs} blobs", "a second": median(found), "of the small index": median(found) / small,
                     "wanted": "" if node is nodes[0] else ">= 1/1.2 = 0.833"})
    for server in servers:
        bench.stop(server)
    return large


def metric(server, name):
    connection = http.client.HTTPConnection("127.0.0.1", server.admin, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M).group(1))


def eviction(bench, node, poll):
    """A node that is started with room for nine tenths of what it holds."""
    server = node.start(max_size=node.blobs * SIZE * 9 // 10)
    windows = Windows(bench, server, poll, ["/v2/", "/healthz"])
    before, began = metric(server, "shoal_store_evicted_blobs_total"), time.monotonic()
    for _ in range(4):
        windows.measure("eviction")
    gone, took = metric(server, "shoal_store_evicted_blobs_total") - before, time.monotonic() - began
    if gone == 0:
        raise SystemExit("nothing was evicted while it was measured")
    bench.note(f"eviction: {gone / took:.0f} blobs a second")
    bench.stop(server)
    return windows


def scrub(bench, node, poll):
    server = node.start()
    live = node.some_paths(50)
    windows = Windows(bench, server, poll, live)
    windows.measure("quiet")
    walk = subprocess.Popen([bench.options.shoal, "scrub", "--admin", f"http://127.0.0.1:{server.admin}"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while walk.poll() is None and len(windows.kinds.get("scrub", [])) < 4:
        windows.measure("scrub")
    said = walk.communicate(timeout=600)[0]
    if walk.returncode != 0:
        raise SystemExit("shoal scrub: " + said)
    bench.note(f"scrub: {metric(server, 'shoal_scrubbed_blobs_total'):.0f} blobs hashed again in the whole pass")
    bench.stop(server)
    return windows


def connections(bench, node, count):
    """So many that have been answered and stay; meanwhile others ask."""
    server = node.start()
    before = server.memory("RssAnon")
    held = subprocess.Popen([bench.drain_path, "--port", str(server.port), "--connections", str(count), "--seconds",
                             "20", "--hold", node.path(0)], stdout=subprocess.PIPE, text=True)
    ready = json.loads(held.stdout.readline())
    if ready.get("event") != "ready":
        raise SystemExit(f"{count} connections were not all answered: {ready}")
    memory = server.memory("RssAnon") - before
    done = bench.drain(server, node.some_paths(1000), connections=8, seconds=4)
    held.wait()
    bench.row(**{"": f"{count} connections", "anon MiB": memory / MIB, "a second": done["requests"] / done["seconds"]})
    bench.stop(server)


def more_files(connections):
    """As many connections as the machine lets a process have."""
    wanted, (_, hard) = connections + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            connections = min(connections, hard - 1000)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return connections


def run():
    options = arguments(__doc__, more_arguments)
    blobs, repositories, rounds, held = (20_000, 2_000, 2, 2_000) if options.quick else (1_000_000, 100_000, 5, 20_000)
    held = more_files(held)
    with Bench("scale", options) as bench:
        poll = build_tool("poll", "-lpthread")
        nodes = [Node(bench, "small", 1_000, 100), Node(bench, "large", blobs, repositories)]
        bench.note(f"{blobs} blobs of {SIZE} bytes in {repositories} repositories, mirrored; {len(nodes[1].digests)} of them "
                   "with their file; lookups over 8 connections; windows of 5 s, a request every millisecond")
        lookups(bench, nodes, rounds)
        connections(bench, nodes[1], held)
        for windows in (scrub(bench, nodes[1], poll), eviction(bench, nodes[1], poll)):
            windows.rows()
        bench.finish()


main(run)
