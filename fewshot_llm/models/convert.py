"""Turn a GGUF file into a model folder that loads in seconds."""

from __future__ import annotations

import errno
import os
from contextlib import redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from fewshot_llm.errors import PullError
from fewshot_llm.models.device import quiet_transformers

__all__ = ["convert_gguf", "converter_versions", "share_file"]

WEIGHTS = "model.safetensors"

PROBES = (
    "Order 20231111 arrived 3 days late:  2 of 10 cups broken.\n",
    "物流很快，质量不错！客服态度好👍\n评价：正面",
)
"""Texts that tokenizers differ on: runs of digits and spaces, full-width punctuation, emoji, newlines."""


def convert_gguf(gguf: Path, folder: Path) -> Path:
    """Write a GGUF file's network and tokenizer as `model.safetensors`, `config.json` and `tokenizer.json`.

    Weights are expanded to float32 once, exactly; the tokenizer is built once, which is what makes loading a
    GGUF file directly take tens of seconds.

    Args:
        gguf: the file.
        folder: an existing folder for the result.

    Returns:
        The weights' file.

    Raises:
        PullError: the file is no GGUF file, or of a kind that transformers cannot read.
        OSError: the result cannot be written.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # The GGUF reader draws its own progress bar, which no setting of the library turns off.
    with quiet_transformers(), redirect_stderr(StringIO()):
        try:
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
            )
            tokenizer = AutoTokenizer.from_pretrained(
                gguf.parent, gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # the reader raises ValueError, KeyError, NotImplementedError, OSError, …
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PullError(f"{gguf.name} cannot be converted: {reason[:300]} Is it a whole GGUF file?") from error
        tokenizer = _plain_tokenizer(tokenizer, gguf)
        _save(_plain_copy(model), folder)
        tokenizer.save_pretrained(folder)
        _check_tokenizer(tokenizer, folder, gguf)
    weights = folder / WEIGHTS
    share_file(weights)
    return weights


def converter_versions() -> dict[str, str]:
    """Versions of everything that a conversion's result may depend on."""
    return {name: version(name) for name in ("fewshot-llm", "transformers", "torch", "gguf", "tokenizers")}


def _save(model: Any, folder: Path) -> None:
    from safetensors import SafetensorError

    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # its writer wraps the system's errors
        full = f"os error {errno.ENOSPC}" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def _plain_copy(model: Any) -> Any:
    """The same network without the quantisation settings, for which `save_pretrained` refuses to save."""
    import torch

    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = type(model)(config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    return plain


def _plain_tokenizer(tokenizer: Any, gguf: Path) -> Any:
    """The same tokenizer as a class that loads `tokenizer.json` as it stands, with the right word splitting.

    Classes of model families rebuild it from the vocabulary at each load: Gemma's takes half as long again.

    transformers builds every GPT-2 style tokenizer with GPT-2's own word splitting. SmolLM was trained, and is
    served by llama.cpp, with each digit as a word of its own, which also changes how spaces before it merge; a
    GGUF file says so by `tokenizer.ggml.pre = smollm`.
    """
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = tokenizer.backend_tokenizer
    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        core.pre_tokenizer = pre_tokenizers.Sequence([digits, core.pre_tokenizer])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=tokenizer.chat_template,
        padding_side=tokenizer.padding_side,
        **tokenizer.special_tokens_map,
    )


def _check_tokenizer(tokenizer: Any, folder: Path, gguf: Path) -> None:
    """Read the tokenizer back: some classes rebuild parts of themselves and would change ids silently.

    Raises:
        PullError: the saved tokenizer gives other ids.
    """
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for text in PROBES:
        if saved(text).input_ids != tokenizer(text).input_ids:
            raise PullError(
                f"The tokenizer of {gguf.name} does not survive being saved ({type(tokenizer).__name__}): the "
                f"same text gets other tokens afterwards. This kind of GGUF file is not supported."
            )


def share_file(path: Path) -> None:
    """Give a file the permissions that any new file has; safetensors makes it readable for its owner only."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
