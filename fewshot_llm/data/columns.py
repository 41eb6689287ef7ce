"""Tables of files and of other libraries: their rows, and which column holds which field, as told, else by its name.

Frames of pandas and polars, tables of pyarrow and data sets become plain rows without any of those libraries imported.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fewshot_llm.errors import SupportError, nearest
from fewshot_llm.files import RepeatedName
from fewshot_llm.files.formats import distinct_names

if TYPE_CHECKING:
    from fewshot_llm.data.task import Task

__all__ = ["Columns", "column_values", "is_table", "resolve_columns", "table_rows"]


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


LABEL = "label"
LABEL_WORDS = "label_words"

TITLES = (
    *("title", "subject", "headline", "summary", "review title", "review headline", "product title", "product name"),
    *("标题", "主题", "评论标题", "商品标题", "商品名称"),
)
KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        *("text", "review", "review text", "review body", "review content", "review comment", "content", "utterance"),
        *("comment", "message", "sentence", "body", "query", "feedback", "rate content", "full text", "tweet"),
        *("comment text", "comment body", "message body", "comments", "reviews", "description", "question"),
        *("评论内容", "评价内容", "评论", "评价", "商品评价", "商品评论", "用户评论", "买家评价", "评论文本", "内容"),
        *("文本", "正文", "消息", "留言", "句子", "问题", "描述"),
    ),
    "title": TITLES,
    LABEL: (
        *("label", "category", "intent", "sentiment", "class", "target"),
        *("标签", "情感", "意图", "类别", "分类", "类型"),
    ),
    LABEL_WORDS: ("label_words", "标签词"),
}
"""Column names that are understood without being told, in order of preference. Case, spaces, `_` and `-` are ignored:
`reviewText`, `Review Text` and `review_text` are one name."""

LABELS_OF_KIND: dict[str, tuple[str, ...]] = {
    "regression": (
        *("label", "rating", "stars", "score", "star rating", "review rating", "review score", "overall", "price"),
        *("value", "评分", "星级", "打分", "分数", "得分", "价格", "金额"),
    ),
    "multilabel": ("label", "labels", "tags", "tag", "aspects", "topics", "categories", "标签", "方面", "话题"),
    "ranking": ("label", "answer", "chosen", "choice", "next", "bought", "clicked", "答案", "选择", "所选", "购买"),
}
"""Names of the label's column in rows of tasks of other kinds than classification; they go before the others."""


@dataclass(frozen=True)
class Columns:
    """The column of each field.

    Attributes:
        names: field (or `label`, `label_words`) → column. Fields come first, in reading order.
        guessed: those of them that were not told and whose column is named otherwise.
        rivals: guessed field → other columns that could be meant.
    """

    names: Mapping[str, str]
    guessed: tuple[str, ...] = ()
    rivals: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the row's fields, in reading order."""
        return {field: row.get(name) for field, name in self.names.items() if field not in (LABEL, LABEL_WORDS)}


def resolve_columns(
    found: Iterable[str],
    task: Task | None = None,
    told: Mapping[str, str] | None = None,
    *,
    labelled: bool = True,
    fields: Sequence[str] | None = None,
) -> Columns:
    """Find the column of each field among those that are there.

    Args:
        found: the table's columns.
        task: its fields are filled, and its kind and name tell what a label's column may be called; without one, a
            row has a `text`.
        told: field → column, from the user; `label` and `label_words` are fields here too.
        labelled: whether a label column is needed.
        fields: to fill in place of the task's.

    Raises:
        SupportError: a needed field has no column, or several of one name; the message says what was found.

    >>> resolve_columns(["评论", "情感"]).names
    {'text': '评论', 'label': '情感'}
    """
    found = list(found)
    told = dict(told or {})
    optional = task.optional_fields if task else ()
    if fields is None:
        fields = task.fields if task else ("text",)
    wanted = [*fields, *((LABEL, LABEL_WORDS) if labelled else ())]
    for field, name in told.items():
        if field not in (*fields, LABEL, LABEL_WORDS):
            raise SupportError(f"A column is given for {field!r}, which is not a field. {nearest(field, wanted)}")
        if name not in found:
            raise SupportError(f"There is no column {name!r} for {field!r}. Columns found: {_listed(found)}.")
    names: dict[str, str] = {}
    guessed: list[str] = []
    rivals: dict[str, tuple[str, ...]] = {}
    taken = set(told.values())
    for field in wanted:
        known = _known(field, fields, task)
        named = [told[field]] if field in told else _by_name(known, [name for name in found if name not in taken])
        if named:
            column = next(name for name in found if name == named[0])
            if isinstance(column, RepeatedName):
                raise SupportError(
                    f"There is more than one column named {str(column)!r}, and one is needed for {field!r}: it cannot "
                    f"be told which. Rename all but one. Columns found: {_listed(found)}."
                )
            names[field] = column
            taken.add(column)
            if field not in told and column != field:
                guessed.append(field)
                if len(named) > 1:
                    rivals[field] = tuple(named[1:])
        elif field not in optional and field != LABEL_WORDS:
            raise SupportError(
                f"No column for {field!r}: the columns found are {_listed(found)}. Name the column to use, for "
                f'example columns={{"{field}": "{found[0] if found else "…"}"}} (--text-column, --label-column).'
            )
    return Columns(names, tuple(guessed), rivals)


def _known(field: str, fields: Sequence[str], task: Task | None) -> list[str]:
    """Names for a field, in order of preference."""
    names = [field, *KNOWN_NAMES.get(field, ())]
    if field == LABEL:
        words = {_key(word) for word in (task.name if task else "").replace("-", " ").split()}
        names = [*LABELS_OF_KIND.get(task.kind if task else "classification", ()), *names]
        names.sort(key=lambda name: (name != LABEL, _key(name) not in words))
    elif field == "text" and "title" not in fields:
        names += TITLES
    return names


def _by_name(known: Sequence[str], found: Sequence[str]) -> list[str]:
    """Those of the columns that have a known name, the preferred first."""
    by_key = {_key(name): name for name in reversed(found)}
    return [by_key[key] for key in dict.fromkeys(map(_key, known)) if key in by_key]


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", str(name)).casefold()


def _listed(found: Sequence[str]) -> str:
    return ", ".join(repr(str(name)) for name in found) or "none"
