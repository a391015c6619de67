"""Every fault of an upstream, for every client, with the content held or not, alone or with neighbours: a client ends
in time, with the right bytes or with a clear error; the log and the metrics tell why; and once upstream is well again,
the same pull succeeds without a restart.

All rows (lib/faults.py) are upstreams of one set of mirrors and happen at the same time: none may spoil another's, nor
the healthy one's. SHOAL_MATRIX=full: all clients in all rows, some seven minutes instead of two.
"""

import ctypes
import os
import re
import subprocess
import sys
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import case, clients, faults, images, procs, shoal, tls
from lib.site import Site, free_ports

FULL = os.environ.get("SHOAL_MATRIX") == "full"
FEW = {"healthy", "refused", "503", "cut", "wrong bytes"}  # rows of the clients that take long

REQUEST_LIMIT = 15.0   # seconds for one request of the plain client, whatever upstream does
HELD_LIMIT = 5.0       # of what the mirror or a neighbour has
REAL_CLIENTS = ("skopeo", "podman", "containerd", "dockerd") + (("buildah",) if FULL else ())
CLIENT_LIMIT = 150.0   # for a whole pull of a real client, with its own repetitions
RECOVERY_LIMIT = 30.0  # from the healing to a pull that succeeds

UPSTREAM = {"tag_ttl": "0s", "connect_timeout": "2s", "first_byte_timeout": "2s", "stall_timeout": "2s",
            "min_rate": "1KiB", "retries": 1, "revalidate_wait": "2s", "negative_ttl": "0s"}

# (row, column, or "log" or "metric"): why this does not hold. One that does hold after all is a failure, too.
EXPECTED_FAILURES = {}


def setUpModule():
    """A resolver of our own: the mount is seen by this process and its children only, and goes with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare: the fault matrix needs root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Failed(AssertionError):
    pass


def require(condition, text, *details):
    if not condition:
        raise Failed(text % details if details else text)


class Column:
    """One client against one mirror, with the content held by that mirror (warm) or not. `p2p`: off, holder (a
    neighbour has it) or empty (a neighbour has nothing)."""

    def __init__(self, client, state, p2p, mirror, rows=None):
        self.client, self.state, self.p2p, self.mirror, self.rows = client, state, p2p, mirror, rows
        self.name = "%s %s %s" % (client.name, state, p2p)

    @property
    def repository(self):
        return "%s/%s-%s" % (self.state, self.client.name, self.p2p)

    @property
    def must_succeed(self):
        return self.state == "warm" or self.p2p == "holder"

    def covers(self, row):
        return self.rows is None or row.name in self.rows


class RawClient:
    """Plain HTTP: looks at every status, header and byte."""
    name = "raw"

    def __init__(self):
        self.tags = {}  # the last answer to the tag, by row

    def tag_of(self, row):
        return self.tags[row.name]

    def pull(self, column, row, image):
        """(what the table says, whether all came). Fails on wrong bytes, on bad errors, and on what takes too long."""
        mirror, repository = column.mirror, "%s/%s" % (row.registry, column.repository)
        first = self._get(mirror, "/v2/%s/manifests/v1" % repository, row)
        if first.status != 200:
            return self._error(first, row), False
        require(first.body == image.data, "another manifest than upstream's")
        self.tags[row.name] = first
        answers = [self._get(mirror, "/v2/%s/blobs/%s" % (repository, blob.digest), row, blob) for blob in image.blobs]
        bad = [answer for answer in answers if answer.status != 200 or answer.broken]
        if not bad:
            status = case.cache_status(answers[-1])
            where = "neighbour" if "neighbour" in status else "held" if "; hit" in status else "fetched"
            return "200 " + where, True
        if bad[0].status != 200:
            return self._error(bad[0], row), False
        return "broken off", False

    @staticmethod
    def _get(mirror, path, row, blob=None):
        try:
            answer = mirror.get(path, {"Accept": images.ALL_MANIFESTS}, timeout=REQUEST_LIMIT * shoal.slow_build())
        except TimeoutError:
            raise Failed("%s: no byte for %.0f s" % (path, REQUEST_LIMIT)) from None
        require(answer.took < REQUEST_LIMIT * shoal.slow_build(), "%s took %.1f s", path, answer.took)
        require(answer.status != 0, "%s: the connection was cut without an answer", path)
        require(answer.status in (200, *row.statuses), "%s: status %s, %r", path, answer.status, answer.body[:300])
        if blob and answer.status == 200 and not answer.broken:
            require(answer.digest == blob.digest, "%s: wrong bytes as a complete answer (%d of %d)", path,
                    len(answer.body), blob.size)
        return answer

    @staticmethod
    def _error(answer, row):
        require(answer.headers.get("retry-after", "").isdigit(), "%d without Retry-After", answer.status)
        try:
            code, message = answer.error()
        except (ValueError, KeyError, AssertionError):
            raise Failed("%d without an OCI error body: %r" % (answer.status, answer.body[:300])) from None
        require(code in ("UNAVAILABLE", "TOOMANYREQUESTS", "UNKNOWN"), "code %s", code)
        require(row.registry in message, "the error does not name the upstream: %s", message)
        return str(answer.status)


class RealClient:
    def __init__(self, client, direct):
        self.client, self.name, self.direct = client, client.name, direct

    def pull(self, column, row, image):
        host = column.mirror.host + "/" if self.direct else ""
        name = "%s%s/%s:v1" % (host, row.registry, column.repository)
        try:
            self.client.pull(name, timeout=CLIENT_LIMIT * shoal.slow_build())
        except procs.ToolFailed as failure:
            require("timeout after" not in str(failure.code), "%s does not end: %s", self.name, failure.output)
            self.said = failure.output[-600:]
            return "error", False
        require(image.digest in self.client.digests(name), "%s has another image than upstream", self.name)
        if hasattr(self.client, "files"):
            missing = {blob.digest for blob in image.blobs} - self.client.files(name)
            require(not missing, "%s kept other bytes than upstream's: %s", self.name, missing)
        self.client.remove(name)
        return "ok", True


class TestFaultMatrix(case.Case):
    limit = 1800 if FULL else 400

    def test_matrix(self):
        self.results = {}  # (row name, column name) -> [text], failures
        self.failures, self.known = [], set()
        began = time.monotonic()
        self.prepare()
        self.warm_up()
        self.strike()
        try:
            self.run_cells(self.broken_cell)
            self.check_telling()
            self.check_mirrors()
        finally:
            self.heal()
        self.run_cells(self.healed_cell)
        self.check_mirrors()
        self.print_table(time.monotonic() - began)
        if self.failures:
            self.fail("%d cells or checks failed:\n%s" % (len(self.failures), "\n".join(self.failures)))

    # --- what there is ---
    def prepare(self):
        dns = faults.Dns().start()
        self.addCleanup(dns.stop)
        resolver = os.path.join(self.dir, "resolv.conf")
        with open(resolver, "w") as f:
            f.write("nameserver %s\noptions timeout:1 attempts:1\n" % dns.address)
        subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/etc/resolv.conf"], check=True)
        ours, theirs = os.path.join(self.dir, "ca"), os.path.join(self.dir, "other-ca")
        os.mkdir(ours), os.mkdir(theirs)
        ca = tls.PrivateCa(ours)
        self.rows = faults.all_rows(dns, ca.server_context(), tls.PrivateCa(theirs).server_context())
        upstreams = {}
        for row in self.rows:
            row.start()
            self.addCleanup(row.stop)
            upstreams[row.registry] = {"urls": [row.url], **UPSTREAM}
            if row.scheme == "https":
                upstreams[row.registry]["ca_file"] = ca.ca_file
        keys = {"mirror": {"answer_wait": "8s", "header_wait": "3s"}, "log": {"level": "info"}}
        (port,) = free_ports(1)  # one that a restart does not change: clients are told once
        self.alone = self.shoal(upstreams, {**keys, "server": {"listen": ["127.0.0.1:%d" % port]}}, name="alone")
        site = {"p2p": {"trust_domain": True, "min_size": "128KiB"}, "more": keys}
        self.sites = {p2p: self.make_site(upstreams, p2p, **site) for p2p in ("holder", "empty")}
        self.mirrors = [self.alone, self.sites["holder"][0], self.sites["empty"][0]]
        self.columns = [Column(RawClient(), state, p2p, mirror) for p2p, mirror in
                        zip(("off", "holder", "empty"), self.mirrors) for state in ("cold", "warm")]
        for name in REAL_CLIENTS:
            self.columns += self.columns_of(name)
        self.images = {}
        for row in self.rows:
            for column in self.columns:
                if column.covers(row):
                    image = images.small_image("%s %s" % (row.name, column.name), layer_size=300_000)
                    self.images[row.name, column.name] = row.up.add(column.repository, image, "v1")

    def make_site(self, upstreams, name, **more):
        """Two nodes: the first is asked, the second holds the first one's cold images or nothing."""
        site = Site(self, upstreams, 2, start=False, prefix=name + "-", **more)
        for node in site:
            node.start()
        return site

    def columns_of(self, name):
        if clients.skipped(name):
            print("%s: left out (SHOAL_E2E_SKIP)" % name, file=sys.stderr)
            return []
        rows = None if FULL or name == "skopeo" else FEW
        mirrors = {"off": self.alone, "holder": self.sites["holder"][0]}
        pairs = [("cold", "off"), ("warm", "off")] + ([("cold", "holder")] if FULL or name == "skopeo" else [])
        made = {p2p: self.real_client(name, mirrors[p2p], p2p) for p2p in {p2p for _, p2p in pairs}}
        return [Column(made[p2p], state, p2p, mirrors[p2p], rows) for state, p2p in pairs]

    def real_client(self, name, mirror, p2p):
        directory = os.path.join(self.dir, "clients-" + p2p)
        os.makedirs(directory, exist_ok=True)
        if name == "dockerd":  # asks mirrors for docker.io only
            client = clients.Docker(directory, settings={"max-download-attempts": 2})
        else:
            client = clients.ALL[name](directory, mirror.host, [row.registry for row in self.rows])
        self.addCleanup(client.stop)
        return RealClient(client, direct=name == "dockerd")

    # --- phases ---
    def each(self, call, items, threads=8):
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(call, items))

    def warm_up(self):
        """Content is where its column says. The restart makes mirrors forget open connections and resolved names."""
        self.fetch_each(lambda column: column.mirror if column.state == "warm" else None)
        for mirror in self.mirrors:
            mirror.restart()
        for site in self.sites.values():
            site.wait_for_peers()
        neighbour = self.sites["holder"][1]
        self.fetch_each(lambda column: neighbour if (column.state, column.p2p) == ("cold", "holder") else None)
        time.sleep(2)  # the trackers have heard who holds what

    def fetch_each(self, holder_of):
        def fetch(cell):
            row, column = cell
            mirror, image = holder_of(column), self.images[row.name, column.name]
            self.assert_pull(mirror, "%s/%s" % (row.registry, column.repository), "v1", image)
            for blob in image.blobs:
                mirror.wait_for_blob(blob.digest)

        self.each(fetch, [cell for cell in self.cells() if holder_of(cell[1])])

    def cells(self):
        return [(row, column) for row in self.rows for column in self.columns if column.covers(row)]

    def strike(self):
        for row in self.rows:
            row.strike()
        self.marks = {mirror: (mirror.metrics(), len(mirror.stderr())) for mirror in self.mirrors}
        self.struck = time.monotonic()

    def heal(self):
        for row in self.rows:
            row.heal()
        self.healed = time.monotonic()

    def run_cells(self, check):
        """Those of the plain client beside each other; of each real client one after the other."""
        done = threading.Event()
        watch = threading.Thread(target=self.watch_health, args=(done,))
        watch.start()
        try:
            cells = self.cells()
            by_client = {}
            for cell in cells:
                by_client.setdefault("raw" if cell[1].client.name == "raw" else cell[1].client, []).append(cell)
            with ThreadPoolExecutor(len(by_client) + 1) as pool:
                jobs = [pool.submit(self.each, lambda cell: self.guarded(check, *cell), by_client.pop("raw"), 24)]
                jobs += [pool.submit(self.each, lambda cell: self.guarded(check, *cell), mine, 1)
                         for mine in by_client.values()]
                for job in jobs:
                    job.result()
        finally:
            done.set()
            watch.join()

    def watch_health(self, done):
        while not done.wait(0.5):
            for mirror in self.mirrors:
                try:
                    answer = mirror.get("/healthz", timeout=HELD_LIMIT * shoal.slow_build())
                    if answer.status != 200:
                        self.failures.append("/healthz says %d" % answer.status)
                except OSError as e:
                    self.failures.append("/healthz of %s: %s" % (mirror.directory, e))

    def guarded(self, check, row, column):
        texts = self.results.setdefault((row.name, column.name), [])
        try:
            texts.append(check(row, column))
            self.outcome(row, column.name, None)
        except Exception as e:  # a cell's failure is reported with its name; the others go on
            texts.append("FAILED")
            self.outcome(row, column.name, "%s: %s" % (type(e).__name__, e))

    def outcome(self, row, what, failure):
        known = EXPECTED_FAILURES.get((row.name, what))
        if known and failure:
            self.known.add("%s | %s: %s" % (row.name, what, known))
        elif known:
            self.failures.append("%s | %s holds now: strike it from EXPECTED_FAILURES" % (row.name, what))
        elif failure:
            self.failures.append("%s | %s: %s" % (row.name, what, failure))

    # --- one cell ---
    def broken_cell(self, row, column):
        began = time.monotonic()
        what, complete = column.client.pull(column, row, self.images[row.name, column.name])
        took = time.monotonic() - began
        if column.must_succeed or isinstance(row, faults.Healthy):
            require(complete, "not served though it is held: %s %s", what, getattr(column.client, "said", ""))
            if column.client.name == "raw":
                require(took < 2 * HELD_LIMIT * shoal.slow_build(), "took %.1f s though it is held", took)
                self.check_explained(row, column)
        else:
            require(not complete, "complete, though upstream never sends it: %s", what)
        return "%s %.1f" % (what, took)

    def check_explained(self, row, column):
        status = case.cache_status(column.client.tag_of(row))
        warning = column.client.tag_of(row).headers.get("warning", "")
        stale = not row.layers_only and not isinstance(row, faults.Healthy)
        require(stale == ("stale:" in status and "hit" in status and warning.startswith('299 - "stale')),
                "Cache-Status of the tag: %r, Warning: %r", status, warning)

    def healed_cell(self, row, column):
        image = self.images[row.name, column.name]
        raw = column.client.name == "raw"
        began = self.healed if raw else time.monotonic()  # the others wait for their turn
        limit = (RECOVERY_LIMIT + (0 if raw else CLIENT_LIMIT)) * shoal.slow_build()
        while True:
            what, complete = column.client.pull(column, row, image)
            stale = raw and complete and "stale:" in case.cache_status(column.client.tag_of(row))
            if complete and not stale:
                return "+%.1f" % (time.monotonic() - began)
            require(time.monotonic() - began < limit, "%s still, %.0f s after upstream is well again %s",
                    "stale" if complete else what, time.monotonic() - began, getattr(column.client, "said", ""))
            time.sleep(0.3)

    # --- what an operator sees ---
    def check_telling(self):
        for mirror in self.mirrors:
            before, length = self.marks[mirror]
            now, log = mirror.metrics(), mirror.stderr()[length:].splitlines()
            for row in self.rows:
                neighbour_had_it = row.layers_only and mirror is self.sites["holder"][0]
                if neighbour_had_it or isinstance(row, faults.Healthy):
                    continue
                where = os.path.basename(mirror.directory)
                labels = ('upstream="%s"' % row.registry, *row.labels)
                grown = [key for key in now if key.startswith(row.metric + "{") and all(each in key for each in labels)
                         and now[key] > before.get(key, 0)]
                self.outcome(row, "metric", None if grown else "%s: %s did not grow" % (where, row.metric))
                lines = [line for line in log if row.registry in line and re.search(" (%s) " % "|".join(row.levels), line)]
                told = any(re.search(row.log, line) for line in lines)
                self.outcome(row, "log", None if told else "%s: no line says %r: %s" % (where, row.log, lines[:3]))

    def check_mirrors(self):
        for node in self.shoals:
            self.assertTrue(node.alive(), node.stderr()[-2000:])

    def print_table(self, took):
        width = max(len(row.name) for row in self.rows)
        names = [column.name for column in self.columns]
        print("\nfault matrix: what came, and after how many seconds; + the seconds after the healing until the same "
              "pull was right (real clients: from when it was their turn)")
        for part in (names[i:i + 6] for i in range(0, len(names), 6)):
            print(" " * width + " | " + " | ".join("%-20s" % name for name in part))
            for row in self.rows:
                cells = [" ".join(self.results.get((row.name, name), ["-"])) for name in part]
                print("%-*s | %s" % (width, row.name, " | ".join("%-20s" % cell for cell in cells)))
            print()
        for each in sorted(self.known):
            print("known: " + each)
        print("%d cells, %.0f s" % (len(self.results), took), flush=True)


if __name__ == "__main__":
    unittest.main()
