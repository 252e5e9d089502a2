#!/bin/sh
# walk.sh - walk and ablate on the command line: what they write, and what they refuse.
T=build/tmp/cli_walk
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
walk() { $B/walk --sae $T/sae --data $T/acts.safetensors --site mlp_post --walks 16 --walk-steps 20 --directions isotropic "$@"; }
ablate() { $B/ablate --sae $T/sae --data $T/acts.safetensors --site mlp_post --rows 32 --noise 1 --shown 32 "$@"; }
threads() { for t in 1 3; do walk --step-size 0.1 --threads $t --out $T/w$t.json && ablate --feature 7 --threads $t --out $T/a$t.json || return 1; done && cmp $T/w1.json $T/w3.json && cmp $T/a1.json $T/a3.json; }
ok 'the same bytes for 1 and 3 threads' threads
drawn() { $B/plot --kind walk --in $T/w1.json --out $T/pw && $B/plot --kind ablation --in $T/a1.json --out $T/pa && [ -s $T/pw/plot.png ] && [ -s $T/pa/plot.png ]; }
ok 'and figures of them' drawn
ok 'a step of length 0' fails 2 '--step-size 0' walk --step-size 0 --out $T/none
ok 'an infinite step' fails 2 '--step-size inf' walk --step-size inf --out $T/none
ok 'a site that is not there' fails 1 'L0R' $B/walk --sae $T/sae --data $T/acts.safetensors --site L0R --walks 16 --walk-steps 20 --step-size 0.1 --directions isotropic --out $T/none
ok 'a feature out of range' fails 1 'has features 0 to 255' ablate --feature 256 --out $T/none
ok 'no feature' fails 2 '--feature' ablate --out $T/none
echo "1..$n"
