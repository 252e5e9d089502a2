#!/bin/sh
# snapshot.sh - SAEs from the way: kept by train through kills, taken out by snapshot, read like any other.
T=build/tmp/cli_snapshot
RUN=
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
. tests/cli/rows.inc
train() { # train OUT OPTION…
    out=$1
    shift
    $RUN $B/train --in $T/rows.safetensors $jumprelu --width 256 --batch 512 --steps 160 --lambda 1e-3 --lambda-warmup 50 --lr 1e-3 --lr-warmup 5 \
        --epsilon 0.05 --theta-init 0.1 --out "$out" "$@"
}
ok "rows to train on" rows
ok "a run that keeps three snapshots" train $T/whole --snapshots 3
ok "and one that keeps none" train $T/none_kept
tensors() { # tensors FOLDER - the bytes of its weights, without their header
    header=$(od -An -tu8 -N8 "$1/sae_weights.safetensors" | tr -d ' ')
    tail -c +$((header + 9)) "$1/sae_weights.safetensors"
}
same() { tensors $1 >$T/a && tensors $2 >$T/b && [ -s $T/a ] && cmp $T/a $T/b; }
ok "the end is the same" same $T/whole $T/none_kept
ok "half of it" $B/snapshot --in $T/whole --at half --out $T/half
# A run of 80 steps without a fall of the learning rate is the first half of one of 160.
short() { $B/train --in $T/rows.safetensors $jumprelu --width 256 --batch 512 --steps 80 --lambda 1e-3 --lambda-warmup 50 --lr 1e-3 --lr-warmup 5 \
    --epsilon 0.05 --theta-init 0.1 --out $T/short; }
ok "a run of half the length" short
ok "has the same weights as the snapshot" same $T/half $T/short
ok "and the same curve" cmp $T/half/curve.json $T/short/curve.json
named() { grep -q '"steps": 80,' $T/half/train.json && grep -q '"of_steps": 160' $T/half/train.json && grep -q '"snapshot": "half"' $T/half/train.json; }
ok "train.json says what it is" named
ok "other stages read it" $B/evaluate --sae $T/half --data $T/acts.safetensors --site L0R --out $T/evaluate.json
killed() { # in the middle, behind the first two snapshots: both are in the checkpoint
    { RUN=exec && train $T/resumed --snapshots 3 --checkpoint $T/ckpt --checkpoint-every 0; } &
    pid=$!
    j=0
    until grep -aq '"quarter.W_enc"' $T/ckpt/before.safetensors 2>/dev/null || [ $j -gt 400 ]; do sleep 0.02; j=$((j + 1)); done
    kill -9 $pid
    wait $pid
    [ ! -e $T/resumed ] && RUN= && train $T/resumed --snapshots 3 --checkpoint $T/ckpt && diff -r $T/whole $T/resumed
}
ok "killed behind two of them, and resumed: the same bytes" killed
ok "a folder without snapshots" fails 1 "want one named 'half', there is none" $B/snapshot --in $T/none_kept --at half --out $T/none
ok "no such share" fails 2 "--at third: must be" $B/snapshot --in $T/whole --at third --out $T/none
ok "too few steps for three" fails 1 "want at least 8 steps, got 7" $B/train --in $T/rows.safetensors $jumprelu --width 8 --batch 64 --steps 7 --lambda 1 --lr 1e-3 --epsilon 0.05 --snapshots 3 --out $T/none
cut() { cp -r $T/whole $T/cut && : >$T/cut/half.safetensors && $B/snapshot --in $T/cut --at half --out $T/cut_half &&
    fails 1 "sae_weights.safetensors" $B/evaluate --sae $T/cut_half --data $T/acts.safetensors --site L0R --out $T/none; }
ok "a snapshot that was cut short is not read" cut
fewer() { train $T/whole2 --snapshots 3 && train $T/whole2 --snapshots 1 && [ -e $T/whole2/half.safetensors ] && [ ! -e $T/whole2/eighth.safetensors ]; }
ok "the folder is replaced by one with fewer" fewer
warned() { train $T/warned >$T/out 2>&1; cat $T/out; grep -q 'the loss has not flattened' $T/out; }
ok "a run that was stopped too early says so" warned
echo "1..$n"
