#!/bin/bash
# Installs the Debian 12 packages Shoal needs, only those that are missing. No network use when nothing is.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: packaging/install-deps.sh [--list] [SET...]

SET is one or more of (default: build)
  build   compiler, CMake and libraries
  demo    what packaging/quickstart.sh shows the main job with
  test    what tests/run.sh needs, real clients included (contains build and demo)
  bench   what bench/run.sh compares with (contains build and demo); of the other caches (varnish, squid,
          trafficserver) those that can be had: one that cannot is named and skipped

  --list  print the packages of the sets and whether they are installed; install nothing

Packages that bring a service (docker.io, containerd, nginx-light, ...) are installed with their service neither
started nor enabled; a service that was there before is not touched.
TEXT
}

build=(g++ gcc libc6-dev cmake ninja-build pkg-config ccache git
  libssl-dev libcrypt-dev libcurl4-openssl-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libyaml-cpp-dev
  prometheus-cpp-dev libcli11-dev libuv1-dev liblmdb-dev node-llhttp
  libtorrent-rasterbar-dev)
demo=(docker-registry skopeo busybox-static curl ca-certificates)
test=(libgtest-dev clang-14 libclang-rt-14-dev clang-format-14 python3 openssl curl iproute2 iptables procps util-linux zstd
  e2fsprogs docker.io containerd runc podman buildah crun uidmap)
bench=(libbenchmark-dev nginx-light wrk curl openssl python3 iproute2 procps)
bench_optional=(varnish squid trafficserver)

want=()
optional=()
list=
for arg in "${@:-build}"; do
  case $arg in
    build) want+=("${build[@]}") ;;
    demo) want+=("${demo[@]}") ;;
    test) want+=("${build[@]}" "${demo[@]}" "${test[@]}") ;;
    bench)
      want+=("${build[@]}" "${demo[@]}" "${bench[@]}")
      optional+=("${bench_optional[@]}")
      ;;
    --list) list=1 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install-deps: unknown set '$arg'" >&2; usage >&2; exit 2 ;;
  esac
done
[ ${#want[@]} -gt 0 ] || want=("${build[@]}")
want=($(printf '%s\n' "${want[@]}" | sort -u)) # no name has a space

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install-deps: this is not a Debian system; Shoal is built on Debian 12. You need the equivalents of:" >&2
  printf '  %s\n' "${want[@]}" >&2
  exit 1
fi

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }
missing=()
for package in "${want[@]}"; do
  if is_installed "$package"; then
    [ -z "$list" ] || echo "ok       $package"
  else
    [ -z "$list" ] || echo "missing  $package"
    missing+=("$package")
  fi
done
missing_optional=()
for package in "${optional[@]}"; do
  if is_installed "$package"; then
    [ -z "$list" ] || echo "ok       $package (optional)"
  else
    [ -z "$list" ] || echo "missing  $package (optional)"
    missing_optional+=("$package")
  fi
done
[ -z "$list" ] || exit 0
[ $((${#missing[@]} + ${#missing_optional[@]})) -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  [ ${#missing_optional[@]} -eq 0 ] || echo "install-deps: not installed, and not needed: ${missing_optional[*]}" >&2
  [ ${#missing[@]} -gt 0 ] || exit 0
  echo "install-deps: ${#missing[@]} packages are missing and installing needs root. Run as root:" >&2
  echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# Tells maintainer scripts to start nothing. One that is already there is the administrator's: it stays, and decides.
policy=/usr/sbin/policy-rc.d
placed=
clean_up() { [ -z "$placed" ] || rm -f "$policy"; }
trap clean_up EXIT
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\n# Placed by install-deps.sh of Shoal while it installs packages.\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  placed=1
fi
units=(containerd docker docker-registry nginx podman squid trafficserver varnish varnishncsa)
enabled_before=()
if command -v systemctl >/dev/null; then
  for unit in "${units[@]}"; do
    if systemctl is-enabled -q "$unit.service" 2>/dev/null; then enabled_before+=("$unit"); fi
  done
fi

export DEBIAN_FRONTEND=noninteractive
get=(apt-get -y -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300)
log=$(mktemp)
updated=
# With the lists at hand one try without `update` often does, and saves the network.
install() {
  "${get[@]}" install --no-install-recommends "$@" >"$log" 2>&1 && return
  [ -z "$updated" ] || return 1
  updated=1
  "${get[@]}" update >"$log" 2>&1 && "${get[@]}" install --no-install-recommends "$@" >"$log" 2>&1
}
if [ ${#missing[@]} -gt 0 ]; then
  echo "install-deps: installing ${#missing[@]} packages: ${missing[*]}"
  if ! install "${missing[@]}"; then
    tail -n 25 "$log" >&2
    echo "install-deps: apt-get failed (whole output: $log). Install by hand: ${missing[*]}" >&2
    exit 1
  fi
fi
for package in "${missing_optional[@]}"; do
  if install "$package"; then
    echo "install-deps: installed $package (optional)"
  else
    echo "install-deps: $package cannot be had and is not needed: $(grep '^E:' "$log" | head -n 1 || true)" >&2
  fi
done
rm -f "$log"

if command -v systemctl >/dev/null; then
  for unit in "${units[@]}"; do
    case " ${enabled_before[*]} " in *" $unit "*) continue ;; esac
    if systemctl is-enabled -q "$unit.service" 2>/dev/null; then
      systemctl disable -q "$unit.service" "$unit.socket" 2>/dev/null || systemctl disable -q "$unit.service"
      echo "install-deps: $unit.service is new here and was left disabled"
    fi
  done
fi
echo "install-deps: done"
