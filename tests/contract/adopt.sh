#!/bin/sh
# adopt.sh - make adopt: what an earlier program made is accepted as that of this one, when nothing but the program changed, and it stays
# known who made it. Toy stages.
unset MAKEFLAGS MAKELEVEL MFLAGS
T=$(mktemp -d) || exit 1
trap 'rm -rf $T' EXIT
. tests/tap.sh
mkdir $T/bin
for p in stages/*.c; do
    p=$(basename $p .c)
    cp tests/contract/toy.inc $T/bin/$p && chmod +x $T/bin/$p
done
cat >$T/bin/plot <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --out) out=$2 ;; --lineage) lineage=$2 ;; esac
    shift
done
mkdir -p "$out" && cp "$lineage" "$out/plot.json" && cp "$lineage" "$out/plot.png"
END
H=$T/results/tiny/aiaa5047
mk() { make --no-print-directory PAPER=aiaa5047 SCALE=tiny RESULTS=$T/results FIGURES=$T/figures STAGE_BIN=$T/bin "$@"; }
ran() { # what ran since the last call, by name
    got=$(sort -u $T/ran.log 2>/dev/null | tr '\n' ' ')
    rm -f $T/ran.log
    [ "$got" = "$1" ] || { echo "ran: $got" "want: $1"; return 1; }
}
figure() { mk fig2; } # the training curves of three runs
first() { figure && ran 'collect normalise tokenize train ' && grep -q ' = train ' $H/fig2/plot/plot.json; }
ok 'a first build' first
another() { echo "# $1" >>$T/bin/train; }
accepted() {
    another one && made=$(sed -n 's/^program .* //p' $H/L6R-tiny/train.rec) && fails 0 ADOPTED mk adopt T=L6R-tiny/train &&
        grep -qx "adopted $made" $H/L6R-tiny/train.rec && figure && ran 'train ' && ! grep -q adopted $H/L3R-tiny/train.rec
}
ok 'one run of another program is adopted: the others train again' accepted
told() { grep -q "^$(readlink $H/L6R-tiny/train | sed 's|.*/||; s/^\(.\{16\}\).*/\1/') = train .* (adopted: made by program $(echo $made | cut -c1-16))\$" $H/fig2/plot/plot.json && [ "$(grep -c adopted $H/fig2/plot/plot.json)" = 1 ]; }
ok 'its lineage says so, in the figure too' told
shown() { fails 0 'all as recorded, 1 of them adopted' mk audit && grep -q "^ADOPTED *$H/L6R-tiny/train: .*$(echo $made | cut -c1-12)" $T/out; }
ok 'make audit shows it' shown
again() { fails 0 KEPT mk adopt T=L6R-tiny/train && figure && ran ''; }
ok 'once more: nothing to do' again
restored() { rm -r $H/L6R-tiny && figure && ran '' && grep -qx "adopted $made" $H/L6R-tiny/train.rec; }
ok 'restored from the store it is adopted still' restored
chain() { another two && mk adopt T=L6R-tiny/train && grep -qx "adopted $made" $H/L6R-tiny/train.rec; }
ok 'adopted by the next program: the one that made it stays named' chain
words() {
    cp $H/L6R-tiny/train.rec $T/before && another three && fails 2 'not only its program changed' mk adopt T=L6R-tiny/train steps=21 && cmp $T/before $H/L6R-tiny/train.rec &&
        fails 2 'not only its program changed' mk adopt T=L6R-tiny/train L6R-tiny.lambda=7 && cmp $T/before $H/L6R-tiny/train.rec
}
ok 'other words: refused, and nothing is touched' words
inputs() { mk $H/L6R-tiny/normalise.safetensors norm=sqrt_d && fails 2 'not only its program changed' mk adopt T=L6R-tiny/train && mk $H/L6R-tiny/normalise.safetensors; }
ok 'other inputs: refused' inputs
damaged() { f=$(readlink -f $H/L6R-tiny/train)/cfg.json && cp -p $f $T/cfg && chmod 644 $f && echo x >>$f && fails 2 damaged mk adopt T=L6R-tiny/train && cp -p $T/cfg $f && touch -d @1 $f; }
ok 'a damaged result: refused' damaged
drawn() { echo '# another' >>$T/bin/plot && fails 2 'made anew' mk adopt T=fig2/plot; }
ok 'a figure, which shows its lineage: drawn anew' drawn
nothing() { fails 2 'No such file' mk adopt T=L6R-tiny/tsne && fails 2 'no target is called' mk adopt T=nosuch && fails 2 'say make adopt T=' mk adopt; }
ok 'what was never made, and what there is not' nothing
echo "1..$n"
