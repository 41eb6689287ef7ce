"""`ExportSource`: an adapter folder with all that an export needs of it: the record, the base model, the prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fewshot_llm.artifacts.parts import restore_selection
from fewshot_llm.artifacts.record import (
    SUPPORT,
    TEMPLATE,
    ClassificationRecord,
    ClassifierRecord,
    HeadRecord,
    MixtureRecord,
    PromptMember,
    read_record,
)
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.errors import AdapterError, ExportError
from fewshot_llm.export import words as w
from fewshot_llm.export.adapter import BaseModel, LoraAdapter, read_adapter, read_base
from fewshot_llm.export.lint import refuse_broken
from fewshot_llm.files import read_rows
from fewshot_llm.models.cache import require_whole_weights
from fewshot_llm.models.load import LanguageModel, load_model
from fewshot_llm.predictors.build import make_builder
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.template import Template
from fewshot_llm.scoring.tree_scorer import TreeScorer
from fewshot_llm.types import Text, listed

__all__ = ["ExportSource", "read_source"]


@dataclass(frozen=True)
class ExportSource:
    """What is exported.

    Attributes:
        folder: the adapter folder that training wrote.
        record: its `fewshot.json`.
        adapter: its weights.
        base: the base model it belongs to.
        support: the rows that prompts show as demonstrations; empty where they show none.
        template: the prompt template's text.
        left_out: what the folder answers with besides, and a server cannot do.
    """

    folder: Path
    record: ClassificationRecord
    adapter: LoraAdapter
    base: BaseModel
    support: SupportSet
    template: str
    left_out: tuple[Text, ...] = ()

    @property
    def name(self) -> str:
        """What servers call the adapter: the folder's name."""
        return self.folder.resolve().name

    def load(self) -> LanguageModel:
        """The base model with the adapter, in float32 on the CPU, as the certificate compares with."""
        return load_model(self.base.source, adapter=self.folder, device="cpu", dtype="float32")

    def builder(self, model: LanguageModel) -> PromptBuilder:
        """The prompt builder that training used."""
        prompt = self.record.prompt
        scorer = TreeScorer(model)
        return make_builder(
            self.record.task,
            prompt.language,
            scorer,
            template=Template(prompt.template, prompt.language, prompt.template_version, self.template),
            selection=restore_selection(prompt.selection, scorer),
            shots=prompt.shots,
            seed=prompt.seed,
            layout=prompt.layout,
        )


def read_source(
    folder: Path, base: str | None = None, *, allow_base_mismatch: bool = False, allow_download: bool = False
) -> ExportSource:
    """Read an adapter folder and find its base model.

    Args:
        folder: as `fewshot-llm tune` wrote it.
        base: the base model's name or folder, where it is not the recorded one.
        allow_base_mismatch: take a base model whose weights have another SHA-256.
        allow_download: fetch the recorded base model where it is not in the cache.

    Raises:
        ArtifactError: the folder is not whole.
        ExportError: it holds no adapter that a server could load.
        AdapterError: it holds no adapter, has weights that `lint` calls broken, or belongs to another base model.
        ModelError: the base model cannot be found.
    """
    whole = read_record(folder, ClassifierRecord)
    record, template, left_out = _adapted(folder, whole)
    if record.prompt.defence != "none":
        raise ExportError(
            f"{folder} was trained with the defence {record.prompt.defence!r}: texts are changed before the prompt is "
            "made, and a server would not do that. Train without a defence to export, or serve with fewshot-llm."
        )
    refuse_broken(folder)
    model = read_base(base or record.recorded_base(folder, allow_download=allow_download))
    require_whole_weights(model.folder)
    if model.sha256 != record.base.sha256 and not allow_base_mismatch:
        raise AdapterError(
            f"{folder} was trained on {record.base.name} with weights {record.base.sha256[:12]}; {model.name} has "
            f"{model.sha256[:12]}. Give the right base with --model, or allow it with --allow-base-mismatch."
        )
    path = folder / SUPPORT
    rows = [dict(row) for row in read_rows(path)] if path.is_file() else []
    examples = tuple(Example(row, row.pop("label")) for row in rows)
    return ExportSource(
        folder,
        record,
        read_adapter(folder),
        model,
        SupportSet(examples, record.prompt.labels),
        (folder / template).read_text(encoding="utf-8"),
        left_out,
    )


def _adapted(folder: Path, record: ClassifierRecord) -> tuple[ClassificationRecord, str, tuple[Text, ...]]:
    """What answers with the adapter, its template's file, and what is left out: the other members of a mixture.

    Raises:
        ExportError: nothing answers with an adapter.
    """
    if isinstance(record, ClassificationRecord):
        return record, TEMPLATE, ()
    found = record.adapted
    if found is None:
        raise ExportError(
            f"{folder} holds no adapter: it answers by {', '.join(_called(record))}, which no server of language "
            "models can load. Serve it with fewshot-llm, or train an adapter: fewshot-llm tune … --only lora."
        )
    others = [name for name, one in zip(_called(record), record.members, strict=True) if not _is_adapted(one)]
    return *found, (w.LEFT_OUT.fill(others=listed(others)),)


def _is_adapted(member: PromptMember | HeadRecord) -> bool:
    return isinstance(member, PromptMember) and bool(member.adapter)


def _called(record: ClassifierRecord) -> tuple[str, ...]:
    return record.rungs if isinstance(record, MixtureRecord) else (record.rung or "a linear head",)
