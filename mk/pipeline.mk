# pipeline.mk - what every program reads, a statement each, and how a figure is drawn. Numbers are in params/, what a run consists of in paper/.

threads  := $(if $(THREADS),--threads $(THREADS))
# Small SAEs train faster side by side, a core or a few each, than one after the other on all cores. In params/:
# SLOTS := $(call at-once,3), so many stages at a time, or as many as there are cores; one where a GPU computes.
cores    := $(shell nproc 2>/dev/null || echo 1)
at-once   = $(if $(filter cpu,$(backend)),$(shell echo $$(($(cores) < $1 ? $(cores) : $1))),1)
side-by-side = $(if $(filter-out 1,$(SLOTS)),--threads $(shell echo $$(($(cores) > $(SLOTS) ? $(cores) / $(SLOTS) : 1))))
train-threads = $(or $(threads),$(side-by-side))

# $(call stage,NAME,SUFFIX,READS,PARAMETERS,ASIDE): the words of stage.mk, ext, in, use and aside, of one program.
stage = $(eval ext.$1 := $2)$(eval in.$1 := $(strip $3))$(eval use.$1 := $(strip $4))$(eval aside.$1 = $(strip $5))

$(call stage,tokenize,.safetensors,   model=MODEL corpus=CORPUS, split max-tokens-per-group)
$(call stage,collect,.safetensors,    tokens=tokenize.% model=MODEL, sites context dtype bos backend, $(threads))
$(call stage,normalise,.safetensors,  in=collect.train, site norm seed, $(threads))
$(call stage,train,,                  in=normalise, arch init width lambda lr steps batch epsilon theta-init lr-warmup lr-decay lambda-warmup \
                                      beta1 beta2 adam-eps optimizer pre-act-loss dead-window snapshots seed backend, \
                                      --checkpoint @W/checkpoint $$(train-threads))
$(call stage,snapshot,,               , at)
# A run that wants its model's losses too: in.<run>.evaluate := sae=train data=collect.heldout model=MODEL tokens=tokenize.heldout
$(call stage,evaluate,.json,          sae=train data=collect.heldout, site backend, $(threads))
$(call stage,cooccur,.safetensors,    sae=train data=collect.heldout, site chunk-tokens chunks-per-group chunk-documents backend, $(threads))
$(call stage,cluster,.json,           in=cooccur, affinity k min-count seed, $(threads))
$(call stage,lobes,.json,             cluster=cluster.% cooccur=cooccur sae=train, permutations direction-draws seed, $(threads))
$(call stage,tsne,.json,              sae=train cooccur=cooccur, perplexity iterations exaggeration seed, $(threads))
$(call stage,umap,.json,              sae=train cooccur=cooccur, neighbors min-dist spread epochs seed, $(threads))
$(call stage,neighbours,.json,        sae=train evaluate=evaluate feature-of=specificity, nearest, $(threads))
$(call stage,specificity,.json,       sae=train data=collect.heldout sentences=SENTENCES activations=collect.sentences, \
                                      site feature without min-firings best backend, $(threads))
$(call stage,ablate,.json,            sae=train data=collect.heldout feature-of=specificity, site rows noise shown seed backend, $(threads))
$(call stage,walk,.json,              sae=train data=collect.heldout, site walks walk-steps step-size directions seed backend, $(threads))
$(call stage,effect,.json,            sae=train model=MODEL tokens=tokenize.heldout, site context max-tokens, $(threads))
$(call stage,plot,,                   , kind labels title left-out target-l0 target-ev format, --lineage @L)
$(call stage,converge,.json)
$(call stage,page,.html,              , title)

# Raw inputs: files and folders, keys of a run like any parameter (stage.mk). Their value is $1 of
#   paths.<RAW>  what the stage is given: by default each of its words, which must be there
#   watch.<RAW>  the files that make watches: by default the same
#   named.<RAW>  yes where the name counts, not only the content: a corpus folder gives a document its language
raws := MODEL CORPUS SENTENCES CLAIMS CAPTIONS REPORTED DRAWN
watch.MODEL   = $(call in-folder,MODEL,$1,%.json %.safetensors)
paths.CORPUS  = $(sort $(foreach c,$1,$(or $(call in-folder,CORPUS,$c,%.txt %.jsonl %.zst %.gz),$(call there,CORPUS,$c))))
named.CORPUS := yes
named.SENTENCES := yes
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
