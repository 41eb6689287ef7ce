from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.special import log_softmax

from fewshot_llm.data import Example, load_task
from fewshot_llm.errors import TuningError
from fewshot_llm.prompting import PromptBuilder, load_template
from fewshot_llm.scoring import encode
from fewshot_llm.training import adapted, label_table, row_maker, target_positions, train_adapter


def same(one, other):
    return all(torch.equal(one.adapter.weights[name], other.adapter.weights[name]) for name in one.adapter.weights)


@pytest.mark.parametrize("changes", [{}, {"loss": "tokens"}, {"layers": "top:1"}, {"dropout": 0.2}])
def test_training_learns_the_rows(any_model, encoded, targets, recipe, changes):
    rows = encoded(any_model)
    recipe = recipe.model_copy(update={"epochs": 24, "learning_rate": 5e-2, **changes})
    training = train_adapter(any_model, lambda epoch: rows, targets, recipe)
    assert len(training.losses) == 24
    assert training.losses[-1] < training.losses[0] * 0.7
    before, after = (label_table(m, rows, 512) for m in (any_model, adapted(any_model, training.adapter)))
    if recipe.loss == "labels":
        before, after = (log_softmax(table, axis=1) for table in (before, after))
    assert after[range(6), targets].mean() > before[range(6), targets].mean() + 1


def test_the_first_loss_is_that_of_the_base_model(llama, encoded, targets, recipe):
    # B is zero at first, so one step over all rows reports the base model's own loss.
    rows = encoded(llama)
    scores = torch.tensor(label_table(llama, rows, 512))
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(targets)).item()
    training = train_adapter(llama, lambda e: rows, targets, recipe.model_copy(update={"batch_rows": 6}), stop_after=1)
    assert training.losses[0] == pytest.approx(expected, abs=1e-4)


def test_small_packs_add_up_to_the_same_step(llama, encoded, targets, recipe):
    rows = encoded(llama)
    whole, parts = (
        train_adapter(llama, lambda e: rows, targets, recipe.model_copy(update={"pack_tokens": tokens}))
        for tokens in (4096, 16)
    )
    assert whole.losses == pytest.approx(parts.losses, abs=1e-3)


def test_the_seed_decides_everything_and_leaves_the_callers_alone(llama, encoded, targets, recipe):
    rows = encoded(llama)
    recipe = recipe.model_copy(update={"dropout": 0.2})
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = train_adapter(llama, lambda e: rows, targets, recipe, seed=3)
    assert torch.equal(torch.rand(1), expected)
    assert same(one, train_adapter(llama, lambda e: rows, targets, recipe, seed=3))
    assert not same(one, train_adapter(llama, lambda e: rows, targets, recipe, seed=4))


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_training_equals_an_unbroken_one(llama, encoded, targets, recipe, tmp_path, stop):
    rows = encoded(llama)
    recipe = recipe.model_copy(update={"dropout": 0.2})
    whole = train_adapter(llama, lambda e: rows, targets, recipe)
    path = tmp_path / "training.safetensors"
    train_adapter(llama, lambda e: rows, targets, recipe, stop_after=stop, checkpoint=path)
    seen = []
    resumed = train_adapter(
        llama, lambda e: rows, targets, recipe, checkpoint=path, on_epoch=lambda r, m: seen.append(r.epoch)
    )
    assert seen == list(range(stop + 1, recipe.epochs + 1))
    assert resumed.losses == whole.losses
    assert same(resumed, whole)


def test_another_trainings_checkpoint_is_not_continued(llama, encoded, targets, recipe, tmp_path):
    rows = encoded(llama)
    path = tmp_path / "training.safetensors"
    train_adapter(llama, lambda e: rows, targets, recipe, checkpoint=path)
    other = train_adapter(llama, lambda e: rows, targets, recipe, seed=1, checkpoint=path)
    assert same(other, train_adapter(llama, lambda e: rows, targets, recipe, seed=1))


def test_a_damaged_checkpoint_is_an_error(llama, encoded, targets, recipe, tmp_path):
    path = tmp_path / "training.safetensors"
    path.write_bytes(b"not safetensors")
    with pytest.raises(TuningError, match="damaged"):
        train_adapter(llama, lambda e: encoded(llama), targets, recipe, checkpoint=path)


def test_ctrl_c_keeps_the_last_finished_epoch(llama, encoded, targets, recipe):
    rows = encoded(llama)

    def until(epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return rows

    stopped = train_adapter(llama, until, targets, recipe)
    assert stopped.interrupted
    assert same(stopped, train_adapter(llama, lambda e: rows, targets, recipe, stop_after=2))


def test_ctrl_c_before_the_first_epoch_passes_through(llama, targets, recipe, encoded):
    def never(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_adapter(llama, never, targets, recipe)


def test_a_loss_that_is_not_finite_says_where_and_what_to_try(llama, encoded, targets, recipe):
    rows = encoded(llama)
    wild = recipe.model_copy(update={"learning_rate": 1.0, "alpha": 1e30, "epochs": 20})
    with pytest.raises(TuningError, match=r"step \d+ of 40 with learning rate .*lower learning_rate"):
        train_adapter(llama, lambda e: rows, targets, wild)


def test_rows_and_labels_must_fit(llama, encoded, targets, recipe):
    with pytest.raises(TuningError, match="6 rows were given with 5 labels"):
        train_adapter(llama, lambda e: encoded(llama), targets[:5], recipe)


def test_half_precision_on_a_cpu_is_refused(llama, encoded, targets, recipe):
    half = replace(llama, dtype=torch.bfloat16)
    with pytest.raises(TuningError, match="float32"):
        train_adapter(half, lambda e: encoded(llama), targets, recipe)


@pytest.mark.parametrize("shots", [0, 1])
def test_training_rows_are_the_prompts_that_are_served(llama, support, shots):
    task = load_task("review-sentiment")
    builder = PromptBuilder(task, load_template(task, "en"), "en", shots=shots)
    make = row_maker(builder, support, llama.tokenizer)
    pool = list(range(len(support)))
    trained = make(pool, [2, 7], 1)
    served = encode(llama.tokenizer, [builder.build(Example.of(support[row].text), support, 1) for row in (2, 7)])
    assert list(trained) == served
    assert [builder.labels[t] for t in target_positions(builder, support)] == [row.label for row in support]


def test_a_row_never_demonstrates_itself(llama, support):
    task = load_task("review-sentiment")
    builder = PromptBuilder(task, load_template(task, "en"), "en", shots=4)
    for draw in range(3):
        for row, encoded_row in enumerate(row_maker(builder, support, llama.tokenizer)(range(10), range(10), draw)):
            text = llama.tokenizer.decode(encoded_row.context)
            assert text.count(support[row].text) == 1
