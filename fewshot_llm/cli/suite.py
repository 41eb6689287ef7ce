"""`fewshot-llm suite`: measure a whole table, cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot_llm.cli import options, report_options

if TYPE_CHECKING:
    from fewshot_llm.errors import FewshotError
    from fewshot_llm.evaluation.suite.file import SuiteData
    from fewshot_llm.evaluation.suite.result import Cell, CellResult
    from fewshot_llm.evaluation.suite.run import SuiteCallbacks

__all__ = ["suite"]

RESULT = "result.json"


def _now(flag: str, metavar: str, what: str) -> Any:
    """An option that leaves some cells for later."""
    return typer.Option(
        flag, metavar=metavar, help=f"Measure only {what} now.", rich_help_panel=options.DATA, show_default=False
    )


def suite(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SUITE", help="A suite of eval/suites by name, or the path of a .toml file.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            help="Where cells and result.json go; an interrupted run goes on there.",
            rich_help_panel=options.RESULT,
            show_default=False,
        ),
    ],
    only: Annotated[list[str] | None, _now("--only", "METHOD", "this method (may be repeated)")] = None,
    model: Annotated[list[str] | None, _now("--model", "MODEL", "this model of the suite (may be repeated)")] = None,
    shots: Annotated[str | None, _now("--shots", "K,…", "with so many labelled rows of each class")] = None,
    seeds: Annotated[str | None, _now("--seeds", "S,…", "the support sets of these seeds")] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Measure again what an earlier run finished.", rich_help_panel=options.RESULT),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="An earlier result; exit with 1 where it is missed by more than the interval of the difference.",
            rich_help_panel=options.RESULT,
            show_default=False,
        ),
    ] = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    allow_scripts: options.AllowScripts = False,
    report: report_options.ReportFolder = None,
    report_lang: report_options.ReportLanguage = None,
    as_json: options.Json = False,
) -> None:
    """Measure data × models × shots × seeds × methods, and other people's ways of doing the same beside them.

    Every finished cell is kept. The same command on another core, card or machine shares the work, if `--out` is the
    same folder. Files of the data sets are looked for below `FEWSHOT_DATA` (by default `../shared/data`).
    """
    from fewshot_llm.cli.parts import numbers
    from fewshot_llm.evaluation.compare import regressions
    from fewshot_llm.evaluation.suite.file import load_suite
    from fewshot_llm.evaluation.suite.result import SuitePart, read_result, write_result
    from fewshot_llm.evaluation.suite.run import run_suite
    from fewshot_llm.report.render import document_of, write_report

    part = SuitePart(
        methods=only,
        models=model,
        shots=None if shots is None else numbers(shots, "--shots"),
        seeds=None if seeds is None else numbers(seeds, "--seeds"),
    )
    described = load_suite(name)
    earlier = None if baseline is None else read_result(baseline)
    result = run_suite(
        described,
        out,
        part=part,
        overwrite=overwrite,
        watch=_watch(),
        allow_download=allow_download,
        allow_scripts=allow_scripts,
        insecure=insecure,
    )
    write_result(result, out / RESULT)
    page = None if report is None else write_report(document_of(result, report_lang), report)
    missed = [] if earlier is None else regressions(earlier, result)
    if as_json:
        typer.echo(result.model_dump_json(exclude={"cells", "targets"}))
    else:
        from fewshot_llm.cli.suite_tables import show_suite

        show_suite(result)
        typer.echo(f"→ {out / RESULT}")
        if page is not None:
            typer.echo(f"→ {page}")
    for line in missed:
        _say(f"Baseline missed. {line}")
    if missed or result.failures:
        raise typer.Exit(1)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _watch() -> SuiteCallbacks:
    """Progress as plain lines on standard error: a suite takes hours, and its log is worth keeping."""
    from fewshot_llm.evaluation.suite.run import SuiteCallbacks

    def begins(cell: Cell, done: int, total: int) -> None:
        _say(f"[{done + 1}/{total}] {cell} …")

    def done(result: CellResult, data: SuiteData) -> None:
        share = (result.predictions == data.targets).mean()
        rung = f", kept {result.facts['rung']}" if "rung" in result.facts else ""
        _say(
            f"{result.cell}: accuracy {share:.3f}{rung}, {result.fit_seconds:.0f} s to learn, "
            f"{result.predict_seconds:.0f} s to answer"
        )

    def failed(cell: Cell, error: FewshotError) -> None:
        _say(f"{cell}: not measured. {error}")

    def elsewhere(cell: Cell) -> None:
        _say(f"{cell}: another run is at it.")

    return SuiteCallbacks(begins=begins, done=done, failed=failed, elsewhere=elsewhere)
