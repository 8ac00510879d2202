#!/usr/bin/env bash
# Measures moves on this machine, beside what one could do by hand. Needs root and about 60 GB of disk for 10 GiB volumes.
#   ./bench.sh moves [--quick] [--sizes 1,4,10] [--moves 5] [--systems LIST] [--docs FOLDER]
# Figures: artifacts/bench/moves.json, moves.svg.
set -euo pipefail
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "bench: the lab makes namespaces and mounts: run this as root" >&2; exit 1; }
eng/setup.sh
if ! command -v rsync >/dev/null; then echo "bench: installing rsync, one of the peers"; apt-get install -y -q --no-install-recommends rsync >/dev/null; fi
exec dotnet run --project bench/Drover.Bench -c Release -- "$@"
