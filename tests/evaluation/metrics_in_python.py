"""The metrics of genai/evaluation computed in Python, from their published definitions.

    python tests/evaluation/metrics_in_python.py > tests/evaluation/metrics_in_python.json

Rerun when a case below changes; tests/evaluation/metrics_table.h makes the same features in C++ and
the tests there compare. Needs numpy and scipy, and for our random numbers vae_in_python.py, which
needs torch, safetensors and pillow. Takes ten seconds.
"""
import json
import pathlib
import sys

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
from vae_in_python import bits, stream_key  # noqa: E402


# Random numbers and features: the only part that follows the C++.

def uniform(name, *shape):
    words = bits(stream_key(5, f"metrics/{name}"), 0, int(np.prod(shape)))
    return (words >> np.uint64(8)).astype(float).reshape(shape) / 2**24


def random_permutation(purpose, n):
    words = bits(stream_key(0, purpose), 0, 2 * n)
    numbers = [int(low) | int(high) << 32 for low, high in zip(words[0::2], words[1::2])]
    order = list(range(n))
    for i in reversed(range(1, n)):
        j = numbers[i] * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return order


def features(name, rows, d, shift):
    """ReLU of a linear mix; columns of unlike variance, some rarely above 0; ten rows twice."""
    mix = uniform(f"mix{d}", d, d) - 0.5
    scale = 0.2 + uniform(f"scale{d}", d)
    bias = uniform(f"bias{d}", d) - 0.5
    x = np.maximum(((uniform(name, rows, d) - 0.5) @ mix + 0.5 * bias + shift) * scale, 0)
    x[10:20] = x[:10]
    return x


def two_sets(d, m, n):
    """Real images and samples, of which some are copies and some nearly so."""
    real, samples = features(f"real{d}", m, d, 0.1), features(f"samples{d}", n, d, 0.15)
    samples[30:60] = real[30:60]
    samples[60:90] = real[60:90] + 0.001 * uniform(f"near{d}", 30, d)
    samples[90:93] = real[10:13]
    return real, samples


# Metrics.

def frechet(mean_a, cov_a, mean_b, cov_b):
    root = sqrtm(cov_a @ cov_b)
    assert np.abs(np.imag(root)).max() < 1e-6
    return ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * np.real(root))


def frechet_of_sets(x, y):
    return frechet(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))


def influence(samples, real, i):
    """Derivative at e = 0 of the distance of (1 - e) samples + e (sample i), by differences."""
    n = len(samples)
    mean_real, cov_real = real.mean(0), np.cov(real.T)

    def at(e):
        w = np.full(n, (1 - e) / n)
        w[i] += e
        mean = w @ samples
        cov = (samples - mean).T @ ((samples - mean) * w[:, None]) * n / (n - 1)
        return frechet(mean, cov, mean_real, cov_real)

    h = 1e-4
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def frechet_floor(real, n, m):
    """Mean and standard deviation of |e|^2 + 1/2 sum_ij E_ij^2 / (l_i + l_j), where e and E are the
    differences between two sets' means and covariances, in the eigenbasis: a sum of squares of
    means of phi, written out in all its d + d^2 dimensions."""
    l, vectors = np.linalg.eigh(np.cov(real.T))
    assert l.min() > 1e-9 * l.max()
    u = (real - real.mean(0)) @ vectors
    c, d = 1 / n + 1 / m, len(l)
    mean = (u**2).mean(0).sum()
    for i in range(d):
        for j in range(d):
            variance = ((u[:, i] * u[:, j] - (l[i] if i == j else 0)) ** 2).mean()
            mean += variance / (2 * (l[i] + l[j]))
    errors = (u[:, :, None] * u[:, None, :] - np.diag(l)) / np.sqrt(2 * (l[:, None] + l[None, :]))
    phi = np.concatenate([u, errors.reshape(len(u), -1)], 1)
    pairs = (phi @ phi.T)[~np.eye(len(u), dtype=bool)]
    return c * mean, c * np.sqrt(2 * (pairs**2).mean())


def kernel_distance(x, y):
    def kernel(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(kernel(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def kernel_distances(x, y, count, size):
    values = []
    for i in range(count):
        a = random_permutation(f"kernel-subset/{i}/a", len(x))[:size]
        b = random_permutation(f"kernel-subset/{i}/b", len(y))[:size]
        values.append(kernel_distance(x[a], y[b]))
    return values


def manifold(real, samples, k):
    def radii(x):
        own = cdist(x, x)
        np.fill_diagonal(own, np.inf)
        return np.sort(own, 1)[:, k - 1]

    between = cdist(real, samples)
    in_real = between < radii(real)[:, None]
    in_samples = between < radii(samples)[None, :]
    return {"precision": in_real.any(0).mean(), "density": in_real.sum(0).mean() / k,
            "recall": in_samples.any(1).mean(), "coverage": in_real.any(1).mean()}


def memorization(real, samples):
    between, own = cdist(samples, real), cdist(real, real)
    np.fill_diagonal(own, np.inf)
    near = np.sort(between, 1)
    ratio = np.where(near[:, 1] > 0, near[:, 0] / np.where(near[:, 1] > 0, near[:, 1], 1), 1)
    return {"nearest_mean": near[:, 0].mean(), "third_mean": near[:, 2].mean(),
            "nearest_index_sum": int(between.argmin(1).sum()),
            "ratio_mean": ratio.mean(), "ratio_below_third": (ratio < 1 / 3).mean(),
            "authentic": (near[:, 0] > own.min(1)[between.argmin(1)]).mean()}


def data_copying(training, samples, test, centres):
    cells = {name: cdist(x, centres).argmin(1) for name, x in
             (("training", training), ("samples", samples), ("test", test))}
    total = weight = 0
    for c in range(len(centres)):
        own = training[cells["training"] == c]
        p, q = test[cells["test"] == c], samples[cells["samples"] == c]
        if len(q) < 20 or len(p) == 0:
            continue
        u = mannwhitneyu(cdist(q, own).min(1), cdist(p, own).min(1)).statistic
        n, m = len(q), len(p)
        total += m * (u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)
        weight += m
    return total / weight


def auroc(inliers, outliers):
    above = (inliers[:, None] > outliers) + 0.5 * (inliers[:, None] == outliers)
    variance = above.mean(1).var(ddof=1) / len(inliers) + above.mean(0).var(ddof=1) / len(outliers)
    return above.mean(), np.sqrt(variance)


def main():
    table = {"two_sets": []}
    for d, m, n in ((8, 900, 700), (64, 500, 1100)):
        real, samples = two_sets(d, m, n)
        some = [0, 12, 45, 300, n - 1]
        floor, floor_deviation = frechet_floor(real[:500], n, m)
        table["two_sets"].append({
            "d": d, "m": m, "n": n,
            "frechet_distance": frechet_of_sets(samples, real),
            "influence_items": some,
            "influence": [influence(samples, real, i) for i in some],
            "floor_mean": floor, "floor_standard_deviation": floor_deviation,
            "kernel_distance": kernel_distance(real, samples),
            "kernel_distances": kernel_distances(real, samples, 4, 120),
            **manifold(real, samples, 5), **memorization(real, samples),
            "data_copying": data_copying(real, samples, features(f"test{d}", 600, d, 0.1),
                                         real[100:106]),
        })
    pictures = [(uniform(name, rows, 12) * 3).astype(np.uint8)
                for name, rows in (("training", 400), ("generated", 300))]
    table["pictures"] = {**manifold(*(x.astype(float) for x in pictures), 3),
                         **memorization(*(x.astype(float) for x in pictures))}
    value, error = auroc(np.floor(uniform("inliers", 300) * 40) + 9,
                         np.floor(uniform("outliers", 200) * 40))
    table["auroc"] = {"value": value, "standard_error": error}
    print(json.dumps(table, indent=1))


main()
