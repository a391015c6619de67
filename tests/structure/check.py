#!/usr/bin/env python3
"""Holds the tree to DESIGN section 3: who may include whom, where third-party headers live, a page per module.

The module table is read from the root CMakeLists.txt (shoal_module lines), so there is one copy of it.
Prints one line per breach and exits 1, or a closing line and 0.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES = 600
THIRD_PARTY = [  # header pattern, modules that may include it
    (r"uv\.h", {"net"}),
    (r"lmdb\.h", {"store"}),
    (r"curl/", {"fetch"}),
    (r"llhttp", {"http"}),
    (r"libtorrent/", {"p2p"}),
    (r"(spdlog|prometheus)/", {"obs"}),
    (r"yaml-cpp/", {"config"}),
    (r"nlohmann/", {"registry", "notify", "p2p", "admin", "bench", "cli"}),
    (r"CLI/", {"cli"}),
    (r"fmt/", {"base"}),  # others go through shoal/base/format.h
    (r"openssl/", {"base", "tls"}),
]


def module_table():
    table = {}
    text = (TOP / "CMakeLists.txt").read_text()
    for name, rest in re.findall(r"^shoal_module\((\w+)([^)]*)\)", text, re.M):
        uses = re.search(r"USES ([\w ]+?)(?: LIBS|$)", rest)
        table[name] = set(uses.group(1).split()) if uses else set()
    table["cli"] = set(table)
    return table


def check_file(path, module, table, breaches):
    text = path.read_text()
    lines = text.splitlines()
    where = path.relative_to(TOP)
    if len(lines) > MAX_LINES:
        breaches.append(f"{where}: {len(lines)} lines; split it (at most {MAX_LINES})")
    if path.suffix == ".h" and "#pragma once" not in text:
        breaches.append(f"{where}: no #pragma once")
    for number, line in enumerate(lines, 1):
        if "TODO(now)" in line:
            breaches.append(f"{where}:{number}: TODO(now)")
        include = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not include:
            continue
        header = include.group(1)
        own = re.match(r"shoal/(\w+)/", header)
        if own and own.group(1) != module and own.group(1) not in table[module]:
            breaches.append(f"{where}:{number}: {module} may not use {own.group(1)} ({header})")
        elif not own and header.startswith("../"):
            breaches.append(f"{where}:{number}: reaches into another directory ({header})")
        for pattern, owners in THIRD_PARTY:
            if re.match(pattern, header) and module not in owners:
                breaches.append(f"{where}:{number}: {header} belongs to {', '.join(sorted(owners))} only")


def check_map(breaches):
    """src/README.md says where things are: every file it names is there."""
    for name in re.findall(r"`(\w+/\w+\.(?:cc|h))`", (TOP / "src" / "README.md").read_text()):
        if not (TOP / "src" / name).is_file():
            breaches.append(f"src/README.md: names {name}, which is not there")


def main():
    table = module_table()
    breaches = []
    checked = 0
    for module in sorted(table):
        roots = [TOP / "include" / "shoal" / module, TOP / "src" / module]
        files = sorted(f for root in roots for f in root.rglob("*") if f.suffix in (".h", ".cc"))
        if not files:
            continue
        if not (TOP / "src" / module / "README.md").is_file():
            breaches.append(f"src/{module}/README.md: every module has its page")
        for path in files:
            checked += 1
            check_file(path, module, table, breaches)
    check_map(breaches)
    for folder in (TOP / "src", TOP / "include" / "shoal"):
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and entry.name not in table:
                breaches.append(f"{entry.relative_to(TOP)}: not in the module table of CMakeLists.txt")
    for line in breaches:
        print(line)
    if breaches:
        print(f"structure: {len(breaches)} breaches in {checked} files")
        return 1
    print(f"structure: {checked} files hold to the module table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
