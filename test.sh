#!/usr/bin/env bash
# Sets the machine up and runs every test, on real parts: Docker, btrfs, namespaces, a browser. Needs root.
#   ./test.sh            all
#   ./test.sh quick      only those that need no root and no real parts
#   ./test.sh zfs        every test with ZFS pools, also those in which zfs-fuse often stands still
#   ./test.sh faults [--short] [--only STEP/FAULT] [--broken epoch|verify|retire] [--seed N]    every fault in every step of a move
#   ./test.sh soak [--minutes 30] [--seed N]                                                    random moves and faults on four nodes
# The last line is `N passed, N failed, N skipped`.
set -euo pipefail
cd "$(dirname "$0")"

which=${1:-all}
case "$which" in
  all|quick) ;;
  zfs) [ "$(id -u)" = 0 ] || { echo "test: the real parts need root" >&2; exit 1; }; eng/setup.sh --no-publish ;;
  faults|soak)
    [ "$(id -u)" = 0 ] || { echo "test: the real parts need root; without: ./test.sh quick" >&2; exit 1; }
    eng/setup.sh --no-publish
    eng/publish-faults.sh
    dotnet build tests/Drover.Faults -nologo -v quiet
    exec artifacts/bin/Drover.Faults/debug/Drover.Faults "$@"
    ;;
  *) echo "test: unknown choice '$which'; usage: ./test.sh [quick | zfs | faults … | soak …]" >&2; exit 2 ;;
esac
if [ "$which" = all ] && [ "$(id -u)" != 0 ]; then echo "test: the real parts need root; without: ./test.sh quick" >&2; exit 1; fi

if [ "$which" = all ]; then eng/setup.sh; eng/publish-faults.sh; fi

logs=artifacts/test
rm -rf "$logs" && mkdir -p "$logs"
passed=0; failed=0; skipped=0; broken=()
say() { printf '== %s\n' "$*"; }
add() { passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3)); }

say "building"
if ! dotnet build Drover.slnx -nologo -v quiet > "$logs/build.log" 2>&1; then
  grep -E 'error|warning' "$logs/build.log" | sort -u | head -n 40
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
fi

# One project after the other: those with real parts would disturb each other's measurements of the machine.
projects=(Core ControlPlane Agent Cli Simulation)
if [ "$which" = all ]; then projects+=(Platform EndToEnd Faults); fi
if [ "$which" = zfs ]; then projects=(); fi
for name in ${projects[@]+"${projects[@]}"}; do
  say "Drover.$name.Tests"
  log=$logs/$name.log
  started=$SECONDS
  filter=()
  if [ "$which" = quick ]; then filter=(--filter-not-trait "needs=root"); fi
  # These have a step of their own below.
  if [ "$name" = Platform ]; then filter+=(--filter-not-trait "pool=zfs"); fi
  code=0
  dotnet test --project "tests/Drover.$name.Tests" --no-build "${filter[@]}" --results-directory "$logs/$name" > "$log" 2>&1 < /dev/null || code=$?
  count() { grep -E "^ +$1: [0-9]+" "$log" | tail -n 1 | grep -oE '[0-9]+' || echo 0; }
  ok=$(count succeeded); bad=$(count failed); skip=$(count skipped)
  # A project that ends badly without naming a test has failed all the same.
  if [ "$code" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$ok" = 0 ] && [ "$bad" = 0 ]; then bad=1; echo "no test ran" >> "$log"; fi
  add "$ok" "$bad" "$skip"
  if [ "$bad" != 0 ]; then broken+=("$name"); grep -vE '^\s*$' "$log" | tail -n 80; fi
  say "Drover.$name.Tests: $ok passed, $bad failed, $skip skipped ($((SECONDS - started)) s)"
done

# zfs-fuse, a program of 2013, now and then turns in a circle for ever and answers nobody, most often where trees are read out of mounted snapshots. That says nothing of the driver: its
# daemons are ended then and the class is run again, three times at most. A test that fails has failed at once. Where it stands still too often to tell anything, only `./test.sh zfs` goes.
zfs_class() {
  local class=$1 log=$logs/zfs-$1.log pid waited try
  for try in 1 2 3; do
    dotnet artifacts/bin/Drover.Platform.Tests/debug/Drover.Platform.Tests.dll -class "*.$class" > "$log" 2>&1 < /dev/null & pid=$!
    for ((waited = 0; waited < 420; waited++)); do
      kill -0 $pid 2>/dev/null || break
      sleep 1
    done
    if ! kill -0 $pid 2>/dev/null; then wait $pid || true; return 0; fi
    say "$class: zfs-fuse stands still (try $try of 3)"
    # Who waits for a file of a dead daemon is let go; before that not even a kill reaches it.
    pkill -KILL -P $pid zfs-fuse || true
    kill -KILL $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
  done
  echo "zfs-fuse stood still three times" >> "$log"
}

classes=()
if [ "$which" = all ]; then classes=(ZfsDriverTests ZfsUpkeepTests ZfsSafetyTests); fi
if [ "$which" = zfs ]; then classes=(ZfsDriverTests ZfsUpkeepTests ZfsSafetyTests ZfsFidelityTests ZfsUnlikeTests ZfsTreeTests); fi
if [ ${#classes[@]} -gt 0 ]; then
  for class in "${classes[@]}"; do
    say "Drover.Platform.Tests: $class"
    started=$SECONDS
    zfs_class $class
    sum() { grep -oE "$1: [0-9]+" "$logs/zfs-$class.log" | tail -n 1 | grep -oE '[0-9]+' || echo 0; }
    bad=$(($(sum Failed) + $(sum Errors))); skip=$(($(sum Skipped) + $(sum "Not Run"))); ok=$(($(sum Total) - bad - skip))
    if [ "$ok" -le 0 ]; then ok=0; if [ "$bad" = 0 ]; then bad=1; fi; fi
    add "$ok" "$bad" "$skip"
    if [ "$bad" != 0 ]; then broken+=("$class"); grep -vE '^\s*$' "$logs/zfs-$class.log" | tail -n 80; fi
    say "Drover.Platform.Tests: $class: $ok passed, $bad failed, $skip skipped ($((SECONDS - started)) s)"
  done
fi

if [ "$which" = zfs ]; then :
elif command -v npm > /dev/null; then
  say "examples/todomvc"
  rm -rf artifacts/todomvc && mkdir -p artifacts/todomvc && cp -r examples/todomvc/. artifacts/todomvc/
  if (cd artifacts/todomvc && npm ci --silent --no-audit --no-fund && node --test --test-reporter=tap server/) > "$logs/todomvc.log" 2>&1; then :; fi
  number() { grep -E "^# $1 [0-9]+" "$logs/todomvc.log" | grep -oE '[0-9]+' || echo 0; }
  ok=$(number pass); bad=$(number fail)
  if [ "$ok" = 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  add "$ok" "$bad" "$(number skipped)"
  if [ "$bad" != 0 ]; then broken+=(todomvc); tail -n 40 "$logs/todomvc.log"; fi
  say "examples/todomvc: $ok passed, $bad failed"
else
  say "examples/todomvc: npm is missing"; add 0 1 0; broken+=(todomvc)
fi

if [ ${#broken[@]} -gt 0 ]; then say "failed: ${broken[*]}; logs in $logs"; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$skipped" = 0 ]
