#!/bin/sh
# formats.sh - plot --format: the same figure as pixels, PDF and SVG.
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
. tests/tap.sh
plot() { build/bin/plot --kind curves --in tests/fixtures/chart/train_L0R --labels 'Layer null' --format "$1" --out "$T/$2"; }
all() { for f in png pdf svg; do plot $f $f && [ "$(ls "$T/$f" | tr '\n' ' ')" = "plot.json plot.$f " ] || return 1; done; }
ok "each in a folder with the numbers" all
same() { cmp "$T"/png/plot.json "$T"/pdf/plot.json && cmp "$T"/png/plot.json "$T"/svg/plot.json; }
ok "the numbers are the same" same
twice() { for f in png pdf svg; do plot $f again && cmp "$T/$f/plot.$f" "$T/again/plot.$f" || return 1; done; }
ok "twice, in a folder that had another: the same bytes" twice
command() { grep -aq -- '--format pdf)' "$T"/pdf/plot.pdf && ! grep -aq -- --format "$T"/png/plot.png; }
ok "the PDF says the command that drew it" command
if command -v pdftotext >/dev/null; then
    text() { pdftotext "$T"/pdf/plot.pdf "$T"/text && grep -q 'Layer null' "$T"/text && grep -q 'Reconstruction loss' "$T"/text; }
    ok "its text is text" text
fi
ok "no other" fails 2 '--format eps: must be' plot eps none
echo "1..$n"
