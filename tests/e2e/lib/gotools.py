"""Clients from the Go world (oras, helm, cosign): built once by tests/gotool.sh, kept outside of the build."""

import os
import subprocess
import sys

from . import clients, procs

MODULES = {"oras": ("oras.land/oras@v1.3.6", "./cmd/oras"), "helm": ("helm.sh/helm/v3@v3.22.0", "./cmd/helm"),
           "cosign": ("github.com/sigstore/cosign/v3@v3.1.3", "./cmd/cosign")}
_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "gotool.sh")


def need(*names):
    """{name: path}. Without them the whole file is skipped: exit 77, which CTest shows as skipped, with the reason."""
    found = {}
    for name in names:
        module, package = MODULES[name]
        built = subprocess.run([_SCRIPT, name, module, package], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        if built.returncode == 77:
            skip(built.stderr.strip())
        if built.returncode != 0:
            raise AssertionError("%s: exit %d\n%s" % (_SCRIPT, built.returncode, built.stderr))
        found[name] = built.stdout.strip()
    return found


def built(name):
    return subprocess.run([_SCRIPT, "-n", name, *MODULES[name]], stdout=subprocess.DEVNULL).returncode == 0


def skip(reason):
    sys.stderr.write("SKIPPED: %s\n" % reason)
    sys.stderr.flush()
    os._exit(77)


class Tool:
    """One of them, with a home of its own."""

    def __init__(self, path, directory):
        self.path = path
        self.dir = os.path.join(directory, os.path.basename(path) + "-home")
        os.makedirs(self.dir, exist_ok=True)
        self.env = {**clients.DEAD_PROXY, "HOME": self.dir, "DOCKER_CONFIG": self.dir, "XDG_CONFIG_HOME": self.dir,
                    "XDG_CACHE_HOME": self.dir, "XDG_DATA_HOME": self.dir}

    def __call__(self, *arguments, timeout=60, check=True, cwd=None, **env):
        return procs.run([self.path, *arguments], timeout, {**self.env, **env}, cwd=cwd or self.dir, check=check)

    def write(self, name, data):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def read(self, name):
        with open(os.path.join(self.dir, name), "rb") as f:
            return f.read()
