#!/usr/bin/env bash
# What no source file may hold. Prints each offending line and exits 1 if there is any. Run from the repository's root.
set -u
bad=0

# forbid REASON PATTERN PATH...: no line of the C++ files under the paths matches the extended regular expression.
forbid() {
  local reason=$1 pattern=$2 path found
  shift 2
  local paths=()
  for path in "$@"; do [[ -e $path ]] && paths+=("$path"); done
  ((${#paths[@]})) || return 0
  found=$(grep -rnE --include='*.hpp' --include='*.cpp' -e "$pattern" "${paths[@]}") || return 0
  printf '%s\n' "$found" | sed "s|^|$reason: |"
  bad=1
}

code=(include core actors tasks net gpu samples tools test)
include='^[[:space:]]*#[[:space:]]*include[[:space:]]*'

forbid 'a parent folder in an include goes round the arrows' "$include\"\\.\\." "${code[@]}"
forbid 'public headers know neither CAF, ZeroMQ, logging nor Boost' "$include[<\"](caf|zmq|spdlog|fmt|boost)" include
forbid 'public headers know no other folder' "$include\"(core|actors|tasks|net|gpu|test)/" include samples
forbid 'a sample uses what a user has' "$include[<\"](caf|zmq|spdlog|fmt|boost|cereal)" samples
forbid 'CAF stays in core/stage and the actor shells' "$include[<\"]caf/" net gpu tools
forbid 'logging goes through core' "$include[<\"](spdlog|fmt)/" actors tasks net gpu tools
forbid 'a test waits for an event, not for time' 'this_thread::sleep_(for|until)|\b(u|nano)sleep *\(' \
  test/core test/actors test/tasks test/net test/gpu test/sim test/cluster test/samples test/support
forbid 'unfinished' '\b(TODO|FIXME|XXX)\b' "${code[@]}"

while IFS= read -r header; do
  grep -q '^#pragma once' "$header" || { echo "no #pragma once: $header"; bad=1; }
  head -n 1 "$header" | grep -q '^///' || { echo "the first line does not say the header's job (///): $header"; bad=1; }
done < <(for folder in "${code[@]}"; do [[ -d $folder ]] && find "$folder" -name '*.hpp'; done)

exit "$bad"
