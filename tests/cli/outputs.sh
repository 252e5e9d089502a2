#!/bin/sh
# outputs.sh - --out on the command line: what is not the program's own earlier output stays.
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
B=$PWD/build/bin
. tests/tap.sh
J=tests/fixtures/chart
plot() { "$B"/plot --kind frequency --in "$J"/evaluate_L0R_0.json --out "$@"; }
train() { "$B"/train --in "$T"/rows.safetensors $jumprelu --width 32 --batch 64 --steps 20 --lambda 1e-3 --epsilon 0.05 --lambda-warmup 5 --lr 1e-3 --lr-warmup 5 --out "$@"; }
rows() {
    "$B"/tokenize --model inputs/models/qwen2-8l-zh-en --corpus inputs/corpus/en/debmake-doc.jsonl.zst --max-tokens 300 --out "$T"/tok.safetensors &&
        "$B"/collect --tokens "$T"/tok.safetensors --model inputs/models/qwen2-8l-zh-en --sites L0R --context 64 --out "$T"/acts.safetensors &&
        "$B"/normalise --in "$T"/acts.safetensors --site L0R --norm unit --seed 0 --out "$T"/rows.safetensors
}
ok "rows to train on" rows
stays() { # PROGRAM PATH TEXT - refused with TEXT, and all under $T/w is as it was
    find "$T"/w | sort >"$T"/before
    fails 1 "$3" "$1" "$2" || return 1
    grep -q '^hint: ' "$T"/out || { echo 'no hint'; return 1; }
    find "$T"/w | sort | diff "$T"/before - && [ "$(cat "$T"/w/thesis/chapter "$T"/w/file)" = "$(printf 'years\nof work')" ]
}
mkdir -p "$T"/w/thesis "$T"/w/d.saemill-part
echo years >"$T"/w/thesis/chapter
echo 'of work' >"$T"/w/file
echo x >"$T"/w/d.saemill-part/x
mkfifo "$T"/w/pipe
ln -s thesis "$T"/w/link
[ "$(id -u)" = 0 ] && mknod "$T"/w/null c 1 3 2>/dev/null
for p in plot train; do
    ok "$p: a folder of other files" stays $p "$T"/w/thesis 'no marker'
    ok "$p: a file" stays $p "$T"/w/file 'exists and is no folder'
    ok "$p: a pipe" stays $p "$T"/w/pipe 'exists and is no folder'
    ok "$p: a link to a folder" stays $p "$T"/w/link 'is a link'
    ok "$p: somebody's folder at the name of an unfinished one" stays $p "$T"/w/d 'no marker'
    [ -c "$T"/w/null ] && ok "$p: a device" stays $p "$T"/w/null 'exists and is no folder'
    here() { (cd "$T"/w/thesis && J=$OLDPWD/$J && stays $p "$1" 'stands in'); }
    ok "$p: the folder one stands in" here .
    ok "$p: the folder above" here ..
done
again() { plot "$T"/w/new && plot "$T"/w/new && mkdir "$T"/w/empty && plot "$T"/w/empty && diff -r "$T"/w/new "$T"/w/empty; }
ok "nothing there, an empty folder, its own output: written" again
annotated() { echo note >"$T"/w/new/note && fails 1 'note, which plot did not write' plot "$T"/w/new && [ -s "$T"/w/new/note ]; }
ok "its own output with a note in it" annotated
other() { fails 1 'no marker of an earlier train' train "$T"/w/empty; }
ok "another program's output" other
input() { # nor is what it reads
    cp inputs/corpus/en/debmake-doc.jsonl.zst "$T"/a.jsonl.zst && ln "$T"/a.jsonl.zst "$T"/b.jsonl.zst
    for out in a b; do
        fails 2 'is what --corpus reads' "$B"/tokenize --model inputs/models/qwen2-8l-zh-en --corpus "$T"/a.jsonl.zst --out "$T"/$out.jsonl.zst || return 1
    done
    fails 2 'is what --in reads' "$B"/normalise --in "$T"/acts.safetensors --site L0R --norm unit --seed 0 --out "$T"/acts.safetensors && [ -s "$T"/acts.safetensors ]
}
ok "an input is no output" input
echo "1..$n"
