# figures.mk - Figures 5 to 10 of Baig and Mak, and a few of our own beside them. The run is in params/latentwalk/.

$(call figure,training, kind=curves, in=$(main)/train)
$(call figure,fig5, kind=plane, in=$(main)/neighbours)
$(call figure,fig6, kind=space, in=$(main)/neighbours)
$(call figure,agreement, kind=agreement, in=$(main)/neighbours)
$(call figure,fig7, kind=sentences, in=$(main)/specificity)
$(call figure,fig8, kind=prompts, in=$(main)/specificity)
$(call figure,ranking, kind=ranking, in=$(main)/specificity)
$(call figure,fig9, kind=ablation, in=$(main)/ablate)
$(call figure,effect, kind=effect, in=$(main)/effect)
fig10.labels := any direction|along features
$(call figure,fig10, kind=walk, in=$(main)/walk.isotropic+$(main)/walk.features)

# Those with claims, drawn for less training and other seeds as well (mk/training.mk).
followed := fig5 fig6 agreement fig7 fig8 fig9 fig10 effect

# How often features fire; and the page's heading.
$(call figure,frequency, kind=frequency, in=$(main)/evaluate)
index.title := Baig and Mak: sparse autoencoders and random walks in latent space

# The choice of lambda: the run, and the trials declared beside it (make sweep). And whether the dictionary makes use of its width.
ifneq ($(trials),)
of = $(subst $(space),+,$(strip $(addsuffix /evaluate,$1)))
$(call extra-figure,sweep, kind=sweep, in=$(call of,$(call of-width,$($(main).width),$(runs) $(trials))))
widths.labels := $(call width-labels,$(runs) $(trials))
$(call extra-figure,widths, kind=sweep, in=$(call of,$(runs) $(trials)))
endif
