#!/bin/sh
# rsync's remote shell between two machines of the lab: enter.sh PID HOST COMMAND…, where PID is a process of that machine.
pid=$1; shift 2
exec nsenter --target "$pid" --net --mount "$@"
