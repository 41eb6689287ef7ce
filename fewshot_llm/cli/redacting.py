"""Options of the commands that can take personal data out of what they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from fewshot_llm.data.redaction import Redactor

__all__ = ["Redact", "RedactOrders", "Regions", "make_redactor"]

PERSONAL_DATA = "Personal data"

Redact: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--redact",
        help="Replace phone numbers, e-mail, ID, card and account numbers, chat ids, addresses and announced names by "
        "placeholders, before anything else is done with a row.",
        rich_help_panel=PERSONAL_DATA,
    ),
]
Regions: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--regions",
        metavar="CODES",
        help="With --redact, countries whose way of writing phone numbers is understood, such as CN,US,IN. "
        "[default: CN,US,GB,HK,TW,DE,FR]",
        rich_help_panel=PERSONAL_DATA,
        show_default=False,
    ),
]
RedactOrders: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--redact-orders",
        help="Like --redact, and order and tracking numbers too.",
        rich_help_panel=PERSONAL_DATA,
    ),
]


def make_redactor(*, redact: bool, regions: str | None, orders: bool) -> Redactor | None:
    """What the options ask for; `None` where no redaction is asked for."""
    if not (redact or orders):
        if regions is not None:
            raise typer.BadParameter("say --redact as well", param_hint="--regions")
        return None
    from fewshot_llm.data.redaction import DEFAULT_REGIONS, PERSONAL, Kind, Redactor

    chosen = DEFAULT_REGIONS
    if regions is not None:
        chosen = tuple(code.strip().upper() for code in regions.split(",") if code.strip())
    return Redactor(kinds=PERSONAL | {Kind.ORDER} if orders else PERSONAL, regions=chosen)
