"""Which column of a table holds which field: as told, else by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fewshot_llm.errors import SupportError, nearest

__all__ = ["Columns", "resolve_columns"]

LABEL = "label"
LABEL_WORDS = "label_words"

KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        *("text", "review", "content", "utterance", "comment", "message", "sentence", "body", "query"),
        *("评论", "评价", "评论内容", "评价内容", "内容", "文本", "正文", "消息", "留言", "句子"),
    ),
    "title": ("title", "subject", "headline", "summary", "标题", "主题", "商品名称"),
    LABEL: (
        *("label", "category", "intent", "sentiment", "class", "target"),
        *("标签", "情感", "意图", "类别", "分类", "类型"),
    ),
    LABEL_WORDS: ("label_words", "标签词"),
}
"""Column names that are understood without being told, in order of preference; case is ignored."""


@dataclass(frozen=True)
class Columns:
    """The column of each field.

    Attributes:
        names: field (or `label`, `label_words`) → column. Fields come first, in reading order.
        guessed: those of them that were not told and whose column is named otherwise.
    """

    names: Mapping[str, str]
    guessed: tuple[str, ...] = ()

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the row's fields, in reading order."""
        return {field: row.get(name) for field, name in self.names.items() if field not in (LABEL, LABEL_WORDS)}


def resolve_columns(
    found: Iterable[str],
    fields: Sequence[str] = ("text",),
    optional: Sequence[str] = (),
    told: Mapping[str, str] | None = None,
    labelled: bool = True,
) -> Columns:
    """Find the column of each field among those that are there.

    Args:
        found: the table's columns.
        fields: the fields to fill, in reading order.
        optional: those of them that may be absent.
        told: field → column, from the user; `label` and `label_words` are fields here too.
        labelled: whether a label column is needed.

    Raises:
        SupportError: a needed field has no column; the message says what was found.

    >>> resolve_columns(["评论", "情感"]).names
    {'text': '评论', 'label': '情感'}
    """
    found = list(found)
    told = dict(told or {})
    wanted = [*fields, *((LABEL, LABEL_WORDS) if labelled else ())]
    for field, name in told.items():
        if field not in (*fields, LABEL, LABEL_WORDS):
            raise SupportError(f"A column is given for {field!r}, which is not a field. {nearest(field, wanted)}")
        if name not in found:
            raise SupportError(f"There is no column {name!r} for {field!r}. Columns found: {_listed(found)}.")
    names: dict[str, str] = {}
    guessed: list[str] = []
    taken = set(told.values())
    for field in wanted:
        column = told.get(field) or _by_name(field, [name for name in found if name not in taken])
        if column is not None:
            names[field] = column
            taken.add(column)
            if field not in told and column != field:
                guessed.append(field)
        elif field not in optional and field != LABEL_WORDS:
            raise SupportError(
                f"No column for {field!r}: the columns found are {_listed(found)}. Name the column to use, for "
                f'example columns={{"{field}": "{found[0] if found else "…"}"}} (--text-column, --label-column).'
            )
    return Columns(names, tuple(guessed))


def _by_name(field: str, found: Sequence[str]) -> str | None:
    by_key = {str(name).strip().casefold(): name for name in reversed(found)}
    for candidate in (field, *KNOWN_NAMES.get(field, ())):
        if candidate.casefold() in by_key:
            return by_key[candidate.casefold()]
    return None


def _listed(found: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in found) or "none"
