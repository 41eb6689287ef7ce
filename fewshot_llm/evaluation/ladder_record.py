"""The ladder's decision, as `fewshot-llm tune` left it in a folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from fewshot_llm.errors import DataFileError
from fewshot_llm.escalation import Decision
from fewshot_llm.tuning.tune import DECISION

__all__ = ["read_decision"]


def read_decision(folder: Path) -> Decision | None:
    """The decision in a folder; None where there is none, as in one that another tool trained.

    Raises:
        DataFileError: the file is damaged.
    """
    path = folder / DECISION
    if not path.is_file():
        return None
    try:
        return Decision.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} is not a decision of the ladder: {str(error)[:200]}") from error
