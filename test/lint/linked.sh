#!/usr/bin/env bash
# The arrows between folders once more, as the linker sees them: a public header is open to every folder, so a call of
# a function that it declares and a folder further right defines compiles anywhere. Here it is found by its symbol.
# linked.sh NM FOLDER=ARCHIVE...: the folders from left to right; each may need symbols of those before it only.
set -euo pipefail
nm=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

for entry in "$@"; do
  "$nm" --defined-only "${entry#*=}" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$work/${entry%%=*}.has"
done
: >"$work/reachable"
while (($#)); do
  folder=${1%%=*}
  "$nm" --undefined-only "${1#*=}" 2>/dev/null | awk 'NF == 2 { print $2 }' | sort -u >"$work/needs"
  sort -u "$work/reachable" "$work/$folder.has" >"$work/next"
  mv "$work/next" "$work/reachable"
  shift
  for later in "$@"; do
    found=$(comm -23 "$work/needs" "$work/reachable" | comm -12 - "$work/${later%%=*}.has" | c++filt)
    [[ -z $found ]] || printf '%s needs what %s defines, against the arrows:\n%s\n' "$folder" "${later%%=*}" "$found"
    [[ -z $found ]] || bad=1
  done
done
exit "$bad"
