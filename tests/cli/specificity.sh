#!/bin/sh
# specificity.sh - specificity and neighbours on the command line: what they write, and what they refuse.
T=build/tmp/cli_specificity
B=build/bin
M=inputs/models/gelu-1l-zh-en
S=paper/latentwalk/sentences.jsonl
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
prepare() {
    $B/tokenize --model $M --corpus inputs/corpus/zh/debmake-doc.jsonl.zst inputs/corpus/en/debmake-doc.jsonl.zst inputs/corpus/ar/debian-handbook.jsonl.zst --max-tokens-per-group 1500 --out $T/tok.safetensors &&
        $B/collect --tokens $T/tok.safetensors --model $M --sites mlp_post --context 64 --out $T/acts.safetensors &&
        $B/normalise --in $T/acts.safetensors --site mlp_post --norm unit --seed 0 --out $T/rows.safetensors &&
        $B/train --in $T/rows.safetensors --arch relu --init kaiming $adam --dead-window 200 --width 256 --lambda 1e-2 --lr 1e-3 --steps 30 --batch 256 --lr-warmup 2 --lambda-warmup 5 --out $T/sae &&
        $B/evaluate --sae $T/sae --data $T/acts.safetensors --site mlp_post --out $T/evaluate.json &&
        $B/tokenize --model $M --corpus $S --out $T/said.safetensors &&
        $B/collect --tokens $T/said.safetensors --model $M --sites mlp_post --context 64 --out $T/spoken.safetensors
}
ok 'activations of text and sentences, and an SAE of gelu-1l' prepare
specificity() { specificity_of spoken "$@"; }
specificity_of() { a=$1 && shift && $B/specificity --sae $T/sae --activations $T/$a.safetensors --data $T/acts.safetensors --site mlp_post --min-firings 20 --best 50 "$@"; }
neighbours() { $B/neighbours --sae $T/sae --evaluate $T/evaluate.json --nearest 10 "$@"; }
threads() { for t in 1 3; do specificity --sentences $S --without ar --threads $t --out $T/s$t.json && neighbours --feature-of $T/s$t.json --threads $t --out $T/n$t.json || return 1; done && cmp $T/s1.json $T/s3.json && cmp $T/n1.json $T/n3.json; }
ok 'the same bytes for 1 and 3 threads, the feature chosen by the rule' threads
drawn() {
    for k in sentences prompts ranking; do $B/plot --kind $k --in $T/s1.json --out $T/p_$k && [ -s $T/p_$k/plot.png ] || return 1; done
    for k in plane space agreement; do $B/plot --kind $k --in $T/n1.json --out $T/p_$k && [ -s $T/p_$k/plot.png ] || return 1; done
}
ok 'and figures of them' drawn
on_sentences() { # counted again from the sentences
    awk '
        {key = $1; gsub(/[":,]/, "", key); value = $2 + 0}
        /^  "/ {top = key}
        /^ *"[a-z_]*": {$/ {of = key}
        top == "sentences" && of == "max" && key ~ /^(ar|en|zh)$/ {sum[key] += value; fired[key] += value > 0; n[key]++}
        top == "on_sentences" && key ~ /^(ar|en|zh)$/ {got[of, key] = value; m++}
        END {
            for (l in n) {
                d = got["mean_activation", l] - sum[l] / n[l]
                if (got["fired", l] != fired[l] || d > 1e-7 || d < -1e-7) {print l, fired[l], sum[l] / n[l], got["fired", l]; bad = 1}
            }
            exit bad || m != 6 || n["en"] < 2
        }' $T/s1.json
}
ok 'what is said of the sentences is of them' on_sentences
ok 'a feature out of range' fails 1 'has features 0 to 255' specificity --sentences $S --feature 256 --out $T/none
ok 'a feature out of range, for neighbours' fails 1 'has features 0 to 255' neighbours --feature 256 --out $T/none
ok 'no feature' fails 2 'either --feature or --feature-of' neighbours --out $T/none
ok 'neither a feature nor a rule to choose it' fails 2 'want --feature or --without' specificity --sentences $S --out $T/none
ok 'a language that is not there' fails 2 'in no such language' specificity --sentences $S --without de --out $T/none
zeros() { # a sentence with a zero character, all the way to the figure
    sed '1s/"text": *"/&a\\u0000b/' $S >$T/zero.jsonl && grep -q 'a.u0000b' $T/zero.jsonl && $B/tokenize --model $M --corpus $T/zero.jsonl --out $T/zero.safetensors &&
        $B/collect --tokens $T/zero.safetensors --model $M --sites mlp_post --context 64 --out $T/zeroed.safetensors &&
        specificity_of zeroed --sentences $T/zero.jsonl --without ar --out $T/z.json && grep -q '"a.u0000b' $T/z.json &&
        $B/plot --kind prompts --in $T/z.json --out $T/p_zero && neighbours --feature-of $T/z.json --out $T/zn.json
}
ok 'a zero character in a sentence is text' zeros
head -2 $S >$T/two.jsonl
sed -n '3,5p' $S >>$T/two.jsonl
ok 'a sentence that lacks a language' fails 1 'two.jsonl' specificity --sentences $T/two.jsonl --without ar --out $T/none
head -6 $S >$T/short.jsonl
ok 'activations of other sentences' fails 1 'short.jsonl' specificity --sentences $T/short.jsonl --without ar --out $T/none
two() { $B/train --in $T/rows.safetensors --arch relu --init decoder $adam --dead-window 200 --width 2 --lambda 0 --lr 1e-3 --steps 2 --batch 64 --lr-warmup 0 --lambda-warmup 0 --out $T/two; }
ok 'an SAE of two features' two
ok 'has fewer neighbours than asked for' fails 1 'want fewer than the 2 features' $B/neighbours --sae $T/two --features all --feature 0 --nearest 10 --out $T/none
ok 'and no variance to project along three axes' fails 1 'want variance along three axes' $B/neighbours --sae $T/two --features all --feature 0 --nearest 1 --out $T/none
echo "1..$n"
