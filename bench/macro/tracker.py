#!/usr/bin/env python3
"""Load on a tracker: a real node, and simulated ones (tools/tracker_load.cc) that announce and want over loopback with
valid seals. Also, what a site costs a node that does nothing: `--idle` puts so many blobs into its store first.

The load tool shares the machine with the node: CPU per request is the node's own, and says what so many cores can do."""
import json
import subprocess
import time

from lib import MIB, Bench, arguments, build_against, build_filler, fill, free_port, main

SECRET = "a secret of the benchmark's site"


def more(parser):
    parser.add_argument("--nodes", type=int, default=4000, help="simulated (a tracker knows 4,096)")
    parser.add_argument("--records", type=int, default=1_000_000, help="blobs that they tell of first")
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1, help="of the load tool")
    parser.add_argument("--loops", type=int, default=2, help="of the node")
    parser.add_argument("--seconds", type=float, default=10, help="of each phase")
    parser.add_argument("--idle", type=int, default=100_000, help="blobs in the store of the idle node")


def node(bench, name, enabled=True, trackers=None, port=None):
    port, secret = port or free_port(), bench.directory / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    return bench.shoal(name=name, port=port, log={"access": ""}, server={"loops": bench.options.loops},
                       storage={"index_size": "4GiB"},
                       p2p={"enabled": enabled, "secret_file": str(secret), "allow": ["127.0.0.0/8"],
                            "trackers": trackers or [f"127.0.0.1:{port}"], "min_size": "4MiB"})


def load(bench):
    options = bench.options
    nodes, records, seconds = options.nodes, options.records, options.seconds
    if options.quick:
        nodes, records, seconds = min(nodes, 500), min(records, 50_000), 2
    tracker = node(bench, "tracker")
    tool = build_against(options.shoal, "tracker_load", ("p2p", "registry", "base"),
                         ("-lfmt", "-lcrypto", "-lpthread"))
    before = tracker.memory("RssAnon")
    process = subprocess.Popen(
        [tool, "127.0.0.1", str(tracker.port), str(bench.directory / "secret"), str(options.threads),
         str(options.connections), str(nodes), str(records), str(seconds)], stdout=subprocess.PIPE, text=True)
    cpu = 0.0
    for line in process.stdout:
        if line.startswith("begin"):
            cpu = tracker.cpu_seconds()
            continue
        phase = json.loads(line)
        used = tracker.cpu_seconds() - cpu
        if phase["refused"]:
            raise SystemExit(f"{phase['refused']} requests were refused")
        each = used / max(phase["answered"], 1)
        bench.row(phase=phase["phase"], requests=phase["answered"],
                  **{"requests/s": round(phase["answered"] / phase["seconds"]), "CPU us/request": each * 1e6,
                     "cores in use": used / phase["seconds"], "two cores could": round(2 / each) if each else 0,
                     "p50 ms": phase["ms_p50"], "p99 ms": phase["ms_p99"], "begun anew": phase["forgotten"],
                     "memory MiB": round((tracker.memory("RssAnon") - before) / MIB)})
    if process.wait() != 0:
        raise SystemExit("the load tool failed")
    bench.note(f"{nodes} nodes, {records} records, {options.connections} connections, one request at a time on each; "
               f"node with {options.loops} loops, load tool with {options.threads} threads, same machine")
    bench.stop(tracker)


def measure(server, seconds):
    before = server.cpu_seconds()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / seconds * 100


def idle(bench):
    """Two nodes that know each other; one of them holds the blobs."""
    options = bench.options
    count, seconds = (1_000, 5) if options.quick else (options.idle, 30)
    first = node(bench, "other")
    holder = node(bench, "holder", trackers=[f"127.0.0.1:{first.port}"])
    bench.stop(holder)  # made its directories
    fill(build_filler(options.shoal), str(holder.home / "data"), "bench/idle", count, 0)
    for name, enabled in (("alone", False), ("on a site", True)):
        server = node(bench, "holder", enabled, [f"127.0.0.1:{first.port}"], holder.port)
        time.sleep(1 if options.quick else 15)  # tells the tracker of all it holds
        cpu = measure(server, seconds)
        bench.row(phase="idle, " + name, **{"CPU %": cpu, "memory MiB": round(server.memory("RssAnon") / MIB),
                                            "memory of its tracker MiB": round(first.memory("RssAnon") / MIB)})
        bench.stop(server)
    bench.note(f"idle: {count} blobs in the store, {seconds} s; memory is RssAnon")


def run():
    options = arguments(__doc__, more)
    with Bench("tracker", options) as bench:
        load(bench)
        if options.idle:
            idle(bench)
        bench.finish()


main(run)
