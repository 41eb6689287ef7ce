"""Options of the commands that write a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from fewshot_llm.cli.options import RESULT

__all__ = ["OtherTarget", "Price", "ReportFolder", "ReportLanguage", "Target"]

ReportFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        file_okay=False,
        help="Write report.html and report.md there; what is there is replaced.",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
ReportLanguage: TypeAlias = Annotated[
    Literal["zh", "en"] | None,
    typer.Option(
        "--report-lang",
        "--language",
        help="Language of the report. [default: that of the prompts]",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
Target: TypeAlias = Annotated[
    float,
    typer.Option(
        "--target",
        metavar="A",
        help="The accuracy that is good enough, in (0, 1]; the report compares with it.",
        rich_help_panel=RESULT,
    ),
]
OtherTarget: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--target",
        metavar="A",
        help="Another accuracy that is good enough than the result's.",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
Price: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--price-per-million-tokens",
        metavar="P",
        min=0,
        help="For the price of 1,000 rows, in any currency.",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
