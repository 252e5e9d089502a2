#!/bin/sh
# train.sh - train on the command line: killed in the middle and resumed to the same bytes; wrong options and files.
T=build/tmp/cli_train
RUN=
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
. tests/cli/rows.inc
train() { # train OUT OPTION…; RUN=exec: as this very process, so that kill $! hits the program and not a shell around it
    out=$1
    shift
    case $* in *--dead-window*) window= ;; *) window='--dead-window 200' ;; esac
    $RUN $B/train --in $T/rows.safetensors --arch jumprelu --init decoder $adam $window --width 512 --batch 512 --steps 300 --lambda 1e-3 --lambda-warmup 50 --lr 1e-3 --lr-warmup 5 \
        --lr-decay 50 --epsilon 0.05 --theta-init 0.1 --out "$out" "$@"
}
# Kill it as soon as a checkpoint is there, again and again, until it gets through; at least one kill must have hit.
killed() {
    hits=0
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        { RUN=exec && train $T/resumed --checkpoint $T/ckpt --checkpoint-every 0; } &
        pid=$!
        if [ $i -lt 4 ]; then
            j=0
            while [ ! -e $T/ckpt/state.safetensors ] && [ $j -lt 100 ]; do sleep 0.05; j=$((j + 1)); done
            sleep 0.1
            kill -9 $pid 2>/dev/null && hits=$((hits + 1))
        fi
        wait $pid && break
        [ ! -e $T/resumed ] || { echo 'a half-written result'; return 1; }
    done
    echo "kills that hit: $hits"
    [ $hits -ge 1 ] && [ -d $T/resumed ]
}
ok "rows to train on" rows
ok "a run in one go" train $T/whole
ok "a run that is killed three times" killed
ok "both give the same bytes" diff -r $T/whole $T/resumed
one_thread() { train $T/one --threads 1 && diff -r $T/whole $T/one; }
ok "one thread gives the same bytes" one_thread
other_run() {
    { RUN=exec && train $T/half --checkpoint $T/ckpt2 --checkpoint-every 0; } &
    pid=$!
    j=0
    while [ ! -e $T/ckpt2/state.safetensors ] && [ $j -lt 100 ]; do sleep 0.05; j=$((j + 1)); done
    kill -9 $pid
    wait $pid
    fails 1 "belongs to another run" train $T/none --checkpoint $T/ckpt2 --seed 5
}
ok "a checkpoint of another run is refused" other_run
differ() { ! cmp -s $T/$1/sae_weights.safetensors $T/$2/sae_weights.safetensors; }
other_rules() {
    train $T/pulled --pre-act-loss 1e-3 --dead-window 3 && train $T/lazy --pre-act-loss 1e-3 --dead-window 3 --optimizer lazy-adam &&
        train $T/later --pre-act-loss 1e-3 && differ whole pulled && differ pulled lazy && differ pulled later
}
ok "the optimizer, the penalty and its window arrive" other_rules
start_and_kill() { # start_and_kill FOLDER - leaves the newest state and the one before it
    { RUN=exec && train $T/half --checkpoint "$1" --checkpoint-every 0; } &
    pid=$!
    j=0
    while [ ! -e "$1/before.safetensors" ] && [ $j -lt 200 ]; do sleep 0.05; j=$((j + 1)); done
    kill -9 $pid
    wait $pid
    [ -e "$1/state.safetensors" ] || cp "$1/before.safetensors" "$1/state.safetensors" # the kill fell between the renames
    [ ! -e $T/half ] && [ -e "$1/before.safetensors" ]
}
damage() { printf 'no weights' | dd of="$1" bs=1 seek=9001 conv=notrunc 2>/dev/null; }
says() { # says TEXT TEXT COMMAND… - ends well, and says both
    one=$1 two=$2
    shift 2
    "$@" >$T/out 2>&1 && cat $T/out && grep -qF -- "$one" $T/out && grep -qF -- "$two" $T/out
}
damaged_state() {
    start_and_kill $T/ckpt3 && damage $T/ckpt3/state.safetensors &&
        says "state.safetensors: damaged: want checksum" "resumed at step" train $T/mended --checkpoint $T/ckpt3 &&
        diff -r $T/whole $T/mended
}
ok "a damaged checkpoint: the one before it, the same bytes" damaged_state
damaged_both() {
    damage $T/ckpt3/before.safetensors &&
        says "before.safetensors: damaged: want checksum" "starting anew" train $T/anew --checkpoint $T/ckpt3 &&
        diff -r $T/whole $T/anew
}
ok "no state that is whole: anew, the same bytes" damaged_both
ok "an output folder that is not there" fails 1 "must exist" train $T/no/such/none
ok "a value out of range" fails 2 "--dead-window 0: must be" $B/train --dead-window 0
ok "an optimizer that is not there" fails 2 "--optimizer" train $T/none --optimizer sgd
ok "no guard of Adam's division: 0/0" fails 2 "--adam-eps 0: must be" $B/train --adam-eps 0
ok "more warm-up than steps" fails 2 "--lr-warmup 1000" $B/train --in $T/rows.safetensors $jumprelu --width 8 --batch 64 --steps 20 --lambda 1 --lr 1e-3 --epsilon 0.05 --lr-warmup 1000 --out $T/none
ok "thresholds without a bandwidth" fails 2 "--arch jumprelu: want --epsilon of 1e-9 at least" $B/train --in $T/rows.safetensors $jumprelu --width 8 --batch 64 --steps 20 --lambda 1 --lr 1e-3 --out $T/none
ok "an unknown option" fails 2 "no such option" train $T/none --learning-rate 1
ok "a file of another stage" fails 1 "no such tensor" $B/train --in $T/acts.safetensors $jumprelu --width 8 --batch 64 --steps 2000 --lambda 1 --lr 1e-3 --out $T/none
ok "a batch larger than the data" fails 1 "only" $B/train --in $T/rows.safetensors $jumprelu --width 8 --batch 100000 --steps 2000 --lambda 1 --lr 1e-3 --epsilon 0.05 --out $T/none
echo "1..$n"
