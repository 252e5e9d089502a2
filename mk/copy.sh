#!/bin/sh
# copy.sh FROM TO - a writable copy of a stored file, whole or not at all, dated now. Its checksum is kept in .drawn/ beside it: what
# stands at TO and is not the last copy was changed by somebody, and is kept in changed/. A copy without its checksum yet has a date
# of 1970: make then copies again, and nobody's change has that date.
from=$1 to=$2
folder=$(dirname "$to") name=$(basename "$to")
sum() { (cd "$folder" && LC_ALL=C sha256sum "$@"); }
mkdir -p "$folder/.drawn" || exit 1
if [ -e "$to" ] && [ "$(stat -c %Y "$to")" != 1 ] && ! cmp -s "$from" "$to" && ! sum -c --status ".drawn/$name" 2>/dev/null; then
    n=1
    while [ -e "$folder/changed/$n-$name" ]; do n=$((n + 1)); done
    mkdir -p "$folder/changed" && mv "$to" "$folder/changed/$n-$name" || exit 1
    echo "$to was changed since it was drawn: kept as $folder/changed/$n-$name, and drawn again" >&2
fi
part=$to.saemill-$$
cat "$from" >"$part" && touch -d @1 "$part" && mv -f "$part" "$to" &&
    sum "$name" >"$part" && mv -f "$part" "$folder/.drawn/$name" && touch "$to" && exit 0
rm -f "$part"
exit 1
