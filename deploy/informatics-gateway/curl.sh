#!/bin/sh
# Register AE titles, source and destination at the Informatics Gateway. May be run again: what exists is kept.
# Written by `monai-deploy deploy-files`: change its options or apps/*/app.py, not this file.
set -eu
cd "$(dirname "$0")"
gateway=${1:-http://localhost:5000}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

register() {
  status=$(curl --silent --show-error --output "$answer" --write-out '%{http_code}' \
    --header 'Content-Type: application/json' --data @"$2" "$gateway/config/$1")
  case "$status" in
    201) echo "registered $2" ;;
    409) echo "exists already: $2" ;;
    *) echo "$2 was refused with HTTP $status:" >&2; cat "$answer" >&2; exit 1 ;;
  esac
}

register source source.json
register destination destination.json
register ae ae-cervical-tumor.json
register ae ae-lung-nodule.json
register ae ae-skull-strip.json
register ae ae-spine.json
curl --silent --show-error --fail "$gateway/config/destination/cecho/ORTHANC" > /dev/null \
  && echo "ORTHANC answers C-ECHO" || echo "ORTHANC does not answer C-ECHO: check host, port and AE title" >&2
