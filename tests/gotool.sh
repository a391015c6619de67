#!/bin/bash
# Builds one Go program from the Go module proxy, once, and prints where it is. Tests that want real tools of the Go
# world (conformance suites, oras, helm, cosign) take them from here.
#   tests/gotool.sh [-t] [-n] [-s DIR] NAME MODULE@VERSION [PACKAGE]
#     PACKAGE  ./cmd/oras; default: the module's root     -t  its test binary
#     -s DIR   from this source, not from the proxy       (VERSION then only names the file)
#     -n       only look: exit 1 when it is not there
# It stays in SHOAL_TEST_CACHE (default ~/.cache/shoal-tests), outside of any build, by name and version.
# Exit 77, with the reason on stderr: no Go, no way to the module, or not built within SHOAL_GO_LIMIT (600 s).
set -euo pipefail
[ -n "${HOME:-}" ] || export HOME=/root

skip() {
  echo "$1" >&2
  exit 77
}
test='' source='' look=''
while getopts tns: option; do
  case $option in
    t) test=1 ;;
    n) look=1 ;;
    s) source=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
name=$1 module=$2 package=${3:-.}
cache=${SHOAL_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal-tests}
program=$cache/$name-${module##*@}
mkdir -p "$cache"
[ -z "$look" ] || { [ -x "$program" ] && exit 0 || exit 1; }

# Two tests may want the same one.
exec 9>"$program.lock"
flock 9
[ ! -x "$program" ] || { echo "$program"; exit 0; }

go=$(command -v go || true)
[ -n "$go" ] || { [ -x /usr/local/go/bin/go ] && go=/usr/local/go/bin/go; } || true
[ -n "$go" ] || skip "there is no Go compiler here to build $name with"
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false
deadline=$((SECONDS + ${SHOAL_GO_LIMIT:-600}))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bounded() {
  local left=$((deadline - SECONDS))
  nice -n 5 timeout --kill-after=5 "$((left > 1 ? left : 1))" "$@"
}

if [ -z "$source" ]; then
  (cd "$work" && bounded "$go" mod download -json "$module") >"$work/module.json" 2>"$work/log" || {
    said=$(sed -n 's/^\t*"Error": "\(.*\)"$/\1/p' "$work/module.json")
    said=${said:-$(tail -n 1 "$work/log")}
    skip "$module cannot be fetched: ${said:-no answer in time}"
  }
  source=$(sed -n 's/^\t*"Dir": "\(.*\)",$/\1/p' "$work/module.json")
fi
cp -r "$source" "$work/source" # the module cache cannot be written to
chmod -R u+w "$work/source"
build=(build)
[ -z "$test" ] || build=(test -c)
outcome=0
(cd "$work/source" && bounded "$go" "${build[@]}" -ldflags "-s -w" -o "$work/program" "$package") \
  >"$work/log" 2>&1 9>&- || outcome=$?
[ "$outcome" -ne 124 ] || skip "$name was not built within ${SHOAL_GO_LIMIT:-600} s"
[ "$outcome" -eq 0 ] && [ -x "$work/program" ] || skip "$name cannot be built: $(tail -n 3 "$work/log")"
cp "$work/program" "$program.new" && mv "$program.new" "$program"
echo "$program"
