#!/bin/sh
# front.sh SCALE FOLDER OUT - figures/<scale>/index.html: the papers that have a page there, each with its figures small.
set -e
part=$3.saemill-$$
trap 'rm -f "$part"' EXIT
{
    printf '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>saemill: %s</title>\n' "$1"
    printf '<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}img{height:9em;margin:.3em;border:1px solid #ddd}</style>\n'
    printf '<h1>Figures at scale %s</h1>\n' "$1"
    for page in "$2"/*/index.html; do
        paper=$(basename "$(dirname "$page")")
        title=$(sed -n 's|.*<h1>\(.*\)</h1>.*|\1|p' "$page" | head -1)
        printf '<h2><a href="%s/index.html">%s</a></h2>\n<p>' "$paper" "${title:-$paper}"
        for png in "$2/$paper"/*.png; do
            name=$(basename "$png")
            printf '<a href="%s/index.html#%s"><img src="%s/%s" alt="%s"></a>\n' "$paper" "${name%.png}" "$paper" "$name" "${name%.png}"
        done
        printf '</p>\n'
    done
    printf '</html>\n'
} >"$part"
mv -f "$part" "$3"
