"""Options that commands share, each defined once so that it reads and behaves the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

__all__ = [
    "DATA",
    "MODEL",
    "PROMPT",
    "RESULT",
    "Adapter",
    "AllowDownload",
    "AllowScripts",
    "Calibrate",
    "CalibrationName",
    "CutLongText",
    "Decimal",
    "Defence",
    "Delimiter",
    "Device",
    "Dtype",
    "Encoding",
    "Excel",
    "Input",
    "Insecure",
    "Json",
    "LabelColumn",
    "Lang",
    "Layout",
    "MergeLabels",
    "Model",
    "Normalisation",
    "Output",
    "Overwrite",
    "Permutations",
    "Profiled",
    "RankingTask",
    "RegressionTask",
    "Seed",
    "Select",
    "SelectionName",
    "Semicolon",
    "Shots",
    "Support",
    "TaggingTask",
    "Task",
    "TemplateVersion",
    "Test",
    "TextColumn",
    "Threads",
    "Way",
    "WayName",
]

DATA = "Data"
PROMPT = "Prompt"
MODEL = "Model"
RESULT = "Result"


def _task(built_in: str) -> Any:
    text = f"A built-in task ({built_in}) or a folder that holds a task.toml."
    return typer.Argument(metavar="TASK", help=text, show_default=False)


Task: TypeAlias = Annotated[str, _task("review-sentiment, customer-intent")]
RegressionTask: TypeAlias = Annotated[str, _task("review-rating, price-from-title")]
TaggingTask: TypeAlias = Annotated[str, _task("review-aspects")]
RankingTask: TypeAlias = Annotated[
    str,
    typer.Option(
        "--task", metavar="TASK", help="A built-in ranking task (next-product), or a folder that holds a task.toml."
    ),
]

Support: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--support",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The few labelled rows: JSONL, JSON, CSV, TSV, Excel or Parquet by ending.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Test: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--test",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Labelled rows that are only measured on, never learned from.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]


def _there_or_dash(path: Path) -> Path:
    if str(path) != "-" and not path.is_file():
        raise typer.BadParameter(f"{path} is not a file.")
    return path


Input: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--input",
        metavar="FILE",
        allow_dash=True,
        callback=_there_or_dash,
        help="The rows to label: JSONL, JSON, CSV, TSV, Excel or Parquet by ending, text also .gz or .zst; - is JSONL "
        "on standard input.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Output: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--output",
        metavar="FILE",
        allow_dash=True,
        help="Where the labelled rows go: JSONL, JSON, CSV or TSV (also .gz, .zst), Parquet or XLSX by ending; - is "
        "JSONL on standard output.",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace --output if it exists.", rich_help_panel=RESULT)
]
Excel: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--excel",
        help="Write CSV for a person's spreadsheet: it opens with the right letters, probabilities have four digits, "
        "each label a column, and long ids stay whole. A .xlsx file is always so.",
        rich_help_panel=RESULT,
    ),
]
Semicolon: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--semicolon",
        help="As --excel, for an Excel that writes 2,5: with ; between cells and a decimal comma.",
        rich_help_panel=RESULT,
    ),
]
Decimal: TypeAlias = Annotated[
    Literal[".", ","] | None,
    typer.Option(
        "--decimal",
        metavar="MARK",
        help="What stands before the decimals of numbers, . or a comma. [default: each column tells]",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Profiled: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--profile",
        help="Say how many tokens were asked for and computed, and what share of the machine's peak was reached.",
        rich_help_panel=RESULT,
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON for machines instead of tables.", rich_help_panel=RESULT)
]
TextColumn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--text-column",
        metavar="C",
        help="The column that holds the text, in the files that have it; given twice where files name it differently. "
        "[default: by its name]",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Delimiter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="D",
        help="Between the cells of CSV and TSV files: one character, or tab. [default: found by content]",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Encoding: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Of text files, for example gb18030, big5, shift_jis or cp1252. [default: found by content]",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
LabelColumn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="C",
        help="The column that holds the label, in the labelled files that have it. [default: by its name]",
        rich_help_panel=DATA,
        show_default=False,
    ),
]

MergeLabels: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--merge-labels",
        help="Labels that differ only in case, underscores, hyphens or white space (cancel_order, Cancel order) become "
        "the most frequent of them.",
        rich_help_panel=DATA,
    ),
]

Shots: TypeAlias = Annotated[
    int,
    typer.Option(
        "--shots",
        metavar="K",
        min=0,
        help="Demonstrations: per class, or in all where they are chosen by the text; 0 shows none.",
        rich_help_panel=PROMPT,
    ),
]
Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", metavar="S", help="Fixes every random choice.", rich_help_panel=PROMPT)
]
Lang: TypeAlias = Annotated[
    str,
    typer.Option(
        "--lang",
        metavar="L",
        help="Language of the prompt (zh, en); auto looks at the texts.",
        rich_help_panel=PROMPT,
    ),
]
TemplateVersion: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--template-version",
        metavar="N",
        min=1,
        help="Version of the prompt template. [default: the newest]",
        rich_help_panel=PROMPT,
        show_default=False,
    ),
]
SelectionName: TypeAlias = Literal["balanced", "random", "nearest", "nearest-hidden", "diverse"]
Select: TypeAlias = Annotated[
    SelectionName,
    typer.Option(
        "--selection",
        help="How demonstrations are chosen: class by class, at random, most like the text by words "
        "or by the model's hidden state, or varied.",
        rich_help_panel=PROMPT,
    ),
]
Permutations: TypeAlias = Annotated[
    int,
    typer.Option(
        "--permutations",
        metavar="N",
        min=1,
        help="Average over N draws of the demonstrations; time grows N-fold.",
        rich_help_panel=PROMPT,
    ),
]
Normalisation: TypeAlias = Annotated[
    Literal["sum", "mean", "pmi"],
    typer.Option(
        "--normalisation",
        help="A label's score: the sum over its tokens, the mean, or what the text adds (pmi).",
        rich_help_panel=PROMPT,
    ),
]
CalibrationName: TypeAlias = Literal["out-of-fold", "contextual", "batch", "none"]
Calibrate: TypeAlias = Annotated[
    CalibrationName,
    typer.Option(
        "--calibration",
        help="How scores become probabilities: fitted out of fold on the support set, from neutral "
        "texts, from the rows to label, or not at all.",
        rich_help_panel=PROMPT,
    ),
]
CutLongText: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--cut-long-text",
        help="Cut the middle out of a text that does not fit the model's context, instead of refusing it.",
        rich_help_panel=PROMPT,
    ),
]
Defence: TypeAlias = Annotated[
    Literal["none", "standard"],
    typer.Option(
        "--defence",
        help="Against texts that talk to the labeller: standard removes hidden characters and injected pieces.",
        rich_help_panel=PROMPT,
    ),
]
Layout: TypeAlias = Annotated[
    Literal["auto", "plain", "chat"],
    typer.Option(
        "--layout",
        help="One running text, or the turns of the model's own chat template; auto is plain.",
        rich_help_panel=PROMPT,
    ),
]

Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="M",
        help="An embedded model (see `fewshot-llm models list`), a folder or a Hugging Face id; auto chooses "
        "by language.",
        rich_help_panel=MODEL,
    ),
]
Adapter: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--adapter",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="LoRA weights to put on the model.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
AllowDownload: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-download",
        help="Fetch a model that a folder or file names, where it is not in the cache; a typed --model needs no leave.",
        rich_help_panel=MODEL,
    ),
]
AllowScripts: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-scripts",
        help="Run scripts that lie in the folder: a suite's peers, or a bundle's serve.sh that was changed.",
        rich_help_panel=MODEL,
    ),
]
Insecure: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Send FEWSHOT_API_KEY to another machine over http:// too, where it can be read on the way.",
        rich_help_panel=MODEL,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="D",
        help="cpu, cuda, cuda:1 or mps. [default: the fastest present]",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Dtype: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="T",
        help="float32, bfloat16 or float16. [default: float32 on a CPU, bfloat16 on a GPU]",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="CPU threads. [default: one per core]",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
WayName: TypeAlias = Literal["pmi", "title", "yes-no", "letter"]
Way: TypeAlias = Annotated[
    WayName,
    typer.Option(
        "--way",
        help="How the model is asked about a candidate: what the history adds to its title, its title alone, yes or "
        "no, or its letter in a list.",
        rich_help_panel=PROMPT,
    ),
]
