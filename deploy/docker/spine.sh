#!/bin/sh
# Vertebral bodies of a sagittal T2w lumbar MR series: segments, volumes, heights, disc spaces.
# Research use only. Not a medical device: do not use for diagnosis or treatment.
#   deploy/docker/spine.sh STUDY OUTPUT [OPTION of the application...]
# Exit codes: docs/outcomes.md; ended after 600 s with 143. MAP_ENGINE: the engine, docker by default.
# Written by `monai-deploy deploy-files`: change its options or apps/*/app.py, not this file.
set -eu
if [ $# -lt 2 ] || [ ! -d "$1" ]; then
  echo "usage: $0 STUDY OUTPUT [OPTION...]; STUDY is an existing folder" >&2
  exit 2
fi
mkdir -p "$2"
study=$(cd "$1" && pwd -P) output=$(cd "$2" && pwd -P)
shift 2
exec timeout --preserve-status 600 "${MAP_ENGINE:-docker}" run --rm \
  --network=none \
  --read-only \
  --tmpfs=/tmp:rw,nosuid,nodev,noexec,size=1024m \
  --cap-drop=ALL \
  --security-opt=no-new-privileges \
  --pids-limit=512 \
  --cpus=2 \
  --memory=2048m \
  --memory-swap=2048m \
  --shm-size=64m \
  --user "${MAP_USER:-$(id -u):$(id -g)}" \
  --env "MAP_EMPTY_ON_FAILURE=${MAP_EMPTY_ON_FAILURE:-0}" \
  --mount "type=bind,\"source=$study\",target=/var/holoscan/input,readonly" \
  --mount "type=bind,\"source=$output\",target=/var/holoscan/output" \
  map-suite/spine:0.1.0 "$@"
