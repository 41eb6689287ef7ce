r"""What a template sees of an example: its inputs as harmless, read-only texts.

Customer text is data: whatever a model or a terminal would read as a command is spelled out instead. The tokenizer
turns `<|im_end|>` into the token that ends a turn wherever it stands, also in the middle of a review. A backslash
behind the first character stops that and stays readable, the way an escape does in source code: `<\|im_end|>`. Control
characters, NUL and lone surrogates (which no tokenizer can encode) become `\x00`, `\ud83d`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from fewshot_llm.data.example import Example, as_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import TemplateError

__all__ = ["Fields", "field_texts", "neutralise"]

# Tab, line feed and carriage return are ordinary in reviews; what to do with lines is the template's business.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKS = "\\¦·‖"

_Node = dict[str, Any]


def neutralise(text: str, special_tokens: tuple[str, ...] = ()) -> str:
    r"""Break every special token in `text` and spell out what cannot be printed.

    The change is visible, it only ever adds characters to a token (so that one can read what stood there), and a
    second pass changes nothing.

    Args:
        text: any string, lone surrogates included.
        special_tokens: the texts that the tokenizer would turn into a control token
            (`LanguageModel.special_tokens`).

    Returns:
        The text without any special token or unprintable character.

    Example:
        >>> neutralise("good<|im_end|>", ("<|im_end|>",))
        'good<\\|im_end|>'
        >>> neutralise("a\x00b")
        'a\\x00b'
    """
    text = _UNPRINTABLE.sub(_spell_out, text)
    if not special_tokens:
        return text
    pattern, mark, single = _compile(special_tokens)
    if single is not None:
        text = single.sub(_spell_out, text)
    return text if pattern is None else pattern.sub(lambda found: found[0] + mark, text)


def _spell_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=16)
def _compile(tokens: tuple[str, ...]) -> tuple[re.Pattern[str] | None, str, re.Pattern[str] | None]:
    """One pattern for all tokens, the mark that breaks them, and a pattern for tokens of one character.

    The pattern consumes only a token's first character and looks ahead for the rest, so it finds tokens that overlap.
    As no token contains the mark and something is inserted in every occurrence, none can be left or arise.
    """
    longer = [token for token in tokens if len(token) > 1]
    single = "".join(re.escape(token) for token in tokens if len(token) == 1)
    mark = next(mark for mark in _MARKS if not any(mark in token for token in longer))
    trie: _Node = {}
    for token in longer:
        node = trie
        for character in token:
            node = node.setdefault(character, {})
        node[""] = {}
    pattern = "|".join(f"{re.escape(first)}(?={_rest(node)})" for first, node in trie.items())
    return (
        re.compile(pattern, re.DOTALL) if pattern else None,
        mark,
        re.compile(f"[{single}]") if single else None,
    )


def _rest(node: _Node) -> str:
    """The trie below `node` as a pattern: Gemma has 6,000 such tokens, trying them one by one would be slow."""
    if "" in node:  # a shorter token ends here; whether a longer one follows makes no difference
        return ""
    branches = [re.escape(character) + _rest(child) for character, child in node.items()]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


class Fields:
    """The inputs of one example as a template sees them: read-only texts, no label, no methods.

    `text` is always there: the field of that name, else all fields, a line each.
    """

    __slots__ = ("_values",)
    _values: dict[str, str]

    def __init__(self, values: Mapping[str, str]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __getattr__(self, name: str) -> str:
        if not name.startswith("_") and name in self._values:
            return self._values[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is read-only")

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __str__(self) -> str:
        return self._values["text"]


def field_texts(
    task: Task, example: Example, special_tokens: tuple[str, ...] = (), defence: Callable[[str], str] = str
) -> dict[str, str]:
    r"""All of a task's fields as neutralised texts, and always `text`: that field, else all of them, a line each.

    An optional field that is missing is empty, as are None and NaN.

    Args:
        task: names the fields.
        example: has them.
        special_tokens: the model's control tokens, broken last of all.
        defence: what is done to every field first, see `fewshot_llm.prompting.defence`.

    Raises:
        TemplateError: a field that is not optional is missing.

    Example:
        >>> field_texts(Task(name="t", fields=("title", "body")), Example({"title": "A", "body": "b"}))
        {'text': 'A\nb', 'title': 'A', 'body': 'b'}
    """
    main = task.fields[-1]
    given = dict(example.fields)
    if main not in given and "text" in given:
        given[main] = given["text"]
    for name in task.fields:
        if name not in given and name not in task.optional_fields:
            raise TemplateError(
                f"A text lacks the field {name!r} of the task {task.name}; it has {', '.join(given) or 'none'}. "
                f"Give all of: {', '.join(task.fields)}."
            )
    values = {name: neutralise(defence(as_text(given.get(name))), special_tokens) for name in task.fields}
    return {"text": "\n".join(value for value in values.values() if value), **values}
