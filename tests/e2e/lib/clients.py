"""The real clients, each on its own directories and sockets. They pull `docker.io/<repository>` through the mirror they
are configured with, and know no other way: the real registry is out of reach (a dead proxy for all but loopback)."""

import json
import os
import re
import shutil

from . import images, procs

DEAD_PROXY = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
DEAD_PROXY.update({"NO_PROXY": "127.0.0.0/8,localhost", "no_proxy": "127.0.0.0/8,localhost"})


class Missing(AssertionError):
    """A client cannot run here. A failure unless SHOAL_E2E_SKIP lists the client: nothing is skipped in silence."""


def skipped(name):
    return name in os.environ.get("SHOAL_E2E_SKIP", "").split(",")


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Missing("%s is not installed (Debian packages: docker.io containerd podman buildah skopeo zstd "
                          "busybox-static docker-registry)" % tool)


class Docker:
    """dockerd with registry-mirrors (20.10 starts its own containerd), and the docker CLI."""
    name = "dockerd"
    zstd = False  # 20.10 does not know zstd layers

    def __init__(self, directory, mirror=None, settings=None):
        """`settings`: further keys of daemon.json."""
        need("dockerd", "docker", "containerd", "runc", "unshare")
        self.dir = os.path.join(directory, "docker")
        os.makedirs(os.path.join(self.dir, "home"), exist_ok=True)
        config = os.path.join(self.dir, "daemon.json")
        with open(config, "w") as f:
            json.dump({**({"registry-mirrors": ["http://" + mirror]} if mirror else {}), **(settings or {})}, f)
        self.socket = os.path.join(self.dir, "docker.sock")
        driver = "overlay2" if procs.overlay_works(self.dir) else "vfs"
        self.daemon = procs.Daemon(
            ["dockerd", "--config-file", config, "--data-root", self.dir + "/data", "--exec-root", self.dir + "/exec",
             "--pidfile", self.dir + "/pid", "-H", "unix://" + self.socket, "--bridge=none", "--iptables=false",
             "--ip6tables=false", "--storage-driver", driver],
            self.dir + "/log", env={**DEAD_PROXY, "DOCKER_RAMDISK": "1"}, isolated=True)

        def answers():
            if not self.daemon.alive():
                raise Missing("dockerd does not run here:\n" + self.daemon.log()[-3000:])
            return os.path.exists(self.socket) and "Server Version" in self._docker("info", check=False)

        procs.wait_until(answers, 40, "dockerd", step=0.1)

    def _docker(self, *arguments, timeout=120, check=True):
        return procs.run(["docker", "-H", "unix://" + self.socket, *arguments], timeout,
                         {"DOCKER_CONFIG": self.dir + "/home", "DOCKER_HOST": ""}, check=check)

    def pull(self, name, timeout=120):
        self._docker("pull", "-q", name, timeout=timeout)

    def digests(self, name):
        """What the client says it pulled: digests as it prints them."""
        return re.findall(r"sha256:[0-9a-f]{64}", self._docker("image", "inspect", "--format",
                                                              "{{json .RepoDigests}}", name))

    def remove(self, name):
        self._docker("image", "rm", "-f", name)

    def run(self, name, *command):
        return self._docker("run", "--rm", "--network=none", name, *command, timeout=60)

    def stop(self):
        self.daemon.stop(20)
        procs.remove_tree(self.dir)


class Containerd:
    """containerd and ctr with a hosts directory: `docker.io` and `quay.test` go to the mirror with ?ns=."""
    name = "containerd"
    zstd = True

    def __init__(self, directory, mirror=None, registries=("docker.io", "quay.test")):
        need("containerd", "ctr", "unshare")
        self.dir = os.path.join(directory, "containerd")
        os.makedirs(self.dir, exist_ok=True)
        for registry in registries if mirror else ():
            os.makedirs("%s/hosts/%s" % (self.dir, registry), exist_ok=True)
            with open("%s/hosts/%s/hosts.toml" % (self.dir, registry), "w") as f:
                f.write('server = "http://127.0.0.1:9"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n'
                        % mirror)
        os.makedirs(self.dir + "/hosts", exist_ok=True)
        self.socket = self.dir + "/c.sock"
        with open(self.dir + "/config.toml", "w") as f:
            f.write('version = 2\nroot = "%s/root"\nstate = "%s/state"\n'
                    'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s"\n'
                    % (self.dir, self.dir, self.socket))
        self.snapshotter = "overlayfs" if procs.overlay_works(self.dir) else "native"
        self.daemon = procs.Daemon(["containerd", "-c", self.dir + "/config.toml"], self.dir + "/log", isolated=True)

        def answers():
            if not self.daemon.alive():
                raise Missing("containerd does not run here:\n" + self.daemon.log()[-3000:])
            return os.path.exists(self.socket) and "Server" in self._ctr("version", check=False)

        procs.wait_until(answers, 20, "containerd", step=0.1)

    def _ctr(self, *arguments, timeout=120, check=True):
        return procs.run(["ctr", "-a", self.socket, *arguments], timeout, DEAD_PROXY, check=check)

    def pull(self, name, timeout=120):
        self._ctr("images", "pull", "--hosts-dir", self.dir + "/hosts", "--snapshotter", self.snapshotter,
                  "--platform", "linux/amd64", name, timeout=timeout)

    def fetch(self, name):
        """All content, unpacked or not: artifacts too."""
        self._ctr("content", "fetch", "--hosts-dir", self.dir + "/hosts", "--all-platforms", name)

    def content(self, digest):
        return procs.run(["sh", "-c", "ctr -a %s content get %s | sha256sum" % (self.socket, digest)])[:64]

    def digests(self, name):
        for line in self._ctr("images", "ls").splitlines():
            if line.split()[0] == name:
                return re.findall(r"sha256:[0-9a-f]{64}", line)
        return []

    def remove(self, name):
        self._ctr("images", "rm", "--sync", name)

    def stop(self):
        self.daemon.stop(20)
        procs.remove_tree(self.dir)


class _ContainersImage:
    """What podman, buildah and skopeo share: registries.conf, policy, auth file and storage of their own."""
    zstd = True

    def __init__(self, directory, mirror=None, registries=("docker.io", "quay.test")):
        need(self.name)
        self.dir = os.path.join(directory, self.name)
        os.makedirs(self.dir + "/home", exist_ok=True)
        lines = ["unqualified-search-registries = []", "short-name-mode = \"disabled\""]
        for registry in registries if mirror else ():
            prefix = "" if registry == "docker.io" else "/" + registry
            lines += ["[[registry]]", 'prefix = "%s"' % registry, 'location = "127.0.0.1:9"', "insecure = true",
                      "[[registry.mirror]]", 'location = "%s%s"' % (mirror, prefix), "insecure = true"]
        lines += ["[[registry]]", 'location = "127.0.0.1"', "insecure = true"]
        if mirror:  # a location with a port needs its own entry: the mirror's own address
            lines += ["[[registry]]", 'location = "%s"' % mirror, "insecure = true"]
        self._write("registries.conf", "\n".join(lines) + "\n")
        self._write("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        self._write("auth.json", "{}")
        self._write("storage.conf", '[storage]\ndriver = "vfs"\nrunroot = "%s/run"\ngraphroot = "%s/graph"\n'
                    % (self.dir, self.dir))
        self._write("containers.conf", '[engine]\ntmp_dir = "%s/tmp"\ncgroup_manager = "cgroupfs"\n'
                    'events_logger = "none"\nimage_copy_tmp_dir = "%s"\n[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
                    % (self.dir, self.dir))
        self.env = {**DEAD_PROXY, "CONTAINERS_REGISTRIES_CONF": self.dir + "/registries.conf",
                    "CONTAINERS_STORAGE_CONF": self.dir + "/storage.conf", "CONTAINERS_CONF": self.dir + "/containers.conf",
                    "REGISTRY_AUTH_FILE": self.dir + "/auth.json", "HOME": self.dir + "/home", "TMPDIR": self.dir,
                    "XDG_RUNTIME_DIR": self.dir + "/home", "XDG_CONFIG_HOME": self.dir + "/home/.config"}

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def _call(self, *arguments, timeout=120):
        """In a mount namespace of its own: storage mounts do not outlive the command."""
        return procs.run(["unshare", "--mount", "--", self.name, *arguments], timeout, self.env)

    def stop(self):
        procs.remove_tree(self.dir)


class Podman(_ContainersImage):
    name = "podman"

    def pull(self, name, timeout=120):
        self._call("pull", "-q", "--signature-policy", self.dir + "/policy.json", name, timeout=timeout)

    def digests(self, name):
        return re.findall(r"sha256:[0-9a-f]{64}", self._call("image", "inspect", "--format",
                                                            "{{.Digest}} {{json .RepoDigests}}", name))

    def remove(self, name):
        self._call("rmi", "-f", name)


class Buildah(_ContainersImage):
    name = "buildah"

    def pull(self, name, timeout=120):
        self._call("pull", "-q", "--policy", "always", "--signature-policy", self.dir + "/policy.json", name,
                   timeout=timeout)

    def digests(self, name):
        found = re.findall(r"sha256:[0-9a-f]{64}", self._call("images", "--digests", "--format",
                                                             "{{.Name}}@{{.Digest}}", name))
        inspected = json.loads(self._call("inspect", "--type", "image", name))
        return found + [inspected.get("FromImageDigest", "")]

    def remove(self, name):
        self._call("rmi", "-f", name)


class Skopeo(_ContainersImage):
    """Copies into a directory; keeps the bytes of the manifest as they came."""
    name = "skopeo"

    def _target(self, name):
        return self.dir + "/copy-" + re.sub(r"[^a-z0-9]+", "-", name)

    def pull(self, name, timeout=120):
        shutil.rmtree(self._target(name), ignore_errors=True)
        self._call("--registries-conf", self.dir + "/registries.conf", "--policy", self.dir + "/policy.json", "copy",
                   "-q", "--all", "docker://" + name, "dir:" + self._target(name), timeout=timeout)

    def digests(self, name):
        with open(self._target(name) + "/manifest.json", "rb") as f:
            return [images.digest_of(f.read())]

    def files(self, name):
        """Digests of everything that was copied, computed from the files."""
        found = set()
        for entry in os.scandir(self._target(name)):
            with open(entry.path, "rb") as f:
                found.add(images.digest_of(f.read()))
        return found

    def remove(self, name):
        shutil.rmtree(self._target(name))


ALL = {client.name: client for client in (Docker, Containerd, Podman, Buildah, Skopeo)}
