/* attention.cu - causal attention in bf16, Qwen2-7B's shape: 8 sequences of 1024, 28 query heads on 4 key heads of 128.
 *
 * 60 GFLOP of visible pairs; moved at least: q, k, v read and the result written once, 134 MB, 0.03 ms. Predicted: version 1, a query a
 * block on the scalar units, reads keys and values anew for every query: 10 ms or worse; 2, the tiles of kernels/lm/attention_cuda.cu on the
 * matrix units by mma.sync, half of a tile on the diagonal wasted: 0.25 ms, 240 TFLOP/s. None was measured yet. The GB/s below are of
 * the 134 MB. */
#include "tests/lab/lab.h"

/* The file itself, with as much of cuda_device.cu as it asks for. */
#include "kernels/lm/attention_cuda.cu"

static enum precision precision = PRECISION_BF16;
extern "C" enum precision cuda_precision(void) { return precision; }
extern "C" cudaStream_t cuda_stream(void) { return 0; }
extern "C" void cuda_note(cudaError_t status, const char *what) {
    if (status != cudaSuccess) fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status)), exit(1);
}
extern "C" int cuda_room(const void *kernel, size_t bytes) {
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes) == cudaSuccess;
}

enum { N = 8, T = 1024, H = 28, G = 4, DH = 128, LD = (H + 2 * G) * DH };

/* In double, for a few queries of every head. */
static double worst(const std::vector<__nv_bfloat16> &x, const std::vector<__nv_bfloat16> &out) {
    double far = 0, size = 0;
    for (size_t s = 0; s < N; s += 7)
        for (size_t i = 0; i < T; i += 341)
            for (size_t h = 0; h < H; h++) {
                const __nv_bfloat16 *q = &x[(s * T + i) * LD + h * DH], *k = &x[s * T * LD + (H + h / (H / G)) * DH],
                                    *v = k + G * DH;
                std::vector<double> p(i + 1);
                double sum = 0;
                for (size_t j = 0; j <= i; j++) {
                    double c = 0;
                    for (size_t d = 0; d < DH; d++)
                        c += (double)__bfloat162float(q[d]) * (double)__bfloat162float(k[j * LD + d]);
                    sum += p[j] = exp(c / sqrt((double)DH));
                }
                for (size_t d = 0; d < DH; d++) {
                    double want = 0;
                    for (size_t j = 0; j <= i; j++) want += p[j] / sum * (double)__bfloat162float(v[j * LD + d]);
                    double got = (double)__bfloat162float(out[(s * T + i) * H * DH + h * DH + d]);
                    far += (got - want) * (got - want), size += want * want;
                }
            }
    return sqrt(far / size);
}

int main(void) {
    std::vector<__nv_bfloat16> x((size_t)N * T * LD);
    std::vector<struct pass_tile> tiles;
    for (size_t i = 0; i < x.size(); i++) x[i] = __float2bfloat16(2 * lab_number(i));
    for (unsigned s = 0; s < N; s++)
        for (unsigned t = 0; t < T; t += PASS_TILE) tiles.push_back({s * T, T, t});
    const __nv_bfloat16 *in = lab_copy(x);
    __nv_bfloat16 *out = lab_array<__nv_bfloat16>((size_t)N * T * H * DH);
    const struct attention_args a = {
        H, G, DH, LD, H * DH, in, in + H * DH, in + (H + G) * DH, out, (float)(1 / sqrt((double)DH)), lab_copy(tiles)};
    const size_t blocks = tiles.size() * H;
    const double bytes = 2.0 * N * T * (LD + H * DH), flops = 4.0 * N * H * DH * T * (T + 1) / 2;
    double ms = lab_ms([&] { LAUNCH(attention_rows, blocks, CUDA_THREADS, T * sizeof(float), a, 1); });
    lab_line("1: a query at a time, scalar units", worst(x, lab_host(out, (size_t)N * T * H * DH)), 4e-3, ms, bytes);
    ms = lab_ms([&] { LAUNCH(attention_128, blocks, TILE_THREADS, 2 * KEYS * (DH + PAD) * 2, a); });
    lab_line("2: tiles on the matrix units", worst(x, lab_host(out, (size_t)N * T * H * DH)), 4e-3, ms, bytes);
    printf("   %.0f TFLOP/s\n", 1e-9 * flops / ms);
}
