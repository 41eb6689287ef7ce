"""A saved folder's model card, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot_llm.artifacts.record import (
    NOTICE,
    ArtifactRecord,
    ClassifierRecord,
    EncoderRecord,
    HeadRecord,
    HiddenRecord,
    MixtureRecord,
    PromptedRecord,
    PromptMember,
    PromptRecord,
    SourceRecord,
    TrainingRecord,
    WordsRecord,
)
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.types import Text, listed

__all__ = ["model_card"]

DOES: Mapping[str, Text] = {
    "classification": Text("labels texts by scoring label words", "通过给标签词打分来分类文本"),
    "linear": Text("labels texts by a linear head on {members}", "用建立在{members}上的线性分类头来分类文本"),
    "mixture": Text("labels texts by {members} together", "用{members}共同来分类文本"),
    "multilabel": Text("gives texts all labels that apply, by yes or no", "逐个判断是与否、给文本标出所有适用标签"),
    "regression": Text("gives texts a number by scoring number words", "通过给数字词打分来为文本预测数值"),
    "ranking": Text("ranks what a customer may buy next", "为顾客接下来可能购买的商品排序"),
}
"""What such a thing does, by the record's kind."""

SENTENCES: Mapping[str, Text] = {
    "trained": Text(
        "A LoRA adapter that {does}, trained by fewshot-llm on {rows} labelled rows. Why this one: {why}",
        "一个{does}的 LoRA 适配器，由 fewshot-llm 用 {rows} 条标注样例训练。原因：{why}",
    ),
    "prompt": Text(
        "A prompt that {does}, fitted by fewshot-llm on {rows} labelled rows. Why this one: {why}",
        "一个{does}的提示，由 fewshot-llm 用 {rows} 条标注样例拟合。原因：{why}",
    ),
    "other": Text(
        "A classifier that {does}, fitted by fewshot-llm on {rows} labelled rows. Why this one: {why}",
        "一个{does}的分类器，由 fewshot-llm 用 {rows} 条标注样例拟合。原因：{why}",
    ),
}
"""By whether an adapter was trained that answers alone, a prompt answers alone, or something else answers."""

NOT_ASKED = Text("the ladder was not asked.", "未经阶梯评估。")

MEMBERS: Mapping[str, Text] = {
    "words": Text("counts of words and character n-grams", "词与字符 n-gram 的计数"),
    "encoder": Text("the vectors of {name}", "{name} 的文本向量"),
    "hidden": Text("the language model's hidden states", "语言模型的隐状态"),
    "prompt": Text("a prompt", "一个提示"),
    "adapter": Text("a prompt with a LoRA adapter", "一个带 LoRA 适配器的提示"),
}
"""What a member reads or asks."""

HAS_TERMS = Text(
    "What derives from such a model comes under its terms: pass on the file `{notice}` with this folder.",
    "由此类模型派生的内容受其条款约束：转交此文件夹时请一并附上 `{notice}`。",
)


def model_card(record: ArtifactRecord, decision: Decision | None = None) -> str:
    """A README.md with the front matter that model hubs read, in English and Chinese.

    Args:
        record: what was fitted, with the files that were written.
        decision: why the ladder kept it; None where it was not asked.
    """
    base, training = record.base, record.trained
    prompts = _prompts(record)
    alone = isinstance(record, PromptedRecord)
    does = DOES[record.kind].fill(members=listed(_members(record)))
    sentence = SENTENCES["other" if not alone else "prompt" if training is None else "trained"]
    why = NOT_ASKED if decision is None else Text(decision.reason, decision.reason_zh)
    told = sentence.fill(does=does, rows=sum(record.support_rows.values()), why=why)
    label_words = prompts[0].label_words if alone else record.task.words(record.language)
    words = "\n".join(
        f"| {label} | {label_words[label]} | {record.support_rows.get(label, 0)} |" for label in record.labels
    )
    tags = [f"text-{record.answers}", "few-shot", *(["lora"] if training else [])]
    names = [source.name for source in record.derived_from]
    front = (base.name if base is not None else ", ".join(names)) or "unknown"
    unnamed = "a scorer of the user's own" if base is not None else "words alone"
    lines = [
        *([f"- Base model 基座模型: {base.name} {base.revision} (SHA-256 {base.sha256})"] if base is not None else []),
        *map(_source, record.derived_from),
        *map(_prompt, prompts),
        *_training(training),
        f"- Support rows 样例指纹 (SHA-256): {record.support_fingerprint}",
    ]
    terms = HAS_TERMS.fill(notice=NOTICE)
    return f"""---
base_model: {front}
library_name: {"peft" if training and alone else "fewshot-llm"}
language: {record.language}
tags: [{", ".join(tags)}]
---

# {record.task.name} on {", ".join(names) or unnamed}

{told.en}

{told.zh}

| label 标签 | scored words 标签词 | rows 样例数 |
| --- | --- | --- |
{words}

{chr(10).join(lines)}

`fewshot.json` holds everything an answer depends on, the calibration included; other servers that load this folder
see uncalibrated scores.
{f"{chr(10)}{terms.en}{chr(10)}{chr(10)}{terms.zh}{chr(10)}" if NOTICE in record.files else ""}"""


def _prompts(record: ArtifactRecord) -> list[PromptRecord]:
    if isinstance(record, PromptedRecord):
        return [record.prompt]
    members = record.members if isinstance(record, ClassifierRecord) else ()
    return [one.prompt for one in members if isinstance(one, PromptMember)]


def _members(record: ArtifactRecord) -> list[Text]:
    """What answers, each with its weight in a mixture."""
    if not isinstance(record, ClassifierRecord):
        return []
    told = [_member(one) for one in record.members]
    if not isinstance(record, MixtureRecord):
        return told
    weighed = zip(told, record.weights, strict=True)
    return [
        Text("{what} ({weight})", "{what}（{weight}）").fill(what=one, weight=f"{weight:.2f}")
        for one, weight in weighed
    ]


def _member(member: PromptMember | HeadRecord) -> Text:
    if isinstance(member, PromptMember):
        return MEMBERS["adapter" if member.adapter else "prompt"]
    match member.features:
        case WordsRecord():
            return MEMBERS["words"]
        case EncoderRecord(name=name):
            return MEMBERS["encoder"].fill(name=name)
        case HiddenRecord():
            return MEMBERS["hidden"]


def _source(source: SourceRecord) -> str:
    terms = f"{source.licence}, {source.licence_url}" if source.licence else "licence unknown 许可未知"
    return f"- Derived from 派生自: {source.name} ({terms})"


def _prompt(prompt: PromptRecord) -> str:
    return f"- Prompt 提示模板: {prompt.template}, shots 示例数 {prompt.shots}, layout 版式 {prompt.layout}"


def _training(training: TrainingRecord | None) -> Sequence[str]:
    if training is None:
        return []
    recipe, losses = training.recipe, ", ".join(f"{loss:.3f}" for loss in training.losses)
    return [
        f"- Recipe 训练配方: {recipe.name}, rank {recipe.rank}, {recipe.targets}, loss {recipe.loss}",
        f"- Training loss per epoch 每轮损失 (nats): {losses}",
    ]
