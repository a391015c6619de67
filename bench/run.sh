#!/bin/bash
# All macro benchmarks, one after the other, on this machine. Prints a table each; results in bench/macro/results/.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-} in
  -h | --help)
    echo "usage: bench/run.sh [--quick] [--access-log on|off] [--json] [--shoal PROGRAM]"
    echo "Installs what is missing, builds build/shoal, and runs bench/macro/{warm,manifests,cold,streams}.py --save."
    echo "bench/micro: cmake -S . -B build-bench -DSHOAL_BENCH=ON && cmake --build build-bench --target shoal_bench"
    exit 0
    ;;
esac
"$repo/packaging/install-deps.sh" bench
case " $* " in
  *" --shoal"*) ;;
  *)
    options=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    [ -f "$repo/build/CMakeCache.txt" ] || options+=(-G Ninja -DBUILD_TESTING=OFF)
    cmake -S "$repo" -B "$repo/build" "${options[@]}" >/dev/null
    cmake --build "$repo/build" --target shoal -j "$(nproc)" | tail -n 3
    ;;
esac
for name in warm manifests cold streams; do
  "$repo/bench/macro/$name.py" --save "$@"
  echo
done
