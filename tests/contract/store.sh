#!/bin/sh
# store.sh - what must not be believed and what must not be lost: changed inputs, damage, power cuts, kills, other people's files.
# Toy stages under the real declarations, as in reruns.sh; real stages that read damaged artifacts: tests/hostile/store.sh.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=build/tmp/store.$$
trap 'rm -rf $T' EXIT
mkdir -p $T/bin $T/corpus/zh $T/corpus/en $T/model || exit 1
H=$T/results/tiny/aiaa5047 S=$T/results/store F=$T/figures/tiny/aiaa5047
. tests/tap.sh
mk() { make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/results FIGURES=$T/figures STAGE_BIN=$T/bin MODEL=$T/model CORPUS="$T/corpus/zh $T/corpus/en" "$@"; }
ran() { # what ran since the last call, by name and number
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
echo '{}' >$T/model/config.json
echo zwei >$T/corpus/zh/a.txt
echo two >$T/corpus/en/a.txt
for p in tokenize collect normalise train snapshot evaluate cooccur cluster lobes tsne umap plot converge page; do
    cp tests/contract/toy.inc $T/bin/$p && chmod +x $T/bin/$p
done
ok 'a first build' mk figures
rm -f $T/ran.log
quiet() { mk figures && ran '' && mk -q drawn && says 'all as recorded' mk audit; }
ok 'a second one: nothing runs' quiet

# ---- inputs ----
older() { # another file in its place, as mv, cp -p, tar and rsync put it: older than the results, even of the same size
    echo zwo2 >$T/new && touch -d 2001-01-01 $T/new && mv $T/new $T/corpus/zh/a.txt
    says 'STALE' mk audit && mk figures && grep -q tokenize $T/ran.log && rm -f $T/ran.log && quiet
}
ok 'an input replaced by an older file is seen and remade' older
rewritten() { # in place, with its old date put back
    touch -r $T/corpus/en/a.txt $T/date && echo owt >$T/corpus/en/a.txt && touch -r $T/date $T/corpus/en/a.txt
    mk figures && grep -q tokenize $T/ran.log && rm -f $T/ran.log && quiet
}
ok 'an input rewritten under its old date likewise' rewritten
moved() { cp -p $T/corpus/zh/a.txt $T/new && mv $T/new $T/corpus/zh/a.txt && touch -d 2002-02-02 $T/model/config.json && mk figures && ran '' && quiet; }
ok 'the same content as another file, or under another date: looked at, nothing runs' moved

# ---- receipts ----
emptied() { # as a power cut leaves them
    for f in $H/L6R-tiny/tsne.json.rec $H/L0R-tiny/train.rec $H/index/page.html.cmd $H/tsne.json.raw; do [ ! -e $f ] || : >$f; done
    for f in $S/ac/*; do : >$f; break; done
    mk figures && rm -f $T/ran.log && quiet
}
ok 'emptied receipts, commands and action entries are made again' emptied
cut_off() { f=$H/L3R-tiny/collect.train.safetensors.rec && head -c 150 $f >$T/cut && mv $T/cut $f && mk figures && rm -f $T/ran.log && quiet; }
ok 'a receipt cut off likewise' cut_off
garbled() { # a bit that no first look sees: named, and mended
    sed -i 's/^ms /ms 9/' $H/L6R-tiny/train.rec
    says 'DAMAGED' mk audit && says 'make heal' mk audit && mk heal && mk figures && rm -f $T/ran.log && quiet
}
ok 'a garbled receipt: audit names it, heal removes it, make makes it again' garbled
garbled_2() { # the same without heal: the second make is well
    sed -i 's/^ms /ms 9/' $H/L6R-tiny/train.rec && mk drawn perplexity=44
    mk figures perplexity=44 && mk figures && rm -f $T/ran.log && quiet
}
ok 'or the make after the one that met it' garbled_2

# ---- damage in the store ----
blob() { readlink -f $H/$1; }
damage() { chmod 644 $1 && printf '#' | dd of=$1 conv=notrunc status=none; }
touched() {
    damage $(blob L6R-tiny/tsne.json)
    says 'DAMAGED' mk audit && says 'DAMAGED' mk figures && says 'hint: make heal' mk audit && says 'HEALED' mk heal &&
        mk figures && ran '1 converge 1 page 6 plot 1 tsne' && quiet
}
ok 'a changed artifact: audit and figures name it, heal and figures mend it and what came of it' touched
silent() { # a bit that changed by itself: no date tells
    f=$(blob L0R-tiny/evaluate.json) && damage $f && touch -d @1 $f
    says 'DAMAGED' mk audit DEEP=1 && mk heal && mk figures && rm -f $T/ran.log && quiet
}
ok 'a bit that flipped under the old date likewise' silent
on_hit() { # a restored result is looked at
    mk figures perplexity=50 && f=$(blob L6R-tiny/tsne.json) && mk figures && damage $f && touch -d @1 $f && rm -f $T/ran.log
    says 'damaged' mk drawn perplexity=50 && grep -q tsne $T/ran.log && mk figures && rm -f $T/ran.log && quiet
}
ok 'a damaged result is not restored' on_hit
gone() { mk gc && [ -z "$(ls $S/quarantine)" ] && quiet; }
ok 'gc frees what was put aside' gone

# ---- somebody else's files ----
strangers() {
    mkdir -p $T/home/inputs $T/home/cas && echo thesis >$T/home/inputs/thesis && echo x >$T/home/cas/x
    fails 1 'is no store' build/bin/gc --store $T/home --results $T/nothing && fails 1 'is no store' build/bin/audit --store $T/home &&
        fails 1 'is no store' build/bin/memo --store $T/home --target $T/none -- $T/bin/tsne --out @O &&
        [ -s $T/home/inputs/thesis ] && [ -s $T/home/cas/x ]
}
ok 'a folder without the marker is no store' strangers
in_store() {
    echo mine >$S/cas/mine && mkdir $S/ac/mine && echo mine >$S/wip/mine && echo mine >$S/inputs/mine
    says FOREIGN mk gc && [ -s $S/cas/mine ] && [ -d $S/ac/mine ] && [ -s $S/wip/mine ] && [ -s $S/inputs/mine ] && rm -r $S/*/mine && quiet
}
ok "somebody's files in a store are named and left alone" in_store
own_target() { # a result that somebody has put in a link's place
    rm $H/L6R-tiny/tsne.json && echo mine >$H/L6R-tiny/tsne.json && says 'not replaced' mk drawn perplexity=31 && says 'not replaced' mk -k drawn perplexity=31 &&
        [ "$(cat $H/L6R-tiny/tsne.json)" = mine ] && rm $H/L6R-tiny/tsne.json && mk figures && rm -f $T/ran.log && quiet
}
ok "somebody's file at a target stays" own_target
own_folder() {
    rm $H/L6R-tiny/train && mkdir $H/L6R-tiny/train && echo mine >$H/L6R-tiny/train/thesis && says 'not replaced' mk drawn lambda=3 &&
        [ -s $H/L6R-tiny/train/thesis ] && rm -r $H/L6R-tiny/train && mk figures && rm -f $T/ran.log && quiet
}
ok "somebody's folder at a target stays" own_folder
copied() { # results copied without their links: the same bytes, so links take their place again
    cp -rL $H/L6R-tiny/train $T/copy && rm $H/L6R-tiny/train && mv $T/copy $H/L6R-tiny/train && says FOREIGN mk audit && rm $H/L6R-tiny/train.cmd && mk figures &&
        [ -L $H/L6R-tiny/train ] && rm -f $T/ran.log && quiet
}
ok 'a copy of a result in its place gives way' copied
planted() { # a link in a working folder, to be written through
    mkdir -p $T/victim && echo mine >$T/victim/file && echo 4 >$T/fail.tsne
    mk -k drawn perplexity=41 >$T/out 2>&1
    w=$(sed -n 's/.*L6R-tiny.*working folder is kept: //p' $T/out | head -1) && rm -f $T/fail.tsne && ln -s ../../../../victim/file $w/out.json.saemill-part && ls -l $w &&
        says 'not followed' mk drawn perplexity=41 && rm -r $w && ln -s ../../../victim $w && says 'not used' mk drawn perplexity=41 &&
        [ "$(cat $T/victim/file)" = mine ] && [ "$(ls $T/victim)" = file ] && rm $w && mk gc WIP=1 && mk figures && rm -f $T/ran.log && quiet
}
ok 'a link planted in a working folder is not followed' planted

# ---- figures ----
edited() {
    echo annotated >$F/fig3.png && says 'CHANGED' mk audit && says 'kept as' mk figures && ran '' && [ "$(cat $F/changed/1-fig3.png)" = annotated ] &&
        cmp $F/fig3.png $H/fig3/plot/plot.png && echo again >$F/fig3.png && mk figures perplexity=33 && [ "$(cat $F/changed/2-fig3.png)" = again ] &&
        mk figures && [ "$(ls $F/changed | wc -l)" = 2 ] && rm -rf $F/changed $T/ran.log && quiet
}
ok 'a figure changed by hand: noticed, kept, drawn again' edited
edited_page() { echo '<p>mine' >>$F/index.html && says 'kept as' mk figures && grep -q mine $F/changed/1-index.html && ! grep -q mine $F/index.html && quiet; }
ok 'a page likewise' edited_page

# ---- leftovers ----
leftovers() {
    sleep 0 & dead=$!
    wait
    for f in $S/ac/0 $S/times/tsne $S/inputs/0 $H/L6R-tiny/tsne.json.rec $H/L6R-tiny/.tsne.json $F/fig3.png $F/.drawn/fig3.png; do echo x >$f.saemill-$dead; done
    echo x >$F/fig3.png.saemill-$$ # of a process that lives
    mkdir -p $S/wip/$(basename $(ls -d $S/ac/* | head -1)) && mk gc && [ -z "$(find $T/results $T/figures -name "*.saemill-$dead")" ] &&
        [ -z "$(ls $S/wip)" ] && [ -e $F/fig3.png.saemill-$$ ] && rm $F/fig3.png.saemill-$$ && quiet
}
ok 'gc sweeps what kills left, and nothing of a process that lives' leftovers

# ---- who may only read ----
reader() {
    R=$(mktemp -d) && chmod 755 $R && cp -a Makefile mk lib kernels stages params paper $R/ && mkdir -p $R/build/tmp $R/inputs $R/tests && cp -a tests/contract $R/tests/ &&
        cp -a build/bin build/obj $(find build -maxdepth 1 -type f) $R/build/ && cp -a $T $R/$T && chmod -R a+rX $R || return 1
    (
        cd $R || exit 1
        mk $1 figures && mk $1 audit DEEP=1 || exit 1 # a copy has other inodes: looked at once, by its owner
        as() { setpriv --reuid=65534 --regid=65534 --clear-groups -- env HOME=/nonexistent "$@"; }
        m() { as make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/results FIGURES=$T/figures STAGE_BIN=$T/bin MODEL=$T/model CORPUS="$T/corpus/zh $T/corpus/en" "$@"; }
        [ -z "$(find . ! -perm -a+r)" ] || exit 1
        ! as touch $T/results/x 2>/dev/null || exit 1
        find . | sort >../$(basename $R).before
        m figures && m audit && m audit DEEP=1 && m plan && m why T=L6R-tiny/tsne && m plan perplexity=99 && m why T=L6R-tiny/tsne perplexity=99 &&
            find . | sort | diff ../$(basename $R).before -
    )
    rc=$?
    rm -rf $R $R.before
    return $rc
}
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then ok 'who may only read can look: figures, audit, plan, why' reader; else n=$((n + 1)) && echo "ok $n - who may only read # SKIP needs root to become another"; fi
echo "1..$n"
