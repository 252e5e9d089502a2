# plan.awk - what memo says in --mode plan, a line a target with tabs between: into a list. A last line FAILED: not all could be asked.
function duration(ms) {
    if (ms < 10000) return sprintf("%.1f s", ms / 1000)
    return ms < 600000 ? sprintf("%d s", ms / 1000 + .5) : sprintf("%d min", ms / 60000 + .5)
}
function before(ms) { return ms < 0 ? "never run" : "last time " duration(ms) }
function add(kind) { if ($3 < 0) unknown++; else ms[kind] += $3; n[kind]++ }
BEGIN { FS = "\t" }
$1 == "HIT" { n["HIT"]++; printf "RESTORE  %s\n", $2 }
$1 == "MUST" && $4 in label { printf "SHARE    %s  (with %s)\n", $2, label[$4]; next } # the same key: one executes, the other takes its result
$1 == "MUST" { label[$4] = $2; add("MUST"); printf "RUN      %s  (%s)\n", $2, before($3) }
$1 == "WAIT" { add("WAIT"); printf "WAIT     %s  (%s)\n", $2, before($3) }
$1 == "FAILED" { failed = 1 }
END {
    if (failed) exit 1
    printf "%d restored, %d must run now, %d wait for those", n["HIT"], n["MUST"], n["WAIT"]
    if (n["MUST"]) {
        printf "; as before: %s", duration(ms["MUST"])
        if (n["WAIT"]) printf " + %s", duration(ms["WAIT"])
        if (unknown) printf ", and %d that never ran", unknown
    }
    printf "\n"
}
