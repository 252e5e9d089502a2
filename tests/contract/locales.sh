#!/bin/sh
# locales.sh - figures, plan, why and audit say and make the same whatever the language of the user: make's own messages are
# translated, and German numbers have a comma. Locales are made here from the sources in Debian's package `locales`.
unset MAKEFLAGS MAKELEVEL MFLAGS LANGUAGE
T=$(mktemp -d) || exit 1
trap 'rm -rf $T' EXIT
. tests/tap.sh
mkdir $T/locales
mk() { LOCPATH=$T/locales LC_ALL=$L make --no-print-directory PAPER=latentwalk SCALE=tiny RESULTS=$T/$R FIGURES=$T/figures "$@"; }
said() { # what is asked of a build and of an edit, in the order of the alphabet: stages run in any order
    for words in plan 'plan steps=21' 'why T=mlp-tiny/train steps=21' audit 'audit steps=21' 'figures'; do
        echo "== $words"
        mk $words 2>$T/errors | sort
        grep -v '^make' $T/errors || : # make's own words may be in any language
    done
}
drawn() { (cd $T/figures && find . -type f | sort | xargs cksum); }
L=C R=results
build() { mk figures && said >$T/said.C && drawn >$T/drawn.C && grep -q '^0 restored, 1 must run now, ' $T/said.C && [ "$(wc -l <$T/drawn.C)" -gt 20 ]; }
ok 'C' build
commands() { mk -n -B drawn | grep -- '--target' | sed 's/bin\/memo /&--mode check /' | grep -E "$1" >$T/check && [ -s $T/check ]; }
same() { # what make says; and by hand, without make's own locale, the stages that write for people
    said >$T/words && diff $T/said.C $T/words &&
        commands 'bin/(plot|page|walk|specificity|evaluate) ' && LOCPATH=$T/locales LC_ALL=$L sh -e $T/check >$T/checked &&
        [ "$(grep -c '^SAME' $T/checked)" = "$(wc -l <$T/check)" ]
}
rebuilt() { R=again && rm -rf $T/figures && mk figures && drawn >$T/drawn && diff $T/drawn.C $T/drawn; }
for l in zh_CN tr_TR de_DE; do
    L=$l.UTF-8 R=results
    if [ -e /usr/share/i18n/locales/$l ] && localedef -i $l -f UTF-8 $T/locales/$L 2>$T/said; then
        ok $L same
        [ $l != de_DE ] || ok "$L, all of it anew" rebuilt
    else
        n=$((n + 1))
        echo "ok $n - $L # SKIP no sources of this locale: install locales"
    fi
done
echo "1..$n"
