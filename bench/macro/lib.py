"""What the macro benchmarks share: starting the servers compared, load tools, CPU accounting, tables and results.

Everything listens on 127.0.0.0/8, in a temporary directory, and ends with the script.
"""
import argparse
import functools
import hashlib
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
REGISTRY = "bench.test"  # the upstream's name in the mirror's configuration
MIB = 1 << 20


def arguments(what, more=None):
    parser = argparse.ArgumentParser(description=what)
    if more:
        more(parser)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter: to see that it works")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")
    parser.add_argument("--save", action="store_true", help="also write text and JSON to bench/macro/results/")
    parser.add_argument("--shoal", default=str(TOP / "build" / "shoal"), help="the program (default: build/shoal)")
    parser.add_argument("--access-log", choices=["on", "off"], default="on", help="of every server (default: on)")
    options = parser.parse_args()
    if not pathlib.Path(options.shoal).is_file():
        parser.error(f"{options.shoal} does not exist; build it: cmake --build build --target shoal")
    return options


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A process (with its children) and the port it answers on."""

    def __init__(self, name, command, port, log, address="127.0.0.1", env=None):
        self.name, self.port, self.address, self.log = name, port, address, log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=env)
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection((address, port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(f"{name} did not start:\n{pathlib.Path(log).read_text()[-2000:]}") from None
                time.sleep(0.02)

    def pids(self):
        found = [self.process.pid]
        for pid in found:
            try:
                found += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:  # ended meanwhile
                continue
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def memory(self, field="VmRSS"):
        """Bytes; RssAnon leaves out the program text and mapped files."""
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1]) * 1024
        return total

    def get(self, path, headers=None):
        """(status, headers, body) of one request."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=60)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), body

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Bench:
    """Temporary directory, running servers, rows. Use as a context manager."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.rows, self.notes = [], []

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="shoal-bench-"))
        self.servers = []
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @functools.cached_property
    def drain_path(self):
        return build_tool("drain")

    def start(self, *args, **kwargs):
        server = Server(*args, **kwargs)
        self.servers.append(server)
        return server

    def stop(self, server):
        server.stop()
        self.servers.remove(server)

    def nginx(self, root, name="nginx", extra="", address="127.0.0.1", server="", log_buffer=""):
        """A static tree; `extra` goes into its http block, `server` into its server block."""
        port = free_port()
        home = self.directory / name.replace(" ", "-")
        home.mkdir(exist_ok=True)
        log = f"access_log {home}/access.log combined {log_buffer};" if self.options.access_log == "on" else "access_log off;"
        (home / "nginx.conf").write_text(f"""
user root; daemon off; worker_processes {os.cpu_count()}; pid {home}/pid; error_log {home}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 20000; }}
http {{
  {log} sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/octet-stream;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s; {extra}
  server {{
    listen {address}:{port} reuseport; root {root}; {server}
    location ~ /manifests/ {{ default_type {MANIFEST_TYPE}; }}
    location = /v2/ {{ return 200; }}
  }}
}}
""")
        return self.start(name, ["nginx", "-e", f"{home}/error.log", "-c", f"{home}/nginx.conf"], port, home / "log",
                           address)

    def registry(self, root, name="docker-registry", remote=None, address="127.0.0.1"):
        port = free_port()
        home = self.directory / name
        home.mkdir(exist_ok=True)
        disabled = "false" if self.options.access_log == "on" else "true"
        proxy = f"proxy: {{remoteurl: \"{remote}\"}}\n" if remote else ""
        (home / "config.yml").write_text(f"""version: 0.1
log: {{level: error, accesslog: {{disabled: {disabled}}}}}
storage: {{filesystem: {{rootdirectory: "{root}"}}, cache: {{blobdescriptor: inmemory}}}}
http: {{addr: "{address}:{port}"}}
{proxy}""")
        environment = dict(os.environ, OTEL_TRACES_EXPORTER="none")
        return self.start(name, ["docker-registry", "serve", str(home / "config.yml")], port, home / "log", address,
                           env=environment)

    def configure(self, name="shoal", upstream=None, port=None, tag_ttl="1h", **sections):
        """Directory and port of a Shoal whose configuration is written: a mirror of `upstream`, or a registry of its own.
        `sections`: keys beside or instead of these."""
        home, port = self.directory / name, port or free_port()
        home.mkdir(exist_ok=True)
        url = f"http://{upstream.address}:{upstream.port}" if upstream else ""
        config = {"server": {"listen": [f"127.0.0.1:{port}"]}, "storage": {"path": f"{home}/data"},
                  "default_upstream": REGISTRY if upstream else "", "admin": {"listen": ""},
                  "upstreams": {REGISTRY: {"urls": [url], "tag_ttl": tag_ttl}} if upstream else {},
                  "log": {"level": "warn", "access": f"{home}/access.log" if self.options.access_log == "on" else ""}}
        for section, keys in sections.items():
            config[section] = {**config.get(section, {}), **keys}
        (home / "shoal.yml").write_text(json.dumps(config))  # which is YAML
        return home, port

    def shoal(self, upstream=None, name="shoal", admin=None, **more):
        """`admin`: the port of its admin listener; `more`: as for configure()."""
        if admin:
            more["admin"] = {"listen": f"127.0.0.1:{admin}"}
        home, port = self.configure(name, upstream, **more)
        server = self.start(name, [self.options.shoal, "serve", "--config", str(home / "shoal.yml")], port, home / "log")
        server.home, server.admin = home, admin
        return server

    def drain(self, server, paths, **flags):
        """Runs tools/drain against the server; adds the server's CPU seconds to what it prints."""
        before = server.cpu_seconds()
        command = [self.drain_path, "--host", server.address, "--port", str(server.port)]
        for flag, value in flags.items():
            command += [f"--{flag}", str(value)]
        done = subprocess.run(command + paths, stdout=subprocess.PIPE, check=False, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        if result["errors"]:
            raise SystemExit(f"{server.name}: {result['errors']} failed requests, first: {result['first_error']}")
        result["server_cpu_seconds"] = server.cpu_seconds() - before
        return result

    def row(self, **columns):
        self.rows.append(columns)

    def note(self, text):
        self.notes.append(text)

    def finish(self, **more):
        """`more` goes into the JSON only."""
        data = {"benchmark": self.name, "time": time.strftime("%Y-%m-%d %H:%M:%S %Z"), "machine": machine(),
                "access_log": self.options.access_log, "quick": self.options.quick, "notes": self.notes,
                "rows": self.rows, **more}
        text = render(data)
        print(json.dumps(data, indent=1) if self.options.json else text, flush=True)
        if self.options.save:
            results = HERE / "results"
            results.mkdir(exist_ok=True)
            (results / f"{self.name}.json").write_text(json.dumps(data, indent=1) + "\n")
            (results / f"{self.name}.txt").write_text(text + "\n")


def render(data):
    lines = [f"{data['benchmark']}  ({data['time']}{', quick' if data['quick'] else ''})",
             "; ".join(f"{key}: {value}" for key, value in data["machine"].items()),
             f"access log: {data['access_log']} for every server"]
    lines += data["notes"]
    columns = []
    for row in data["rows"]:
        columns += [c for c in row if c not in columns]
    table = [columns] + [[shown(row.get(c, "")) for c in columns] for row in data["rows"]]
    widths = [max(len(r[i]) for r in table) for i in range(len(columns))]
    lines += ["  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip() for r in table]
    return "\n".join(lines)


def shown(value):
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else (
        f"{value:.0f}" if isinstance(value, float) else str(value))


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
    return {"cpu": f"{os.cpu_count()} x {model}", "memory": f"{memory} MiB", "kernel": platform.release(),
            "load before": " ".join(f"{x:.2f}" for x in os.getloadavg())}


def median(values):
    return statistics.median(values)


def build_tool(name, *libraries):
    source = HERE / "tools" / f"{name}.cc"
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "shoal-bench"
    cache.mkdir(parents=True, exist_ok=True)
    sources = source.read_bytes() + (HERE / "tools" / "client.h").read_bytes()
    program = cache / (f"{name}-" + hashlib.sha256(sources).hexdigest()[:16])
    if not program.exists():
        subprocess.run(["g++", "-std=c++20", "-O2", "-o", f"{program}.new", str(source), *libraries], check=True)
        os.replace(f"{program}.new", program)
    return str(program)


def build_against(shoal, name, modules, libraries):
    """tools/<name>.cc, against the modules' libraries in the build directory of the program; the first one's own headers
    too."""
    build, source = pathlib.Path(shoal).resolve().parent, HERE / "tools" / f"{name}.cc"
    program = build / f"bench-{name}"
    archives = [str(build / f"libshoal_{module}.a") for module in modules]
    newest = max(os.stat(path).st_mtime for path in [source, HERE / "tools" / "client.h", *archives])
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["g++", "-std=c++20", "-O2", "-DFMT_SHARED", f"-I{TOP}/include", f"-I{TOP}/src/{modules[0]}",
                        "-o", str(program), str(source), *archives, *libraries], check=True)
    return str(program)


def build_filler(shoal):
    return build_against(shoal, "fill_store", ("store", "registry", "obs", "base"),
                         ("-llmdb", "-lprometheus-cpp-core", "-lspdlog", "-lfmt", "-lcrypto", "-lpthread"))


def fill(program, store, repository, count, files, repositories=None):
    """Blobs of 64 bytes into the store of a node that does not run, the first `files` of them with their file: pushed to
    one repository, or mirrored and spread over so many."""
    command = [program, store, repository, str(count), str(files), "64", *([str(repositories)] if repositories else [])]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split()


class Content:
    """Images written straight into the directory layouts of docker-registry and of a static /v2/ tree for nginx."""

    def __init__(self, directory):
        self.registry_root = directory / "content" / "registry"
        self.static_root = directory / "content" / "static"

    def _write(self, path, data=None, link=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        if link:
            os.link(link, path)
        else:
            path.write_bytes(data)

    def _blob_file(self, hexadecimal):
        return self.registry_root / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"

    def _put(self, repository, kind, hexadecimal):
        link = f"sha256:{hexadecimal}".encode()
        folder = "_layers/sha256" if kind == "blobs" else "_manifests/revisions/sha256"
        self._write(self.registry_root / "docker/registry/v2/repositories" / repository / folder / hexadecimal / "link",
                    link)
        self._write(self.static_root / "v2" / repository / kind / f"sha256:{hexadecimal}",
                    link=self._blob_file(hexadecimal))

    def blob(self, repository, data):
        hexadecimal = hashlib.sha256(data).hexdigest()
        if not self._blob_file(hexadecimal).exists():
            self._write(self._blob_file(hexadecimal), data)
        self._put(repository, "blobs", hexadecimal)
        return {"digest": f"sha256:{hexadecimal}", "size": len(data)}

    def image(self, repository, tag, layer_bytes, annotation=""):
        """One random layer. Returns (manifest digest, layer digest, manifest bytes)."""
        config = self.blob(repository, json.dumps({"architecture": "amd64", "os": "linux", "id": f"{repository}:{tag}",
                                                   "rootfs": {"type": "layers", "diff_ids": []}}).encode())
        layer = self.blob(repository, os.urandom(layer_bytes))
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer}],
            "annotations": {"padding": annotation}}).encode()
        hexadecimal = hashlib.sha256(manifest).hexdigest()
        self._write(self._blob_file(hexadecimal), manifest)
        self._put(repository, "manifests", hexadecimal)
        self._write(self.static_root / "v2" / repository / "manifests" / tag, link=self._blob_file(hexadecimal))
        tags = self.registry_root / "docker/registry/v2/repositories" / repository / "_manifests/tags" / tag
        self._write(tags / "current/link", f"sha256:{hexadecimal}".encode())
        self._write(tags / "index/sha256" / hexadecimal / "link", f"sha256:{hexadecimal}".encode())
        return f"sha256:{hexadecimal}", layer["digest"], manifest


def pull_through(server, repository, tag, layer=None):
    """Manifest by tag (and the layer, when given) through a mirror, so that they are warm."""
    status, _, _ = server.get(f"/v2/{repository}/manifests/{tag}", {"Accept": MANIFEST_TYPE})
    if status != 200:
        raise SystemExit(f"{server.name}: manifest of {repository}:{tag} answered {status}")
    if layer:
        connection = http.client.HTTPConnection(server.address, server.port, timeout=120)
        connection.request("GET", f"/v2/{repository}/blobs/{layer}")
        response = connection.getresponse()
        if response.status != 200:
            raise SystemExit(f"{server.name}: blob {layer} answered {response.status}")
        while response.read(MIB):
            pass
        connection.close()


def main(run):
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(130)
