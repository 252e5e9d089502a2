#!/bin/sh
# tiny.sh - the real pipeline at SCALE=tiny: from text to figures, then edits, reverts, a kill and its resume.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=build/tmp/e2e.$$
trap 'rm -rf $T' EXIT
mkdir -p $T || exit 1
H=$T/results/tiny/aiaa5047
F=$T/figures/tiny
mk() { make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/results FIGURES=$T/figures "$@"; }
. tests/tap.sh
executed() { # the stages that ran in the log of the last make are these
    got=$(sed -n 's/^RUN  *\([a-z]*\) .*/\1/p' $T/log | sort -u | tr '\n' ' ')
    [ "$got" = "$1" ] || { echo "ran: $got" "want: $1"; cat $T/log; return 1; }
}
build() { mk figures "$@" >$T/log 2>&1 || { cat $T/log; return 1; }; }

first() { build && executed 'cluster collect converge cooccur evaluate lobes normalise page plot snapshot tokenize train tsne umap '; }
ok 'text to figures' first
drawn() {
    for f in fig2 fig3 fig4; do
        [ "$(head -c 8 $F/aiaa5047/$f.png | od -An -c | tr -d ' ')" = '211PNG\r\n032\n' ] && grep -q '"record"' $F/aiaa5047/$f.json || { echo $f; return 1; }
        grep -q "$f.png" $F/index.html || { echo "$f is not on the page"; return 1; }
    done
    grep -aq 'saemill:lineage' $F/aiaa5047/fig3.png && grep -q 'tokenize --model' $F/aiaa5047/fig3.json
}
ok 'figures 2, 3, 4 with numbers and lineage, and the page' drawn
sae() { for f in cfg.json sae_weights.safetensors curve.json train.json; do [ -s $H/L6R-tiny/train/$f ] || return 1; done; }
ok 'the SAE folder' sae
second() {
    start=$(date +%s%N)
    build && executed '' && mk -q drawn
    rc=$?
    echo "$((($(date +%s%N) - start) / 1000000)) ms"
    return $rc
}
ok 'again: nothing executes' second
cp $F/aiaa5047/fig3.json $T/fig3.json
edit() { build perplexity=12 && executed 'converge page plot tsne ' && ! cmp -s $F/aiaa5047/fig3.json $T/fig3.json; }
ok 'a perplexity edit: t-SNE, its plots, the page' edit
back() { build && executed '' && cmp $F/aiaa5047/fig3.json $T/fig3.json; }
ok 'put back: nothing executes, the same bytes' back
threads() { mk recheck N=999 THREADS=3 >$T/log 2>&1 || { cat $T/log; return 1; } && [ "$(grep -c '^SAME' $T/log)" = "$(find $T/results/tiny -name '*.rec' | wc -l)" ]; }
ok 'every stage again with 3 threads: the same bytes' threads
vectors() { build FORMAT=pdf && executed 'plot ' && [ "$(head -c 5 $F/aiaa5047/fig3.pdf)" = %PDF- ] && cmp $F/aiaa5047/fig3.json $T/fig3.json && build && executed '' && mk audit; }
ok 'as PDF too: the plots, and nothing else changes' vectors
kill_train() { # SIGKILL to every process of a build in the middle of training
    setsid sh -c 'echo $$ >'$T'/group; exec make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS='$T'/results FIGURES='$T'/figures drawn steps=200000' >$T/log 2>&1 &
    for i in $(seq 100); do grep -q '^RUN  *train' $T/log 2>/dev/null && break; sleep 0.1; done
    sleep 1
    kill -9 -"$(cat $T/group)"
    wait
    grep -q '^RUN  *train' $T/log && ! grep -q '^DONE  *train' $T/log &&
        ! find $T/results/tiny $T/figures -name '*.part*' -o -name '*.saemill-*' | grep -q . && [ -n "$(ls $T/results/store/wip)" ] &&
        for t in $H/*/train; do [ -s $t/sae_weights.safetensors ] || return 1; done
}
ok 'kill -9 in the middle of training: no half target' kill_train
after() { build && executed '' && mk audit; }
ok 'with the old parameters all is there still' after
ok 'every declared option is one of its program' options_exist 12
gc() { mk gc WIP=1 && [ -z "$(ls $T/results/store/wip)" ] && mk audit DEEP=1; }
ok 'gc, and every stored byte is as its name says' gc
echo "1..$n"
