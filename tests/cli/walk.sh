#!/bin/sh
# walk.sh - walk and ablate on the command line: what they write, and what they refuse.
T=build/tmp/cli_walk
B=build/bin
M=inputs/models/gelu-1l-zh-en
rm -rf $T && mkdir -p $T || exit 1
. tests/tap.sh
prepare() {
    $B/tokenize --model $M --corpus inputs/corpus/zh/debmake-doc.jsonl.zst inputs/corpus/en/debmake-doc.jsonl.zst --max-tokens-per-group 1500 --out $T/tok.safetensors &&
        $B/collect --tokens $T/tok.safetensors --model $M --sites mlp_post --context 64 --out $T/acts.safetensors &&
        $B/normalise --in $T/acts.safetensors --site mlp_post --norm unit --seed 0 --out $T/rows.safetensors &&
        $B/train --in $T/rows.safetensors --arch relu --init kaiming $adam --dead-window 200 --width 256 --lambda 1e-2 --lr 1e-3 --steps 30 --batch 256 --lr-warmup 2 --lambda-warmup 5 --out $T/sae
}
ok 'activations and an SAE of gelu-1l' prepare
walk() { $B/walk --sae $T/sae --data $T/acts.safetensors --site mlp_post --walks 16 --walk-steps 20 --directions isotropic "$@"; }
ablate() { $B/ablate --sae $T/sae --data $T/acts.safetensors --site mlp_post --rows 32 --noise 1 --shown 32 "$@"; }
threads() { for t in 1 3; do walk --step-size 0.1 --threads $t --out $T/w$t.json && ablate --feature 7 --threads $t --out $T/a$t.json || return 1; done && cmp $T/w1.json $T/w3.json && cmp $T/a1.json $T/a3.json; }
ok 'the same bytes for 1 and 3 threads' threads
summary() { # what the claims are judged by, computed again from the bands
    awk -F'[][]' '
        function near(key, want) {d = s[key] - want; if (!(key in s) || d > 1e-7 || d < -1e-7) {print key, s[key], want; bad = 1}}
        /^  "[a-z_]*": / {split($0, q, "\""); m = q[2]; if (m == "expected_distance") split($2, e, ", ")}
        /^    "(low|median|high)": / {split($0, q, "\""); n = split($2, v, ", "); for (i = 1; i <= n; i++) x[m, q[2], i] = v[i]}
        m == "summary" && /^    "/ {split($0, q, "[\": ,]+"); s[q[2]] = q[3]}
        END {
            split("loss cosine distance", name, " ")
            for (k = 1; k <= 3; k++) {
                m = name[k]; up = 0
                for (i = 2; i <= n; i++) up += x[m, "median", i] > x[m, "median", i - 1]
                near(m "_final", x[m, "median", n]); near(m "_rises_share", up / (n - 1))
                near(m "_band_final", (x[m, "high", n] - x[m, "low", n]) / x[m, "median", n])
            }
            for (i = 2; i <= n; i++) {o = x["distance", "median", i] / e[i] - 1; o = o < 0 ? -o : o; off = o > off ? o : off}
            near("distance_off_expected", off); near("loss_final_over_first", x["loss", "median", n] / x["loss", "median", 1])
            exit bad || n != 21
        }' $T/w1.json
}
ok 'its summary is of its bands' summary
drawn() { $B/plot --kind walk --in $T/w1.json --out $T/pw && $B/plot --kind ablation --in $T/a1.json --out $T/pa && [ -s $T/pw/plot.png ] && [ -s $T/pa/plot.png ]; }
ok 'and figures of them' drawn
ok 'a step of length 0' fails 2 '--step-size 0' walk --step-size 0 --out $T/none
ok 'an infinite step' fails 2 '--step-size inf' walk --step-size inf --out $T/none
ok 'a site that is not there' fails 1 'L0R' $B/walk --sae $T/sae --data $T/acts.safetensors --site L0R --walks 16 --walk-steps 20 --step-size 0.1 --directions isotropic --out $T/none
ok 'a feature out of range' fails 1 'has features 0 to 255' ablate --feature 256 --out $T/none
ok 'no feature' fails 2 '--feature' ablate --out $T/none
echo "1..$n"
