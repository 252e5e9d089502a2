#!/bin/sh
# inputs.sh - no stage waits for an input that is no file: pipes, devices and folders are refused at once, with a hint.
T=build/tmp/cli_inputs
B=${BIN:-build/bin}
M=inputs/models/gelu-1l-zh-en
rm -rf $T && mkdir -p $T/zh $T/model $T/pipe-sae $T/zero-sae || exit 1
. tests/tap.sh
mkfifo $T/pipe $T/zh/pipe.txt $T/zh/pipe.jsonl.zst || exit 1
mknod $T/zero c 1 5 2>/dev/null || ln -sf /dev/zero $T/zero
ln -s ../zero $T/zh/zero.txt && ln -s ../zero $T/zh/zero.jsonl.gz
# refused NAME KIND COMMAND… - within 20 s, status 1, one line and a hint
refused() {
    name=$1 kind=$2
    shift 2
    ok "$name" sh -c 'timeout 20 "$@" >'$T'/out 2>&1; rc=$?; cat '$T'/out; [ $rc = 1 ] && [ $(wc -l <'$T'/out) = 2 ] &&
        grep -q ": want a file, got '"$kind"'$" '$T'/out && grep -q "^hint: " '$T'/out && [ ! -e '$T'/none ]' sh "$@"
}
stages() { # stages PATH - every stage with PATH as all its inputs
    p=$1 s=$1-sae # the same as a file of an SAE's folder
    cat <<END
ablate --sae $s --data $p --site s --feature 0 --rows 1 --noise 1 --shown 1 --out $T/none
cluster --in $p --affinity phi --k 2 --out $T/none
collect --tokens $p --model $M --sites L0R --context 8 --out $T/none
converge --plots $s $s --figures f --shares 1/2,1 --claims $p --out $T/none
cooccur --sae $s --data $p --site s --chunk-tokens 1 --out $T/none
effect --sae $s --model $M --tokens $p --site s --context 8 --max-tokens 8 --out $T/none
evaluate --sae $s --data $p --site s --out $T/none
lobes --cluster $p --cooccur $p --sae $s --permutations 1 --out $T/none
neighbours --sae $s --nearest 1 --feature 0 --features all --out $T/none
neighbours --sae $s --nearest 1 --evaluate $p --feature-of $p --out $T/none
normalise --in $p --site s --norm unit --out $T/none
page --figures $p.json --claims $p --captions $p --out $T/none
plot --kind eigen --in $p --out $T/none
plot --kind convergence --in $p --out $T/none
plot --kind sweep --in $p --out $T/none
plot --kind walk --in $p --out $T/none
train --in $p $jumprelu --width 8 --batch 8 --steps 8 --lambda 1 --lr 1 --out $T/none
tsne --in $p --tensor t --perplexity 30 --iterations 1 --exaggeration 12 --out $T/none
umap --in $p --tensor t --neighbors 15 --min-dist 0.1 --spread 1 --out $T/none
walk --sae $s --data $p --site s --walks 1 --walk-steps 1 --step-size 1 --directions isotropic --out $T/none
END
}
for kind in pipe zero; do
    [ $kind = pipe ] && what='a pipe' || what='a device'
    ln -s $kind $T/$kind.json && ln -s $kind $T/$kind.png && ln -s ../$kind $T/$kind-sae/cfg.json
    stages $T/$kind >$T/list
    while read -r p words; do
        # shellcheck disable=SC2086 # words are words
        refused "$p: $what" "$what" $B/$p $words </dev/null
    done <$T/list
done
for f in pipe.txt pipe.jsonl.zst; do refused "tokenize: $f" 'a pipe' $B/tokenize --model $M --corpus $T/zh/$f --out $T/none; done
for f in zero.txt zero.jsonl.gz; do refused "tokenize: $f" 'a device' $B/tokenize --model $M --corpus $T/zh/$f --out $T/none; done
printf 'a' >$T/zh/a.txt
mkfifo $T/model/tokenizer.json
refused 'a pipe in a folder of a model' 'a pipe' $B/tokenize --model $T/model --corpus $T/zh/a.txt --out $T/none
mkdir $T/zh/folder.txt
refused 'a folder where a file is wanted' 'a folder' $B/tokenize --model $M --corpus $T/zh/folder.txt --out $T/none
substituted() { printf a | timeout 20 $B/normalise --in /dev/fd/0 --site s --norm unit --out $T/none 2>$T/out; grep -q ': want a file, got a pipe$' $T/out; }
ok 'and what a shell pipes in' substituted
echo "1..$n"
