# The whole pipeline in seconds, for `make test`: the demo's shape with numbers too small to mean anything.

MODEL   := inputs/models/qwen2-8l-zh-en
CORPUS  := inputs/corpus/zh inputs/corpus/en

sites                               := L0R,L3R,L6R
context                             := 64       # tokens
tokenize.train.max-tokens-per-group := 3000     # tokens of each language
tokenize.heldout.max-tokens-per-group := 1500   # tokens of each language

batch         := 256      # rows
steps         := 20
lr            := 1e-3
epsilon       := 0.05
theta-init    := 0.1      # sparse from the start: 20 steps could not make it so
lr-warmup     := 2        # steps
lr-decay      := 5        # steps
lambda-warmup := 5        # steps

chunk-tokens     := 16    # tokens
chunks-per-group := 12
permutations     := 100
iterations       := 50    # t-SNE steps
perplexity       := 10    # effective neighbours, of at most 256

main := L6R-tiny
layers := Layer 0|Layer 3|Layer 6   # titles of panels, in the order of the runs

$(call sae,L0R-tiny, site=L0R width=256 lambda=1e-2)
$(call sae,L3R-tiny, site=L3R width=256 lambda=1e-2)
$(call sae,L6R-tiny, site=L6R width=256 lambda=1e-2)
