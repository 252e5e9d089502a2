#!/bin/sh
# latentwalk.sh - the second paper at SCALE=tiny: from text to figures, then edits.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=build/tmp/e2e_latentwalk
rm -rf $T && mkdir -p $T || exit 1
trap 'rm -rf $T' EXIT
F=$T/figures/tiny
mk() { make --no-print-directory PAPER=latentwalk SCALE=tiny RESULTS=$T/results FIGURES=$T/figures "$@"; }
. tests/tap.sh
executed() { # the stages that ran in the log of the last make are these
    got=$(sed -n 's/^RUN  *\([a-z]*\) .*/\1/p' $T/log | sort -u | tr '\n' ' ')
    [ "$got" = "$1" ] || { echo "ran: $got" "want: $1"; cat $T/log; return 1; }
}
build() { mk figures "$@" >$T/log 2>&1 || { cat $T/log; return 1; }; }

drawn() {
    build || return 1
    for f in fig5 fig6 fig7 fig8 fig9 fig10; do
        [ "$(head -c 8 $F/latentwalk/$f.png | od -An -c | tr -d ' ')" = '211PNG\r\n032\n' ] && grep -q '"record"' $F/latentwalk/$f.json || { echo $f; return 1; }
        grep -q "$f.png" $F/index.html && grep -q "$f.png" $F/latentwalk/index.html || { echo "$f is on no page"; return 1; }
    done
    grep -q ' 0 not measured' $T/log
}
ok 'text to figures 5 to 10, and the pages; every claim is measured' drawn
again() { build && executed ''; }
ok 'again: nothing executes' again
walk() { build step-size=0.2 && executed 'converge page plot walk '; }
ok 'a step size: the walks, their figure, the page' walk
feature() { build feature=3 && executed 'ablate converge neighbours page plot specificity '; }
ok 'another feature: what looks at it, and not the training' feature
back() { build && executed ''; }
ok 'put back: nothing executes' back
ok 'every declared option is one of its program' options_exist 11
threads() { mk recheck N=999 THREADS=3 >$T/log 2>&1 || { cat $T/log; return 1; } }
ok 'every stage again with 3 threads: the same bytes' threads
echo "1..$n"
