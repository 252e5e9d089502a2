#!/bin/sh
# papers.sh - a paper is a folder: a new one is files under paper/ and params/ and no others; what two papers have in common is made once;
# the model and the text are keys of a run. Toy stages, and for two models the real ones.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=$(mktemp -d) || exit 1
trap 'rm -rf $T' EXIT
. tests/tap.sh
C=$T/checkout
mkdir -p $T/bin $C/paper/toy $C/params/toy || exit 1
cp -r Makefile mk params paper $C/
for f in lib kernels stages tests inputs build; do ln -s "$PWD/$f" $C/$f; done
for p in stages/*.c; do
    p=$(basename $p .c)
    cp tests/contract/toy.inc $T/bin/$p && chmod +x $T/bin/$p
done
mk() { (cd $C && make --no-print-directory SCALE=tiny RESULTS=$T/results FIGURES=$T/figures STAGE_BIN=$T/bin "$@"); }
ran() { # what ran since the last call, by name and number
    got=$(sort $T/ran.log 2>/dev/null | uniq -c | awk '{printf "%s%s %s", (NR > 1 ? " " : ""), $1, $2}')
    rm -f $T/ran.log
    [ "$got" = "$1" ] || { echo "ran: $got" "want: $1"; return 1; }
}

# ---- a paper ----
echo 'include paper/recipes.mk
one = $(call study,$1,$2,$(trained) cooccur cluster.phi,$3)
cluster.phi.affinity := phi' >$C/paper/toy/recipes.mk
echo '$(call figure,eigen, kind=eigen, in=$(main)/cluster.phi)
followed := eigen
index.title := a toy' >$C/paper/toy/figures.mk
cp paper/aiaa5047/claims.tsv paper/aiaa5047/captions.tsv $C/paper/toy/
sed '/^layers/d; /call sae/d; s/^main.*/main := once/' params/aiaa5047/tiny.mk >$C/params/toy/tiny.mk
echo '$(call one,once, site=L3R width=64 lambda=1e-2)' >>$C/params/toy/tiny.mk
cp $C/params/toy/tiny.mk $C/params/toy/demo.mk
cp -r $C/mk $T/mk
first() { mk figures PAPER=aiaa5047 && rm -f $T/ran.log && [ -e $T/figures/tiny/aiaa5047/fig3.png ]; }
ok 'a paper' first
second() { mk figures PAPER=toy && ran '4 cluster 1 converge 4 cooccur 1 page 5 plot 3 snapshot 1 train' && [ -e $T/figures/tiny/toy/eigen.png ]; }
ok 'another with its model, text and sites: tokens, activations and rows are there already' second
both() { grep -q toy/index.html $T/figures/tiny/index.html && grep -q aiaa5047/index.html $T/figures/tiny/index.html && mk plan PAPER=toy && mk audit PAPER=toy && diff -r $C/mk $T/mk; }
ok 'both stand side by side; nothing but paper/ and params/ was touched' both
each() { fails 2 'PAPER is one of aiaa5047 latentwalk toy' mk help PAPER=nosuch && mk help PAPER=toy | grep -qx '  once'; }
ok 'it is one of the papers' each
variants() { mk contract PAPER=toy >$T/out && ! grep -E 'lobes|walk|dice|umap|specificity' $T/out; }
ok "and has no other's instances" variants

# ---- the model and the text ----
base=inputs/models/qwen2-8l-zh-en other=inputs/models/qwen2-8l-zh-en-instruct
words() { mk -n -B PAPER=aiaa5047 drawn "$@" | grep -- '--target' >$T/lines; }
line() { grep -- "--target $T/results/tiny/aiaa5047/$1 " $T/lines; }
reads() { line $1 | grep -q -- "--model @in=$2 " || { line $1; return 1; }; }
one_instance() { words collect.heldout.MODEL=$other && reads L6R-tiny/collect.train.safetensors $base && reads L6R-tiny/collect.heldout.safetensors $other && reads L0R-tiny/collect.heldout.safetensors $other; }
ok 'the model of an instance' one_instance
one_run() { words L6R-tiny.MODEL=$other && reads L6R-tiny/collect.train.safetensors $other && reads L6R-tiny/tokenize.train.safetensors $other && reads L0R-tiny/collect.train.safetensors $base && reads L6R-tiny-half/collect.heldout.safetensors $other; }
ok 'of a run, and of its twins' one_run
both_said() { words MODEL=$other collect.heldout.MODEL=$base && reads L6R-tiny/collect.train.safetensors $other && reads L6R-tiny/collect.heldout.safetensors $base; }
ok 'on the command line, the nearer name wins' both_said
in_line() {
    sed -i 's|site=L3R |site=L3R collect.heldout.MODEL=inputs/models/qwen2-8l-zh-en-instruct |' $C/params/aiaa5047/tiny.mk && words && reads L3R-tiny/collect.heldout.safetensors $other &&
        reads L3R-tiny/collect.train.safetensors $base && reads L6R-tiny/collect.heldout.safetensors $base
}
ok 'in the line of a run' in_line
text() { words tokenize.heldout.CORPUS='inputs/corpus/zh inputs/corpus/en inputs/corpus/math inputs/corpus/code inputs/corpus/ar' && line L6R-tiny/tokenize.heldout.safetensors | grep -q 'corpus/math.*' && ! line L6R-tiny/tokenize.train.safetensors | grep -q math; }
ok 'text of five domains for one instance' text
odd() { fails 2 "no file or folder nosuch" mk plan PAPER=aiaa5047 collect.heldout.MODEL=nosuch && mkdir "$T/a;b" && echo '{}' >"$T/a;b/config.json" && fails 2 'MODEL holds ; which' mk plan PAPER=aiaa5047 "collect.heldout.MODEL=$T/a;b"; }
ok 'its value is a path like any other' odd
typo() { fails 2 "did you mean 'collect.heldout.MODEL'" mk plan PAPER=aiaa5047 collect.heldout.MODLE=$other; }
ok 'a typo in it' typo

# ---- trained on a model, evaluated on its instruct version ----
real() { make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/real FIGURES=$T/figures "$@"; }
E=$T/real/tiny/aiaa5047/L6R-tiny
two_models() {
    real $E/evaluate.json && cp $E/evaluate.json $T/base.json && train=$(readlink $E/train) &&
        real $E/evaluate.json collect.heldout.MODEL=$other && ! cmp -s $E/evaluate.json $T/base.json && [ "$(readlink $E/train)" = "$train" ] &&
        grep -q "$other\$" $E/collect.heldout.safetensors.rec && real $E/evaluate.json && cmp $E/evaluate.json $T/base.json
}
ok 'trained on a base model, evaluated on the instruct version; and back' two_models
echo "1..$n"
