#!/bin/sh
# deps.sh - install those of $PACKAGES that dpkg does not have; say what is done.
set -e
if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is no Debian system: install the equivalents of: $PACKAGES" >&2
    exit 77
fi
missing=
for p in $PACKAGES; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
if [ -z "$missing" ]; then
    echo "deps: all $(echo $PACKAGES | wc -w) packages are installed, nothing to do"
    exit 0
fi
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps: not root and no sudo: as root, run: apt-get install --no-install-recommends$missing" >&2
        exit 77
    }
    root=sudo
fi
echo "deps: installing$missing"
$root apt-get -q update
$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
echo "deps: installed$missing"
