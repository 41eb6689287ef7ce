"""The work of one shard: its rows in, labelled rows and errors out. Nothing is read or written here.

A text that does not fit the model's context is cut, labelled in pieces or refused (`LongText`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

from fewshot_llm.batch.labeller import Answer, Labeller, Rendered, Ruler, combine, rounded
from fewshot_llm.batch.shards import LabelledRow
from fewshot_llm.batch.sources import InputRow
from fewshot_llm.data.example import query_of
from fewshot_llm.data.redaction import Redactor
from fewshot_llm.errors import ScoringError, TemplateError
from fewshot_llm.files import RowProblem
from fewshot_llm.types import Progress

__all__ = ["Finished", "Fitted", "LongText", "Prepared", "Settings", "answer_new", "assemble", "fit", "prepare"]

ELLIPSIS = " … "
SMALLEST = 16
"""Tokens. A text cut shorter than this says too little to be labelled."""
SLACK = 8
"""Tokens. A piece of a text may tokenise a little longer than it did inside the whole."""


class LongText(StrEnum):
    """The three policies.

    Attributes:
        ERROR: the row goes to `errors.jsonl`.
        TRUNCATE_MIDDLE: beginning and end stay, the middle goes: reviews conclude at the end.
        CHUNK: the text is cut into pieces that fit; their probabilities are averaged.
    """

    ERROR = "error"
    TRUNCATE_MIDDLE = "truncate-middle"
    CHUNK = "chunk"


@dataclass(frozen=True)
class Fitted:
    """A query that fits, in one piece or several.

    Attributes:
        pieces: queries; several only for a chunked text.
        treatment: what was done to it, for the output; `None` when nothing was.
        tokens: of all pieces' texts; an upper bound where the text is so short that counting is needless.
    """

    pieces: tuple[Mapping[str, str], ...]
    treatment: str | None
    tokens: int


def fit(query: Mapping[str, str], ruler: Ruler, policy: LongText) -> Fitted | RowProblem:
    """The query as it is where it fits, else what the policy makes of it.

    Only the longest field of a query is cut.
    """
    sizes = {name: len(ruler.spans(text)) for name, text in query.items()}
    tokens = sum(sizes.values())
    # Where cutting is not wanted, the prompt builder rather leaves demonstrations out.
    if tokens <= (ruler.room_alone if policy is LongText.ERROR else ruler.room):
        return Fitted((query,), None, tokens)
    longest = max(sizes, key=lambda name: sizes[name])
    room = ruler.room - (tokens - sizes[longest]) - SLACK
    if policy is LongText.ERROR or room < SMALLEST:
        reason = f"The text has {tokens} tokens; {ruler.room_alone} fit, {ruler.room} beside the demonstrations."
        return RowProblem("too-long", reason, query[longest][:200])
    text = query[longest]
    if policy is LongText.TRUNCATE_MIDDLE:
        cut = _without_middle(text, ruler.spans(text), room)
        return Fitted(({**query, longest: cut},), "truncated", room)
    chunks = [chunk for chunk in _chunks(text, ruler.spans(text), room) if chunk.strip()]
    pieces = tuple({**query, longest: chunk} for chunk in chunks)
    return Fitted(pieces, f"{len(pieces)} chunks", tokens)


def _without_middle(text: str, spans: Sequence[tuple[int, int]], room: int) -> str:
    kept = room - len(ELLIPSIS)
    head, tail = (kept + 1) // 2, kept // 2
    return text[: spans[head - 1][1]] + ELLIPSIS + text[spans[len(spans) - tail][0] :]


def _chunks(text: str, spans: Sequence[tuple[int, int]], room: int) -> list[str]:
    # Equal parts: a last chunk of three words would weigh as much as the others.
    parts = -(-len(spans) // room)
    size = -(-len(spans) // parts)
    starts = [0, *(spans[index][0] for index in range(size, len(spans), size)), len(text)]
    return [text[start:end] for start, end in pairwise(starts)]


T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Settings:
    """What is done to every row.

    Attributes:
        columns: for each field of the task, the input column that holds it.
        long_text: what happens to a text that does not fit.
        redactor: replaces personal data before a prompt is built; `None` leaves rows as they are.
    """

    columns: Mapping[str, str]
    long_text: LongText = LongText.ERROR
    redactor: Redactor | None = None


@dataclass(frozen=True)
class _Ready:
    row: InputRow
    keys: tuple[str, ...]
    treatment: str | None


@dataclass(frozen=True)
class Prepared:
    """A shard whose prompts are rendered.

    Attributes:
        shard: its number.
        rows: its rows in input order, redacted, those that failed already with their problem.
        rendered: the different prompts of the shard, by key, in the order they first appear.
        tokens: of each prompt's query text, by key.
        row_tokens: of all rows' query texts, repeated ones included.
        redacted: pieces of personal data replaced, by kind.
    """

    shard: int
    rows: tuple[_Ready | InputRow, ...]
    rendered: Mapping[str, Rendered]
    tokens: Mapping[str, int]
    row_tokens: int
    redacted: Mapping[str, int]


@dataclass(frozen=True)
class Finished:
    """A finished shard, ready to be written.

    Attributes:
        shard: its number.
        first_row: position of its first row.
        labelled: its labelled rows.
        errors: one JSON-able object per row in error.
        redacted: pieces of personal data replaced, by kind.
    """

    shard: int
    first_row: int
    labelled: tuple[LabelledRow, ...]
    errors: tuple[Mapping[str, Any], ...]
    redacted: Mapping[str, int]


def prepare(shard: int, rows: Sequence[InputRow], labeller: Labeller, settings: Settings) -> Prepared:
    """Redact, check and render a shard's rows."""
    redacted: Counter[str] = Counter()
    if settings.redactor is not None:
        rows = [_redact(row, settings.redactor, redacted) for row in rows]
    fitted: list[Fitted | RowProblem] = [_fitted(row, labeller, settings) for row in rows]
    pieces = [piece for found in fitted if isinstance(found, Fitted) for piece in found.pieces]
    rendering: Iterator[Rendered | RowProblem] = iter(_one_by_one_on_error(labeller.render, pieces))
    prepared: list[_Ready | InputRow] = []
    rendered: dict[str, Rendered] = {}
    tokens: dict[str, int] = {}
    for row, found in zip(rows, fitted, strict=True):
        if isinstance(found, RowProblem):
            prepared.append(replace(row, problem=found))
            continue
        results = [next(rendering) for _ in found.pieces]
        failed = next((result for result in results if isinstance(result, RowProblem)), None)
        if failed is not None:
            prepared.append(replace(row, problem=failed))
            continue
        good = [result for result in results if isinstance(result, Rendered)]
        for result in good:
            rendered.setdefault(result.key, result)
            tokens.setdefault(result.key, found.tokens // len(good))
        prepared.append(_Ready(row, tuple(result.key for result in good), found.treatment))
    row_tokens = sum(found.tokens for found in fitted if isinstance(found, Fitted))
    return Prepared(shard, tuple(prepared), rendered, tokens, row_tokens, redacted)


def answer_new(
    labeller: Labeller, rendered: Sequence[Rendered], progress: Progress | None = None
) -> dict[str, Answer | RowProblem]:
    """The rounded answers of prompts that nobody has answered yet, by key."""

    def answer(part: Sequence[Rendered]) -> list[Answer]:
        return labeller.answer(part, progress)

    results = _one_by_one_on_error(answer, rendered)
    pairs = zip(rendered, results, strict=True)
    return {one.key: rounded(result) if isinstance(result, Answer) else result for one, result in pairs}


def assemble(prepared: Prepared, answers: Mapping[str, Answer | RowProblem], model_fingerprint: str) -> Finished:
    """Give every row of a shard its answer or its error."""
    labelled: list[LabelledRow] = []
    errors: list[Mapping[str, Any]] = []
    first = prepared.rows[0]
    for entry in prepared.rows:
        if isinstance(entry, InputRow):
            errors.append(_error(entry))
            continue
        results = [answers[key] for key in entry.keys]
        failed = next((result for result in results if isinstance(result, RowProblem)), None)
        if failed is not None:
            errors.append(_error(replace(entry.row, problem=failed)))
            continue
        whole = combine([result for result in results if isinstance(result, Answer)])
        labelled.append(
            LabelledRow(
                position=entry.row.position,
                values=entry.row.values,
                label=whole.label,
                probabilities=whole.probabilities,
                margin=whole.margin,
                abstained=whole.abstained,
                reason=whole.reason,
                long_text=entry.treatment,
                model_fingerprint=model_fingerprint,
                prompt_fingerprint=entry.keys[0],
            )
        )
    first_row = first.position if isinstance(first, InputRow) else first.row.position
    return Finished(prepared.shard, first_row, tuple(labelled), tuple(errors), prepared.redacted)


def _fitted(row: InputRow, labeller: Labeller, settings: Settings) -> Fitted | RowProblem:
    if row.problem is not None:
        return row.problem
    query = query_of(row.values, settings.columns, labeller.optional_fields)
    return query if isinstance(query, RowProblem) else fit(query, labeller.ruler, settings.long_text)


def _redact(row: InputRow, redactor: Redactor, counts: Counter[str]) -> InputRow:
    values = redactor.row(row.values, counts)
    problem = row.problem
    if problem is not None:
        # Raw bytes, half a JSON line: patterns may miss what escapes or a cut have broken up.
        problem = RowProblem(problem.kind, redactor.value(problem.reason, counts), "(left out: not redactable)")
    return replace(row, values=values, problem=problem)


def _error(row: InputRow) -> dict[str, Any]:
    problem = row.problem
    assert problem is not None
    return {
        "row": row.position,
        "file": row.source,
        "line": row.line,
        "kind": problem.kind,
        "reason": problem.reason,
        "excerpt": problem.excerpt,
    }


def _one_by_one_on_error(work: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R | RowProblem]:
    """All at once; where that fails on a row, by halves, until each row that fails stands alone.

    Only errors that a row can cause are caught: a server that is down or a full memory stops the job.
    """
    if not items:
        return []
    try:
        return list(work(items))
    except (ScoringError, TemplateError) as error:
        if len(items) == 1:
            return [RowProblem("not-scorable", str(error))]
        middle = len(items) // 2
        return _one_by_one_on_error(work, items[:middle]) + _one_by_one_on_error(work, items[middle:])
