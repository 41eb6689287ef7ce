"""`SupportSet`: the few labelled examples, in a fixed order, and its folds, which keep copies of a text together."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from fewshot_llm.data.cleaning import CleaningReport, Finding, clean
from fewshot_llm.data.columns import column_values, is_table, resolve_columns, table_rows
from fewshot_llm.data.example import Example, as_text, query_of
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.files import Rows, columns_of, read_rows

__all__ = ["Leak", "SupportSet", "folds", "queries", "readable_rows"]


class Leak(NamedTuple):
    """A text that is both in the support set and among the test rows (equal when normalised)."""

    support_row: int
    test_row: int
    text: str


@dataclass(frozen=True)
class SupportSet:
    """The labelled examples a prompt is made from. Every method returns a new set.

    Use one of the constructors `from_file`, `from_rows`, `from_lists`, `from_dataset` or `from_frame`: they clean
    the rows and say in `report` what was done.

    Attributes:
        examples: the examples, in order.
        labels: the task's labels in the task's order; without a task those that occur, sorted.
        label_words: label → words, where the rows bring them.
        report: how this set came from its rows, or from the larger set it was drawn from.

    >>> support = SupportSet.from_lists(["good", "bad", "Bad"], ["positive", "negative", "negative"])
    >>> len(support), support.report.dropped
    (2, 1)
    """

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    label_words: Mapping[str, str] = field(default_factory=dict, hash=False)
    report: CleaningReport = field(default_factory=CleaningReport, compare=False, repr=False)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        task: Task | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        merge_labels: bool = False,
    ) -> SupportSet:
        """Clean rows given as mappings.

        A row without a label (`None`, NaN, pandas' `NA` and `NaT`, an empty text) is left out, and `report` names it.

        Args:
            rows: one mapping per row; or a table, see `from_frame`.
            task: its fields and labels; without one, a row has a `text` and any label.
            columns: field → column, for example `{"text": "评论", "label": "情感"}`. Fields that are left out are
                found by name, and the report says which.
            merge_labels: take labels that differ only in case, underscores, hyphens and white space as the most
                frequent of them; the report says which.

        Raises:
            SupportError: no rows, no such columns, or fewer than two classes with an example.
        """
        rows = table_rows(rows) if is_table(rows) else list(rows)
        if not rows:
            raise SupportError("There are no rows. Give at least one labelled text for each of two classes.")
        names = columns_of(rows)
        where = resolve_columns(names, task, columns)
        cleaned = clean(rows, where, task, merge_labels=merge_labels)
        return cls(cleaned.examples, cleaned.labels, cleaned.label_words, cleaned.report)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        task: Task | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        merge_labels: bool = False,
    ) -> SupportSet:
        """Clean the rows of a JSONL, JSON, CSV, TSV, Parquet or Excel file (`-`: JSONL on standard input).

        See `from_rows`, and `fewshot_llm.files.read_rows` for the formats. How the file was read, where that is not as
        its name promises, is among the report's findings.

        Args:
            path: the file.
            task: as for `from_rows`.
            columns: likewise.
            delimiter: between the cells of a text table; found by content where it is left out.
            encoding: of a text file; found by content where it is left out.
            merge_labels: as for `from_rows`.

        Raises:
            DataFileError: the file or a row of it cannot be read; with the line.
            SupportError: as in `from_rows`, with the file's name.
        """
        rows = read_rows(path, delimiter=delimiter, encoding=encoding)
        return cls.from_read(rows, path, task, columns, merge_labels)

    @classmethod
    def from_read(
        cls,
        rows: Rows,
        path: str | os.PathLike[str],
        task: Task | None,
        columns: Mapping[str, str] | None,
        merge_labels: bool = False,
    ) -> SupportSet:
        """Clean the rows that `read_rows` gave of a file; see `from_file`."""
        try:
            support = cls.from_rows(rows, task, columns, merge_labels=merge_labels)
        except SupportError as error:
            raise SupportError(f"{os.fspath(path)}: {error}") from error
        told = tuple(Finding(note.code, "warning", note.english, note.chinese) for note in rows.notes)
        return replace(support, report=replace(support.report, findings=(*told, *support.report.findings)))

    @classmethod
    def from_lists(
        cls,
        texts: Iterable[str | Mapping[str, Any]],
        labels: Iterable[Any],
        task: Task | None = None,
        *,
        merge_labels: bool = False,
    ) -> SupportSet:
        """Clean texts (or mappings of fields) with one label each, in lists, arrays or Series; see `from_rows`.

        Raises:
            SupportError: as in `from_rows`, or there are more texts than labels or fewer.
        """
        if is_table(texts):
            texts = table_rows(texts)
        texts, labels = column_values(texts), column_values(labels)
        if len(texts) != len(labels):
            raise SupportError(f"There are {len(texts)} texts but {len(labels)} labels. Give one label for each text.")
        main = task.fields[-1] if task else "text"
        rows = [
            {**(text if isinstance(text, Mapping) else {main: text}), "label": label}
            for text, label in zip(texts, labels, strict=True)
        ]
        return cls.from_rows(rows, task, merge_labels=merge_labels)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        task: Task | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        merge_labels: bool = False,
    ) -> SupportSet:
        """Clean the rows of a `datasets.Dataset`; numbers of a `ClassLabel` column become its names.

        Raises:
            SupportError: as in `from_rows`, or a `DatasetDict` was given.
        """
        if isinstance(dataset, Mapping):
            raise SupportError(f"This is a DatasetDict; choose one of its splits: {', '.join(map(str, dataset))}.")
        rows = [dict(row) for row in dataset]
        for column, feature in dataset.features.items():
            names = getattr(feature, "names", None)
            if names is None:
                continue
            for row in rows:
                number = row[column]
                # datasets marks a missing class by -1.
                row[column] = names[number] if number is not None and number >= 0 else None
        return cls.from_rows(rows, task, columns, merge_labels=merge_labels)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        task: Task | None = None,
        columns: Mapping[str, str] | None = None,
        *,
        merge_labels: bool = False,
    ) -> SupportSet:
        """Clean the rows of a pandas or polars frame or a pyarrow table; see `from_rows`."""
        return cls.from_rows(table_rows(frame), task, columns, merge_labels=merge_labels)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the examples and their order."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(example.canonical.encode("utf-8", "surrogatepass") + b"\n")
        return digest.hexdigest()

    @cached_property
    def _positions(self) -> dict[str, tuple[int, ...]]:
        positions: dict[str, list[int]] = {label: [] for label in self.labels}
        for index, example in enumerate(self.examples):
            positions.setdefault(str(example.label), []).append(index)
        return {label: tuple(indices) for label, indices in positions.items()}

    def by_label(self) -> dict[str, tuple[int, ...]]:
        """Label → positions of its examples, every label of the set included."""
        return dict(self._positions)

    def subset(self, indices: Iterable[int]) -> SupportSet:
        """The examples at these positions, in this order."""
        return self._drawn(tuple(indices), ())

    def without(self, indices: Iterable[int]) -> SupportSet:
        """All examples but those at these positions."""
        left_out = set(indices)
        return self._drawn(tuple(index for index in range(len(self)) if index not in left_out), ())

    def sample(self, k: int, seed: int = 0) -> SupportSet:
        """Draw k examples of each class, without replacement, in their order in this set.

        A class with fewer than k gives all it has, and the new set's `report` says so. For one seed the examples
        of k are among those of every larger k, so that a curve over k compares like with like.

        Args:
            k: examples per class, at least 1.
            seed: chooses the examples.

        Raises:
            SupportError: k is less than 1.
        """
        if k < 1:
            raise SupportError(f"k is {k}; a support set needs at least 1 example of each class.")
        drawn: list[int] = []
        findings: list[Finding] = []
        for label, positions in self.by_label().items():
            # A generator per label: what one class holds does not change what is drawn from another.
            drawn.extend(random.Random(f"{seed}/{label}").sample(positions, len(positions))[:k])
            if len(positions) < k:
                english = (
                    f"The class {label!r} has {len(positions)} examples, fewer than the {k} asked for; all are used."
                )
                chinese = f"“{label}”只有 {len(positions)} 个样例，少于要求的 {k} 个，已全部使用。"
                findings.append(Finding("small-class", "warning", english, chinese, positions))
        return self._drawn(tuple(sorted(drawn)), tuple(findings))

    def _drawn(self, kept: tuple[int, ...], findings: tuple[Finding, ...]) -> SupportSet:
        report = CleaningReport(len(self), kept, findings)
        return SupportSet(tuple(self.examples[index] for index in kept), self.labels, self.label_words, report)

    def complete(self, task: Task) -> Task:
        """The task with what these rows bring: their labels where the task has none of its own, and label words."""
        if task.labels and not self.label_words:
            return task
        alike = Counter(map(normalise_text, self.labels)).most_common(1)
        if not task.labels and alike and alike[0][1] > 1:
            told = [finding.english for finding in self.report.findings if finding.code == "label-spellings"]
            raise TaskError(" ".join(["Some labels of the rows read alike.", *told]))
        return task.with_labels(task.labels or self.labels, self.label_words)

    def leak_check(self, test: Iterable[str | Mapping[str, Any] | Example]) -> list[Leak]:
        """Texts that are here and among the test rows too, compared as `normalise_text` gives them.

        Args:
            test: another support set, or examples, mappings of fields, texts.
        """
        here = {normalise_text(example.text): index for index, example in reversed(list(enumerate(self.examples)))}
        leaks = []
        for row, value in enumerate(test):
            text = Example.of(value).text
            index = here.get(normalise_text(text))
            if index is not None:
                leaks.append(Leak(index, row, text))
        return leaks


def queries(
    rows: Sequence[Mapping[str, Any]], task: Task | None = None, columns: Mapping[str, str] | None = None
) -> list[Example]:
    """One unlabelled example per row, for rows that are to be labelled: as many as rows, in their order.

    Args:
        rows: one mapping per row.
        task: its fields; without one, a row has a `text`.
        columns: field → column; fields that are left out are found by name.

    Raises:
        SupportError: no column for a field.
    """
    names = columns_of(rows)
    where = resolve_columns(names, task, columns, labelled=False)
    return [
        Example.of(
            {name: value if isinstance(value, list | dict) else as_text(value) for name, value in fields.items()}
        )
        for fields in map(where.fields, rows)
    ]


def readable_rows(rows: Sequence[Mapping[str, Any]], task: Task, columns: Mapping[str, str] | None = None) -> list[int]:
    """Positions of the rows of a file that have a text in every field that needs one: those that get a label.

    Args:
        rows: one mapping per row.
        task: its fields.
        columns: field → column; fields that are left out are found by name.

    Raises:
        SupportError: no column for a field.
    """
    if not rows:
        return []
    names = dict.fromkeys(name for row in rows for name in row)
    where = resolve_columns(names, task, columns, labelled=False).names
    return [at for at, row in enumerate(rows) if isinstance(query_of(row, where, task.optional_fields), dict)]


def folds(support: SupportSet, n_splits: int, seed: int = 0) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Split a support set into folds; every example is held out exactly once.

    Examples whose normalised texts are equal land in one fold, so that no held-out text was seen. Each class is
    spread evenly: the groups of a class go round the folds, and the next class goes on where it stopped.

    Args:
        support: the set.
        n_splits: how many folds; as many as there are distinct texts is leave-one-out.
        seed: shuffles the groups.

    Returns:
        For each fold the positions to learn from and the positions held out, both ascending, held-out never empty.

    Raises:
        SupportError: fewer than 2 folds, or more folds than distinct texts.

    >>> support = SupportSet.from_lists(["a", "b", "c", "d"], ["x", "y", "x", "y"])
    >>> [len(held_out) for _, held_out in folds(support, 2)]
    [2, 2]
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(support.examples):
        groups[normalise_text(example.text)].append(index)
    if not 2 <= n_splits <= len(groups):
        raise SupportError(
            f"{n_splits} folds were asked for, but there are {len(groups)} distinct texts; expected at least 2 folds "
            "and at most as many as texts. Ask for fewer folds or add examples."
        )
    by_label: dict[str | None, list[list[int]]] = defaultdict(list)
    for group in groups.values():
        by_label[support[group[0]].label].append(group)
    generator = random.Random(seed)
    held_out: list[list[int]] = [[] for _ in range(n_splits)]
    placed = 0
    for label_groups in by_label.values():
        generator.shuffle(label_groups)
        for group in label_groups:
            held_out[placed % n_splits].extend(group)
            placed += 1
    everything = set(range(len(support)))
    return [(tuple(sorted(everything.difference(held))), tuple(sorted(held))) for held in held_out]
