#!/bin/bash
# Installs what is missing, builds Shoal, starts a mirror on 127.0.0.1:5000 and shows it at work without Internet.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
state=${QUICKSTART_STATE:-${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/shoal-quickstart}
port=5000 demo=1 stop=
site_mib=48 # of the layer that three nodes share

usage() {
  cat <<TEXT
usage: packaging/quickstart.sh [--port PORT] [--no-demo] [--stop]

Installs missing packages (needs root for that only), builds Shoal in build/, and starts a mirror on 127.0.0.1:PORT
(5000) with conf/shoal.yml; its admin API listens on PORT + 1. Then it starts a registry on loopback, puts an image made
from this machine's busybox into it, and pulls it through the mirror twice. At last two more nodes join the mirror, and
an image of $site_mib MiB is pulled through all three at once: upstream sends one copy; the two are stopped again. Run again
to rebuild and restart; the cache is kept.

  --port PORT  the mirror's port
  --no-demo    start the mirror only, alone
  --stop       end what an earlier run started

State, logs and pid files: $state
TEXT
}
say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --port) [ $# -ge 2 ] || { usage >&2; exit 2; }; port=$2; shift ;;
    --port=*) port=${1#*=} ;;
    --no-demo) demo= ;;
    --stop) stop=1 ;;
    -h | --help) usage; exit 0 ;;
    *) say "quickstart: unknown option '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ $port =~ ^[0-9]{1,5}$ ]] && ((10#$port >= 1 && 10#$port <= 65534)) ||
  { say "quickstart: --port is 1 to 65534, not '$port'" >&2; exit 2; }
port=$((10#$port)) admin_port=$((10#$port + 1))

# A pid file counts only while that process still runs the program we started.
running_pid() { # PIDFILE PROGRAM
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -e "$2.*$state" || return 1
  echo "$pid"
}
stop_one() { # PIDFILE PROGRAM
  local pid
  if pid=$(running_pid "$1" "$2"); then
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 400); do
      [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null || break
      sleep 0.1
    done
    if [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; then
      kill -9 "$pid" 2>/dev/null || true
      say "$2 (pid $pid) did not end within 40 s and was killed"
    else
      say "stopped $2 (pid $pid)"
    fi
  fi
  rm -f "$1"
}
is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
holder_of() { # PORT -> " by NAME (pid N)" where it can be seen
  command -v ss >/dev/null || return 0
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ by \1 (pid \2)/p' | head -n 1
}
demand_free() { # PORT
  ! is_taken "$1" ||
    die "port $1 on 127.0.0.1 is taken$(holder_of "$1"). End that program, or choose another: packaging/quickstart.sh --port 6000"
}
free_port() {
  local candidate
  for _ in $(seq 50); do
    candidate=$((20000 + RANDOM % 10000))
    is_taken "$candidate" || { echo "$candidate"; return; }
  done
  die "found no free port for the demo's registry"
}
get() { curl -q -sS --noproxy '*' --max-time 20 "$@"; }
wait_for() { # URL PID LOG
  for _ in $(seq 200); do
    if get -o /dev/null -f "$1" 2>/dev/null; then return; fi
    if ! kill -0 "$2" 2>/dev/null; then
      tail -n 20 "$3" >&2
      die "it ended at once; its output: $3"
    fi
    sleep 0.05
  done
  tail -n 20 "$3" >&2
  die "no answer from $1 within 10 s; its output: $3"
}

if [ -n "$stop" ]; then
  [ -d "$state" ] || { say "nothing to stop: there is no $state"; exit 0; }
  stop_one "$state/node2.pid" shoal
  stop_one "$state/node3.pid" shoal
  stop_one "$state/shoal.pid" shoal
  stop_one "$state/upstream.pid" docker-registry
  exit 0
fi

step "packages"
"$repo/packaging/install-deps.sh" build demo
say "all there"

step "build"
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_BASEDIR=$repo CCACHE_NOHASHDIR=1 # so that one clone profits from another
fi
mkdir -p "$state"
first_time=()
[ -f "$repo/build/CMakeCache.txt" ] || first_time=(-G Ninja -DBUILD_TESTING=OFF)
cmake -S "$repo" -B "$repo/build" "${first_time[@]}" "${launcher[@]}" >"$state/build.log" 2>&1 ||
  { tail -n 30 "$state/build.log" >&2; die "cmake failed; whole output: $state/build.log"; }
started=$SECONDS
cmake --build "$repo/build" --target shoal -j "$(nproc)" >>"$state/build.log" 2>&1 ||
  { tail -n 40 "$state/build.log" >&2; die "the build failed; whole output: $state/build.log"; }
shoal=$repo/build/shoal
say "$("$shoal" version | sed 1q) in $((SECONDS - started)) s"

step "mirror"
stop_one "$state/node2.pid" shoal
stop_one "$state/node3.pid" shoal
stop_one "$state/shoal.pid" shoal
stop_one "$state/upstream.pid" docker-registry
demand_free "$port"
demand_free "$admin_port"
upstream_port=$(cat "$state/upstream.port" 2>/dev/null || true)
if [ -z "$upstream_port" ] || is_taken "$upstream_port"; then upstream_port=$(free_port); fi
echo "$upstream_port" >"$state/upstream.port"

# conf/shoal.yml with its ports, its directory and, for the demo, one more upstream.
sed -e "s|^  listen: \[\"127.0.0.1:5000\"\]|  listen: [\"127.0.0.1:$port\"]|" \
  -e "s|^  listen: \"127.0.0.1:5001\"|  listen: \"127.0.0.1:$admin_port\"|" \
  -e "s|^  path: /var/lib/shoal|  path: \"$state/data\"|" \
  -e "s|^  access: \"-\"|  access: \"$state/access.log\"|" \
  -e "s|^  access_format: text|  access_format: json|" \
  -e "s|^upstreams:.*|&\n  demo.local:\n    urls: [\"http://127.0.0.1:$upstream_port\"]\n    no_proxy: \"127.0.0.1\"|" \
  "$repo/conf/shoal.yml" >"$state/shoal.yml"
for expected in "127.0.0.1:$port" "127.0.0.1:$admin_port" "$state/data" "$state/access.log" demo.local; do
  grep -q -F "$expected" "$state/shoal.yml" || die "conf/shoal.yml has changed its shape: cannot set $expected"
done
"$shoal" check --config "$state/shoal.yml" >"$state/check.log" 2>&1 ||
  { cat "$state/check.log" >&2; die "the configuration is refused"; }

start() { # PIDFILE LOG COMMAND...
  local pidfile=$1 log=$2
  shift 2
  (cd "$state" && exec setsid "$@" </dev/null >>"$log" 2>&1) &
  echo $! >"$pidfile"
}
: >"$state/shoal.log"
touch "$state/access.log"
site=()
if [ -n "$demo" ]; then # it will have neighbours, which know it by this secret
  [ -s "$state/site.secret" ] ||
    (umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$state/site.secret")
  site=(--set p2p.enabled=true --set "p2p.secret_file=$state/site.secret" --set p2p.allow=127.0.0.0/8
    --set "p2p.trackers=127.0.0.1:$port")
fi
start "$state/shoal.pid" "$state/shoal.log" "$shoal" serve --config "$state/shoal.yml" --port-file "$state/shoal.port" \
  "${site[@]}"
wait_for "http://127.0.0.1:$port/healthz" "$(cat "$state/shoal.pid")" "$state/shoal.log"
say "listening on 127.0.0.1:$port (pid $(cat "$state/shoal.pid")), admin API on 127.0.0.1:$admin_port"

show_pull() { # LABEL: pulls with skopeo, prints the time and what the mirror says about each answer
  local before began ended target=$work/$1
  before=$(wc -l <"$state/access.log")
  began=$(date +%s%N)
  skopeo --insecure-policy copy -q --src-tls-verify=false \
    "docker://127.0.0.1:$port/demo.local/busybox:$tag" "dir:$target" || die "the $1 pull failed; see $state/shoal.log"
  ended=$(date +%s%N)
  printf '%s pull: %d ms\n' "$1" $(((ended - began) / 1000000))
  for _ in $(seq 20); do # the log is written behind the answer
    [ "$(tail -n +$((before + 1)) "$state/access.log" 2>/dev/null | grep -c -e /blobs/)" -ge 2 ] && break
    sleep 0.1
  done
  tail -n +$((before + 1)) "$state/access.log" | while read -r line; do
    field() { sed -n "s/.*\"$1\":\"\{0,1\}\(\(\\\\.\|[^\\\\\",}]\)*\).*/\1/p" <<<"$line"; }
    path=$(field target)
    case $path in */manifests/* | */blobs/*) ;; *) continue ;; esac
    printf '  %-4s %-46s %9s bytes  Cache-Status: %s\n' "$(field method)" \
      "$(sed 's|\(sha256:.\{12\}\)[0-9a-f]*|\1...|; s|/v2/demo.local/||' <<<"$path")" "$(field bytes)" \
      "$(sed -n 's/.*"cache":"\(\(\\.\|[^\\"]\)*\)".*/\1/p' <<<"$line" | sed 's/\\"/"/g')"
  done
  local manifest hex
  manifest=sha256:$(sha256sum "$target/manifest.json" | cut -d' ' -f1)
  [ "$manifest" = "$digest" ] || die "the $1 pull brought manifest $manifest, upstream has $digest"
  for hex in $(grep -o 'sha256:[0-9a-f]\{64\}' "$target/manifest.json" | cut -d: -f2); do
    [ "$(sha256sum "$target/$hex" | cut -d' ' -f1)" = "$hex" ] || die "the $1 pull brought a damaged blob $hex"
  done
  say "  digests verified: manifest, config and layer are upstream's"
}

metric() { # PORT SERIES -> its value
  get "http://127.0.0.1:$1/metrics" | awk -v series="$2" '$1 == series { value = $2 } END { printf "%.0f\n", value }'
}
fill_bytes() { metric "$1" "shoal_fill_bytes_total{source=\"$2\"}"; }
start_node() { # NUMBER PORT: a neighbour of the mirror, with a directory of its own
  rm -rf "$state/node$1"
  : >"$state/node$1.log"
  start "$state/node$1.pid" "$state/node$1.log" "$shoal" serve --config "$state/shoal.yml" "${site[@]}" \
    --set "server.listen=127.0.0.1:$2" --set admin.listen= --set "storage.path=$state/node$1" \
    --set "log.access=$state/node$1.access.log"
  wait_for "http://127.0.0.1:$2/healthz" "$(cat "$state/node$1.pid")" "$state/node$1.log"
}
show_site() { # pulls one image through three nodes at once, and prints what upstream sent and who passed on what
  local ports=("$port" "$(free_port)" "$(free_port)") tag=$1 each source layer size sent known before=()
  while [ "${ports[1]}" = "${ports[2]}" ]; do ports[2]=$(free_port); done
  start_node 2 "${ports[1]}"
  start_node 3 "${ports[2]}"
  "$repo/packaging/demo-image.sh" "$work/site" "$tag" "$site_mib" >"$work/site.digest"
  skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$work/site:$tag" \
    "docker://127.0.0.1:$upstream_port/site:$tag" || die "could not put the image into the demo's registry"
  for _ in $(seq 200); do
    known=0
    for each in "${ports[@]}"; do known=$((known + $(metric "$each" shoal_p2p_peers))); done
    [ "$known" -lt 6 ] || break
    sleep 0.1
  done
  [ "$known" -ge 6 ] || die "the nodes do not find each other; see $state/shoal.log"
  for each in "${ports[@]}"; do
    for source in upstream neighbour swarm; do before+=("$(fill_bytes "$each" "$source")"); done
  done
  say "three nodes: 127.0.0.1:${ports[0]}, :${ports[1]}, :${ports[2]}; upstream has site:$tag with a layer of $site_mib MiB"
  "$shoal" pull --all-nodes --admin "http://127.0.0.1:$admin_port" "demo.local/site:$tag" |
    sed 's|\(sha256:.\{12\}\)[0-9a-f]*|\1...|; s/^/  /' || die "the pull failed; see $state/shoal.log"

  read -r layer size < <(find "$work/site/blobs" -type f -size +1M -printf '%f %s\n')
  sent=$(grep -e "\"GET /v2/site/blobs/sha256:$layer " "$state/upstream.log" |
    sed 's/.*HTTP\/1.1" [0-9]* \([0-9]*\).*/\1/' | awk '{ sum += $1 } END { printf "%.0f\n", sum }')
  say "upstream's log: $(grep -c -e "\"GET /v2/site/blobs/sha256:$layer " "$state/upstream.log") GET of that layer," \
    "$sent bytes; it has $size: $(awk -v a="$sent" -v b="$size" 'BEGIN { printf "%.2f", a / b }') copies for 3 nodes"
  say "what came from where, as the nodes count it (shoal_fill_bytes_total):"
  set -- "${before[@]}"
  for each in "${ports[@]}"; do
    printf '  127.0.0.1:%-5s %10d from upstream, %10d from neighbours over HTTP, %10d in pieces\n' "$each" \
      $(($(fill_bytes "$each" upstream) - $1)) $(($(fill_bytes "$each" neighbour) - $2)) \
      $(($(fill_bytes "$each" swarm) - $3))
    shift 3
  done
  ((sent * 100 <= size * 105)) || die "upstream has sent more than one copy; see $state/shoal.log"
  stop_one "$state/node2.pid" shoal
  stop_one "$state/node3.pid" shoal
  rm -rf "$state/node2" "$state/node3"
}

if [ -n "$demo" ]; then
  step "demo: the same image twice through the mirror"
  work=$(mktemp -d)
  trap 'rm -rf "$work"; stop_one "$state/node2.pid" shoal; stop_one "$state/node3.pid" shoal' EXIT
  rm -rf "$state/upstream"
  mkdir -p "$state/upstream"
  cat >"$state/upstream.yml" <<TEXT
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: "$state/upstream"}}
http: {addr: "127.0.0.1:$upstream_port"}
TEXT
  : >"$state/upstream.log"
  start "$state/upstream.pid" "$state/upstream.log" docker-registry serve "$state/upstream.yml"
  wait_for "http://127.0.0.1:$upstream_port/v2/" "$(cat "$state/upstream.pid")" "$state/upstream.log"
  tag=$(date +%Y%m%d-%H%M%S) # new each time, so that the first pull is a cold one
  digest=$("$repo/packaging/demo-image.sh" "$work/layout" "$tag")
  skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$work/layout:$tag" \
    "docker://127.0.0.1:$upstream_port/busybox:$tag" || die "could not put the image into the demo's registry"
  say "upstream: docker-registry on 127.0.0.1:$upstream_port with busybox:$tag, $digest"
  show_pull first
  show_pull second
  step "demo: one image through three nodes at once"
  show_site "$tag"
fi

address=127.0.0.1:$port
cat <<TEXT

== the mirror runs on $address; stop it with: packaging/quickstart.sh --stop

Docker, in /etc/docker/daemon.json, then restart it:
  { "registry-mirrors": ["http://$address"] }

containerd, in /etc/containerd/certs.d/docker.io/hosts.toml (config_path must name /etc/containerd/certs.d):
  server = "https://registry-1.docker.io"
  [host."http://$address"]
    capabilities = ["pull", "resolve"]

Podman, Buildah, CRI-O, skopeo, in /etc/containers/registries.conf.d/shoal.conf:
  [[registry]]
  location = "docker.io"
  [[registry.mirror]]
  location = "$address/docker.io"
  insecure = true

Or straight: docker pull $address/docker.io/library/debian:12
More: build/shoal client-config docker|containerd|podman; every setting: conf/shoal.yml
TEXT
[ -z "$demo" ] || say "Without Internet there is the demo's image: docker pull $address/demo.local/busybox:$tag"
