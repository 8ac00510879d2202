#!/usr/bin/env bash
# Publishes control plane and agent with failpoints to artifacts/bin-faults, for the fault tests alone. Unchanged sources need no build.
set -euo pipefail
cd "$(dirname "$0")/.."

out=artifacts/bin-faults
say() { printf 'publish-faults: %s\n' "$*"; }
sources() {
  find src proto Directory.Build.props Directory.Packages.props global.json eng/publish-faults.sh -type f \
    ! -path '*/bin/*' ! -path '*/obj/*' ! -path 'src/Drover.Cli/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}
now=$(sources)
if [ "$(cat $out/.published 2>/dev/null)" = "$now" ] && [ -x $out/drover-control/drover-control ] && [ -x $out/drover-agent/drover-agent ]; then
  say "unchanged since they were published"
  exit 0
fi
case "$(uname -m)" in
  x86_64) machine=linux-x64 ;;
  aarch64) machine=linux-arm64 ;;
  *) printf 'publish-faults: this machine is %s: Drover is published for x86_64 and aarch64\n' "$(uname -m)" >&2; exit 1 ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -f $out/.published
publish_one() {
  # Intermediate files of their own: the product's are made without failpoints.
  if ! dotnet publish "src/$1/$1.csproj" -c Release -r "$machine" --self-contained false -p:PublishReadyToRun=true -p:Failpoints=true \
      "-p:ArtifactsPath=$PWD/artifacts/faults-build" -o "$out/$2" -nologo -v quiet >"$log" 2>&1; then
    cat "$log" >&2; printf 'publish-faults: %s could not be published\n' "$2" >&2; exit 1
  fi
  say "published $2"
}
publish_one Drover.ControlPlane drover-control
publish_one Drover.Agent drover-agent
printf '%s\n' "$now" > $out/.published
