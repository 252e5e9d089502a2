# AIAA 5047 on the embedded language model and text: 8 layers, D 256, Chinese and English. Minutes on two cores.

MODEL   := inputs/models/qwen2-8l-zh-en
CORPUS  := inputs/corpus/zh inputs/corpus/en

sites                               := L0R,L3R,L6R   # layers 0, 3, 6 of 8: the relative depths of 1, 11, 21 of 28 in AIAA 3.3
context                             := 512           # tokens: what the model was trained at
tokenize.train.max-tokens-per-group := 600000        # tokens of each language: about what the embedded text has
tokenize.heldout.max-tokens-per-group := 40000       # tokens of each language: at least 40 chunks of 256 without BOS

batch         := 2048     # rows: half of GS, so that a run of 1.2 M rows has enough steps
steps         := 1000     # 1.7 passes over the rows
lr            := 3e-3     # larger than GS's: 1000 steps must move weights and thresholds as far as its million did
epsilon       := 0.05     # wider, for the same reason: more rows fall into the band that trains a threshold
theta-init    := 0.1      # 1.6 standard deviations of a first pre-activation: 5 % of the features start active, not half
lr-warmup     := 50       # steps
lr-decay      := 400      # steps, linear to 0
lambda-warmup := 500      # steps

main := L6R-16x-JumpReLU
layers := Layer 0|Layer 3|Layer 6   # titles of panels, in the order of the runs

$(call sae,L0R-16x-JumpReLU, site=L0R width=4096 lambda=2e-3)
$(call sae,L3R-16x-JumpReLU, site=L3R width=4096 lambda=2e-3)
$(call sae,L6R-16x-JumpReLU, site=L6R width=4096 lambda=2e-3)

# The sweep behind the choice of lambda: make sweep
$(foreach s,L0R L3R L6R,$(foreach l,5e-4 1e-3 4e-3 8e-3,$(call trial,$s-lambda$l, site=$s width=4096 lambda=$l)))
