#!/usr/bin/env python3
"""What people use today, timed on the data of bench_analysis. Not needed to build, test or run saemill.

    python3 tests/bench/analysis_peers.py FOLDER [ROW…]     FOLDER: filled by analysis_data; without ROW all of them (8 minutes, 9 GB)

Appends row, peer, seconds to FOLDER/peers.tsv, which bench_analysis shows beside ours, and writes a peer's map to FOLDER/<row>.f32, which
bench_analysis judges by the ruler it uses for ours. A peer that is not installed is left out: bench_analysis calls it absent.
Written for numpy 2.4, scikit-learn 1.9, matplotlib 3.11, umap-learn 0.5; two threads."""
import json
import mmap
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
try:
    import numpy as np
except ImportError:
    print("analysis_peers: this Python has no NumPy: no peers (make bench PYTHON=…)")
    sys.exit(0)

folder, wanted = sys.argv[1], sys.argv[2:]
K_MEANS = dict(affinity="precomputed", random_state=42)


def tensor(name, key, dtype):
    with open(os.path.join(folder, name + ".safetensors"), "rb") as f:
        m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    n = int.from_bytes(m[:8], "little")
    t = json.loads(m[8 : 8 + n])[key]
    a, b = t["data_offsets"]
    return np.frombuffer(m[8 + n + a : 8 + n + b], dtype).reshape(t["shape"])


def fired(chunks):
    bits = tensor(f"chunks_{chunks}", "fired", np.uint64)
    return np.unpackbits(bits.view(np.uint8), axis=1, count=chunks, bitorder="little").T.astype(np.float32)


def phi(n11, n, T):
    s = np.sqrt(n * (T - n))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((T * n11 - np.outer(n, n)) / np.outer(s, s), posinf=0, neginf=0)


def ratio(kind):
    def f(n11, n, T):
        with np.errstate(divide="ignore", invalid="ignore"):
            if kind == "smc":
                return (T - n[:, None] - n[None] + 2 * n11) / T
            below = {"jaccard": n[:, None] + n[None] - n11, "dice": (n[:, None] + n[None]) / 2, "overlap": np.minimum(n[:, None], n[None])}
            return np.nan_to_num(n11 / below[kind], posinf=0, neginf=0)

    return f


def counts(chunks):
    X = fired(chunks)
    t = time.perf_counter()
    X.T @ X
    return "NumPy", time.perf_counter() - t


def affinity(f):
    def run():
        X = fired(2000)
        n11, n = X.T @ X, X.sum(0)
        t = time.perf_counter()
        f(n11, n, np.float32(2000))
        return "NumPy", time.perf_counter() - t

    return run


def spectral(f, k, one):
    def run():
        from sklearn.cluster import SpectralClustering

        X = fired(2000)
        W = f(X.T @ X, X.sum(0), np.float32(2000))
        W += one
        del X
        t = time.perf_counter()
        SpectralClustering(k, **K_MEANS).fit(W)
        return "scikit-learn", time.perf_counter() - t

    return run


def neighbours(D):
    from sklearn.neighbors import NearestNeighbors

    x = tensor(f"decoder_16384_{D}", "rows", np.float32)
    t = time.perf_counter()
    NearestNeighbors(n_neighbors=90, algorithm="brute").fit(x).kneighbors()
    return "scikit-learn", time.perf_counter() - t


def tsne(n, D):
    from sklearn.manifold import TSNE

    x = tensor(f"decoder_{n}_{D}", "rows", np.float32)
    t = time.perf_counter()
    y = TSNE(perplexity=30, init="pca", random_state=0, n_jobs=-1).fit_transform(x)
    s = time.perf_counter() - t
    y.astype(np.float32).tofile(os.path.join(folder, f"tsne_{n}_{D}.f32"))
    return "scikit-learn", s


def umap_after_neighbours():
    import umap
    from umap.umap_ import nearest_neighbors

    x = tensor("decoder_16384_256", "rows", np.float32)
    umap.UMAP(random_state=0, n_jobs=1).fit(x[:500])  # compiles
    near = nearest_neighbors(x, 15, "euclidean", None, False, np.random.RandomState(0))
    t = time.perf_counter()
    y = umap.UMAP(random_state=0, n_jobs=1, precomputed_knn=near).fit_transform(x)
    s = time.perf_counter() - t
    y.astype(np.float32).tofile(os.path.join(folder, "umap.f32"))
    return "umap-learn", s


def logistic(D):
    from sklearn.linear_model import LogisticRegression

    x = tensor(f"decoder_16384_{D}", "rows", np.float32)[:13107]
    y = x[:, 0] + x[:, 1] > 0
    t = time.perf_counter()
    LogisticRegression(max_iter=1000).fit(x, y)
    return "scikit-learn", time.perf_counter() - t


def scatter():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    x = tensor("decoder_16384_256", "rows", np.float32)
    t = time.perf_counter()
    fig, ax = plt.subplots(figsize=(22, 16), dpi=100)
    for k in range(20):
        ax.scatter(x[k * 819 : (k + 1) * 819, 0], x[k * 819 : (k + 1) * 819, 1], s=8, alpha=0.6)
    fig.savefig(os.path.join(folder, "peer_scatter.png"))
    return "matplotlib", time.perf_counter() - t


rows = {f"counts_{c}": (lambda c=c: counts(c)) for c in (80, 2000, 20000)}
rows |= {"phi": affinity(phi)} | {k: affinity(ratio(k)) for k in ("smc", "jaccard", "dice", "overlap")}
rows |= {"knn_256": lambda: neighbours(256), "knn_3584": lambda: neighbours(3584), "umap": umap_after_neighbours, "scatter": scatter}
rows |= {f"tsne_{n}_{D}": (lambda n=n, D=D: tsne(n, D)) for n in (4096, 16384) for D in (256, 3584)}
rows |= {"logistic_256": lambda: logistic(256), "logistic_3584": lambda: logistic(3584)}
rows |= {"spectral_phi_8": spectral(phi, 8, 1), "spectral_smc_8": spectral(ratio("smc"), 8, 0)}
rows |= {"spectral_phi_64": spectral(phi, 64, 1), "spectral_jaccard_8": spectral(ratio("jaccard"), 8, 0)}
rows |= {"spectral_jaccard_64": spectral(ratio("jaccard"), 64, 0)}
for key in wanted or rows:
    if os.fork():  # a process each: memory is given back
        os.wait()
        continue
    try:
        name, seconds = rows[key]()
    except ImportError as missing:
        print(f"analysis_peers: {key}: {missing.name} is not installed", flush=True)
    else:
        with open(os.path.join(folder, "peers.tsv"), "a") as out:
            print(key, name, f"{seconds:.4f}", sep="\t", file=out)
        print(f"{key:<24} {name:<14} {seconds:8.2f} s", flush=True)
    os._exit(0)
