#!/usr/bin/env python3
"""The numbers the design wants held (its section 14, and TLS), each with the last saved figure from bench/macro/results and
the command that measures it. What was never saved is named as missing. Measures nothing itself."""
import argparse
import dataclasses
import json
import operator
import pathlib
import sys

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
HOLDS = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, "=": operator.eq}


@dataclasses.dataclass(frozen=True)
class Number:
    what: str
    sign: str
    wanted: float
    command: str  # under bench/macro; its first word is the script
    saved: str  # results/<saved>.json
    column: str
    rows: dict  # those rows of the result that have these values; the worst of them counts
    without: dict = dataclasses.field(default_factory=dict)


def numbers():
    for connections in (1, 8, 64):
        rows = {"connections": connections}
        yield Number(f"warm layer, bytes/s of nginx's, {connections} connections", ">=", 1.0, "warm.py", "warm",
                     "rate ratio (>= 1.0)", rows)
        yield Number(f"warm layer, CPU per byte of nginx's, {connections} connections", "<=", 1.1, "warm.py", "warm",
                     "CPU ratio (<= 1.1)", rows)
    for request in ("by digest", "by fresh tag"):
        yield Number(f"manifests/s of nginx's, {request}", ">=", 0.9, "manifests.py", "manifests",
                     "of nginx (shoal: >= 0.9)", {"server": "shoal", "request": request})
    for where, rows, without in (("links of 1 to 5 Gbit/s", {}, {"link": "unshaped"}),
                                 ("unshaped loopback", {"link": "unshaped"}, {})):
        yield Number(f"cold layer, bytes/s of curl's, {where}", ">=", 0.9, "cold.py", "cold", "ratio (>= 0.9)", rows, without)
        yield Number(f"cold layer, first byte later by ms, {where}", "<=", 2, "cold.py", "cold", "added ms (<= 2)", rows,
                     without)
        yield Number(f"many clients on a cold layer, upstream GETs, {where}", "=", 1, "cold.py", "cold",
                     "herd upstream GETs (1)", rows, without)
        yield Number(f"many clients on a cold layer, the slowest of curl's, {where}", ">=", 0.9, "cold.py", "cold",
                     "herd slowest / direct (>= 0.9)", rows, without)
    for what in ("warm streams", "streams of one cold layer"):
        yield Number(f"MiB above idle, 1,000 {what}", "<", 64, "streams.py", "streams", "above idle MiB",
                     {"server": "shoal", "case": what, "connections": 1000})
    yield Number("MiB above idle, 10,000 idle connections", "<", 100, "streams.py", "streams", "above idle MiB",
                 {"server": "shoal", "case": "idle connections", "connections": 10000})
    yield Number("start with 1,000,000 blobs, s", "<", 1, "start.py", "start", "start s", {"blobs": 1_000_000})
    yield Number("start with 1,000,000 blobs, MiB beyond mapped pages", "<", 100, "start.py", "start", "anon MiB",
                 {"blobs": 1_000_000})
    herd = "herd.sh --nodes 9 --rate 200 --uplink 50 --mode cold"
    yield Number("herd of 9 nodes, cold, thin uplink: uplink bytes / size", "<=", 1.02, herd, "herd-cold",
                 "upstream bytes / size", {"round": "median"})
    yield Number("herd of 9 nodes, cold, thin uplink: last node / bound", "<=", 1.25, herd, "herd-cold", "T_max / bound",
                 {"round": "median"})
    for connections in (1, 8):
        rows = {"what": f"layer, {connections} connections"}
        yield Number(f"TLS: warm layer, bytes/s of nginx's, {connections} connections", ">=", 0.9, "tls.py", "tls",
                     "ratio (>= 0.9)", rows)
        yield Number(f"TLS: warm layer, CPU per byte of nginx's, {connections} connections", "<=", 1.11, "tls.py", "tls",
                     "CPU ratio (<= 1.11)", rows)
    for mode in ("full", "resumed"):
        yield Number(f"TLS: handshakes/s of nginx's, {mode}", ">=", 0.9, "tls.py", "tls", "ratio (>= 0.9)",
                     {"what": f"handshakes, {mode}"})


def figure(number, data):
    """The worst of the rows meant; None where there is none."""
    values = [float(row[number.column]) for row in data["rows"]
              if number.column in row and all(row.get(k) == v for k, v in number.rows.items())
              and not any(row.get(k) == v for k, v in number.without.items())]
    if not values:
        return None
    return min(values) if number.sign == ">=" else max(values)


def line(number):
    path = RESULTS / f"{number.saved}.json"
    wanted = f"{number.sign} {number.wanted:g}"
    data = json.loads(path.read_text()) if path.exists() else {"rows": []}
    value = figure(number, data)
    if value is None:
        return [number.what, wanted, "missing", "", "", number.command]
    when = data["time"][:10] + (", quick" if data["quick"] else "")
    load = data["machine"].get("load before", "?").split()[0]
    verdict = "holds" if HOLDS[number.sign](value, number.wanted) else "NOT HELD"
    return [number.what, wanted, f"{value:.3f}" if value < 10 else f"{value:.0f}", verdict, f"{when}, load {load}",
            number.command]


def run():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="also write bench/macro/results/design14.txt")
    options = parser.parse_args()
    table = [["number", "wanted", "last", "", "measured", "with bench/macro/"], *(line(n) for n in numbers())]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    text = "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in table)
    print(text)
    if options.save:
        (RESULTS / "design14.txt").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(run())
