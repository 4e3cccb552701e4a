"""A trained `vae` run recomputed in Python, from its files alone.

    python tests/models/vae_in_python.py RUN MNIST_FOLDER [images] [draws]

Opens model.safetensors with the `safetensors` package, makes our random numbers with an
independent NumPy Philox, and prints what `genai sample RUN -n 16 --scale 1` and
`genai evaluate RUN --draws DRAWS --images IMAGES` must agree with. Needs numpy, torch,
safetensors, pillow. Run by hand; docs/results.md has the outcome.
"""
import gzip
import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

U32 = np.uint64(0xFFFFFFFF)


def stream_key(seed, name):
    def mix(x):
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
        return x ^ (x >> 31)

    h = 0xCBF29CE484222325
    for c in name.encode():
        h = ((h ^ c) * 0x100000001B3) % 2**64
    return mix(mix((seed + 0x9E3779B97F4A7C15) % 2**64) ^ h)


def bits(key, item, n):
    """The first n 32-bit words of an item's stream."""
    c = [np.arange((n + 3) // 4, dtype=np.uint64), np.zeros((n + 3) // 4, np.uint64),
         np.full((n + 3) // 4, item & 0xFFFFFFFF, np.uint64),
         np.full((n + 3) // 4, item >> 32, np.uint64)]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & U32,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & U32]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack(c, 1).reshape(-1)[:n]


def uniform(key, items, n):
    return torch.tensor(np.stack([(bits(key, i, n) >> np.uint64(8)) / 2**24 for i in items]),
                        dtype=torch.float32)


def normal(key, items, n):
    rows = []
    for i in items:
        b = bits(key, i, n + n % 2) >> np.uint64(8)
        radius = np.sqrt(-2 * np.log((b[0::2] + np.uint64(1)) / 2**24))
        angle = 2 * np.pi * b[1::2] / 2**24
        rows.append(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n])
    return torch.tensor(np.stack(rows), dtype=torch.float32)


def main():
    run, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    images = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    draws = int(sys.argv[4]) if len(sys.argv) > 4 else 100
    checkpoint = sorted((run / "checkpoints").glob("step-*"))[-1]
    model = json.loads((checkpoint / "manifest.json").read_text())["content"]["config"]["model"]
    w = load_file(checkpoint / "model.safetensors")
    latent = model["latent"]

    def dense(x, prefix, count):
        for i in range(count):
            x = torch.relu(x @ w[f"{prefix}.layers.{i}.weight"].T + w[f"{prefix}.layers.{i}.bias"])
        return x

    def encode(x):
        h = dense(x, "encoder.dense", len(model["encoder"]["hidden"]))
        return (h @ w["posterior.weight"].T + w["posterior.bias"]).chunk(2, 1)

    def decode(z):
        h = dense(z, "decoder.dense", len(model["decoder"]["hidden"]))
        return h @ w["decoder.spread.weight"].T + w["decoder.spread.bias"]

    z = normal(stream_key(0, "generate/z"), range(16), latent)
    mine = torch.sigmoid(decode(z)).view(16, 28, 28)
    mine = torch.nn.functional.pad(mine, (2, 0, 2, 0)).view(4, 4, 30, 30).permute(0, 2, 1, 3)
    mine = torch.nn.functional.pad(mine.reshape(120, 120), (0, 2, 0, 2)) * 255
    genai = [sys.argv[5] if len(sys.argv) > 5 else "build/release/bin/genai"]
    png = subprocess.run(genai + ["sample", str(run), "-n", "16", "--scale", "1", "--out", "-"],
                         capture_output=True, check=True).stdout
    ours = torch.tensor(np.array(Image.open(io.BytesIO(png))), dtype=torch.float32)
    # A pixel is the rounded value, so the distance beyond half a step is the error.
    error = ((ours - mine).abs() - 0.5).clamp(min=0).max().item() / 255
    print(f"pixels: largest error beyond rounding {error:.1e}")

    raw = gzip.open(folder / "t10k-images-idx3-ubyte.gz").read()
    grey = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)[:images] / np.float32(255)
    x = torch.tensor(grey)
    ids = range(images)
    x = (uniform(stream_key(0, "binarize/test/pixels"), ids, 784) < x).float()

    mean, log_var = encode(x)
    std = (0.5 * log_var).exp()
    bce = torch.nn.functional.binary_cross_entropy_with_logits

    def log_pixels(z, target):
        return -bce(decode(z), target, reduction="none").sum(1)

    z = mean + std * normal(stream_key(0, "validate/z"), ids, latent)
    kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1)
    print(f"nelbo: {(kl - log_pixels(z, x)).mean():.4f}")

    noise = normal(stream_key(0, "validate/importance"), ids, draws * latent)
    noise = noise.view(images, draws, latent)
    z = mean[:, None] + std[:, None] * noise
    log_w = -0.5 * (z**2 - noise**2).sum(2) + std.log().sum(1)[:, None]
    log_w = log_w + torch.stack([log_pixels(z[i], x[i].expand(draws, -1)) for i in ids])
    for k in (1, 10, draws):
        value = -(torch.logsumexp(log_w[:, :k].double(), 1) - np.log(k)).mean()
        print(f"nll_iw{k}: {value:.4f}")


if __name__ == "__main__":
    main()
