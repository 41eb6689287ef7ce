"""Commands that look before, or behind, a label: `facts`, `check`, `render`, `explain` and `suggest`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli.command import Only, Without, command, flag
from fewshot_llm.cli.failure import rows_output
from fewshot_llm.cli.options import (
    CheckedFiles,
    ClassifierPrompt,
    FactOptions,
    Json,
    LabelledFile,
    ModelOptions,
    RedactionOptions,
    ResultFile,
    RowFiles,
    SavedModelOptions,
    SupportOrSaved,
    TaskName,
)

if TYPE_CHECKING:
    from rich.text import Text

    from fewshot_llm.explaining import Explanation, Passage
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.scoring.base import Scorer

__all__ = ["check", "explain", "facts", "render", "suggest"]

MOST_WORDS = 8
"""Words in the table of an explanation, by the size of their effect."""


@command()
def check(
    task: TaskName,
    files: CheckedFiles,
    report_language: Annotated[str, flag("--report-lang")] = "en",
    as_json: Json = False,
) -> None:
    """Examine labelled rows before they are used."""
    from fewshot_llm.cli.build import Told
    from fewshot_llm.data import doctor

    told = Told(files.reading)
    described, rows = told.support(task, files.support)
    measured = None if files.test is None else told.labelled_set(described, files.test)
    told.require_found()
    report = doctor(rows, described, measured)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(report.lines(report_language)))
    if not report.healthy:
        raise typer.Exit(1)


@command()
def render(
    task: TaskName,
    files: SupportOrSaved,
    prompt: Annotated[
        ClassifierPrompt, Only({"language", "shots", "selection", "seed", "template", "layout", "cut_long_text"})
    ],
    model: Annotated[SavedModelOptions, Without({"device", "dtype"})],
    text: str = "…",
    as_json: Json = False,
) -> None:
    """Print the exact prompt of one text."""
    from fewshot_llm.cli.build import Told, load_chosen, open_saved, take_selection, warn_of
    from fewshot_llm.data import Example
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.predictors.build import make_builder, make_language
    from fewshot_llm.predictors.prompted import DEFAULT_SHOTS, prompted_in
    from fewshot_llm.scoring.encoding import encode
    from fewshot_llm.scoring.tree_scorer import TreeScorer

    if files.support is None:
        described, classifier = open_saved(FewShotClassifier, task, replace(model, device="cpu"))
        asked = prompted_in(classifier.predictor_)
        if asked is None:
            raise typer.BadParameter(
                "no prompt is asked by what was saved there: other predictors answer. Give --support FILE to see the "
                "prompt that would be asked.",
                param_hint="--adapter",
            )
        inference = asked.inference
        loaded, builder, examples = _language_model(inference.scorer), inference.builder, inference.support
    else:
        told = Told(files.reading)
        described, examples = told.support(task, files.support)
        told.require_found()
        warn_of(examples.report.findings)
        language = make_language(prompt.language, described, examples)
        texts = (example.text for example in examples)
        loaded = load_chosen(replace(model, device="cpu", adapter=None), language, texts)
        builder = make_builder(
            described,
            language,
            TreeScorer(loaded),
            template=prompt.template,
            selection=None if prompt.selection is None else take_selection(prompt.selection, loaded),
            shots=DEFAULT_SHOTS if prompt.shots is None else prompt.shots,
            seed=prompt.seed,
            layout=prompt.layout,
            cut_long_text=prompt.cut_long_text,
        )
    built = builder.build(Example.of(text), examples)
    encoded = encode(loaded.tokenizer, [built])[0]
    answers = dict(zip(builder.labels, built.answers, strict=True))
    counts = [len(answer) for answer in encoded.answers]
    if as_json:
        known = {
            "prompt": built.text,
            "template": built.template,
            "model": loaded.name,
            "demonstrations": [row + 1 for row in built.demonstrations],
            "dropped": [row + 1 for row in built.dropped],
            "answers": answers,
            "tokens": len(encoded.context),
            "answer_tokens": counts,
            "context_length": loaded.context_length,
        }
        typer.echo(json.dumps(known, ensure_ascii=False, indent=2))
        return
    typer.echo(built.text)
    scored = ", ".join(f"{words} ({count})" for words, count in zip(built.answers, counts, strict=True))
    dropped = f", {len(built.dropped)} left out because they do not fit" if built.dropped else ""
    typer.echo(
        f"\n{len(encoded.context)} tokens of {loaded.context_length} with {loaded.name}, then the tokens of: {scored}. "
        f"Template {built.template}, {len(built.demonstrations)} demonstrations{dropped}.",
        err=True,
    )


def _language_model(scorer: Scorer) -> LanguageModel:
    """The model whose tokenizer counts; a server's is not here."""
    from fewshot_llm.scoring.base import local_model

    found = local_model(scorer)
    if found is None:
        raise typer.BadParameter("tokens are counted with a model on this machine, not a server", param_hint="--model")
    return found


@command()
def facts(
    files: Annotated[RowFiles, Only({"support", "input", "delimiter", "encoding"})],
    output: ResultFile,
    said: FactOptions,
) -> None:
    """Say rows of fields as texts that the other commands read."""
    form = rows_output(output)
    from fewshot_llm.cli.build import Told, say
    from fewshot_llm.cli.output import save_rows
    from fewshot_llm.data.tabular import TableVerbalizer
    from fewshot_llm.files import require_writable
    from fewshot_llm.labelling.files import add_columns

    told = Told(files.reading)
    rows, known = told.rows(files.input), told.labelled(files.support)
    say(known.notes)
    require_writable(output.output, rows)
    verbalizer = TableVerbalizer.fit(
        known,
        [name.strip() for name in said.columns.split(",")],
        language=said.language,
        codes=[name.strip() for name in said.codes.split(",") if name.strip()],
        bins=said.bins,
        decimal=said.decimal,
    ).settle([row for at, row in enumerate(rows) if at not in rows.problems])
    texts = [{"text": None if at in rows.problems else verbalizer.say(row)} for at, row in enumerate(rows)]
    save_rows(add_columns(rows, texts, ("text",)), rows, output, form, ("text",))
    typer.echo(f"{len(rows)} rows → {output.output}", err=True)


@command()
def explain(
    task: TaskName,
    text: str,
    files: LabelledFile,
    prompt: Annotated[ClassifierPrompt, Without({"defence"})],
    model: ModelOptions,
    as_json: Json = False,
) -> None:
    """Say which words and which demonstrations moved the decision about one text."""
    from fewshot_llm.cli.build import Told, make_classifier, warn_of
    from fewshot_llm.cli.output import row_progress, waiting

    told = Told(files.reading)
    described, examples = told.support(task, files.support)
    told.require_found()
    warn_of(examples.report.findings)
    classifier = make_classifier(described, examples, prompt, model)
    with waiting("Calibrating on the support set"):
        classifier.fit_support(examples)
    with row_progress("Taking away", unit="prompts") as progress:
        found = classifier.explain(text, progress=progress)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
        return
    _show(found)


def _show(found: Explanation) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from fewshot_llm.cli.output import console

    out = console()
    shares = ", ".join(f"{label} {share:.2f}" for label, share in found.probabilities.items())
    out.print(Text(f"{found.label} rather than {found.runner_up}: {found.log_odds:+.2f} nats ({shares})", style="bold"))
    for passage in found.passages:
        out.print(_highlighted(passage))
    words = [word for passage in found.passages for word in passage.words if word.effect]
    table = Table("words taken away", Column("effect", justify="right"))
    for word in sorted(words, key=lambda word: -abs(word.effect))[:MOST_WORDS]:
        table.add_row(Text(word.text), f"{word.effect:+.2f}")
    out.print(table)
    if found.demonstrations:
        table = Table(
            Column("row", justify="right"), "demonstration left out", "label", Column("effect", justify="right")
        )
        for shown in found.demonstrations:
            example = Text(" ".join(shown.text.split()))
            example.truncate(max(20, out.width - 40), overflow="ellipsis")
            table.add_row(str(shown.row + 1), example, Text(shown.label), f"{shown.effect:+.2f}")
        out.print(table)


def _highlighted(passage: Passage) -> Text:
    """The text on blue where it speaks for the label, on orange where against; paler where the effect is small."""
    from rich.text import Text

    pieces = passage.pieces()
    strongest = max((abs(piece.effect) for piece in pieces), default=0.0) or 1.0
    shown = Text()
    for piece in pieces:
        share = piece.effect / strongest
        strong = (37, 99, 235) if share > 0 else (234, 88, 12)
        red, green, blue = (round(255 + (part - 255) * abs(share)) for part in strong)
        ink = "white" if share > 0.5 else "black"
        shown.append(piece.text, style=f"{ink} on rgb({red},{green},{blue})" if share else "")
    return shown


@command()
def suggest(
    task: TaskName,
    files: RowFiles,
    output: ResultFile,
    prompt: Annotated[ClassifierPrompt, Without({"defence"})],
    redaction: RedactionOptions,
    model: ModelOptions,
    count: Annotated[int, flag("-n", "--rows", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Find the rows most worth labelling next."""
    form = rows_output(output, files.input, files.support)
    from fewshot_llm.cli.build import Told, make_classifier, make_redactor, warn_of, warn_unreadable
    from fewshot_llm.cli.failure import say_columns
    from fewshot_llm.cli.output import row_progress, waiting
    from fewshot_llm.data import queries
    from fewshot_llm.data.columns import LABEL_WORDS, resolve_columns
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling import ADDED_COLUMNS, suggest as choose_rows

    told = Told(files.reading)
    described, examples = told.support(task, files.support)
    warn_of(examples.report.findings)
    rows, columns = told.unlabelled(described, files.input)
    told.require_found()
    redactor = make_redactor(redaction)
    if redactor is not None:
        rows.change(redactor.row)
    require_writable(output.output, rows)
    usable = [{} if position in rows.problems else row for position, row in enumerate(rows)]
    pool = queries([dict.fromkeys(columns.values()) | row for row in usable], described, columns) if rows else []
    classifier = make_classifier(described, examples, prompt, model)
    with waiting("Calibrating on the support set"):
        classifier.fit_support(examples)
    with row_progress("Looking at") as progress:
        found = choose_rows(classifier, pool, count, progress=progress)
    names = columns_of(told.labelled(files.support))
    where = resolve_columns(names, described, told.columns(described, names))
    suggested = found.rows(where)
    written = result_names([where.names[field] for field in where.names if field != LABEL_WORDS], ADDED_COLUMNS)
    say_columns(written)
    write_rows(output.output, suggested, output.overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
    guessed = {label: sum(one.guess == label for one in found.chosen) for label in classifier.labels_}
    guesses = {label: times for label, times in guessed.items() if times}
    summary = {
        "rows": len(rows),
        "suggested": len(found.chosen),
        "guesses": guesses,
        "without_text": found.without_text,
        "repeated": found.repeated,
        "output": str(output.output),
    }
    to_stderr = str(output.output) == "-"
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False), err=to_stderr)
        return
    shared = ", ".join(f"{label} {times}" for label, times in guesses.items()) or "none"
    typer.echo(
        f"{len(found.chosen)} of {len(rows)} rows are worth labelling first (guesses: {shared}) → {output.output}",
        err=to_stderr,
    )
    left_out = [(found.repeated, "repeat a text or are labelled already"), (found.without_text, "have no text")]
    for number, why in left_out:
        if number:
            typer.echo(f"{number} rows {why}.", err=to_stderr)
