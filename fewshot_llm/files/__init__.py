"""Reading and writing: rows in and out, files that are whole or absent."""

from __future__ import annotations

from fewshot_llm.files.atomic import atomic_write, atomic_write_json, atomic_write_text, sha256_file
from fewshot_llm.files.reading import iter_rows, read_rows
from fewshot_llm.files.writing import Excel, columns_of, require_writable, result_names, write_rows, written_form
from fewshot_llm.language import normalise_text

__all__ = [
    "Excel",
    "atomic_write",
    "atomic_write_json",
    "atomic_write_text",
    "columns_of",
    "iter_rows",
    "normalise_text",
    "read_rows",
    "require_writable",
    "result_names",
    "sha256_file",
    "write_rows",
    "written_form",
]
