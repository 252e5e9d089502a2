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
$(if $(trials),$(call extra-figure,sweep, kind=sweep, in=$(call of,evaluate,$(runs) $(trials))))

index.title := AIAA 5047: language lobes in the features of sparse autoencoders
