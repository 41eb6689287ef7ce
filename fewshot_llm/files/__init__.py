"""Reading and writing: rows in three formats, files that are whole or absent."""

from __future__ import annotations

from fewshot_llm.files.atomic import atomic_write, atomic_write_json, atomic_write_text, sha256_file
from fewshot_llm.files.reading import iter_rows, read_rows
from fewshot_llm.files.writing import write_rows
from fewshot_llm.language import normalise_text

__all__ = [
    "atomic_write",
    "atomic_write_json",
    "atomic_write_text",
    "iter_rows",
    "normalise_text",
    "read_rows",
    "sha256_file",
    "write_rows",
]
