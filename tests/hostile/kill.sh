#!/bin/sh
# kill.sh [N] - `make figures` killed with kill -9 at random moments and started again, N kills that hit in all.
#
# A life: from nothing, the figures of a paper, then of edited parameters, then of the first ones again; each time killed and
# restarted until a run gets through. The blow falls at a moment drawn by chance, half of the time uniform over the duration of an
# undisturbed run, else a moment after as many stages as chance says (on a busy machine the clock alone would favour the first). It
# strikes the whole process group, or one process of it: memo, its stage, or make alone, whose children go on beside the next make.
# What must hold, whenever a run got through: figures, artifacts, links and receipts are byte for byte those of an undisturbed
# run, nothing else lies there, and the audit finds nothing; at the end gc leaves no unfinished work behind.
. tests/hostile/lib.sh
unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS # killed as people run it
N=${1:-${LONG:+200}}
N=${N:-8}
hits=0 misses=0 differences=0 checked=0 resumed=0
summary() { echo "# kill: $hits kills hit, $misses runs got through, $resumed trainings resumed, $checked builds compared, $differences differences"; }
trap 'exec >&3; summary; exit 1' INT TERM HUP # stopped: what was found so far
exec 3>&1

# Training long enough to save its state, and often, so that kills fall into saving and resuming. (The words are outside the key.)
often='aside.train=--checkpoint @W/checkpoint --checkpoint-every 0.02'
edit() { # edit K COMMAND… - with the words of the K-th set of parameters
    k=$1
    shift
    case $k in
    1) "$@" ;;
    2) "$@" steps=60 "$often" ;;
    3) "$@" seed=3 step-size=0.2 perplexity=12 ;;
    esac
}
running() { awk -v g="$1" '{sub(/.*\) /, ""); if ($3 == g && $1 != "Z") n++} END {exit !n}' /proc/[0-9]*/stat 2>/dev/null; }
quiet() { while running "$1"; do sleep 0.05; done; }
pid_in() { # pid_in GROUP WHO - one process of the group: make, memo, or the stage that runs
    awk -v g="$1" -v who="$2" '
        {pid = $1; name = $0; sub(/^[^(]*\(/, "", name); sub(/\).*/, "", name); sub(/.*\) /, "")}
        $3 == g && $1 != "Z" && (who == "stage" ? name !~ /^(make|memo|sh|mv|cat|audit|sed|mkdir|basename|head)$/ : name == who) {print pid; exit}
    ' /proc/[0-9]*/stat 2>/dev/null
}
begun() { grep -c '^RUN' "$T/log.run"; } # stages, in the run that is to be struck
strike() { # strike GROUP WHO STAGES DELAY - once so many stages have begun, and after the delay; what came of it in $T/struck
    while [ "$(begun)" -lt "$3" ] && running "$1"; do sleep 0.02; done
    sleep "$4"
    running "$1" || { echo miss >"$T/struck"; return; }
    case $2 in all) kill -9 -"$1" ;; *) p=$(pid_in "$1" "$2") && [ "$p" ] && kill -9 "$p" ;; esac 2>/dev/null && echo hit >"$T/struck"
}
start() { # start WORDS… - make in a process group of its own; pid
    setsid make --no-print-directory PAPER=$PAPER SCALE=tiny RESULTS="$T/results" FIGURES="$T/figures" $goal "$@" >"$T/log.run" 2>&1 &
    pid=$!
}
# A run that may be killed: 0 it got through, 1 it was struck, 2 it failed though nobody had touched it.
run() { # run K
    random 6
    case $r in 0) who=memo ;; 1) who=stage ;; 2) who=make ;; *) who=all ;; esac
    random 2
    if [ "$r" = 0 ]; then
        stages=0
        random "$duration_ms"
    else
        random 25
        stages=$((r + 1))
        random 150
    fi
    delay=$((r / 1000)).$(printf %03d $((r % 1000)))
    echo none >"$T/struck"
    : >"$T/log.run"
    edit "$1" start
    strike $pid $who $stages $delay &
    striker=$!
    wait $pid 2>/dev/null
    rc=$?
    [ $rc != 0 ] || kill $striker 2>/dev/null # it got through before the blow
    wait $striker 2>/dev/null
    cat "$T/log.run" >>"$T/log"
    groups="$groups $pid"
    case $(cat "$T/struck") in hit) hits=$((hits + 1)) ;; *) misses=$((misses + 1)) ;; esac
    [ $rc = 0 ] && return 0
    [ "$(cat "$T/struck")" = hit ] && return 1
    return 2
}
through() { # through K - until the K-th parameters are made; then compare
    while :; do
        run "$1"
        case $? in 0) break ;; 2) tail -5 "$T/log"; differences=$((differences + 1)); return 1 ;; esac
        [ $hits -lt "$N" ] || { edit "$1" start; wait $pid; groups="$groups $pid"; break; } # the last one undisturbed
    done
    for g in $groups; do quiet "$g"; done
    groups= checked=$((checked + 1))
    find "$T/results/tiny" -xtype l | grep . && { differences=$((differences + 1)); return 1; }
    edit "$1" mk audit >"$T/audit" 2>&1 || { cat "$T/audit"; differences=$((differences + 1)); return 1; }
    equal "want.$PAPER.$1" || { differences=$((differences + 1)); return 1; }
}
undisturbed() { # of every set, and how long the first takes
    rm -rf "$T/results" "$T/figures"
    from_ms=$(($(date +%s%N) / 1000000))
    for k in $sets; do
        edit "$k" mk $goal >"$T/log" 2>&1 || { tail "$T/log"; return 1; }
        [ "$k" != 1 ] || duration_ms=$(($(date +%s%N) / 1000000 - from_ms))
        mkdir "$T/want.$PAPER.$k" && cp -a "$T/results" "$T/figures" "$T/want.$PAPER.$k" || return 1
    done
}
campaign() { # campaign KILLS - lives until so many have hit
    N=$1
    while [ $hits -lt "$N" ]; do
        rm -rf "$T/results" "$T/figures"
        : >"$T/log"
        for k in $sets 1; do through "$k" || return 1; done
        resumed=$((resumed + $(grep '^train: resumed' "$T/log" | wc -l)))
    done
}
swept() { # what gc leaves: whole artifacts, and no working folder
    mk gc WIP=1 && deep_clean || return 1
    ls -A "$T/results/store/wip" | grep . && return 1
    find "$T/results/store/ac" "$T/results/store/cas" -mindepth 1 -maxdepth 1 | grep -v '/[0-9a-f]\{32\}$' && return 1
    return 0
}

PAPER=latentwalk goal=figures groups= sets=${LONG:+'1 3 2'}
sets=${sets:-1 2}
ok 'latentwalk, undisturbed, with several sets of parameters' undisturbed
ok "latentwalk, killed and restarted: the same bytes each time it gets through" campaign "$N"
ok 'gc sweeps what the kills left' swept
front() { # what copies were killed left is swept, and not what another is writing
    f=$T/figures/tiny/index.html
    sh -c 'sleep 60; :' "$f" &
    sleeper=$!
    echo half >"$f.saemill-$$" && echo half >"$f.saemill-$sleeper" # the first number is of a process, but not of one that copies
    sh mk/sweep.sh "$T/figures/tiny"
    kill $sleeper
    [ "$(ls "$f".*)" = "$f.saemill-$sleeper" ] && rm "$f.saemill-$sleeper" || { ls "$f"*; return 1; }
}
ok 'half copies are swept' front
if [ "$LONG" ]; then
    PAPER=aiaa5047
    ok 'aiaa5047, undisturbed' undisturbed
    ok 'aiaa5047, killed and restarted: the same' campaign $((N + N / 20))
    ok 'gc sweeps what the kills left' swept
fi
summary
echo "1..$n"
