# nearest.awk - lines "PAPER NAME", and a name in $STRANGER: answers "PAPER" when a paper knows it, else "- NEAREST".
function least(a, b) { return a < b ? a : b }
function distance(a, b,    i, k, n, m, d) { # letters to add, drop, change or swap with the next
    n = length(a)
    m = length(b)
    for (i = 0; i <= n; i++) d[i, 0] = i
    for (k = 0; k <= m; k++) d[0, k] = k
    for (i = 1; i <= n; i++)
        for (k = 1; k <= m; k++) {
            d[i, k] = least(least(d[i - 1, k], d[i, k - 1]) + 1, d[i - 1, k - 1] + (substr(a, i, 1) != substr(b, k, 1)))
            if (i > 1 && k > 1 && substr(a, i, 1) == substr(b, k - 1, 1) && substr(a, i - 1, 1) == substr(b, k, 1))
                d[i, k] = least(d[i, k], d[i - 2, k - 2] + 1)
        }
    return d[n, m]
}
BEGIN { wanted = ENVIRON["STRANGER"]; best = 1e9 }
$2 == wanted { known = $1; exit }
seen[$2]++ || length($2) - length(wanted) >= best || length(wanted) - length($2) >= best { next }
{
    now = distance(tolower(wanted), tolower($2))
    if (now < best) { best = now; nearest = $2 }
}
END { print known ? known : "- " nearest }
