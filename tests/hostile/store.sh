#!/bin/sh
# store.sh - damage in the content store: it is noticed, said, and mended; and what is not the store's is left alone.
#
# Each case starts from a whole build; SEED draws the bits. What must hold:
#   a stage that cannot read a damaged artifact exits 1 and says so; memo then moves the artifact, and what its receipts say was made
#   from it, to store/quarantine; the next `make figures` makes them again, byte for byte as they were;
#   `make audit` sees an artifact whose date changed, a link that leads elsewhere, what is missing; `make audit DEEP=1` sees every
#   flipped bit; both say `make heal`, after which `make figures` gives the same bytes;
#   an empty or garbled receipt is made again and stops no run;
#   files that no program of ours put into the store stay, whatever is asked for, and so does what a planted link leads to.
. tests/hostile/lib.sh
H=$T/results/tiny/latentwalk/mlp-tiny
S=$T/results/store
damages=0

again() { # the whole build, as at first
    rm -rf "$T/results" "$T/figures" && cp -a "$T/whole/results" "$T/whole/figures" "$T"
    damages=$((damages + 1))
}
same() { # as at first, and in order
    equal whole >"$T/diff" && deep_clean && return 0
    head -3 "$T/diff" "$T/audit"
    return 1
}
remade() { build && same; }
with_date_kept() { # with_date_kept FILE COMMAND… - COMMAND changes FILE, whose date and mode stay
    f=$1
    shift
    cp -p "$f" "$T/date" && chmod u+w "$f" && "$@" && touch -r "$T/date" "$f" && chmod --reference="$T/date" "$f"
}
notices() { # notices TEXT WORDS… - make audit WORDS finds something: a line with TEXT, and the hint
    text=$1
    shift
    mk audit "$@" >"$T/audit" 2>&1 && { echo "make audit $* finds nothing"; return 1; }
    grep -qF -- "$text" "$T/audit" && grep -q '^hint: .*make heal' "$T/audit" || { echo "want: $text, hint: … make heal …"; cat "$T/audit"; return 1; }
}
healed() { mk heal >"$T/log" 2>&1 || { tail -3 "$T/log"; return 1; } && remade; }
name_in_store() { basename "$(readlink "$1")"; }

whole() { build && mkdir "$T/whole" && cp -a "$T/results" "$T/figures" "$T/whole"; }
ok 'the tiny pipeline, undisturbed' whole

# ---- damage that a stage meets ----

cannot_read() { # cannot_read ARTIFACT FILE WORDS… -- COMMAND… - FILE of ARTIFACT is damaged; a stage that WORDS bring about reads it
    artifact=$1 file=$2 words=$3
    shift 3
    again
    hex=$(name_in_store "$artifact")
    with_date_kept "$file" "$@" || return 1
    mk figures $words >"$T/log" 2>&1 && { echo "make figures $words says all is well"; return 1; }
    grep -E "^[a-z]*: .*($hex|${file#"$T/"})" "$T/log" >"$T/line" || { echo "no line names $file"; tail -5 "$T/log"; return 1; }
    find "$S/quarantine" -name "*$hex*" 2>/dev/null | grep -q . || { echo "$hex is not in $S/quarantine"; tail -5 "$T/log"; return 1; }
    [ ! -e "$S/cas/$hex" ] || { echo "$hex is still in the store"; return 1; }
    remade
}
weights=$H/train/sae_weights.safetensors
ok 'an artifact cut short: said, set aside, made again' \
    cannot_read "$H/collect.heldout.safetensors" "$H/collect.heldout.safetensors" walk-steps=21 truncate -s 9000 "$H/collect.heldout.safetensors"
ok 'a file in an artifact that is a folder, cut: the same' cannot_read "$H/train" "$weights" walk-steps=21 truncate -s 9000 "$weights"
ok 'a bit flipped in a header: the same' \
    cannot_read "$H/normalise.safetensors" "$H/normalise.safetensors" lr=2e-3 flip "$H/normalise.safetensors" 3 5
ok 'a JSON file emptied: the same' cannot_read "$H/evaluate.json" "$H/evaluate.json" nearest=9 truncate -s 0 "$H/evaluate.json"

# ---- damage that only an audit sees ----

seen() { # seen FILE OFFSET - a flipped bit, with the date of now: seen by the plain audit
    again
    f=$(realpath "$1")
    chmod u+w "$f" && flip "$f" "$2" 4 && notices "$(name_in_store "${3:-$1}")" && healed
}
unseen() { # unseen FILE OFFSET [ARTIFACT] - with its own date: seen by the deep one
    again
    f=$(realpath "$1")
    with_date_kept "$f" flip "$f" "$2" 4 && notices "$(name_in_store "${3:-$1}")" DEEP=1 && healed
}
ok 'a bit flipped and the date changed: make audit sees it, make heal mends it' seen "$H/collect.heldout.safetensors" 5000
ok 'a bit flipped and the date kept: make audit DEEP=1 sees it, make heal mends it' unseen "$H/collect.heldout.safetensors" 5000
ok 'a bit flipped in an artifact that is a folder: the same' unseen "$weights" 5000 "$H/train"
every_artifact() {
    find "$T/results/tiny" -type l | sort >"$T/links"
    while read -r l; do
        file=$l
        [ ! -d "$l" ] || file=$(find -L "$l" -type f ! -name ".*" | sort | head -1) # the marker is not of the content
        random "$(wc -c <"$file")"
        unseen "$file" "$r" "$l" || { echo "$file: bit 4 of byte $r"; return 1; }
    done <"$T/links"
}
[ ! "$LONG" ] || ok 'a bit flipped in every artifact in turn: the same' every_artifact
removed() {
    again
    rm -rf "$S/cas/$(name_in_store "$H/train")" && remade
}
ok 'an artifact removed: made again' removed
swapped() {
    again
    ln -sfn "$(readlink "$H/neighbours.json")" "$H/evaluate.json"
    notices "$H/evaluate.json" && healed
}
ok 'a link that leads to another artifact: make audit sees it, make heal mends it' swapped
dangling() {
    again
    ln -sfn ../../../store/cas/00000000000000000000000000000000 "$H/evaluate.json" && remade
}
ok 'a link to nothing: made again' dangling

# ---- receipts ----

garbled() { # garbled TEXT FILE… - they hold TEXT only
    text=$1
    shift
    again
    for f in "$@"; do chmod u+w "$f" && printf %s "$text" >"$f"; done
    { build || build; } && mk figures nearest=9 >"$T/log" 2>&1 && remade
}
ok 'receipts emptied: made again' garbled '' "$H/evaluate.json.rec" "$H/train.rec"
ok 'receipts of garbage: made again' garbled 'memo 1
in /dev/zero' "$H/evaluate.json.rec" "$H/train.rec"
ok 'recorded commands emptied: made again' garbled '' "$H/evaluate.json.cmd" "$H/train.cmd"
all_keys() { # all_keys TEXT - what the store knows about keys, garbled, with a stage that asks for one
    again
    rm -f "$H/evaluate.json" "$H/train"
    for f in "$S"/ac/*; do chmod u+w "$f" && printf %s "$1" >"$f"; done
    remade
}
ok 'every key of the store emptied: made again' all_keys ''
ok 'every key of the store garbled: made again' all_keys 'out ../../../../tmp'

# ---- what is not ours ----

foreign() { # files and folders that somebody put there stay, through figures, audit, heal and gc
    again
    for d in "$S" "$S/cas" "$S/ac" "$S/wip" "$S/inputs" "$S/times" "$S/lock"; do
        mkdir "$d/thesis" && echo mine >"$d/thesis/chapter" && echo mine >"$d/notes.txt" || return 1
    done
    find "$S" -name notes.txt -o -name chapter | sort >"$T/mine"
    build nearest=9 && mk audit nearest=9 >"$T/log" 2>&1 && mk gc WIP=1 >>"$T/log" 2>&1 && build || { tail -5 "$T/log"; return 1; }
    find "$S" -name notes.txt -o -name chapter | sort | diff "$T/mine" -
}
ok 'files planted in the store stay' foreign
planted() { # links in wip to a folder of mine: of some name, and of the key of a run that comes
    again
    mkdir -p "$T/mine.d/checkpoint" && echo mine >"$T/mine.d/out.json" && echo mine >"$T/mine.d/checkpoint/chapter" || return 1
    key=$(sed -n 's/^key //p' "$H/evaluate.json.rec")
    rm -rf "$S/cas/$(name_in_store "$H/evaluate.json")" "$S/ac/$key"
    ln -s "$T/mine.d" "$S/wip/$key" && ln -s "$T/mine.d" "$S/wip/00000000000000000000000000000000" || return 1
    { build || { rm -f "$S/wip/$key" && build; }; } && mk gc WIP=1 >"$T/log" 2>&1
    rc=$?
    [ "$(cat "$T/mine.d/out.json" "$T/mine.d/checkpoint/chapter" | tr '\n' ' ')" = 'mine mine ' ] || { echo 'what a planted link led to was touched'; return 1; }
    [ $rc = 0 ] && same
}
ok 'a link planted in wip: what it leads to stays' planted

echo "# store: $damages damaged stores, $n_bad of $n cases not as promised"
echo "1..$n"
