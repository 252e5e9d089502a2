# tap.sh - read by the scripts in tests/ (". tests/tap.sh"): cases in the Test Anything Protocol. $T is the script's scratch folder.
n=0 n_bad=0
# What train asks for and most tests do not vary.
adam='--beta1 0 --beta2 0.999 --adam-eps 1e-8'
jumprelu="--arch jumprelu --init decoder $adam --dead-window 200"
ok() { # ok NAME COMMAND… - one case
    name=$1
    shift
    n=$((n + 1))
    if "$@" >$T/said 2>&1; then echo "ok $n - $name"; else
        n_bad=$((n_bad + 1))
        echo "not ok $n - $name"
        sed 's/^/# /' $T/said | tail -25
    fi
}
fails() { # fails STATUS TEXT COMMAND… - exit status, and TEXT in what it says; nothing is left at $T/none
    want=$1 text=$2
    shift 2
    "$@" >$T/out 2>&1
    rc=$?
    cat $T/out
    [ $rc = "$want" ] && grep -qF -- "$text" $T/out && [ ! -e $T/none ] && [ ! -e $T/none.saemill-part ]
}
options_exist() { # options_exist N - every declared parameter and input is an option of its program, for N programs or more (mk is the script's)
    mk -n -B drawn | awk '/--target/ {$0 = substr($0, index($0, " -- ") + 4); print}' | sort -u -k1,1 >$T/commands
    [ "$(wc -l <$T/commands)" -ge "$1" ] || { cat $T/commands; return 1; }
    while read -r p words; do
        $p --help >$T/help || return 1
        for w in $words; do
            case $w in --?*) grep -q "^  $w " $T/help || { echo "$p has no $w"; return 1; } ;; esac
        done
    done <$T/commands
}
