"""Builds real images and artifacts from nothing, as content-addressed values. Nothing here needs a container tool."""

import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
import zlib

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
ALL_MANIFESTS = ", ".join([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST])


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Blob:
    def __init__(self, data, media_type):
        self.data = data
        self.media_type = media_type
        self.digest = digest_of(data)
        self.size = len(data)

    def descriptor(self, **more):
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


class Manifest:
    """A manifest or index: its exact bytes, and what it names."""

    def __init__(self, data, media_type, blobs=(), children=(), platform=None):
        self.data = data
        self.media_type = media_type
        self.blobs = list(blobs)
        self.children = list(children)
        self.platform = platform
        self.digest = digest_of(data)
        self.size = len(data)

    def layers(self):
        return self.blobs[1:]

    def all_blobs(self):
        found = {b.digest: b for b in self.blobs}
        for child in self.children:
            found.update({b.digest: b for b in child.all_blobs()})
        return list(found.values())

    def all_manifests(self):
        """Children first."""
        found = []
        for child in self.children:
            found += child.all_manifests()
        return found + [self]

    def for_platform(self, architecture="amd64"):
        for child in self.children:
            if child.platform and child.platform["architecture"] == architecture:
                return child
        return self


def tar_of(files):
    """files: {path: bytes or (bytes, mode)}. Deterministic."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        made = set()
        for path, content in files.items():
            data, mode = content if isinstance(content, tuple) else (content, 0o644)
            parts = path.split("/")[:-1]
            for i in range(len(parts)):
                folder = "/".join(parts[:i + 1])
                if folder not in made:
                    made.add(folder)
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def random_bytes(size, seed=None):
    return os.urandom(size) if seed is None else random.Random(seed).randbytes(size)


def gzip_of(data, level=1):
    """Level 0 stores: incompressible data at memory speed."""
    if level:
        return gzip.compress(data, level, mtime=0)
    pack = zlib.compressobj(0, zlib.DEFLATED, 31)
    return pack.compress(data) + pack.flush()


def zstd_of(data):
    return subprocess.run(["zstd", "-1", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True,
                          timeout=60).stdout


class Layer(Blob):
    def __init__(self, tar, media_type, packed):
        super().__init__(packed, media_type)
        self.diff_id = digest_of(tar)


def gzip_layer(tar, docker=False, level=1):
    return Layer(tar, DOCKER_LAYER if docker else OCI_LAYER_GZIP, gzip_of(tar, level))


def zstd_layer(tar):
    return Layer(tar, OCI_LAYER_ZSTD, zstd_of(tar))


def render(value, style="compact"):
    """One JSON value in different bytes: a mirror that re-serialises gives itself away."""
    if style == "compact":
        return json.dumps(value, separators=(",", ":")).encode()
    if style == "docker":  # three blanks, as Docker writes it
        return json.dumps(value, indent=3).encode()
    return ("\n\t " + json.dumps(value, indent=7, separators=(" ,", "  :  ")) + "\n\r\n ").encode()  # "odd"


def image(layers, docker=False, style=None, architecture="amd64", cmd=("/bin/true",), annotations=None, nonce=""):
    config = {"architecture": architecture, "os": "linux", "created": "2024-01-01T00:00:00Z",
              "config": {"Cmd": list(cmd), "Env": ["PATH=/bin"], "Labels": {"nonce": nonce}},
              "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
              "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "layer"} for _ in layers]}
    config_blob = Blob(render(config), DOCKER_CONFIG if docker else OCI_CONFIG)
    body = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": config_blob.descriptor(), "layers": [layer.descriptor() for layer in layers]}
    if annotations:
        body["annotations"] = annotations
    data = render(body, style or ("docker" if docker else "compact"))
    return Manifest(data, body["mediaType"], [config_blob] + list(layers),
                    platform={"architecture": architecture, "os": "linux"})


def index(children, docker=False, style="odd"):
    body = {"schemaVersion": 2, "mediaType": DOCKER_LIST if docker else OCI_INDEX,
            "manifests": [{"mediaType": c.media_type, "digest": c.digest, "size": c.size, "platform": c.platform}
                          for c in children]}
    return Manifest(render(body, style), body["mediaType"], children=children)


def small_image(name="hello", docker=False, layers=2, layer_size=2000, style=None, architecture="amd64", zstd=False):
    """Seeded by its name: the same name is the same image."""
    made = []
    for i in range(layers):
        seed = "%s/%d/%s" % (name, i, architecture)
        tar = tar_of({"data/%d.txt" % i: seed.encode(), "data/%d.bin" % i: random_bytes(layer_size, seed)})
        made.append(zstd_layer(tar) if zstd else gzip_layer(tar, docker))
    return image(made, docker, style, architecture, nonce=name)


def multi_platform(name="multi", docker=False, style="odd"):
    return index([small_image(name, docker, architecture=a) for a in ("arm64", "amd64", "s390x")], docker, style)


def big_image(size=300 << 20, name="big"):
    """One layer of random bytes, stored rather than compressed."""
    half = size // 2
    tar = tar_of({"big/a": random_bytes(half), "big/b": random_bytes(size - half)})
    return image([gzip_layer(tar, level=0)], nonce=name)


def busybox_image(text="hello from shoal", docker=True):
    with open("/bin/busybox", "rb") as f:
        busybox = f.read()
    base = tar_of({"bin/busybox": (busybox, 0o755), "bin/sh": (busybox, 0o755), "etc/passwd": b"root:x:0:0::/:/bin/sh\n"})
    top = tar_of({"hello.txt": text.encode() + b"\n"})
    return image([gzip_layer(base, docker), gzip_layer(top, docker)], docker, cmd=("/bin/busybox", "cat", "/hello.txt"))


def artifact(config_type, config, layer_type, layer, artifact_type=None):
    config_blob, layer_blob = Blob(config, config_type), Blob(layer, layer_type)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config_blob.descriptor(),
            "layers": [layer_blob.descriptor(annotations={"org.opencontainers.image.title": "content"})]}
    if artifact_type:
        body["artifactType"] = artifact_type
    return Manifest(render(body), OCI_MANIFEST, [config_blob, layer_blob])


def helm_chart(name="chart"):
    chart = gzip_of(tar_of({name + "/Chart.yaml": ("apiVersion: v2\nname: %s\nversion: 0.1.0\n" % name).encode()}))
    return artifact("application/vnd.cncf.helm.config.v1+json", render({"name": name, "version": "0.1.0"}),
                    "application/vnd.cncf.helm.chart.content.v1.tar+gzip", chart)


def wasm_artifact():
    return artifact("application/vnd.wasm.config.v0+json", render({"architecture": "wasm", "os": "wasip1"}),
                    "application/wasm", b"\0asm\1\0\0\0" + random_bytes(5000, "wasm"),
                    artifact_type="application/vnd.wasm.content.layer.v1+wasm")


def random_layer(size):
    """It says gzip, and is random bytes: nobody unpacks it."""
    layer = Blob(random_bytes(size), OCI_LAYER_GZIP)
    layer.diff_id = layer.digest
    return layer


def random_blob(size, seed=None):
    """A bare blob with no manifest."""
    return Blob(random_bytes(size, seed), "application/octet-stream")
