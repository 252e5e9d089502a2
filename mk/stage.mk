# stage.mk - the one stage rule, and how a run becomes rules.
#
# Words: a run is one declared line ($(call sae,L6R-16x-JumpReLU, site=L6R …)). It has instances: a program, or a program and
# a variant (cluster.phi). An instance makes one target, $(here)/<run>/<instance><ext>. Declarations, by
# $(call stage,…) in pipeline.mk; in.<instance> and in.<run>.<instance> by papers:
#
#   use.<program>   the parameters it reads; each becomes the option of that name. A program sees nothing else.
#   in.<instance>   or in.<program>, or in.<run>.<instance>: option=source … ; sources are joined by +. A source is an instance
#                   of the same run (% stands for the variant), run/instance, or a raw input
#   ext.<program>   suffix of its artifact; none for a folder
#   fixed.<program> words added as they are          aside.<program>  the same, outside the key (threads, checkpoints)
#
# The value of a parameter, and of a raw input (MODEL, CORPUS …), is that of the first of these which is given, on make's command line
# before anywhere else: <run>.<instance>.<p>, <run>.<p>, the same of the run that it is a twin of (training.mk), <instance>.<p>, <p>.
# An empty value leaves an option out. Environment variables do not count, but for raw inputs. Errors cite the line that declares the run.

here  := $(RESULTS)/$(SCALE)/$(PAPER)
store := $(RESULTS)/store
memo  := $(BIN)/memo
STAGE_BIN := $(BIN)
SLOTS := 1

# make sees links (-L), so a link to nothing would count as there: remove those (into a store; others are not ours), and their
# stages run or are restored. A receipt that was cut off, as by a power failure, takes its target's .cmd with it: out of date.
ifneq ($(wildcard $(RESULTS)/$(SCALE)),)
$(shell find '$(RESULTS)/$(SCALE)' -xtype l -lname '*cas/*' -delete 2>/dev/null; \
        grep -rLs --include='*.rec' '^sum ' '$(RESULTS)/$(SCALE)' | sed 's/rec$$/cmd/' | xargs -r rm -f 2>/dev/null)
endif

runs    :=
targets :=
changed := # targets whose recorded command is another one
figs    :=

program  = $(firstword $(subst ., ,$1))
variant  = $(word 2,$(subst ., ,$1))
target   = $(here)/$1/$2$(ext.$(call program,$2))
known    = $(if $(filter-out undefined default environment,$(firstword $(origin $1))),$1)
is-cmd   = $(if $(filter command,$(firstword $(origin $1))),$1)
names-for = $2.$3.$1 $2.$1 $(twin-of.$2).$3.$1 $(twin-of.$2).$1 $3.$1 $1
name-of  = $(firstword $(foreach v,$(names-for),$(call is-cmd,$v)) $(foreach v,$(names-for),$(call known,$v)))

# A value as one word of the shell; values with a quote, $ or # are refused.
odd      = $(strip $(foreach c,' " $$ \# ` \,$(findstring $c,$1)))
special  = $(strip $(word 2,$1) $(foreach c,| & ; < > ( ) * ? [ ] { } ~ !,$(findstring $c,$1)))
quoted   = $(if $(call special,$1),'$1',$1)
checked  = $(if $(call odd,$3),$(error $1: the value of '$2' holds one of ' " $$ # ` \: $3),$3)

# $1 parameter, $2 run, $3 instance: its value; its option for the shell.
value-of = $(call checked,$2,$1,$(strip $($(or $(name-of),$(error $2: no value for '$1' (stage $3))))))
words-of = $(if $(value-of),--$1 $(call quoted,$(value-of)))

# $1 run, $2 instance, $3 one source: its paths.
raw-value = $(strip $($(or $(call name-of,$3,$1,$2),$3)))
raw-of    = $(foreach f,$(or $(call paths-of,$3,$(raw-value)),$(error $1: nothing is given for $3 (stage $2): say make $3=…)),$(call plain,$3,$f))
is-raw    = $(filter $3,$(raws))
other-run = $(call made-by,$(firstword $(subst /, ,$1)),$(word 2,$(subst /, ,$1)))
made-by   = $(call target,$1,$(or $(instead.$1.$2),$2))
source-of = $(if $(is-raw),$(raw-of),$(if $(findstring /,$3),$(call other-run,$3),$(call made-by,$1,$3)))
mark-of   = @$(if $(named.$1),named,in)=

# $1 a raw input, $2 its value
paths-of  = $(if $(call known,paths.$1),$(call paths.$1,$2),$(foreach f,$2,$(call there,$1,$f)))
watch-of  = $(if $(call known,watch.$1),$(call watch.$1,$2),$(call paths-of,$1,$2))

# What is to be seen of a raw source without reading it: name, size, inode, dates of its files. Dates alone do not tell: mv, cp -p,
# tar and rsync put an older file in a newer one's place. When it differs from what memo recorded, memo looks at the content.
raw-state = $(if $(artifacts.$1),,$(call state-of,$1,$2,state.$1.$(subst $(space),|,$2)))
state-of  = $(if $(call known,$3),,$(eval $3 := $(call seen,$(call watch-of,$1,$2))))$($3)
seen      = $(if $1,$(shell LC_ALL=C stat -L --printf '%n %s %i %.9Y %.9Z\n' $(foreach f,$1,'$f') 2>/dev/null | cksum | tr ' ' -))

# Collects what make has to watch in `needs`, artifacts among it in `from`, what is to be seen of raw sources in `states`; answers
# "--option @in=PATH …".
inputs-of = $(firstword $(foreach v,in.$1.$2 in.$(twin-of.$1).$2 in.$2 in.$(call program,$2),$(call known,$v)))
one-source = $(addprefix $(call mark-of,$3),$(source-of))\
             $(eval needs += $(if $(is-raw),$(call watch-of,$3,$(raw-value)),$(source-of)))\
             $(eval from += $(if $(is-raw),$(artifacts.$3),$(source-of)))\
             $(eval states := $(strip $(states) $(if $(is-raw),$(call raw-state,$3,$(raw-value)))))
sources    = $(subst +, ,$(subst %,$(call variant,$1),$(word 2,$(subst =, ,$2))))
one-option = --$(firstword $(subst =, ,$3)) $(foreach s,$(call sources,$2,$3),$(call one-source,$1,$2,$s))
input-words = $(foreach o,$($(inputs-of)),$(call one-option,$1,$2,$o))

# Precious: make must not delete a target when its recipe fails, as -L makes it think every link has changed. memo replaces a
# target only when the new result is complete; until then the old link stays, and its .cmd tells make that it is out of date.
define stage-rule
targets += $1
from/$1 := $(from)
contract/$1 := $2 $3 : $(use.$(call program,$3)) : $(from)
changed += $(if $(call same,$(file <$1.cmd),$5),,$1)
job/$1 := --store $(store) --label '$(strip $(call program,$3) $2 $(call variant,$3))' --slots $(SLOTS) \
          $$(if $$(LAUNCH.$(call program,$3)),--launch $$(call shell-word,$$(LAUNCH.$(call program,$3)))) $(if $(states),--state '$(states)') \
          --target $1 -- $4 $(if $6,-- $6)
$1: $(needs) $(STAGE_BIN)/$(call program,$3) $(if $(call same,$(file <$1.cmd),$5),,params-changed) \
    $(if $(call same,$(file <$1.raw),$(states)),,inputs-changed) $(if $(wildcard $1.rec),,receipt-missing) | $(memo)
	@$$(memo) $$(MODE) $$(job/$1)
.PRECIOUS: $1
endef
.PHONY: params-changed inputs-changed receipt-missing

# $1 run, $2 instance; then $3 its command. What memo records of a command is what the shell reads in it: the same without quotes.
instance   = $(eval needs :=)$(eval from :=)$(eval states :=)$(call instance-1,$1,$2,$(call command,$1,$2,$(call program,$2)))
command    = $(strip $(STAGE_BIN)/$3 $(input-words) $(foreach p,$(use.$3),$(call words-of,$p,$1,$2)) $(fixed.$3) --out @O)
instance-1 = $(eval $(call stage-rule,$(call target,$1,$2),$1,$2,$3,$(subst ',,$3),$(strip $(aside.$(call program,$2)))))

# Keys of a run: <p> of some instance's program or a raw input of it, or <instance>.<p>. $1 run, $2 instances
keys-of   = $(sort $(foreach i,$2,$(call reads,$1,$i) $(addprefix $i.,$(call reads,$1,$i))))
reads     = $(use.$(call program,$2)) $(filter $(raws),$(subst +, ,$(subst =, ,$($(call inputs-of,$1,$2)))))
set-key   = $(if $(filter $2,$4),,$(error $1: '$2' is no parameter of its stages))\
            $(if $3,,$(error $1: '$2=' has no value))\
            $(eval $1.$2 := $3)
key-name  = $(firstword $(subst =, ,$1))
set-keys  = $(foreach w,$2,$(call set-key,$1,$(call key-name,$w),$(patsubst $(call key-name,$w)=%,%,$w),$3))

# $1 name, $2 key=value …, $3 instances, $4 anything: a comma went astray
run = $(if $4,$(error $1: a comma in a run line: set $1.<parameter> := … on a line before it))\
      $(if $(filter $1,$(all-runs)),$(error $1: declared twice))\
      $(eval all-runs += $1)\
      $(call set-keys,$1,$2,$(call keys-of,$1,$3))\
      $(foreach i,$3,$(call instance,$1,$i))\
      $(eval .PHONY: $1)\
      $(eval $1: $(foreach i,$3,$(call target,$1,$i)))
all-runs :=
