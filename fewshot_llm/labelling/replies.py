"""The shop's own reply to each message, by its intent: chosen from a table, never written by a model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fewshot_llm.errors import DataFileError, nearest
from fewshot_llm.files import read_rows
from fewshot_llm.predictors.base import Prediction
from fewshot_llm.types import Text, counted, listed

__all__ = ["REPLY_COLUMNS", "HandOver", "Reply", "gaps", "read_answers", "reply_to"]

OUT_OF_SCOPE = "out_of_scope"
"""The label of rows that belong to no intent; a message with it is handed over, whatever the table says."""

REPLY_COLUMNS = ("intent", "reply", "confidence", "hand_over")
"""What is added to a message."""

HandOver: TypeAlias = Literal["unsure", "out_of_scope", "no_answer"]
"""Why a person has to answer: below the least confidence; belongs to no intent; the table has no reply."""


@dataclass(frozen=True)
class Reply:
    """What is said to one message.

    Attributes:
        intent: the most probable one; empty for a message without text.
        reply: the shop's own words; `None` where a person has to answer.
        confidence: probability of the intent.
        hand_over: why a person has to answer; `None` where the reply may go out.
    """

    intent: str
    reply: str | None
    confidence: float
    hand_over: HandOver | None


def read_answers(
    path: str | os.PathLike[str], language: str, rows: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, str]:
    """Intent → reply from a file with the columns `intent`, `reply` and perhaps `language`.

    Args:
        path: of a format that `read_rows` knows.
        language: rows of another language are left out; a row without one is for all, behind one with.
        rows: what is in the file, where it was read already.

    Raises:
        DataFileError: no such columns, an empty reply, or two replies to one intent in one language.
    """
    name = os.fspath(path)
    rows = read_rows(path) if rows is None else rows
    for column in ("intent", "reply"):
        if not rows or column not in rows[0]:
            given = ", ".join(map(str, rows[0])) if rows else "nothing"
            raise DataFileError(
                f"{name} has no column {column!r}; it has {given}. Write intent,reply in its first line."
            )
    answers: dict[tuple[str, str], str] = {}
    for number, row in enumerate(rows, start=1):
        intent, reply = (str(row[column] or "").strip() for column in ("intent", "reply"))
        spoken = str(row.get("language") or "").strip()
        if not intent or not reply:
            raise DataFileError(
                f"Row {number} of {name} has no {'reply' if intent else 'intent'}. Write one, or remove it."
            )
        if (spoken, intent) in answers:
            raise DataFileError(f"{name} has two replies to {intent!r}{spoken and f' in {spoken}'}. Keep one of them.")
        answers[spoken, intent] = reply
    chosen = {intent: reply for (spoken, intent), reply in answers.items() if not spoken}
    return chosen | {intent: reply for (spoken, intent), reply in answers.items() if spoken == language}


def gaps(answers: Mapping[str, str], intents: Sequence[str]) -> list[Text]:
    """What does not fit between a table and the intents, a sentence each; nothing where all does.

    >>> gaps({"cancel": "…"}, ["cancel", "track"])[0].en
    'No reply to the intent track: such messages are handed to a person.'
    """
    missing = [intent for intent in intents if intent not in answers and intent != OUT_OF_SCOPE]
    unknown = [intent for intent in answers if intent not in intents]
    lines = [counted(len(missing), NO_REPLY, NO_REPLIES, intents=listed(missing))] if missing else []
    return lines + [
        NEVER_GIVEN.fill(intent=intent, nearest=Text(nearest(intent, intents), _known(intents))) for intent in unknown
    ]


NO_REPLY = Text(
    "No reply to the intent {intents}: such messages are handed to a person.",
    "意图 {intents} 没有回复：这类消息转人工。",
)
NO_REPLIES = Text(
    "No reply to the intents {intents}: such messages are handed to a person.",
    "意图 {intents} 没有回复：这类消息转人工。",
)
NEVER_GIVEN = Text(
    "The reply to {intent!r} is never given: no row has that intent. {nearest}",
    "对 {intent!r} 的回复永远不会用到：没有样例属于这个意图。{nearest}",
)


def _known(intents: Sequence[str]) -> str:
    return f"现有意图：{listed(intents).zh}。"


def reply_to(predictions: Iterable[Prediction], answers: Mapping[str, str], min_confidence: float) -> list[Reply]:
    """A reply to each message, or the reason why a person has to answer.

    Args:
        predictions: one per message, with the verdict of a policy where there is one.
        answers: intent → reply.
        min_confidence: the least probability of the intent with which a reply is given.
    """
    replies = []
    for found in predictions:
        reason = _hand_over(found, answers, min_confidence)
        intent = found.label or ""
        replies.append(Reply(intent, None if reason else answers[intent], found.probability, reason))
    return replies


def _hand_over(found: Prediction, answers: Mapping[str, str], min_confidence: float) -> HandOver | None:
    if found.label == OUT_OF_SCOPE or getattr(found, "reason", None) == "out_of_scope":
        return "out_of_scope"
    if found.abstained or found.probability < min_confidence:
        return "unsure"
    return None if found.label in answers else "no_answer"
