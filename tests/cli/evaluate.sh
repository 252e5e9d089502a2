#!/bin/sh
# evaluate.sh - what an SAE does to its language model: every number against PyTorch in float64, bytes, bad input.
T=build/tmp/cli_evaluate
B=build/bin
M=tests/fixtures/lm/hooked
X=tests/fixtures/lm/hooked-sae
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
evaluate() { $B/evaluate --sae $X --data $T/acts.safetensors --site L0M "$@"; }
model() { evaluate --model $M --tokens $X/tokens.safetensors "$@"; } # the context is that of the rows: 24
prepare() { $B/collect --tokens $X/tokens.safetensors --model $M --sites L0M --context 24 --dtype f32 --out $T/acts.safetensors && model --per-position --out $T/all.json; }
ok 'activations, an SAE and its model' prepare
words() { tr -s '{}[],: \n' '\n' | grep .; }
close() { # the same names in the same order, and numbers within what float32 leaves (five digits; differences of losses are of their size)
    sed -n '/^  "language_model"/,/^  }/p' $T/$1.json | sed '1d; /"formulas"/,/}/d' | words >$T/got
    words <$X/expect.json >$T/want
    [ "$(wc -l <$T/got)" -gt 190 ] &&
        paste $T/got $T/want | awk '$1 ~ /^"/ || $2 !~ /[0-9]/ {if ($1 != $2) exit 1; next} {d = $1 - $2; s = $2 < 0 ? -$2 : $2} d > 1e-5 * (1 + s) || -d > 1e-5 * (1 + s) {exit 1}'
}
ok 'losses, divergences and all positions as in float64' close all
ref() { model --per-position --backend ref --out $T/ref.json && close ref; }
ok 'the reference back end too' ref
threads() { for t in 1 3; do model --per-position --threads $t --out $T/t$t.json || return 1; done && cmp $T/t1.json $T/t3.json && cmp $T/t1.json $T/all.json; }
ok 'the same bytes for every number of threads' threads
without() { # the model adds an object and options to the record, and changes nothing else
    evaluate --out $T/none.json && model --out $T/some.json && ! grep -q 'context\|max-tokens\|per.position' $T/none.json &&
        sed '/^  "language_model"/,/^  }/d; /"record": {/,$d' $T/some.json | cmp - "$T/none.cut"
}
evaluate --out $T/none.json 2>/dev/null && sed '/"record": {/,$d' $T/none.json >$T/none.cut
ok 'without a model, and beside one, the rest is as it was' without
some() { model --max-tokens 60 --out $T/part.json && grep -q '"tokens": [2-6][0-9],' $T/part.json && ! grep -q per_position $T/part.json; }
ok 'some of the text' some
context() { model --context 24 --per-position --out $T/c24.json && close c24 && model --context 12 --per-position --out $T/c12.json && ! close c12; }
ok 'a context of its own' context
ok 'a model without tokens' fails 2 'want both or none' evaluate --model $M --out $T/none
ok 'a table without a model' fails 2 'want both or none' evaluate --per-position --out $T/none
ok 'a site of another width' fails 1 'wide' $B/evaluate --sae $X --data $T/acts.safetensors --site L0M --model inputs/models/gelu-1l-zh-en --tokens $X/tokens.safetensors --context 24 --out $T/none
ok 'a context beyond the model' fails 1 'n_ctx' evaluate --model $M --tokens $X/tokens.safetensors --context 49 --out $T/none
ok 'ids beyond the vocabulary' fails 1 'vocab' evaluate --model $M --tokens tests/fixtures/lm/tokens.safetensors --context 24 --out $T/none
echo "1..$n"
