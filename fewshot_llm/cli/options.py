"""The options of all commands, in groups that commands share: typed fields and their defaults, nothing else.

What people read about an option is in `help.toml`, and how a field becomes an option in `command`. Where an estimator
has the same setting, the field has its name and its default, so that a group is handed on as keywords.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from fewshot_llm.cli.command import Without, argument, flag
from fewshot_llm.export.servers import Storage, Target

__all__ = [
    "AttackOptions",
    "BatchFiles",
    "BundleOptions",
    "CalibrationName",
    "CheckedFiles",
    "ClassifierPrompt",
    "ClassifyFiles",
    "ClassifyResult",
    "EscalationOptions",
    "EvaluationFiles",
    "EvaluationOptions",
    "FactOptions",
    "Json",
    "LabelledFile",
    "LadderOptions",
    "MeasuredFiles",
    "ModelOptions",
    "ModelResult",
    "NumberOptions",
    "PageOptions",
    "PolicyOptions",
    "PromptOptions",
    "PromptWithShots",
    "RankerPrompt",
    "RankingPromptName",
    "ReadingOptions",
    "RedactionOptions",
    "RegressorPrompt",
    "ReplyOptions",
    "ReportOptions",
    "ResultFile",
    "ResultJson",
    "RowFiles",
    "SavedModelOptions",
    "SavedRowFiles",
    "SelectionName",
    "ServerOptions",
    "ShardFolder",
    "ShardOptions",
    "SuiteCells",
    "SuiteFolder",
    "SupportOrSaved",
    "TaskName",
    "TrustOptions",
]

SelectionName: TypeAlias = Literal["balanced", "random", "nearest", "nearest-hidden", "diverse"]
CalibrationName: TypeAlias = Literal["out-of-fold", "contextual", "batch", "none"]
RankingPromptName: TypeAlias = Literal["pmi", "title", "yes-no", "letter"]


def _there_or_dash(path: Path) -> Path:
    if str(path) != "-" and not path.is_file():
        raise typer.BadParameter(f"{path} is not a file.")
    return path


ThereIs: TypeAlias = Annotated[Path, flag(exists=True, dir_okay=False)]
ThereMayBe: TypeAlias = Annotated[Path | None, flag(exists=True, dir_okay=False)]
NewFolder: TypeAlias = Annotated[Path, flag(file_okay=False)]
MayCount: TypeAlias = Annotated[int | None, flag(min=1)]
Count: TypeAlias = Annotated[int, flag(min=1)]

TaskName: TypeAlias = Annotated[str, argument()]
Json: TypeAlias = Annotated[bool, flag("--json")]


# What is read.


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How files of rows are read."""

    merge_labels: bool = False
    text_column: list[str] | None = None
    label_column: list[str] | None = None
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """The few labelled rows."""

    support: ThereIs
    reading: ReadingOptions


@dataclass(frozen=True, kw_only=True)
class RowFiles(LabelledFile):
    """Labelled rows and rows to label."""

    input: Annotated[Path, flag(allow_dash=True, callback=_there_or_dash)]


@dataclass(frozen=True, kw_only=True)
class MeasuredFiles(LabelledFile):
    """Labelled rows and rows to measure on."""

    test: ThereIs


@dataclass(frozen=True, kw_only=True)
class CheckedFiles(LabelledFile):
    """Labelled rows and, maybe, rows to measure on."""

    test: ThereMayBe = None


@dataclass(frozen=True, kw_only=True)
class SupportOrSaved:
    """The few labelled rows; none where a folder that was saved (`--adapter`) records them."""

    support: Annotated[Path | None, flag(key="support-or-adapter", exists=True, dir_okay=False)] = None
    reading: ReadingOptions


@dataclass(frozen=True, kw_only=True)
class SavedRowFiles(SupportOrSaved):
    """As `RowFiles`, where a folder that was saved may stand for the labelled rows."""

    input: Annotated[Path, flag(allow_dash=True, callback=_there_or_dash)]


@dataclass(frozen=True, kw_only=True)
class ClassifyFiles(SavedRowFiles):
    """As `SavedRowFiles`, where a file of labels may stand for the labelled rows, or beside them."""

    labels: ThereMayBe = None


@dataclass(frozen=True, kw_only=True)
class EvaluationFiles(SupportOrSaved):
    """Rows to measure on, what is measured, and the columns that a plain model may learn from."""

    test: ThereIs
    table: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchFiles(SupportOrSaved):
    """Rows to label in any number of files."""

    input: list[str]
    labels: ThereMayBe = None


# What is asked, and how.


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """What every estimator asks with."""

    language: Annotated[str, flag("--lang")] = "auto"
    seed: int = 0
    template: Annotated[int | None, flag("--template-version", min=1)] = None
    layout: Literal["auto", "plain", "chat"] = "auto"


@dataclass(frozen=True, kw_only=True)
class PromptWithShots(PromptOptions):
    """What an estimator asks with that shows demonstrations, whatever they are worth."""

    shots: Annotated[int, flag(min=0)] = 4


@dataclass(frozen=True, kw_only=True)
class ClassifierPrompt(PromptOptions):
    """What a classifier answers with; what is said of the prompt is asked as it is, and no ladder is climbed."""

    only: str | None = None
    prefer: Literal["accuracy", "cost"] = "accuracy"
    encoder: str = "auto"
    shots: Annotated[int | None, flag(min=0)] = None
    selection: SelectionName | None = None
    calibration: CalibrationName | None = None
    normalisation: Literal["sum", "mean", "pmi"] = "sum"
    permutations: Count = 1
    cut_long_text: bool = False
    defence: Literal["none", "standard"] = "none"


@dataclass(frozen=True, kw_only=True)
class RegressorPrompt(PromptWithShots):
    """What a regressor asks with."""

    shots: Annotated[int, flag(min=0)] = 2
    permutations: Count = 1
    cut_long_text: bool = False


@dataclass(frozen=True, kw_only=True)
class RankerPrompt(PromptWithShots):
    """What a ranker asks with."""

    prompt: Annotated[RankingPromptName, flag("--way")] = "pmi"


@dataclass(frozen=True, kw_only=True)
class NumberOptions:
    """What is asked of predicted numbers."""

    decimal: Literal[".", ","] | None = None
    grid: str | None = None
    level: float = 0.9
    target_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class ReplyOptions:
    """Which replies there are, and when one is given."""

    answers: ThereIs
    min_confidence: Annotated[float, flag(min=0.0, max=1.0)] = 0.7
    by_level: bool = False


@dataclass(frozen=True, kw_only=True)
class FactOptions:
    """Which columns are said as a text, and how."""

    columns: str
    codes: str = ""
    decimal: Literal[".", ","] | None = None
    bins: Annotated[int, flag(min=2, max=5)] = 5
    language: Annotated[Literal["en", "zh"], flag("--lang")] = "en"


# What answers, and what becomes of answers.


@dataclass(frozen=True, kw_only=True)
class TrustOptions:
    """What is allowed that is refused otherwise."""

    allow_download: bool = False
    allow_scripts: bool = False
    insecure: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model answers, and how it runs.

    `model` may be a server's address; `adapter` is then the folder that names the tokenizer's model.
    """

    model: str = "auto"
    adapter: Annotated[Path | None, flag(exists=True, file_okay=False)] = None
    device: str | None = None
    dtype: str | None = None
    threads: MayCount = None
    trust: Annotated[TrustOptions, Without({"allow_scripts"})] = TrustOptions()


@dataclass(frozen=True, kw_only=True)
class SavedModelOptions(ModelOptions):
    """As `ModelOptions`, where the adapter's folder may stand for the labelled rows."""

    adapter: Annotated[Path | None, flag(key="adapter-or-saved", exists=True, file_okay=False)] = None


@dataclass(frozen=True, kw_only=True)
class EscalationOptions:
    """How far evidence may go, and in which number format the model runs."""

    escalate: bool = False
    target: float = 0.9
    precision: Literal["bfloat16", "float16"] | None = None


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Which answers are kept back, and what errors cost."""

    max_error: float | None = None
    confidence: float = 0.9
    calibration_rows: ThereMayBe = None
    costs: ThereMayBe = None
    out_of_scope: float | None = None


@dataclass(frozen=True, kw_only=True)
class RedactionOptions:
    """Which personal data is taken out of what is read."""

    redact: bool = False
    regions: str | None = None
    redact_orders: bool = False


# Where results go.


@dataclass(frozen=True, kw_only=True)
class ResultFile:
    """A file of rows."""

    output: Annotated[Path, flag(allow_dash=True)]
    overwrite: bool = False
    excel: bool = False
    semicolon: bool = False


@dataclass(frozen=True, kw_only=True)
class ClassifyResult(ResultFile):
    """A file of labelled rows, and what is said of it."""

    as_json: Json = False
    profile: bool = False
    top_k: MayCount = None


@dataclass(frozen=True, kw_only=True)
class ResultJson:
    """A result as JSON."""

    output: Annotated[Path | None, flag(allow_dash=True)] = None
    overwrite: bool = False
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """A result as a page."""

    report: Annotated[Path | None, flag(file_okay=False)] = None
    report_lang: Annotated[Literal["zh", "en"] | None, flag("--report-lang", "--language")] = None
    target: float = 0.9
    price: Annotated[float | None, flag("--price-per-million-tokens", min=0)] = None


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """The folder that tuning writes."""

    out: NewFolder
    overwrite: bool = False
    as_json: Json = False


# Options of one command or two.


@dataclass(frozen=True, kw_only=True)
class ShardFolder:
    """The folder of a batch job."""

    output: Annotated[Path | None, flag(file_okay=False)] = None
    form: Annotated[Literal["parquet", "jsonl"], flag("--format")] = "parquet"
    rows_per_shard: Count = 1000
    prometheus: Annotated[Path | None, flag(dir_okay=False)] = None
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class ShardOptions:
    """How a batch job runs."""

    resume: bool = False
    limit: MayCount = None
    dry_run: bool = False
    price: Annotated[float | None, flag("--price-per-million-tokens", min=0.0)] = None
    tolerate: Annotated[int, flag(min=0)] = 0
    long_text: Literal["error", "truncate-middle", "chunk"] = "error"
    cache: Annotated[Path | None, flag(dir_okay=False)] = None
    engine: Literal["local", "ray"] = "local"
    workers: Count = 1
    ray_address: str | None = None
    gpus_per_worker: Annotated[float, flag(min=0.0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Which classifiers are measured, and what is kept of it."""

    shots: str = "0,4"
    seeds: str = "0,1,2"
    rows_per_class: MayCount = None
    without_texts: bool = False


@dataclass(frozen=True, kw_only=True)
class AttackOptions:
    """Which attacks, on how many rows."""

    rows: Annotated[int, flag(min=2)] = 60
    half: Literal["both", "development", "held-out"] = "both"
    version: Annotated[int, flag("--attacks", min=1)] = 1
    add_to: ThereMayBe = None


@dataclass(frozen=True, kw_only=True)
class SuiteCells:
    """Which part of a suite is measured now."""

    only: list[str] | None = None
    model: list[str] | None = None
    shots: str | None = None
    seeds: str | None = None


@dataclass(frozen=True, kw_only=True)
class SuiteFolder:
    """Where a suite's cells go, and what they are compared with."""

    out: NewFolder
    overwrite: bool = False
    baseline: ThereMayBe = None
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class LadderOptions:
    """How far a ladder is climbed; the fields are the ladder's."""

    target: float = 0.9
    recipe: str | None = None
    budget_minutes: float | None = None
    prefer: Literal["accuracy", "cost"] = "accuracy"


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Where a page is served."""

    host: str = "127.0.0.1"
    port: Annotated[int, flag(min=0, max=65535)] = 7860
    token: Annotated[str | None, flag(envvar="FEWSHOT_PLAY_TOKEN")] = None
    tuned: NewFolder = Path("tuned")


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What an adapter is exported to."""

    to: Target
    out: NewFolder
    overwrite: bool = False
    gguf_type: Storage = Storage.F32
    allow_base_mismatch: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How a server is compared."""

    server: str | None = None
    quantised: bool = False
