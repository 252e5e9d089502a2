#!/bin/sh
# training.sh - the twins of runs and figures: what they read, and in what they differ from the run.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=build/tmp/training.$$
trap 'rm -rf $T' EXIT
mkdir -p $T || exit 1
. tests/tap.sh
mk() { make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/results FIGURES=$T/figures "$@"; }
mk SEEDS=2 contract >$T/table
mk SEEDS=2 -n -B drawn 2>/dev/null >$T/lines
reads() { # reads RUN/INSTANCE SOURCE… - it is made from these and no others
    got=$(awk -F ' : ' -v t="$T/results/tiny/aiaa5047/$1" '$1 ~ "^" t "(\\.[a-z]*)?$" {print $4}' $T/table | sed "s|$T/results/tiny/aiaa5047/||g; s/\.[a-z]* / /g; s/\.[a-z]*\$//")
    shift
    [ "$got" = "$*" ] || { echo "reads: $got"; return 1; }
}
says() { # says RUN/INSTANCE WORDS - its command has these words
    grep -- "--target $T/results/tiny/aiaa5047/$1 " $T/lines >$T/line && grep -q -- " $2 " $T/line || { cat $T/line; return 1; }
}
ok 'a snapshot is of its run' reads L6R-tiny-half/snapshot L6R-tiny/train
ok 'of another seed: of that run' reads L6R-tiny-seed1-half/snapshot L6R-tiny-seed1/train
ok 'what reads the SAE reads the snapshot' reads L6R-tiny-half/cooccur L6R-tiny-half/snapshot L6R-tiny-half/collect.heldout
ok 'another seed has an SAE of its own' reads L6R-tiny-seed1/cooccur L6R-tiny-seed1/train L6R-tiny-seed1/collect.heldout
ok 'training curves of a snapshot are its own' reads fig2-half/plot L0R-tiny-half/snapshot L3R-tiny-half/snapshot L6R-tiny-half/snapshot
ok 'a figure without its map' reads fig3-seed1/plot L6R-tiny-seed1/lobes.phi L6R-tiny-seed1/cluster.phi
ok 'the share of a snapshot' says L6R-tiny-quarter/snapshot '--at quarter'
ok 'other first weights' says L6R-tiny-seed1/train '--seed 1'
ok 'the rows in another order' says L6R-tiny-seed1/normalise.safetensors '--seed 1'
ok 'and nothing else of chance' says L6R-tiny-seed1/cluster.phi.json '--seed 0'
ok 'the rest as the run has it' says L6R-tiny-seed1/train '--lambda 1e-2'
ok 'labels as the figure has them' says fig3-layers-half/plot "--labels 'Layer 0|Layer 3|Layer 6'"
every() { [ "$(grep -c -- '--target' $T/lines)" -gt 0 ] && says claims/converge.json '--seeds 0,1' &&
    [ "$(awk -F ' : ' '$1 ~ /claims\/converge.json$/ {print split($4, w, " ")}' $T/table)" = 32 ]; }
ok 'all of it is compared: 4 figures, 4 shares, 2 seeds' every
one() { mk contract >$T/one && ! grep -q seed1 $T/one; }
ok 'one seed: no other runs' one
no_snapshot() { ! grep -q -- '-half/train\|-half/normalise' $T/table; }
ok 'a snapshot trains nothing' no_snapshot
half_run() { # no snapshot: its own training, half as long
    mk HALF=run contract >$T/table && mk HALF=run -n -B drawn 2>/dev/null >$T/lines && reads L6R-tiny-half/cooccur L6R-tiny-half/train L6R-tiny-half/collect.heldout &&
        says L6R-tiny-half/train '--steps 10' && says L6R-tiny-half/train '--lr-decay 2' && says L6R-tiny-half/train '--snapshots 0' &&
        says L6R-tiny/train '--steps 20' && says L6R-tiny-quarter/snapshot '--at quarter' && says claims/converge.json '--half run'
}
ok 'HALF=run: half the steps as a run of its own' half_run
ok 'another HALF' fails 2 "no HALF 'own'" mk HALF=own contract
ok 'no seeds' fails 2 'SEEDS=0: hint: 1 to 10' mk SEEDS=0 contract
ok 'too many seeds' fails 2 'SEEDS=11: hint: 1 to 10' mk SEEDS=11 contract
echo "1..$n"
