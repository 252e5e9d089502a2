#!/bin/sh
# bad_input.sh - inputs cut short and inputs with changed bytes, for every stage: it ends by itself, and says what is wrong.
#
# The real inputs of the tiny pipeline, file by file: cut at many lengths, a bit flipped, a byte replaced, at places drawn by chance
# and at the places where formats keep their sizes. What must hold: exit 0 (the change was harmless, as one bit of a text or a weight
# can be), 1 or 2, within 20 seconds, within 4 GB of memory, by no signal; exit 1 or 2 says why in a line of its own, and leaves no output.
. tests/hostile/lib.sh
out=$T/out/new
tried=0 refused=0 crashes=0

place() { # place SIZE - r: half of the time among the first 512 bytes, where headers are
    random 2
    bytes=$1
    [ "$r" = 0 ] || [ "$bytes" -lt 512 ] || bytes=512
    random "$bytes"
}
damage() { # damage FILE K - the K-th kind; said in $done
    size=$(wc -c <"$1")
    case $2 in
    0) done=emptied && : >"$1" ;;
    1) done='cut to 7 bytes' && truncate -s 7 "$1" ;;
    2) done='its last byte cut' && truncate -s $((size - 1)) "$1" ;;
    *)
        place "$size"
        at=$r
        case $(($2 % 3)) in
        0) done="a bit flipped at $at" && random 8 && flip "$1" $at $r ;;
        1) random 256 && done="byte $at set to $r" && change "$1" $at $r ;;
        2) done="cut to $at bytes" && truncate -s $at "$1" ;;
        esac
        ;;
    esac
}
judge() { # judge STATUS
    tried=$((tried + 1))
    case $1 in
    0) return 0 ;;
    1 | 2)
        refused=$((refused + 1))
        grep -q "^$prog: ." "$T/stderr" && [ -z "$(ls -A "$T/out")" ] && return 0
        why="exit $1 without a word, or with an output"
        ;;
    124 | 137) why='it did not end within 20 s' ;;
    *) why="exit status $1" ;;
    esac
    crashes=$((crashes + 1))
    echo "# $prog: $input: $done (SEED=$seed): $why"
    tail -3 "$T/stderr" | sed 's/^/#   /'
    return 1
}
# What a stage reads: its words that are files in the results, the figures or inputs, and the files in its folders. Reference data that
# no stage opens is left out.
inputs_of() {
    for w in "$@"; do
        case $w in "$out" | build/*) continue ;; esac
        if [ -d "$w" ]; then find -L "$w" -type f ! -name 'reference.*'; elif [ -f "$w" ]; then echo "$w"; fi
    done | sort -u
}
once() { # once FILE K COMMAND… - COMMAND with FILE, or its folder, replaced by a damaged copy
    input=$1 kind=$2 seed=$state
    shift 2
    rm -rf "$T/out" "$T/bad" && mkdir "$T/out" "$T/bad"
    turn=0 words=$#
    while [ $turn -lt $words ]; do
        w=$1
        shift
        turn=$((turn + 1))
        case $input in
        "$w") mkdir -p "$T/bad/f" && cp -L "$w" "$T/bad/f/" && w=$T/bad/f/${w##*/} && bad=$w ;;
        "$w"/*) cp -rL "$w" "$T/bad/d" && bad=$T/bad/d/${input#"$w"/} && w=$T/bad/d ;;
        esac
        set -- "$@" "$w"
    done
    chmod -R u+w "$T/bad"
    damage "$bad" "$kind"
    (ulimit -v 4194304 && exec timeout -k 1 20 "$@") >"$T/stdout" 2>"$T/stderr"
    judge $?
}
stage() { # stage COMMAND… - every input, damaged so many times
    prog=$(basename "$1") before=$crashes files=0
    inputs_of "$@" >"$T/inputs"
    while read -r f; do
        files=$((files + 1))
        if [ "$LONG" ]; then
            k=0
            while [ $k -lt "$each" ]; do once "$f" $k "$@" </dev/null; k=$((k + 1)); done
        else
            random 9
            once "$f" "$r" "$@" </dev/null
        fi
        [ $files -lt "$most" ] || break
    done <"$T/inputs"
    [ $files -gt 0 ] && [ $crashes = $before ]
}

# The judge first: a program that dies by a signal must be found.
found() {
    prog=sh input=none done=nothing seed=0
    mkdir -p "$T/out"
    sh -c 'kill -SEGV $$' 2>"$T/stderr"
    judge $? >"$T/verdict"
    grep -q 'exit status 139' "$T/verdict" && tried=0 crashes=0
}
ok 'a crash is found' found
both() { build && one_run >"$T/log" 2>&1 || { cat "$T/log"; return 1; }; }
ok 'the tiny pipeline, undisturbed' both
if [ "$LONG" ]; then each=5 most=20; commands >"$T/list"; else each=1 most=4; programs >"$T/list"; fi
while read -r command; do
    eval "set -- $command"
    ok "$(basename "$1") $(echo "$command" | sed -n 's/.* --kind \([a-z]*\).*/\1 /p')ends by itself on damaged inputs" stage "$@"
done <"$T/list"

echo "# bad_input: $tried damaged inputs, $refused refused, $crashes crashes or hangs"
echo "1..$n"
