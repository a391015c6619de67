"""The other caches as mirrors of one registry: their configuration, written out, and how they are started.

Alike for all: as many workers (or threads of the kind that serve) as processors, a cache on disk with room for every
object however large, 1 GiB for those that have a memory cache of their own, a blob fresh for a year and a tag for an hour,
concurrent requests joined where the program can, connections to upstream kept, access logs buffered where the program
can, sendfile where it has it. What is not named here is the program's or Debian's default.
"""
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from typing import Callable

from lib import free_port

WORKERS = os.cpu_count()
ROOM = 16  # GiB on disk
MEMORY = 1 << 30


@dataclasses.dataclass(frozen=True)
class System:
    name: str
    program: str  # in PATH, or it is not there
    start: Callable  # (bench, content, upstream) -> lib.Server
    version: tuple  # command; the first number with a dot in its output counts
    caches: bool = True  # fetches what it lacks from upstream
    usual: bool = True  # is compared without being named


def home_of(bench, name):
    home = bench.directory / name.replace(" ", "-")
    home.mkdir(exist_ok=True)
    return home


def logs(bench):
    return bench.options.access_log == "on"


def shoal(bench, content, upstream):
    return bench.shoal(upstream)


OPEN_FILES = "open_file_cache max=10000;"
LOG_BUFFER = "buffer=64k flush=1s"
KEPT_CONNECTION = 'proxy_set_header Connection ""; proxy_set_header Host $http_host;'


def nginx_static(bench, content, upstream):
    return bench.nginx(content.static_root, "nginx static", extra=OPEN_FILES, log_buffer=LOG_BUFFER)


def docker_registry(bench, content, upstream):
    return bench.registry(bench.directory / "docker-registry-data", "docker-registry",
                          remote=f"http://{upstream.address}:{upstream.port}")


def nginx_cache(bench, content, upstream):
    """Who comes while another fetches waits for the whole object: proxy_cache_lock."""
    return proxy_cache(bench, upstream, "nginx proxy_cache", key="$uri", slices="")


def nginx_slices(bench, content, upstream):
    """Objects are fetched and kept in pieces, so that others can follow the one who fetches."""
    return proxy_cache(bench, upstream, "nginx slice", key="$uri$slice_range",
                       slices=f"slice 4m; proxy_set_header Range $slice_range; {KEPT_CONNECTION}")


def proxy_cache(bench, upstream, name, key, slices):
    home = home_of(bench, name)
    return bench.nginx(home, name, extra=f"""
  upstream registry {{ server {upstream.address}:{upstream.port}; keepalive 64; }}
  proxy_cache_path {home}/cache levels=1:2 keys_zone=mirror:64m max_size={ROOM}g inactive=365d use_temp_path=off;
  proxy_http_version 1.1; {KEPT_CONNECTION}
  proxy_cache mirror; proxy_cache_key {key}; proxy_ignore_headers Vary;
  proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
  {OPEN_FILES}""", log_buffer=LOG_BUFFER, server=f"""
    location ~ /blobs/ {{ {slices} proxy_cache_valid 200 206 365d; proxy_pass http://registry; }}
    location ~ /manifests/ {{ proxy_cache_valid 200 1h; proxy_pass http://registry; }}""")


def varnish(bench, content, upstream):
    """Objects lie in a mapped file. Its log stays in shared memory: varnishncsa is not run."""
    home, port = home_of(bench, "varnish"), free_port()
    (home / "mirror.vcl").write_text(f"""vcl 4.1;
backend registry {{ .host = "{upstream.address}"; .port = "{upstream.port}"; }}
sub vcl_backend_response {{
  unset beresp.http.Vary;
  set beresp.grace = 0s;
  if (bereq.url ~ "/blobs/") {{ set beresp.ttl = 365d; }} else {{ set beresp.ttl = 1h; }}
}}
""")
    command = ["varnishd", "-F", "-j", "none", "-n", str(home), "-f", str(home / "mirror.vcl"),
               "-a", f"127.0.0.1:{port}", "-s", f"file,{home}/cache,{ROOM}G", "-p", f"thread_pools={WORKERS}"]
    return bench.start("varnish", command, port, home / "log")


def squid(bench, content, upstream):
    """One process: to each of several, its manual wants an aufs directory of its own, and each would fetch all blobs."""
    return squid_on(bench, upstream, "squid", "cache_dir aufs {} {} 16 256")


def squid_rock(bench, content, upstream):
    """The cache that several workers can share."""
    return squid_on(bench, upstream, "squid rock", f"workers {WORKERS}\ncache_dir rock {{}} {{}} slot-size=32768")


def squid_on(bench, upstream, name, storage):
    home, port = home_of(bench, name), free_port()
    for made in ("cache", "run"):
        (home / made).mkdir()
    for path in (bench.directory, home, home / "cache", home / "run"):
        path.chmod(0o777 if path != bench.directory else 0o755)  # it changes to its own user
    (home / "squid.conf").write_text(f"""
http_port 127.0.0.1:{port} accel defaultsite=registry no-vhost
cache_peer {upstream.address} parent {upstream.port} 0 no-query no-digest originserver name=registry
acl all_of_it src all
http_access allow all_of_it
cache_peer_access registry allow all_of_it
never_direct allow all_of_it
maximum_object_size 16 GB
{storage.format(home / "cache", ROOM * 1024)}
cache_mem {MEMORY >> 20} MB
maximum_object_size_in_memory 512 MB
collapsed_forwarding on
quick_abort_min -1 KB
refresh_pattern /blobs/ 525600 100% 525600 override-expire
refresh_pattern /manifests/ 60 0% 60
pid_filename {home}/run/pid
cache_log {home}/run/cache.log
access_log {f"daemon:{home}/run/access.log" if logs(bench) else "none"}
buffered_logs on
coredump_dir {home}/run
pinger_enable off
cache_effective_user proxy
cache_effective_group proxy
shutdown_lifetime 1 second
""")
    service = f"bench{port}"  # names its shared memory segments
    base = ["squid", "-n", service, "-f", str(home / "squid.conf")]
    subprocess.run([*base, "-z", "--foreground"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return bench.start(name, [*base, "--foreground"], port, home / "log")


def traffic_server(bench, content, upstream):
    home, port = home_of(bench, "trafficserver"), free_port()
    etc, cache, run = home / "etc", home / "cache", home / "run"
    shutil.copytree("/etc/trafficserver", etc)
    for path in (cache, run, home / "log.d"):
        path.mkdir()
    upstream_url = f"http://{upstream.address}:{upstream.port}"
    settings = {
        "exec_thread.autoconfig": "INT 0", "exec_thread.limit": f"INT {WORKERS}",
        "cache.ram_cache.size": f"INT {MEMORY}", "cache.ram_cache_cutoff": f"INT {MEMORY // 2}",
        "http.server_ports": f"STRING {port}:ip-in=127.0.0.1", "admin.user_id": "STRING #-1",
        "http.cache.required_headers": "INT 0", "cache.max_doc_size": "INT 0",
        "http.cache.ignore_client_no_cache": "INT 1",
        # Those who come meanwhile follow the one who fetches.
        "cache.enable_read_while_writer": "INT 1", "http.background_fill_active_timeout": "INT 0",
        "http.background_fill_completed_threshold": "FLOAT 0.0", "http.cache.max_open_read_retries": "INT 100",
        "http.cache.open_read_retry_time": "INT 20", "http.cache.open_write_fail_action": "INT 0",
        "log.logging_enabled": f"INT {3 if logs(bench) else 0}", "diags.debug.enabled": "INT 0",
        "http.wait_for_cache": "INT 1",
        "log.logfile_dir": f"STRING {home}/log.d", "local_state_dir": f"STRING {run}",
        "config_dir": f"STRING {etc}", "http.transaction_active_timeout_in": "INT 0",
    }
    records = (etc / "records.config").read_text()
    for key, value in settings.items():
        records = re.sub(rf"^CONFIG proxy\.config\.{re.escape(key)} .*\n", "", records, flags=re.M)
        records += f"CONFIG proxy.config.{key} {value}\n"
    (etc / "records.config").write_text(records)
    (etc / "storage.config").write_text(f"{cache} {ROOM}G\n")
    (etc / "remap.config").write_text(f"map / {upstream_url}/\n")
    (etc / "cache.config").write_text(
        "url_regex=/blobs/ ttl-in-cache=365d\nurl_regex=/manifests/ ttl-in-cache=1h\n")
    layout = {"sysconfdir": etc, "runtimedir": run, "localstatedir": run, "logdir": home / "log.d", "cachedir": cache}
    system = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin",
              "includedir": "/usr/include", "libdir": "/usr/lib/trafficserver", "libexecdir":
              "/usr/lib/trafficserver/modules", "datadir": "/usr/share/trafficserver"}
    (home / "runroot.yaml").write_text("".join(f"{k}: {v}\n" for k, v in {**system, **layout}.items()))
    return bench.start("trafficserver", ["traffic_server", f"--run-root={home}/runroot.yaml"], port, home / "log")


SYSTEMS = (
    System("shoal", "", shoal, ()),
    System("nginx static", "nginx", nginx_static, ("nginx", "-v"), caches=False),
    System("nginx proxy_cache", "nginx", nginx_cache, ("nginx", "-v")),
    System("nginx slice", "nginx", nginx_slices, ("nginx", "-v")),
    System("docker-registry", "docker-registry", docker_registry, ("docker-registry", "--version")),
    System("varnish", "varnishd", varnish, ("varnishd", "-V")),
    System("squid", "squid", squid, ("squid", "-v")),
    System("squid rock", "squid", squid_rock, ("squid", "-v"), usual=False),
    System("trafficserver", "traffic_server", traffic_server, ("traffic_server", "-V")),
)


def found(name, program):
    return not program or shutil.which(program) or pathlib.Path("/usr/sbin", program).exists()


def version_of(system):
    if not system.version:
        return ""
    done = subprocess.run(system.version, capture_output=True, text=True, check=False)
    number = re.search(r"\d+\.\d[\w.+~-]*", done.stdout + done.stderr)
    return number.group(0) if number else "?"
