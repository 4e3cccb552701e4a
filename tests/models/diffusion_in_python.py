"""The `diffusion` family's network in PyTorch, with two uses.

    python tests/models/diffusion_in_python.py samples RUN [GENAI]
    python tests/models/diffusion_in_python.py bench [WIDTH PATCH BATCH STEPS]

`samples` opens a run's model.safetensors, makes our noise with an independent NumPy Philox, samples
with Euler steps on Karras levels and compares the pixels with `genai sample RUN --sampler euler`.
`bench` times training steps of the same network (default: the preset diffusion-example), eager in
both memory layouts and compiled; beside it the U-Nets of denoising-diffusion-pytorch and diffusers
where they can be imported. Needs numpy, torch, safetensors, pillow. Run by hand; docs/results.md has
the outcome.
"""
import io
import json
import math
import pathlib
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from vae_in_python import normal, stream_key


SMALLEST = 0.02   # the least noisy level that is visited


def groups_of(channels):
    groups = min(max(channels // 4, 1), 32)
    while channels % groups:
        groups -= 1
    return groups


class Norm(nn.GroupNorm):
    def __init__(self, channels):
        super().__init__(groups_of(channels), channels)


class Block(nn.Module):
    def __init__(self, cin, cout, condition):
        super().__init__()
        self.norm1, self.norm2 = Norm(cin), Norm(cout)
        self.convolution1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.convolution2 = nn.Conv2d(cout, cout, 3, padding=1)
        self.condition = nn.Linear(condition, 2 * cout)
        self.shortcut = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x, condition):
        y = self.convolution1(F.silu(self.norm1(x)))
        scale, shift = self.condition(condition)[:, :, None, None].chunk(2, 1)
        y = F.silu(self.norm2(y) * (scale + 1) + shift)
        return self.convolution2(y) + self.shortcut(x)


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.norm = Norm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        b, c, h, w = x.shape
        rows = self.norm(x).permute(0, 2, 3, 1).reshape(b, h * w, c)
        qkv = self.query_key_value(rows).view(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        return x + self.out(y).view(b, h, w, c).permute(0, 3, 1, 2)


class Level(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.attention, self.resize = nn.ModuleList(), nn.ModuleList(), None

    def run(self, i, x, condition):
        x = self.blocks[i](x, condition)
        return self.attention[i](x) if len(self.attention) else x


class UNet(nn.Module):
    def __init__(self, width, multipliers, blocks, attention, head_width=32, patch=1, classes=0, channels=1):
        super().__init__()
        self.width, self.patch = width, patch
        condition, area = 4 * width, patch * patch
        heads = lambda c: max(1, c // head_width)
        self.time1, self.time2 = nn.Linear(width, condition), nn.Linear(condition, condition)
        self.classes = nn.Embedding(classes + 1, condition) if classes else None
        setattr(self, "in", nn.Conv2d(channels * area, width, 3, padding=1))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        sizes, skips, now = [width * m for m in multipliers], [width], width

        def add(level, i, cin):
            level.blocks.append(Block(cin, sizes[i], condition))
            if i in attention:
                level.attention.append(Attention(sizes[i], heads(sizes[i])))

        for i, size in enumerate(sizes):
            level = Level()
            for _ in range(blocks):
                add(level, i, now)
                now = size
                skips.append(now)
            if i + 1 < len(sizes):
                level.resize = nn.Conv2d(now, now, 3, stride=2, padding=1)
                skips.append(now)
            self.down.append(level)
        self.middle1, self.middle2 = Block(now, now, condition), Block(now, now, condition)
        self.middle_attention = Attention(now, heads(now)) if attention else nn.Identity()
        for i in reversed(range(len(sizes))):
            level = Level()
            for _ in range(blocks + 1):
                add(level, i, now + skips.pop())
                now = sizes[i]
            if i > 0:
                level.resize = nn.Conv2d(now, sizes[i - 1], 3, padding=1)
                now = sizes[i - 1]
            self.up.append(level)
        self.norm = Norm(now)
        self.out = nn.Conv2d(now, channels * area, 3, padding=1)

    def forward(self, x, t, labels=None):
        half = self.width // 2
        angles = t[:, None] * torch.exp(torch.arange(half, device=t.device) * (-math.log(10000) / half))
        c = self.time2(F.silu(self.time1(torch.cat([angles.cos(), angles.sin()], 1))))
        if self.classes is not None:
            c = c + self.classes(labels)
        c = F.silu(c)
        x = getattr(self, "in")(F.pixel_unshuffle(x, self.patch))
        skips = [x]
        for level in self.down:
            for i in range(len(level.blocks)):
                x = level.run(i, x, c)
                skips.append(x)
            if level.resize is not None:
                x = level.resize(x)
                skips.append(x)
        x = self.middle2(self.middle_attention(self.middle1(x, c)), c)
        for level in self.up:
            for i in range(len(level.blocks)):
                x = level.run(i, torch.cat([x, skips.pop()], 1), c)
            if level.resize is not None:
                x = level.resize(F.interpolate(x, size=skips[-1].shape[2:]))
        return F.pixel_shuffle(self.out(F.silu(self.norm(x))), self.patch)


@torch.no_grad()
def samples(run, genai, steps=10):
    from PIL import Image
    from safetensors.torch import load_file
    checkpoint = sorted((run / "checkpoints").glob("step-*"))[-1]
    content = json.loads((checkpoint / "manifest.json").read_text())["content"]
    model, n = content["config"]["model"], content["config"]["model"]["network"]
    assert model["process"]["kind"] == "edm" and model["prediction"] == "edm"
    classes = 10 if "class" in model["condition"].split(",") else 0
    net = UNet(n["width"], n["multipliers"], n["blocks"], n["attention"], n["head_width"], n["patch"], classes)
    weights = load_file(checkpoint / "model.safetensors")
    net.load_state_dict({k.removeprefix("network."): v for k, v in weights.items()})
    labels, std = torch.arange(16) % 10, model["process"]["data_std"]

    place = np.arange(steps) / (steps - 1)
    sigmas = (80 ** (1 / 7) + place * (SMALLEST ** (1 / 7) - 80 ** (1 / 7))) ** 7
    x = normal(stream_key(0, "generate/noise"), range(16), 784).view(16, 1, 28, 28) * 80
    for sigma, to in zip(sigmas, [*sigmas[1:], 0]):
        variance = std**2 + sigma**2
        t = torch.full([16], math.atan(sigma) * 2000 / math.pi)
        clean = std**2 / variance * x + sigma * std / variance**0.5 * net(x / variance**0.5, t, labels)
        x = x + (to - sigma) * (x - clean.clamp(-1, 1)) / sigma
    mine = ((x.clamp(-1, 1) + 1) * 127.5).view(4, 4, 28, 28)
    mine = F.pad(mine, (2, 0, 2, 0)).permute(0, 2, 1, 3).reshape(120, 120)
    png = subprocess.run([genai, "sample", run, "-n", "16", "--scale", "1", "--sampler", "euler", "--steps",
                          str(steps), "--out", "-"], capture_output=True, check=True).stdout
    ours = torch.tensor(np.array(Image.open(io.BytesIO(png))), dtype=torch.float32)[:120, :120]
    print(f"pixels: largest error beyond rounding {((ours - mine).abs() - 0.5).clamp(min=0).max():.2g} of 255")


def median_ms(step, steps, warm_up):
    for _ in range(warm_up):
        step()
    times = []
    for _ in range(steps):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return 1000 * np.median(times)


def peers(width):
    """Other projects' networks of this shape, each as (name, network)."""
    try:
        from ddp import Unet
        yield "denoising-diffusion-pytorch", Unet(width, dim_mults=(1, 2), channels=1)
    except ImportError as e:
        print("denoising-diffusion-pytorch:", e)
    try:
        from diffusers import UNet2DModel
        net = UNet2DModel(sample_size=28, in_channels=1, out_channels=1, layers_per_block=2, norm_num_groups=width // 4,
                          block_out_channels=(width, 2 * width), down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                          up_block_types=("AttnUpBlock2D", "UpBlock2D"))
        yield "diffusers", net
    except ImportError as e:
        print("diffusers:", e)


def bench(width=64, patch=1, batch=16, steps=20):
    torch.set_num_threads(2)
    images, noise = torch.rand(batch, 1, 28, 28) * 2 - 1, torch.randn(batch, 1, 28, 28)

    def timed(name, net, layout, compiled):
        net = net.to(memory_format=layout)
        count = sum(p.numel() for p in net.parameters())
        optimizer = torch.optim.Adam(net.parameters(), 1e-4, betas=(0.9, 0.99))
        forward = torch.compile(net) if compiled else net

        def step():
            t = torch.rand(batch)
            alpha, sigma = (t * math.pi / 2).cos().view(-1, 1, 1, 1), (t * math.pi / 2).sin().view(-1, 1, 1, 1)
            found = forward((alpha * images + sigma * noise).contiguous(memory_format=layout), t * 1000)
            found = found if torch.is_tensor(found) else found.sample
            loss = F.mse_loss(found, alpha * noise - sigma * images)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1)
            optimizer.step()

        ms = median_ms(step, steps, warm_up=3)
        print(f"{name}: {count} parameters, {ms:.1f} ms a step", flush=True)

    make = lambda: UNet(width, (1, 2), 2, (1,), patch=patch)
    timed("same layers, eager", make(), torch.contiguous_format, False)
    timed("same layers, eager, channels-last", make(), torch.channels_last, False)
    timed("same layers, compiled", make(), torch.contiguous_format, True)
    timed("same layers, compiled, channels-last", make(), torch.channels_last, True)
    for name, net in peers(width) if patch == 1 else ():
        timed(f"{name}, eager", net, torch.contiguous_format, False)


if __name__ == "__main__":
    if sys.argv[1] == "samples":
        samples(pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "build/release/bin/genai")
    else:
        bench(*map(int, sys.argv[2:]))
