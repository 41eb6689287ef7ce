"""`Task`: what is asked of a text, read from `prompts/<family>/task.toml`."""

from __future__ import annotations

import os
import stat
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from fewshot_llm.data.language import JOINED, detect_language, normalise_text, readable_label
from fewshot_llm.errors import TaskError, nearest

__all__ = ["Kind", "Task", "detect_language", "list_tasks", "load_task", "misfit", "prompts_folder", "read_task_file"]

MOST_BYTES = 4_000_000
"""Of a task's file: far more than thousands of labels in several languages need."""

MOST_DESCRIPTION = 1_000
"""Characters of a label's description: it stands in every prompt."""

Kind = Literal["classification", "multilabel", "regression", "ranking"]


class Task(BaseModel):
    """What is asked of a text: kind, labels, the words scored for each label, an instruction per language.

    Attributes:
        name: the family's name, for example `review-sentiment`.
        kind: what an answer is: one label, several, a number, an order.
        languages: the languages it can be asked in, as in template names; the first is the default.
        labels: the labels, in the order in which scores are given. Empty: they come from the user's rows.
        optional_labels: labels that `with_optional` switches on.
        label_words: per language, the words scored for a label. A label without an entry gets its readable name.
        label_descriptions: per language, what a label means, in a sentence. A label may go without.
        examples: label → texts that have it, in any of the languages; shown where no row is labelled.
        instruction: per language, what the model is told first.
        fields: the inputs of one row, in reading order. The last one is the main text.
        optional_fields: those of `fields` that a row may lack.
        scale: of a regression's numbers: `log` where ratios count, as with prices.
        folder: where `task.toml` and the templates are; `None` for a task made in Python.

    Raises:
        TaskError: labels, label words or descriptions are empty, or belong to no label or language; labels or label
            words are duplicated.

    >>> task = Task(name="spam", labels=("spam", "not_spam"))
    >>> task.words("en")
    {'spam': 'spam', 'not_spam': 'not spam'}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind = "classification"
    languages: tuple[str, ...] = ("en",)
    labels: tuple[str, ...] = ()
    optional_labels: tuple[str, ...] = ()
    label_words: dict[str, dict[str, str]] = {}
    label_descriptions: dict[str, dict[str, str]] = {}
    examples: dict[str, tuple[str, ...]] = {}
    instruction: dict[str, str] = {}
    fields: tuple[str, ...] = ("text",)
    optional_fields: tuple[str, ...] = ()
    scale: Literal["linear", "log"] = "linear"
    folder: Path | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what, values in (("language", self.languages), ("field", self.fields)):
            if not values:
                raise TaskError(f"The task {self.name} has no {what}. Give at least one.")
        every_label = self.labels + self.optional_labels
        for what, values in (("language", self.languages), ("field", self.fields), ("label", every_label)):
            _require_distinct(self.name, what, values)
        for field in self.fields:
            if not field.isidentifier() or field == "label":
                raise TaskError(
                    f"The field {field!r} of the task {self.name} cannot be used in a template. Use letters, "
                    "digits and underscores, and not the name “label”."
                )
        if not set(self.optional_fields) < set(self.fields):
            raise TaskError(
                f"optional_fields of the task {self.name} are {list(self.optional_fields)}; expected some, but not "
                f"all, of its fields {list(self.fields)}."
            )
        tables: dict[str, Iterable[str]] = {
            "instruction": self.instruction,
            "label_words": self.label_words,
            "label_descriptions": self.label_descriptions,
        }
        for table, languages in tables.items():
            for language in languages:
                if language not in self.languages:
                    raise TaskError(
                        f"[{table}] of the task {self.name} speaks of the language {language!r}, which is not one "
                        f"of its languages. {nearest(language, self.languages)}"
                    )
        for language, words in self.label_words.items():
            for label in words:
                if every_label and label not in every_label:
                    raise TaskError(
                        f"[label_words.{language}] of the task {self.name} has words for {label!r}, which is not a "
                        f"label. {nearest(label, every_label)}"
                    )
            _require_distinct(self.name, f"[label_words.{language}] entry", words.values())
        for language in self.languages:
            _require_distinct(self.name, f"[label_words.{language}] entry", self._words(language, every_label).values())
        for language, descriptions in self.label_descriptions.items():
            for label, text in descriptions.items():
                if every_label and label not in every_label:
                    raise TaskError(
                        f"[label_descriptions.{language}] of the task {self.name} describes {label!r}, which is not a "
                        f"label. {nearest(label, every_label)}"
                    )
                _require_description(self.name, language, label, text)
        for label, texts in self.examples.items():
            if every_label and label not in every_label:
                raise TaskError(
                    f"[examples] of the task {self.name} has texts for {label!r}, which is not a label. "
                    f"{nearest(label, every_label)}"
                )
            if not texts or not all(text.strip() for text in texts):
                raise TaskError(
                    f"[examples] of the task {self.name}: {label!r} has an empty text, or none. Give texts that have "
                    "the label, or leave it out."
                )
        return self

    def words(self, language: str) -> dict[str, str]:
        """The words scored for each label, in label order.

        Args:
            language: one of `languages`.

        Raises:
            TaskError: the task does not speak that language.
        """
        if language not in self.languages:
            raise TaskError(
                f"The task {self.name} has no language {language!r}. {nearest(language, self.languages)} "
                "Another one needs a template and label words in the task's folder."
            )
        return self._words(language, self.labels)

    def descriptions(self, language: str) -> dict[str, str]:
        """What labels mean, in label order; a label without a description is left out.

        Args:
            language: one of `languages`.

        >>> task = Task(name="spam", labels=("spam", "ham"), label_descriptions={"en": {"spam": "unasked advertising"}})
        >>> task.descriptions("en")
        {'spam': 'unasked advertising'}
        """
        given = self.label_descriptions.get(language, {})
        return {label: given[label] for label in self.labels if label in given}

    def label_of(self, written: str) -> str | None:
        """The label that was meant: its name or its words in any language, whatever the case, width and white space.

        >>> Task(name="spam", labels=("spam", "not_spam")).label_of(" Not Spam　")
        'not_spam'
        """
        return self._spellings.get(normalise_text(written))

    @cached_property
    def _spellings(self) -> dict[str, str]:
        spellings: dict[str, str] = {}
        for language in self.languages:
            for label, words in self.words(language).items():
                spellings.setdefault(normalise_text(words), label)
        # A label's name goes before another one's words.
        return spellings | {normalise_text(label): label for label in self.labels}

    def _words(self, language: str, labels: tuple[str, ...]) -> dict[str, str]:
        given = self.label_words.get(language, {})
        words = {label: given.get(label) or readable_label(label) for label in labels}
        # Two labels that read alike ("a_b", "a-b") keep their own names: a label may not vanish behind another.
        times = Counter(normalise_text(word) for word in words.values())
        return {
            label: label if label not in given and times[normalise_text(word)] > 1 else word
            for label, word in words.items()
        }

    def with_labels(
        self,
        labels: Iterable[str],
        words: Mapping[str, str] | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> Task:
        """This task with other labels: those of the user's rows, or fewer.

        Args:
            labels: the labels in the order in which scores shall be given.
            words: label → words, used in every language; a label that is left out keeps the words it has.
            descriptions: label → what it means, likewise.

        Raises:
            TaskError: a label or its words are empty or repeated, or words or descriptions are given for something
                else.
        """
        labels = tuple(labels)
        for what, given in (("Label words", words), ("Label descriptions", descriptions)):
            for label in given or {}:
                if label not in labels:
                    raise TaskError(f"{what} are given for {label!r}, which is not a label. {nearest(label, labels)}")

        def merged(known: Mapping[str, Mapping[str, str]], given: Mapping[str, str] | None) -> dict[str, Any]:
            return {
                language: {
                    label: text
                    for label, text in {**known.get(language, {}), **(given or {})}.items()
                    if label in labels
                }
                for language in self.languages
            }

        return self._changed(
            labels=labels,
            optional_labels=(),
            label_words=merged(self.label_words, words),
            label_descriptions=merged(self.label_descriptions, descriptions),
            examples={label: texts for label, texts in self.examples.items() if label in labels},
        )

    def with_optional(self, *labels: str) -> Task:
        """This task with some of its optional labels switched on, after the others.

        Raises:
            TaskError: a label is not one of the optional ones.
        """
        for label in labels:
            if label not in self.optional_labels:
                raise TaskError(
                    f"{label!r} is not an optional label of the task {self.name}. "
                    f"{nearest(label, self.optional_labels)}"
                )
        rest = tuple(label for label in self.optional_labels if label not in labels)
        return self._changed(labels=self.labels + labels, optional_labels=rest)

    def _changed(self, **changes: Any) -> Task:
        # Not model_copy, which skips the checks.
        return Task(**(self.model_dump() | changes))


def prompts_folder() -> Path:
    """Where the built-in families are: inside an installed package, or beside it in a source tree.

    Raises:
        TaskError: neither is there, so the installation is incomplete.
    """
    package = Path(__file__).parents[1]
    if (package / "prompts").is_dir():
        return package / "prompts"
    if (package.parent / "pyproject.toml").is_file() and (package.parent / "prompts").is_dir():
        return package.parent / "prompts"
    raise TaskError(f"The built-in prompt families are missing from {package}. Install fewshot-llm again.")


def list_tasks() -> list[str]:
    """Names of the built-in families, in alphabetical order."""
    return sorted(file.parent.name for file in prompts_folder().glob("*/task.toml"))


def load_task(name_or_path: str | os.PathLike[str]) -> Task:
    """A built-in task by name, or a task of your own by the path of its folder or its `task.toml`.

    A bare name is looked up among the built-in ones first; write `./name` for a folder of the same name.

    Raises:
        TaskError: there is no such task, or its file is malformed.

    >>> load_task("review-sentiment").labels
    ('positive', 'negative')
    """
    given = os.fspath(name_or_path)
    known = list_tasks()
    if given in known:
        return _read_task(prompts_folder() / given / "task.toml")
    path = Path(given).expanduser()
    file = path if path.name == "task.toml" else path / "task.toml"
    if file.is_file():
        return _read_task(file)
    if path.is_dir():
        raise TaskError(f"The folder {path} has no task.toml. Add one; prompts/README.md says what belongs in it.")
    raise TaskError(
        f"There is no task {given!r}: it is neither a built-in task nor a folder with a task.toml. "
        f"{nearest(given, known)}"
    )


def _read_task(file: Path) -> Task:
    try:
        table = tomllib.loads(read_task_file(file))
    except RecursionError:
        raise TaskError(f"{file} is no TOML of a task: it is nested too deeply.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{file} is not valid TOML in UTF-8: {error}.") from error
    keys = set(Task.model_fields) - {"folder"}
    for key in table:
        if key not in keys:
            raise TaskError(f"{file} has an unknown key {key!r}. {nearest(key, keys)}")
    table.setdefault("name", file.absolute().parent.name)
    labels = table.get("labels")
    if labels == "rows":
        table["labels"] = ()
    elif not labels and table.get("kind", "classification") in ("classification", "multilabel"):
        raise TaskError(
            f'{file} has no labels. List them, or write labels = "rows" to take them from the user\'s rows.'
        )
    try:
        return Task(**table, folder=file.absolute().parent)
    except ValidationError as error:
        raise misfit(file, error) from error
    except TaskError as error:
        raise TaskError(f"{file}: {error}") from error


def misfit(file: Path, error: ValidationError) -> TaskError:
    """The first value of a file that a task cannot have, as an error to raise."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return TaskError(f"{file}: {key} is {first['input']!r}. {first['msg']}.")


def read_task_file(file: Path) -> str:
    """The text of a file of a task's folder, which may be a stranger's: nothing outside is read, nothing waited for.

    Raises:
        TaskError: a link that leads out of the folder, a pipe or device, or more than `MOST_BYTES`.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    if file.resolve().parent != file.parent.resolve():
        raise TaskError(f"{file} is a link to a file outside of its folder, which is not read. Copy the file there.")
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise TaskError(f"{file} is no ordinary file. Put the text there.")
    if status.st_size > MOST_BYTES:
        raise TaskError(f"{file} has {status.st_size:,} bytes; at most {MOST_BYTES:,} are read. Is it the right file?")
    return file.read_text(encoding="utf-8-sig")


def _require_description(task: str, language: str, label: str, text: str) -> None:
    where = f"[label_descriptions.{language}] of the task {task}, {label!r}"
    if not text.strip() or text != text.strip() or not JOINED.sub("", text).isprintable():
        raise TaskError(
            f"{where}: the description is {text[:80]!r}; expected words on one line, without white space around them "
            "and without control characters. Leave a label out that needs no description."
        )
    if len(text) > MOST_DESCRIPTION:
        raise TaskError(
            f"{where}: the description has {len(text):,} characters; at most {MOST_DESCRIPTION:,} are taken, for it "
            "stands in every prompt. Say it in a sentence."
        )


def _require_distinct(task: str, what: str, values: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for value in values:
        key = normalise_text(value)
        if not key or value != value.strip() or not JOINED.sub("", value).isprintable():
            raise TaskError(
                f"A {what} of the task {task} is {value!r}; expected words without white space around them, and "
                "no control characters (the template owns the white space)."
            )
        if key in seen:
            cure = " Write them alike, or merge them with merge_labels=True." if what == "label" else ""
            raise TaskError(
                f"The task {task} has two {what} values that read alike: {seen[key]!r} and {value!r}.{cure}"
            )
        seen[key] = value
