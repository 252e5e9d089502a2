#!/bin/sh
# gpu.sh - the GPU's receipt on the emulated GPU; and what is said where there is none.
T=build/tmp/cli_gpu
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
receipt() { build/test/receipt_emulated --quick $T/receipt.json test && grep -q '"failed": 0' $T/receipt.json && grep -q '^119 checks, 0 failed' $T/said; }
ok 'every check of the receipt passes on the emulated GPU' receipt
usage() { build/test/receipt_emulated; [ $? = 2 ]; }
ok 'the receipt wants a file and a commit' usage
none() { # without a GPU: status 77 and one line; with one, or without nvcc at build time, the same or a run
    build/bin/tokenize --model inputs/models/qwen2-8l-zh-en --corpus inputs/corpus/zh/debmake-doc.jsonl.zst --max-tokens-per-group 600 --out $T/tok.safetensors &&
        build/bin/collect --tokens $T/tok.safetensors --model inputs/models/qwen2-8l-zh-en --sites L0R --context 64 --out $T/acts.safetensors &&
        build/bin/normalise --in $T/acts.safetensors --site L0R --norm unit --seed 0 --out $T/rows.safetensors || return 1
    build/bin/train --in $T/rows.safetensors $jumprelu --width 64 --lambda 1e-3 --steps 3 --batch 32 --epsilon 0.05 --lambda-warmup 1 --lr 1e-3 --lr-warmup 1 --backend cuda --out $T/sae 2>$T/err
    rc=$?
    cat $T/err
    [ $rc = 0 ] || { [ $rc = 77 ] && [ ! -e $T/sae ] && grep -q '^train: --backend cuda: ' $T/err && grep -q '^hint: ' $T/err; }
}
collect() { # the same of collect
    build/bin/collect --tokens $T/tok.safetensors --model inputs/models/qwen2-8l-zh-en --sites L0R --context 64 --backend cuda --out $T/cuda.safetensors 2>$T/err
    rc=$?
    cat $T/err
    [ $rc = 0 ] || { [ $rc = 77 ] && [ ! -e $T/cuda.safetensors ] && grep -q '^collect: --backend cuda: ' $T/err && grep -q '^hint: ' $T/err; }
}
ok 'train --backend cuda without a GPU: status 77, a reason and a hint, nothing written' none
ok 'collect --backend cuda without a GPU: the same' collect
echo "1..$n"
