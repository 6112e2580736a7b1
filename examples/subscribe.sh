#!/bin/sh
# Follow a room as server-sent events, with curl alone; ask again with the last cursor when the stream breaks off.
#
# TOKEN=… examples/subscribe.sh http://127.0.0.1:8080 task:ID [CURSOR]
set -eu
newline='
'
notes=$(mktemp -d)
trap 'rm -rf "$notes"' EXIT
printf '%s' "${3:-0}" >"$notes/cursor"
while [ ! -e "$notes/end" ]; do
    curl --silent --no-buffer --get "$1/api/v1/stream" --header "Authorization: Bearer $TOKEN" \
        --data-urlencode "room=$2" --data-urlencode "after=$(cat "$notes/cursor")" |
    { message=''
    while IFS= read -r line; do
        message=$message$line$newline
        [ -z "$line" ] || continue # a message counts when its empty line has come
        printf '%s' "$message"
        case $newline$message in *"${newline}id: "*)
            place=${message#*id: }
            printf '%s' "${place%%"$newline"*}" >"$notes/cursor" ;;
        esac
        case $newline$message in *"${newline}event: end$newline"*) : >"$notes/end" ;; esac
        message=''
    done; }
    [ -e "$notes/end" ] || sleep 0.5
done
