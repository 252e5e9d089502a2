# The whole pipeline in seconds, for `make test`: the demo's shape with numbers too small to mean anything.

MODEL     := inputs/models/gelu-1l-zh-en
CORPUS    := inputs/corpus/zh inputs/corpus/en inputs/corpus/ar
SENTENCES := paper/latentwalk/sentences.jsonl

sites                               := mlp_post
context                             := 64       # tokens
tokenize.train.max-tokens-per-group := 3000     # tokens of each language
tokenize.heldout.max-tokens-per-group := 1500   # tokens of each language

arch          := relu
init          := kaiming
batch         := 256      # rows
steps         := 20
lr            := 1e-3
lr-warmup     := 2        # steps
lr-decay      := 5        # steps
lambda-warmup := 5        # steps

walks      := 16
walk-steps := 20
rows       := 8
max-tokens := 300

main := mlp-tiny

$(call looked-at,mlp-tiny, site=mlp_post width=256 lambda=5e-2)
