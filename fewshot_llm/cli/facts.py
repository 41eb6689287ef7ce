"""`fewshot-llm facts`: rows of fields become texts that the other commands read."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import refuse_output

__all__ = ["facts"]


def facts(
    support: options.Support,
    source: options.Input,
    output: options.Output,
    columns: Annotated[
        str, typer.Option("--columns", metavar="C,C,…", help="The columns to say, in order.", show_default=False)
    ],
    codes: Annotated[str, typer.Option("--codes", metavar="C,C,…", help="Those of them whose numbers are names.")] = "",
    bins: Annotated[
        int, typer.Option("--bins", metavar="N", min=2, max=5, help="Levels of a number, from very low to very high.")
    ] = 5,
    lang: Annotated[Literal["en", "zh"], typer.Option("--lang", help="Language of the texts.")] = "en",
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Say each row's fields as a text, numbers compared with the labelled rows.

    Adds a column `text` to the rows of --input; --support may be the same file. All other columns stay. The texts suit
    tasks such as purchase-intent.
    """
    refuse_output(output, (), overwrite=overwrite)
    from fewshot_llm.answered_rows import add_columns
    from fewshot_llm.cli.parts import Told, say, warn_unreadable
    from fewshot_llm.files import write_rows
    from fewshot_llm.tabular import Facts

    told = Told(None, None, delimiter, encoding)
    rows, known = told.rows(source), told.labelled(support)
    say(known.notes)
    said = Facts.fit(
        known,
        [name.strip() for name in columns.split(",")],
        language=lang,
        codes=[name.strip() for name in codes.split(",") if name.strip()],
        bins=bins,
    )
    texts = [{"text": None if at in rows.problems else said.say(row)} for at, row in enumerate(rows)]
    write_rows(output, add_columns(rows, texts, ("text",)), overwrite=overwrite)
    warn_unreadable(rows)
    typer.echo(f"{len(rows)} rows → {output}", err=True)
