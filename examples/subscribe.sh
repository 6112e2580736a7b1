#!/bin/sh
# Follow a room as server-sent events, with curl alone; ask again with the last cursor when the stream breaks off.
#
# TOKEN=… examples/subscribe.sh http://127.0.0.1:8080 task:ID [CURSOR]
set -eu
notes=$(mktemp -d)
trap 'rm -rf "$notes"' EXIT
printf '%s' "${3:-0}" >"$notes/cursor"
while [ ! -e "$notes/end" ]; do
    curl --silent --no-buffer --get "$1/api/v1/stream" --header "Authorization: Bearer $TOKEN" \
        --data-urlencode "room=$2" --data-urlencode "after=$(cat "$notes/cursor")" |
    while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in
            "id: "*) printf '%s' "${line#id: }" >"$notes/cursor" ;;
            "event: end") : >"$notes/end" ;;
        esac
    done
    [ -e "$notes/end" ] || sleep 0.5
done
