#!/bin/sh
# sweep.sh FOLDER - remove what copy.sh and front.sh had under way when they were killed: <name>.saemill-<process>, when no such process
# has that name among its words (its number may be another's by now).
find "$1" -name '*.saemill-*[0-9]' 2>/dev/null | while read -r old; do
    tr '\0' '\n' <"/proc/${old##*-}/cmdline" 2>/dev/null | grep -qxF -- "${old%.saemill-*}" || rm -f "$old"
done
