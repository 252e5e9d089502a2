# pipeline.mk - what every program reads, and the instances that an SAE run consists of. Numbers are in params/.

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
use.plot      := kind labels title left-out target-l0 target-ev
use.converge  :=
use.page      := title

in.tokenize  := model=MODEL corpus=CORPUS
in.collect   := tokens=tokenize.% model=MODEL
in.normalise := in=collect.train
in.train     := in=normalise
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
in.tokenize.sentences := model=MODEL corpus=SENTENCES

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

# Raw inputs. A corpus folder gives a document its language, so there the name counts, not only the content.
raws := MODEL CORPUS SENTENCES CLAIMS CAPTIONS REPORTED FIGURES
raw.MODEL    = $(foreach m,$(MODEL),$(call there,MODEL,$m))
watch.MODEL  = $(call in-folder,MODEL,$(MODEL),%.json %.safetensors)
raw.CORPUS   = $(sort $(foreach c,$(CORPUS),$(or $(call in-folder,CORPUS,$c,%.txt %.jsonl %.zst %.gz),$(call there,CORPUS,$c))))
watch.CORPUS = $(raw.CORPUS)
names.CORPUS := yes
raw.CLAIMS      = paper/$(PAPER)/claims.tsv
watch.CLAIMS    = $(raw.CLAIMS)
raw.SENTENCES   = $(foreach s,$(SENTENCES),$(call there,SENTENCES,$s))
watch.SENTENCES = $(SENTENCES)

# What differs between two instances of one program.
tokenize.train.split      := train
tokenize.heldout.split    := heldout
tokenize.sentences.split  := # all of them
tokenize.sentences.max-tokens-per-group := 0
walk.isotropic.directions := isotropic
walk.features.directions  := features
affinities                := phi smc jaccard dice overlap
$(foreach a,$(affinities),$(eval cluster.$a.affinity := $a) $(eval cluster.$a-often.affinity := $a))
others                    := $(filter-out phi,$(affinities))
lobe-variants             := $(affinities) $(others:%=%-often) # -often: rare features masked, see params/defaults.mk

sae-trained   := tokenize.train tokenize.heldout collect.train collect.heldout normalise train evaluate
sae-instances := $(sae-trained) cooccur $(lobe-variants:%=cluster.%) $(lobe-variants:%=lobes.%) tsne umap

looks         := tokenize.sentences collect.sentences specificity neighbours ablate walk.isotropic walk.features effect

# $(call sae,NAME, key=value …): a whole run, with lobes.   $(call looked-at,NAME, …): one with a close look at its features.
#   $(call trial,NAME, key=value …): one point of a sweep, trained and evaluated.
sae   = $(call run,$(strip $1),$2,$(sae-instances),$3)$(eval runs += $(strip $1))
looked-at = $(call run,$(strip $1),$2,$(sae-trained) $(looks),$3)$(eval runs += $(strip $1))
trial = $(call run,$(strip $1),$2,$(sae-trained),$3)$(eval trials += $(strip $1))
trials :=

# Of some runs: those of a width, and the labels of their points in a figure with a line for each width.
of-width     = $(foreach t,$2,$(if $(filter $1,$($t.width)),$t))
width-labels = $(subst $(space),|,$(strip $(foreach t,$1,F=$($t.width))))

# $(call figure,NAME, key=value …, option=run/instance+run/instance …): drawn by plot, copied to figures/.
# extra-figure: the same, but not among those that `make figures` draws.
figure       = $(call any-figure,$(strip $1),$2,$3,$4)$(eval figs += $(strip $1))
extra-figure = $(call any-figure,$(strip $1),$2,$3,$4)$(eval extra-figs += $(strip $1))
any-figure   = $(eval in.$1.plot := $(strip $3))$(call run,$1,$2,plot,$4)$(call figure-copy,$1)
extra-figs  :=
figure-copy = $(foreach x,png json,$(eval $(call copy-rule,$1,$x)))
define copy-rule
$(drawings)/$1.$2: $(call target,$1,plot) $(if $(filter $(drawings)/$1.$2,$(edited)),edited)
	@sh mk/copy.sh $$</plot.$2 $$@
endef

# Figures that somebody has changed since they were drawn: copy.sh keeps those aside and puts the drawn ones back.
drawings := $(FIGURES)/$(SCALE)/$(PAPER)
edited := $(if $(wildcard $(drawings)/.drawn),$(addprefix $(drawings)/,$(shell cd '$(drawings)' && cat .drawn/* | \
            LC_ALL=C sha256sum -c 2>/dev/null | sed -n 's/: FAILED$$//p')))
.PHONY: edited
