"""What a template sees of an example: its inputs as harmless, read-only texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fewshot_llm.errors import TemplateError
from fewshot_llm.prompting.neutralise import neutralise
from fewshot_llm.support.example import Example, as_text
from fewshot_llm.task import Task

__all__ = ["Fields", "field_texts"]


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
