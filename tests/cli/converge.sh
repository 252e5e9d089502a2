#!/bin/sh
# converge.sh - converge on the command line, its figure and the page that tells of it: what they write, and what they refuse.
T=build/tmp/cli_converge
B=build/bin
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
printf 'id\tfigure\tsection\tclaim\tcheck\tcondition\nrises\tfig2\t1\tIt rises.\tAbove 3.\tstatistics.series.*.v > 3\n' >$T/claims.tsv
printf 'figure\ttitle\tcaption\nfig2\tTwo\tText\nconvergence\tTraining\tText\n' >$T/captions.tsv
printf 'figure\twhat\treported\tpath\tsource\nfig2\tv of both\t3\tstatistics.series.*.v\ttable 1\n' >$T/reported.tsv
folders= # for each seed, for each share
for s in 0 1; do
    for h in 1 2 4; do
        mkdir -p $T/p$s$h && folders="$folders $T/p$s$h"
        printf '{"command": "c", "statistics": {"series": [{"label": "A", "v": %s.%s}, {"label": "B", "v": 9}]}}\n' $h $s >$T/p$s$h/plot.json
    done
done
converge() { $B/converge --figures fig2 --shares 1/4,1/2,1 --seeds 0,1 --claims $T/claims.tsv "$@"; }
twice() { converge --plots $folders --out $T/c.json && converge --plots $folders --out $T/c2.json && cmp $T/c.json $T/c2.json && grep -q '"moving": true' $T/c.json; }
ok 'the same bytes twice' twice
drawn() { $B/plot --kind convergence --in $T/c.json --out $T/figure && [ -s $T/figure/plot.png ]; }
ok 'a figure of it' drawn
page() { $B/page --figures $T/fig2.json $T/convergence.json --claims $T/claims.tsv --captions $T/captions.tsv "$@"; }
told() {
    for f in plot.png plot.json; do cp $T/figure/$f $T/convergence.${f#plot.} || return 1; done
    cp $T/p04/plot.json $T/fig2.json && cp $T/figure/plot.png $T/fig2.png && page --out $T/plain.html >$T/out 2>&1 && ! grep 'still moving' $T/out $T/plain.html &&
        page --convergence $T/c.json --reported $T/reported.tsv --out $T/page.html >$T/out 2>&1 && cat $T/out && grep -q ' 1 still moving' $T/out &&
        grep -q 'at the end: holds' $T/page.html && grep -q 'v, A, with training (1/4, 1/2, end): 1.05, 2.05, 4.05 ± 0.05' $T/page.html && grep -q '<td>A = 4, B = 9</td>' $T/page.html
}
ok 'and a page that tells of it' told
few() { converge --plots $T/p01 $T/p02 --out $T/none; }
ok 'too few folders' fails 2 'want 1 figures x 3 shares x 2 seeds = 6 plot folders, got 2' few
ok 'shares that do not rise' fails 2 '1/4 does not rise' $B/converge --figures fig2 --shares 1/2,1/4,1 --claims $T/claims.tsv --plots $folders --out $T/none
ok 'shares without 1/2' fails 2 'want 1/2 among them' $B/converge --figures fig2 --shares 1/4,1 --claims $T/claims.tsv --plots $folders --out $T/none
ok 'a figure of which nothing is claimed' fails 1 'no claim is about' $B/converge --figures fig3 --shares 1/4,1/2,1 --seeds 0,1 --claims $T/claims.tsv --plots $folders --out $T/none
mv $T/p14/plot.json $T/away
ok 'a plot that is not there' fails 1 'p14/plot.json' converge --plots $folders --out $T/none
head -c 40 $T/away >$T/p14/plot.json
ok 'a plot that is cut' fails 1 'p14/plot.json:1: invalid JSON' converge --plots $folders --out $T/none
sed 's/, {"label": "B", "v": 9}//' $T/away >$T/p14/plot.json
ok 'a plot with fewer entries' fails 1 "p14/plot.json: claim 'rises': want 2 values as in the figure's first plot, got 1" converge --plots $folders --out $T/none
sed 's/"moving": [a-z]*/"moving": 1/' $T/c.json >$T/bad.json
ok 'a damaged document, for plot' fails 1 "bad.json: claim 0: key 'moving'" $B/plot --kind convergence --in $T/bad.json --out $T/none
ok 'and for page' fails 1 "bad.json: claim 0: key 'moving'" page --convergence $T/bad.json --out $T/none
ok 'two documents' fails 2 'reads one file, got 2' $B/plot --kind convergence --in $T/c.json $T/c2.json --out $T/none
sed 's/rises/falls/' $T/claims.tsv >$T/other.tsv
ok 'a document of other claims' fails 1 "claim 'rises' on figure 'fig2' is not in the table" $B/page --figures $T/fig2.json --claims $T/other.tsv --captions $T/captions.tsv --convergence $T/c.json --out $T/none
sed 's/series\.\*/a b/' $T/reported.tsv >$T/wrong.tsv
ok "a reported number whose path is none" fails 1 'wrong.tsv:2:' page --reported $T/wrong.tsv --out $T/none
echo "1..$n"
