"""Ollama: a `Modelfile` beside a merged GGUF. Its own conversion of adapters knows llama and gemma2 only."""

from __future__ import annotations

from pathlib import Path

from fewshot_llm.export.gguf_model import write_gguf_model
from fewshot_llm.export.merged import merge
from fewshot_llm.export.names import Storage
from fewshot_llm.files import atomic_write_text
from fewshot_llm.models.language_model import LanguageModel

__all__ = ["MODEL", "modelfile", "write_ollama"]

MODEL = "model.gguf"


def modelfile(closing: str) -> str:
    r"""A `Modelfile` that passes the prompt through as it is and stops where an answer ends.

    >>> print(modelfile(chr(10)))
    FROM ./model.gguf
    TEMPLATE "{{ .Prompt }}"
    PARAMETER temperature 0
    PARAMETER num_predict 32
    PARAMETER stop "\n"
    <BLANKLINE>
    """
    stop = closing.strip(" ").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") or "\\n"
    return (
        f'FROM ./{MODEL}\nTEMPLATE "{{{{ .Prompt }}}}"\nPARAMETER temperature 0\nPARAMETER num_predict 32\n'
        f'PARAMETER stop "{stop[:64]}"\n'
    )


def write_ollama(model: LanguageModel, folder: Path, closing: str, storage: Storage = Storage.F16) -> None:
    """Write `model.gguf` and `Modelfile`; then `ollama create NAME -f Modelfile`.

    Args:
        model: base with adapter.
        folder: is made where absent.
        closing: what the template writes after an answer.
        storage: number format of the matrices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf_model(merge(model), model.tokenizer, folder / MODEL, storage)
    atomic_write_text(folder / "Modelfile", modelfile(closing))
