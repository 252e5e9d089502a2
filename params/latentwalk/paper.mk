# Baig and Mak at their own size: Neel Nanda's gelu-1l (D 512, 2048 hidden activations), converted as lib/lm/README.md says, and text of
# yours in Chinese, English and Arabic:  make figures PAPER=latentwalk SCALE=paper MODEL=… CORPUS='…/zh …/en …/ar' 

SENTENCES := paper/latentwalk/sentences.jsonl

sites                               := mlp_post
context                             := 128           # tokens: what Nanda's SAEs were trained on
tokenize.train.max-tokens-per-group := 100000000     # tokens of each language; his run1 saw some two thousand million
tokenize.heldout.max-tokens-per-group := 200000      # tokens of each language

arch          := relu
init          := kaiming
batch         := 4096     # rows: Nanda's 1L-Sparse-Autoencoder
steps         := 70000
lr            := 1e-4     # likewise
beta1         := 0.9      # likewise
beta2         := 0.99     # likewise
lr-warmup     := 1000     # steps
lambda-warmup := 10000    # steps

target-l0     := 50
target-ev     := 0.75

main := mlp-8x-ReLU

$(call looked-at,mlp-8x-ReLU, site=mlp_post width=16384 lambda=5e-2)
