#!/bin/sh
# run.sh FILE… - run test programs and scripts one after another, a line each; a closing line 'N passed, N failed'.
#
# A test reports its cases in TAP on stdout (CMocka does on request): "ok 1 - name", "not ok 2 - name", "… # SKIP why".
# Exit 0 without such lines counts as one case passed, 77 as one skipped, anything else as one failed. What a failing test
# said is shown; everything is kept in LOGS/<name>.log.
LOGS=${LOGS:-build/test-logs}
mkdir -p "$LOGS" || exit 1
passed=0 failed=0 skipped=0
for t in "$@"; do
    name=$(basename "$t" .sh)
    log=$LOGS/$name.log
    case $t in *.sh) set -- sh "$t" ;; *) set -- "./${t#./}" ;; esac
    start=$(date +%s%N)
    CMOCKA_MESSAGE_OUTPUT=tap timeout -k 5 "${TEST_SECONDS:-240}" "$@" >"$log" 2>&1
    rc=$?
    ms=$((($(date +%s%N) - start) / 1000000))
    s=$(grep -Eic '^(not )?ok .*# *skip' "$log")
    f=$(grep -Ei '^not ok [0-9]' "$log" | grep -Eivc '# *skip')
    p=$(grep -E '^ok ' "$log" | grep -Eivc '# *skip')
    if [ $rc = 77 ] && [ "$f" = 0 ]; then
        s=$((s ? s : 1))
    elif [ $rc != 0 ] && [ "$f" = 0 ]; then
        f=1
        [ $rc = 124 ] && echo "run.sh: stopped after ${TEST_SECONDS:-240} s" >>"$log"
        echo "run.sh: exit status $rc" >>"$log"
    elif [ $rc = 0 ] && [ $((p + f + s)) = 0 ]; then
        p=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    word=ok
    [ $((p + f)) = 0 ] && word=SKIP
    [ "$f" != 0 ] && word=FAIL
    printf '%-4s %-28s %3d passed' $word "$name" "$p"
    [ "$f" != 0 ] && printf ', %d failed' "$f"
    [ "$s" != 0 ] && printf ', %d skipped' "$s"
    printf '  %d.%02d s\n' $((ms / 1000)) $((ms % 1000 / 10))
    [ "$s" != 0 ] && grep -Ei '# *skip' "$log" | sed 's/^[^#]*# */     /' | sort | uniq -c | sort -rn | head -5
    [ "$f" != 0 ] && grep -v '^ok ' "$log" | tail -40 | sed 's/^/     /'
done
printf '%d passed, %d failed' $passed $failed
[ $skipped = 0 ] || printf ', %d skipped' $skipped
echo
[ $failed = 0 ] && [ $passed != 0 ]
