#!/bin/sh
# A herd of nodes on one layer, in network namespaces with shaped links: see herd.py and bench/README.md.
exec python3 "$(dirname "$0")/herd.py" "$@"
