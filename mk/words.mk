# words.mk - what may be said on make's command line, and which characters reach a shell.
#
# A name that nothing reads is refused before anything runs: a typo must not pass for a wish. Nothing in a value is ever
# executed: values are refused where make or the shell would read more in them than a word, or stand in quotes (shell-word).

empty :=
space := $(empty) $(empty)
comma := ,
define newline


endef

# Exactly equal texts (trailing blanks included): the answer is empty or not.
same = $(and $(findstring x$1x,x$2x),$(findstring x$2x,x$1x))
# Any text as one word of the shell.
shell-word = '$(subst ','\'',$1)'

# The settings, by what their values may be. The parameters of stages are not here: pipeline.mk declares them.
choices  := SCALE PAPER HALF FORMAT
paths    := MODEL CORPUS SENTENCES RESULTS FIGURES PARAMS STAGE_BIN RECEIPT B
numbers  := THREADS SLOTS SEEDS N FUZZ_SECONDS TEST_SECONDS SEED
switches := T DEEP WIP V
commands := CC NVCC CUDA_ARCH PYTHON FUZZ_CC STD OPT KERNEL_OPT WARN CFLAGS MORE_CFLAGS CPPFLAGS LDFLAGS MORE_LDFLAGS LIBS \
            NVCCFLAGS CUDA_LIBS CUDA_CODE CLANG SHELL
settings := $(choices) $(paths) $(numbers) $(switches) $(commands)

# What a value may not hold: in a command or flags what a shell reads as more than a blank between words, in a path also what
# make reads: a rule's : = and ;, a pattern's %, what stands for several names.
no-command := ' " ` \ \# ; & | < > ( )
no-path    := $(no-command) : = % * ? [ ] { } ~ !
held       = $(firstword $(foreach c,$1,$(findstring $c,$2)))
no-chars   = $(if $(call held,$1,$3),$(error saemill: $2 holds $(call held,$1,$3) which it must not: $3: hint: $4))
tilde-hint = write the path out, from / on
plain-hint = name the file or folder without it, or say a link to it (ln -s)
# $(call plain,NAME,VALUE): VALUE, paths that make and the shell take as they are.
plain      = $(if $(filter -%,$2),$(error saemill: $1 begins with - as an option does: $2: hint: say ./$2))\
             $(call no-chars,$(no-path),$1,$2,$(if $(findstring ~,$2),$(tilde-hint),$(plain-hint)))$2
no-digits  = $(if $2,$(call no-digits,$(subst $(firstword $2),,$1),$(wordlist 2,10,$2)),$1)
one-word   = $(if $(word 2,$($1)),$(error saemill: $1 holds a blank which it must not: $($1): hint: $(plain-hint)))

there      = $(if $(wildcard $2),$2,$(error saemill: $1: no file or folder $2: hint: write its path from / on; blanks separate paths))
# $(call in-folder,NAME,FOLDER,PATTERNS): the files in it that match; make takes a name with a blank for two.
in-folder  = $(foreach f,$(filter $3,$(wildcard $2/*)),\
               $(if $(filter $2/%,$f),$(call plain,$1,$f),$(error saemill: $1: a name in $2 has a blank: … $f: hint: rename it)))
# $(call one-of,NAME,WORDS): its value is one of them.
one-of     = $(if $(and $(filter 1,$(words $($1))),$(filter $2,$($1))),,$(error saemill: no $1 '$($1)': hint: $1 is one of $(sort $2)))

# What was said on the command line; and those settings that count in the environment too, as nothing assigns them.
given := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v))
said  := $(given) $(foreach v,MODEL CORPUS SENTENCES THREADS T CC NVCC CUDA_ARCH FUZZ_CC MORE_CFLAGS MORE_LDFLAGS,\
                     $(if $(filter environment,$(origin $v)),$v))

# Nothing of it has been expanded yet: with a $ in it, make would execute a $(shell …) as soon as it is used.
$(foreach v,$(said),$(if $(findstring $$,$(value $v)),\
    $(error saemill: $v holds $$ which it must not: $(value $v): hint: say the value itself)))
$(foreach v,$(said),$(if $(findstring $(newline),$(value $v)),\
    $(error saemill: $v holds the end of a line which it must not: hint: say the value on one line)))
$(foreach v,$(filter $(commands) MODE in.% aside.% fixed.%,$(said)),\
    $(call no-chars,$(no-command),$v,$($v),say a command or words without it))
$(foreach v,$(filter $(paths),$(given)),$(if $(call plain,$v,$($v)),))
$(foreach v,$(filter-out CORPUS SENTENCES,$(filter $(paths),$(given))),$(call one-word,$v)\
    $(if $(strip $($v)),,$(error saemill: $v is empty: hint: leave it out or say a path)))
$(foreach v,$(filter $(numbers),$(said)),\
    $(if $(or $(word 2,$($v)),$(call no-digits,$($v),0 1 2 3 4 5 6 7 8 9),$(if $(strip $($v)),,$(filter-out THREADS,$v))),\
        $(error saemill: $v is no whole number: $($v): hint: say digits and nothing else)))
