#!/bin/sh
# reruns.sh - partial reruns, on toy stages under the real declarations: an edit runs what it must and nothing else.
#
# The expected matrix is derived from `make contract` (use.* and in.* of every instance), not written down; a few rows of it
# are written down too, so that a wrong declaration does not pass by agreeing with itself.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=build/tmp/contract.$$
trap 'rm -rf $T' EXIT
mkdir -p $T/bin || exit 1
cp -r params $T/params
echo --norm >$T/dull.normalise
H=$T/results/tiny/aiaa5047
n=0
mk() { make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/results FIGURES=$T/figures STAGE_BIN=$T/bin PARAMS=$T/params "$@"; }
ok() { # ok NAME COMMAND… - one case
    name=$1
    shift
    n=$((n + 1))
    if "$@" >$T/said 2>&1; then echo "ok $n - $name"; else
        echo "not ok $n - $name"
        sed 's/^/# /' $T/said | tail -25
    fi
}
ran() { # what ran since the last call is this: "3 tsne 1 page", sorted by name
    got=$(sort $T/ran.log 2>/dev/null | uniq -c | awk '{printf "%s%s %s", (NR > 1 ? " " : ""), $1, $2}')
    rm -f $T/ran.log
    [ "$got" = "$1" ] || { echo "ran: $got" "want: $1"; return 1; }
}
says() { # says TEXT COMMAND… - whatever its exit status
    text=$1
    shift
    "$@" >$T/out 2>&1
    grep -qF -- "$text" $T/out || { echo "want: $text"; echo "got:"; cat $T/out; return 1; }
}
fails() { status=$1; shift; "$@"; rc=$?; [ $rc = $status ] || { echo "exit $rc, want $status"; return 1; }; }
main_memo() { build/bin/memo --store $T/store "$@"; }
mk contract | tail -n +1 >$T/table
for p in $(awk -F ' : ' '{split($2, w, " "); sub(/\..*/, "", w[2]); print w[2]}' $T/table | sort -u) page; do
    cp tests/contract/toy.inc $T/bin/$p && chmod +x $T/bin/$p
done
mk -n drawn -B 2>/dev/null | grep -o -- '--target [^ ]*' | cut -d' ' -f2 | sort -u >$T/wanted
of() { grep -c "/$1[^/]*\$" $T/wanted; } # of STAGE - how many targets of it the figures need

# ---- a first build, and then nothing ----
first_build() { mk figures && ran "$(of cluster) cluster 2 collect 1 converge 12 cooccur 3 evaluate $(of lobes) lobes 3 normalise 1 page $(of plot) plot 9 snapshot 2 tokenize 3 train $(of tsne) tsne 1 umap"; }
ok 'first build: every distinct piece of work once, shared by the runs' first_build
nothing() { mk figures "$@" && ran '' && mk -q drawn "$@"; }
ok 'second build: nothing executes, make -q agrees' nothing
ok 'audit after a build finds nothing' says ', all as recorded' mk audit

# ---- the matrix ----
# format is refused on the command line: FORMAT= sets it, see tests/cli/formats.sh
params=$(awk -F ' : ' '{n = split($3, p, " "); for (i = 1; i <= n; i++) seen[p[i]] = 1} END {for (i in seen) if (i != "format") print i}' $T/table | sort)
closure() { # targets that read parameter $1 (in run $2 if given), and all that is made from them
    awk -F ' : ' -v p="$1" -v run="$2" '
        {split($2, w, " "); t[NR] = $1; from[NR] = " " $4 " "; if ((" " $3 " ") ~ (" " p " ") && (!run || w[1] == run)) hit[$1] = 1}
        END {do {more = 0; for (i = 1; i <= NR; i++) if (!(t[i] in hit)) for (h in hit) if (index(from[i], " " h " ")) {hit[t[i]] = 1; more = 1; break}} while (more)
             for (h in hit) print h}' $T/table | sort
}
listed() { mk -n "$@" drawn | grep -o -- '--target [^ ]*' | cut -d' ' -f2 | sort -u; }
row() { # parameter, value
    closure $1 | comm -12 - $T/wanted >$T/expected
    listed "$1=$2" >$T/got
    [ -s $T/expected ] && diff $T/expected $T/got
}
for p in $params; do ok "matrix: $p" row $p ZZZ; done
row_of_run() { closure lambda L3R-tiny | comm -12 - $T/wanted >$T/expected; listed L3R-tiny.lambda=5 >$T/got; [ -s $T/expected ] && diff $T/expected $T/got; }
ok 'matrix: lambda of one run' row_of_run
stages_of() { listed $1=ZZZ | sed 's|.*/||; s/\..*//' | sort -u | tr '\n' ' '; }
written() { [ "$(stages_of $1)" = "$2 " ] || { stages_of $1; return 1; }; }
ok 'written down: perplexity' written perplexity 'converge page plot tsne'
ok 'written down: k' written k 'cluster converge lobes page plot'
ok 'written down: permutations' written permutations 'converge lobes page plot'
ok 'written down: lambda' written lambda 'cluster converge cooccur evaluate lobes page plot snapshot train tsne umap'
ok 'written down: context' written context 'cluster collect converge cooccur evaluate lobes normalise page plot snapshot train tsne umap'
ok 'written down: snapshots' written snapshots 'cluster converge cooccur evaluate lobes page plot snapshot train tsne umap'
outside() { [ -z "$(listed THREADS=3 LAUNCH.train=nice SLOTS=4)" ] && [ -z "$(perplexity=77 listed)" ]; }
ok 'threads, launcher, slots and the environment rerun nothing' outside

# ---- edits, reverts, equal results ----
edits="1 converge 1 page $(closure perplexity | comm -12 - $T/wanted | grep -c '/plot$') plot $(of tsne) tsne"
edit() { mk figures perplexity=50 && ran "$edits" && grep -q 'perplexity 50' $(mk contract | awk '/L6R-tiny tsne/{print $1}'); }
ok 'one perplexity edit runs t-SNE, its plots and the page' edit
ok 'putting it back executes nothing' nothing
plan_edit() { says "0 restored, $(of tsne) must run now, " mk plan perplexity=51 && ran '' && says '0 restored, 0 must run now' mk plan; }
ok 'plan of an edit: what must run, what waits; nothing is touched' plan_edit
plan_restore() { says " restored, 0 must run now, 0 wait" mk plan perplexity=50 && ran '' && mk figures && ran ''; }
ok 'plan of a known value: restored' plan_restore
why_edit() { says '> --perplexity 51' mk why T=L6R-tiny/tsne perplexity=51 && says '< --perplexity 10' mk why T=L6R-tiny/tsne perplexity=51 && says 'nothing changed' mk why T=L6R-tiny/tsne; }
ok 'why shows old and new words' why_edit
dull() { mk figures norm=sqrt_d && ran "3 normalise $(of plot) plot"; }
ok 'an edit with equal results stops there (plots run: they show the lineage)' dull
restored() { rm -rf $T/results/tiny && mk figures && ran ''; }
ok 'results/ removed: all restored from the store' restored
blob() { rm -rf $T/results/store/cas/* && mk $H/L6R-tiny/tsne.json && [ -s $H/L6R-tiny/tsne.json ] && mk figures; }
ok 'artifacts removed: dangling links are remade, not believed' blob
program() { rm -f $T/ran.log; echo '# another program' >>$T/bin/tsne && mk figures && ran "$(of tsne) tsne"; }
ok 'a changed program reruns its stage, equal results cut off the rest' program
touched() { touch $T/bin/tsne $H/../../store && mk figures && ran ''; }
ok 'a program with a new date and the same code executes nothing' touched

# ---- failure, kill, resume ----
failing() { echo 5 >$T/fail.lobes; mk -k figures k=3; rc=$?; rm -f $T/fail.lobes; [ $rc = 2 ] && mk -n k=3 drawn | grep -q 'target [^ ]*lobes.phi.json'; }
ok 'a failing stage stops make and stays out of date' failing
recovered() { mk figures k=3 && mk -q drawn k=3 && mk figures; }
ok 'and is made by the next make' recovered
kill_all() { # start a build whose training takes long; kill -9 every process of it
    rm -f $T/ran.log
    echo 20 >$T/slow.train
    setsid sh -c 'echo $$ >'$T'/group; exec make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS='$T'/results FIGURES='$T'/figures STAGE_BIN='$T'/bin PARAMS='$T'/params drawn lambda=7' >$T/killed 2>&1 &
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do grep -q train $T/ran.log 2>/dev/null && break; sleep 0.2; done
    sleep 0.3
    kill -9 -"$(cat $T/group)"
    wait
    rm -f $T/slow.train
    grep -q train $T/ran.log && ! find $T/results/tiny $T/figures -name '*.part*' -o -name '*.saemill-*' | grep -q . && [ -n "$(find $T/results/store/wip -name 'out.part')" ] &&
        for t in $H/*/train; do [ -s $t/cfg.json ] || return 1; done
}
ok 'kill -9 leaves no half target' kill_all
resumed() { rm -f $T/ran.log; mk figures lambda=7 && grep -q 'train resumed' $T/ran.log && mk -q drawn lambda=7 && [ -z "$(ls $T/results/store/wip)" ]; }
ok 'the next make resumes from the checkpoint and clears up' resumed
other() { # the checkpoint of one parameter value is not seen by another
    rm -f $T/ran.log
    echo 3 >$T/fail.train
    mk drawn lambda=8
    rm -f $T/fail.train $T/ran.log
    mk figures lambda=9 && ! grep -q resumed $T/ran.log && [ -n "$(ls $T/results/store/wip)" ]
}
ok 'another value does not resume it' other
term() { # SIGTERM to memo reaches the stage; the target stays absent
    echo 20 >$T/slow.tsne
    rm -f $T/ran.log
    main_memo --target $T/term.json -- $T/bin/tsne --out @O &
    pid=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do [ -s $T/ran.log ] && break; sleep 0.1; done
    kill -TERM $pid
    wait $pid
    rc=$?
    rm -f $T/slow.tsne
    [ $rc = 143 ] && [ ! -e $T/term.json ] && [ ! -L $T/term.json ]
}
ok 'SIGTERM reaches the stage; no target' term
status() { echo 4 >$T/fail.tsne; main_memo --target $T/s.json -- $T/bin/tsne --out @O; rc=$?; rm -f $T/fail.tsne; [ $rc = 4 ] && [ ! -L $T/s.json ]; }
ok "memo exits with the stage's status" status
silent() { printf '#!/bin/sh\nexit 0\n' >$T/bin/silent && chmod +x $T/bin/silent && fails 1 main_memo --target $T/s.json -- $T/bin/silent --out @O && [ ! -L $T/s.json ]; }
ok 'a stage that writes nothing is an error' silent
moving() { # an input that changes while the stage runs: the result is not kept
    echo one >$T/moving
    printf '#!/bin/sh\necho two >>%s\necho done >"$2"\n' $T/moving >$T/bin/mover && chmod +x $T/bin/mover
    says 'changed while the stage ran' main_memo --target $T/m.txt -- $T/bin/mover --out @O --in @in=$T/moving && [ ! -L $T/m.txt ]
}
ok 'an input that changes during the run: result refused' moving
full() { # no byte more can be written: no target, no receipt
    (ulimit -f 0 && main_memo --target $T/full.json -- $T/bin/tsne --out @O)
    [ $? != 0 ] && [ ! -L $T/full.json ] && [ ! -s $T/full.json.cmd ]
}
ok 'a disk that takes nothing: no target' full

# ---- audit, gc, recheck ----
mk figures >/dev/null 2>&1
stale() { ln -sfn ../../../store/cas/$(ls $T/results/store/cas | head -1) $H/L6R-tiny/train; mk audit >$T/out; rc=$?; [ $rc = 2 ] && grep -q '^DAMAGED.*L6R-tiny/train' $T/out && grep -q '^STALE.*cooccur' $T/out; }
ok 'audit names a swapped link and what was made from the other' stale
healed() { mk heal && mk figures && says 'all as recorded' mk audit; }
ok 'and make restores it' healed
changed() { says 'its command is no longer the recorded one' fails 2 mk audit k=3; }
ok 'audit names targets whose command changed' changed
damage() { f=$(find $T/results/store/cas -type f | head -1); chmod 644 $f; echo x >>$f; says DAMAGED fails 2 mk audit DEEP=1; rc=$?; rm -rf $T/results/store/cas $T/results/store/ac; mk figures >/dev/null 2>&1; return $rc; }
ok 'audit DEEP=1 finds a damaged artifact' damage
collect() { mk figures perplexity=50 && mk figures && says 'bytes; ' mk gc && rm -f $T/ran.log && says 'all as recorded' mk audit && nothing && mk figures perplexity=50 && ran "$edits"; }
ok 'gc frees earlier results and nothing that is in use' collect
again() { says SAME mk recheck N=2; }
ok 'recheck runs stored stages again and compares' again
foreign_bytes() { printf '#!/bin/sh\ndate +%%N >"$2"\n' >$T/bin/clock && chmod +x $T/bin/clock && main_memo --target $T/clock.txt -- $T/bin/clock --out @O && says DIFFERENT fails 1 main_memo --mode check --target $T/clock.txt -- $T/bin/clock --out @O; }
ok 'recheck finds a stage that is not reproducible' foreign_bytes

# ---- declarations that are wrong ----
broken() { # TEXT SED-EXPRESSION FILE - stops with file, line and text
    cp -r params/. $T/params/
    sed -i "$2" $T/params/$3
    mk -n drawn >$T/out 2>&1
    rc=$?
    cp -r params/. $T/params/
    [ $rc = 2 ] && grep -Eq "^$T/params/$3:[0-9]+: .*$1" $T/out || { cat $T/out | tail -3; return 1; }
}
ok 'a key that no stage reads' broken "L0R-tiny: 'lambd' is no parameter" '/call sae/s/lambda/lambd/' aiaa5047/tiny.mk
ok 'a missing value in a run line' broken "L0R-tiny: no value for 'lambda' .stage train" '/call sae/s/lambda=[^ )]*//' aiaa5047/tiny.mk
ok 'an empty value' broken "L0R-tiny: 'lambda=' has no value" '/call sae/s/lambda=[^ )]*/lambda=/' aiaa5047/tiny.mk
ok 'a run declared twice' broken 'L0R-tiny: declared twice' '/call sae,L3R/s/L3R-tiny/L0R-tiny/' aiaa5047/tiny.mk
missing_default() {
    sed -i '/^perplexity/d' $T/params/defaults.mk $T/params/aiaa5047/tiny.mk
    mk -n drawn >$T/out 2>&1
    cp -r params/. $T/params/
    grep -Eq "^$T/params/aiaa5047/tiny.mk:[0-9]+: .*L0R-tiny: no value for 'perplexity' .stage tsne" $T/out || { cat $T/out; return 1; }
}
ok 'a missing default names the run that needs it' missing_default
no_model() { says 'say make MODEL=' make -n SCALE=paper drawn; }
ok 'SCALE=paper without MODEL says what to give' no_model
no_scale() { says 'SCALE is one of demo paper tiny' make -n SCALE=huge drawn; }
ok 'an unknown scale names those there are' no_scale

echo "1..$n"
