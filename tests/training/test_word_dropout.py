from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import Example, load_task
from fewshot_llm.prompting import PromptBuilder, load_template
from fewshot_llm.training import drop_words, drop_words_of, fit_adapter, row_maker, rows_by_epoch, target_positions


@given(st.text(), st.floats(0, 0.99), st.integers(0, 99))
def test_what_is_left_stands_in_its_order_and_something_always_is(text, share, seed):
    left = drop_words(text, share, np.random.default_rng(seed))
    rest = iter(text)
    assert all(character in rest for character in left)
    assert bool(left.strip()) == bool(text.strip())


@pytest.mark.parametrize("text", ["My card has not arrived yet!", "物流很快，下次还会再来", "iPhone 手机很好用"])
def test_the_share_of_what_is_left_out_is_the_share_that_was_asked_for(text):
    generator = np.random.default_rng(0)
    kept = np.mean([len(drop_words(text, 0.25, generator).replace(" ", "")) for _ in range(2000)])
    assert kept / len(text.replace(" ", "")) == pytest.approx(0.75, abs=0.02)
    assert drop_words(text, 0.0, generator) == text


def test_words_stay_whole():
    words = {drop_words("cash machine", 0.5, np.random.default_rng(seed)) for seed in range(30)}
    assert words == {"cash machine", "cash", "machine"}
    assert "很快" in {drop_words("物流很快", 0.5, np.random.default_rng(seed)) for seed in range(30)}


def test_only_texts_lose_words():
    row = drop_words_of(Example({"title": "a b c d e f g h", "price": 12}, "toys"), 0.5, np.random.default_rng(0))
    assert len(row.fields["title"].split()) < 8
    assert (row.fields["price"], row.label) == (12, "toys")


@pytest.fixture
def builder():
    task = load_task("review-sentiment")
    return PromptBuilder(task, load_template(task, "en"), "en", shots=0)


def test_each_epoch_and_each_training_leaves_out_other_words(llama, support, builder, recipe):
    make, rows = row_maker(builder, support, llama.tokenizer), range(len(support))
    fewer = recipe.model_copy(update={"word_dropout": 0.5})
    first, second = (rows_by_epoch(make, rows, fewer, seed) for seed in (0, 1))
    seen = [tuple(row.context for row in source(epoch)) for source in (first, second) for epoch in (0, 1)]
    assert len(set(seen)) == 4
    assert seen[0] == tuple(row.context for row in first(0)), "an epoch that is asked for again is the same"
    whole = sum(len(row.context) for row in make(rows, rows, 0))
    assert all(sum(map(len, contexts)) < whole for contexts in seen)


def test_a_row_that_lost_words_does_not_demonstrate_itself(llama, support, builder):
    make = row_maker(replace(builder, shots=4), support, llama.tokenizer)
    pool = range(len(support))
    for row, encoded in enumerate(make(pool, pool, 0, lambda example: Example({"text": "changed"}))):
        text = llama.tokenizer.decode(encoded.context)
        assert support[row].text not in text
        assert text.count("changed") == 1


def test_a_training_goes_on_where_it_was_cut_short(llama, support, builder, recipe, tmp_path):
    make, targets = row_maker(builder, support, llama.tokenizer), target_positions(builder, support)
    fewer = recipe.model_copy(update={"word_dropout": 0.3})
    whole = fit_adapter(llama, make, targets, fewer)

    def stop(report):
        if report.epoch == 2:
            raise KeyboardInterrupt

    assert fit_adapter(llama, make, targets, fewer, checkpoints=tmp_path, on_epoch=stop).interrupted
    again = fit_adapter(llama, make, targets, fewer, checkpoints=tmp_path)
    assert again.losses == pytest.approx(whole.losses)
    assert again.losses != pytest.approx(fit_adapter(llama, make, targets, recipe).losses)
