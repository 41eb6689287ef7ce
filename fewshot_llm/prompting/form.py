"""What a task's prompts look like from outside: all that somebody needs to imitate them, and to notice an imitation."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot_llm.language import readable_label
from fewshot_llm.prompting.fields import Fields
from fewshot_llm.prompting.template import Facts, Template
from fewshot_llm.task import Task

__all__ = ["Form"]

_PLACE = "\ue000text\ue001"


@dataclass(frozen=True)
class Form:
    r"""The visible parts of a task's prompts.

    Attributes:
        opening: what the template prints before a text, for example `Review: `.
        closing: what it prints between a text and its answer, for example a line break and `Sentiment: `.
        words: label → its words in the prompt's language.
        names: every other way to write a label: its name, its words in the task's other languages.

    Example:
        >>> from fewshot_llm.prompting.template import load_template
        >>> from fewshot_llm.task import load_task
        >>> task = load_task("review-sentiment")
        >>> form = Form.of(task, load_template(task, "zh"), "zh")
        >>> form.opening, form.closing, form.words["positive"]
        ('评论：', '\n评价：', '正面')
    """

    opening: str
    closing: str
    words: dict[str, str]
    names: tuple[str, ...]

    @classmethod
    def of(cls, task: Task, template: Template, language: str) -> Form:
        """Render one item with a stand-in for its text and see what stands around it.

        Args:
            task: with its labels.
            template: in the prompt's language.
            language: of the prompt.

        Raises:
            TemplateError: rendering fails.
        """
        words = dict(task.words(language))
        facts = Facts(task.instruction.get(language, ""), tuple(words.values()), language)
        values = {name: "" if name in task.optional_fields else _PLACE for name in task.fields}
        item = template.item(facts, Fields({"text": _PLACE, **values, task.fields[-1]: _PLACE}))
        front, _, closing = item.before.rpartition(_PLACE)
        opening = front.rpartition(_PLACE)[2] if _PLACE in front else front
        others = {readable_label(label) for label in task.labels}
        others |= {word for spoken in task.languages if spoken != language for word in task.words(spoken).values()}
        return cls(opening.lstrip(), closing, words, tuple(sorted(others - set(words.values()))))
