"""`fewshot-llm facts`: rows of fields become texts that the other commands read."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import rows_output, say_columns

__all__ = ["facts"]


def facts(
    support: options.Support,
    source: options.Input,
    output: options.Output,
    columns: Annotated[
        str, typer.Option("--columns", metavar="C,C,…", help="The columns to say, in order.", show_default=False)
    ],
    codes: Annotated[str, typer.Option("--codes", metavar="C,C,…", help="Those of them whose numbers are names.")] = "",
    decimal: options.Decimal = None,
    bins: Annotated[
        int, typer.Option("--bins", metavar="N", min=2, max=5, help="Levels of a number, from very low to very high.")
    ] = 5,
    lang: Annotated[Literal["en", "zh"], typer.Option("--lang", help="Language of the texts.")] = "en",
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
) -> None:
    """Say each row's fields as a text, numbers compared with the labelled rows.

    Adds a column `text` to the rows of --input; --support may be the same file. All other columns stay. Numbers may be
    written `1,299.50`, `1.299,50` or `1 299,50`: each column tells which, or is refused where it can be read both ways.
    The texts suit tasks such as purchase-intent.
    """
    form = rows_output(output, (), overwrite=overwrite, excel=excel, semicolon=semicolon)
    from fewshot_llm.cli.parts import Told, say, warn_unreadable
    from fewshot_llm.data.tabular import TableVerbalizer
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling.files import add_columns

    told = Told(None, None, delimiter, encoding)
    rows, known = told.rows(source), told.labelled(support)
    say(known.notes)
    require_writable(output, rows)
    written = result_names(columns_of(rows), ("text",))
    said = TableVerbalizer.fit(
        known,
        [name.strip() for name in columns.split(",")],
        language=lang,
        codes=[name.strip() for name in codes.split(",") if name.strip()],
        bins=bins,
        decimal=decimal,
    ).settle([row for at, row in enumerate(rows) if at not in rows.problems])
    texts = [{"text": None if at in rows.problems else said.say(row)} for at, row in enumerate(rows)]
    say_columns(written)
    write_rows(output, add_columns(rows, texts, ("text",)), overwrite, excel=form)
    warn_unreadable(rows)
    typer.echo(f"{len(rows)} rows → {output}", err=True)
