#!/usr/bin/env python3
"""Shoal beside the caches that are installed: nginx (static, proxy_cache, slice), Debian's docker-registry as a mirror,
Varnish, Squid, Traffic Server. The same work for each, interleaved; one table of ratios to Shoal.

Their configuration is in rival_servers.py. The upstream is a docker-registry on a shaped link in a network namespace of
the script's own; its access log tells how many copies of a layer it had to send.
"""
import contextlib
import hashlib
import http.client
import pathlib
import re
import resource
import threading
import time

from lib import MANIFEST_TYPE, MIB, Bench, Content, arguments, main, median, pull_through
from loads import SHAPED, Images, curl, curl_end, curl_start, enter_namespace, shape, touch_memory, wrk
from rival_servers import SYSTEMS, found, version_of
from token_registry import REPOSITORY, TokenRegistry

CONNECTIONS = (1, 8, 64)
CLIENTS = 8
TRIES = 4  # of a layer with wrong bytes, a second apart: by then a cache has written what it keeps


def more(parser):
    parser.add_argument("--systems", help="only these, by comma; shoal is always there. \"squid rock\" is there "
                        "when it is named only")
    parser.add_argument("--link", type=int, default=2500, help="Mbit/s from upstream (default: 2500)")


class Upstream:
    """The registry behind the mirrors, and what its access log says."""

    def __init__(self, bench, content):
        self.server = bench.registry(content.registry_root, "upstream", address=SHAPED)

    def sent(self, reference, kind="blobs"):
        """(GETs, bytes of bodies), once it has sent and logged all it was asked for."""
        self.wait_until_idle()
        lines = re.findall(rf'"GET /v2/[^ ]*/{kind}/{reference} [^"]*" 20[06] (\d+)',
                           pathlib.Path(self.server.log).read_text(errors="replace"))
        return len(lines), sum(map(int, lines))

    def about_tags(self):
        """GETs and HEADs of bench/manifest."""
        self.wait_until_idle()
        return len(re.findall(r'"(?:GET|HEAD) /v2/bench/manifest/manifests/',
                              pathlib.Path(self.server.log).read_text(errors="replace")))

    def wait_until_idle(self):
        """What it writes, to sockets and to its log, counts in /proc. A line is written after the last byte is sent."""
        counters, before, deadline = pathlib.Path(f"/proc/{self.server.process.pid}/io"), "", time.monotonic() + 120
        while (now := re.search(r"wchar: \d+", counters.read_text()).group()) != before:
            if time.monotonic() > deadline:
                raise SystemExit("upstream is asked for two minutes after the clients have all they wanted")
            before = now
            time.sleep(0.2)


class MemoryWatch:
    """The highest proportional set size of each server, looked at twice a second; pages of mapped files are in it."""

    def __init__(self, servers):
        self.servers, self.peak, self.over = servers, dict.fromkeys(servers, 0), threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.wait(0.5):
            for name, server in self.servers.items():
                self.peak[name] = max(self.peak[name], proportional(server))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.peak


def proportional(server):
    total = 0
    for pid in server.pids():
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # ended meanwhile
            continue
        total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+)", text, re.M)) * 1024
    return total


class Comparison:
    """values[metric][system]: samples, then one number each."""

    def __init__(self, bench):
        self.bench, self.values, self.by_digest = bench, {}, {}
        options = bench.options
        quick = options.quick
        self.rounds, self.seconds, self.size = (1, 1, 64 * MIB) if quick else (5, 3, 256 * MIB)
        self.small_rounds = 5 if quick else 20
        self.content = Content(bench.directory)
        self.images = Images(self.content)
        self.upstream = Upstream(bench, self.content)
        self.systems, self.servers = [], {}
        wanted = {s.name for s in SYSTEMS if s.usual} if not options.systems else {"shoal", *options.systems.split(",")}
        for system in SYSTEMS:
            if system.name not in wanted:
                continue
            if not found(system.name, system.program):
                bench.note(f"not installed, so not compared: {system.name}")
                continue
            self.start(system)
        self.caches = [s for s in self.systems if s.caches]

    def start(self, system):
        try:
            self.servers[system.name] = system.start(self.bench, self.content, self.upstream.server)
        except SystemExit as why:
            if system.name == "shoal":
                raise
            self.bench.note(f"did not start, so not compared: {system.name} ({' '.join(str(why).split())[:200]})")
            return
        self.systems.append(system)

    def sample(self, metric, system, value):
        self.values.setdefault(metric, {}).setdefault(system.name, []).append(value)

    @contextlib.contextmanager
    def tolerated(self, system):
        """A transfer that another system breaks off is told, and does not end the run."""
        try:
            yield
        except SystemExit as why:
            if system.name == "shoal":
                raise
            self.bench.note(f"{system.name} failed: {why}")

    def in_turn(self, systems, number):
        return systems if number % 2 == 0 else systems[::-1]

    def warm(self):
        repository, layer = self.images.next(self.size)
        path = f"/v2/{repository}/blobs/{layer}"
        for system in self.systems:
            server = self.servers[system.name]
            pull_through(server, repository, "latest", layer)
            if hashed(server, path) != layer:
                raise SystemExit(f"{system.name}: wrong bytes of a warm layer")
        asked, total = dict.fromkeys((s.name for s in self.systems), 0), self.upstream.sent(layer)[0]
        for number in range(self.rounds):
            for connections in CONNECTIONS:
                for system in self.in_turn(self.systems, number):
                    got = self.bench.drain(self.servers[system.name], [path], connections=connections,
                                           seconds=self.seconds)
                    before, total = total, self.upstream.sent(layer)[0]
                    asked[system.name] += total - before
                    self.sample(f"warm {connections}", system, got["bytes"] / got["seconds"] / MIB)
                    self.sample(f"warm CPU {connections}", system, got["server_cpu_seconds"] / got["bytes"] * 1e9)
        for name, count in asked.items():
            if count:
                self.bench.note(f"{name} asked upstream {count} times for the warm layer")

    def manifests(self):
        digest, _, _ = self.content.image("bench/manifest", "latest", 1024, "x" * 1500)
        for system in self.systems:
            pull_through(self.servers[system.name], "bench/manifest", "latest")
            before = self.upstream.sent(digest, "manifests")[0]
            pull_through(self.servers[system.name], "bench/manifest", digest)
            if system.caches:
                self.by_digest[system.name] = (
                    "cached" if self.upstream.sent(digest, "manifests")[0] == before else "fetched")
        for number in range(self.rounds):
            for what, reference in (("digest", digest), ("tag", "latest")):
                for system in self.in_turn(self.systems, number):
                    before = self.upstream.about_tags()
                    rate, cpu = wrk(self.servers[system.name], f"/v2/bench/manifest/manifests/{reference}", self.seconds)
                    self.sample(f"manifests {what}", system, rate)
                    self.sample(f"manifests CPU {what}", system, cpu)
                    self.sample(f"asked about {what}", system,
                                (self.upstream.about_tags() - before) / (rate * self.seconds))

    def new_layer(self, size):
        """Nobody has it, but every cache has the manifest: only the layer is measured."""
        repository, layer = self.images.next(size)
        for system in self.caches:
            pull_through(self.servers[system.name], repository, "latest")
        return layer, f"/v2/{repository}/blobs/{layer}"

    def first_byte(self):
        direct = []
        for number in range(self.small_rounds):
            _, path = self.new_layer(MIB)
            direct.append(curl(self.upstream.server, path)[0])
            for system in self.in_turn(self.caches, number):
                self.sample("first byte", system, curl(self.servers[system.name], path)[0])
        self.bench.note(f"first byte straight from upstream: {median(direct):.2f} ms")

    def cold(self):
        direct = []
        for number in range(self.rounds):
            _, path = self.new_layer(self.size)
            touch_memory(self.bench, self.size)
            direct.append(curl(self.upstream.server, path)[1])
            for system in self.in_turn(self.caches, number):
                touch_memory(self.bench, self.size)
                server = self.servers[system.name]
                before = server.cpu_seconds()
                with self.tolerated(system):
                    self.sample("cold", system, curl(server, path)[1])
                    self.sample("cold CPU", system, (server.cpu_seconds() - before) / self.size * 1e9)
        self.bench.note(f"cold layer straight from upstream: {median(direct):.0f} MiB/s")

    def herd(self):
        for number in range(self.rounds):
            layer, path = self.new_layer(self.size)
            for system in self.in_turn(self.caches, number):
                touch_memory(self.bench, self.size)
                before = self.upstream.sent(layer)
                clients = [curl_start(self.servers[system.name], path) for _ in range(CLIENTS)]
                with self.tolerated(system):
                    self.sample("herd", system, min(curl_end(c)[1] for c in clients))
                for client in clients:
                    client.wait()
                gets, sent = self.upstream.sent(layer)
                self.sample("herd copies", system, (sent - before[1]) / self.size)
                self.sample("herd GETs", system, gets - before[0])

    def wrong_bytes(self):
        """What becomes of a layer that upstream sends with one byte changed; once for each round."""
        verdicts = {system.name: [] for system in self.caches}
        for layer, path in [self.new_layer(MIB) for _ in range(self.rounds)]:
            file = next(self.content.registry_root.glob(f"**/{layer.removeprefix('sha256:')}/data"))
            with open(file, "r+b") as out:
                out.seek(MIB // 2)
                byte = out.read(1)[0]
                out.seek(MIB // 2)
                out.write(bytes([byte ^ 1]))
            for system in self.caches:
                verdicts[system.name].append(self.verdict(self.servers[system.name], layer, path))
        return verdicts

    def verdict(self, server, layer, path):
        """Kept: a later client got the same whole object, and upstream was not asked for it."""
        passed = tried(server, path)
        for _ in range(TRIES - 1):
            time.sleep(1)
            asked = self.upstream.sent(layer)[0]
            again = tried(server, path)
            if again and self.upstream.sent(layer)[0] == asked:
                return "kept"
            passed = passed or again
        return "passed on" if passed else "refused"

    def tokens(self):
        """What a client without a token gets of an image for which upstream wants one, through fresh servers."""
        upstream, answers = TokenRegistry(SHAPED), {}
        with Bench("tokens", self.bench.options) as bench:
            for system in self.caches:
                try:
                    server = system.start(bench, self.content, upstream)
                except SystemExit as why:
                    answers[system.name] = f"did not start: {' '.join(str(why).split())[:200]}"
                    continue
                status = server.get(f"/v2/{REPOSITORY}/manifests/latest", {"Accept": MANIFEST_TYPE})[0]
                whole = status == 200 and hashed(server, f"/v2/{REPOSITORY}/blobs/{upstream.layer}") == upstream.layer
                answers[system.name] = "fetched" if whole else str(status)
                bench.stop(server)
        upstream.stop()
        return answers


def tried(server, path):
    """Whether a client got the whole object."""
    process = curl_start(server, path)
    code, *_, size = process.communicate()[0].split()
    return process.returncode == 0 and code == "200" and int(float(size)) == MIB


def hashed(server, path):
    connection = http.client.HTTPConnection(server.address, server.port, timeout=120)
    connection.request("GET", path)
    digest, answer = hashlib.sha256(), connection.getresponse()
    while piece := answer.read(MIB):
        digest.update(piece)
    connection.close()
    return f"sha256:{digest.hexdigest()}"


COLUMNS = (  # metric, head
    ("warm 1", "warm MiB/s, 1"), ("warm 8", "8"), ("warm 64", "64 connections"), ("warm CPU 8", "CPU s/GB, 8"),
    ("manifests digest", "manifests/s, digest"), ("manifests tag", "fresh tag"), ("first byte", "cold first byte ms"),
    ("cold", "cold MiB/s"), ("cold CPU", "cold CPU s/GB"), ("herd", "herd slowest MiB/s"), ("peak", "peak PSS MiB"))


def table(bench, work, single, wrong, tokens):
    """Shoal's row in units; the others' as multiples of it, and what they cannot do as a dash."""
    def cell(metric, system):
        value = single[metric].get(system.name)
        if value is None:
            return "-"
        if system.name == "shoal":
            return f"{value:.3g}" if value < 100 else f"{value:.0f}"
        return f"{value / single[metric]['shoal']:.2f}x" if single[metric]["shoal"] else "?"

    for system in work.systems:
        row = {"system": f"{system.name} {version_of(system)}".strip()}
        row.update({head: cell(metric, system) for metric, head in COLUMNS})
        copies = work.values["herd copies"].get(system.name)
        row["upstream copies"] = "-" if copies is None else (
            f"{median(copies):.2f} ({min(copies):.2f}-{max(copies):.2f}; {single['herd GETs'][system.name]:.0f} GETs)")
        verdicts = wrong.get(system.name, ["-"])
        row["wrong bytes"] = ", ".join(verdicts[:1] if len(set(verdicts)) == 1 else sorted(verdicts))
        row["digest after tag"] = work.by_digest.get(system.name, "-")
        row["token"] = tokens.get(system.name, "-")
        bench.row(**row)


def run():
    options = arguments(__doc__, more)
    if options.access_log == "off":
        raise SystemExit("rivals.py counts upstream requests in an access log; it needs them on")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # alike for all who start here
    with Bench("rivals", options) as bench:
        work = Comparison(bench)
        watch = MemoryWatch(work.servers)
        work.warm()
        work.manifests()
        shape(options.link)
        work.first_byte()
        work.cold()
        work.herd()
        wrong = work.wrong_bytes()
        shape(0)
        peak = watch.end()
        tokens = work.tokens()
        single = {m: {n: median(v) for n, v in by.items()} for m, by in work.values.items()}
        single["peak"] = {name: most / MIB for name, most in peak.items()}
        explain(bench, work, options)
        table(bench, work, single, wrong, tokens)
        bench.finish(absolute=single, samples=work.values, wrong_bytes=wrong, tokens=tokens)


def explain(bench, work, options):
    bench.note("shoal: values; others: times Shoal's; -: it cannot")
    bench.note(f"one {work.size // MIB} MiB layer; medians of {work.rounds} interleaved rounds, warm and manifests of "
               f"{work.seconds} s (32 connections), first byte of {work.small_rounds} layers of 1 MiB; from upstream "
               f"{options.link} Mbit/s; herd: {CLIENTS} clients at once on one cold layer, copies in bytes")
    bench.note("upstream copies: median (least-most over the rounds; median of GETs)")
    bench.note("peak PSS: over the whole run; with pages of mapped files (Varnish's cache is one) and objects in memory "
               "(Squid and Traffic Server: up to 1 GiB); kernel page cache is in none")
    bench.note("wrong bytes: a layer that upstream sends with a byte changed is refused, passed on to who asked (and fetched "
               f"again for the next), or kept and served again; {work.rounds} layers, {TRIES} requests each")
    bench.note("digest after tag: a manifest pulled by tag, then by its digest, is cached or fetched again")
    bench.note("token: upstream wants a bearer token, the client has none: fetched by the cache, or the status that the "
               "client got")
    for name, asked in sorted(work.values["asked about tag"].items()):
        if max(asked) > 0.001:
            bench.note(f"{name} asked upstream {median(asked):.2f} times for each GET by a fresh tag")


enter_namespace()
main(run)
