#!/usr/bin/env python3
"""What a garbage collection of 1,000,000 blobs costs those who pull meanwhile. A store with a million files, records
and hosted links (made by the store's own code, tools/fill_store.cc), a tenth of them named by manifests, is measured in
windows of some seconds: without a collection, while one walks (dry run), and while one removes; each also with a client
that lists 100,000 tags over and over. Of each window: how long the node's own event loops took for a turn
(shoal_loop_turn_seconds) and to come to what other threads handed them (shoal_loop_wait_seconds), and how long answers
took, asked for every millisecond."""
import concurrent.futures
import hashlib
import http.client
import json
import pathlib
import subprocess
import time

from lib import MANIFEST_TYPE, Bench, arguments, build_filler, build_tool, fill, free_port, main
from stalls import WINDOW, Windows

MOST_WINDOWS = 16  # of the removal that are measured


def more_arguments(parser):
    parser.add_argument("--files-per", type=int, default=1, metavar="N",
                        help="only every N-th blob has its file, where making a million takes too long (default: 1)")
    parser.add_argument("--store", help="a directory that fill_store has filled, with DIRECTORY.digests beside it; it "
                        "is used up (default: one is made)")
    parser.add_argument("--autogroup", type=int, metavar="NICE", help="nice value of the node against other sessions (root, "
                        "Linux autogroups): for a machine that has other work; within the node nothing changes")
    parser.add_argument("--rounds", type=int, default=4, help="of a dry run between baselines (default: 4)")
    parser.add_argument("--most-windows", type=int, default=MOST_WINDOWS, help="of the removal that are measured")


def hosted(bench):
    server = bench.shoal(admin=free_port(), storage={"path": bench.options.store} if bench.options.store else {},
                         registry={"gc_interval": 0, "gc_grace": 0}, log={"level": "info"})
    if bench.options.autogroup is not None:
        pathlib.Path(f"/proc/{server.process.pid}/autogroup").write_text(str(bench.options.autogroup))
    return server


def make_store(bench, garbage, kept):
    """Digests of those kept."""
    filler, store, per = build_filler(bench.options.shoal), str(bench.directory / "shoal" / "data"), bench.options.files_per
    bench.stop(hosted(bench))  # made its directories
    for at in range(10):
        fill(filler, store, f"bench/garbage{at}", garbage // 10, garbage // 10 // per)
    return fill(filler, store, "bench/kept", kept, kept // per)


def push(connection, repository, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    connection.request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise SystemExit(f"push: {answer.status} {text[:200]}")
    return digest


def put_manifest(connection, repository, tags, digests):
    body = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digests[0], "size": 64},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": d, "size": 64}
                   for d in digests[1:]]}).encode()
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    query = "&".join("tag=" + tag for tag in tags)
    connection.request("PUT", f"/v2/{repository}/manifests/{digest}?{query}", body, {"Content-Type": MANIFEST_TYPE})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise SystemExit(f"PUT of a manifest: {answer.status} {text[:200]}")


def put_tags(server, repository, digests, count):
    """So many tags on one manifest, ten a request."""
    def some(part):
        connection = http.client.HTTPConnection(server.address, server.port)
        for first in part:
            put_manifest(connection, repository, [f"tag-{i:06}" for i in range(first, min(first + 10, count))], digests)
        connection.close()
    starts = list(range(0, count, 10))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(some, starts[i::16]) for i in range(16)]:
            done.result()


class Collection:
    """`shoal gc`, running."""

    def __init__(self, bench, server, *flags):
        self.began = time.monotonic()
        self.process = subprocess.Popen([bench.options.shoal, "gc", "--admin", f"http://127.0.0.1:{server.admin}", *flags],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def running(self):
        return self.process.poll() is None

    def stop(self):
        self.process.kill()
        self.process.wait()

    def result(self):
        out = self.process.communicate()[0]
        if self.process.returncode != 0:
            raise SystemExit("shoal gc: " + out)
        return time.monotonic() - self.began, out.replace("\n", "; ").strip("; ")


def run():
    options = arguments(__doc__, more_arguments)
    garbage, kept, tags = (20_000, 5_000, 5_000) if options.quick else (900_000, 100_000, 100_000)
    rounds = 1 if options.quick else options.rounds
    per = options.files_per
    with Bench("gc", options) as bench:
        poll = build_tool("poll", "-lpthread")
        if options.store:
            digests = pathlib.Path(options.store + ".digests").read_text().split()
        else:
            digests = make_store(bench, garbage, kept)
        server = hosted(bench)
        connection = http.client.HTTPConnection(server.address, server.port)
        for at in range(0, kept, 500):
            put_manifest(connection, "bench/kept", [f"image-{at}"], digests[at:at + 500])
        put_tags(server, "bench/kept", digests[:10], tags)
        bench.note(f"{garbage + kept} blobs of 64 bytes in 11 repositories: as many records and links, and "
                   f"{(garbage + kept) // per} files; {kept} of them named by {kept // 500} manifests; {tags} tags")
        if options.autogroup is not None:
            bench.note(f"the machine had other work: the node's session at nice {options.autogroup} against that")
        bench.note(f"windows of {WINDOW:.0f} s, medians over the windows; milliseconds; a request every millisecond "
                   "over 8 connections (manifest by tag, blob, one page of tags, /healthz)")
        live = push(connection, "bench/kept", b"asked for all the time")
        put_manifest(connection, "bench/kept", ["latest"], [live])
        paths = ["/v2/bench/kept/manifests/latest", f"/v2/bench/kept/blobs/{live}",
                 "/v2/bench/kept/tags/list?n=10", "/healthz"]
        listing = ["/v2/bench/kept/tags/list"]
        windows = Windows(bench, server, poll, paths)
        windows.measure("warm-up", 1)
        windows.kinds.clear()
        for _ in range(rounds):
            windows.measure("no collection")
            dry = Collection(bench, server, "--dry-run")
            while dry.running():
                windows.measure("collection, walking (dry run)", 2)
            took, _ = dry.result()
            windows.measure("no collection, listing", listing=listing)
            dry = Collection(bench, server, "--dry-run")
            while dry.running():
                windows.measure("collection, walking; listing", 2, listing)
            dry.result()
        bench.note(f"a dry run takes {took:.1f} s while it is measured")
        memory = server.memory("RssAnon")
        real, number = Collection(bench, server), 0
        while real.running() and number < options.most_windows:
            if number % 2 == 0:
                windows.measure("collection, removing")
            else:
                windows.measure("collection, removing; listing", listing=listing)
            number += 1
        if real.running():
            real.stop()  # the client: the node goes on until it is stopped
            bench.note("the collection was still removing after the last window, and was not waited for")
        else:
            took, said = real.result()
            bench.note(f"the collection took {took:.1f} s: {said}; anonymous memory {memory >> 20} MiB before, "
                       f"{server.memory('RssAnon') >> 20} MiB after")
            for _ in range(rounds):
                windows.measure("no collection, afterwards")
        windows.rows()
        if not windows.kinds["no collection"][0]["client"]["real_time"]:
            bench.note("the client had no right to run in real time: its own waits are in its figures")
        bench.finish()


main(run)
