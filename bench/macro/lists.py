#!/usr/bin/env python3
"""100,000 tags of one repository, asked for without n: how long a whole list takes, and what ten readers that take
nothing of it cost in memory; against Debian's docker-registry with the same tags, in one run."""
import concurrent.futures
import hashlib
import http.client
import json
import os
import socket
import time

from lib import MANIFEST_TYPE, MIB, Bench, Content, arguments, main, median

REPOSITORY = "bench/tags"
PATH = f"/v2/{REPOSITORY}/tags/list"


def ask(connection, method, path, body, kind):
    connection.request(method, path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise SystemExit(f"{method} {path[:80]}: {answer.status} {text[:200]}")


def push_tags(server, tags):
    """All on one manifest, ten a request."""
    config = b"{}"
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [], "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}}).encode()
    manifest = "sha256:" + hashlib.sha256(body).hexdigest()

    def some(part):
        connection = http.client.HTTPConnection(server.address, server.port)
        ask(connection, "POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}", config, "application/octet-stream")
        for at in range(0, len(part), 10):
            query = "&".join("tag=" + tag for tag in part[at:at + 10])
            ask(connection, "PUT", f"/v2/{REPOSITORY}/manifests/{manifest}?{query}", body, MANIFEST_TYPE)
        connection.close()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(some, tags[i::8]) for i in range(8)]:
            done.result()


def write_tags(root, manifest, tags):
    """As docker-registry keeps them: it lists the directory."""
    folder = root / "docker/registry/v2/repositories" / REPOSITORY / "_manifests/tags"
    for tag in tags:
        os.makedirs(folder / tag / "current", exist_ok=True)
        (folder / tag / "current/link").write_text(manifest)


def listed(server, tags):
    began = time.monotonic()
    status, _, body = server.get(PATH)
    took = time.monotonic() - began
    if status != 200 or sorted(json.loads(body)["tags"]) != tags:  # docker-registry sorts nothing
        raise SystemExit(f"{server.name}: {status}, and not all tags: {body[:100]}")
    return took


def standing_readers(server, count):
    """Bytes of memory that clients cost which ask and take nothing."""
    before, readers = server.memory("RssAnon"), []
    for _ in range(count):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(120)
        reader.connect((server.address, server.port))
        reader.sendall(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        readers.append(reader)
    for reader in readers:
        reader.recv(64)
    grown = server.memory("RssAnon") - before
    for reader in readers:
        reader.close()
    return grown


def run():
    options = arguments(__doc__)
    count, rounds = (10_000, 2) if options.quick else (100_000, 5)
    tags = [f"v{i:06}" + "-" + "x" * 56 for i in range(count)]
    with Bench("lists", options) as bench:
        node = bench.shoal()
        push_tags(node, tags)
        content = Content(bench.directory)
        manifest, _, _ = content.image(REPOSITORY, tags[0], 1024)
        write_tags(content.registry_root, manifest, tags)
        servers = [node, bench.registry(content.registry_root)]
        bench.note(f"{count} tags of 64 bytes on one manifest; medians of {rounds} interleaved rounds; anonymous memory")
        idle = {s: s.memory("RssAnon") for s in servers}
        took, cpu = {}, {}
        for number in range(rounds):
            for server in servers if number % 2 == 0 else reversed(servers):
                before = server.cpu_seconds()
                took.setdefault(server, []).append(listed(server, tags))
                cpu.setdefault(server, []).append(server.cpu_seconds() - before)
        for server in servers:
            after = server.memory("RssAnon")
            bench.row(server=server.name, **{
                "list ms": median(took[server]) * 1e3, "CPU ms": median(cpu[server]) * 1e3,
                "memory MiB before": idle[server] / MIB, "after": after / MIB,
                "ten readers that stand, MiB more": standing_readers(server, 10) / MIB})
        bench.finish()


main(run)
