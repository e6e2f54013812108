#!/usr/bin/env bash
# A cluster of three nodes on this machine, and the document index on it.
#
# Notice when it runs: the program is the one that runs by itself, too; all that says "cluster" is the
# variable TROUPE_ADDRESS. Its pools ask for members on all nodes, and the line "nodes" tells which of
# them did how much.
#
#     samples/cluster_demo.sh                                     # a few hundred texts of this machine
#     samples/cluster_demo.sh --query "patent license" ~/notes    # what sample_document_index takes
set -euo pipefail

build=${TROUPE_BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/release}
PATH=$build/tools:$build/samples:$PATH # an installed troupe is found by itself
for program in troupe sample_document_index; do
  command -v $program >/dev/null || { echo "no $program in $build: run ./tools/dev build" >&2; exit 1; }
done

# Folders of its own, so that no other cluster of this machine is met. A short path: sockets lie in it.
TROUPE_SESSION_BASE=$(mktemp -d /tmp/troupe-demo-XXXXXX)
export TROUPE_SESSION_BASE
finish() {
  troupe stop --all >/dev/null || true
  rm -rf "$TROUPE_SESSION_BASE"
}
trap finish EXIT

troupe start --head --node-name=alpha --num-cpus=1 --port=0 # any free port; a cluster that stays uses 6379
# On one machine the head's address stands in its file; from another one it is typed.
address=$(sed -n 's/.*"head": "\(.*\)".*/\1/p' "$TROUPE_SESSION_BASE/alpha/node.json")
troupe start --address="$address" --node-name=beta --num-cpus=1 >/dev/null
troupe start --address="$address" --node-name=gamma --num-cpus=1 >/dev/null
echo
troupe status
echo

(($#)) || set -- --limit 1000 --query "patent license grant"
TROUPE_ADDRESS=$address sample_document_index "$@"

echo
troupe status
echo "the cluster ends"
