# Baig and Mak on the embedded gelu-1l: one block, D 256, 1024 hidden activations; Chinese, English and Arabic.

MODEL     := inputs/models/gelu-1l-zh-en
CORPUS    := inputs/corpus/zh inputs/corpus/en inputs/corpus/ar
SENTENCES := paper/latentwalk/sentences.jsonl

sites                               := mlp_post      # BM 3: the hidden activations of the feed-forward layer
context                             := 256           # tokens
tokenize.train.max-tokens-per-group := 600000        # tokens of each language: about what the embedded text has
tokenize.heldout.max-tokens-per-group := 40000       # tokens of each language

arch          := relu     # BM 3: squared error and lambda sum z |W_dec|
init          := kaiming  # BM 4
batch         := 640      # rows: the number of steps counts for more than that of the rows
steps         := 5100     # 2.4 passes over the rows
lr            := 3e-3     # at 4e-3 a long run can lose all features at once
lr-warmup     := 50       # steps
lr-decay      := 1700     # steps, linear to 0
lambda-warmup := 4550     # steps: a late lambda gives a better dictionary. 3600 steps of 1024: 600 of them L0 48, EV 0.706; 3000: 49, 0.736

target-l0     := 50       # one hidden activation in twenty
target-ev     := 0.75

main := mlp-8x-ReLU

$(call looked-at,mlp-8x-ReLU, site=mlp_post width=8192 lambda=8.9e-2)

# The sweep behind the choice of lambda: make sweep PAPER=latentwalk
$(foreach l,6e-2 1.4e-1,$(call trial,mlp-lambda$l, site=mlp_post width=8192 lambda=$l))
