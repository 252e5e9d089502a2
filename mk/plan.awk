# plan.awk - the table of `make contract`, then what memo says in --mode plan and what make says about it: into a list.
#
# memo answers HIT (restored) or MUST (exit 3: it has to run). Make -k then leaves alone what lies behind a MUST: those are
# found here, in the table, among what the page needs. The last line is the status of those makes.
function duration(ms) {
    if (ms < 10000) return sprintf("%.1f s", ms / 1000)
    return ms < 600000 ? sprintf("%d s", ms / 1000 + .5) : sprintf("%d min", ms / 60000 + .5)
}
function before(ms) { return ms < 0 ? "never run" : "last time " duration(ms) }
function last_ms(t, program,    line, w) { # of a target, else of its program
    while ((getline line < (t ".rec")) > 0) {
        split(line, w, " ")
        if (w[1] == "ms") { close(t ".rec"); return w[2] }
    }
    close(t ".rec")
    if ((getline line < (store "/times/" program)) <= 0) line = -1
    close(store "/times/" program)
    return line
}
function need(t,    i, n, p) {
    if (needed[t]++) return
    n = split(from[t], p, " ")
    for (i = 1; i <= n; i++) need(p[i])
}
function waits_for(t,    i, n, p) { # true when something that must run is among what t is made from, however far back
    if (t in answer) return answer[t]
    answer[t] = 0
    n = split(from[t], p, " ")
    for (i = 1; i <= n; i++)
        if (must[p[i]] || waits_for(p[i])) answer[t] = 1
    return answer[t]
}
split($0, part, " : ") == 4 || / : [^:]* : $/ {
    order[++n_targets] = part[1]
    name[part[1]] = part[2]
    from[part[1]] = part[4]
    next
}
{ split($0, word, "\t") }
word[1] == "HIT" { n_hit++; printf "RESTORE  %s\n", word[2]; next }
word[1] == "MUST" {
    must[word[4]] = 1
    if (word[5] in label) { # runs with the same key: one executes, the others take its result
        printf "SHARE    %s  (with %s)\n", word[2], label[word[5]]
        next
    }
    label[word[5]] = word[2]
    n_must++
    if (word[3] < 0) unknown++
    else ms += word[3]
    printf "RUN      %s  (%s)\n", word[2], before(word[3])
    next
}
word[1] == "status" { status = word[2]; next }
/^make.*(\*\*\*.* Error 3$|not remade because of errors|Waiting for unfinished)/ { next }
{ print; bad = 1 }
END {
    need(root)
    for (i = 1; i <= n_targets; i++) {
        t = order[i]
        if (!needed[t] || must[t] || !waits_for(t)) continue
        n_wait++
        split(name[t], word, " ")
        sub(/\./, " ", word[2])
        split(word[2], instance, " ")
        took = last_ms(t, instance[1])
        if (took < 0) wait_unknown++
        else wait_ms += took
        printf "WAIT     %s %s%s  (%s)\n", instance[1], word[1], instance[2] ? " " instance[2] : "", before(took)
        instance[2] = ""
    }
    printf "%d restored, %d must run now, %d wait for those", n_hit, n_must, n_wait
    if (n_must) {
        printf "; as before: %s", duration(ms)
        if (n_wait) printf " + %s", duration(wait_ms)
        if (unknown + wait_unknown) printf ", and %d that never ran", unknown + wait_unknown
    }
    printf "\n"
    if (status && !n_must) print "plan: make ended with status " status " and did not say why"
    exit bad || status && !n_must
}
