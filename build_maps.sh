#!/usr/bin/env bash
# Build the container images of the applications: ./build_maps.sh --help, docs/images.md
# Needs Python 3.11 or newer and one of docker, podman, buildah; nothing else is installed or asked for.
cd "$(dirname "$0")" && exec "${PYTHON:-python3}" -m maps.build "$@"
