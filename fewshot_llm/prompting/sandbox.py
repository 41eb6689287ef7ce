"""The only place where template source meets Jinja: a sandbox without files, Python internals or silent gaps."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes, pass_context
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import SecurityError

from fewshot_llm.errors import TemplateError, nearest
from fewshot_llm.prompting.bounded import BoundedEnvironment, TooMuch
from fewshot_llm.prompting.fields import Fields

__all__ = ["AVAILABLE", "compile_template", "readable_errors"]

AVAILABLE = ("instruction", "labels", "language", "demonstrations", "query", "answer")
"""What a template's body may name; the macro `item` may also name its two arguments, and not the last three."""

IN_ITEM = ("instruction", "labels", "language")

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
def readable_errors(name: str) -> Iterator[None]:
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
