# defaults.mk - values that hold where a study says nothing else. Unit and source behind each.
# GS: Lieberum et al. 2024, Gemma Scope (arXiv 2408.05147), section 3.   AIAA: the AIAA 5047 report.

# collect
dtype           := bf16          # type of stored activations; half of float32's disk
bos             := drop          # rows of the sequence-begin token: GS leaves them out
backend         := cpu           # which kernels compute; ref is the slow definition

# normalise
norm            := unit          # mean squared norm of the rows becomes 1: AIAA 3.3, GS
snapshots       := 3             # SAEs kept from 1/2, 1/4 and 1/8 of the steps, for the claims against training
seed            := 0             # of every random choice: permutation, first weights, k-means, permutation null

# train
arch            := jumprelu      # AIAA 2.2, GS
init            := decoder       # W_enc starts at W_dec: GS
lr              := 7e-5          # peak learning rate: GS
batch           := 4096          # rows: GS
epsilon         := 0.001         # bandwidth of the straight-through estimator, input at unit mean squared norm: GS
theta-init      := 0.001         # first threshold: GS
lr-warmup       := 1000          # steps, cosine from 0.1 lr: GS
lr-decay        := 0             # steps of linear fall at the end: GS has none
lambda-warmup   := 10000         # steps, linear from 0: GS
beta1           := 0             # Adam: GS
beta2           := 0.999         # Adam: GS
adam-eps        := 1e-8          # Adam: GS
optimizer       := adam          # GS; lazy-adam: rows of silent features rest, second moments too
pre-act-loss    := 0             # coefficient of the penalty that pulls dead features back: GS has none
dead-window     := 200           # steps without firing before a feature is dead: counted in the curve, pulled by pre-act-loss

# cooccur, cluster, lobes
chunk-tokens     := 256          # tokens: AIAA 4.2
chunks-per-group := 40           # chunks of each language: AIAA 4.2
chunk-documents  := span         # a chunk may span documents of its language; AIAA does not say
k                := 2            # lobes: one a language, AIAA 4.2
min-count        := 1            # chunks a feature must fire in (and not in all): AIAA 4.2
often-min-count  := 3            # the same of the variants -often, of 80 chunks: fewer say nothing of who fires with whom; ours
permutations     := 1000         # of the null distribution; ours
direction-draws  := 20           # Gaussian decoders that the regression from direction to lobe is held against
lobes.phi.direction-draws := 100 # Li et al. 2024 draw 100, for Phi

# tsne
perplexity      := 30            # effective neighbours: default of scikit-learn, which AIAA used
iterations      := 1000          # steps: likewise
exaggeration    := 12            # of P in the first 250 steps: likewise

# umap
neighbors       := 15            # of a point, itself counted: default of umap-learn
min-dist        := 0.1           # how close points may come in the picture: likewise
spread          := 1             # scale of the picture: likewise
epochs          := 0             # 0: 500 to 10 000 points, 200 above: likewise

# neighbours, specificity, ablate, walk (BM: Baig and Mak, An Exploration of Sparse Autoencoders and Random Walks in Latent Space)
nearest         := 10            # features by cosine; BM do not say
feature         := -1            # chosen: the one that all languages but `without` share most
without         := ar            # BM look at their feature 42, which fires on Chinese and English and not on Arabic
min-firings     := 20            # held-out rows; fewer say little about a language
best            := 50            # features of each language, tried on the sentences
rows            := 32            # on which the feature is most active
noise           := 1             # standard deviation, in mean activations of the feature; BM do not say
shown           := 32            # features in the heat map
max-tokens      := 4096          # held-out tokens on which every feature is ablated
walks           := 256           # BM show one
walk-steps      := 100           # BM do not say
step-size       := 0.1           # of the rows' size; BM do not say

# plot
labels          :=               # none: what the files say
title           :=               # none: the page has captions
left-out        := grey          # features in no lobe
target-l0       := 80            # L0 to reach on held-out rows, drawn in curves and sweeps
target-ev       := 0.72          # centred explained variance to reach with it
