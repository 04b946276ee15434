#!/usr/bin/env bash
# Sums 1 to 100, slowly. What a training in any language does: read the newest, write aside and rename, save and end on SIGTERM.
set -euo pipefail
newest="${MLGATE_CHECKPOINTS:-checkpoints}/state.txt"
mkdir -p "$(dirname "$newest")"

step=0 sum=0 is_asked_to_end=
[ -f "$newest" ] && read -r step sum < "$newest"
trap 'is_asked_to_end=yes' TERM

while [ "$step" -lt 100 ]; do
  step=$((step + 1))
  sum=$((sum + step))
  sleep 0.01 || true # sleep gets the signal, too
  if [ -n "$is_asked_to_end" ] || [ $((step % 10)) = 0 ]; then
    echo "$step $sum" > "$newest.tmp"
    mv "$newest.tmp" "$newest"
    if [ -n "$is_asked_to_end" ]; then exit 143; fi
  fi
done
echo "$sum" > sum.txt
