# training.mk - every figure with claims again, as it would be with less training and with other seeds: converge reads them all.
#
# followed, in the paper's figures.mk, names those figures. A run R of theirs has twins, which differ from it in one thing:
#   R-half, R-quarter, R-eighth   its SAE as it was after that share of the steps: snapshot stands in for train
#   R-seed1, R-seed2 …            other first weights, and the rows in another order; with SEEDS=2 and more. R-seed1-half … as well
# and a figure F has F-half, F-seed1, F-seed1-half … with the twins in the places of the runs. Maps are left out: no claim reads them.
# With HALF=run R-half is no snapshot but a run of its own, half as long with all its schedules: what a doubling of the steps does to a
# claim shows there alone, since a snapshot at half has not seen the learning rate fall. Half as much training again.
# also.<twin> names instances that it has besides what these figures need.

SEEDS  := 1
HALF   := snapshot
$(call one-of,HALF,snapshot run)
shares := eighth quarter half end
seeds  := $(wordlist 1,$(SEEDS),0 1 2 3 4 5 6 7 8 9)
$(if $(and $(seeds),$(filter $(SEEDS),$(words $(seeds)))),,$(error saemill: SEEDS=$(SEEDS): hint: 1 to 10))
twin-name = $1$(if $(filter-out 0,$2),-seed$2)$(if $(filter-out end,$3),-$3)

# What a run's instances are made from, themselves included, down to what is raw; not beyond a snapshot. $1 run, $2 instances
reach    = $(foreach i,$(foreach s,$2,$(or $(instead.$1.$s),$s)),$(if $(filter $i,$(reached)),,$(eval reached += $i)\
             $(call reach,$1,$(foreach o,$($(call inputs-of,$1,$i)),$(foreach s,$(call sources,$i,$o),\
               $(if $(findstring /,$s)$(filter $s,$(raws)),,$s))))))
reach-of = $(eval reached :=)$(call reach,$1,$2)$(reached)

# $1 figure: run/instance of all it is drawn from; $2 run: the instances of that run among them
drawn-from = $(foreach o,$(filter-out map=%,$(in.$1.plot)),$(subst +, ,$(word 2,$(subst =, ,$o))))
asked-of   = $(sort $(patsubst $2/%,%,$(filter $2/%,$(foreach f,$1,$(call drawn-from,$f)))))

# $1 run, $2 seed, $3 share
twin       = $(if $(filter 0-end,$2-$3),,$(call twin-1,$1,$2,$3,$(call twin-name,$1,$2,$3)))
twin-1     = $(eval twin-of.$4 := $1)$(if $(call own-run,$3),,\
               $(eval instead.$4.train := snapshot)$(eval in.$4.snapshot := in=$(call twin-name,$1,$2,end)/train))\
             $(call run,$4,$(if $(call own-run,$3),normalise.seed=$2 train.seed=$2 $(if $(filter half,$3),$(call halved,$1)),at=$3),$\
               $(call reach-of,$4,$(call asked-of,$(followed),$1) $(also.$4)))
own-run    = $(filter end $(if $(filter run,$(HALF)),half),$1)
halved     = $(foreach p,steps lr-warmup lr-decay lambda-warmup,train.$p=$(shell echo $$(($(call value-of,$p,$1,train) / 2)))) snapshots=0

# $1 figure, $2 seed, $3 share
twin-figure   = $(if $(filter 0-end,$2-$3),,$(call twin-figure-1,$1,$2,$3,$(call twin-name,$1,$2,$3)))
twin-figure-1 = $(eval twin-of.$4 := $1)$(eval in.$4.plot := $(foreach o,$(filter-out map=%,$(in.$1.plot)),$(call twin-option,$o,$2,$3)))\
                $(call run,$4,,plot)
twin-option   = $(firstword $(subst =, ,$1))=$(subst $(space),+,$(strip $(foreach s,$(subst +, ,$(word 2,$(subst =, ,$1))),$\
                $(call twin-name,$(firstword $(subst /, ,$s)),$2,$3)/$(word 2,$(subst /, ,$s)))))

# The runs that the followed figures are drawn from, and all of it.
ifneq ($(followed),)
followed-runs := $(sort $(foreach the-figure,$(followed),$(foreach s,$(call drawn-from,$(the-figure)),$(firstword $(subst /, ,$s)))))
$(foreach the-seed,$(seeds),$(foreach the-share,end half quarter eighth,$(foreach the-run,$(followed-runs),$(call twin,$(the-run),$(the-seed),$(the-share)))))
$(foreach the-seed,$(seeds),$(foreach the-share,$(shares),$(foreach the-figure,$(followed),$(call twin-figure,$(the-figure),$(the-seed),$(the-share)))))

fixed.converge := --figures $(subst $(space),$(comma),$(strip $(followed))) --shares 1/8,1/4,1/2,1 --half $(HALF) \
                  --seeds $(subst $(space),$(comma),$(strip $(seeds)))
in.converge    := claims=CLAIMS plots=$(subst $(space),+,$(strip $(foreach the-seed,$(seeds),$(foreach the-share,$(shares),$(foreach the-figure,$(followed),$(call twin-name,$(the-figure),$(the-seed),$(the-share))/plot)))))
$(call run,claims,,converge)
$(call figure,convergence, kind=convergence, in=claims/converge)
endif
