# recipes.mk - what runs of several studies have in common: a paper's own recipes.mk includes it, and adds what its runs consist of.

# An SAE, trained on one part of the text and evaluated on the other.
tokenize.train.split   := train
tokenize.heldout.split := heldout
trials  :=
trained := tokenize.train tokenize.heldout collect.train collect.heldout normalise train evaluate

# $(call study,NAME, key=value …,instances): a run of the study.   $(call trial,NAME, key=value …): one point of a sweep beside it.
study = $(call run,$(strip $1),$2,$3,$4)$(eval runs += $(strip $1))
trial = $(call run,$(strip $1),$2,$(trained),$3)$(eval trials += $(strip $1))

# Of some runs: those of a width, and the labels of their points in a figure with a line for each width.
of-width     = $(foreach t,$2,$(if $(filter $1,$($t.width)),$t))
width-labels = $(subst $(space),|,$(strip $(foreach t,$1,F=$($t.width))))

# What may be set on make's command line besides parameters and settings.
settable := main layers
