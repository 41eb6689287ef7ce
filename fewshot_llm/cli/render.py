"""`fewshot-llm render`: the exact prompt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli import options, saved

if TYPE_CHECKING:
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.scoring.base import Scorer

__all__ = ["render"]


def render(
    task: options.Task,
    support: saved.SupportFile = None,
    text: Annotated[
        str,
        typer.Option("--text", metavar="T", help="The text to label.", rich_help_panel=options.DATA),
    ] = "…",
    as_json: options.Json = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    lang: options.Lang = "auto",
    shots: options.Shots = 4,
    seed: options.Seed = 0,
    selection: options.Select = "balanced",
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    cut_long_text: options.CutLongText = False,
    model: options.Model = "auto",
    adapter: saved.AdapterFolder = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    threads: options.Threads = None,
) -> None:
    """Print the exact prompt of one text, and how many tokens it has.

    The prompt goes to standard output, everything about it to standard error. It is what `classify` scores with the
    same options: the demonstrations are chosen, and control tokens of the model inside a text broken, in the same way.
    """
    from fewshot_llm.cli.parts import ModelOptions, Told, take_selection, warn_of
    from fewshot_llm.data import Example
    from fewshot_llm.predictors.build import make_builder, make_language
    from fewshot_llm.scoring.encoding import encode
    from fewshot_llm.scoring.tree_scorer import TreeScorer

    chosen = ModelOptions(model, device="cpu", threads=threads, allow_download=allow_download, insecure=insecure)
    if support is None:
        described, classifier = saved.open_saved(task, adapter, chosen)
        inference = classifier.predictor_.inference
        loaded, builder, examples = _language_model(inference.scorer), inference.builder, inference.support
    else:
        told = Told(text_column, label_column, delimiter, encoding, merge_labels)
        described, examples = told.support(task, support)
        told.require_found()
        warn_of(examples.report.findings)
        language = make_language(lang, described, examples)
        loaded = chosen.load(language, (example.text for example in examples))
        builder = make_builder(
            described,
            language,
            TreeScorer(loaded),
            template=template_version,
            selection=take_selection(selection, loaded),
            shots=shots,
            seed=seed,
            layout=layout,
            cut_long_text=cut_long_text,
        )
    prompt = builder.build(Example.of(text), examples)
    encoded = encode(loaded.tokenizer, [prompt])[0]
    answers = dict(zip(builder.labels, prompt.answers, strict=True))
    counts = [len(answer) for answer in encoded.answers]
    if as_json:
        facts = {
            "prompt": prompt.text,
            "template": prompt.template,
            "model": loaded.name,
            "demonstrations": [row + 1 for row in prompt.demonstrations],
            "dropped": [row + 1 for row in prompt.dropped],
            "answers": answers,
            "tokens": len(encoded.context),
            "answer_tokens": counts,
            "context_length": loaded.context_length,
        }
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    typer.echo(prompt.text)
    scored = ", ".join(f"{words} ({count})" for words, count in zip(prompt.answers, counts, strict=True))
    dropped = f", {len(prompt.dropped)} left out because they do not fit" if prompt.dropped else ""
    typer.echo(
        f"\n{len(encoded.context)} tokens of {loaded.context_length} with {loaded.name}, then the tokens of: {scored}. "
        f"Template {prompt.template}, {len(prompt.demonstrations)} demonstrations{dropped}.",
        err=True,
    )


def _language_model(scorer: Scorer) -> LanguageModel:
    """The model whose tokenizer counts; a server's is not here."""
    from fewshot_llm.scoring.base import local_model

    found = local_model(scorer)
    if found is None:
        raise typer.BadParameter("tokens are counted with a model on this machine, not a server", param_hint="--model")
    return found
