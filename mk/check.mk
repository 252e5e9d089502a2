# check.mk - everything that judges the code: tests, warnings, sanitizers, fuzzing, timing, formatting.

hostile_scripts := $(filter-out %/lib.sh,$(sort $(wildcard tests/hostile/*.sh)))
test_scripts := $(sort $(wildcard tests/cli/*.sh tests/contract/*.sh tests/e2e/*.sh)) $(hostile_scripts)
FUZZ_SECONDS := 60

.PHONY: test hostile strict asan fuzz bench format format-check
test: $(tests) $(programs) $(B)/test/receipt_emulated $(B)/test/fail_write.so ## every test: units, command lines, partial reruns, the whole pipeline at SCALE=tiny; needs no GPU
	@LOGS=$(B)/test-logs flock $(B)/test.lock sh tests/run.sh $(tests) $(test_scripts)
hostile: $(programs) $(B)/test/fail_write.so ## kills, failing writes, damaged inputs, a damaged store: tests/hostile/ at length (15 min); SEED= for another draw
	@LONG=1 LOGS=$(B)/hostile-logs TEST_SECONDS=3600 flock $(B)/test.lock sh tests/run.sh $(hostile_scripts)
	@grep -h '^# [a-z_]*: [0-9]' $(B)/hostile-logs/*.log
$(B)/test/fail_write.so: tests/hostile/fail_write.c $(B)/flags | $(first)
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(call whole,$(CC) -std=gnu11 -O1 $(WARN) -shared -fPIC $< -o $(part))
strict: | $(first) ## compile all with -Wconversion, every warning an error; no #include that goes up or across rooms
	@awk -f mk/rooms.awk $(wildcard lib/*/*.[ch] kernels/*/*.[ch] kernels/*/*.cu stages/*.[ch])
	@$(MAKE) B=build/strict MORE_CFLAGS='-Wconversion -Werror' objects && echo 'strict: no warnings'

# Leaks in libraries that keep caches for the process's life (font configuration, OpenMP) are not ours to free.
asan: | $(first) ## the unit tests and the emulated GPU's kernels under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) B=build/asan MORE_CFLAGS='$(sanitized)' asan-run
asan-quick: | $(first) ## the quick half of it, in three minutes: the readers, the store, the options, charts and small kernels
	@$(MAKE) B=build/asan MORE_CFLAGS='$(sanitized)' asan-quick-run
sanitized    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
run-asan      = @ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0 \
                LOGS=$(B)/test-logs TEST_SECONDS=600 flock $(B)/test.lock sh tests/run.sh
slow-in-asan := $(filter %_emulated,$(tests)) $(addprefix $(B)/test/test_,step feed forward hooked rows splice tsne umap spectral knn \
                cooccur lm_kernels sae_kernels tokenizer tokens corpus)
.PHONY: asan-run asan-quick asan-quick-run
asan-quick-run: $(filter-out $(slow-in-asan),$(tests))
	$(run-asan) $^
asan-run: $(tests) $(B)/test/receipt_emulated
	$(run-asan) $(filter-out %step_emulated,$(tests))
	@$(B)/test/receipt_emulated --quick $(B)/receipt.json asan >$(B)/test-logs/receipt.log 2>&1 || { tail -40 $(B)/test-logs/receipt.log; exit 1; }
	@tail -1 $(B)/test-logs/receipt.log # it runs what test_step_emulated does, which takes eight minutes here

# The library is compiled anew by clang, without OpenMP: its own runtime would be one more package.
fuzz_opt := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz: | $(first) ## every tests/fuzz/fuzz_*.c under libFuzzer, FUZZ_SECONDS=60 each, seeds from tests/fuzz/seeds/<name>/
	@if ! command -v $(CLANG) >/dev/null; then echo 'SKIP fuzz: no clang (install clang and libclang-rt-dev)'; \
	elif ! $(call fuzz_probe,$(CLANG)); then echo 'SKIP fuzz: clang has no libFuzzer runtime (install libclang-rt-dev)'; \
	else $(MAKE) B=build/fuzz CC=$(CLANG) OPT='$(fuzz_opt)' WARN='-Wall -Wno-unknown-pragmas' \
	    MORE_CFLAGS=-Itests/fuzz/serial fuzz-run; fi
fuzz_probe = mkdir -p build/fuzz && printf 'int LLVMFuzzerTestOneInput(const char *p,long n){return p&&n<0;}' | \
	$1 -x c - -fsanitize=fuzzer,address -o build/fuzz/probe 2>/dev/null

fuzz_run := $(patsubst tests/fuzz/fuzz_%.c,fuzz-%,$(fuzz_src))
.PHONY: fuzz-run $(fuzz_run)
fuzz-run: $(fuzz_run)
	@echo 'fuzz: $(words $(fuzz_run)) targets, $(FUZZ_SECONDS) s each, nothing found'
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(archive) $(B)/link
	@mkdir -p $(@D)
	$(call say,LINK)
	$(call whole,$(CC) $(OPT) -fsanitize=fuzzer $(LDFLAGS) $< $(archive) $(LIBS) -o $(part))
.SECONDARY: $(call obj,$(fuzz_src))
$(fuzz_run): fuzz-%: $(B)/fuzz/fuzz_%
	@mkdir -p $(B)/corpus/$* $(B)/found
	@echo 'fuzz $*: $(FUZZ_SECONDS) s'
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
	    -artifact_prefix=$(B)/found/$*- $(B)/corpus/$* $(wildcard tests/fuzz/seeds/$*) >$(B)/found/$*.log 2>&1 \
	    || { tail -40 $(B)/found/$*.log; echo 'fuzz $*: FAILED, see $(B)/found/'; exit 1; }
	@grep -E 'number_of_executed_units' $(B)/found/$*.log | sed 's/^stat::number_of_executed_units:/fuzz $*: inputs tried/'

PYTHON := python3
bench: $(benches) ## time kernels and stages: seconds beside goals and peers; PYTHON=… with torch and scikit-learn adds those (10 min)
	@for b in $(filter-out %_analysis,$(filter $(B)/bench/bench_%,$(benches))); do echo "$$b"; $$b || exit 1; done
	@$(PYTHON) tests/bench/step_torch.py || echo 'step_torch.py: $(PYTHON) cannot run it'
	@$(B)/bench/analysis_data $(B)/bench/data
	@rm -f $(B)/bench/data/peers.tsv
	@$(PYTHON) tests/bench/analysis_peers.py $(B)/bench/data || echo 'analysis_peers.py: $(PYTHON) cannot run it'
	@$(B)/bench/bench_analysis $(B)/bench/data

c-files = $(wildcard lib/*/*.[ch] kernels/*/*.[ch] kernels/*/*.cu stages/*.[ch] tests/*.[ch] tests/*/*.[ch] tests/*/*.cu)
format: ## clang-format every C file in place
	clang-format -i $(c-files)
format-check: ## say which C files `make format` would change
	@if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(c-files) && echo 'format: as it should be'; \
	else echo 'SKIP format-check: no clang-format'; fi
