"""The folders of `genai export` and `genai import` against Hugging Face's transformers.

    python tests/models/gpt2_in_python.py RUN [GENAI]

Exports a run of the family `transformer`, loads it as GPT2LMHeadModel and compares log p of lines
with `genai score`; then saves GPT-2s with random weights by transformers, imports them and compares
again. Needs torch, transformers. Run by hand; docs/text.md has the outcome.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, utils

TEXT = """To be, or not to be, that is the question:
Whether 'tis nobler in the mind to suffer
The slings and arrows of outrageous fortune,
Or to take arms against a sea of troubles
  two spaces, naïve café, 12+7=19 """


def genai(*arguments):
    done = subprocess.run([GENAI, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def encoder(folder):
    """Encodes as the folder's own files say, without any of our code."""
    if (folder / "vocab.json").exists():
        files = str(folder / "vocab.json"), str(folder / "merges.txt")
        return lambda text: ByteLevelBPETokenizer(*files).encode(text).ids
    own = json.loads((folder / "genai-tokenizer.json").read_text())
    if own["kind"] == "bytes":
        return lambda text: list(text.encode())
    assert own["kind"] == "characters", own["kind"]
    return lambda text: [own["vocabulary"].index(c) for c in text]


@torch.no_grad()
def compare(what, folder, run, lines, **changes):
    """log p of each line with its end, after a line end, by transformers and by us."""
    model = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager", **changes).eval()
    encode = encoder(folder)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        ours = json.loads(genai("score", run, file.name, "--json"))["lines"]
    largest = tokens = 0
    for line, found in zip(lines, ours, strict=True):
        ids = torch.tensor([encode("\n") + encode(line + "\n")])
        nats = F.cross_entropy(model(ids[:, :-1]).logits[0], ids[0, 1:], reduction="sum").item()
        assert ids.shape[1] - 1 == found["tokens"]
        largest, tokens = max(largest, abs(nats + found["log_probability"])), tokens + found["tokens"]
    mean = -sum(found["log_probability"] for found in ours) / tokens
    print(f"{what}: {len(lines)} lines, {tokens} tokens, {mean:.3f} nats a token, "
          f"largest difference of log p(line) {largest:.2g}")
    return largest


def export_direction(run, folder):
    genai("export", run, "--out", folder)
    _, info = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    bad = {key: value for key, value in info.items() if value and key != "error_msgs"}
    assert not bad, bad
    own = json.loads((folder / "genai-tokenizer.json").read_text())
    lines = TEXT.splitlines()
    if own["kind"] == "characters":
        letters = [c for c in own["vocabulary"] if c != "\n"]
        most = json.loads((folder / "config.json").read_text())["n_positions"] - 1
        draw = random.Random(1)
        lines = ["".join(draw.choices(letters, k=min(most, 5 + i))) for i in range(20)]
    assert compare("exported", folder, run, lines) < 1e-4


def import_direction(folder, activation):
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([TEXT], vocab_size=300, special_tokens=["<|endoftext|>"],
                                  show_progress=False)
    size = tokenizer.get_vocab_size()
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=size, n_positions=64, n_embd=48, n_layer=3, n_head=4,
                        n_inner=100 if activation == "gelu" else None,
                        activation_function=activation, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():   # biases and norms too
        torch.nn.init.normal_(parameter, 1 if "ln_" in name and "weight" in name else 0, 0.3)
    model.save_pretrained(folder)
    tokenizer.save_model(str(folder))
    run = folder.parent / f"run-{activation}"
    genai("import", folder, "--out", run)
    lines = TEXT.splitlines()
    assert compare(f"imported, {activation}", folder, run, lines) < 1e-4
    other = "gelu_new" if activation == "gelu" else "gelu"
    assert compare(f"control, as {other}", folder, run, lines, activation_function=other) > 1e-3
    again = folder.parent / f"again-{activation}"
    genai("export", run, "--out", again)
    theirs, ours = (GPT2LMHeadModel.from_pretrained(f).state_dict() for f in (folder, again))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
    print(f"imported, {activation}: exported again, every tensor has the same bits")


if __name__ == "__main__":
    GENAI = sys.argv[2] if len(sys.argv) > 2 else "build/release/bin/genai"
    utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        export_direction(sys.argv[1], pathlib.Path(name) / "exported")
        for activation in ("gelu", "gelu_new"):
            import_direction(pathlib.Path(name) / activation, activation)
