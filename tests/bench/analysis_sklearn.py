#!/usr/bin/env python3
"""The analysis stages with NumPy and scikit-learn on shapes of bench_analysis: the yardstick. Not needed to build, test or run saemill.

    python3 tests/bench/analysis_sklearn.py [--full]    --full adds spectral clustering at n 16384 (minutes, 9 GB)
Written for numpy 2, scikit-learn 1.9; two threads through OMP_NUM_THREADS. Data of the same kind, not the same numbers."""
import sys
import time

try:
    import numpy as np
    from sklearn.cluster import SpectralClustering
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors
except ImportError:
    print("NumPy, scikit-learn                absent: this Python has no scikit-learn (make bench PYTHON=…)")
    sys.exit(0)

r = np.random.default_rng(0)


def row(op, size, start, note=""):
    print(f"{op:<34} {size:<22} {time.perf_counter() - start:8.3f}            {note}", flush=True)


def fired(F, chunks):
    rate = 0.9 * r.random(F) ** 5
    own = (np.arange(chunks)[:, None] % 2) == (np.arange(F)[None, :] % 2)
    return r.random((chunks, F)) < rate * np.where(own, 1.0, 0.15)


def phi(n11, n, T):
    s = np.sqrt(n * (T - n))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((T * n11 - np.outer(n, n)) / np.outer(s, s), posinf=0, neginf=0)


def directions(n, D):
    family = r.integers(0, n // 12, n)
    x = 0.5 * r.standard_normal((48, D))[family % 48] + 0.7 * r.standard_normal((n // 12, D))[family] + 1.2 * r.standard_normal((n, D))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


F = 16384
X = fired(F, 2000).astype(np.float32)
t = time.perf_counter()
n11 = X.T @ X
row("NumPy: co-firing counts", f"F {F}, 2000 chunks", t)
t = time.perf_counter()
phi(n11, X.sum(0), np.float32(2000))
row("NumPy: affinity phi", f"F {F}", t)
for n in [4096] + ([16384] if "--full" in sys.argv else []):
    S = X[:, :n]
    W = phi(S.T @ S, S.sum(0), np.float32(2000)) + 1
    t = time.perf_counter()
    SpectralClustering(8, affinity="precomputed", random_state=42).fit(W)
    row("scikit-learn: spectral phi, k 8", f"n {n}, 2000 chunks", t, "ARPACK, k-means")
del X, n11
x = directions(16384, 256)
t = time.perf_counter()
NearestNeighbors(n_neighbors=91, algorithm="brute").fit(x).kneighbors(x)
row("scikit-learn: neighbours, k 90", "n 16384, D 256", t)
x = x[:4096]
t = time.perf_counter()
m = TSNE(perplexity=30, init="pca", random_state=0).fit(x)
row("scikit-learn: t-SNE, 1000 steps", "n 4096, D 256", t, f"its own KL {m.kl_divergence_:.3f}")
