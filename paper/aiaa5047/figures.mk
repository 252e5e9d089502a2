# figures.mk - the figures of the AIAA 5047 report, and a few of our own beside them. The runs are in params/aiaa5047/.
#
# $(main) is the run of the deepest layer, the one that the report could show; $(runs) are those of the three layers.

# $(call of,train): train of every run, as figure wants it; $(call of,train,RUN …): of those.
of     = $(subst $(space),+,$(strip $(addsuffix /$1,$(or $2,$(runs)))))

# Titles of panels.
$(foreach f,fig3-layers histogram eigen,$(eval $f.labels := $(layers)))

$(call figure,fig2, kind=curves, in=$(call of,train))
$(call figure,fig3, kind=lobes-scatter, map=$(main)/tsne lobes=$(main)/lobes.phi cluster=$(main)/cluster.phi)
$(call figure,fig3-layers, kind=lobes-scatter, map=$(call of,tsne) lobes=$(call of,lobes.phi) cluster=$(call of,cluster.phi))
four = $(call figure,$1, kind=lobes-scatter, map=$(main)/tsne lobes=$(subst $(space),+,$(2:%=$(main)/lobes.%)) cluster=$(subst $(space),+,$(2:%=$(main)/cluster.%)))
$(call four,fig4,$(others))
$(call four,fig4-often,$(others:%=%-often))

# Not in the report: the map by UMAP, which lobe wins the chunks of each language, the spectrum behind k, and how often features fire.
$(call figure,umap, kind=lobes-scatter, map=$(main)/umap lobes=$(main)/lobes.phi cluster=$(main)/cluster.phi)
$(call figure,histogram, kind=histogram, in=$(call of,lobes.phi))
$(call figure,eigen, kind=eigen, in=$(call of,cluster.phi))
$(call figure,frequency, kind=frequency, in=$(call of,evaluate))

# The choice of lambda: the runs, and the trials declared beside them (make sweep).
ifneq ($(trials),)
$(call extra-figure,sweep, kind=sweep, in=$(call of,evaluate,$(call of-width,$($(main).width),$(runs) $(trials))))
# Is the dictionary trained well enough to make use of its width? A line for each, at the site of the main run.
of-main-site := $(foreach t,$(runs) $(trials),$(if $(filter $($(main).site),$($t.site)),$t))
widths.labels := $(call width-labels,$(of-main-site))
$(call extra-figure,widths, kind=sweep, in=$(call of,evaluate,$(of-main-site)))
endif

# Those with claims, drawn for less training and other seeds as well (mk/training.mk).
followed := fig2 fig3 fig3-layers fig4

# The map as training goes on.
moments := $(main)-eighth $(main)-quarter $(main)-half $(main)
$(foreach t,$(moments),$(eval also.$t := tsne))
fig3-training.labels := 1/8 of the steps|1/4|1/2|all
$(call figure,fig3-training, kind=lobes-scatter, map=$(call of,tsne,$(moments)) lobes=$(call of,lobes.phi,$(moments)) cluster=$(call of,cluster.phi,$(moments)))

index.title := AIAA 5047: language lobes in the features of sparse autoencoders
