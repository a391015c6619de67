#!/bin/sh
# Compiles every public header by itself, twice included. Exit 1: one does not stand alone.
#   tests/structure/check_headers.sh [HEADER...]
set -u
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] || set -- $(find include/shoal -name '*.h' | sort)
failed=0
for header in "$@"; do
  printf '#include "%s"\n#include "%s"\n' "${header#include/}" "${header#include/}" |
    ${CXX:-c++} -std=c++20 -Wall -Wextra -Iinclude -fsyntax-only -x c++ - || { echo "$header: does not compile alone"; failed=1; }
done
[ $failed -eq 0 ] && echo "headers: $# compile alone"
exit $failed
