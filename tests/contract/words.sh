#!/bin/sh
# words.sh - what is said on make's command line: names that nothing reads, values that a shell or make would read wrongly,
# choices that are not there; checkouts and inputs with odd names. Toy stages, as in reruns.sh.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=build/tmp/words.$$
trap 'rm -rf $T' EXIT
mkdir -p $T/bin $T/in || exit 1
. tests/tap.sh
mk() { make --no-print-directory SCALE=tiny RESULTS=$T/results FIGURES=$T/figures STAGE_BIN=$T/bin "$@"; }
aiaa() { mk PAPER=aiaa5047 "$@"; }
refused() { fails 2 "$@" && [ ! -e $T/results ] && [ ! -e $T/figures ]; } # TEXT COMMAND… - before anything ran
for p in stages/*.c; do
    p=$(basename $p .c)
    cp tests/contract/toy.inc $T/bin/$p && chmod +x $T/bin/$p
done

# ---- names ----
ok 'a typo in a parameter: the nearest is named' refused "no parameter 'stepss': did you mean 'steps'?" mk figures stepss=3
ok 'two letters swapped' refused "no parameter 'perplexiyt': did you mean 'perplexity'?" aiaa plan perplexiyt=3
ok 'a typo in a setting' refused "no parameter 'MODLE': did you mean 'MODEL'?" aiaa figures MODLE=x
ok 'in a run' refused "did you mean 'L6R-tiny.lambda'?" aiaa figures L6-tiny.lambda=3
ok 'in an instance' refused "did you mean 'cluster.phi.k'?" aiaa figures cluster.phy.k=3
ok 'in a launcher' refused "did you mean 'LAUNCH.train'?" aiaa figures LAUNCH.trian=nice
ok 'a name of the machinery is none' refused "no parameter 'targets'" aiaa figures targets=x
ok 'a name with odd letters' refused "no parameter 'a;b'" aiaa figures "a;b=3"
known() { for w in steps=30 L6R-tiny.steps=30 train.steps=30 L6R-tiny.train.steps=30 fig3.title=x LAUNCH.train=nice aside.train= main=L3R-tiny THREADS=2 MORE_CFLAGS=-g; do aiaa -n drawn "$w" >$T/out 2>&1 || { cat $T/out; return 1; }; done; }
ok 'every kind of name that is read' known
other() { fails 0 "no run of aiaa5047 reads 'walks' (one of latentwalk does)" aiaa -n drawn walks=3; }
ok "another paper's parameter: a word, and no refusal" other
each() { mk -n figures mlp-tiny.walks=3 L6R-tiny.k=3 >$T/out 2>&1 && ! grep saemill: $T/out; }
ok "without PAPER: each paper's own names" each

# ---- choices ----
for v in '' 'aiaa5047 latentwalk' nosuch ../x % aiaa5047/; do
    ok "PAPER='$v'" refused "hint: PAPER is one of aiaa5047 latentwalk" mk help PAPER="$v"
done
for v in '' 'tiny demo' nosuch ../x % ../aiaa5047/tiny; do
    ok "SCALE='$v'" refused 'hint: SCALE is one of demo paper tiny' aiaa help SCALE="$v"
done
for v in x 1.5 -1 '1 2' '' '2;'; do
    for s in SLOTS N FUZZ_SECONDS; do ok "$s='$v'" refused "$s is no whole number" aiaa plan $s="$v"; done
done
ok 'THREADS=many' refused 'THREADS is no whole number' aiaa figures THREADS=many

# ---- nothing in a value is executed ----
X=$T/executed
harmless() { # NAME - in none of these values; `make` may refuse them or take them as they are
    for v in ";touch $X" "\$(touch $X)" "\$(shell touch $X)" "\`touch $X\`" "'; touch $X; '" "\"; touch $X; \"" "x
touch $X" "|touch $X" "&touch $X"; do
        aiaa $2 "$1=$v" >$T/out 2>&1 </dev/null
        rc=$?
        [ ! -e $X ] && [ $rc = 2 ] || { echo "$1=$v: exit $rc"; cat $T/out; return 1; }
    done
}
for v in MODEL CORPUS RESULTS FIGURES PARAMS STAGE_BIN B PAPER SCALE; do ok "$v" harmless $v plan; done
ok CC harmless CC programs
ok PYTHON harmless PYTHON help
ok N harmless N recheck
ok T harmless T why
ok 'in.train' harmless in.train plan
environment() { env "MODEL=\$(shell touch $X)" "MORE_CFLAGS=;touch $X" make -n SCALE=paper CORPUS=mk drawn >$T/out 2>&1; rc=$?; cat $T/out; [ ! -e $X ] && [ $rc = 2 ]; }
ok 'nor from the environment' environment
t_odd() { fails 2 "no target is called 'a;b%\"'" aiaa why T='a;b%"'; }
ok 'a target of no such name' t_odd
parameter() { aiaa -n drawn "title=a;b|c*?&(d)~" | grep -qF -- "--title 'a;b|c*?&(d)~'"; }
ok 'a parameter with odd characters stands in quotes' parameter
launched() { # words split at blanks, none of them read by a shell
    printf '#!/bin/sh\necho "$1 $2" >>%s/launched\nshift 2\nexec "$@"\n' $T >$T/launcher && chmod +x $T/launcher
    aiaa $T/results/tiny/aiaa5047/L0R-tiny/tokenize.train.safetensors LAUNCH.tokenize="$T/launcher --gpus='1; touch#" &&
        grep -qxF -- "--gpus='1; touch#" $T/launched
}
ok 'a launcher is words, for no shell' launched
rm -rf $T/results

# ---- paths ----
# Each of these in a path works, or is refused by name; what works is made, and made only once.
path() { # CHARACTER WORKS
    folder="$T/in/a$1b"
    mkdir -p "$folder" && echo '{}' >"$folder/config.json" && echo text >"$folder/zh.txt" || return 1
    for v in MODEL CORPUS RESULTS; do
        at=$T/results
        [ $v = RESULTS ] && at=$folder
        if [ "$2" = yes ]; then
            for turn in 1 2; do
                rm -f $T/ran.log
                aiaa $v="$folder" $at/tiny/aiaa5047/L0R-tiny/tokenize.train.safetensors || return 1
            done
            [ ! -e $T/ran.log ] || { echo "$v: made again"; return 1; }
        else
            aiaa $v="$folder" plan >$T/out 2>&1
            rc=$?
            cat $T/out
            [ $rc = 2 ] && grep -qF "hint: " $T/out && grep -qF -e "$v holds $1 which" -e "$v: no file or folder" -e "$v holds a blank" $T/out || return 1
        fi
        rm -rf $T/results "$folder/tiny" "$folder/store"
    done
    rm -rf "$T/in/"*
}
for c in + , - . @ ^ _ é 字; do ok "a path with $c works" path "$c" yes; done
for c in ' ' "'" '"' '#' '$' '%' '&' '(' ')' '*' ':' ';' '<' '=' '>' '?' '[' ']' '{' '}' '\' '`' '|' '~' '!'; do
    case $c in '#') shown=hash ;; *) shown=$c ;; esac # a # would begin a remark in TAP
    ok "a path with $shown is refused" path "$c" no
done
in_folder() { # a corpus file with a blank, or another odd character, in its name
    mkdir -p $T/in/zh && echo text >"$T/in/zh/$1" && fails 2 "$2" aiaa plan CORPUS=$T/in/zh
    rc=$?
    rm -rf $T/in/zh
    return $rc
}
ok 'a file of a corpus with a blank' in_folder 'a b.txt' 'CORPUS: a name in '
ok 'a file of a corpus with a bracket' in_folder 'a(1).txt' 'CORPUS holds ('
ok 'no such corpus' fails 2 'CORPUS: no file or folder nosuch' aiaa plan CORPUS=nosuch
checkout() { # everything in make is relative, so a checkout may be called anything
    d="$T/a b'\"\$;#&:=%~*ü(x)\`|<>\\!?[]{}"
    mkdir -p "$d" && cp -r Makefile mk params paper "$d/" || return 1
    for f in lib kernels stages tests inputs build; do ln -s "$PWD/$f" "$d/$f"; done
    top=$PWD
    (cd "$d" && make SCALE=tiny PAPER=aiaa5047 RESULTS=r FIGURES=f STAGE_BIN=bin figures 2>&1) && return 1 # no such programs
    cp -r $T/bin "$d/bin" &&
        (cd "$d" && for goal in figures plan audit recheck gc; do make SCALE=tiny PAPER=aiaa5047 RESULTS=r FIGURES=f STAGE_BIN=bin $goal || exit 1; done)
}
ok 'a checkout of any name' checkout

ok 'a path that looks like an option' fails 2 'RESULTS begins with -' aiaa plan RESULTS=-rf

# ---- a failed memo is a failed make ----
mkdir -p $T/bad/tiny/aiaa5047/L0R-tiny && echo not a folder >$T/bad/store && : >$T/bad/tiny/aiaa5047/L0R-tiny/tokenize.train.safetensors
for goal in figures drawn plan 'why T=L0R-tiny/tokenize.train' recheck gc audit; do ok "store is no folder: $goal" fails 2 '' aiaa RESULTS=$T/bad $goal; done
nothing() { fails 2 'nothing is made yet' aiaa recheck; }
ok 'recheck of nothing' nothing
echo "1..$n"
