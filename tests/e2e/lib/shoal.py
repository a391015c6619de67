"""The mirror under test: the real binary with a configuration, a directory and ports of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

from . import procs, wire

_SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:")


def binary():
    path = os.environ.get("SHOAL_BIN")
    if not path:
        raise AssertionError("SHOAL_BIN must name the shoal binary")
    return os.path.abspath(path)


def run(*arguments, stderr=subprocess.PIPE):
    """The program, as a client: (exit code, stdout, stderr)."""
    done = subprocess.run([binary(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
                          timeout=60 * slow_build(), env=procs.environment(None))
    return done.returncode, done.stdout, done.stderr


def run_on_terminal(*arguments):
    """Standard error is a terminal: (exit code, stdout, what the terminal showed)."""
    ours, theirs = os.openpty()
    try:
        code, out, _ = run(*arguments, stderr=theirs)
        os.set_blocking(ours, False)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except BlockingIOError:
                return code, out, shown.decode()
    finally:
        os.close(ours)
        os.close(theirs)


def slow_build():
    """Under a sanitizer times are stretched: bounds on them grow by this factor."""
    return float(os.environ.get("SHOAL_E2E_SLOW", "1"))


def _yaml(value, indent=0):
    """Block mappings, flow lists, JSON scalars: enough of YAML for a configuration."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines.append("%s%s:\n%s" % (" " * indent, json.dumps(key), _yaml(item, indent + 2)))
        else:
            lines.append("%s%s: %s\n" % (" " * indent, json.dumps(key), json.dumps(item)))
    return "".join(lines)


def merge(base, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


class Shoal:
    """`upstreams`: {name: url, list of urls, or dict of keys}. `more`: further sections, merged in. `ip`, `wrapped`: the
    address it is talked to at, and a command that starts the server (in a network of its own, lib/lan.py)."""

    def __init__(self, directory, upstreams, more=None, name="shoal", storage=None, env=None, port_index=0,
                 ip="127.0.0.1", wrapped=()):
        self.ip, self.wrapped = ip, list(wrapped)
        self.port_index = port_index  # of the listener that is talked to, which must be a plain one
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory, exist_ok=True)
        self.storage = storage or os.path.join(self.directory, "storage")
        self.config_file = os.path.join(self.directory, "shoal.yml")
        self.port_file = os.path.join(self.directory, "ports")
        self.log_file = os.path.join(self.directory, "stderr")
        self.access_file = os.path.join(self.directory, "access.log")
        self.env = env or {}
        self.daemon = None
        self.port = self.admin_port = 0
        self.ports = []
        self.configure(upstreams, more)

    def configure(self, upstreams, more=None):
        named = {}
        for upstream, how in upstreams.items():
            if isinstance(how, str):
                how = {"urls": [how]}
            elif isinstance(how, list):
                how = {"urls": how}
            named[upstream] = how
        self.config = merge({
            "server": {"listen": ["127.0.0.1:0"], "loops": 2, "drain_timeout": "5s"},
            "storage": {"path": self.storage, "min_free": "1MiB"},
            "default_upstream": "docker.io" if "docker.io" in named else "",
            "upstreams": named,
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"level": "debug", "access": self.access_file, "access_format": "json"},
        }, more or {})
        self.write_config()

    def write_config(self):
        with open(self.config_file, "w") as f:
            f.write(_yaml(self.config))

    def command(self):
        return self.wrapped + [binary(), "serve", "--config", self.config_file, "--port-file", self.port_file]

    # --- life ---
    def start(self, timeout=20):
        if os.path.exists(self.port_file):
            os.remove(self.port_file)
        began = time.monotonic()
        self.daemon = procs.Daemon(self.command(), self.log_file, self.env)

        def ready():
            if not self.daemon.alive():
                raise AssertionError("shoal did not start, exit %s:\n%s" % (self.daemon.process.returncode,
                                                                           self.stderr()[-4000:]))
            if not self._read_ports():
                return False
            try:
                return wire.get(self.address, "/readyz", timeout=5).status == 200
            except OSError:
                return False

        procs.wait_until(ready, timeout * slow_build(), "shoal to be ready")
        self.started_in = time.monotonic() - began
        return self

    def _read_ports(self):
        """One line per listener, in the order of the configuration, the admin listener last; a port is the last number
        of its line."""
        try:
            with open(self.port_file) as f:
                text = f.read()
        except FileNotFoundError:
            return False
        if not text.endswith("\n"):
            return False
        lines = [line for line in text.splitlines() if line.strip()]
        self.ports = [int(re.search(r"(\d+)\s*$", line).group(1)) for line in lines]
        if not self.ports:
            return False
        self.port = self.ports[self.port_index]
        self.admin_port = self.ports[-1] if len(self.ports) > 1 else 0
        return True

    def stop(self, timeout=20):
        """SIGTERM; the exit must be clean."""
        if self.daemon is None:
            return
        daemon, self.daemon = self.daemon, None
        was_alive = daemon.alive()
        daemon.signal(signal.SIGTERM)
        try:
            code = daemon.wait(timeout * slow_build())
        except subprocess.TimeoutExpired:
            daemon.kill()
            raise AssertionError("shoal did not stop within %ss of SIGTERM:\n%s" % (timeout, self.stderr()[-4000:])) \
                from None
        self.check_sanitizers()
        if not was_alive or code != 0:
            raise AssertionError("shoal %s, exit %s:\n%s" % ("stopped badly" if was_alive else "had died", code,
                                                            self.stderr()[-6000:]))

    def kill(self):
        """kill -9."""
        daemon, self.daemon = self.daemon, None
        if not daemon.alive():
            raise AssertionError("shoal had died:\n" + self.stderr()[-6000:])
        daemon.kill()
        self.check_sanitizers()

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        self.daemon.signal(signal.SIGHUP)

    def alive(self):
        return self.daemon is not None and self.daemon.alive()

    def memory(self):
        """Bytes resident."""
        with open("/proc/%d/status" % self.daemon.pid()) as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))

    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.daemon.pid()))

    def processor_seconds(self):
        with open("/proc/%d/stat" % self.daemon.pid()) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check_sanitizers(self):
        found = _SANITIZER.search(self.stderr())
        if found:
            text = self.stderr()
            raise AssertionError("sanitizer report:\n" + text[max(0, found.start() - 200):found.start() + 6000])

    def stderr(self):
        try:
            with open(self.log_file, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def access(self):
        """The access log's lines."""
        with open(self.access_file, errors="replace") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    # --- talking to it ---
    @property
    def address(self):
        return (self.ip, self.port)

    @property
    def host(self):
        return "%s:%d" % (self.ip, self.port)

    @property
    def url(self):
        return "http://" + self.host

    def get(self, path, headers=None, timeout=30):
        return wire.get(self.address, path, headers, timeout)

    def head(self, path, headers=None, timeout=30):
        return wire.head(self.address, path, headers, timeout)

    def stream(self, path, headers=None, timeout=30, receive_buffer=None):
        return wire.Stream(self.address, "GET", path, headers, timeout, receive_buffer)

    def manifest(self, repository, reference, **more):
        return self.get("/v2/%s/manifests/%s" % (repository, reference), **more)

    def blob(self, repository, digest, **more):
        return self.get("/v2/%s/blobs/%s" % (repository, digest), **more)

    def pull(self, repository, reference, timeout=30):
        """All of an image, as a client that wants every platform: [Response], manifests before what they name."""
        responses, references, blobs = [], [reference], []
        while references:
            response = self.manifest(repository, references.pop(0), timeout=timeout)
            responses.append(response)
            if response.status != 200 or response.broken:
                return responses
            body = response.json()
            references += [child["digest"] for child in body.get("manifests", ())]
            parts = [body["config"]] + body["layers"] if "config" in body else []
            blobs += [part["digest"] for part in parts if part["digest"] not in blobs]
        return responses + [self.blob(repository, digest, timeout=timeout) for digest in blobs]

    def metrics(self):
        """{"name{label=\"x\"}": value}."""
        values = {}
        for line in self.get("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                values[key] = float(value)
        return values

    def metric(self, prefix):
        """Sum of all series whose name and labels begin with `prefix`."""
        return sum(v for k, v in self.metrics().items() if k == prefix or k.startswith(prefix + "{") or
                   (prefix.endswith(("{", ",")) and k.startswith(prefix)))

    def cli(self, *arguments, check=True, timeout=20):
        return procs.run([binary(), *arguments], timeout=timeout * slow_build(), check=check)

    # --- its directory ---
    def disk_use(self):
        """Bytes of all files but the index's."""
        total = 0
        for folder, _, files in os.walk(self.storage):
            if os.path.relpath(folder, self.storage).split(os.sep)[0] == "index":
                continue
            for name in files:
                try:
                    total += os.stat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
        return total

    def blob_file(self, digest):
        hexadecimal = digest.split(":")[1]
        return os.path.join(self.storage, "blobs", "sha256", hexadecimal[:2], hexadecimal)

    def fill_file(self, digest):
        return os.path.join(self.storage, "fills", digest.split(":")[1])

    def has_blob(self, digest):
        return os.path.exists(self.blob_file(digest))

    def wait_for_blob(self, digest, timeout=15):
        """Until the index has it: the file is in its place a moment before that."""
        def published():
            return wire.get((self.ip, self.admin_port), "/api/v1/blobs/" + digest).status == 200
        procs.wait_until(published, timeout * slow_build(), "blob %s to be published" % digest)

    def keep_files(self, target):
        """For a look after a failure."""
        os.makedirs(target, exist_ok=True)
        for path in (self.log_file, self.access_file, self.config_file):
            if os.path.exists(path):
                shutil.copy(path, target)
