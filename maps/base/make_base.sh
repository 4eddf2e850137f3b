#!/usr/bin/env bash
# Make a base for the images from Debian packages: Python 3.11 and what the applications' libraries link to. Needs root,
# mmdebstrap and a Debian mirror (what the host's apt uses, or a local one as second argument). Same packages, same file.
#   maps/base/make_base.sh base.tar [MIRROR]
#   ./build_maps.sh --base base.tar ...
set -euo pipefail
target=${1:?usage: make_base.sh FILE.tar [MIRROR]}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}

excluded=(
  '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*' '/usr/share/bash-completion/*'
  '/usr/share/doc/*'
)
options=()
for path in "${excluded[@]}"; do options+=(--dpkgopt="path-exclude=$path"); done
options+=(--dpkgopt='path-include=/usr/share/doc/*/copyright') # licences stay

# Debian's usrmerge would bring all of Perl; a root that is merged from the start needs only the word that it is.
# shellcheck disable=SC2016  # "$1" is the root, which mmdebstrap gives to each hook
merge='for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done
mkdir -p "$1/etc/apt/preferences.d"
printf "Package: usrmerge\nPin: release *\nPin-Priority: -1\n" > "$1/etc/apt/preferences.d/merged"'
# shellcheck disable=SC2016
tidy='rm -rf "$1"/etc/apt/sources.list* "$1/etc/apt/preferences.d/merged" "$1/etc/resolv.conf" "$1/etc/hostname" \
  "$1"/root/.[!.]* "$1"/var/log/*log && find "$1" -xdev -name "*.pyc" -delete'

mmdebstrap --variant=essential --format=tar --include=python3-minimal,libpython3.11-stdlib,libstdc++6,usr-is-merged \
  "${options[@]}" --setup-hook="$merge" --customize-hook="$tidy" bookworm "$target" ${2:+"$2"}
