#!/bin/sh
# limits.sh - programs under the limits of a shell or batch system, readers that leave, and hostile names in messages.
T=build/tmp/cli_limits
B=build/bin
M=inputs/models/qwen2-8l-zh-en
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
tokenize() { $RUN $B/tokenize --model $M --corpus inputs/corpus/zh/debmake-doc.jsonl.zst --max-tokens-per-group 2000 --out "$@"; }
collect() { $RUN $B/collect --tokens $T/tok.safetensors --model $M --sites L0R --context 64 --out "$@"; }
normalise() { $RUN $B/normalise --in $T/acts.safetensors --site L0R --norm unit --seed 0 --out "$@"; }
train() { $RUN $B/train --in $T/rows.safetensors $jumprelu --width 64 --batch 64 --steps 10 --lambda 1e-3 --lambda-warmup 2 --lr 1e-3 \
        --lr-warmup 2 --epsilon 0.05 --theta-init 0.1 --out "$@"; }
cooccur() { $RUN $B/cooccur --sae $T/sae --data $T/acts.safetensors --site L0R --chunk-tokens 2 --chunks-per-group 0 --out "$@"; }
cluster() { $RUN $B/cluster --in $T/fires.safetensors --affinity phi --k 2 --out "$@"; }
stages='tokenize collect normalise train cooccur cluster'
made() {
    tokenize $T/tok.safetensors && collect $T/acts.safetensors && normalise $T/rows.safetensors && train $T/sae &&
        cooccur $T/fires.safetensors && cluster $T/lobes.json
}
ok 'something to work on' made

small() ( ulimit -f 1 && "$@" )
file_size() { for s in $stages; do fails 1 'cannot write: File too large' small $s $T/none && grep -q '^hint: .*ulimit -f' $T/out || return 1; done; }
ok 'ulimit -f: a line and a hint, nothing left' file_size

# What make left open counts too; a corpus file in turn with another is two at once.
open_files() { fails 1 'Too many open files' few && grep -q '^hint: .*ulimit -n' $T/out; }
few() ( exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- && ulimit -n 4 && tokenize $T/none --corpus inputs/corpus/zh/debian-faq-zh-cn.jsonl.zst )
ok 'ulimit -n: a line and a hint' open_files

# Two threads of OpenBLAS, one of which asks for its buffer before main: on any machine the same.
RUN='timeout 20'
narrow() ( ulimit -v $1 && shift && OPENBLAS_NUM_THREADS=2 OMP_NUM_THREADS=2 "$@" )
address_space() { for s in train cooccur cluster; do fails 1 'the address space is limited to 102 MB' narrow 100000 $s $T/none && grep -q '^hint: .*ulimit -v' $T/out || return 1; done; }
ok 'ulimit -v too small for OpenBLAS: a line, no hang' address_space
enough() { narrow 450000 train $T/sae2 && diff -r $T/sae $T/sae2 && narrow 450000 cluster $T/lobes2.json && cmp $T/lobes.json $T/lobes2.json; }
ok 'ulimit -v that suffices: the same bytes' enough
in_between() { # wherever it falls: the result, or one line and nothing
    for v in 90000 330000 342000 348000 352000 360000; do
        for s in train cluster; do
            rm -rf $T/some
            narrow $v $s $T/some >$T/out 2>&1
            rc=$?
            cat $T/out
            [ $rc = 0 ] && [ -e $T/some ] || { [ $rc = 1 ] && [ ! -e $T/some ] && grep -q "^$s: " $T/out; } || { echo "$s at $v: status $rc"; return 1; }
        done
    done
}
ok 'ulimit -v in between: the result or a line' in_between
threads() { fails 1 'cannot start 4096 threads' narrow 450000 normalise $T/none --threads 4096 && grep -q '^hint: --threads [0-9]* fits' $T/out; }
ok 'threads that cannot be had' threads
RUN=

reader_left() { { sleep 0.3; train $T/sae3; } 2>&1 | : && diff -r $T/sae $T/sae3; }
ok 'a reader of the messages that leaves: the result is there' reader_left

help() {
    for p in $B/*; do
        fails 1 'standard output: cannot write' full $p && $p --help | head -1 | grep -q "^${p##*/} - " || { echo $p; return 1; }
    done
}
full() { "$1" --help >/dev/full; }
ok '--help that cannot be written' help

odd=$(printf 'no\nsuch\033[2J\302\205 模型')
hostile() { fails 1 '/no\nsuch\x1b[2J\xc2\x85 模型: ' $B/normalise --in "$T/$odd" --site x --norm unit --out $T/none; }
ok 'a name with control characters' hostile
echo "1..$n"
