#!/bin/sh
# Follow a room as server-sent events, with curl alone; ask again with the last cursor when the stream breaks off.
#
# TOKEN=… examples/subscribe.sh http://127.0.0.1:8080 task:ID [CURSOR]
set -eu
if [ $# -lt 2 ] || [ -z "${TOKEN:-}" ]; then
    echo 'TOKEN=… examples/subscribe.sh http://127.0.0.1:8080 task:ID [CURSOR]' >&2
    exit 2
fi
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
    done
    case $line in *'"retryable":false'*) # no stream, but a problem in one line: asking again would not help
        printf '%s\n' "$line" >&2
        : >"$notes/refused" ;;
    esac; }
    [ ! -e "$notes/refused" ] || exit 1
    [ -e "$notes/end" ] || sleep 0.5
done
