"""What something costs those who pull meanwhile, in windows of some seconds: how long the node's own event loops took for a
turn (shoal_loop_turn_seconds) and to come to what other threads handed them (shoal_loop_wait_seconds), and how long
answers took, asked for at a fixed pace (tools/poll.cc)."""
import http.client
import json
import os
import re
import subprocess
import sys

from lib import median

WINDOW = 5.0
LIMIT = 0.005  # of one turn: what the issues allow


def histogram(text, name):
    """Counts by bound, all loops together."""
    counts = {}
    for bound, value in re.findall(rf'^{name}_bucket{{[^}}]*le="([^"]+)"[^}}]*}} ([0-9.e+]+)$', text, re.M):
        counts[float(bound)] = counts.get(float(bound), 0) + float(value)
    return counts


class Loops:
    """What the node says of its loops, since it was made."""

    NAMES = {"turn": "shoal_loop_turn_seconds", "wait": "shoal_loop_wait_seconds"}

    def __init__(self, server):
        self.server = server
        self.before = self.read()

    def read(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.admin, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return {key: histogram(text, name) for key, name in self.NAMES.items()}

    def since(self):
        now, result = self.read(), {}
        for key, counts in now.items():
            bounds = sorted(counts)
            delta = [counts[b] - self.before[key].get(b, 0) for b in bounds]
            total = delta[-1]
            result[key] = {"n": int(total), "max": next(b for b, d in zip(bounds, delta) if d >= total),
                           "p999": next(b for b, d in zip(bounds, delta) if d >= 0.999 * total),
                           "over": int(total - delta[bounds.index(LIMIT)])}
        return result


class Windows:
    def __init__(self, bench, server, poll, paths):
        self.bench, self.server, self.poll, self.paths = bench, server, poll, paths
        self.kinds = {}

    def measure(self, kind, seconds=WINDOW, listing=()):
        loops = Loops(self.server)
        command = [self.poll, "--host", self.server.address, "--port", str(self.server.port), "--seconds",
                   str(seconds), *self.paths, *[f"list:{path}" for path in listing]]
        client = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True).stdout)
        if client["errors"]:
            raise SystemExit(f"{kind}: {client['errors']} polls failed, first: {client['first_error']}")
        window = {"client": client, "load": os.getloadavg()[0], **loops.since()}
        self.kinds.setdefault(kind, []).append(window)
        print(kind, json.dumps(window), file=sys.stderr, flush=True)

    def rows(self):
        for kind, windows in self.kinds.items():
            def ms(pick, windows=windows):
                return median([pick(w) for w in windows]) * 1e3
            self.bench.row(**{
                "": kind, "windows": len(windows), "turns over 5 ms": sum(w["turn"]["over"] for w in windows),
                "of": sum(w["turn"]["n"] for w in windows),
                "turn p99.9 <=": ms(lambda w: w["turn"]["p999"]), "max <=": ms(lambda w: w["turn"]["max"]),
                "worst <=": max(w["turn"]["max"] for w in windows) * 1e3,
                "wait p99.9 <=": ms(lambda w: w["wait"]["p999"]), "wait max <=": ms(lambda w: w["wait"]["max"]),
                "answer p50": ms(lambda w: w["client"]["p50"]), "answer p99.9": ms(lambda w: w["client"]["p999"]),
                "answer max": ms(lambda w: w["client"]["max"]),
                "load": median([w["load"] for w in windows])})
