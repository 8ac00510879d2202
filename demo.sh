#!/usr/bin/env bash
# The 2015 demo, for real: three machines, Docker, btrfs, a database under write load, and the database moving with its data.
#   ./demo.sh [--keep] [--database postgres|mongo]
# --keep leaves the lab up at the end, to look around in.
set -euo pipefail
cd "$(dirname "$0")"

keep=no
database=postgres
while [ $# -gt 0 ]; do
  case "$1" in
    --keep) keep=yes ;;
    --database) database=${2:-}; shift ;;
    --database=*) database=${1#*=} ;;
    -h|--help) sed -n '2,4p' "$0" | cut -c3-; exit 0 ;;
    *) echo "demo: unknown option '$1'; usage: ./demo.sh [--keep] [--database postgres|mongo]" >&2; exit 2 ;;
  esac
  shift
done
case "$database" in
  postgres) definitions=examples/todomvc/postgres; app=postgres; image=postgres:15; uri=postgres://postgres@10.255.0.10:5432/todos; data=/var/lib/postgresql/data ;;
  mongo) definitions=examples/todomvc; app=mongo; image=mongo; uri=mongodb://10.255.0.10:27017/todos; data=/data/db ;;
  *) echo "demo: --database '$database' is not known: postgres or mongo" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "demo: the lab makes network namespaces and mounts: run this as root" >&2; exit 1; }

master=http://172.16.255.250:8080
node1=172.16.255.251
writer=http://$node1:8010
todos=("buy milk" "move the database" "keep the data" "measure the stop" "sleep well")
out=artifacts/demo
mkdir -p "$out"
rm -f "$out"/*.png "$out"/*.json

bold=; dim=; plain=
if [ -t 1 ]; then bold=$'\e[1m'; dim=$'\e[2m'; plain=$'\e[0m'; fi
headline() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
# Shows a command as a reader would type it, then runs it.
run() { printf '%s$ %s%s\n' "$dim" "$1" "$plain"; eval "$1"; }
fail() { printf '\ndemo: failed: %s\n' "$*" >&2; exit 1; }

lab=no
finish() {
  local code=$?
  if [ "$lab" = yes ] && [ "$code" != 0 ]; then ./drover status || true; ./drover moves || true; ./drover events | tail -n 25 || true; fi
  if [ "$lab" = yes ] && [ "$keep" = no ]; then headline "Taking the lab down"; ./drover lab down; fi
  if [ "$lab" = yes ] && [ "$keep" = yes ]; then echo "The lab is still up: ./drover status, ./drover lab shell node1, and at last ./drover lab down"; fi
  return $code
}
trap finish EXIT

# Repeats a question until it is answered with yes; says what it waited for when it never is.
wait_for() { # SECONDS WHAT COMMAND…
  local seconds=$1 what=$2 until=$((SECONDS + $1)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "waited $seconds s for $what"
    sleep 0.2
  done
}
deployed() { [ "$(curl -fsS "$master/v2/deployments" | jq length)" = 0 ]; }
serving() { curl -fsS "$master/v2/apps/$1" | jq -e '.app | .tasksRunning == .instances and (.deployments | length == 0) and ((.healthChecks // []) == [] or .tasksHealthy == .instances)'; }
open_moves() { curl -fsS "$master/api/v1/moves" | jq -e '[.moves[] | select(.endedAt == null)] | length == 0'; }
task_container() { ./drover lab shell "$1" -- docker ps -q --filter "label=drover.app=/$2" | tail -n 1 | tr -d '\r'; }
browser() { CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)} node "$out/browser/todos.mjs" "$@"; }

headline "Set-up"
eng/setup.sh
if [ -e /var/lib/drover-lab/lab/lab.json ]; then fail "a lab is up already, and what is in it is yours: ./drover lab down first"; fi
mkdir -p "$out/browser" && cp examples/todomvc/browser/*.json examples/todomvc/browser/*.mjs "$out/browser/"
[ -d "$out/browser/node_modules/playwright-core" ] || (cd "$out/browser" && npm ci --silent --no-audit --no-fund)

headline "Step 1: start the machines"
lab=yes
run "./drover lab up"

headline "Step 2: look at the empty cluster"
run "curl -fsS $master/v2/info | jq -c '{name, version}'"
run "./drover nodes"
if [ "$database" = mongo ] && ! ./drover lab shell node1 -- docker image inspect mongo >/dev/null 2>&1; then
  fail "the machines have no image 'mongo' and the lab reaches no registry. With an image saved elsewhere: ./demo.sh --keep, then ./drover lab shell NODE -- docker load < mongo.tar on both nodes; or take --database postgres"
fi

headline "Step 3: deploy the database, on the machine with the spinning disk"
run "cat $definitions/db.json | curl -fsS -i -H 'Content-type: application/json' -d @- $master/v2/apps"; echo

headline "Step 4: deploy the app"
run "cat $definitions/app.json | curl -fsS -i -H 'Content-type: application/json' -d @- $master/v2/apps"; echo

headline "Step 5: check the deployment"
wait_for 120 "both apps to serve" deployed
wait_for 60 "the database to serve" serving "$app"
run "curl -fsS $master/v2/apps | jq -c '.apps[] | {id, tasksRunning, constraints}'"
run "./drover lab shell node1 -- docker ps --format 'table {{.Image}}\t{{.Status}}\t{{.Names}}'"
run "./drover lab shell node1 -- findmnt -n -o TARGET,SOURCE,FSTYPE --list -t btrfs"

headline "Step 6: add some data, in a browser"
wait_for 30 "the app to answer" curl -fsS "http://$node1:8000/v1"
before=$(browser add "http://$node1:8000/" "$out/todos-before.png" "${todos[@]}")
echo "the page shows $before"
echo "...and ballast, so that there is something to move: 1 GiB that does not compress, in the database's volume"
run "./drover lab shell node1 -- docker exec $(task_container node1 "$app") dd if=/dev/urandom of=$data/ballast bs=1M count=1024 conv=fsync status=none"
run "jq '.env.DATABASE_URL = \"$uri\"' examples/todomvc/writer.json | curl -fsS -H 'Content-type: application/json' -d @- $master/v2/apps | jq -c '{id}'"
wait_for 60 "the writer to be served" deployed
wait_for 60 "the writer to have 300 rows acknowledged" eval "curl -fsS $writer/status | jq -e '.acknowledged > 300'"
run "curl -fsS $writer/status"
run "./drover volumes"

moves='[]'
# Waits until the move is over and the writer has rows acknowledged again, then notes both.
note_move() {
  wait_for 300 "the move to end" open_moves
  wait_for 120 "the database to serve after the move" serving "$app"
  local id gap at acknowledged
  id=$(curl -fsS "$master/api/v1/moves" | jq -r '.moves | max_by(.requestedAt) | .id')
  acknowledged=$(curl -fsS "$writer/status" | jq .acknowledged)
  wait_for 60 "the writer to go on after the move" eval "curl -fsS $writer/status | jq -e '.acknowledged > $acknowledged + 20'"
  gap=$(curl -fsS -X POST "$writer/mark" | jq .longestGapMs)
  at=$(curl -fsS "$master/api/v1/moves/$id")
  [ "$(jq -r .state <<<"$at")" = Done ] || fail "move $id ended as $(jq -r '.state + ": " + (.failure // "no reason given")' <<<"$at")"
  moves=$(jq -c --argjson move "$at" --argjson gap "$gap" '
    def moment: (sub("\\.[0-9]+"; "") | sub("\\+00:00$"; "Z") | fromdate) + ((scan("\\.[0-9]+") // ".0") | "0" + . | tonumber);
    . + [{
      trigger: ($move.trigger | ascii_downcase), from: $move.from, to: $move.to, volumeBytes: $move.volumeBytes,
      rounds: [$move.rounds[] | {bytes, seconds: (.ms / 1000)}], finalDeltaBytes: ([$move.rounds[] | select(.final) | .bytes] | add // 0), bytesSent: $move.bytesSent,
      seconds: (($move.history | last.at | moment) - ($move.history | first.at | moment)),
      appStopMs: ($move.waterfall.appStopMs // 0), appStartMs: $move.waterfall.appStartMs, cutoverMs: $move.waterfall.cutoverMs,
      addedCutoverMs: $move.waterfall.addedCutoverMs, clientGapMs: $gap}]' <<<"$moves")
  echo "the writer waited $(jq -n "$gap | round") ms for its longest row; nothing was lost on its side"
}
mark() { curl -fsS -X POST "$writer/mark" >/dev/null; }

headline "Steps 7 to 9, the short way: move it (spinning → ssd)"
run "./drover move $app --constraint disk=ssd --dry-run"
mark
run "./drover move $app --constraint disk=ssd"
note_move
run "./drover lab shell node2 -- findmnt -n -o TARGET,SOURCE,FSTYPE --list -t btrfs"

headline "And back, by a changed constraint (ssd → spinning)"
mark
run "cat $definitions/db.json | curl -fsS -X PUT -H 'Content-type: application/json' -d @- $master/v2/apps/$app"; echo
wait_for 120 "the deployment" deployed
note_move

headline "Steps 7 and 8 as the article has them: stop the container, deploy it on the ssd"
mark
run "curl -fsS -X 'DELETE' $master/v2/apps/$app"; echo
wait_for 60 "the database to be gone" deployed
run "cat $definitions/db.json | sed 's/spinning/ssd/' | curl -fsS -i -H 'Content-type: application/json' -d @- $master/v2/apps"; echo
wait_for 120 "the deployment" deployed

headline "Step 9: check the deployment"
note_move
run "curl -fsS $master/v2/apps/$app/tasks | jq -c '.tasks[] | {id, host, state}'"
run "./drover moves"
run "./drover move show last"

headline "Step 10: check the data"
after=$(browser read "http://$node1:8000/" "$out/todos-after.png")
echo "the page shows $after"
run "curl -fsS -X POST $writer/stop"
verified=$(curl -fsS "$writer/verify")
echo "read back: $verified"

memory=$(jq -n --argjson status "$(curl -fsS "$master/api/v1/status")" --argjson nodes "$(curl -fsS "$master/api/v1/nodes")" \
  '{controlPlaneBytes: $status.memoryBytes, agentBytes: ([$nodes.nodes[].agentMemoryBytes] | max)}')
jq -n --argjson writer "$verified" --argjson before "$before" --argjson after "$after" --argjson moves "$moves" --argjson memory "$memory" \
  '{writer: ($writer | {acknowledged, lost, duplicated}), todos: {before: $before, after: $after}, moves: $moves, memory: $memory}' > "$out/result.json"

headline "Summary"
jq -r '(["trigger", "way", "volume MiB", "rounds", "sent MiB", "app stop", "app start", "cutover", "added", "client gap ms"] | @tsv),
  (.moves[] | [.trigger, .from + "→" + .to, (.volumeBytes / 1048576 | round), (.rounds | length), (.bytesSent / 1048576 | round),
    (.appStopMs // 0 | round), (.appStartMs // 0 | round), (.cutoverMs | round), (.addedCutoverMs | round), (.clientGapMs | round)] | @tsv)' "$out/result.json" | column -t -s $'\t'
jq -r '"writer: \(.writer.acknowledged) acknowledged, \(.writer.lost) lost, \(.writer.duplicated) duplicated; control plane \(.memory.controlPlaneBytes / 1048576 | round) MiB, agent \(.memory.agentBytes / 1048576 | round) MiB"' "$out/result.json"
echo "details in $out/result.json, screenshots in $out/*.png"

check() { jq -e "$1" "$out/result.json" >/dev/null || fail "$2"; }
check '.writer.lost == 0' "the writer lost acknowledged rows"
check '.writer.duplicated == 0' "the writer has rows twice"
check '.writer.acknowledged > 1000' "the writer had too few rows acknowledged to prove anything"
check '.todos.before == .todos.after and (.todos.after | length == 5)' "the todos are not the same after the moves"
check '[.moves[].trigger] | sort == ["constraint", "move", "redeploy"]' "not every trigger led to a move"
check '.moves[0].volumeBytes >= 1073741824' "the volume was smaller than 1 GiB"
check '[.moves[1:][] | .bytesSent < .volumeBytes / 10] | all' "a move after the first sent more than a tenth of the volume"
check '[.moves[].addedCutoverMs] | sort | .[length / 2 | floor] < 500' "the median added cutover is not under 500 ms"
printf '\ndemo: ok\n'
