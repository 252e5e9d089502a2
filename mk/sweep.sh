#!/bin/sh
# sweep.sh FOLDER - remove what copy.sh and front.sh had under way when they were killed: <name>.saemill-<process>, the process gone.
find "$1" -name '*.saemill-*[0-9]' 2>/dev/null | while read -r old; do
    kill -0 "${old##*-}" 2>/dev/null || rm -f "$old"
done
