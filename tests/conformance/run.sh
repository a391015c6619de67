#!/bin/bash
# The official conformance programs of the OCI distribution specification against a fresh node that takes pushes: the
# suite of version 1.1 (79 specs), and the rewritten tool of the main branch, asked for version 1.1. Each runs twice:
# over plain HTTP, and over TLS with a login. Exit: 0 passed, 1 failed, 77 skipped: no Go, or no way to fetch.
#   SHOAL_BIN=build/shoal tests/conformance/run.sh
# The source comes from the Go module proxy, which has the suite as it was shortly before 1.1.0, and the tool; or, with
# CONFORMANCE_GIT (a clone of the specification's repository, or its URL), the suite of the tag v1.1.1 and the tool of
# CONFORMANCE_COMMIT. What is built stays, see tests/gotool.sh. CONFORMANCE_KEEP=DIR keeps reports and logs.
set -uo pipefail
shoal=${SHOAL_BIN:?must name the shoal binary}
tests=$(cd "$(dirname "$0")/.." && pwd)
module=github.com/opencontainers/distribution-spec/conformance
suite=v0.0.0-20231101194043-f2182352d4cc
tool=v0.0.0-20260831232431-97274622c111
git=${CONFORMANCE_GIT:-}

work=$(mktemp -d)
nodes=()
finish() {
  for node in "${nodes[@]}"; do
    kill "$node" 2>/dev/null
    wait "$node" 2>/dev/null
  done
  [ -z "${CONFORMANCE_KEEP:-}" ] || cp -r "$work"/plain "$work"/login "$CONFORMANCE_KEEP"
  rm -rf "$work"
}
trap finish EXIT
skip() {
  echo "SKIPPED: $1"
  exit 77
}

# --- the programs ---
checkout() { # REVISION: the program is a Go module of its own within the repository
  if [ ! -d "$git" ]; then
    timeout 120 git clone -q --bare "$git" "$work/spec.git" >"$work/log" 2>&1 || return 1
    git=$work/spec.git
  fi
  mkdir -p "$work/$1" && git --git-dir="$git" archive "$1" conformance 2>"$work/log" | tar -x -C "$work/$1" 2>>"$work/log"
}
from_proxy() {
  suite_program=$("$tests/gotool.sh" -t conformance-suite "$module@$suite" 2>"$work/log") &&
    tool_program=$("$tests/gotool.sh" conformance-tool "$module@$tool" 2>"$work/log")
}
from_git() {
  local commit=${CONFORMANCE_COMMIT:-967efdc}
  suite=v1.1.1 tool=$commit
  checkout v1.1.1 && checkout "$commit" &&
    suite_program=$("$tests/gotool.sh" -t -s "$work/v1.1.1/conformance" conformance-suite "$module@v1.1.1" 2>"$work/log") &&
    tool_program=$("$tests/gotool.sh" -s "$work/$commit/conformance" conformance-tool "$module@$commit" 2>"$work/log")
}
if [ -n "$git" ]; then
  from_git || skip "from $git: $(tail -n 1 "$work/log")"
elif ! from_proxy; then
  said=$(tail -n 1 "$work/log")
  case $said in *"no Go compiler"*) skip "$said" ;; esac
  git=https://github.com/opencontainers/distribution-spec
  from_git || skip "$said; from $git: $(tail -n 1 "$work/log")"
fi

# --- the nodes ---
start() { # NAME SERVER-SETTING AUTH-SETTING: sets port
  local home=$work/$1
  mkdir -p "$home/suite" "$home/tool"
  cat >"$home/shoal.yml" <<YAML
server: {listen: ["127.0.0.1:0"], loops: 2$2}
storage: {path: "$home/storage", min_free: 1MiB}
default_upstream: ""
upstreams: {}
hosted: ["**"]
admin: {listen: ""}
log: {access: "$home/access.log"}
$3
YAML
  env -u SHOAL_BIN "$shoal" serve --config "$home/shoal.yml" --port-file "$home/ports" 2>"$home/log" &
  nodes+=($!)
  for _ in $(seq 100); do
    [ -s "$home/ports" ] && break
    sleep 0.1
  done
  port=$(sed -n '1s/.*[^0-9]//p' "$home/ports" 2>/dev/null)
  [ -n "$port" ] || { echo "the node did not start:"; cat "$home/log"; exit 1; }
}

# --- the runs ---
failed=0
# The suite has 79 specs, of which 5 cannot apply: content that was there before (2), a mount that was refused (1), and
# mounts without a source (2). A skip more would be something not tested.
run_suite() { # NAME
  local home=$work/$1/suite outcome=0 counts
  echo "== suite $suite, $1"
  (cd "$home" && env "${access[@]}" OCI_ROOT_URL="$url" OCI_NAMESPACE=conformance/one \
    OCI_CROSSMOUNT_NAMESPACE=conformance/two OCI_TEST_PULL=1 OCI_TEST_PUSH=1 OCI_TEST_CONTENT_DISCOVERY=1 \
    OCI_TEST_CONTENT_MANAGEMENT=1 OCI_REPORT_DIR="$home" timeout 120 "$suite_program") >"$home/out" 2>&1 || outcome=1
  sed -i 's/\x1b\[[0-9;]*m//g' "$home/out"
  counts=$(grep -E 'Passed.*Failed' "$home/out")
  echo "${counts:-no result}"
  [[ "$counts" == *" 74 Passed | 0 Failed | 0 Pending | 5 Skipped"* ]] || outcome=1
  [ "$outcome" -eq 0 ] || { failed=1; grep -E '\[FAIL\]' "$home/out" | sort -u; [ -n "$counts" ] || tail -n 40 "$home/out"; }
}
run_tool() { # NAME
  local home=$work/$1/tool outcome=0
  echo "== tool $tool, $1"
  (cd "$home" && env "${access[@]}" OCI_REGISTRY="127.0.0.1:$port" OCI_TLS="$tls" OCI_REPO1=conformance/three \
    OCI_REPO2=conformance/four OCI_VERSION=1.1 OCI_RESULTS_DIR="$home" timeout 120 "$tool_program") >"$home/out" 2>&1 ||
    outcome=1
  # It exits with 0 when it cannot read its configuration: only with a summary does that count.
  grep -q '^API conformance' "$home/out" || outcome=1
  sed -n '/^API conformance/,$p' "$home/out" | awk '/\.:/ {count[$NF]++} END {for (word in count) printf "%d %s, ", count[word], word; print "of all lines"}'
  [ "$outcome" -eq 0 ] || { failed=1; tail -n 80 "$home/out"; }
}

access=()
start plain "" ""
url=http://127.0.0.1:$port tls=disabled
run_suite plain
run_tool plain

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=conformance \
  -addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null ||
  { echo "openssl made no certificate"; exit 1; }
(umask 077 && echo secret | "$shoal" hash-password ann --cost 4 >"$work/htpasswd")
access=(OCI_USERNAME=ann OCI_PASSWORD=secret SSL_CERT_FILE="$work/tls.pem")
start login ", tls: {cert: \"$work/tls.pem\", key: \"$work/tls.key\"}" "auth: {htpasswd: \"$work/htpasswd\"}"
url=https://127.0.0.1:$port tls=enabled
run_suite login
run_tool login

[ "$failed" = 0 ] && echo "conformance: passed" || echo "conformance: FAILED"
exit "$failed"
