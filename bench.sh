#!/usr/bin/env bash
# Measures moves on this machine, beside what one could do by hand. Needs root and about 60 GB of disk for 10 GiB volumes.
#   ./bench.sh moves [--quick] [--sizes 1,4,10] [--moves 5] [--systems LIST] [--docs FOLDER]
# Figures: artifacts/bench/moves.json, moves.svg.
# Or the scheduler: thousands of simulated agents on a real control plane and its real store. Needs no root.
#   ./bench.sh scheduler [--agents 100,1000,5000] [--instances N] [--quick] [--strict]
# Figures: artifacts/bench/scheduler.json.
set -euo pipefail
cd "$(dirname "$0")"
if [ "${1:-}" = scheduler ]; then
  # Each agent is a connection at both ends.
  ulimit -n "$(ulimit -Hn)"
  dotnet publish src/Drover.ControlPlane -c Release -r linux-x64 --self-contained false -p:PublishReadyToRun=true -p:RunAnalyzers=false -nologo -v quiet -o artifacts/bench/control
  exec dotnet run --project bench/Drover.Bench -c Release -- "$@"
fi
[ "$(id -u)" = 0 ] || { echo "bench: the lab makes namespaces and mounts: run this as root" >&2; exit 1; }
eng/setup.sh
if ! command -v rsync >/dev/null; then echo "bench: installing rsync, one of the peers"; apt-get install -y -q --no-install-recommends rsync >/dev/null; fi
exec dotnet run --project bench/Drover.Bench -c Release -- "$@"
