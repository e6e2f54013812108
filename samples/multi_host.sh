#!/usr/bin/env bash
# Three hosts on this machine, each with a network of its own, and one of them is cut off.
#
# Notice when it runs: the host that is cut off keeps its address and all its open connections, as
# when a cable is pulled somewhere: nobody is told. The cluster takes it for dead after the silence
# that was set, its work goes on elsewhere, and when the network heals it is a new node.
#
#     sudo samples/multi_host.sh         # network namespaces need root
set -euo pipefail

build=${TROUPE_BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/release}
PATH=$build/tools:$build/samples:$PATH:/sbin:/usr/sbin # an installed troupe is found by itself
for program in troupe sample_survivor; do
  command -v $program >/dev/null || { echo "no $program in $build: run ./tools/dev build" >&2; exit 1; }
done
skip() { echo "skipped: $*"; exit 77; }
((EUID == 0)) || skip "only root can make network namespaces; run it by sudo"
command -v ip >/dev/null || skip "there is no command ip; install iproute2"

name=troupe-$$
hosts=(one two three)
TROUPE_SESSION_BASE=$(mktemp -d /tmp/troupe-hosts-XXXXXX)
export TROUPE_SESSION_BASE
on() { ip netns exec "$name-$1" "${@:2}"; }
finish() {
  troupe stop --all >/dev/null 2>&1 || true
  for host in "${hosts[@]}" switch; do ip netns delete "$name-$host" 2>/dev/null || true; done
  rm -rf "$TROUPE_SESSION_BASE"
}
trap finish EXIT

# A switch, and a cable from each host to it.
ip netns add "$name-switch" 2>/dev/null || skip "this system does not allow network namespaces"
ip -n "$name-switch" link add switch type bridge 2>/dev/null || skip "this system has no bridges"
ip -n "$name-switch" link set switch up
number=0
for host in "${hosts[@]}"; do
  number=$((number + 1))
  ip netns add "$name-$host"
  ip -n "$name-switch" link add "$host" type veth peer name eth0 netns "$name-$host"
  ip -n "$name-switch" link set "$host" master switch up
  ip -n "$name-$host" address add "10.99.0.$number/24" dev eth0
  ip -n "$name-$host" link set eth0 up
  ip -n "$name-$host" link set lo up
done

on one troupe start --head --host=10.99.0.1 --node-name=one --num-cpus=1 --silence=3 >/dev/null
for number in 2 3; do
  host=${hosts[number - 1]}
  on "$host" troupe start --address=10.99.0.1:6379 --host="10.99.0.$number" --node-name="$host" \
    --num-cpus=1 --silence=3 >/dev/null
done
export TROUPE_ADDRESS=10.99.0.1:6379
nodes() { on one troupe status | awk '/^NODE/ {on = 1; next} NF == 0 {on = 0} on {printf "%s ", $1}'; }
echo "nodes: $(nodes)"

on one sample_survivor run "$TROUPE_SESSION_BASE/journal" >"$TROUPE_SESSION_BASE/said" &
pipeline=$!
until grep -q '20 %' "$TROUPE_SESSION_BASE/said"; do sleep 0.1; done
ip -n "$name-switch" link set three nomaster
echo "host three is cut off, with its connections open"
begin=$(date +%s.%N)
while [[ $(nodes) == *three* ]]; do sleep 0.1; done
echo "the cluster has noticed after $(date +%s.%N | awk -v b="$begin" '{printf "%.1f", $1 - b}') s; nodes: $(nodes)"
wait $pipeline
cat "$TROUPE_SESSION_BASE/said"
ip -n "$name-switch" link set three master switch
echo "the network heals"
until [[ $(nodes) == *three* ]]; do sleep 0.1; done
echo "nodes: $(nodes)"
