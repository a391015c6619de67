#!/bin/sh
# Sites of 10 to 10,000 nodes, simulated: bench/README.md. Builds nothing; wants cmake -DSHOAL_BENCH=ON.
#   bench/macro/swarm_sim.sh [--save] [SIMULATOR]
# --save: bench/macro/results/swarm_sim.txt. SIMULATOR: build/bench/macro/swarm_sim/swarm_sim unless said. 10 minutes.
set -eu
case ${1:-} in -h | --help) sed -n '2,4s/^# *//p' "$0"; exit 0 ;; esac
cd "$(dirname "$0")/../.."
out=/dev/stdout
if [ "${1:-}" = --save ]; then
  shift
  out=bench/macro/results/swarm_sim.txt
  : >"$out"
fi
simulator=${1:-build/bench/macro/swarm_sim/swarm_sim}
run() { "$simulator" "$@" >>"$out"; }

echo "# warm: one node has the blob; cold: nobody, 1 Gbit/s or 200 Mbit/s to upstream; links of 1 Gbit/s" >>"$out"
run --nodes=10 --size=500 --seed=1
run --nodes=10 --size=500 --seed=1 --seeds=0
run --nodes=100 --size=500 --seed=1
run --nodes=100 --size=500 --seed=1 --seeds=0
run --nodes=100 --size=500 --seed=1 --seeds=0 --uplink=200
run --nodes=300 --size=500 --seed=1
run --nodes=300 --size=500 --seed=1 --seeds=0
echo "# a tenth of the nodes sends at 100 Mbit/s only" >>"$out"
run --nodes=300 --size=500 --seed=1 --slow-share=0.1
echo "# larger sites: four blocks a request, a quarter of the events" >>"$out"
run --nodes=300 --size=500 --seed=1 --unit=64
run --nodes=1000 --size=1000 --seed=1 --unit=64
run --nodes=1000 --size=1000 --seed=1 --seeds=0 --unit=64
run --nodes=2600 --size=3000 --seed=1 --unit=64 --tenths=1
run --nodes=2600 --size=3000 --seed=1 --seeds=0 --unit=64 --tenths=1
run --nodes=10000 --size=500 --seed=1 --unit=64
