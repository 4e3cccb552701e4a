"""Merges, files and encodings of genai/data/bpe.h by Hugging Face's tokenizers, the reference.

    pip install tokenizers
    python tests/data/bpe_in_python.py TINYSHAKESPEARE > tests/data/bpe_in_python.json

TINYSHAKESPEARE is the file that `genai data fetch shakespeare` gets. The other text is made of
pieces by a linear congruential generator, the same in bpe_test.cpp, so that it needs no file.
"""
import hashlib
import json
import os
import sys
import tempfile

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

PIECES = [
    " ", "e", "t", "a", "o", " the", "th", "in", "er", " ", "an", "s", "re", "n", "ing", " w", "\n",
    "'s", ",", "ed", " a", ".", "'ll", "1", "12", "  ", "é", "'t", "can", "-", "\n\n", "'re", "A",
    "I'm", "'d", "--", "日本", "\t", "…", "ß", "'ve", "07", "\u00a0", "🙂", "'S", "½", "'", "١٢",
    "\u0301", "\r\n", "Д", "\u3000", "_", "<|endoftext|>", "\u200d", "\u2028", "𝔘", "x'", "中文字"]
COUNT = 40_000

STRINGS = [
    "", " ", "  ", "a", " a", "  a", "\n", "\n\na", " \n a ", "a\n ", "Hello world",
    "I'm, you're, we'll", "'S 's''s '", "don't  stop--now!!", "x1y22 333", "½ ١٢ Ⅷ ²", "naïve café",
    "cafe\u0301", "日本語 テキスト", "🙂🙂 👩\u200d👧", "\u00a0x\u3000y\u2028z", "a\u0085b\tc\r\nd",
    "<|endoftext|>", "\u0000\u0007\u007f", "Д'д 'd", "'ve 'VE'll'LL",
    "    indented\n\n\n\nlines   ", "𝔘𝔫𝔦", "the theatre, there; then",
    "First Citizen:\nBefore we proceed any further, hear me speak.\n"]


def generated():
    x, parts = 1, []
    for _ in range(COUNT):
        picks = []
        for _ in range(2):
            x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
            picks.append((x >> 33) % len(PIECES))
        parts.append(PIECES[min(picks)])
    return "".join(parts)


def train(text, vocabulary, least):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=least, special_tokens=[], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def described(text, vocabulary, least):
    tokenizer = train(text, vocabulary, least)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.model.save(folder)
        with open(os.path.join(folder, "vocab.json"), "rb") as file:
            vocabulary_file = file.read()
        with open(os.path.join(folder, "merges.txt"), "rb") as file:
            merges_file = file.read()
    return {
        "vocabulary": vocabulary, "least": least, "size": tokenizer.get_vocab_size(),
        "tokens": len(tokenizer.encode(text).ids),
        "first": merges_file.decode().split("\n")[1:13],
        "vocabulary_sha256": sha256(vocabulary_file), "merges_sha256": sha256(merges_file)}


def main():
    with open(sys.argv[1], "rb") as file:
        shakespeare = file.read().decode()
    text = generated()
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    small = train(text, 1024, 2)
    table = {
        "tokenizers": tokenizers.__version__,
        "generated": {
            "pieces": PIECES, "count": COUNT, "sha256": sha256(text.encode()),
            "trained": [described(text, v, least) for v, least in
                        [(256, 2), (300, 2), (1024, 2), (100_000, 2), (100_000, 50)]]},
        "shakespeare": [described(shakespeare, v, 2) for v in (512, 2048, 8000)],
        "strings": [
            {"text": s, "pieces": [piece for piece, _ in splitter.pre_tokenize_str(s)],
             "ids": small.encode(s).ids} for s in STRINGS]}
    print(json.dumps(table, indent=1))


main()
