# lib.sh - read by the scripts in tests/hostile/ (". tests/hostile/lib.sh"): a scratch folder, both papers at SCALE=tiny in it, seeded
# chance, and what "equal byte for byte" means. A script runs small inside `make test` and long with LONG=1 (`make hostile`).
unset MAKEFLAGS MAKELEVEL MFLAGS
LC_ALL=C
OMP_NUM_THREADS=1 # no stage's bytes depend on it, and tiny stages are faster so
OPENBLAS_NUM_THREADS=1
export LC_ALL OMP_NUM_THREADS OPENBLAS_NUM_THREADS
LONG=${LONG:-}
T=$(mktemp -d "${TMPDIR:-/tmp}/saemill-hostile.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
trap 'exit 1' INT TERM HUP
. tests/tap.sh

mk() { # of one paper; PAPER chooses
    make --no-print-directory PAPER="${PAPER:-latentwalk}" SCALE=tiny RESULTS="$T/results" FIGURES="$T/figures" "$@"
}
build() { mk figures "$@" >"$T/log" 2>&1 || { tail -25 "$T/log"; return 1; }; }
one_run() { PAPER=aiaa5047 mk lobe-variants=phi "$@" L6R-tiny; } # the stages that latentwalk does not have

# random N: r is one of 0 … N-1. The same SEED, the same campaign.
state=${SEED:-20260101}
random() {
    state=$(((state * 1103515245 + 12345) % 2147483648))
    r=$((state / 8192 % $1))
}

change() { # change FILE OFFSET BYTE
    printf "\\$(printf %o "$3")" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
flip() { # flip FILE OFFSET BIT
    byte=$(od -An -tu1 -j"$2" -N1 "$1")
    change "$1" "$2" $((byte ^ (1 << $3)))
}

# The real command of every stage, a line each, with the paths of the build in $T and --out $out: what a person would paste.
commands() {
    { mk -n -B drawn; one_run -n -B; } | awk -v out="$out" '
        / --target / {
            split($0, part, " -- ")
            m = split(part[2], word, " ")
            line = ""
            for (i = 1; i <= m; i++) {
                w = word[i]
                sub(/^@(in|named)=/, "", w)
                if (w == "@O") w = out
                line = line (i > 1 ? " " : "") w
            }
            if (!seen[line]++) print line
        }'
}
programs() { commands | sort -s -u -k1,1; } # the first command of every program
name_of() { basename "${1%% *}"; }

# What a build left, without what may differ between two builds: how long things took.
keep() { # keep NAME - put the build in $T aside as NAME
    rm -rf "${T:?}/$1" && mkdir "$T/$1" && mv "$T/results" "$T/figures" "$T/$1"
}
equal() { # equal NAME - figures, artifacts, links and receipts are those of NAME, and there is no file besides
    diff -rq "$T/$1/figures" "$T/figures" || return 1
    (cd "$T/$1/results/tiny" && find . ! -type d | sort) >"$T/want.list"
    (cd "$T/results/tiny" && find . ! -type d | sort) >"$T/have.list"
    diff "$T/want.list" "$T/have.list" || return 1
    while read -r f; do
        a=$T/$1/results/tiny/$f b=$T/results/tiny/$f
        case $f in
        *.rec) [ "$(grep -v '^ms \|^sum ' "$a")" = "$(grep -v '^ms \|^sum ' "$b")" ] ;;
        *.cmd | *.raw) cmp -s "$a" "$b" ;;
        *) [ "$(readlink "$a")" = "$(readlink "$b")" ] && [ -e "$b" ] && diff -rq "$a" "$b" ;;
        esac || { echo "$f differs"; return 1; }
    done <"$T/want.list"
}
clean() { mk audit >"$T/audit" 2>&1 || { cat "$T/audit"; return 1; }; } # as recorded
deep_clean() { mk audit DEEP=1 >"$T/audit" 2>&1 || { cat "$T/audit"; return 1; }; }
