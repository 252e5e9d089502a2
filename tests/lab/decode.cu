/* decode.cu - the sparse decode: out[b,d] = sum over the row's entries of z W[feat,d], W in bf16.
 *
 * 262 144 entries of 7 KB: 1.9 GB gathered, 0.45 ms at 4.2 TB/s; W has 117 MB, more than twice the second-level cache.
 * Predicted: version 1 asks for 2 bytes a thread, 64 a warp, and is bound by load instructions (0.7 ms); 2 asks for 4 (0.5 ms); 3 for
 * 16, one row of 3584 columns in two rounds of a block (0.45 ms). None was measured yet. */
#include "tests/lab/lab.h"

enum { B = 4096, D = 3584, F = 16384, L0 = 64, THREADS = 256 };

__global__ static void decode_1(const __nv_bfloat16 *W, const unsigned *feat, const float *z, float *out) {
    size_t b = blockIdx.x;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        float v = 0;
        for (int i = 0; i < L0; i++) v += z[b * L0 + i] * __bfloat162float(W[(size_t)feat[b * L0 + i] * D + d]);
        out[b * D + d] = v;
    }
}

/* Two columns a thread, four entries under way. */
__global__ static void decode_2(const __nv_bfloat16 *W, const unsigned *feat, const float *z, float *out) {
    size_t b = blockIdx.x;
    for (size_t d = 2 * threadIdx.x; d < D; d += 2 * blockDim.x) {
        float x = 0, y = 0;
#pragma unroll 4
        for (int i = 0; i < L0; i++) {
            float2 w = __bfloat1622float2(*(const __nv_bfloat162 *)(W + (size_t)feat[b * L0 + i] * D + d));
            x += z[b * L0 + i] * w.x, y += z[b * L0 + i] * w.y;
        }
        *(float2 *)(out + b * D + d) = make_float2(x, y);
    }
}

/* Eight columns a thread, entries from shared memory. */
__global__ static void decode_3(const __nv_bfloat16 *W, const unsigned *feat, const float *z, float *out) {
    __shared__ unsigned row[L0];
    __shared__ float scale[L0];
    size_t b = blockIdx.x;
    if (threadIdx.x < L0) row[threadIdx.x] = feat[b * L0 + threadIdx.x], scale[threadIdx.x] = z[b * L0 + threadIdx.x];
    __syncthreads();
    for (size_t d = 8 * threadIdx.x; d < D; d += 8 * blockDim.x) {
        float v[8] = {0};
#pragma unroll 4
        for (int i = 0; i < L0; i++) {
            uint4 packed = *(const uint4 *)(W + (size_t)row[i] * D + d);
            const __nv_bfloat162 *pair = (const __nv_bfloat162 *)&packed;
#pragma unroll
            for (int k = 0; k < 4; k++) {
                float2 w = __bfloat1622float2(pair[k]);
                v[2 * k] += scale[i] * w.x, v[2 * k + 1] += scale[i] * w.y;
            }
        }
#pragma unroll
        for (int k = 0; k < 2; k++)
            ((float4 *)(out + b * D + d))[k] = make_float4(v[4 * k], v[4 * k + 1], v[4 * k + 2], v[4 * k + 3]);
    }
}

int main(void) {
    std::vector<__nv_bfloat16> W((size_t)F * D);
    std::vector<unsigned> feat((size_t)B * L0);
    std::vector<float> z((size_t)B * L0);
    for (size_t i = 0; i < W.size(); i++) W[i] = __float2bfloat16(lab_number(i) / 60);
    for (size_t i = 0; i < feat.size(); i++)
        feat[i] = (unsigned)((lab_number(i + (1ull << 40)) * 0.5f + 0.5f) * (F - 1)),
        z[i] = lab_number(i + (1ull << 41));
    const __nv_bfloat16 *w = lab_copy(W);
    const unsigned *f = lab_copy(feat);
    const float *s = lab_copy(z);
    float *out = lab_array<float>((size_t)B * D);
    typedef void (*kernel)(const __nv_bfloat16 *, const unsigned *, const float *, float *);
    const kernel version[] = {decode_1, decode_2, decode_3};
    const char *name[] = {"1: a column a thread", "2: two columns, four entries under way",
                          "3: eight columns, 16-byte loads"};
    for (int k = 0; k < 3; k++) {
        LAB_TRY(cudaMemset(out, 0xff, (size_t)B * D * sizeof(float)));
        double ms = lab_ms([&] { version[k]<<<B, THREADS>>>(w, f, s, out); }), worst = 0;
        std::vector<float> got = lab_host(out, (size_t)B * D);
        for (size_t b = 0; b < B; b += 511)
            for (size_t d = 0; d < D; d++) {
                double want = 0;
                for (int i = 0; i < L0; i++)
                    want += (double)z[b * L0 + i] * (double)__bfloat162float(W[(size_t)feat[b * L0 + i] * D + d]);
                double off = fabs((double)got[b * D + d] - want);
                worst = off <= worst ? worst : off; /* NaN is kept */
            }
        lab_line(name[k], worst, 64 * 6e-8, ms, 2.0 * B * L0 * D + 4.0 * B * D);
    }
    return 0;
}
