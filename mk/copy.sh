#!/bin/sh
# copy.sh FROM TO - a writable copy of a stored file, whole or not at all, dated now.
mkdir -p "$(dirname "$2")" && cat "$1" >"$2.$$" && mv -f "$2.$$" "$2" && exit 0
rm -f "$2.$$"
exit 1
