# study.mk - what can be asked of the declared runs: figures, plan, audit, why, gc, recheck.

MODE :=
drawn := $(foreach f,$(figs),$(drawings)/$f.png $(drawings)/$f.json)
vectors = $(foreach f,$1,$(addprefix $(drawings)/$f.,$(vector)))
index := $(drawings)/index.html
front := $(FIGURES)/$(SCALE)/index.html

# The page: an instance like any other, and a copy of it in figures/.
DRAWN          = $(drawn)
paths.DRAWN    = $(filter %.json,$1)
watch.DRAWN    = $1
named.DRAWN   := yes
artifacts.DRAWN = $(foreach f,$(figs),$(call target,$f,plot))
in.page        := figures=DRAWN claims=CLAIMS captions=CAPTIONS $(if $(followed),convergence=claims/converge) \
                  $(if $(REPORTED),reported=REPORTED)
fixed.page     := --scale $(SCALE) --from $(drawings)
$(call run,index,,page)
$(index): $(call target,index,page) $(if $(filter $(index),$(edited)),edited)
	@sh mk/copy.sh $< $@

# Of the targets that were made at all: whose command changed since.
recorded  = $(filter $(wildcard $(targets)),$(changed))

.PHONY: figures drawn sweep plan planned audit heal why adopt gc recheck contract
ifneq ($(each),)
figures: | $(first) ## the main job: every figure of every paper (or of PAPER=) at SCALE, and figures/<scale>/index.html
	@set -e; $(foreach p,$(each),$(MAKE) PAPER=$p figures;)
else
figures: $(drawn) $(call vectors,$(figs)) $(index) $(front) $(BIN)/audit
	@sh mk/sweep.sh $(FIGURES)/$(SCALE)
	@$(BIN)/audit --store $(store) --targets $(call target,index,page) $(artifacts.DRAWN)
	@echo 'look at $(front)'
endif
drawn: $(drawn) $(call vectors,$(figs)) $(index) $(front)

# The way in: the papers that have a page, with their figures small.
$(front): $(index) mk/front.sh
	@sh mk/front.sh $(SCALE) $(@D) $@

extra := $(foreach f,$(extra-figs),$(drawings)/$f.png $(drawings)/$f.json) $(call vectors,$(extra-figs))
sweep: $(extra) $(BIN)/audit ## figures that need more runs than the paper's own (the choice of lambda); much longer than `make figures`
	@$(if $(extra),$(BIN)/audit --store $(store) --targets $(foreach f,$(extra-figs),$(call target,$f,plot)),echo 'sweep: no extra runs are declared at SCALE=$(SCALE)')
	@$(if $(extra),printf 'look at %s\n' $(filter %.png,$(extra)))

plan: $(programs) ## what `make figures` would execute and what it would restore, with recorded times; executes nothing
	@w=$$(mktemp -d) && { PENDING=$$w $(MAKE) -s planned || echo FAILED; } | awk -f mk/plan.awk; s=$$?; rm -rf "$$w"; exit $$s

# memo's plan of every target of the page, inputs first. The page reads copies of the figures: one that is restored is copied at once, one
# that is missing too, and what waits for a figure waits for its copy.
in-order = $(eval ordered :=)$(call visit,$1)$(ordered)
visit    = $(foreach t,$1,$(if $(visited/$t),,$(eval visited/$t := 1)$(call visit,$(from/$t))$(eval ordered += $t)))
copy-of  = $(drawings)/$(1:$(here)/%/plot=%)
copies   = $(foreach x,png json,{ $2sh mk/copy.sh $1/plot.$x $(copy-of).$x; } &&) :
plan-of  = $(if $(filter $1,$(artifacts.DRAWN)),$(call plan-1,$1, --copy $(copy-of).json,$\
             case $$s in (HIT*) $(copies) ;; ('') $(call copies,$1,[ -e $(copy-of).json ] || ) ;; esac &&),$(call plan-1,$1))
define plan-1
@s=$$($(memo) --mode plan --pending "$$PENDING"$2 $(job/$1)) && $3 printf '%s\n' "$$s"

endef
planned: ; $(foreach t,$(call in-order,$(call target,index,page) $(foreach x,$(vector),$(foreach f,$(figs),$(call target,$f,plot.$x)))),$(call plan-of,$t))

audit: $(BIN)/audit ## prove that no result is stale, foreign, damaged or missing; DEEP=1 hashes every stored artifact again
	@$(BIN)/audit --store $(store) --results $(here)$(if $(DEEP), --deep)$(if $(recorded), --changed $(recorded))$(if $(edited), --edited $(edited))

heal: $(BIN)/audit ## put damaged results aside with all that was made from them; the next `make figures` makes them anew
	@$(BIN)/audit --store $(store) --results $(RESULTS) --deep --heal

why: $(programs) ## why T=<target, or run/instance> would be made again: old and new words, inputs, program
	@$(call asked,why)
adopt: $(programs) ## T=<target, or run/instance> as it stands is accepted, though an earlier build made it: recorded, and said by audit
	@$(call asked,adopt)
asked = $(if $(strip $(T)),$(if $(why_t),$(foreach t,$(why_t),$(memo) --mode $1 $(job/$t) &&) true,$\
    printf '%s\n' $(call shell-word,$1: no target is called '$(T)': hint: make contract lists them) >&2; exit 2),$\
    echo '$1: say make $1 T=run/instance' >&2; exit 2)
why_t = $(if $(word 2,$(T)),,$(call targets-called,$(subst %,\%,$(strip $(T)))))
targets-called = $(sort $(filter $1 $(here)/$1 $(here)/$1.json $(here)/$1.safetensors $(here)/$1.html,$(targets)))

gc: $(BIN)/gc ## free stored artifacts that no receipt reaches (results of earlier parameters); WIP=1: unfinished runs too
	@$(BIN)/gc --store $(store) --results $(RESULTS) $(FIGURES)$(if $(WIP), --wip)

N := 3
recheck: $(programs) ## execute N=3 random stored stages again and compare the bytes
	@$(if $(wildcard $(targets)),,echo 'recheck: nothing is made yet: hint: make figures' >&2; exit 2)
	@failed=0; $(foreach t,$(shell shuf -n $(N) -e -- $(wildcard $(targets))),$(memo) --mode check $(job/$t) || failed=1;) exit $$failed

# For the test of partial reruns: target : run instance : parameters : targets it is made from
contract: ; @$(foreach t,$(targets),$(info $t : $(contract/$t)))true

# make fig3: one figure
.PHONY: $(figs) $(extra-figs)
$(foreach f,$(figs) $(extra-figs),$(eval $f: $(drawings)/$f.png $(drawings)/$f.json $(call vectors,$f)))
