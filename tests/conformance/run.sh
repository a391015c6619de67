#!/bin/sh
# The official conformance programs of the OCI distribution specification against a fresh node that takes pushes:
# the v1.1.1 suite, and the rewritten tool of the main branch. Their source comes from the specification's git
# repository, what they use from the Go module proxy; both are built into CONFORMANCE_DIR (default: a temporary
# directory). Exit: 0 passed, 1 failed, 77 skipped: no Go, or no way to fetch.
#   SHOAL_BIN=build/shoal tests/conformance/run.sh
set -u
shoal=${SHOAL_BIN:?must name the shoal binary}
main_commit=${CONFORMANCE_COMMIT:-967efdc}
git=${CONFORMANCE_GIT:-https://github.com/opencontainers/distribution-spec}  # or a clone of it

skip() {
  echo "SKIPPED: $1"
  exit 77
}
go=$(command -v go || true)
[ -n "$go" ] || { [ -x /usr/local/go/bin/go ] && go=/usr/local/go/bin/go; }
[ -n "$go" ] || skip "there is no Go compiler here, so the official suites cannot be built"

work=$(mktemp -d)
tools=${CONFORMANCE_DIR:-$work/tools}
mkdir -p "$tools" "$work/node" "$work/old" "$work/new"
node=
finish() {
  [ -z "$node" ] || kill "$node" 2>/dev/null
  [ -z "$node" ] || wait "$node" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

# $1: revision, $2: where to put the program's source, a Go module of its own within the repository
fetch() {
  if [ ! -d "$git" ]; then
    git clone -q --bare "$git" "$work/spec.git" >"$work/fetch.log" 2>&1 || return 1
    git=$work/spec.git
  fi
  mkdir -p "$2" && git --git-dir="$git" archive "$1" conformance 2>"$work/fetch.log" | tar -x -C "$2" 2>>"$work/fetch.log"
}

if [ ! -x "$tools/v1.1.1.test" ]; then
  fetch v1.1.1 "$work/src1" || skip "the v1.1.1 suite cannot be fetched: $(tail -n 1 "$work/fetch.log")"
  (cd "$work/src1/conformance" && "$go" test -c -o "$tools/v1.1.1.test") >"$work/build.log" 2>&1 ||
    skip "the v1.1.1 suite cannot be built: $(tail -n 1 "$work/build.log")"
fi
if [ ! -x "$tools/main" ]; then
  fetch "$main_commit" "$work/src2" ||
    skip "the tool of the main branch cannot be fetched: $(tail -n 1 "$work/fetch.log")"
  (cd "$work/src2/conformance" && "$go" build -o "$tools/main" .) >"$work/build.log" 2>&1 ||
    skip "the tool of the main branch cannot be built: $(tail -n 1 "$work/build.log")"
fi

cat >"$work/node/shoal.yml" <<YAML
server: {listen: ["127.0.0.1:0"], loops: 2}
storage: {path: "$work/node/storage", min_free: 1MiB}
default_upstream: ""
upstreams: {}
hosted: ["**"]
admin: {listen: ""}
log: {access: "$work/node/access.log"}
YAML
env -u SHOAL_BIN "$shoal" serve --config "$work/node/shoal.yml" --port-file "$work/node/ports" 2>"$work/node/log" &
node=$!
for _ in $(seq 100); do
  [ -s "$work/node/ports" ] && break
  sleep 0.1
done
port=$(sed -n '1s/.*[^0-9]//p' "$work/node/ports" 2>/dev/null)
[ -n "$port" ] || { echo "the node did not start:"; cat "$work/node/log"; exit 1; }

failed=0
echo "== v1.1.1 suite"
(cd "$work/old" && env OCI_ROOT_URL="http://127.0.0.1:$port" OCI_NAMESPACE=conformance/one \
  OCI_CROSSMOUNT_NAMESPACE=conformance/two OCI_TEST_PULL=1 OCI_TEST_PUSH=1 OCI_TEST_CONTENT_DISCOVERY=1 \
  OCI_TEST_CONTENT_MANAGEMENT=1 OCI_REPORT_DIR="$work/old" "$tools/v1.1.1.test") >"$work/old/out" 2>&1 || failed=1
grep -E "^(Ran |(.*m)?(PASS|FAIL|SUCCESS)|.*Passed.*Failed)" "$work/old/out" | sed 's/\x1b\[[0-9;]*m//g' | sort -u
[ "$failed" = 0 ] || grep -E "\[FAIL\]|\[It\]" "$work/old/out" | sort -u

echo "== main's tool, ${main_commit}, version 1.1"
new=0
(cd "$work/new" && env OCI_REGISTRY="127.0.0.1:$port" OCI_TLS=disabled OCI_REPO1=conformance/three \
  OCI_REPO2=conformance/four OCI_VERSION=1.1 OCI_RESULTS_DIR="$work/new" "$tools/main") >"$work/new/out" 2>&1 || new=1
# It exits with 0 when it cannot read its configuration: only with a summary does that count.
grep -q "^API conformance" "$work/new/out" || new=1
sed -n '/^API/,$p;/[Pp]assed/p' "$work/new/out" | tail -n 60
[ "$new" = 0 ] || { failed=1; tail -n 40 "$work/new/out"; }
[ -z "${CONFORMANCE_KEEP:-}" ] || cp -r "$work/old" "$work/new" "$work/node" "$CONFORMANCE_KEEP"
[ "$failed" = 0 ] && echo "conformance: passed" || echo "conformance: FAILED"
exit "$failed"
