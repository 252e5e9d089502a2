#!/bin/sh
# full.sh [SHIM] - the disk is full, or fails: at every write of every stage, of memo, of a whole `make figures`.
#
# The k-th call that writes fails (fail_write.c), for every k; small, for a few k of each. What must hold:
#   a stage      exits 1 with one line that names a path and the reason, then a hint when the disk is full; its output is whole
#                (the old one; the new one when only its folder could not be synced) or absent, and nothing lies beside it. A stage
#                that exits 0 has written the right bytes.
#   memo, make   the same; what was made under the failure is recorded by no receipt unless it is whole, and the next run, without the
#                failure, makes what an undisturbed run makes.
[ "$MOUNTS" ] || ! unshare -m true 2>/dev/null || MOUNTS=yes exec unshare -m sh "$0" "$@" # what is mounted here ends with us
shim=$(realpath "${1:-build/test/fail_write.so}") || exit 1
. tests/hostile/lib.sh
out=$T/out/new
tried=0 differences=0

under() { # under K ERRNO HOW COMMAND… - with the K-th writing call failing; HOW: once, ever (all after it too), short (half a write)
    k=$1 errno=$2 ever= short=
    case $3 in ever) ever=1 ;; short) short=1 ;; esac
    shift 3
    rm -f "$T/hits"
    FAIL_AT=$k FAIL_ERRNO=$errno FAIL_EVER=$ever FAIL_SHORT=$short FAIL_PROGRAM=$victim FAIL_LOG=$T/hits LD_PRELOAD=$shim \
        "$@" >"$T/stdout" 2>"$T/stderr"
}
count() { sed -n 's/^count //p' "$T/hits" | sort -n | tail -1; } # calls that the last `under 0` saw
hit() { grep -q '^hit' "$T/hits" 2>/dev/null; }
wrong() {
    differences=$((differences + 1))
    echo "# $victim, call $k, errno $errno, $how: $*"
    grep '^hit' "$T/hits" | head -2 | sed 's/^/#   /'
    tail -3 "$T/stderr" | sed 's/^/#   /'
    return 1
}
one_line() { # the error is one line with a path and the reason, and no more than a hint follows
    case $errno in 28) reason='No space left on device' ;; 122) reason='Disk quota exceeded' ;; *) reason='Input/output error' ;; esac
    [ "$(grep -c "^$victim: .*/.*: $reason\$" "$T/stderr")" = 1 ] || return 1
    case $(tail -1 "$T/stderr") in "hint: "*) return 0 ;; "$victim: "*": $reason") [ "$errno" = 5 ] ;; *) return 1 ;; esac
}
judge() { # judge STATUS - of a stage, by what it left at $out
    tried=$((tried + 1))
    ls -A "$T/out" >"$T/left"
    if [ "$1" = 0 ]; then
        diff -rq "$T/good" "$out" >"$T/diff" || { wrong "exit 0 with other bytes"; return 1; }
    elif [ "$1" != 1 ]; then
        wrong "exit status $1, want 1"
        return 1
    else
        hit || { wrong "exit 1 and nothing had failed"; return 1; }
        one_line || { wrong "want one line: $victim: a path: the reason, then a hint"; return 1; }
        [ ! -e "$out" ] || diff -rq "$T/good" "$out" >"$T/diff" || { wrong "an output that is not whole"; return 1; }
    fi
    [ -z "$(grep -vx new "$T/left")" ] || { wrong "left beside the output: $(grep -vx new "$T/left" | tr '\n' ' ')"; return 1; }
}
which() { # which N - the k to try: all (at most 40), or when small the middle one
    [ "$LONG" ] && awk -v n="$1" 'BEGIN {s = n > 40 ? n / 40 : 1; for (k = 1; k <= n; k += s) print int(k)}' && return
    awk -v n="$1" 'BEGIN {print int((n + 2) / 2)}'
}
fresh() { # an empty folder, or one with the output of an earlier run
    rm -rf "$T/out" "$T/w" && mkdir "$T/out" "$T/w"
    [ -z "$old" ] || cp -r "$T/good" "$out"
}

stage() { # stage COMMAND… - every failure of one stage
    victim=$(basename "$1") how=count old=
    [ "$victim" != train ] || set -- "$@" --checkpoint "$T/w/checkpoint" --checkpoint-every 0
    fresh
    under 0 28 once "$@" || { cat "$T/stderr"; return 1; }
    calls=$(count) before=$differences
    [ "${calls:-0}" -gt 0 ] || { echo "no call of $victim was seen: is $shim what it should be?"; return 1; }
    rm -rf "$T/good" && mv "$out" "$T/good"
    turn=0
    for k in $(which "$calls"); do
        for how in ${LONG:+once short} ever; do
            turn=$((turn + 1))
            case $((turn % 3)) in 0) errno=122 ;; 1) errno=28 ;; 2) errno=5 ;; esac
            case $((turn / 3 % 2)) in 0) old= ;; 1) old=yes ;; esac
            fresh
            under "$k" $errno $how "$@"
            judge $?
        done
    done
    echo "# $victim: $calls writing calls"
    [ $differences = $before ]
}

# The judge first: a program that does not look at its writes must be found.
careless() {
    victim=sh how=once old= errno=28
    mkdir -p "$T/out" && echo text >"$T/good"
    under 2 28 once sh -c 'echo text >"$1"; exit 0' sh "$out" >/dev/null
    judge $? >"$T/verdict"
    grep -q 'other bytes' "$T/verdict" && tried=0 differences=0
}
ok 'a program that ignores a failing write is found' careless
both() { build && one_run >"$T/log" 2>&1 || { cat "$T/log"; return 1; }; }
ok 'the tiny pipeline, undisturbed' both
programs >"$T/programs"
stages=0
while read -r command; do
    eval "set -- $command"
    stages=$((stages + 1))
    ok "$(basename "$1"): every failing write is said, and no half output" stage "$@"
done <"$T/programs"
ok 'every stage was tried' test "$stages" = "$(ls stages/*.c | grep -Evc '/(memo|gc|audit)\.c')"

# memo: a small stage, run in a store of its own that is empty or holds the result of another word.
memo() { # memo WORDS… - tokenize the sentences into $T/m
    build/bin/memo --store "$T/m/store" --label small --target "$T/m/tiny/small.safetensors" \
        -- build/bin/tokenize --model @in=inputs/models/gelu-1l-zh-en --corpus @in=paper/latentwalk/sentences.jsonl "$@" --out @O
}
whole() { # whole [SOUND] - the audit finds nothing (SOUND: no damage; a target may be out of date) and nothing else lies in the store
    build/bin/audit --store "$T/m/store" --results "$T/m" --deep >"$T/audit" || { [ "$1" ] && ! grep -E '^(DAMAGED|MISSING)|^audit: .*:' "$T/audit"; } || return 1
    for f in "$T"/m/store/ac/* "$T"/m/store/cas/*; do
        case ${f##*/} in *[!0-9a-f]*) [ "${f##*/}" = '*' ] || { echo "left: $f" >"$T/audit"; return 1; } ;; esac
    done
    for f in "$T"/m/store/ac/*; do
        [ ! -e "$f" ] || [ -e "$T/m/store/cas/$(sed -n 's/^out //p' "$f")" ] || { echo "$f: no artifact" >"$T/audit"; return 1; }
    done
}
memo_run() { # the two words, one after the other; the second under failing writes
    victim=memo
    rm -rf "$T/m"
    how=count
    under 0 28 once memo --max-tokens-per-group 0 || { cat "$T/stderr"; return 1; }
    calls=$(count) before=$differences turn=0
    rm -rf "$T/good" && cp -L "$T/m/tiny/small.safetensors" "$T/good"
    for k in $(which "$calls"); do
        for how in ${LONG:+once} ever; do
            turn=$((turn + 1)) tried=$((tried + 1))
            case $((turn % 2)) in 0) errno=28 ;; 1) errno=5 ;; esac
            rm -rf "$T/m"
            [ $((turn / 2 % 2)) = 0 ] || memo --max-tokens-per-group 99 2>"$T/stderr" || { wrong 'without the failure'; continue; }
            under "$k" $errno $how memo --max-tokens-per-group 0
            rc=$?
            [ $rc = 1 ] || { [ $rc = 0 ] && cmp -s "$T/good" "$T/m/tiny/small.safetensors"; } || { wrong "exit status $rc, want 1"; continue; }
            [ $rc = 0 ] || one_line || { wrong 'want one line: memo: a path: the reason, then a hint'; continue; }
            whole sound || { wrong "after the failure: $(head -1 "$T/audit")"; continue; }
            memo --max-tokens-per-group 0 2>"$T/stderr" || { wrong 'the next run fails'; continue; }
            cmp -s "$T/good" "$T/m/tiny/small.safetensors" || { wrong 'the next run made other bytes'; continue; }
            whole || wrong "after the next run: $(head -1 "$T/audit")"
        done
    done
    echo "# memo: $calls writing calls"
    [ $differences = $before ]
}
ok 'memo: every failing write is said, nothing half is recorded, the next run heals' memo_run

# make: what runs in a build fails at its k-th write, in every process of that name.
make_run() { # make_run PROGRAM K…
    victim=$1 errno=28 how=ever before=$differences
    shift
    for k in "$@"; do
        tried=$((tried + 1))
        rm -rf "$T/results" "$T/figures"
        under "$k" 28 ever mk figures && ! hit && continue # no process came that far
        under_rc=$?
        [ $under_rc != 0 ] || { wrong 'make says all is well'; continue; }
        build || { wrong 'the next make fails'; tail -3 "$T/log"; continue; }
        equal undisturbed >"$T/diff" && clean || { wrong "after the next make: $(head -1 "$T/diff") $(head -1 "$T/audit")"; }
    done
    [ $differences = $before ]
}
rm -rf "$T/results/tiny/aiaa5047" && keep undisturbed
if [ "$LONG" ]; then
    ok 'make: memo cannot write' make_run memo 1 2 3 5 8 13 21 34
    ok 'make: a stage cannot write' make_run train 1 4 9 16
    ok 'make: a plot cannot write' make_run plot 1 3 6
    ok 'make: the copies of figures cannot be written' make_run cat 1
    ok 'make: the copies of figures cannot be put in place' make_run mv 1
else
    ok 'make: memo cannot write' make_run memo 9
    ok 'make: the copies of figures cannot be written' make_run cat 1
fi

# A file system that is really full: results/ on a tmpfs of a few MB, which then grows.
small_disk() { # small_disk SIZE_MB…
    before=$differences victim=make how=full
    for k in "$@"; do
        tried=$((tried + 1))
        rm -rf "$T/results" "$T/figures" && mkdir "$T/results" && mount -t tmpfs -o "size=${k}m" none "$T/results" || return 1
        if mk figures >"$T/stdout" 2>"$T/stderr"; then
            wrong 'make says all is well'
        elif ! grep -q '^[a-z]*: .*: No space left on device$' "$T/stderr" || ! grep -q '^hint: ' "$T/stderr"; then
            wrong 'want one line: a program: a path: No space left on device, then a hint'
        fi
        mount -o remount,size=1g "$T/results" && build || { wrong 'the next make fails'; tail -3 "$T/log"; }
        equal undisturbed >"$T/diff" && clean || wrong "after the next make: $(head -1 "$T/diff") $(head -1 "$T/audit")"
        umount "$T/results"
    done
    [ $differences = $before ]
}
name='a full file system: make stops, says so, and goes on when there is room'
mkdir -p "$T/probe"
if [ "$MOUNTS" ] && mount -t tmpfs -o size=1m none "$T/probe" 2>/dev/null && umount "$T/probe"; then
    ok "$name" small_disk ${LONG:+1 2 3 5 6 7 8 9 10} 4
else
    n=$((n + 1))
    echo "ok $n - $name # SKIP no mounts of our own here (needs root)"
fi

echo "# full: $stages stages, memo and make: $tried runs in which writes failed, $differences differences"
echo "1..$n"
