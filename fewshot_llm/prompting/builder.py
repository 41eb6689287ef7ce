"""`PromptBuilder`: a task, a template, a selection and a layout turn queries into prompts that fit the context."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fewshot_llm.data.example import Example
from fewshot_llm.data.support_set import SupportSet
from fewshot_llm.data.task import Task
from fewshot_llm.errors import ScoringError, SupportError, TaskError, TemplateError, nearest
from fewshot_llm.files.values import shared_length
from fewshot_llm.prompting.chat import Layout, Plain, Shell
from fewshot_llm.prompting.defence import Armed
from fewshot_llm.prompting.fields import Fields, field_texts, neutralise
from fewshot_llm.prompting.selection import Balanced, IdentityLRU, Selection, own_rows
from fewshot_llm.prompting.template import Template, TemplateContext

__all__ = ["Budget", "Prompt", "PromptBuilder", "bytes_to_read", "cut_middle", "leaving_order"]


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt and the answers that are scored after it.

    `text + answers[j]` is tokenised as one string, so that tokens may merge across the boundary just as they do
    in the demonstrations (which end in `answer + closing`).

    Attributes:
        text: everything up to the place where the answer stands; may end in a space.
        answers: the label words, one string per label, in the task's label order. Never empty.
        closing: what the template writes after an answer (a newline, an end-of-turn mark). It is scored only
            where one answer is the beginning of another.
        demonstrations: positions in the support set of the demonstrations, in prompt order.
        template: name and version of the template, for example `review-sentiment/zh.v1`.
        dropped: positions of demonstrations that were left out because they did not fit the context.
    """

    text: str
    answers: tuple[str, ...]
    closing: str = "\n"
    demonstrations: tuple[int, ...] = ()
    template: str = ""
    dropped: tuple[int, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the text, the answers and the closing."""
        material = json.dumps([self.text, self.answers, self.closing], ensure_ascii=False)
        return hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()


def bytes_to_read(prompts: Sequence[Prompt]) -> int:
    """UTF-8 bytes of prompts and answers, what is shared at the beginning counted once.

    Beginnings are shared among the prompts, and among the answers of one prompt, as a cache would share them. Bytes and
    not characters: a token is four or five bytes of English as of Chinese.

    Args:
        prompts: scored together.

    >>> bytes_to_read([Prompt("Is it good? ", ("yes", "no")), Prompt("Is it bad? ", ("yes", "no"))])
    27
    """
    answers = Counter(prompt.answers for prompt in prompts)
    return _unshared(prompt.text for prompt in prompts) + sum(n * _unshared(words) for words, n in answers.items())


def _unshared(texts: Iterable[str]) -> int:
    """Bytes in the trie of these texts: in sorted order each shares its longest known beginning with the one before."""
    total, before = 0, b""
    for text in sorted(text.encode("utf-8", "surrogatepass") for text in texts):
        total, before = total + len(text) - shared_length(text, before), text
    return total


_SLACK = 16
"""Tokens merge at the places where parts that were counted one by one meet; nearer the limit, the whole is counted."""


@dataclass(frozen=True)
class Budget:
    """A tokenizer and the number of tokens that a prompt with its longest answer may have.

    Attributes:
        tokenizer: a Hugging Face tokenizer.
        limit: tokens in all.
    """

    tokenizer: Any = field(repr=False)
    limit: int

    def count(self, text: str) -> int:
        """Tokens of a part, without any BOS."""
        return len(self.tokenizer.encode(text, add_special_tokens=False, verbose=False))

    def count_start(self, text: str) -> int:
        """Tokens of a prompt's beginning; a BOS that the tokenizer will put before it counts too."""
        bos = self.tokenizer.bos_token
        return len(self.tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)), verbose=False))

    def excess(self, start: str, start_tokens: int, rest: str) -> int:
        """By how many tokens `start + rest` is over the limit; negative or 0 where it fits.

        Args:
            start: what many prompts share.
            start_tokens: `count_start(start)`, known already.
            rest: the query with its longest answer.
        """
        roughly = start_tokens + self.count(rest) - self.limit
        return roughly if abs(roughly) >= _SLACK else self.count_start(start + rest) - self.limit


def leaving_order(
    chosen: Sequence[int], labels: Mapping[int, str], costs: Mapping[int, int], most_useful_last: bool
) -> list[int]:
    """In which order demonstrations leave a prompt that is too long, the least useful first.

    Args:
        chosen: their positions in the support set, in prompt order.
        labels: position → label.
        costs: position → tokens.
        most_useful_last: chosen for the query, so that the first is the least near. Otherwise the longest of the
            largest class leaves, which keeps the classes balanced and the most demonstrations.

    Example:
        >>> leaving_order([4, 2, 7], {4: "a", 2: "b", 7: "a"}, {4: 9, 2: 30, 7: 12}, most_useful_last=False)
        [7, 2, 4]
    """
    if most_useful_last:
        return list(chosen)
    left, sizes = list(chosen), Counter(labels[row] for row in chosen)
    order = []
    while left:
        gone = max(left, key=lambda row: (sizes[labels[row]], costs[row]))
        left.remove(gone)
        sizes[labels[gone]] -= 1
        order.append(gone)
    return order


def cut_middle(text: str, fits: Callable[[str], bool]) -> str:
    """The longest version of `text` that fits, with `…` where its middle was.

    A review's beginning and end say most about it, so it is the middle that goes.

    Example:
        >>> cut_middle("abcdefghij", lambda text: len(text) <= 5)
        'ab…ij'
    """
    low, high = 0, len(text)
    while low < high - 1:
        kept = (low + high) // 2
        low, high = (kept, high) if fits(_without_middle(text, kept)) else (low, kept)
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    front = (kept + 1) // 2
    return text[:front] + "…" + text[len(text) - (kept - front) :]


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Head:
    """A shell, the template's own closing, and the tokens of the shell's start (0 without a budget)."""

    shell: Shell
    closing: str
    tokens: int


@dataclass(frozen=True)
class _Question:
    """A query as the template renders it: its fields, the text, and the white space on both sides of that."""

    values: dict[str, str]
    left: str
    text: str
    right: str
    closing: str


@dataclass(frozen=True, eq=False)
class PromptBuilder:
    r"""Builds the prompt of each query.

    What stands before the query is rendered once for all queries that share their demonstrations, and is then the
    same text to the last character, so that a scorer can compute it once.

    Attributes:
        task: gives the instruction, the label words and the fields.
        template: lays them out.
        language: one of the task's languages.
        selection: chooses the demonstrations.
        shots: how many, per class or in all as the selection says; 0 for none.
        seed: the only source of chance.
        layout: plain text, or the turns of a chat.
        special_tokens: the model's control tokens, broken wherever customer text holds them.
        tokenizer: counts tokens; needed with `token_limit`.
        token_limit: the most tokens that a prompt with its longest answer may have. Demonstrations that do not fit are
            left out, the least useful first, which `Prompt.dropped` and one logged warning say.
        cut_long_text: cut the middle out of a query that does not fit even alone, instead of refusing it.
        defence: what is done to every text first.

    Raises:
        TaskError: the task has no labels yet, or does not speak the language.
        TemplateError: a token limit without a tokenizer.

    Example:
        >>> from fewshot_llm.prompting.template import load_template
        >>> from fewshot_llm.data.task import load_task
        >>> task = load_task("review-sentiment")
        >>> support = SupportSet.from_lists(["很好", "太差"], ["positive", "negative"], task)
        >>> builder = PromptBuilder(task, load_template(task, "zh"), "zh", shots=1)
        >>> prompt = builder.build(Example.of("物流快"), support)
        >>> prompt.text.endswith("评论：物流快\n评价：")
        True
    """

    task: Task
    template: Template
    language: str
    selection: Selection = Balanced()  # noqa: RUF009 (frozen)
    shots: int = 4
    seed: int = 0
    layout: Layout = Plain()  # noqa: RUF009 (frozen)
    special_tokens: tuple[str, ...] = field(default=(), repr=False)
    tokenizer: Any = field(default=None, repr=False)
    token_limit: int | None = None
    cut_long_text: bool = False
    defence: Armed | None = field(default=None, repr=False)
    _chosen: IdentityLRU[tuple[int, ...]] = field(default_factory=lambda: IdentityLRU(256), init=False, repr=False)
    _heads: IdentityLRU[_Head] = field(default_factory=lambda: IdentityLRU(256), init=False, repr=False)
    _rows: IdentityLRU[Fields] = field(default_factory=lambda: IdentityLRU(8192), init=False, repr=False)
    _costs: IdentityLRU[int] = field(default_factory=lambda: IdentityLRU(8192), init=False, repr=False)
    _warned: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self._words:
            raise TaskError(
                f"The task {self.task.name} takes its labels from the rows and has none yet. Call "
                "task.with_labels(support.labels) first."
            )
        if self.shots < 0:
            raise TemplateError(f"shots is {self.shots}; expected 0 (no demonstrations) or more.")
        if self.token_limit is not None and self.tokenizer is None:
            raise TemplateError("A token limit needs the model's tokenizer to count with. Give tokenizer=… as well.")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of `Prompt.answers`."""
        return self.task.labels

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that may change a prompt, except query and support set."""
        material = [
            self.template.name,
            self.template.source,
            self.task.fields,
            self._facts.instruction,
            self._words,
            self.language,
            repr(self.selection),
            self.shots,
            self.seed,
            self.layout.fingerprint,
            self.special_tokens,
            self.token_limit,
            self.cut_long_text,
            # Prompts without either keep their fingerprints.
            *([self.defence.fingerprint] if self.defence else []),
            *([dict(self._facts.descriptions)] if self._facts.descriptions else []),
        ]
        return hashlib.sha256(json.dumps(material, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()

    def build(
        self, query: Example, support: SupportSet, draw: int = 0, *, shown: tuple[int, ...] | None = None
    ) -> Prompt:
        """The prompt of one query.

        Args:
            query: the text to label; its own label, if it has one, is not looked at.
            support: the labelled examples; those with the query's text are left out.
            draw: which of the selection's choices and orders; the same draw gives every query the same
                demonstrations unless the selection depends on the query.
            shown: positions of the demonstrations, in their order, in place of the selection's choice.

        Raises:
            TemplateError: rendering fails, or the query lacks a field.
            SupportError: a demonstration has a label that the task does not.
            ScoringError: the query does not fit the token limit even without demonstrations.
        """
        chosen = self._choose(query, support, draw) if shown is None else shown
        question = self._question(self._values(query))
        kept = chosen
        if self._budget is not None and self._excess(question, chosen, support, self._budget) > 0:
            question = self._shorten(question, support, self._budget, bool(chosen))
            kept = self._fit(question, chosen, support, self._budget)
        head = self._head(question, kept, support)
        return Prompt(
            text=head.shell.start + question.text + head.shell.end,
            answers=tuple(self._words.values()),
            closing=head.shell.closing,
            demonstrations=kept,
            template=self.template.name,
            dropped=tuple(row for row in chosen if row not in kept),
        )

    @cached_property
    def _words(self) -> dict[str, str]:
        return {
            label: neutralise(words, self.special_tokens) for label, words in self.task.words(self.language).items()
        }

    @cached_property
    def _facts(self) -> TemplateContext:
        return TemplateContext.of(self.task, self.language, self.special_tokens)

    @cached_property
    def _budget(self) -> Budget | None:
        return None if self.token_limit is None else Budget(self.tokenizer, self.token_limit)

    @cached_property
    def _longest_answer(self) -> str:
        return max(self._words.values(), key=lambda words: self._budget.count(words) if self._budget else 0)

    def _choose(self, query: Example, support: SupportSet, draw: int) -> tuple[int, ...]:
        if not self.shots:
            return ()
        seed = self.seed * 1_000_003 + draw
        if self.selection.depends_on_query:
            return self.selection.select(support, query, self.shots, seed)
        shared = self._chosen.get(draw, lambda: self.selection.select(support, None, self.shots, seed), owner=support)
        if not set(shared) & set(own := own_rows(support, query)):
            return shared
        return self._chosen.get(
            (draw, own), lambda: self.selection.select(support, query, self.shots, seed), owner=support
        )

    def _values(self, example: Example) -> dict[str, str]:
        return field_texts(self.task, example, self.special_tokens, self.defence or str)

    def _question(self, values: dict[str, str]) -> _Question:
        item = self.template.item(self._facts, Fields(values))
        text = item.before.strip()
        left, _, right = item.before.partition(text) if text else (item.before, "", "")
        return _Question(values, left, text, right, item.closing)

    def _row(self, row: int, support: SupportSet) -> Fields:
        return self._rows.get(row, lambda: Fields(self._values(support[row])), owner=support)

    def _head(self, question: _Question, kept: tuple[int, ...], support: SupportSet) -> _Head:
        """Everything around the query's text; the same object for all queries with these demonstrations."""
        key = (kept, question.left, question.right)
        head = self._heads.get(key, lambda: self._make_head(question, kept, support), owner=support)
        if question.closing != head.closing:
            raise TemplateError(
                f"Template {self.template.name} writes {question.closing[:40]!r} after this query's answer and "
                f"{head.closing[:40]!r} after another's. Let what follows the answer depend on nothing."
            )
        return head

    def _make_head(self, question: _Question, kept: tuple[int, ...], support: SupportSet) -> _Head:
        frame = self.template.frame(self._facts, [self._row(row, support) for row in kept], Fields(question.values))
        answers = [self._word(support[row]) for row in kept]
        turns = list(zip(frame.befores, answers, strict=True))
        shell = self.layout.shell(turns, frame.lead + question.left, question.right, frame.closing)
        return _Head(shell, frame.closing, self._budget.count_start(shell.start) if self._budget else 0)

    def _word(self, example: Example) -> str:
        if example.label not in self._words:
            raise SupportError(
                f"A support example has the label {example.label!r}, which the task {self.task.name} does not have. "
                f"{nearest(str(example.label), self._words)}"
            )
        return self._words[example.label]

    def _excess(self, question: _Question, kept: tuple[int, ...], support: SupportSet, budget: Budget) -> int:
        head = self._head(question, kept, support)
        rest = question.text + head.shell.end + self._longest_answer + head.shell.closing
        return budget.excess(head.shell.start, head.tokens, rest)

    def _fit(
        self, question: _Question, chosen: tuple[int, ...], support: SupportSet, budget: Budget
    ) -> tuple[int, ...]:
        """Leave demonstrations out until the prompt fits; every outcome is counted, none is guessed."""
        kept, leaving = chosen, None
        while kept and (excess := self._excess(question, kept, support, budget)) > 0:
            costs = {row: self._cost(row, support, budget) for row in kept}
            if leaving is None:
                labels = {row: str(support[row].label) for row in chosen}
                leaving = iter(leaving_order(chosen, labels, costs, self.selection.depends_on_query))
            gone: set[int] = set()
            while excess > 0 and len(gone) < len(kept):
                row = next(leaving)
                gone.add(row)
                excess -= costs[row]
            kept = tuple(row for row in kept if row not in gone)
        if len(kept) < len(chosen) and "dropped" not in self._warned:
            self._warned.add("dropped")
            _LOG.warning(
                "%d of %d demonstrations do not fit the limit of %d tokens and are left out, the least useful first; "
                "other queries may lose more or fewer. Use fewer shots or shorter examples.",
                len(chosen) - len(kept),
                len(chosen),
                budget.limit,
            )
        return kept

    def _cost(self, row: int, support: SupportSet, budget: Budget) -> int:
        def count() -> int:
            item = self.template.item(self._facts, self._row(row, support))
            return budget.count(item.before + self._word(support[row]) + item.closing)

        return self._costs.get(row, count, owner=support)

    def _shorten(self, question: _Question, support: SupportSet, budget: Budget, leave_room: bool) -> _Question:
        """The question, cut where it does not fit alone and may be cut; half of the room is left for demonstrations."""
        excess = self._excess(question, (), support, budget)
        if excess <= 0:
            return question
        if not self.cut_long_text:
            raise ScoringError(
                f"A text needs about {budget.limit + excess} tokens without any demonstration, and {budget.limit} fit. "
                f"It begins {question.values['text'][:40]!r}. Shorten it, allow cutting (cut_long_text=True), or use a "
                "model with a longer context."
            )
        room = Budget(budget.tokenizer, budget.limit // 2 if leave_room else budget.limit)
        fields = {name: question.values[name] for name in self.task.fields}
        longest = max(fields, key=lambda name: len(fields[name]))

        def with_text(text: str) -> _Question:
            # Without the defence, which these values have been through.
            return self._question(field_texts(self.task, Example(fields | {longest: text}), self.special_tokens))

        cut = with_text(cut_middle(fields[longest], lambda text: self._excess(with_text(text), (), support, room) <= 0))
        if self._excess(cut, (), support, budget) > 0:
            raise ScoringError(
                f"The template, the instruction and the label words alone do not fit {budget.limit} tokens. Use a "
                "model with a longer context."
            )
        return cut
