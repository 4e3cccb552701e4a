"""Training steps of the presets' networks in PyTorch, timed on any device.

    python tests/models/steps_in_python.py DEVICE PRESET PRECISION [eager|compiled|overhead [STEPS]]

PRESET: vae-example, gan-example, diffusion-example, transformer-nanogpt-cpu, transformer-nanogpt.
PRECISION: float32, tf32, bfloat16. `compiled` is torch.compile as it is, `overhead` its mode
reduce-overhead (CUDA graphs). Data lie on the device, as fast as PyTorch gets them there; a step ends
when its numbers are asked for, once for all steps. Prints one JSON object with the milliseconds a
step. tools/cuda-check.sh sets them beside `genai train`.
"""
import contextlib
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from diffusion_in_python import UNet
from gan_in_python import peer_discriminator, peer_generator


class Vae(nn.Module):
    """pytorch/examples' vae: 784-400-20."""
    def __init__(self):
        super().__init__()
        self.hidden, self.mean, self.log_variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.back, self.pixels = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.hidden(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.pixels(F.relu(self.back(z))), mean, log_variance


class Attention(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0)
        return F.dropout(self.out(y.transpose(1, 2).reshape(b, t, c)), self.dropout, self.training)


class Gpt(nn.Module):
    """GPT-2's layers, as nanoGPT trains them: no biases, tied table."""
    def __init__(self, layers, heads, width, context, dropout, vocabulary=65):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.dropout = dropout
        norm = lambda: nn.LayerNorm(width, bias=False)
        self.blocks = nn.ModuleList(
            nn.ModuleList([norm(), Attention(width, heads, dropout), norm(), nn.Linear(width, 4 * width, bias=False),
                           nn.Linear(4 * width, width, bias=False)]) for _ in range(layers))
        self.norm = norm()

    def forward(self, ids):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        x = F.dropout(x, self.dropout, self.training)
        for norm1, attention, norm2, up, down in self.blocks:
            x = x + attention(norm1(x))
            x = x + F.dropout(down(F.gelu(up(norm2(x)))), self.dropout, self.training)
        return F.linear(self.norm(x), self.tokens.weight)


def main(device, preset, precision, mode="eager", steps=100):
    device = torch.device(device)
    if device.type == "cpu":
        torch.set_num_threads(2)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    autocast = lambda: (torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16"
                        else contextlib.nullcontext())
    compiled = {"eager": lambda net: net, "compiled": torch.compile,
                "overhead": lambda net: torch.compile(net, mode="reduce-overhead")}[mode]
    adam = lambda nets, rate, betas=(0.9, 0.999), decay=0.0: torch.optim.AdamW(
        [p for net in nets for p in net.parameters()], rate, betas, weight_decay=decay, fused=True)
    images = torch.randint(0, 256, (60000, 1, 28, 28), dtype=torch.uint8, device=device)
    some = lambda batch: images[torch.randint(len(images), (batch,), device=device)].float() / 255

    if preset == "vae-example":
        net = Vae().to(device)
        forward, optimizer = compiled(net), adam([net], 1e-3)

        def step():
            x = some(128).flatten(1)
            with autocast():
                logits, mean, log_variance = forward(x)
            mean, log_variance = mean.float(), log_variance.float()
            bce = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum")
            loss = (bce - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()) / 128
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    elif preset == "gan-example":
        nets = [net.to(device, memory_format=torch.channels_last) for net in (peer_generator(), peer_discriminator())]
        nets[1] = nets[1][:-1]  # scores, so that their loss is one kernel
        forwards, batch = [compiled(net) for net in nets], 64
        optimizers = [adam([net], 2e-4, (0.5, 0.5)) for net in nets]
        bce = F.binary_cross_entropy_with_logits

        def run(which, x):
            with autocast():
                return forwards[which](x).float()

        def step():
            optimizers[1].zero_grad()
            labels = torch.empty(batch, device=device).uniform_(0.8, 1)
            bce(run(1, some(batch) * 2 - 1).view(-1), labels).backward()
            made = run(0, torch.randn(batch, 100, 1, 1, device=device))
            bce(run(1, made.detach()).view(-1), torch.zeros(batch, device=device)).backward()
            optimizers[1].step()
            optimizers[0].zero_grad()
            bce(run(1, made).view(-1), torch.ones(batch, device=device)).backward()
            optimizers[0].step()
    elif preset == "diffusion-example":
        net, batch = UNet(64, (1, 2), 2, (1,)).to(device, memory_format=torch.channels_last), 16
        forward, optimizer = compiled(net), adam([net], 1e-4, (0.9, 0.99))

        def step():
            x, noise, t = some(batch) * 2 - 1, torch.randn(batch, 1, 28, 28, device=device), torch.rand(batch, device=device)
            alpha, sigma = ((t * math.pi / 2).cos().view(-1, 1, 1, 1), (t * math.pi / 2).sin().view(-1, 1, 1, 1))
            with autocast():
                found = forward(alpha * x + sigma * noise, t * 1000).float()
            optimizer.zero_grad()
            F.mse_loss(found, alpha * noise - sigma * x).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1)
            optimizer.step()
    else:
        small = preset == "transformer-nanogpt-cpu"
        context, batch = (64, 12) if small else (256, 64)
        net = Gpt(*((4, 4, 128, 64, 0) if small else (6, 6, 384, 256, 0.2))).to(device)
        forward, optimizer = compiled(net), adam([net], 1e-3, (0.9, 0.99), 0.1)
        text = torch.randint(0, 65, (1_000_000,), device=device)
        window = torch.arange(context + 1, device=device)

        def step():
            ids = text[torch.randint(len(text) - context - 1, (batch, 1), device=device) + window]
            with autocast():
                logits = forward(ids[:, :-1])
            loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1)
            optimizer.step()

    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for _ in range(min(15, steps)):
        step()
    wait()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    print(json.dumps({"ms": 1000 * (time.perf_counter() - begin) / steps, "torch": torch.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:5], *map(int, sys.argv[5:6]))
