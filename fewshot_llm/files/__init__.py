"""Reading and writing: rows in and out, files that are whole or absent."""

from __future__ import annotations

from fewshot_llm.files.atomic import atomic_write, atomic_write_json, atomic_write_text, sha256_file
from fewshot_llm.files.formats import Note, Problem, Reading, RepeatedName, json_list, kind_of
from fewshot_llm.files.reading import Rows, count_rows, iter_rows, load_rows, read_rows, scan_rows
from fewshot_llm.files.writing import write_rows
from fewshot_llm.language import normalise_text

__all__ = [
    "Note",
    "Problem",
    "Reading",
    "RepeatedName",
    "Rows",
    "atomic_write",
    "atomic_write_json",
    "atomic_write_text",
    "count_rows",
    "iter_rows",
    "json_list",
    "kind_of",
    "load_rows",
    "normalise_text",
    "read_rows",
    "scan_rows",
    "sha256_file",
    "write_rows",
]
