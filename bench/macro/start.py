#!/usr/bin/env python3
"""Start with 1,000,000 blobs in the index: seconds from the start of the process to the first answer, and memory then.

The store is made by the store's own code (tools/fill_store.cc): a record and a hosted link of each blob, and the file of
every tenth. Beside it, the same with a hundred blobs."""
import http.client
import os
import pathlib
import subprocess
import time

from lib import MIB, Bench, arguments, build_filler, fill, main, median


def more(parser):
    parser.add_argument("--files-per", type=int, default=10, metavar="N", help="every N-th blob has its file (default: 10)")


class Node:
    """Started; `seconds` until it answered."""

    def __init__(self, bench, home, port):
        with open(home / "log", "ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen([bench.options.shoal, "serve", "--config", str(home / "shoal.yml")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not answers(port):
            if self.process.poll() is not None or time.monotonic() > began + 60:
                self.process.kill()
                raise SystemExit("shoal did not start:\n" + (home / "log").read_text()[-2000:])
            time.sleep(0.002)
        self.seconds = time.monotonic() - began

    def memory(self, field):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise SystemExit(f"no {field} in /proc")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == 200
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()


def run():
    options = arguments(__doc__, more)
    rounds, large = (2, 20_000) if options.quick else (7, 1_000_000)
    with Bench("start", options) as bench:
        filler = build_filler(options.shoal)
        homes = {count: bench.configure(f"node-{count}") for count in (100, large)}
        for count, (home, port) in homes.items():
            Node(bench, home, port).stop()  # makes its directories
            fill(filler, str(home / "data"), "bench/start", count, count // options.files_per)
        os.sync()
        samples = {}
        for _ in range(rounds):
            for count, (home, port) in homes.items():
                node = Node(bench, home, port)
                time.sleep(0.5)  # what it does right after the first answer is in the memory
                samples.setdefault(count, []).append((node.seconds, node.memory("RssAnon"), node.memory("VmRSS")))
                node.stop()
        bench.note(f"to the first answer (GET /v2/), asked every 2 ms; page cache warm; medians of {rounds} rounds; anon: "
                   "what is resident beyond mapped pages")
        limits = {"s": "< 1", "MiB": "< 100"} if not options.quick else {"s": "", "MiB": ""}
        for count, values in samples.items():
            is_large = count == large
            bench.row(**{"blobs": count, "start s": median([v[0] for v in values]),
                         "limit s": limits["s"] if is_large else "", "slowest s": max(v[0] for v in values),
                         "anon MiB": median([v[1] for v in values]) / MIB, "limit MiB": limits["MiB"] if is_large else "",
                         "resident MiB": median([v[2] for v in values]) / MIB,
                         "index MiB": sum(f.stat().st_size for f in (homes[count][0] / "data/index").rglob("*")) / MIB})
        bench.finish()


main(run)
