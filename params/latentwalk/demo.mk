# Baig and Mak on the embedded gelu-1l: one block, D 256, 1024 hidden activations; Chinese, English and Arabic.

MODEL     := inputs/models/gelu-1l-zh-en
CORPUS    := inputs/corpus/zh inputs/corpus/en inputs/corpus/ar
SENTENCES := paper/latentwalk/sentences.jsonl

sites                               := mlp_post      # BM 3: the hidden activations of the feed-forward layer
context                             := 256           # tokens
tokenize.train.max-tokens-per-group := 600000        # tokens of each language: about what the embedded text has
tokenize.heldout.max-tokens-per-group := 40000       # tokens of each language

# The recipe. Chosen on held-out rows by three numbers, and not by what any claim says: centred EV at equal L0, the share of dead
# features (at most 2 %), and the share that still points where it started (cosine above 0.5; at most 2 %). lazy-adam, lr 3e-3:
#   width  batch  steps  lambda-warmup  lambda   L0    EV     dead   as it started
#    8192    640   4500   4000          9e-2     49.9  0.749  1.0 %  70 %            the first recipe: a random dictionary for the most part
#    4096    320   8000   2000          9e-2     41.7  0.726  1.4 %  42 %
#    4096    256  20000   4000          8e-2     49.3  0.766  4.2 %  23 %            ten minutes
#    4096    256  20000   4000          8e-2     43.7  0.757  0.0 %  15 %            the same with lr 4e-3 and pre-act-loss 1e-3
#    2048    256  16000   4000          9e-2     44.6  0.739  0.1 %   0 %
#    2048    256  16000   4000          8.3e-2   49.5  0.754  0.1 %   0 %            this one
#    2048    256  32000   8000          8.3e-2   51.2  0.759  0.0 %   0 %            twice as long: nothing gained at equal L0
#    2048    256  16000   4000          7.5e-2   56.3  0.773  0.0 %   0 %
#    1024    256  16000   4000          7e-2     58.4  0.742  0.0 %   0 %            0.037 below
# Does it stand still? With three seeds no claim moves between half and end, and with 32 000 steps, schedules as long, each of the twelve
# outcomes is the same. Twice the width of the site is what comes to rest in minutes on two cores; EV at equal L0 still rises with the
# width. lr 6e-3 loses all features of width 8192 at once (91 % dead), and so does pre-act-loss 1e-2.
arch          := relu     # BM 3: squared error and lambda sum z |W_dec|
init          := kaiming  # BM 4
optimizer     := lazy-adam
batch         := 256      # rows
steps         := 16000    # 3 passes over the rows
lr            := 3e-3
lr-warmup     := 50       # steps
lr-decay      := 12000    # steps, linear to 0
lambda-warmup := 4000     # steps

max-tokens    := 2048     # held-out tokens on which every feature is ablated: early snapshots have 300 active ones

target-l0     := 50       # one hidden activation in twenty
target-ev     := 0.75

main := mlp-2x-ReLU

$(call looked-at,mlp-2x-ReLU, site=mlp_post width=2048 lambda=8.3e-2)

# Behind the recipe, with make sweep PAPER=latentwalk: other lambdas, and other widths.
$(foreach l,6.5e-2 1.1e-1,$(call trial,mlp-lambda$l, site=mlp_post width=2048 lambda=$l))
$(foreach w,512 1024 4096,$(foreach l,6.5e-2 9e-2,$(call trial,mlp-width$w-lambda$l, site=mlp_post width=$w lambda=$l)))
