#!/bin/sh
# scripts.sh - text of a figure in Chinese and Arabic, and what is said where a font is missing.
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
. tests/tap.sh
plot() { build/bin/plot --kind eigen --in tests/fixtures/chart/cluster_phi.json --out "$@"; }
drawn() { plot "$T/a" --title '特征的语言 · لغة السمات' --labels 'العربية' && grep -q '"title": "特征的语言 · لغة السمات"' "$T/a/plot.json" && plot "$T/b" && ! cmp -s "$T/a/plot.png" "$T/b/plot.png"; }
ok "Chinese and Arabic" drawn
ok "a letter that no font has" fails 1 'no font here has the letter U+10FFFD' plot "$T/none" --title "$(printf '\364\217\277\275')"
printf '<?xml version="1.0"?><fontconfig><dir>%s/fonts</dir><cachedir>%s/cache</cachedir></fontconfig>' "$T" "$T" >"$T/fonts.conf"
ok "no font at all" fails 1 'the font DejaVu Sans is not here' env FONTCONFIG_FILE="$T/fonts.conf" build/bin/plot --kind eigen --in tests/fixtures/chart/cluster_phi.json --out "$T/none"
mkdir "$T/fonts" && cp "$(fc-match -f '%{file}' 'DejaVu Sans')" "$T/fonts" 2>/dev/null
latin() { FONTCONFIG_FILE="$T/fonts.conf" plot "$T/c"; }
ok "with DejaVu alone: Latin" latin
alone() { FONTCONFIG_FILE="$T/fonts.conf" fails 1 'no font here has the letter U+7279' plot "$T/none" --title '特征'; }
ok "with DejaVu alone: no Chinese" alone
arabic() { FONTCONFIG_FILE="$T/fonts.conf" plot "$T/d" --title 'لغة السمات'; }
ok "with DejaVu alone: Arabic" arabic
echo "1..$n"
