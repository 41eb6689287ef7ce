"""Tables and columns of other libraries as plain rows and values, without importing any of those libraries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fewshot_llm.errors import SupportError
from fewshot_llm.files.formats import distinct_names

__all__ = ["column_values", "is_table", "table_rows"]


def is_table(value: Any) -> bool:
    """Whether this is a table with named columns: a frame of pandas or polars, a table of pyarrow, a `Dataset`."""
    signs = ("collect_schema", "columns", "column_names")  # a lazy frame's columns are costly to ask for
    return not isinstance(value, Mapping) and any(hasattr(value, name) for name in signs)


def table_rows(table: Any) -> list[dict[str, Any]]:
    """One mapping per row of a table, in order; an index is not looked at.

    Args:
        table: a frame of pandas or polars (a lazy one is collected), a table of pyarrow, a `datasets.Dataset`, any
            iterable of mappings.

    Raises:
        SupportError: it is none of these.
    """
    if hasattr(table, "collect") and hasattr(table, "collect_schema"):
        table = table.collect()
    names = list(map(str, getattr(table, "column_names", getattr(table, "columns", ())) if is_table(table) else ()))
    if len(set(names)) < len(names):
        return _rows_of_repeated(table, distinct_names(names))
    if hasattr(table, "to_dicts"):
        rows = table.to_dicts()
    elif hasattr(table, "to_pylist"):
        rows = table.to_pylist()
    elif hasattr(table, "columns") and hasattr(table, "to_dict"):
        rows = table.to_dict("records")
    elif isinstance(table, Iterable) and not isinstance(table, str | bytes | Mapping):
        rows = list(table)
    else:
        raise SupportError(f"Expected a table or rows as mappings, got {type(table).__name__}.")
    for position, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise SupportError(f"Row {position} is a {type(row).__name__}, expected a mapping of columns to values.")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _rows_of_repeated(table: Any, names: list[str]) -> list[dict[str, Any]]:
    """As a file with such a header is read; the libraries' own ways keep one column of each name."""
    if hasattr(table, "itertuples"):
        return [dict(zip(names, values, strict=True)) for values in table.itertuples(index=False, name=None)]
    columns = [column.to_pylist() for column in table.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def column_values(column: Any) -> list[Any]:
    """The values of a column, in order, as Python's own where they have such a form.

    Args:
        column: a list or any iterable, an array, a Series of pandas or polars, an array of pyarrow, a column of
            `datasets`.

    >>> column_values(("a", None))
    ['a', None]
    """
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, name):
            values = getattr(column, name)()
            return values if isinstance(values, list) else [values]
    return list(column)
