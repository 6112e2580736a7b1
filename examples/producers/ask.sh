#!/bin/sh
# Ask for a task with nothing but curl, wait for it, print what came of it.
#   GATEWAY=http://127.0.0.1:8080 TOKEN=… examples/producers/ask.sh "Summarise: …" [ID]
# With an ID of your own a repeat is the same task. Exit code: 0 done, 1 not done, 2 refused.
set -eu

if [ $# -lt 1 ] || [ -z "${GATEWAY:-}" ] || [ -z "${TOKEN:-}" ]; then
  echo 'GATEWAY=http://127.0.0.1:8080 TOKEN=… examples/producers/ask.sh "Summarise: …" [ID]' >&2
  exit 2
fi
prompt=$1
id=${2:-$(date +%s)-$$}

call() { curl -sS -H "Authorization: Bearer $TOKEN" "$@"; }

# JSON without a JSON tool: quotes and backslashes in the prompt are escaped, newlines become spaces.
escaped=$(printf '%s' "$prompt" | tr '\n\t' '  ' | sed 's/\\/\\\\/g; s/"/\\"/g')
receipt=$(call "$GATEWAY/api/v1/events" \
  -H "Content-Type: application/json" \
  -H "ce-specversion: 1.0" -H "ce-id: $id" -H "ce-source: /examples/ask.sh" \
  -H "ce-type: io.ganglion.task.submitted.v1" \
  -d "{\"spec\": {\"prompt\": \"$escaped\"}}")

task=$(printf '%s' "$receipt" | sed -n 's/.*"task_id":"\([^"]*\)".*/\1/p')
if [ -z "$task" ]; then
  printf '%s\n' "$receipt" >&2
  exit 2
fi

tries=0
while [ "$tries" -lt 120 ]; do
  answer=$(call "$GATEWAY/api/v1/tasks/$task")
  status=$(printf '%s' "$answer" | sed -n 's/.*"status":"\([a-z_]*\)".*/\1/p')
  case $status in
    succeeded | partial)
      printf '%s\n' "$answer"
      exit 0
      ;;
    failed | timed_out | blocked | cancelled | skipped)
      printf '%s\n' "$answer" >&2
      exit 1
      ;;
  esac
  tries=$((tries + 1))
  sleep 0.5
done
printf 'task %s is still %s\n' "$task" "$status" >&2
exit 1
