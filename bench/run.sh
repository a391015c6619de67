#!/bin/bash
# The benchmarks that compare Shoal with others, on this machine. Results in bench/macro/results/.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
usage() {
  cat <<'TEXT'
usage: bench/run.sh [--all] [--quick] [--access-log on|off] [--json] [--shoal PROGRAM]

Installs what is missing (of the other caches: what can be had), builds build/shoal, and runs bench/macro/rivals.py: the
same work for Shoal and for each cache that is there, one table of ratios. Root: a link is shaped in a network namespace.

  --all     then also warm, manifests, cold, streams and tls, each against nginx and more closely; at last design14.py,
            the numbers of the design that were saved so far
  --quick   short rounds, to see that it works: nothing is saved unless --save says so

By themselves, in bench/macro: push.py, lists.py, small.py, start.py, soak.py, gc.py and scale.py (a million blobs:
minutes, 5 GB), herd.sh (root; nodes of a site), tracker.py (load on a tracker; what a site costs a node that idles);
each tells more with --help, and bench/README.md.
bench/micro: cmake -S . -B build-bench -DSHOAL_BENCH=ON && cmake --build build-bench --target shoal_micro_bench
TEXT
}
scripts=(rivals)
all=
save=--save
build=1
args=()
for arg in "$@"; do
  case $arg in
    -h | --help) usage; exit 0 ;;
    --all) all=1; scripts=(rivals warm manifests cold streams tls); continue ;;
    --quick) save= ;;
    --shoal | --shoal=*) build= ;;
  esac
  args+=("$arg")
done
"$repo/packaging/install-deps.sh" bench
if [ -n "$build" ]; then
  options=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  [ -f "$repo/build/CMakeCache.txt" ] || options+=(-G Ninja -DBUILD_TESTING=OFF)
  cmake -S "$repo" -B "$repo/build" "${options[@]}" >/dev/null
  cmake --build "$repo/build" --target shoal -j "$(nproc)" | tail -n 3
fi
for name in "${scripts[@]}"; do
  "$repo/bench/macro/$name.py" $save "${args[@]}"
  echo
done
[ -z "$all" ] || "$repo/bench/macro/design14.py" $save
