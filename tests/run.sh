#!/bin/bash
# Installs what the tests need, builds, runs them through CTest. The last result line is CTest's own.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<'TEXT'
usage: tests/run.sh [SUITE...] [-R REGEX] [-L REGEX] [-j N] [-DNAME=VALUE...] [--list]

Without a suite: everything CTest knows (unit, contract, crash, e2e and conformance tests), built in build/.

  unit         unit, contract and crash tests; no network, seconds
  sim          sites of simulated nodes under churn and faults (tests/sim); seconds
  e2e          the real program and real clients (docker, containerd, podman, skopeo, buildah; oras and helm where
               these can be built)
  asan, tsan   the suites under AddressSanitizer + UBSan, or ThreadSanitizer, built in build-asan/, build-tsan/.
               Without `unit` or `e2e` beside it: the unit tests and those e2e tests that carry the label `sanitize`
  fuzz         a short run of every fuzz target (tests/fuzz/run.sh; built in build-fuzz/)

  -R REGEX     only tests whose name matches; -L REGEX: only those whose label does (both as in ctest). With a
               sanitizer the unit tests of a module are one test, unit.http; single ones: --gtest_filter of its program
  -j N         tests at once (default: one per processor); e2e tests that need the machine alone say so themselves
  -D...        passed to CMake
  --list       build, then list the tests instead of running them

Examples: tests/run.sh            tests/run.sh unit -R 'unit.http'        tests/run.sh tsan e2e -R cold_flow
TEXT
}

suites=() sanitizer='' fuzz='' name='' label='' list='' jobs=$(nproc) defines=()
while [ $# -gt 0 ]; do
  case $1 in
    unit | sim | e2e) suites+=("$1") ;;
    asan | tsan) sanitizer=$1 ;;
    fuzz) fuzz=1 ;;
    -R | -L | -j) [ $# -ge 2 ] || { usage >&2; exit 2; }
      case $1 in -R) name=$2 ;; -L) label=$2 ;; -j) jobs=$2 ;; esac
      shift ;;
    -D?*) defines+=("$1") ;;
    --list) list=1 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "tests/run.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

"$repo/packaging/install-deps.sh" test
export CCACHE_BASEDIR=$repo CCACHE_NOHASHDIR=1 # so that one clone profits from another
if [ -n "$fuzz" ]; then exec "$repo/tests/fuzz/run.sh"; fi

build=$repo/build${sanitizer:+-$sanitizer}
mkdir -p "$build"
log=$build/build.log
options=(-DBUILD_TESTING=ON -DSHOAL_SANITIZE="$sanitizer"
  -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "${defines[@]}")
[ -f "$build/CMakeCache.txt" ] || options+=(-G Ninja)
started=$SECONDS
if ! { cmake -S "$repo" -B "$build" "${options[@]}" && cmake --build "$build" -j "$(nproc)"; } >"$log" 2>&1; then
  tail -n 60 "$log" >&2
  echo "tests/run.sh: the build failed; whole output: $log" >&2
  exit 1
fi
echo "built $(basename "$build")/ in $((SECONDS - started)) s"

if [ -z "$label" ]; then
  case "${suites[*]}" in
    '') [ -z "$sanitizer" ] || label='^(unit|sanitize)$' ;;
    *) label="^($(IFS='|'; echo "${suites[*]}"))\$" ;;
  esac
fi
run=(ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error --no-label-summary)
[ -z "$name" ] || run+=(-R "$name")
[ -z "$label" ] || run+=(-L "$label")
[ -z "$list" ] || run+=(-N)

# Reports go to files, so that one from a server deep inside an e2e test fails the run as well.
reports=$build/sanitizer-reports
rm -rf "$reports"
mkdir -p "$reports"
case $sanitizer in
  asan)
    export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
    export UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan:${UBSAN_OPTIONS:-}"
    ;;
  tsan)
    export TSAN_OPTIONS="suppressions=$repo/tests/tsan.supp:log_path=$reports/tsan:second_deadlock_stack=1:${TSAN_OPTIONS:-}"
    # GCC 12's runtime does not know address layouts with more than 28 random bits.
    if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ]; then run=(setarch -R "${run[@]}"); fi
    ;;
esac
outcome=0
"${run[@]}" || outcome=$?
if [ -n "$(find "$reports" -type f -size +0 2>/dev/null)" ]; then
  find "$reports" -type f -size +0 | head -n 5 | xargs head -n 60 >&2
  echo "tests/run.sh: $(find "$reports" -type f -size +0 | wc -l) sanitizer reports in $reports" >&2
  outcome=1
fi
exit "$outcome"
