/* cuda_device.cu - device, memory, streams and the copies of batches; see cuda.h. State of the one device a program uses. */
#include "kernels/base/cuda.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS = 2 };

static struct {
    bool ready;
    enum precision precision;
    cudaStream_t compute, copy;
    cudaEvent_t arrived[SLOTS], sent[SLOTS], copied[SLOTS];
    void *staging[SLOTS], *staged[SLOTS]; /* pinned, and where it goes to */
    size_t staging_bytes[SLOTS];
    int turn;
    void *raw[SLOTS], *batch[SLOTS]; /* a batch as stored; as float32 */
    size_t raw_bytes[SLOTS], batch_bytes[SLOTS];
    void *scratch[CUDA_SCRATCHES];
    size_t scratch_bytes[CUDA_SCRATCHES];
    cudaError_t failed;
    const char *where;
} device;

cudaStream_t cuda_stream(void) { return device.compute; }

enum precision cuda_precision(void) { return device.precision; }

void cuda_note(cudaError_t status, const char *what) {
    if (status == cudaSuccess || device.failed != cudaSuccess) return;
    device.failed = status;
    device.where = what;
}

int cuda_room(const void *kernel, size_t shared_bytes) {
    if (shared_bytes > 47 * 1024) /* 48 KB, with what kernels declare themselves: at most 256 bytes here */
        cuda_note(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes),
                  "shared memory of a block");
    return device.failed == cudaSuccess;
}

int cuda_start(enum precision p, struct err *e) {
    int n = 0;
    device.precision = p;
    if (device.ready) return gemm_cuda_start(e);
    cudaError_t rc = cudaGetDeviceCount(&n);
    if (rc != cudaSuccess || n < 1) {
        err_set(e, ERR_NO_DEVICE, "--backend cuda: no GPU that can be used: %s",
                rc == cudaSuccess ? "none found" : cudaGetErrorString(rc));
        return err_hint(e, "use --backend cpu, or see what nvidia-smi says");
    }
    cuda_note(cudaStreamCreateWithFlags(&device.compute, cudaStreamNonBlocking), "stream");
    cuda_note(cudaStreamCreateWithFlags(&device.copy, cudaStreamNonBlocking), "stream");
    for (int i = 0; i < SLOTS; i++) {
        cuda_note(cudaEventCreateWithFlags(&device.arrived[i], cudaEventDisableTiming), "event");
        cuda_note(cudaEventCreateWithFlags(&device.sent[i], cudaEventDisableTiming), "event");
        cuda_note(cudaEventCreateWithFlags(&device.copied[i], cudaEventDisableTiming), "event");
    }
    if (device.failed != cudaSuccess)
        return err_set(e, ERR_DEVICE, "--backend cuda: %s: %s", device.where, cudaGetErrorString(device.failed));
    device.ready = true;
    return gemm_cuda_start(e);
}

static int outcome(struct err *e) {
    if (device.failed == cudaSuccess) return 0;
    err_set(e, ERR_DEVICE, "--backend cuda: %s: %s", device.where, cudaGetErrorString(device.failed));
    return err_hint(e, "nothing was written; a run resumes from its last checkpoint");
}

int cuda_finish(struct err *e) {
    cuda_note(cudaStreamSynchronize(device.compute), "a kernel");
    return outcome(e);
}

void cuda_sent(int slot) { cuda_note(cudaEventRecord(device.sent[slot], device.compute), "event"); }

int cuda_await(int slot, struct err *e) {
    cuda_note(cudaEventSynchronize(device.sent[slot]), "a kernel");
    return outcome(e);
}

/* ---- memory ---- */

/* The runtime keeps the last error until it is asked; what was tolerated must not look like the next launch's. */
static void *forgive(void) {
    (void)cudaGetLastError();
    return NULL;
}

/* Managed memory that stays on the device and can be read by the host when the device is idle. */
static void *take_managed(size_t bytes) {
    void *p = NULL;
    int id = 0;
    if (cudaMallocManaged(&p, bytes ? bytes : 64, cudaMemAttachGlobal) != cudaSuccess) return forgive();
    cuda_note(cudaGetDevice(&id), "device");
#if CUDART_VERSION >= 13000
    struct cudaMemLocation there = {cudaMemLocationTypeDevice, id};
    cudaMemAdvise(p, bytes ? bytes : 64, cudaMemAdviseSetPreferredLocation, there); /* a wish */
#else
    cudaMemAdvise(p, bytes ? bytes : 64, cudaMemAdviseSetPreferredLocation, id);
#endif
    forgive();
    cuda_note(cudaMemset(p, 0, bytes ? bytes : 64), "clearing memory");
    cuda_note(cudaDeviceSynchronize(), "clearing memory");
    return p;
}

static void give_managed(void *p) {
    cudaDeviceSynchronize();
    cuda_halves_forget();
    cudaFree(p);
}

static void *take_pinned(size_t bytes) {
    void *p = NULL;
    if (cudaHostAlloc(&p, bytes ? bytes : 64, cudaHostAllocDefault) != cudaSuccess) return forgive();
    memset(p, 0, bytes ? bytes : 64);
    return p;
}

static void give_pinned(void *p) {
    cudaDeviceSynchronize();
    cudaFreeHost(p);
}

static const struct memory managed = {take_managed, give_managed}, pinned = {take_pinned, give_pinned};
const struct memory *cuda_memory(void) { return &managed; }
const struct memory *cuda_host_memory(void) { return &pinned; }

size_t cuda_memory_bytes(void) {
    size_t spare = 0, all = 0;
    if (cudaMemGetInfo(&spare, &all) == cudaSuccess) return spare;
    forgive();
    return 0;
}

/* *p holds at least `bytes`; what was in it is lost when it grows. */
static void *grow(void **p, size_t *have, size_t bytes, const char *what) {
    if (bytes <= *have) return *p;
    cuda_note(cudaDeviceSynchronize(), what);
    cudaFree(*p);
    *p = NULL, *have = 0;
    cudaError_t rc = cudaMalloc(p, bytes);
    cuda_note(rc, what);
    if (rc == cudaSuccess) *have = bytes;
    return *p;
}

void *cuda_scratch(int which, size_t bytes) {
    return grow(&device.scratch[which], &device.scratch_bytes[which], bytes ? bytes : 64, "scratch memory");
}

void cuda_zero(void *at, size_t bytes) { cuda_note(cudaMemsetAsync(at, 0, bytes, device.compute), "clearing memory"); }

bool cuda_read(void *host, const void *at, size_t bytes) {
    cuda_note(cudaMemcpyAsync(host, at, bytes, cudaMemcpyDeviceToHost, device.compute), "reading back");
    cuda_note(cudaStreamSynchronize(device.compute), "a kernel");
    return device.failed == cudaSuccess;
}

void cuda_fetch(void *host, const void *at, size_t bytes) {
    cuda_note(cudaMemcpyAsync(host, at, bytes, cudaMemcpyDeviceToHost, device.compute), "fetching rows");
}

void *cuda_staging(size_t bytes) {
    const int i = device.turn = (device.turn + 1) % SLOTS;
    if (bytes > device.staging_bytes[i]) {
        cuda_note(cudaDeviceSynchronize(), "a batch");
        cudaFreeHost(device.staging[i]), cudaFree(device.staged[i]);
        device.staging[i] = device.staged[i] = NULL, device.staging_bytes[i] = 0;
        cudaError_t rc = cudaHostAlloc(&device.staging[i], bytes, cudaHostAllocDefault);
        if (rc == cudaSuccess) rc = cudaMalloc(&device.staged[i], bytes);
        cuda_note(rc, "a batch");
        if (rc != cudaSuccess) return NULL;
        device.staging_bytes[i] = bytes;
    }
    cuda_note(cudaEventSynchronize(device.copied[i]), "a batch"); /* at once where none was recorded */
    return device.staging[i];
}

const void *cuda_send(void) {
    const int i = device.turn;
    cuda_note(cudaMemcpyAsync(device.staged[i], device.staging[i], device.staging_bytes[i], cudaMemcpyHostToDevice,
                              device.compute),
              "a batch");
    cuda_note(cudaEventRecord(device.copied[i], device.compute), "event");
    return device.staged[i];
}

/* ---- batches ---- */

__global__ static void scale_f32(size_t n, const float *x, float scale, float *y) { EACH(i, n) y[i] = x[i] * scale; }

__global__ static void scale_bf16(size_t n, const __nv_bfloat16 *x, float scale, float *y) {
    EACH(i, n) y[i] = __bfloat162float(x[i]) * scale;
}

/* Copied and converted in the copy stream, beside what computes. */
const float *cuda_upload(int slot, const void *x, bool bf16, float scale, size_t n) {
    size_t bytes = n * (bf16 ? 2 : 4);
    void *raw = grow(&device.raw[slot], &device.raw_bytes[slot], bytes, "a batch");
    float *y = (float *)grow(&device.batch[slot], &device.batch_bytes[slot], n * sizeof(float), "a batch");
    if (!raw || !y) return y;
    cuda_note(cudaMemcpyAsync(raw, x, bytes, cudaMemcpyHostToDevice, device.copy), "copying a batch");
    cudaStream_t compute = device.compute;
    device.compute = device.copy; /* LAUNCH uses it */
    if (bf16)
        LAUNCH(scale_bf16, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, (const __nv_bfloat16 *)raw, scale, y);
    else
        LAUNCH(scale_f32, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, (const float *)raw, scale, y);
    device.compute = compute;
    cuda_note(cudaEventRecord(device.arrived[slot], device.copy), "a batch");
    return y;
}

void cuda_arrived(int slot) { cuda_note(cudaStreamWaitEvent(device.compute, device.arrived[slot], 0), "a batch"); }

__global__ static void to_bf16(size_t n, const float *x, __nv_bfloat16 *y) {
    EACH(i, n) y[i] = __float2bfloat16_rn(x[i]);
}

void cuda_to_bf16(const float *x, void *out, size_t n) {
    if (out) LAUNCH(to_bf16, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, x, (__nv_bfloat16 *)out);
}

void cuda_copy(void *to, const void *from, size_t bytes) {
    cuda_note(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, device.compute), "copying");
}

void cuda_describe(char out[256]) {
    struct cudaDeviceProp p;
    int id = 0, driver = 0, runtime = 0;
    cudaGetDevice(&id);
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    out[0] = 0;
    if (cudaGetDeviceProperties(&p, id) == cudaSuccess)
        snprintf(out, 256, "%s, %.1f GiB, compute %d.%d, driver %d.%d, runtime %d.%d", p.name,
                 (double)p.totalGlobalMem / (double)(1 << 30), p.major, p.minor, driver / 1000, driver % 1000 / 10,
                 runtime / 1000, runtime % 1000 / 10);
}
