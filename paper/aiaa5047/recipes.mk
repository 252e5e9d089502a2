# recipes.mk - what a run of AIAA 5047 consists of: an SAE, and the lobes of its features by each affinity.
include paper/recipes.mk

affinities    := phi smc jaccard dice overlap
others        := $(filter-out phi,$(affinities))
lobe-variants := $(affinities) $(others:%=%-often) # -often: rare features masked
$(foreach a,$(affinities),$(eval cluster.$a.affinity := $a))
$(foreach a,$(others),$(eval cluster.$a-often.affinity := $a) $(eval cluster.$a-often.min-count = $$(often-min-count)))

# $(call sae,NAME, key=value …)
sae = $(call study,$1,$2,$(trained) cooccur $(lobe-variants:%=cluster.%) $(lobe-variants:%=lobes.%) tsne umap,$3)
settable += lobe-variants often-min-count
