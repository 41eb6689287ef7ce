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

Jinja runs in a sandbox without files, Python internals or silent gaps, and template source meets it only here.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    StrictUndefined,
    Template as JinjaTemplate,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
    pass_context,
)
from jinja2.exceptions import SecurityError
from jinja2.runtime import Macro

from fewshot_llm.data.task import Task, prompts_folder, read_task_file
from fewshot_llm.errors import TaskError, TemplateError, nearest
from fewshot_llm.prompting.fields import Fields, neutralise
from fewshot_llm.prompting.sandbox import BoundedEnvironment, TooMuch

__all__ = [
    "Frame",
    "Item",
    "Template",
    "TemplateContext",
    "compile_template",
    "load_template",
]

AVAILABLE = ("instruction", "labels", "descriptions", "language", "demonstrations", "query", "answer")
"""What a template's body may name; the macro `item` may also name its two arguments, and not the last three."""

IN_ITEM = ("instruction", "labels", "descriptions", "language")

MOST_SOURCE = 50_000
"""Characters; the longest built-in template has under 400."""

MOST_NODES = 5_000

MOST_QUOTED = 500
"""Characters of another's error message, which may quote what the template made."""

_FILENAME = "<prompt template>"
_SPACE = re.compile(r"\s+")


class _Unknown(StrictUndefined):
    """Names what is missing in words that a template's author knows."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if isinstance(self._undefined_obj, Fields):
            known = object.__getattribute__(self._undefined_obj, "_values")
            return f"an example has no field {self._undefined_name!r}. {nearest(str(self._undefined_name), known)}"
        return super()._undefined_message


@pass_context
def _oneline(context: Any, text: object) -> str:
    """The text on one line: a review of several lines cannot pretend to be the next demonstration."""
    context.budget.weigh(text)
    return _SPACE.sub(" ", str(text)).strip()


@lru_cache(maxsize=1)
def _environment() -> BoundedEnvironment:
    environment = BoundedEnvironment(
        undefined=_Unknown, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["oneline"] = _oneline
    return environment


@lru_cache(maxsize=64)
def compile_template(name: str, source: str) -> JinjaTemplate:
    """Check a template's source and compile it.

    Raises:
        TemplateError: a syntax error, a name that is not available, another file, no macro `item(example, answer)`,
            a query that is not rendered by exactly one `{{ item(query, answer) }}`, or a source that is too long or
            nested too deeply.
    """
    environment = _environment()
    if len(source) > MOST_SOURCE:
        raise TemplateError(
            f"Template {name} has {len(source):,} characters; at most {MOST_SOURCE:,} are allowed. Put long texts into "
            "the task's instruction or the rows."
        )
    try:
        tree = environment.parse(source, name, _FILENAME)
        _check_size(name, tree)
        for escaping in tree.find_all((nodes.ScopedEvalContextModifier, nodes.EvalContextModifier)):
            raise TemplateError(
                f"Template {name}, line {escaping.lineno}: autoescape is for HTML, and a prompt is plain text. Take it "
                "out."
            )
        for reference in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise TemplateError(
                f"Template {name}, line {reference.lineno}: it refers to another file. A template stands alone; copy "
                "what it needs."
            )
        _check_names(name, tree)
        _check_item(name, tree)
        code = environment.compile(environment.instrumented(tree), name, _FILENAME)
    except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
        # From Jinja's parser and Python's compiler, which bound depth and numbers each in their own way.
        what = "is nested too deeply" if isinstance(error, RecursionError | MemoryError) else f"({error}) is too much"
        raise TemplateError(
            f"Template {name} cannot be compiled: it {what}. Take brackets, blocks or digits out of it."
        ) from None
    except TemplateSyntaxError as error:
        line = source.splitlines()[error.lineno - 1].strip() if source.splitlines()[error.lineno - 1 :] else ""
        raise TemplateError(
            f"Template {name}, line {error.lineno}: {error.message} In: {line!r}. Correct the Jinja syntax there."
        ) from None
    return JinjaTemplate.from_code(environment, code, dict(environment.globals))


def _check_size(name: str, tree: nodes.Template) -> None:
    for count, node in enumerate(tree.find_all(nodes.Node), 1):
        if count > MOST_NODES:
            raise TemplateError(
                f"Template {name}, line {node.lineno}: it has more than {MOST_NODES:,} parts (names, numbers, "
                "operators). Say it shorter, with a loop."
            )
        if isinstance(node, nodes.Const) and isinstance(node.value, float) and not math.isfinite(node.value):
            raise TemplateError(f"Template {name}, line {node.lineno}: a number is too large. Write a smaller one.")


def _check_names(name: str, tree: nodes.Template) -> None:
    globals_ = set(_environment().globals)
    for unknown in sorted(meta.find_undeclared_variables(tree) - {*AVAILABLE, *globals_}):
        raise TemplateError(
            f"Template {name}, line {_line(tree, unknown)}: {unknown!r} is not defined. {nearest(unknown, AVAILABLE)} "
            f"Available: {', '.join(AVAILABLE)}; inside the macro item its own arguments and {', '.join(IN_ITEM)}."
        )


def _line(tree: nodes.Node, name: str) -> int:
    for found in tree.find_all((nodes.Name, nodes.NSRef)):
        if isinstance(found, nodes.Name | nodes.NSRef) and found.name == name:
            return found.lineno
    return 1


def _check_item(name: str, tree: nodes.Template) -> None:
    macro = next((m for m in tree.find_all(nodes.Macro) if m.name == "item"), None)
    if macro is None or len(macro.args) != 2:
        raise TemplateError(
            f"Template {name} has no macro item(example, answer). It renders every demonstration and the query; "
            "begin with {% macro item(example, answer) %} … {{ example.text }} … {{ answer }} … {% endmacro %}."
        )
    alone = nodes.Template([macro])
    alone.set_environment(_environment())
    inside = meta.find_undeclared_variables(alone)
    for outer in sorted(inside & {"query", "demonstrations", "answer"}):
        raise TemplateError(
            f"Template {name}, line {_line(macro, outer)}: the macro item uses {outer!r}, so a demonstration would not "
            f"look like the query. Use its arguments: {', '.join(argument.name for argument in macro.args)}."
        )
    # With this, what stands before the query is the same for every query, and can be rendered and scored once.
    uses = [node for node in tree.find_all(nodes.Name) if node.name == "query" and node.ctx == "load"]
    calls = [call for call in tree.find_all(nodes.Call) if call.args and call.args[0] in uses]
    if len(uses) != 1 or len(calls) != 1 or not _is_query_call(calls[0]):
        raise TemplateError(
            f"Template {name} must render the query in one place, as {{{{ item(query, answer) }}}}; found {len(uses)} "
            f"uses of query{' on lines ' + ', '.join(str(use.lineno) for use in uses) if uses else ''}."
        )


def _is_query_call(call: nodes.Call) -> bool:
    names = [node.name for node in (call.node, *call.args) if isinstance(node, nodes.Name)]
    return names == ["item", "query", "answer"] and not call.kwargs


@contextmanager
def _readable_errors(name: str) -> Iterator[None]:
    """Turn what goes wrong while rendering into a `TemplateError` that names the template and its line."""
    try:
        yield
    except TemplateError:
        raise
    except TooMuch as error:
        raise TemplateError(
            f"Template {name}{_place(error)}: {error}. A template lays texts out; take that out of it."
        ) from None
    except RecursionError:
        raise TemplateError(
            f"Template {name}: a macro, block or loop calls itself too deeply. Take that out."
        ) from None
    except SecurityError as error:
        raise TemplateError(
            f"Template {name}{_place(error)}: {_sentence(error)} Templates see texts and labels "
            "only; Python's internals are out of reach."
        ) from None
    except UndefinedError as error:
        raise TemplateError(f"Template {name}{_place(error)}: {_sentence(error)}") from None
    except Exception as error:  # whatever a filter raises: what it is given is the template's
        raise TemplateError(f"Template {name}{_place(error)}: {type(error).__name__}: {_sentence(error)}") from None


def _sentence(error: BaseException) -> str:
    return str(error)[:MOST_QUOTED].rstrip(".") + "."


def _place(error: BaseException) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILENAME]
    return f", line {lines[-1]}" if lines else ""


_FILE = re.compile(r"(?P<language>[A-Za-z-]+)\.v(?P<version>[1-9][0-9]*)\.jinja")


@dataclass(frozen=True)
class TemplateContext:
    """What a template knows of the task.

    Attributes:
        instruction: what the model is told first.
        labels: the label words, in label order.
        language: the template's language.
        descriptions: label words → what they mean, for the labels that have a description.
    """

    instruction: str
    labels: tuple[str, ...]
    language: str
    descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, task: Task, language: str, special_tokens: tuple[str, ...] = ()) -> TemplateContext:
        """What a task says in a language, with a model's special tokens broken."""

        def plain(text: str) -> str:
            return neutralise(text, special_tokens)

        words, told = task.words(language), task.descriptions(language)
        return cls(
            task.instruction.get(language, ""),
            tuple(plain(word) for word in words.values()),
            language,
            {plain(words[label]): plain(text) for label, text in told.items()},
        )


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

    def item(self, facts: TemplateContext, example: Fields) -> Item:
        """Render one example, cut at its answer.

        Raises:
            TemplateError: rendering fails, or the answer is not printed exactly once and unchanged.
        """
        mark = _mark()
        with _readable_errors(self.name):
            # A module runs the body as well; an empty stand-in for the query keeps that cheap.
            module = compile_template(self.name, self.source).make_module(self._names(facts, (), example, mark))
            macro: Macro = vars(module)["item"]
            rendered = str(macro(example, mark))
        return Item(*self._cut(rendered, mark))

    def frame(self, facts: TemplateContext, demonstrations: Sequence[Fields], query: Fields) -> Frame:
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
        with _readable_errors(self.name):
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

    def _names(self, facts: TemplateContext, shown: Sequence[Any], query: Fields, answer: str) -> dict[str, Any]:
        return {
            "instruction": facts.instruction,
            "labels": facts.labels,
            "descriptions": dict(facts.descriptions),
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
        >>> from fewshot_llm.data.task import load_task
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
