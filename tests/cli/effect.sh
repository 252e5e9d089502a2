#!/bin/sh
# effect.sh - every feature ablated in the language model: bytes, an independent check of one feature, bad input.
T=build/tmp/cli_effect
B=build/bin
M=inputs/models/gelu-1l-zh-en
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
prepare() {
    $B/tokenize --model $M --corpus inputs/corpus/zh/debmake-doc.jsonl.zst inputs/corpus/en/debmake-doc.jsonl.zst --max-tokens-per-group 1500 --out $T/tok.safetensors &&
        $B/collect --tokens $T/tok.safetensors --model $M --sites mlp_post --context 64 --out $T/acts.safetensors &&
        $B/normalise --in $T/acts.safetensors --site mlp_post --norm unit --seed 0 --out $T/rows.safetensors &&
        $B/train --in $T/rows.safetensors --arch relu --init kaiming $adam --dead-window 200 --width 256 --lambda 1e-2 --lr 1e-3 --steps 30 --batch 256 --lr-warmup 2 --lambda-warmup 5 --out $T/sae
}
ok 'activations and an SAE of gelu-1l' prepare
effect() { $B/effect --sae $T/sae --model $M --tokens $T/tok.safetensors --site mlp_post --context 64 --max-tokens 400 "$@"; }
threads() { for t in 1 3; do effect --threads $t --out $T/e$t.json || return 1; done && cmp $T/e1.json $T/e3.json; }
ok 'the same bytes for 1 and 3 threads' threads
sane() { # the losses in order: as it is, with the SAE, without the site
    awk -F'[:,]' '/"loss":/ {a = $2} /"loss_sae":/ {b = $2} /"loss_zero":/ {c = $2} END {exit !(a > 0 && a < b && b < c)}' $T/e1.json
}
ok 'the model, with its SAE, without the site: each worse than the one before' sane
drawn() { $B/plot --kind effect --in $T/e1.json --out $T/p && [ -s $T/p/plot.png ]; }
ok 'and a figure' drawn
ok 'a layer before the last' fails 1 'want a site of the last layer' $B/effect --sae $T/sae --model inputs/models/qwen2-8l-zh-en --tokens $T/tok.safetensors --site L0R --context 64 --max-tokens 400 --out $T/none
ok 'a site of another width' fails 1 'wide' $B/effect --sae $T/sae --model $M --tokens $T/tok.safetensors --site L0R --context 64 --max-tokens 400 --out $T/none
ok 'a context beyond the model' fails 1 'n_ctx' $B/effect --sae $T/sae --model $M --tokens $T/tok.safetensors --site mlp_post --context 4096 --max-tokens 400 --out $T/none
echo "1..$n"
