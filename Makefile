# saemill - figures of sparse-autoencoder papers, rebuilt from raw text by GNU Make and small C programs.
#
# Start with `make help`. The machinery is in mk/, the numbers are in params/, a paper's runs and figures in paper/.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += -rR -L --no-print-directory
# One locale for all that runs: numbers with a point, order by bytes, and fonts that do not depend on the language.
export LC_ALL := C
# Our own threads call OpenBLAS; those it would start by itself have nothing to do, and ask for 128 MB each.
export OPENBLAS_NUM_THREADS := 1
# OpenMP's threads wait asleep, not spinning: 4 % slower on an idle machine, five times as fast beside another program on the cores.
export GOMP_SPINCOUNT := 1000
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif

include mk/words.mk

# `make clean test`: make would not notice that what it has seen is gone, so here it goes before make looks.
ifneq ($(and $(filter clean,$(MAKECMDGOALS)),$(filter-out clean,$(MAKECMDGOALS))),)
$(if $(findstring n,$(firstword -$(MAKEFLAGS))),,$(shell rm -rf build))
endif

include mk/toolchain.mk
include mk/build.mk
include mk/check.mk
include mk/gpu.mk
include mk/deps.mk


# ---- the study: SCALE=tiny|demo|paper of PAPER, ----
# Without PAPER, `make figures` draws every paper, one after the other; everything else is about the first.
SCALE   := demo
papers  := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard params/*/demo.mk)))))
each    := $(if $(filter-out undefined default environment,$(origin PAPER)),,$(if $(filter paper,$(SCALE)),,$(papers)))
PAPER   := $(firstword $(papers))
RESULTS := results
FIGURES := figures
PARAMS  := params
$(call one-of,PAPER,$(notdir $(patsubst %/,%,$(wildcard $(PARAMS)/*/))))
$(call one-of,SCALE,$(patsubst $(PARAMS)/$(PAPER)/%.mk,%,$(wildcard $(PARAMS)/$(PAPER)/*.mk)))

include mk/stage.mk
include mk/pipeline.mk
include paper/$(PAPER)/recipes.mk
include $(PARAMS)/defaults.mk
include $(PARAMS)/$(PAPER)/$(SCALE).mk
include paper/$(PAPER)/figures.mk
include mk/training.mk
include mk/study.mk
include mk/names.mk

.PHONY: help clean
help: ## this list
	@awk -f mk/help.awk $(MAKEFILE_LIST)
	@printf '\nruns of $(PAPER) at SCALE=$(SCALE) (make NAME builds one; their lines: $(PARAMS)/$(PAPER)/$(SCALE).mk)\n'
	@printf '  %s\n' $(runs) $(trials)
	@printf '\nfigures (make NAME draws one)\n'
	@printf '  %s\n' $(figs) $(extra-figs)
	@printf '\nsettings (NAME=value; the parameters of a stage: build/bin/STAGE --help)\n'
	@printf '  %s\n' '$(choices) $(paths)' '$(numbers) $(switches) LAUNCH.STAGE' '$(commands)'

clean: ## remove everything compiled and every scratch file (build/); results/ and figures/ stay
	rm -rf build
