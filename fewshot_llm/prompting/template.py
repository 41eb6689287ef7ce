"""`Template`: sandboxed Jinja that lays out an instruction, demonstrations and one query.

One macro renders every item, so a demonstration and the query cannot drift apart:

    {% macro item(example, answer) %}
    Review: {{ example.text | oneline }}
    Sentiment: {{ answer }}

    {% endmacro %}
    {{ instruction }}

    {% for demonstration in demonstrations %}
    {{ item(demonstration.example, demonstration.answer) -}}
    {% endfor %}
    {{ item(query, answer) -}}

In place of every answer, also those of the demonstrations, stands a secret mark that is drawn anew for every
rendering; text is cut there and nowhere else. What a review says cannot move a cut, and how an item looks cannot
depend on its answer. All white space is the template's.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot_llm.errors import TaskError, TemplateError, nearest
from fewshot_llm.prompting.fields import Fields
from fewshot_llm.prompting.sandbox import compile_template, readable_errors
from fewshot_llm.task import Task, prompts_folder, read_task_file

__all__ = ["Facts", "Frame", "Item", "Template", "load_template"]

_FILE = re.compile(r"(?P<language>[A-Za-z-]+)\.v(?P<version>[1-9][0-9]*)\.jinja")


@dataclass(frozen=True)
class Facts:
    """What a template knows of the task.

    Attributes:
        instruction: what the model is told first.
        labels: the label words, in label order.
        language: the template's language.
    """

    instruction: str
    labels: tuple[str, ...]
    language: str


@dataclass(frozen=True)
class Item:
    """One rendered example.

    Attributes:
        before: what stands before its answer.
        closing: what follows the answer.
    """

    before: str
    closing: str


@dataclass(frozen=True)
class Frame:
    """Everything that stands before the query; it is the same for every query.

    The plain prompt is `befores[0] + answer + closing + befores[1] + answer + closing + … + lead + Item.before`.

    Attributes:
        befores: for each demonstration, what stands before its answer; the first holds the instruction.
        lead: what stands between the last demonstration and the query; without demonstrations the instruction.
        closing: what follows every answer.
    """

    befores: tuple[str, ...]
    lead: str
    closing: str


@dataclass(frozen=True)
class Template:
    """One version of one language's prompt layout.

    Attributes:
        name: family, language and version, for example `review-sentiment/zh.v1`.
        language: for example `zh`.
        version: counted from 1; a published version never changes.
        source: the Jinja source.

    Raises:
        TemplateError: the source is not a usable template (see `compile_template`).
    """

    name: str
    language: str
    version: int
    source: str

    def __post_init__(self) -> None:
        compile_template(self.name, self.source)

    @classmethod
    def from_source(cls, source: str, language: str = "en", name: str = "inline") -> Template:
        """A template from a string, for experiments."""
        return cls(name, language, 1, source)

    def item(self, facts: Facts, example: Fields) -> Item:
        """Render one example, cut at its answer.

        Raises:
            TemplateError: rendering fails, or the answer is not printed exactly once and unchanged.
        """
        mark = _mark()
        with readable_errors(self.name):
            # A module runs the body as well; an empty stand-in for the query keeps that cheap.
            module = compile_template(self.name, self.source).make_module(self._names(facts, (), example, mark))
            rendered = str(module.item(example, mark))  # type: ignore[attr-defined]
        return Item(*self._cut(rendered, mark))

    def frame(self, facts: Facts, demonstrations: Sequence[Fields], query: Fields) -> Frame:
        """Render everything before the query.

        Args:
            facts: what is known of the task.
            demonstrations: the examples in prompt order.
            query: any query: the result does not depend on it.

        Raises:
            TemplateError: rendering fails, the answer is not printed exactly once, demonstrations are left out, or
                something other than white space follows the query's item.
        """
        mark, end = _mark(), _mark()
        shown = [{"example": example, "answer": mark} for example in demonstrations]
        with readable_errors(self.name):
            rendered = compile_template(self.name, self.source).render(self._names(facts, shown, query, end))
        question = self.item(facts, query)
        front, tail = self._cut(rendered, end)
        if not front.endswith(question.before) or not tail.startswith(question.closing):
            raise TemplateError(
                f"Template {self.name} changes what its macro item renders. Print {{{{ item(query, answer) }}}} "
                "as it is."
            )
        if tail.removeprefix(question.closing).strip():
            raise TemplateError(
                f"Template {self.name} goes on after the query: {tail.removeprefix(question.closing)[:60]!r}. A model "
                "only reads what stands before the answer; move it up."
            )
        pieces = front.removesuffix(question.before).split(mark)
        if len(pieces) != len(demonstrations) + 1:
            raise TemplateError(
                f"Template {self.name} prints {len(pieces) - 1} answers for {len(demonstrations)} demonstrations. Loop "
                "over demonstrations and print each one once with item(demonstration.example, demonstration.answer)."
            )
        if not all(piece.startswith(question.closing) for piece in pieces[1:]):
            raise TemplateError(
                f"Template {self.name}: what follows a demonstration's answer is not what follows the query's, "
                f"{question.closing!r}. Let it depend on nothing but the template."
            )
        pieces[1:] = [piece.removeprefix(question.closing) for piece in pieces[1:]]
        return Frame(tuple(pieces[:-1]), pieces[-1], question.closing)

    def _names(self, facts: Facts, shown: Sequence[Any], query: Fields, answer: str) -> dict[str, Any]:
        return {
            "instruction": facts.instruction,
            "labels": facts.labels,
            "language": facts.language,
            "demonstrations": shown,
            "query": query,
            "answer": answer,
        }

    def _cut(self, rendered: str, mark: str) -> tuple[str, str]:
        pieces = rendered.split(mark)
        if len(pieces) != 2:
            raise TemplateError(
                f"Template {self.name}: the macro item prints the answer {len(pieces) - 1} times; expected exactly "
                "once and unchanged (no filter), as {{ answer }}."
            )
        return pieces[0], pieces[1]


def _mark() -> str:
    return f"\ue000{secrets.token_hex(16)}\ue001"


def load_template(task: Task, language: str, version: int | None = None) -> Template:
    """A task's template from its folder (`zh.v1.jinja`), the newest version unless one is named.

    Raises:
        TemplateError: there is none for that language or version, or it is unusable.

    Example:
        >>> from fewshot_llm.task import load_task
        >>> load_template(load_task("review-sentiment"), "zh", version=1).name
        'review-sentiment/zh.v1'
    """
    folder = Path(task.folder) if task.folder else prompts_folder() / task.name
    found: dict[tuple[str, int], Path] = {}
    for file in sorted(folder.glob("*.jinja")):
        if match := _FILE.fullmatch(file.name):
            found[match["language"], int(match["version"])] = file
    versions = [number for known, number in found if known == language]
    if not versions:
        raise TemplateError(
            f"The task {task.name} has no template for the language {language!r} in {folder}. "
            f"{nearest(language, {known for known, _ in found})} Write {language}.v1.jinja there."
        )
    chosen = max(versions) if version is None else version
    if chosen not in versions:
        raise TemplateError(
            f"The task {task.name} has no version {version} of its {language} template in {folder}. "
            f"Known: {', '.join(map(str, sorted(versions)))}."
        )
    file = found[language, chosen]
    try:
        source = read_task_file(file)
    except TaskError as error:
        raise TemplateError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"The template {os.fspath(file)} cannot be read as UTF-8 text: {error}.") from error
    return Template(f"{task.name}/{language}.v{chosen}", language, chosen, source)
