"""Reading and writing: rows in every format, files that are whole or absent."""

from __future__ import annotations

from fewshot_llm.files.atomic import atomic_write, atomic_write_json, atomic_write_text, sha256_file
from fewshot_llm.files.formats import Note, Problem, Reading, RepeatedName, json_list, kind_of
from fewshot_llm.files.reading import Rows, count_rows, iter_rows, load_rows, read_rows, scan_rows
from fewshot_llm.files.writing import Excel, columns_of, require_writable, result_names, write_rows, written_form

__all__ = [
    "Excel",
    "Note",
    "Problem",
    "Reading",
    "RepeatedName",
    "Rows",
    "atomic_write",
    "atomic_write_json",
    "atomic_write_text",
    "columns_of",
    "count_rows",
    "iter_rows",
    "json_list",
    "kind_of",
    "load_rows",
    "read_rows",
    "require_writable",
    "result_names",
    "scan_rows",
    "sha256_file",
    "write_rows",
    "written_form",
]
