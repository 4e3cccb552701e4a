"""The `gan` family's generators in PyTorch, with two uses.

    python tests/models/gan_in_python.py samples RUN [GENAI]
    python tests/models/gan_in_python.py bench [float32|bfloat16 [STEPS]]

`samples` opens a run's model.safetensors, makes our noise with an independent NumPy Philox, and
compares the pixels of 16 images with `genai sample RUN`. `bench` times iterations of the DCGAN of
pytorch/examples (cpp/dcgan/dcgan.cpp), eager and compiled, in both memory layouts. Needs numpy,
torch, safetensors, pillow. Run by hand; docs/results.md has the outcome.
"""
import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from diffusion_in_python import median_ms
from vae_in_python import normal, stream_key


def halvings(size, levels):
    """Most positions first; half a position counts as one."""
    return [-(-size // 2**i) for i in range(levels + 1)]


def leaky(x):
    return F.leaky_relu(x, 0.2)


def to_images(x, patch, size):
    return F.pixel_shuffle(x, patch)[:, :, : size[0], : size[1]]


class Dcgan(nn.Module):
    def __init__(self, g, latent, channels, size):
        super().__init__()
        heights, widths = (halvings(side, g["levels"]) for side in size)
        c, norm = g["width"] << (g["levels"] - 1), g["norm"] == "batch"
        self.smallest = c, heights[-1], widths[-1]
        self.spread = nn.Linear(latent, c * heights[-1] * widths[-1], bias=not norm)
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for i in range(g["levels"], 0, -1):
            if norm:
                self.norms.append(nn.BatchNorm2d(c))
            sides = [4 if s[i - 1] == 2 * s[i] else 3 for s in (heights, widths)]
            to = c // 2 if i > 1 else channels
            self.layers.append(nn.ConvTranspose2d(c, to, sides, 2, 1, bias=not norm))
            c = to

    def forward(self, z, noise):
        x = self.spread(z).view(-1, *self.smallest)
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(self.norms[i](x) if self.norms else x))
        return x.tanh()


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.convolution1, self.convolution2 = (nn.Conv2d(c, c, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return x + self.convolution2(leaky(self.convolution1(leaky(x))))


class Residual(nn.Module):
    def __init__(self, g, latent, channels, size):
        super().__init__()
        self.patch, self.each, self.size = g["patch"], g["blocks"], size
        self.sizes = list(zip(*(halvings(-(-side // self.patch), g["levels"]) for side in size)))
        widths = [g["width"] << i for i in range(g["levels"], -1, -1)]
        self.smallest = widths[0], *self.sizes[-1]
        self.spread = nn.Linear(latent, int(np.prod(self.smallest)))
        self.blocks = nn.ModuleList(Block(c) for c in widths for _ in range(self.each))
        self.narrow = nn.ModuleList(nn.Conv2d(c, c // 2, 1) for c in widths[:-1])
        self.pixels = nn.Conv2d(widths[-1], channels * self.patch**2, 3, padding=1)

    def forward(self, z, noise):
        x = self.spread(z).view(-1, *self.smallest)
        for i, size in enumerate(reversed(self.sizes)):
            if i > 0:
                x = F.interpolate(self.narrow[i - 1](x), size=size)
            for block in self.blocks[i * self.each : (i + 1) * self.each]:
                x = block(x)
        return to_images(self.pixels(leaky(x)), self.patch, self.size)


class Styled(nn.Module):
    """StyleGAN2's modulated convolution as its paper has it: a kernel for each image."""
    def __init__(self, cin, cout, style):
        super().__init__()
        self.affine = nn.Linear(style, cin)
        self.weight, self.bias = nn.Parameter(torch.zeros(cout, cin, 3, 3)), nn.Parameter(torch.zeros(cout))
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x, style, noise):
        kernels = self.weight * self.affine(style)[:, None, :, None, None]
        kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
        y = F.conv2d(x.flatten(0, 1)[None], kernels.flatten(0, 1), padding=1, groups=len(x))
        y = y.view(len(x), -1, *x.shape[2:]) + noise * self.noise_strength
        return leaky(y + self.bias[:, None, None]) * 2**0.5


class ToImage(nn.Module):
    def __init__(self, cin, cout, style):
        super().__init__()
        self.affine, self.layer = nn.Linear(style, cin), nn.Conv2d(cin, cout, 1)

    def forward(self, x, style):
        return self.layer(x * self.affine(style)[:, :, None, None])


class Style(nn.Module):
    def __init__(self, g, latent, channels, size):
        super().__init__()
        self.patch, self.size, style = g["patch"], size, g["style"]
        self.sizes = list(zip(*(halvings(-(-side // self.patch), g["levels"]) for side in size)))[::-1]
        widths = [g["width"] << i for i in range(g["levels"], -1, -1)]
        pairs = [(a, b) for c, to in zip(widths, widths[1:]) for a, b in ((c, to), (to, to))]
        self.constant = nn.Parameter(torch.zeros(1, widths[0], *self.sizes[0]))
        self.mapping = nn.ModuleList(nn.Linear(style if i else latent, style) for i in range(g["mapping"]))
        self.layers = nn.ModuleList(Styled(a, b, style) for a, b in [(widths[0], widths[0]), *pairs])
        self.images = nn.ModuleList(ToImage(c, channels * self.patch**2, style) for c in widths)

    def noise_sizes(self):
        return [self.sizes[0], *(size for size in self.sizes[1:] for _ in range(2))]

    def forward(self, z, noise):
        style = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
        for layer in self.mapping:
            style = leaky(layer(style))
        x = self.layers[0](self.constant.expand(len(z), -1, -1, -1), style, noise[0])
        pixels = self.images[0](x, style)
        for level, size in enumerate(self.sizes[1:], 1):
            x, pixels = (F.interpolate(y, size=size, mode="bilinear") for y in (x, pixels))
            for i in (2 * level - 1, 2 * level):
                x = self.layers[i](x, style, noise[i])
            pixels = pixels + self.images[level](x, style)
        return to_images(pixels, self.patch, self.size)


@torch.no_grad()
def samples(run, genai):
    from PIL import Image
    from safetensors.torch import load_file
    checkpoint = sorted((run / "checkpoints").glob("step-*"))[-1]
    content = json.loads((checkpoint / "manifest.json").read_text())["content"]
    model, data = content["config"]["model"], content["data"]
    assert data["channels"] == 1
    classes = len(data["classes"]) if "class" in model["condition"].split(",") else 0
    size = h, w = data["height"], data["width"]
    kind = {"dcgan": Dcgan, "residual": Residual, "style": Style}[model["generator"]["kind"]]
    net = kind(model["generator"], model["latent"] + classes, 1, size).eval()
    weights = load_file(checkpoint / "model.safetensors")
    net.load_state_dict({k.removeprefix("generator."): v for k, v in weights.items() if k.startswith("generator.")})

    z = normal(stream_key(0, "generate/z"), range(16), model["latent"])
    if classes:
        z = torch.cat([z, F.one_hot(torch.arange(16) % classes, classes) * model["latent"] ** 0.5], 1)
    noise = [normal(stream_key(0, f"generate/noise {i}"), range(16), rows * columns).view(16, 1, rows, columns)
             for i, (rows, columns) in enumerate(net.noise_sizes() if kind is Style else [])]
    mine = ((net(z, noise).clamp(-1, 1) + 1) * 127.5).view(4, 4, h, w)
    mine = F.pad(mine, (2, 0, 2, 0)).permute(0, 2, 1, 3).reshape(4 * (h + 2), 4 * (w + 2))
    png = subprocess.run([genai, "sample", run, "-n", "16", "--scale", "1", "--out", "-"],
                         capture_output=True, check=True).stdout
    ours = torch.tensor(np.array(Image.open(io.BytesIO(png))), dtype=torch.float32)
    ours = ours[: mine.shape[0], : mine.shape[1]]
    print(f"pixels: largest error beyond rounding {((ours - mine).abs() - 0.5).clamp(min=0).max():.2g} of 255")


def peer_generator():
    up = lambda cin, cout, side, stride=2, padding=1: nn.ConvTranspose2d(cin, cout, side, stride, padding, bias=False)
    return nn.Sequential(up(100, 256, 4, 1, 0), nn.BatchNorm2d(256), nn.ReLU(),
                         up(256, 128, 3), nn.BatchNorm2d(128), nn.ReLU(),
                         up(128, 64, 4), nn.BatchNorm2d(64), nn.ReLU(), up(64, 1, 4), nn.Tanh())


def peer_discriminator():
    down = lambda cin, cout, side=4, stride=2, padding=1: nn.Conv2d(cin, cout, side, stride, padding, bias=False)
    return nn.Sequential(down(1, 64), nn.LeakyReLU(0.2), down(64, 128), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
                         down(128, 256), nn.BatchNorm2d(256), nn.LeakyReLU(0.2), down(256, 1, 3, 1, 0), nn.Sigmoid())


def bench(precision="float32", steps=40, batch=64):
    torch.set_num_threads(2)
    images = torch.rand(4096, 1, 28, 28) * 2 - 1

    def timed(name, layout, compiled):
        nets = [net.to(memory_format=layout) for net in (peer_generator(), peer_discriminator())]
        count = sum(p.numel() for net in nets for p in net.parameters())
        optimizers = [torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.5)) for net in nets]
        forwards = [torch.compile(net) for net in nets] if compiled else nets

        def run(which, x):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                return forwards[which](x.contiguous(memory_format=layout)).float()

        def step():
            nets[1].zero_grad()
            real = run(1, images[torch.randint(len(images), (batch,))]).view(-1)
            F.binary_cross_entropy(real, torch.empty(batch).uniform_(0.8, 1)).backward()
            made = run(0, torch.randn(batch, 100, 1, 1))
            F.binary_cross_entropy(run(1, made.detach()).view(-1), torch.zeros(batch)).backward()
            optimizers[1].step()
            nets[0].zero_grad()
            F.binary_cross_entropy(run(1, made).view(-1), torch.ones(batch)).backward()
            optimizers[0].step()

        median = median_ms(step, steps, warm_up=5)
        print(f"{name}, {precision}: {count} parameters, median {median:.1f} ms an iteration", flush=True)

    timed("eager", torch.contiguous_format, False)
    timed("eager, channels-last", torch.channels_last, False)
    timed("compiled", torch.contiguous_format, True)
    timed("compiled, channels-last", torch.channels_last, True)


if __name__ == "__main__":
    if sys.argv[1] == "samples":
        samples(pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "build/release/bin/genai")
    else:
        bench(*sys.argv[2:3], *map(int, sys.argv[3:4]))
