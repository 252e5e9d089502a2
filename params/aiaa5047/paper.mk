# AIAA 5047 as reported: Qwen2-7B and 10 M tokens of each language of CulturaX. Needs the user's files, and a GPU to be quick:
#   make figures SCALE=paper MODEL=/data/Qwen2-7B CORPUS='/data/CulturaX/zh /data/CulturaX/en'

sites                               := L1R,L11R,L21R # AIAA 3.3: residual stream after blocks 1, 11, 21, counted from 0
context                             := 1024          # tokens: GS 3.2; AIAA does not say
tokenize.train.max-tokens-per-group := 10000000      # tokens of each language: AIAA 3.3
tokenize.heldout.max-tokens-per-group := 100000      # tokens of each language: AIAA 3.3

steps         := 50000    # of 4096 rows, ten passes over the 20 M rows; AIAA does not say
theta-init    := 0.001    # GS

main := L21R-5x-JumpReLU
layers := Layer 1|Layer 11|Layer 21   # titles of panels, in the order of the runs

$(call sae,L1R-5x-JumpReLU,  site=L1R  width=16384 lambda=1e-3)
$(call sae,L11R-5x-JumpReLU, site=L11R width=16384 lambda=1e-3)
$(call sae,L21R-5x-JumpReLU, site=L21R width=16384 lambda=1e-3)
