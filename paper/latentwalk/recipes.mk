# recipes.mk - what a run of Baig and Mak consists of: an SAE, and a close look at its features.
include paper/recipes.mk

in.tokenize.sentences      := model=MODEL corpus=SENTENCES
tokenize.sentences.split   := # all of them
tokenize.sentences.max-tokens-per-group := 0
walk.isotropic.directions  := isotropic
walk.features.directions   := features

# $(call looked-at,NAME, key=value …)
looked-at = $(call study,$1,$2,$(trained) tokenize.sentences collect.sentences specificity neighbours ablate walk.isotropic walk.features effect,$3)
