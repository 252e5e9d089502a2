/* adam.cu - the update of a feature's weights by Adam (beta1 = 0): w and v of [F,D] read and written once, 16 bytes an element.
 *
 * D 3584, F 16384: 0.94 GB for one matrix, 0.22 ms at 4.2 TB/s. Predicted: version 1 (4 bytes a thread) 0.27 ms; 2 (16 bytes) 0.23;
 * 3 writes the bf16 copy too, which the step otherwise makes by reading w again (0.35 ms of traffic saved for 0.12 spent): 0.26.
 * None was measured yet. */
#include "tests/lab/lab.h"

enum { D = 3584, F = 16384, THREADS = 256 };
static const float lr = 1e-3f, beta2 = 0.999f, eps = 1e-8f, root = 0.5f;

__device__ static inline void update(float g, float *w, float *v) {
    *v = 0.999f * *v + 0.001f * g * g;
    *w -= 1e-3f * (g / (sqrtf(*v) / 0.5f + 1e-8f));
}

__global__ static void adam_1(const float *g, float *w, float *v, __nv_bfloat16 *half) {
    (void)half;
    size_t f = blockIdx.x;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        float a = w[f * D + d], b = v[f * D + d];
        update(g[d], &a, &b);
        w[f * D + d] = a, v[f * D + d] = b;
    }
}

template <bool COPY> __device__ static inline void four(const float *g, float *w, float *v, __nv_bfloat16 *half) {
    size_t f = blockIdx.x;
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        float4 a = *(float4 *)(w + f * D + d), b = *(float4 *)(v + f * D + d), h = *(const float4 *)(g + d);
        update(h.x, &a.x, &b.x), update(h.y, &a.y, &b.y), update(h.z, &a.z, &b.z), update(h.w, &a.w, &b.w);
        *(float4 *)(w + f * D + d) = a, *(float4 *)(v + f * D + d) = b;
        if (COPY) {
            __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(a.x, a.y), __floats2bfloat162_rn(a.z, a.w)};
            *(uint2 *)(half + f * D + d) = *(uint2 *)pair;
        }
    }
}

__global__ static void adam_2(const float *g, float *w, float *v, __nv_bfloat16 *half) { four<false>(g, w, v, half); }
__global__ static void adam_3(const float *g, float *w, float *v, __nv_bfloat16 *half) { four<true>(g, w, v, half); }

int main(void) {
    std::vector<float> W((size_t)F * D), V((size_t)F * D), G(D);
    for (size_t i = 0; i < W.size(); i++) W[i] = lab_number(i), V[i] = fabsf(lab_number(i + (1ull << 40)));
    for (size_t d = 0; d < D; d++) G[d] = lab_number(d + (1ull << 41));
    const float *g = lab_copy(G);
    __nv_bfloat16 *half = lab_array<__nv_bfloat16>((size_t)F * D);
    typedef void (*kernel)(const float *, float *, float *, __nv_bfloat16 *);
    const kernel version[] = {adam_1, adam_2, adam_3};
    const char *name[] = {"1: an element a thread", "2: 16-byte loads and stores", "3: and the bf16 copy"};
    for (int k = 0; k < 3; k++) {
        float *w = lab_copy(W), *v = lab_copy(V);
        double worst = 0;
        version[k]<<<F, THREADS>>>(g, w, v, half);
        std::vector<float> got = lab_host(w, (size_t)F * D);
        for (size_t i = 0; i < got.size(); i += 101) {
            double h = (double)G[i % D], second = (double)beta2 * (double)V[i] + (1 - (double)beta2) * h * h;
            double want = (double)W[i] - (double)lr * h / (sqrt(second) / (double)root + (double)eps),
                   off = fabs((double)got[i] - want);
            worst = off <= worst ? worst : off;
        }
        double ms = lab_ms([&] { version[k]<<<F, THREADS>>>(g, w, v, half); });
        lab_line(name[k], worst, 1e-6, ms, (k == 2 ? 18.0 : 16.0) * F * D);
        LAB_TRY(cudaFree(w));
        LAB_TRY(cudaFree(v));
    }
    return 0;
}
