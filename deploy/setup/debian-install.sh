#!/bin/sh
# Install Debian packages, where we may: as root, with apt-get there. Exit 3 says that we may not, and why.
# Usage: debian-install.sh PACKAGE...
set -eu

if ! command -v apt-get >/dev/null 2>&1; then
  echo "no apt-get on this machine; please install by hand: $*" >&2
  exit 3
fi
if [ "$(id -u)" != 0 ]; then
  echo "not root; please run: sudo apt-get install $*" >&2
  exit 3
fi

# RUNLEVEL=1: packages that bring a server do not start it.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
install() {
  apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 "$@"
}

echo "installing Debian packages: $*" >&2
install "$@" >/dev/null 2>&1 && exit 0
# The package lists of a new machine are often missing or old.
apt-get update -q -o DPkg::Lock::Timeout=600 >&2
install "$@" >&2
