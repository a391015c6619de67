#!/usr/bin/env python3
"""A herd: N nodes of a site on one layer, in network namespaces with shaped links. How long until the first, the median and
the last client has it, against what the links allow, and what was asked of upstream. bench/README.md tells what the columns
mean. With --loopback: how fast one node gets a layer from another, unshaped, and what that costs."""
import hashlib
import pathlib
import shutil
import sys
import time

import herd_lan
from herd_clients import Client, let_loose
from herd_nodes import Site
from herd_stock import PROGRAM, StockSite
from herd_upstream import Upstream
from lib import MIB, Bench, Content, arguments, main, median

NODES = 9  # of the site, unless said
ANNOUNCED = 2.5  # s after which trackers have heard of what a node got: they are told once a second
KILL_AT = 0.4


def more_arguments(parser):
    parser.add_argument("--nodes", type=int, metavar="N", help="of the site (default: 9)")
    parser.add_argument("--rate", type=int, metavar="MBIT", help="each node's link, each way (default: 200)")
    parser.add_argument("--uplink", type=int, metavar="MBIT", help="upstream's link (default: as --rate)")
    parser.add_argument("--size", type=int, metavar="MIB", help="of the layer (default: 128; with --loopback 1024)")
    parser.add_argument("--mode", choices=["warm", "cold"], default="warm",
                        help="warm: one node has the layer, the others' clients ask; cold: nobody has, all ask (default: warm)")
    parser.add_argument("--order", choices=["all", "stream"], default="stream",
                        help="stream: clients read to the end, in order; all: they leave after the first byte, and what "
                        "counts is when their node holds the layer (default: stream)")
    parser.add_argument("--rounds", type=int, metavar="K", help="each with fresh nodes and a new layer (default: 3)")
    parser.add_argument("--churn", choices=["none", "kill"], default="none",
                        help="kill: the node that fetches from upstream dies at 40 %% of the layer; needs --mode cold")
    parser.add_argument("--verify", choices=["first", "all"], help="rounds whose bytes are hashed by the client (default: first; "
                        "all with --churn)")
    parser.add_argument("--loopback", action="store_true", help="two nodes on 127.0.0.0/8, nothing shaped")
    parser.add_argument("--stock", action="store_true", help="to compare: nodes are libtorrent with its own settings, which a "
                        "-DSHOAL_BENCH=ON build makes; warm, whole layers")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="of every node's configuration, as in p2p.swarm=false; may be repeated")
    parser.add_argument("--keep", metavar="DIR", help="leave configurations and logs of the nodes there")


def complete(options):
    """Defaults that depend on others."""
    quick = options.quick
    if options.loopback:
        if options.churn == "kill" or options.mode == "cold":
            raise SystemExit("--loopback: one node holds the layer, the other gets it; not with --churn or --mode cold")
        options.nodes, options.rate, options.uplink = 2, 0, 0
        options.size = options.size or (128 if quick else 1024)
    if options.stock:
        if options.mode == "cold" or options.set:
            raise SystemExit("--stock: one node has the layer, and no configuration is read; not with --mode cold or --set")
        if not PROGRAM.is_file():
            raise SystemExit(f"{PROGRAM} does not exist; build it: cmake -DSHOAL_BENCH=ON, target stock_swarm")
        options.order = "all"
    options.nodes = options.nodes or (4 if quick else NODES)
    options.rate = (options.rate or (100 if quick else 200)) if not options.loopback else 0
    options.uplink = options.uplink or options.rate
    options.size = options.size or (16 if quick else 128)
    options.rounds = options.rounds or (1 if quick else 3)
    options.verify = options.verify or ("first" if options.churn == "none" else "all")
    if options.nodes < 2 or options.nodes > 1000:
        raise SystemExit("--nodes: 2 to 1000 (the ports of a Linux bridge end at 1023)")
    if min(options.size, options.rounds) < 1 or min(options.rate, options.uplink) < 0:
        raise SystemExit("--size, --rounds, --rate and --uplink must be positive")
    if options.churn == "kill" and options.mode != "cold":
        raise SystemExit("--churn kill needs --mode cold: in warm nobody fetches from upstream")
    if options.churn == "kill" and options.nodes < 3:
        raise SystemExit("--churn kill needs three nodes, so that two are left to share")


def bound(options, size):
    """Seconds that no way of distribution beats: DESIGN's T_min, every link counted whole, headers too."""
    rate, uplink = options.rate * 1e6 / 8, options.uplink * 1e6 / 8
    if options.loopback:
        return None
    others = options.nodes - 1
    lan = max(size / rate, others * size / (rate + others * rate))
    return lan if options.mode == "warm" else max(size / uplink, lan)


class Killer:
    """With --churn: kills who fetches, once so much of the layer has arrived there."""

    def __init__(self, site, upstream, size, clients):
        self.site, self.upstream, self.threshold, self.clients = site, upstream, KILL_AT * size, clients
        self.node = self.at = None
        self.cpu = 0.0

    def look(self):
        if self.node or self.upstream.arrived < self.threshold:
            return
        self.node, self.at = self.site.at(self.upstream.asked_by), time.monotonic()
        self.cpu = self.node.cpu_seconds()
        self.node.kill()
        for client in self.clients:
            client.killed = client.killed or client.node is self.node


def machine_ticks():
    """(busy, all) of all processors since boot, whoever used them; a hypervisor's share counts as busy."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class Round:
    def __init__(self, bench, lan, places, upstream, content, number):
        self.options, self.lan, self.places, self.upstream = bench.options, lan, places, upstream
        self.size, self.number = bench.options.size * MIB, number
        self.home = bench.directory / f"round{number}"
        self.repository = f"bench/herd{number}"
        _, self.layer, _ = content.image(self.repository, "latest", self.size)
        self.path = f"/v2/{self.repository}/blobs/{self.layer}"

    def run(self):
        site = Site(self.places, self.home, self.upstream, self.lan.network, self.options)
        try:
            return self.measure(site)
        finally:
            site.stop()
            if self.options.keep:
                keep(self.home, pathlib.Path(self.options.keep) / f"round{self.number}")
            shutil.rmtree(self.home)

    def warm_up(self, site):
        """The last node gets the layer, at full speed."""
        seed = site.nodes[-1]
        for place in (seed.place, self.upstream.place):
            self.lan.unshape(place)
        first = Client(seed, self.path, self.size, "all", verify=False)
        let_loose([first], self.layer, 600, lambda: None)
        if first.error:
            raise SystemExit(f"{seed.name} does not get the layer: {first.error}\n{seed.log.read_text()[-2000:]}")
        self.lan.shape(seed.place, self.options.rate)
        self.lan.shape(self.upstream.place, self.options.uplink)
        time.sleep(ANNOUNCED)
        return seed

    def measure(self, site):
        options = self.options
        site.pull_manifest(self.repository)
        seed = self.warm_up(site) if options.mode == "warm" else None
        self.upstream.reset()
        askers = [node for node in site.nodes if node is not seed]
        for node in site.nodes:
            node.forget_peak()
        verify = options.verify == "all" or self.number == 1
        clients = [Client(node, self.path, self.size, options.order, verify) for node in askers]
        least = bound(options, self.size)
        deadline = 30 + 3 * options.nodes * (least or self.size / (20 * MIB))
        killer = Killer(site, self.upstream, self.size, clients) if options.churn == "kill" else None
        cpu_before = sum(node.cpu_seconds() for node in site.nodes)
        seed_before, client_before = seed.cpu_seconds() if seed else 0, time.process_time()
        sent_before = {node: self.lan.sent(node.place) for node in site.nodes}
        ticks_before = machine_ticks()

        start = let_loose(clients, self.layer, deadline, killer.look if killer else lambda: None)

        busy, ticks = (after - before for after, before in zip(machine_ticks(), ticks_before))
        client_cpu = time.process_time() - client_before
        dead = killer.node if killer else None
        living = [node for node in site.nodes if node is not dead]
        cpu = sum(node.cpu_seconds() for node in living) + (killer.cpu if killer else 0) - cpu_before
        source = seed or site.at(self.upstream.asked_by)
        sent = self.lan.sent(source.place) - sent_before[source] if source else 0
        asked = self.upstream.gets, self.upstream.arrived, self.upstream.heads
        if killer and not dead:
            raise SystemExit("--churn kill: the layer was there before anybody could be killed; take a larger --size")
        for client in clients:
            client.check(self.layer)
        wanted = [client for client in clients if not client.killed]
        sound = [client for client in wanted if client.error is None]
        for client in wanted:
            if client.error:
                print(f"round {self.number}, {client.node.name}: {client.error}", file=sys.stderr)
        result = Result(self, start, wanted, sound, least, cpu, max(node.memory("VmHWM") for node in living), sent, asked,
                        busy / max(1, ticks), killer)
        if options.loopback and sound:
            gigabytes = len(sound) * self.size / 1e9
            result.columns |= {"seed CPU s/GB": (seed.cpu_seconds() - seed_before) / gigabytes,
                               "client CPU s/GB": client_cpu / gigabytes}
        return result


class StockRound(Round):
    def __init__(self, bench, lan, places, upstream, content, number):
        super().__init__(bench, lan, places, upstream, content, number)
        self.file = pathlib.Path(content.static_root) / self.path.lstrip("/")

    def run(self):
        site = StockSite(self.places, self.home, self.file)
        try:
            return self.measure(site)
        finally:
            site.stop()
            shutil.rmtree(self.home)

    def measure(self, site):
        least = bound(self.options, self.size)
        cpu_before = {node: node.cpu_seconds() for node in site.nodes}
        sent, ticks_before = self.lan.sent(site.seed.place), machine_ticks()
        start = site.let_loose(30 + 10 * self.options.nodes * (least or self.size / (20 * MIB)))
        busy, ticks = (after - before for after, before in zip(machine_ticks(), ticks_before))
        cpu = {node: node.cpu_seconds() - cpu_before[node] for node in site.nodes}
        sent = self.lan.sent(site.seed.place) - sent
        for node in site.askers:
            if self.options.verify == "all" or self.number == 1:
                self.check(node)
            if node.error:
                print(f"round {self.number}, {node.name}: {node.error}", file=sys.stderr)
        result = Result(self, start, site.askers, [node for node in site.askers if node.error is None], least,
                        sum(cpu.values()), max(node.memory("VmHWM") for node in site.nodes), sent, (0, 0, 0),
                        busy / max(1, ticks), None)
        for name in ("first byte max ms", "first byte median ms"):  # there are no clients
            result.columns.pop(name, None)
        return result

    def check(self, node):
        digest = hashlib.sha256()
        with open(node.directory / self.file.name, "rb") as file:
            while chunk := file.read(MIB):
                digest.update(chunk)
        if node.error is None and "sha256:" + digest.hexdigest() != self.layer:
            node.error = "other bytes than the digest's"


def keep(home, target):
    for file in home.glob("node*/*"):
        if file.is_file() and file.name != "secret":
            place = target / file.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)


class Result:
    """One row, and with others the one of the medians."""

    def __init__(self, of, start, wanted, sound, least, cpu, memory, sent, asked, busy, killer):
        self.ok = len(sound) == len(wanted)
        self.columns = {"round": of.number, "sound": f"{len(sound)}/{len(wanted)}"}
        if not sound:
            return
        done = [client.done - start for client in sound]
        first = [(client.first - start) * 1e3 for client in sound]
        moved = len(sound) * of.size
        gets, arrived, heads = asked
        self.columns |= {"T_max s": max(done), "T_median s": median(done)}
        if of.options.loopback:
            self.columns |= {"MiB/s": moved / MIB / max(done)}
        else:
            self.columns |= {"bound s": least, "T_max / bound": max(done) / least}
        self.columns |= {"first byte max ms": max(first), "first byte median ms": median(first), "upstream GETs": gets,
                         "upstream HEADs": heads, "upstream bytes / size": arrived / of.size}
        if not of.options.loopback:
            self.columns |= {"source sends / size": sent / of.size}
        self.columns |= {"CPU s/GB": cpu / moved * 1e9, "peak RSS MiB": memory / MIB, "machine busy %": busy * 100}
        if killer:
            self.columns |= {"killed": killer.node.name, "killed at s": killer.at - start}


def medians(results):
    columns = {"round": "median", "sound": ""}
    for name, value in results[-1].columns.items():
        if isinstance(value, (int, float)) and name != "round":
            columns[name] = float(median([result.columns[name] for result in results]))
    return columns


def tell(bench, options, files):
    if options.loopback:
        bench.note(f"two nodes on 127.0.0.0/8, nothing shaped; {options.size} MiB; clients {options.order}; files {files}")
    else:
        bench.note(f"{options.nodes} nodes, links {options.rate} Mbit/s, uplink {options.uplink} Mbit/s, {options.size} MiB, "
                   f"{options.mode}, clients {options.order}" + (", the fetching node is killed" * (options.churn == "kill")) +
                   f"; files {files}")
    bench.note("configuration: " + ("libtorrent's own" if options.stock else ", ".join(options.set) or "defaults") + "; what clients got is hashed in " +
               ("all rounds" if options.verify == "all" else "the first round"))


def run():
    options = arguments(__doc__, more_arguments)
    complete(options)
    options.shoal = str(pathlib.Path(options.shoal).resolve())
    herd_lan.enter_sandbox()
    files = herd_lan.prepare_sandbox((options.nodes + 1) * options.size * MIB + options.size * MIB * options.rounds)
    lan = herd_lan.Loopback() if options.loopback else herd_lan.Lan()
    name = "herd" + "-stock" * options.stock + ("-loopback" if options.loopback else f"-{options.mode}") + "-kill" * (options.churn == "kill")
    name += "-all" * (options.order == "all")
    if not options.loopback and options.nodes != NODES:
        name += f"-{options.nodes}"
    with Bench(name, options) as bench:
        content = Content(bench.directory)
        places = [lan.place(number, f"n{number}") for number in range(options.nodes)]
        upstream = Upstream(lan.place(options.nodes, "up"), content.static_root)
        bench.servers.append(upstream)
        for place in places:
            lan.shape(place, options.rate)
        lan.shape(upstream.place, options.uplink)
        if lan.shaper is herd_lan.delay_line:
            bench.note("links are shaped by netem, for want of tbf")
        tell(bench, options, files)
        results = []
        for number in range(1, options.rounds + 1):
            results.append((StockRound if options.stock else Round)(bench, lan, places, upstream, content, number).run())
            bench.row(**results[-1].columns)
        sound = [result for result in results if result.ok]
        if len(sound) > 1:
            bench.row(**medians(sound))
        bench.finish()
    if len(sound) < len(results):
        raise SystemExit(1)


main(run)
