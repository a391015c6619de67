#!/bin/sh
# Builds every fuzz target and runs each over its corpus for some seconds.
#   tests/fuzz/run.sh [SECONDS_PER_TARGET] [TARGET...]      e.g. tests/fuzz/run.sh 60 path manifest
# Build directory: $FUZZ_BUILD, or build-fuzz beside the sources. What is found on the way is kept there, not in the
# corpus of the repository; a crash is left as $FUZZ_BUILD/crashes/<target>-crash-*. Exit 1: a target crashed or did not build.
set -u
seconds=${1:-10}
[ $# -gt 0 ] && shift
case $seconds in *[!0-9]* | '') echo "usage: $0 [SECONDS_PER_TARGET] [TARGET...]" >&2; exit 2 ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${FUZZ_BUILD:-$root/build-fuzz}
jobs=${FUZZ_JOBS:-$(nproc)}
launcher=
command -v ccache >/dev/null && launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache

mkdir -p "$build/crashes" "$build/corpus"
cmake -S "$root" -B "$build" -G Ninja -DSHOAL_FUZZ=ON -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 \
  $launcher >"$build/configure.log" 2>&1 || { cat "$build/configure.log" >&2; exit 1; }

if [ $# -eq 0 ]; then
  for source in "$root"/tests/fuzz/*_fuzz.cc; do
    name=$(basename "$source" _fuzz.cc)
    set -- "$@" "$name"
  done
fi

failed=
printf '%-20s %12s %8s  %s\n' target execs seconds result
for name in "$@"; do
  log=$build/$name.log
  if ! ninja -C "$build" -j"$jobs" "${name}_fuzz" >"$log" 2>&1; then
    printf '%-20s %12s %8s  %s\n' "$name" - - "DOES NOT BUILD"
    grep -m 5 -E 'error|FAILED' "$log" >&2
    failed="$failed $name"
    continue
  fi
  seeds=$root/tests/fuzz/corpus/$name
  found=$build/corpus/$name
  mkdir -p "$found"
  [ -d "$seeds" ] || seeds=
  # -timeout: one input that takes 10 s is a finding too. New inputs go to the first directory.
  ASAN_OPTIONS=${ASAN_OPTIONS:-} "$build/tests/fuzz/${name}_fuzz" "$found" $seeds -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$build/crashes/$name-" >"$log" 2>&1
  status=$?
  execs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  took=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
  if [ $status -eq 0 ]; then
    printf '%-20s %12s %8s  ok\n' "$name" "${execs:-?}" "${took:-?}"
  else
    printf '%-20s %12s %8s  %s\n' "$name" "${execs:-?}" "${took:-?}" "FAILED (exit $status), see $log"
    grep -m 3 -E '^==|ERROR|SUMMARY|Test unit written' "$log" >&2
    failed="$failed $name"
  fi
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
