"""Load an encoder: texts in, vectors out, by sentence-transformers.

A folder of sentence-transformers names the classes of its parts, and would have whatever it names imported. Here only
the library's own parts are allowed, and only torch's own activations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm.errors import ModelError
from fewshot_llm.models.cache import RECORD, cached_sha256
from fewshot_llm.models.device import choose_device, quiet_transformers
from fewshot_llm.models.locate import locate_model
from fewshot_llm.models.pull import PullProgress
from fewshot_llm.models.registry import EMBEDDED, resolve_encoder
from fewshot_llm.models.trust import ModelName, RecordedModel
from fewshot_llm.types import FloatArray, Progress

__all__ = ["Encoder", "check_parts", "load_encoder"]

PARTS = ("Transformer", "Pooling", "Dense", "Normalize")
LIBRARY = "sentence_transformers."
PROMPTS = ("Classification", "classification", "query")
"""Names under which encoders keep what they read before a text that is to be classified; the first that is there."""
BATCH = 32
LONGEST = 512
"""Tokens of a text that are read, where the encoder reads as many."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Texts as vectors.

    Attributes:
        name: what was asked for: an embedded encoder, a folder, a hub id.
        sha256: of all its files that may change a vector.
        prefix: stands before every text.
        width: of a vector.
        network: the loaded `SentenceTransformer`.
    """

    name: str
    sha256: str
    prefix: str
    width: int
    network: Any = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle refers to an encoder by name and hash, as it does to a language model, and holds no weights.
        return _recalled, (self.name, self.sha256, self.prefix)

    def __deepcopy__(self, memo: dict[int, Any]) -> Encoder:
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that may change a vector, beside the machine."""
        return hashlib.sha256(f"{self.sha256}\n{self.prefix}\n{self.network.max_seq_length}".encode()).hexdigest()

    def vectors(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Encode texts.

        Args:
            texts: what to encode; an empty one has a vector too.
            progress: called with texts finished and texts in all.

        Returns:
            Vectors of length 1, float64, shape [texts, width].
        """
        found = np.empty((len(texts), self.width))
        # Of like length together, so that little is padded.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            asked = [self.prefix + texts[row] for row in rows]
            found[rows] = self.network.encode(asked, batch_size=BATCH, show_progress_bar=False)
            if progress is not None:
                progress(start + len(rows), len(order))
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        unit: FloatArray = found / np.maximum(lengths, 1e-12)
        return unit


def load_encoder(
    name: ModelName = "auto",
    *,
    device: str | None = None,
    prefix: str | None = None,
    progress: PullProgress | None = None,
) -> Encoder:
    """Load an encoder, fetched first where it is an embedded one or a hub id that is not here.

    Args:
        name: an embedded encoder, a folder of sentence-transformers or of a plain encoder, a hub id; `auto` is
            `e5-small`.
        device: as for `load_model`.
        prefix: what stands before every text; None for what the encoder was trained with, as far as it says.
        progress: told of each step of a pull.

    Raises:
        ModelError: nothing of that name, a language model, or a folder that names code of its own.
        PullError: it could not be fetched.

    Example:
        >>> load_encoder("e5-small").vectors(["物流很快", "Fast delivery"]).shape  # doctest: +SKIP
        (2, 384)
    """
    asked = resolve_encoder(name) if isinstance(name, str) else name
    known = EMBEDDED.get(str(asked))
    if known is not None and known.kind != "encoder":
        encoders = ", ".join(sorted(model.name for model in EMBEDDED.values() if model.kind == "encoder"))
        raise ModelError(f"{known.name} is a language model, not an encoder. Embedded encoders: {encoders}.")
    located = locate_model(asked, progress, encoder=True)
    check_parts(located.folder)
    from sentence_transformers import SentenceTransformer

    chosen = choose_device(device)
    with quiet_transformers():
        try:
            network = SentenceTransformer(
                str(located.folder),
                device=str(chosen),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": "float32"},
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ModelError(f"{asked} cannot be loaded as an encoder: {reason[:300]}") from error
    network.eval()
    network.max_seq_length = min(LONGEST, network.max_seq_length or LONGEST)
    told = next((network.prompts[one] for one in PROMPTS if network.prompts.get(one)), "")
    before = prefix if prefix is not None else known.prefix if known is not None else told
    width = network.get_embedding_dimension()
    return Encoder(str(asked), _digest(located.folder), before, int(width), network)


def _recalled(name: str, sha256: str, prefix: str) -> Encoder:
    """The encoder that a pickle refers to: from its folder or this machine's caches, never from a network."""
    found = load_encoder(RecordedModel(name, "This pickle", option="encoder"), prefix=prefix)
    if found.sha256 != sha256:
        raise ModelError(
            f"The encoder {name} is not the one that this was fitted with: its SHA-256 was {sha256[:12]}, and is "
            f"{found.sha256[:12]}. Put the old files back, or fit again."
        )
    return found


def check_parts(folder: Path) -> None:
    """Refuse a folder that names classes other than the library's own, which would be imported.

    Raises:
        ModelError: it does, or what names them cannot be read.
    """
    for path in (folder / "modules.json", *sorted(folder.rglob("config.json"))):
        if not path.is_file():
            continue
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if path.name == "modules.json":
                kinds = [str(part["type"]) for part in told]
                allowed = all(one.startswith(LIBRARY) and one.rpartition(".")[2] in PARTS for one in kinds)
                expected = f"{', '.join(PARTS)} of sentence-transformers"
            else:
                kinds = [str(told["activation_function"])] if "activation_function" in told else []
                allowed = all(one.startswith("torch.nn.") for one in kinds)
                expected = "an activation of torch.nn"
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{path} cannot be read: expected what sentence-transformers writes there.") from error
        if not allowed:
            raise ModelError(f"{path} names {', '.join(kinds)}, which would be imported and run. Expected {expected}.")


def _digest(folder: Path) -> str:
    """SHA-256 over the names and hashes of all data files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".json", ".safetensors"))
    hashes = [f"{path.relative_to(folder).as_posix()} {cached_sha256(path)}" for path in files if path.name != RECORD]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
