# gpu.mk - what a GPU says: one command that needs gcc, make and nvcc and nothing else.

receipt_src := $(wildcard kernels/*/*.c) $(addprefix lib/base/,arena.c clock.c progress.c err.c rng.c) $(addprefix lib/sae/,trainer.c schedule.c) \
               $(addprefix lib/lm/,forward.c site.c block.c) $(wildcard tests/gpu/*.c)
receipt_obj := $(patsubst %.c,$(B)/receipt/%.o,$(receipt_src)) $(patsubst %.cu,$(B)/receipt/%.o,$(wildcard kernels/*/*.cu))
RECEIPT     := receipt.json

.PHONY: gpu-receipt
gpu-receipt: ## on a machine with a GPU: check every operation, then time training and collecting; writes RECEIPT=receipt.json (under 8 min)
ifeq ($(NVCC),)
	@echo 'gpu-receipt: no nvcc: install the CUDA toolkit' && exit 77
else
	@$(MAKE) -s $(B)/gpu-receipt
	@$(B)/gpu-receipt $(RECEIPT) '$(shell git rev-parse --short HEAD 2>/dev/null)'
	@if python3 -c 'import torch' 2>/dev/null; then python3 tests/gpu/step_torch.py; else echo 'PyTorch beside it: absent'; fi
	@if python3 -c 'import torch, transformers' 2>/dev/null; then python3 tests/gpu/collect_torch.py; else echo 'transformers beside it: absent'; fi
endif
$(B)/gpu-receipt: $(receipt_obj) $(B)/flags $(B)/nvcc-flags
	$(call say,LINK)
	$(call whole,$(NVCC) -Xcompiler -fopenmp $(receipt_obj) -o $(part) -lpthread -ldl -lm)
$(B)/receipt/%.o: %.c $(B)/flags | $(first)
	@mkdir -p $(@D)
	$(call compile,$(CC) $(STD) $(OPT) $(KERNEL_OPT) -DSAEMILL_CUDA -DSAEMILL_NO_BLAS -I. -c)
$(B)/receipt/%.o: %.cu $(B)/nvcc-flags | $(first)
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(call compile,$(NVCC) $(NVCCFLAGS) -c)

# The same program on the emulated GPU: the receipt is tested where there is none.
$(B)/test/receipt_emulated: $(B)/obj/tests/gpu/receipt.o $(B)/obj/tests/gpu/receipt_lm.o $(emulated_obj) $(archive) $(B)/link
	@mkdir -p $(@D)
	$(call say,LINK)
	$(call whole,$(linker) $(execstack) $(filter %.o,$^) $(archive) $(LIBS) -o $(part))

# The laboratory: versions of single kernels, checked and timed. CI compiles it where nvcc is.
lab := $(if $(NVCC),$(patsubst tests/lab/%.cu,$(B)/lab/%,$(sort $(wildcard tests/lab/*.cu))))
.PHONY: gpu-lab
gpu-lab: $(lab) ## on a machine with a GPU: versions of single kernels from plain to fast, checked and timed
	@$(if $(lab),for p in $(lab); do echo "$${p##*/}"; $$p || exit; done,echo 'gpu-lab: no nvcc: install the CUDA toolkit'; exit 77)
.PHONY: gpu-programs
gpu-programs: $(if $(NVCC),$(B)/gpu-receipt $(lab)) ## compile and link what needs a GPU to run; nothing without nvcc
$(B)/lab/%: tests/lab/%.cu $(B)/nvcc-flags | $(first)
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(call compile,$(NVCC) -O3 -std=c++17 -I. $(CUDA_CODE))
-include $(wildcard $(lab:=.d) $(receipt_obj:.o=.d) $(B)/obj/tests/gpu/*.d)
