#!/bin/sh
# A hub from the shell: publish, read, resume, take a snapshot, delete.  sh curl.sh [URL]
set -eu
hub="${1:-http://127.0.0.1:8000}/api/v1/projects"
json="Content-Type: application/json"

echo "# one event"
curl -sS --fail-with-body -H "$json" "$hub/shell/events" -d '
  {"type": "node_update", "data": {"node_id": "build", "changes": {"title": "Build", "status": "running"}}}'
echo
echo "# several events, all or none; sent twice, stored once"
for attempt in 1 2; do
    curl -sS --fail-with-body -H "$json" -H "Idempotency-Key: first-batch" "$hub/shell/events" -d '
      [{"type": "node_update", "data": {"node_id": "compile", "changes": {"parent_id": "build", "progress": 40}}},
       {"type": "log", "data": {"node_id": "compile", "level": "info", "message": "cc main.c"}}]'
    echo
done
echo "# the tree, and its epoch"
state=$(curl -sS --fail-with-body "$hub/shell/state")
epoch=$(echo "$state" | sed 's/.*"epoch":"\([^"]*\)".*/\1/')
echo "$state"
echo "# the events after the first one of this epoch"
curl -sS --fail-with-body "$hub/shell/events?since=$epoch:1"
echo
echo "# a snapshot: the current state under a name"
curl -sS --fail-with-body -H "$json" "$hub/shell/snapshots" -d '{"name": "before the end"}'
echo
echo "# an error names the place of the fault"
curl -sS -H "$json" "$hub/shell/events" -d '{"type": "node_update", "data": {"node_id": 5, "changes": {}}}'
echo
echo "# delete the project"
curl -sS --fail-with-body -X DELETE "$hub/shell"
echo
