"""From a result, or its file, to the two files of a report."""

from __future__ import annotations

import json
from pathlib import Path

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation.result import Evaluation, read_evaluation
from fewshot_llm.evaluation.suite.result import SuiteResult, read_result
from fewshot_llm.files import atomic_write_text
from fewshot_llm.report.document import Document
from fewshot_llm.report.evaluation import evaluation_document
from fewshot_llm.report.render import to_html, to_markdown
from fewshot_llm.report.suite import suite_document

__all__ = ["HTML", "MARKDOWN", "document_of", "read_any_result", "write_report"]

HTML, MARKDOWN = "report.html", "report.md"


def read_any_result(path: Path) -> Evaluation | SuiteResult:
    """Read what `fewshot-llm evaluate --output FILE` or `fewshot-llm suite` wrote.

    Raises:
        DataFileError: there is no such file, or it is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataFileError(f"{path} is not JSON: {error}") from None
    if isinstance(document, dict) and "suite" in document:
        return read_result(path)
    return read_evaluation(path)


def document_of(result: Evaluation | SuiteResult, language: str | None = None, price: float | None = None) -> Document:
    """The report as blocks.

    Args:
        result: what was measured.
        language: `zh` or `en`; by default that of the prompts.
        price: of a million tokens, in any currency; a suite's report does not use it.
    """
    if isinstance(result, SuiteResult):
        return suite_document(result, language)
    return evaluation_document(result, language, price)


def write_report(document: Document, folder: Path) -> Path:
    """Write `report.html` and `report.md`, each whole or not at all.

    Args:
        document: the report.
        folder: made if it is not there.

    Returns:
        The page's path.

    Raises:
        DataFileError: the folder cannot be written, or the charts' packages are not installed.
    """
    page = to_html(document)
    atomic_write_text(folder / MARKDOWN, to_markdown(document))
    atomic_write_text(folder / HTML, page)
    return folder / HTML
