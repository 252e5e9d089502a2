# pipeline.mk - what every program reads, and how a figure is drawn. Numbers are in params/, what a run consists of in paper/.

use.tokenize  := split max-tokens-per-group
use.collect   := sites context dtype bos backend
use.normalise := site norm seed
use.train     := arch init width lambda lr steps batch epsilon theta-init lr-warmup lr-decay lambda-warmup beta1 beta2 adam-eps \
                 optimizer pre-act-loss dead-window snapshots seed backend
use.snapshot := at
use.evaluate  := site backend
use.cooccur   := site chunk-tokens chunks-per-group chunk-documents backend
use.cluster   := affinity k min-count seed
use.lobes     := permutations direction-draws seed
use.tsne      := perplexity iterations exaggeration seed
use.umap      := neighbors min-dist spread epochs seed
use.neighbours  := nearest
use.specificity := site feature without min-firings best backend
use.ablate      := site rows noise shown seed backend
use.walk        := site walks walk-steps step-size directions seed backend
use.effect      := site context max-tokens
use.plot      := kind labels title left-out target-l0 target-ev format
use.converge  :=
use.page      := title

in.tokenize  := model=MODEL corpus=CORPUS
in.collect   := tokens=tokenize.% model=MODEL
in.normalise := in=collect.train
in.train     := in=normalise
# A run that wants its model's losses too: in.<run>.evaluate := sae=train data=collect.heldout model=MODEL tokens=tokenize.heldout
in.evaluate  := sae=train data=collect.heldout
in.cooccur   := sae=train data=collect.heldout
in.cluster   := in=cooccur
in.lobes     := cluster=cluster.% cooccur=cooccur sae=train
in.tsne      := sae=train cooccur=cooccur
in.umap      := sae=train cooccur=cooccur
in.neighbours  := sae=train evaluate=evaluate feature-of=specificity
in.specificity := sae=train data=collect.heldout sentences=SENTENCES activations=collect.sentences
in.ablate      := sae=train data=collect.heldout feature-of=specificity
in.walk        := sae=train data=collect.heldout
in.effect      := sae=train model=MODEL tokens=tokenize.heldout

ext.tokenize  := .safetensors
ext.collect   := .safetensors
ext.normalise := .safetensors
ext.evaluate  := .json
ext.cooccur   := .safetensors
ext.cluster   := .json
ext.lobes     := .json
ext.tsne      := .json
ext.umap      := .json
ext.neighbours  := .json
ext.specificity := .json
ext.ablate      := .json
ext.walk        := .json
ext.effect      := .json
ext.converge  := .json
ext.page      := .html

threads := $(if $(THREADS),--threads $(THREADS))
# Small SAEs train faster side by side, a core or a few each, than one after the other on all cores. In params/:
# SLOTS := $(call at-once,3), so many stages at a time, or as many as there are cores; one where a GPU computes.
cores    := $(shell nproc 2>/dev/null || echo 1)
at-once   = $(if $(filter cpu,$(backend)),$(shell echo $$(($(cores) < $1 ? $(cores) : $1))),1)
side-by-side = $(if $(filter-out 1,$(SLOTS)),--threads $(shell echo $$(($(cores) > $(SLOTS) ? $(cores) / $(SLOTS) : 1))))
aside.collect   := $(threads)
aside.normalise := $(threads)
aside.train      = --checkpoint @W/checkpoint $(or $(threads),$(side-by-side))
aside.evaluate  := $(threads)
aside.cooccur   := $(threads)
aside.cluster   := $(threads)
aside.lobes     := $(threads)
aside.tsne      := $(threads)
aside.umap      := $(threads)
aside.neighbours  := $(threads)
aside.specificity := $(threads)
aside.ablate      := $(threads)
aside.walk        := $(threads)
aside.effect      := $(threads)
aside.plot      := --lineage @L

# Raw inputs: files and folders, keys of a run like any parameter (stage.mk). Their value is $1 of
#   paths.<RAW>  what the stage is given: by default each of its words, which must be there
#   watch.<RAW>  the files that make watches: by default the same
#   named.<RAW>  yes where the name counts, not only the content: a corpus folder gives a document its language
raws := MODEL CORPUS SENTENCES CLAIMS CAPTIONS REPORTED DRAWN
watch.MODEL   = $(call in-folder,MODEL,$1,%.json %.safetensors)
paths.CORPUS  = $(sort $(foreach c,$1,$(or $(call in-folder,CORPUS,$c,%.txt %.jsonl %.zst %.gz),$(call there,CORPUS,$c))))
named.CORPUS := yes
CLAIMS        = paper/$(PAPER)/claims.tsv
CAPTIONS      = paper/$(PAPER)/captions.tsv
REPORTED      = $(wildcard paper/$(PAPER)/reported.tsv)

# $(call figure,NAME, key=value …, option=run/instance+run/instance …): drawn by plot, copied to figures/.
# extra-figure: the same, but not among those that `make figures` draws. FORMAT=pdf or svg draws them once more, as vectors.
FORMAT := png
$(call one-of,FORMAT,png pdf svg)
$(if $(filter format,$(given)),$(error saemill: no parameter 'format': did you mean 'FORMAT'?))
vector := $(filter-out png,$(FORMAT))
drawn-as := plot $(addprefix plot.,$(vector))
format :=
plot.$(vector).format := $(vector)
figure       = $(call any-figure,$(strip $1),$2,$3,$4)$(eval figs += $(strip $1))
extra-figure = $(call any-figure,$(strip $1),$2,$3,$4)$(eval extra-figs += $(strip $1))
any-figure   = $(foreach i,$(drawn-as),$(eval in.$1.$i := $(strip $3)))$(call run,$1,$2,$(drawn-as),$4)$(call figure-copy,$1)
extra-figs  :=
figure-copy = $(foreach x,png json,$(eval $(call copy-rule,$1,$x,plot)))$(foreach x,$(vector),$(eval $(call copy-rule,$1,$x,plot.$x)))
define copy-rule
$(drawings)/$1.$2: $(call target,$1,$3) $(if $(filter $(drawings)/$1.$2,$(edited)),edited)
	@sh mk/copy.sh $$</plot.$2 $$@
endef

# Figures that somebody has changed since they were drawn: copy.sh keeps those aside and puts the drawn ones back.
drawings := $(FIGURES)/$(SCALE)/$(PAPER)
edited := $(if $(wildcard $(drawings)/.drawn),$(addprefix $(drawings)/,$(shell cd '$(drawings)' && cat .drawn/* | \
            LC_ALL=C sha256sum -c 2>/dev/null | sed -n 's/: FAILED$$//p')))
.PHONY: edited
