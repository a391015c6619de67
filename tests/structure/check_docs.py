#!/usr/bin/env python3
"""Holds docs/ to the code: every subcommand, admin API path and metric has its place there, and nothing else has one.

Also: configuration keys named in docs/ and README.md exist in conf/shoal.yml, and relative links lead to files and
headings; all that is Markdown still is. With a path as argument, that tree is looked at instead of this one (the test of the test).
Prints one line per breach and exits 1, or a closing line and 0.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
SECTIONS = "server|storage|registry|auth|mirror|p2p|notifications|admin|log"


def sources(pattern):
    return "\n".join(path.read_text() for path in sorted((TOP / "src").glob(pattern)))


def compare(what, code, docs, where, breaches, least):
    if len(code) < least:
        breaches.append(f"{what}: only {len(code)} found in the code; does check_docs.py still know where to look?")
    breaches += [f"{what} {name} is not in {where}" for name in sorted(code - docs)]
    breaches += [f"{where} tells of {what} {name}, which does not exist" for name in sorted(docs - code)]


def subcommands():
    arguments = re.findall(r"add_subcommand\(([^,]+),", sources("cli/*.cc"))
    return {name for argument in arguments for name in re.findall(r'"([a-z-]+)"', argument)}


def api_paths():
    """As in `path == "gc"` and `path.starts_with("pins/")`: /api/v1/gc, /api/v1/pins."""
    text = sources("admin/*.cc")
    names = re.findall(r'\bpath == "/?([a-z]+)"', text) + re.findall(r'\bpath\.starts_with\("([a-z]+)/"\)', text)
    bare = set(re.findall(r'\bpath == "/([a-z]+)"', text))
    return {f"/{name}" if name in bare else f"/api/v1/{name}" for name in names}


def metrics():
    return set(re.findall(r'"((?:shoal|process)_[a-z_]+)"', sources("**/*_probe.cc")))


def config_keys():
    keys, path = set(), []
    for line in (TOP / "conf/shoal.yml").read_text().splitlines():
        found = re.match(r"( *)(?:# +)?(?:- )?([a-z0-9_]+):(?: |$)", line)
        if not found:
            continue
        path = path[: len(found.group(1)) // 2] + [found.group(2)]
        keys.add(".".join(path))
    return keys


def is_page(path):
    """A formatter for something else leaves no heading."""
    text = path.read_text()
    return text.startswith("# ") and not re.search(r"^#+[^# !]", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)


def anchors(path):
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(page, breaches):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            breaches.append(f"{page.relative_to(TOP)}: {link} leads nowhere")
        elif anchor and anchor not in anchors(target):
            breaches.append(f"{page.relative_to(TOP)}: {name or page.name} has no heading #{anchor}")


def main():
    breaches = []
    pages = sorted((TOP / "docs").glob("*.md"))
    cli = (TOP / "docs/cli.md").read_text()
    admin = (TOP / "docs/admin-api.md").read_text()
    compare("subcommand", subcommands(), set(re.findall(r"^### `shoal ([a-z-]+)`$", cli, re.M)), "docs/cli.md", breaches,
            least=10)
    rows = set(re.findall(r"^\| `(/api/v1/[a-z]+|/[a-z]+)[`/]", admin, re.M))
    compare("path", api_paths(), rows, "docs/admin-api.md", breaches, least=10)
    compare("metric", metrics(), set(re.findall(r"^\| `((?:shoal|process)_[a-z_]+)`", admin, re.M)), "docs/admin-api.md",
            breaches, least=50)
    keys = config_keys()
    readme = TOP / "README.md"
    for page in [*pages, readme]:
        for key in re.findall(rf"`((?:{SECTIONS})\.[a-z0-9_.]+)`", page.read_text()):
            if key not in keys and not key.endswith(".example"):
                breaches.append(f"{page.relative_to(TOP)}: {key} is no key of conf/shoal.yml")
        check_links(page, breaches)
        if page != readme and f"docs/{page.name}" not in readme.read_text():
            breaches.append(f"README.md does not link docs/{page.name}")
    breaches += [f"{page.relative_to(TOP)} has no heading, or one that is none" for page in
                 [*pages, readme, *sorted((TOP / "src").glob("*/README.md"))] if not is_page(page)]
    for breach in breaches:
        print(breach)
    if not breaches:
        print(f"{len(pages)} pages of documentation agree with the code")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
