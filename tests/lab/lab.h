/* lab.h - what the laboratory's programs share: a device array, a stopwatch, a line of the table. In the manner of llm.c's dev/cuda: one
 * file a kernel, versions from plain to fast, each checked against double before it is timed. `make gpu-lab` builds and runs them. */
#ifndef SAEMILL_LAB_H
#define SAEMILL_LAB_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <algorithm>
#include <vector>

#define LAB_TRY(call)                                                                                                  \
    do {                                                                                                               \
        cudaError_t lab_rc = (call);                                                                                   \
        if (lab_rc != cudaSuccess) {                                                                                   \
            fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(lab_rc));                                            \
            exit(lab_rc == cudaErrorNoDevice || lab_rc == cudaErrorInsufficientDriver ? 77 : 1);                       \
        }                                                                                                              \
    } while (0)

template <class T> static T *lab_array(size_t n) {
    T *p;
    LAB_TRY(cudaMalloc(&p, n * sizeof(T)));
    LAB_TRY(cudaMemset(p, 0xff, n * sizeof(T))); /* NaN: what is read was written */
    return p;
}

template <class T> static T *lab_copy(const std::vector<T> &host) {
    T *p = lab_array<T>(host.size());
    LAB_TRY(cudaMemcpy(p, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
    return p;
}

template <class T> static std::vector<T> lab_host(const T *p, size_t n) {
    std::vector<T> v(n);
    LAB_TRY(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
}

/* A number in [-1, 1) from a counter: the same on every machine. */
static inline float lab_number(unsigned long long i) {
    i = (i + 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
    i = (i ^ (i >> 27)) * 0x94d049bb133111ebull;
    return (float)((double)(i >> 11) / 4503599627370496.0 - 1);
}

/* Median milliseconds of twenty runs after three. */
template <class F> static double lab_ms(F run) {
    cudaEvent_t a, b;
    std::vector<float> ms;
    LAB_TRY(cudaEventCreate(&a));
    LAB_TRY(cudaEventCreate(&b));
    for (int i = -3; i < 20; i++) {
        float t;
        LAB_TRY(cudaEventRecord(a));
        run();
        LAB_TRY(cudaGetLastError());
        LAB_TRY(cudaEventRecord(b));
        LAB_TRY(cudaEventSynchronize(b));
        LAB_TRY(cudaEventElapsedTime(&t, a, b));
        if (i >= 0) ms.push_back(t);
    }
    std::sort(ms.begin(), ms.end());
    return ms[10];
}

static inline void lab_line(const char *version, double error, double limit, double ms, double bytes) {
    printf("%-44s %s %.1e   %8.3f ms   %7.0f GB/s\n", version, error <= limit ? "ok  " : "FAIL", error, ms,
           1e-6 * bytes / ms);
    if (!(error <= limit)) exit(1);
}

#endif
