# names.mk - the names that mean something on make's command line; any other is refused. Read last: the runs are declared.

# $1 run, $2 instance, $3 its parameters: their names, and what may be said of the stage as a whole
names-of  = $3 $(addprefix $2.,$3) $(addprefix $1.,$3) $(addprefix $1.$2.,$3) in.$2 in.$1.$2
target-of = $(call names-of,$(word 1,$1),$(word 2,$1),$(call reads,$(word 1,$1),$(word 2,$1)))
names     = $(sort $(foreach t,$(targets),$(call target-of,$(contract/$t))) \
                   $(foreach p,$(patsubst use.%,%,$(filter use.%,$(.VARIABLES))),$(addsuffix .$p,LAUNCH in aside fixed)) \
                   $(settable) $(settings))

# Papers have runs of their own: a name that only another paper knows is no typo.
.PHONY: names
names: ; @$(foreach n,$(names),$(info $(PAPER) $n))true

ask      = $(shell for p in $(papers); do \
             MAKEFLAGS= $(MAKE) -s PAPER=$$p SCALE=$(SCALE) PARAMS=$(PARAMS) MODEL=mk CORPUS=mk SENTENCES=mk names; done 2>/dev/null \
             | STRANGER=$(call shell-word,$1) LC_ALL=C awk -f mk/nearest.awk)
# $1 name, $2 the answer: a paper that knows it, or - and the nearest name
stranger = $(if $(filter -,$(firstword $2)),\
             $(error saemill: no parameter '$1': did you mean '$(word 2,$2)'?: hint: build/bin/STAGE --help lists those of a stage$(comma) make help the settings),\
             $(if $(or $(filter-out 0,$(MAKELEVEL)),$(and $(each),$(filter figures,$(MAKECMDGOALS)))),,\
               $(warning saemill: no run of $(PAPER) reads '$1' (one of $2 does): it changes nothing here)))
strangers := $(filter-out MODE $(settings),$(given))
ifneq ($(strangers),)
$(foreach v,$(filter-out $(names),$(strangers)),$(call stranger,$v,$(call ask,$v)))
endif
