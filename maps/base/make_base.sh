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
  '/usr/lib/x86_64-linux-gnu/gconv/*'                                # Python has its own character sets
  '/usr/lib/python3.11/pydoc_data/*' '/usr/lib/python3.11/test/*'     # help() and tests of Python
  '/usr/lib/python3.11/lib-dynload/'{_crypt,_curses,_dbm,_test,_xx,nis,readline}'*.so' # link to what goes below
)
options=()
for path in "${excluded[@]}"; do options+=(--dpkgopt="path-exclude=$path"); done
options+=(--dpkgopt='path-include=/usr/share/doc/*/copyright') # licences stay

# Debian's usrmerge would bring all of Perl; a root that is merged from the start needs only the word that it is.
# shellcheck disable=SC2016  # "$1" is the root, which mmdebstrap gives to each hook
merge='for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done
mkdir -p "$1/etc/apt/preferences.d"
printf "Package: usrmerge\nPin: release *\nPin-Priority: -1\n" > "$1/etc/apt/preferences.d/merged"'
# What only a machine that boots, logs in, mounts or installs needs. Debian calls some of it essential, so dpkg is forced;
# it takes it out of its database as well. Perl goes last: scripts of the others run on it.
unused=(
  util-linux util-linux-extra bsdutils login init-system-helpers sysvinit-utils # disks, sessions, services
  libmount1 libblkid1 libsmartcols1 libudev1 libsystemd0 libgcrypt20 libgpg-error0 liblz4-1
  libpam-runtime libpam-modules libpam-modules-bin libpam0g libaudit1 libaudit-common libcap-ng0
  ncurses-bin libncursesw6 libreadline8 readline-common libcrypt1 libdb5.3      # for modules of Python left out above
  libnsl2 libtirpc3 libtirpc-common libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libkeyutils1 libcom-err2
)
# shellcheck disable=SC2016
force='chroot "$1" dpkg --force-depends --force-remove-essential --force-remove-protected --purge'
# shellcheck disable=SC2016
tidy='rm -rf "$1"/etc/apt/sources.list* "$1/etc/apt/preferences.d/merged" "$1/etc/resolv.conf" "$1/etc/hostname" \
  "$1"/root/.[!.]* "$1"/var/log/*log "$1"/var/lib/dpkg/status-old "$1"/var/cache/debconf \
  && find "$1" -xdev -name "*.pyc" -delete'

mmdebstrap --variant=essential --format=tar --include=python3-minimal,libpython3.11-stdlib,libstdc++6,usr-is-merged \
  "${options[@]}" --setup-hook="$merge" --customize-hook="$force ${unused[*]}" \
  --customize-hook="$force debconf perl-base" --customize-hook="$tidy" bookworm "$target" ${2:+"$2"}
