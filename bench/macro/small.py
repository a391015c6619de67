#!/usr/bin/env python3
"""Small objects between two nodes of a site on 127.0.0.0/8: from the client's request at the node that lacks one to its last
byte, when a neighbour holds it; and once more, when the node has it itself. Blobs below p2p.min_size come over HTTP, without
the swarm. Upstream must not be asked."""
import json
import os
import time

import herd_lan
from herd_nodes import Site
from herd_upstream import Upstream
from lib import MANIFEST_TYPE, Bench, Content, arguments, main

SIZES = (1 << 10, 64 << 10, 1 << 20)


def more_arguments(parser):
    parser.add_argument("--blobs", type=int, default=200, metavar="N", help="of each size (default: 200)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of every node's configuration")


class Objects:
    """An image whose layers are small, and as many images with nothing in them."""

    def __init__(self, content, count):
        self.repository = "bench/small"
        config = content.blob(self.repository, b"{}")
        self.blobs = {size: [content.blob(self.repository, os.urandom(size)) for _ in range(count)] for size in SIZES}
        layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **blob}
                  for blobs in self.blobs.values() for blob in blobs]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers,
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}}
        path = content.static_root / "v2" / self.repository / "manifests" / "latest"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))
        self.manifests = []  # (path by tag, path by digest)
        for number in range(count):
            base = f"/v2/{self.repository}/m{number}/manifests/"
            self.manifests.append((base + "latest", base + content.image(f"{self.repository}/m{number}", "latest", 16)[0]))

    def path(self, blob):
        return f"/v2/{self.repository}/blobs/{blob['digest']}"


def timed(node, paths, size=None):
    """Milliseconds of each, in order, one after the other on one connection each."""
    took = []
    for path in paths:
        began = time.monotonic()
        status, _, body = node.get(path, {"Accept": MANIFEST_TYPE})
        took.append((time.monotonic() - began) * 1e3)
        if status != 200 or size not in (None, len(body)):
            raise SystemExit(f"{node.name}: {path} answered {status} with {len(body)} bytes")
    return sorted(took)


def columns(name, took):
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]  # pylint: disable=unnecessary-lambda-assignment
    return {f"{name} p50 ms": at(0.5), f"{name} p99 ms": at(0.99), f"{name} max ms": took[-1]}


def run():
    options = arguments(__doc__, more_arguments)
    count = 20 if options.quick else options.blobs
    herd_lan.enter_sandbox()
    herd_lan.prepare_sandbox(4 * count * sum(SIZES))
    lan = herd_lan.Loopback()
    options.set += ["p2p.trust_domain=true"]
    with Bench("small-objects", options) as bench:
        content = Content(bench.directory)
        objects = Objects(content, count)
        upstream = Upstream(lan.place(2, "up"), content.static_root)
        bench.servers.append(upstream)
        site = Site([lan.place(number, f"n{number}") for number in range(2)], bench.directory, upstream, lan.network, options)
        bench.servers.append(site)
        holder, other = site.nodes
        site.pull_manifest(objects.repository)
        for blobs in objects.blobs.values():
            timed(holder, [objects.path(blob) for blob in blobs])
        timed(holder, [by_tag for by_tag, _ in objects.manifests])
        time.sleep(2.5)  # trackers are told once a second
        upstream.reset()
        for size, blobs in objects.blobs.items():
            paths = [objects.path(blob) for blob in blobs]
            bench.row(object=f"blob of {size >> 10} KiB", **columns("from the neighbour", timed(other, paths, size)),
                      **columns("own", timed(other, paths, size)), **{"upstream GETs": upstream.gets})
        by_digest = [path for _, path in objects.manifests]
        bench.row(object="manifest by digest", **columns("from the neighbour", timed(other, by_digest)),
                  **columns("own", timed(other, by_digest)), **{"upstream GETs": upstream.gets})
        bench.note(f"{count} of each, one after the other, a connection each; two nodes on 127.0.0.0/8, one process the client")
        bench.finish()
        if upstream.gets:
            raise SystemExit("upstream was asked for a blob that a neighbour holds")


if __name__ == "__main__":
    main(run)
