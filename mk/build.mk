# build.mk - C and CUDA sources to objects, one archive, programs and tests. It links what exists; nothing is listed by hand.

lib_src   := $(sort $(wildcard lib/*.c lib/*/*.c kernels/*/*.c))
cuda_src  := $(if $(NVCC),$(sort $(wildcard kernels/*/*.cu)))
stage_src := $(sort $(wildcard stages/*.c))
test_src  := $(sort $(wildcard tests/test_*.c))
bench_src := $(sort $(wildcard tests/bench/*.c))
obj        = $(patsubst %,$(B)/obj/%.o,$(basename $1))

lib_obj  := $(call obj,$(lib_src) $(cuda_src))
programs := $(patsubst stages/%.c,$(BIN)/%,$(stage_src))
tests    := $(patsubst tests/%.c,$(B)/test/%,$(test_src)) \
            $(patsubst %,$(B)/test/test_%_emulated,backends encode lm_kernels sae_kernels step forward hooked rows splice)
benches  := $(patsubst tests/bench/%.c,$(B)/bench/%,$(bench_src))
fuzz_src  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
# The GPU's kernels as C, each thread of a launch run on the CPU: tests/cuda/emulate.h.
emulated_obj := $(patsubst kernels/%.cu,$(B)/emulated/%.o,$(filter-out kernels/base/cuda_device.cu kernels/base/gemm_cuda.cu,$(wildcard kernels/*/*.cu))) \
                $(patsubst tests/cuda/%.c,$(B)/emulated/%.o,$(wildcard tests/cuda/*.c)) $(B)/emulated/base/backends.o
emulated     := $(filter %_emulated,$(tests))

all_obj  := $(lib_obj) $(call obj,$(stage_src) $(test_src) $(bench_src) $(fuzz_src))
archive  := $(B)/libsaemill.a
CPPFLAGS += $(if $(cuda_src),-DSAEMILL_CUDA)

# `make clean deps test` means: in that order. Whatever compiles waits for those that are asked for in the same run.
first := $(filter clean deps,$(MAKECMDGOALS))

# Records of what was compiled and with what; a difference makes the record out of date, and what depends on it. No newline at
# their end: GNU Make 4.3's $(file <) does not always strip it.
#   $(call record,FILE,TEXT): a record of TEXT
define record
$(B)/$1: $(if $(call same,$(file <$(B)/$1),$2),,flags-changed) | $(first)
	@mkdir -p $$(@D) && printf %s $(call shell-word,$2) >$$@
endef
$(eval $(call record,flags,$(CC) $(STD) $(OPT) $(KERNEL_OPT) $(WARN) $(MORE_CFLAGS) $(CPPFLAGS)))
$(eval $(call record,link,$(LDFLAGS) $(LIBS)))
$(eval $(call record,members,$(lib_obj)))
$(eval $(call record,nvcc,$(NVCC)))
$(eval $(call record,nvcc-flags,$(NVCC) $(NVCCFLAGS)))
.PHONY: flags-changed

# One short line per file; the whole command with V=1.
quiet := $(if $(V),,@)
say    = $(if $(V),,@echo '  $1 $(or $2,$@)')

# Whatever makes a file writes it beside the target and renames it, so that neither a kill nor a second make leaves half of one
# that make then takes for good. What a killed compiler left is removed when the archive is next made.
#   $(call whole,COMMAND): it writes $(part).   $(call compile,COMMAND): compiles the first source, and records its headers.
part    = $@.saemill-part$$$$
whole   = $(quiet)$1 && mv -f $(part) $@
compile = $(call whole,$1 -MMD -MP -MT $@ -MF $(part).d $< -o $(part) && mv -f $(part).d $(basename $@).d)

$(B)/obj/%.o: %.c $(B)/flags | $(first)
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(call compile,$(CC) $(CFLAGS) $(CPPFLAGS) -c)
$(B)/obj/kernels/%.o: LEVEL = $(KERNEL_OPT)
$(B)/obj/%.o: %.cu $(B)/nvcc-flags | $(B)/nvcc $(first)
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(call compile,$(NVCC) $(NVCCFLAGS) -c)

$(archive): $(lib_obj) $(B)/members
	@mkdir -p $(@D)
	@find $(B) -name '*.saemill-part*' -mmin +60 -delete
	$(call say,AR  )
	$(call whole,rm -f $(part) && ar rcsD $(part) $(lib_obj))

# The kinds of chart, for kind.c: what lib/chart/kind_*.c define.
kind_src := $(sort $(wildcard lib/chart/kind_*.c))
$(B)/obj/lib/chart/kind.o: private CPPFLAGS += -I$(B)
$(B)/obj/lib/chart/kind.o: $(B)/kinds.inc
$(B)/kinds.inc: $(kind_src) $(B)/members
	$(call whole,sed -n 's/^const struct kind \(kind_[a-z0-9_]*\) = .*/KIND(\1)/p' $(kind_src) >$(part))

# Where pango's headers are is asked when they are read: before `make deps`, nothing can tell.
pango_flags := $$(pkg-config --cflags pangocairo | sed 's/-I/-isystem /g')
$(B)/obj/lib/chart/letters.o: private CPPFLAGS += $(pango_flags)

linker    = $(CC) $(OPT) $(MORE_CFLAGS) $(LDFLAGS)
execstack = -Wl,-z,execstack
# A program carries the sums of what it is made of: they are its identity in the store of results.
$(B)/sums: $(archive) mk/parts.sh
	$(call whole,sh mk/parts.sh sums $(archive) >$(part))
$(BIN)/%: $(B)/obj/stages/%.o $(archive) $(B)/link $(B)/sums mk/parts.sh
	@mkdir -p $(@D)
	$(call say,LINK)
	$(call whole,$(linker) -Wl$(comma)-Map=$(part).map $< $(archive) $(LIBS) -o $(part) && sh mk/parts.sh put $(part) $< $(B)/sums $(part).map $(archive))
$(B)/test/%: $(B)/obj/tests/%.o $(archive) $(B)/link
	@mkdir -p $(@D)
	$(call say,LINK)
	$(call whole,$(linker) $< $(archive) -lcmocka $(LIBS) -o $(part))
# (Its threads leave and enter stacks of their own, which AddressSanitizer, in `make asan`, must not watch.)
$(B)/emulated/%.o: CFLAGS = --param asan-stack=0 -std=gnu11 -D_GNU_SOURCE -O2 -g -ffp-contract=off -Wall -Wextra -Wno-unused-function -Wno-unknown-pragmas -DSAEMILL_EMULATE -include tests/cuda/emulate.h $(MORE_CFLAGS)
$(B)/emulated/%.o: kernels/%.cu $(B)/flags | $(first)
	@mkdir -p $(@D)
	$(call say,CC  ,$< as C)
	$(call compile,$(CC) -x c $(CFLAGS) -I. -c)
$(B)/emulated/%.o: tests/cuda/%.c $(B)/flags | $(first)
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(call compile,$(CC) $(CFLAGS) -I. -c)
$(B)/emulated/%.o: kernels/%.c $(B)/flags | $(first)
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(call compile,$(CC) $(CFLAGS) -I. -c)
$(emulated): $(B)/test/%_emulated: $(B)/obj/tests/%.o $(emulated_obj) $(archive) $(B)/link
	@mkdir -p $(@D)
	$(call say,LINK)
	$(call whole,$(linker) $(execstack) $< $(emulated_obj) $(archive) -lcmocka $(LIBS) -o $(part))
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(archive) $(B)/link
	@mkdir -p $(@D)
	$(call say,LINK)
	$(call whole,$(linker) $< $(archive) $(LIBS) -o $(part))

.PHONY: programs tests benches objects
programs: $(programs) ## every stage program
tests: $(tests)
benches: $(benches)
objects: $(all_obj)

-include $(wildcard $(all_obj:.o=.d) $(emulated_obj:.o=.d))
