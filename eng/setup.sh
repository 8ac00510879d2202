#!/usr/bin/env bash
# Makes a Debian machine ready for Drover: installs what is missing, checks the .NET SDK, publishes the programs.
# Safe to run again: then it only looks, which takes seconds.
#   eng/setup.sh [--no-publish]
set -euo pipefail
cd "$(dirname "$0")/.."

publish=yes
for argument in "$@"; do
  case "$argument" in
    --no-publish) publish=no ;;
    *) echo "setup: unknown option '$argument'; usage: eng/setup.sh [--no-publish]" >&2; exit 2 ;;
  esac
done

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- Debian packages ---------------------------------------------------------------------------------------------
missing=()
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }
package() { installed "$1" || missing+=("$1"); }
# A program may also have come from elsewhere (a vendor's repository): then its package is not asked for.
program() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }

command -v dpkg-query >/dev/null || fail "this is not Debian: install docker, btrfs-progs, debootstrap, iproute2, iptables, nftables, util-linux, nodejs, npm, chromium, curl, jq yourself"
# busybox-static: the containers of the tests are made of it.
for name in btrfs-progs e2fsprogs busybox-static debootstrap iproute2 iptables nftables util-linux procps ca-certificates git; do package "$name"; done
program dockerd docker.io
# For the tests and the lab. Where the kernel's own ZFS is in use, its programs stay: the two exclude each other.
installed zfsutils-linux || program zfs-fuse zfs-fuse
program curl curl
program jq jq
program node nodejs
program npm npm
# Discovers apps through Marathon's API in the tests, and checks the alert rules.
program prometheus prometheus
# The agent is compiled ahead of time, which needs a linker: half the memory, and no wait for a compiler when it starts.
program gcc gcc
installed libc6-dev || missing+=(libc6-dev)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)

# Debian 13 has the docker command in a package of its own.
needs_docker_cli() { ! command -v docker >/dev/null && known docker-cli; }

policy=/usr/sbin/policy-rc.d
policy_mark='# drover: no service starts while packages are installed'
remove_policy() { if grep -qsF "$policy_mark" "$policy"; then rm -f "$policy"; fi; }

install_packages() {
  [ "$(id -u)" = 0 ] || fail "missing: $*. Run eng/setup.sh as root, or: apt-get install --no-install-recommends $*"
  say "installing from Debian: $*"
  # The lab runs its own Docker daemons; the system's must not start beside them as a by-product of installing it.
  trap remove_policy EXIT
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" > "$policy"; chmod 755 "$policy"; fi
  local log; log=$(mktemp)
  if ! { apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2; rm -f "$log"; fail "apt-get could not install: $*"
  fi
  rm -f "$log"
  remove_policy
}

if [ "${#missing[@]}" -gt 0 ]; then install_packages "${missing[@]}"; fi
if needs_docker_cli; then install_packages docker-cli; fi
say "packages: ok"

# --- .NET --------------------------------------------------------------------------------------------------------
command -v dotnet >/dev/null || fail ".NET SDK 10 is missing: https://learn.microsoft.com/dotnet/core/install/linux-debian"
dotnet --list-sdks | grep -q '^10\.' || fail "the .NET SDK here is $(dotnet --list-sdks | tail -n 1 | cut -d' ' -f1); 10.0 is needed: https://learn.microsoft.com/dotnet/core/install/linux-debian"
say ".NET SDK: ok"

# --- The programs ------------------------------------------------------------------------------------------------
[ "$publish" = yes ] || exit 0
out=artifacts/bin
# What is published is a function of these files' contents: unchanged contents need no build.
sources() {
  find src proto eng Directory.Build.props Directory.Packages.props global.json -type f \
    ! -path '*/bin/*' ! -path '*/obj/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}
now=$(sources)
stamp=$out/.published
if [ "$(cat "$stamp" 2>/dev/null)" = "$now" ] && [ -x $out/drover/drover ] && [ -x $out/drover-control/drover-control ] && [ -x $out/drover-agent/drover-agent ]; then
  say "programs: unchanged since they were published"
  exit 0
fi
case "$(uname -m)" in
  x86_64) machine=linux-x64 ;;
  aarch64) machine=linux-arm64 ;;
  *) fail "this machine is $(uname -m): Drover is published for x86_64 and aarch64" ;;
esac
publish_one() {
  local started=$SECONDS
  local project=$1 name=$2
  say "publishing $name"
  local log; log=$(mktemp)
  local folder=$out/$2; shift 2
  # What an earlier way of publishing left there would be taken for part of the program.
  rm -rf "$folder"
  if ! dotnet publish "src/$project/$project.csproj" -c Release -r "$machine" "$@" -p:DebugType=none -o "$folder" -nologo -v quiet >"$log" 2>&1; then
    cat "$log" >&2; rm -f "$log"; fail "$name could not be published"
  fi
  rm -f "$log"
  rm -f "$folder"/*.dbg "$folder"/*.xml
  say "published $name ($((SECONDS - started)) s)"
}
rm -f "$stamp"
# Precompiled, or the first call after a start would wait for the compiler.
publish_one Drover.ControlPlane drover-control --self-contained false -p:PublishReadyToRun=true
publish_one Drover.Agent drover-agent -p:PublishAot=true -p:StripSymbols=true
publish_one Drover.Cli drover --self-contained false -p:PublishReadyToRun=true
mkdir -p "$out" && printf '%s\n' "$now" > "$stamp"
