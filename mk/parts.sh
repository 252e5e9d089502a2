#!/bin/sh
# parts.sh - what a program's code is made of, for lib/store/progid.h.
#
#   parts.sh sums ARCHIVE            a line for each of its objects: NAME SUM, and the back end that alone calls it
#   parts.sh put PROGRAM OBJECT SUMS MAP ARCHIVE   into the program's section .saemill.parts: the lines of its own object, and of those that the
#                                    linker took from the archive, as its map says
#
# The sum of an object is that of its code, data, symbols and relocations: not of debug information, and not of the compiler's name.
set -e
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
# These parse options, say what went wrong and how far it is. What they do not write into a result: that is opt_record.o.
silent='err.o opt.o progress.o stage.o'
case $1 in
sums)
    objcopy -g -R .comment "$2" "$T/a"
    (cd "$T" && ar x a && sha256sum *.o >sums)
    while read -r sum name; do
        case " $silent " in *" $name "*) continue ;; esac
        case $name in *_cuda.o | cuda_*) echo "$name $sum cuda" ;; *) echo "$name $sum" ;; esac
    done <"$T/sums" >"$T/lines"
    LC_ALL=C sort "$T/lines"
    ;;
put)
    objcopy -g -R .comment "$3" "$T/own"
    own=$(sha256sum <"$T/own")
    echo "program ${own%% *}" >"$T/parts"
    sed -n 's/.*\.a(\([^ ()]*\.o\)).*/\1/p' "$5" >"$T/taken"
    LC_ALL=C sort -u -o "$T/taken" "$T/taken"
    LC_ALL=C join "$T/taken" "$4" >"$T/ours"
    if [ ! -s "$T/ours" ] && [ -s "$4" ]; then
        echo "parts.sh: $5: no object of the archive in the linker's map: what $2 is made of cannot be told" >&2
        exit 1
    fi
    cat "$T/ours" >>"$T/parts"
    # Other archives that gave objects count whole: the compiler's, CUDA's, an OpenBLAS that is linked in.
    sed -n 's/^\([^ ()]*\.a\)(.*/\1/p' "$5" | LC_ALL=C sort -u >"$T/archives"
    while read -r path; do
        case $path in *"$(basename "$6")") continue ;; esac
        sum=$(sha256sum <"$path")
        case $path in *libcud*) gpu=' cuda' ;; *) gpu='' ;; esac
        echo "$(basename "$path") ${sum%% *}$gpu" >>"$T/parts"
    done <"$T/archives"
    objcopy --add-section .saemill.parts="$T/parts" --set-section-flags .saemill.parts=noload,readonly "$2"
    rm -f "$5"
    ;;
esac
