# toolchain.mk - compilers, libraries, flags. Nothing here runs a compiler: `make deps …` must parse on a bare machine.
#
# A command-line value (make CC=clang) wins; a changed flag recompiles what it touches, because $(B)/flags then differs.

ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
CLANG := $(or $(FUZZ_CC),clang)

# Where everything compiled goes; strict and asan are the same rules in another folder (B=build/asan).
B     := build
BIN   := $(B)/bin

# Where nvcc was found is kept in $(B)/nvcc (build.mk) and holds while it is there: a PATH that lacks it today would otherwise
# mean programs without CUDA, which are other programs, and every result would be made again. NVCC= is none for this once.
ifneq ($(filter default undefined,$(origin NVCC)),)
NVCC  := $(firstword $(wildcard $(file <$(B)/nvcc)) $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
endif

STD   := -std=c11 -D_POSIX_C_SOURCE=200809L
OPT   := -O2 -g -ffp-contract=off -fopenmp
KERNEL_OPT := -O3 -fno-math-errno# for kernels/: loops want unrolling, and roots that may set errno are not vectorised; elsewhere it buys only false warnings
WARN  := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes
CPPFLAGS := -I. -I/usr/include/cairo
CFLAGS = $(STD) $(OPT) $(LEVEL) $(WARN) $(MORE_CFLAGS)
# No build id and no run path: equal code gives equal bytes, in whatever folder it is built. What identifies a program: lib/store/progid.h.
LDFLAGS = -Wl,--build-id=none -Wl,--as-needed $(MORE_LDFLAGS)
# CUDA's runtime goes in whole; cuBLAS is loaded by a run that asks for the GPU (kernels/base/gemm_cuda.cu).
CUDA_LIBS := $(if $(NVCC),-L$(patsubst %/,%,$(dir $(NVCC)))/../lib64 -lcudart_static -lstdc++ -ldl -lrt)
LIBS  := -llapacke -lopenblas -larpack -lfftw3f -lpangocairo-1.0 -lpango-1.0 -lgobject-2.0 -lcairo -lpng -ljansson -lzstd -lz -lpcre2-8 -lutf8proc -lxxhash $(CUDA_LIBS) -lpthread -lm
# Code for the A100 and the H100/H200, and PTX for what comes after. CUDA_ARCH=89 for one other card.
CUDA_CODE := $(if $(CUDA_ARCH),-gencode arch=compute_$(CUDA_ARCH)$(comma)code=sm_$(CUDA_ARCH),\
             $(foreach a,80 90,-gencode arch=compute_$a$(comma)code=sm_$a) -gencode arch=compute_90$(comma)code=compute_90)
NVCCFLAGS = -O3 -lineinfo -I. -DSAEMILL_CUDA -Xcompiler -fopenmp$(comma)-O2 $(CUDA_CODE)
