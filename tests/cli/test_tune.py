"""`fewshot-llm tune`, on the tiny model's folder."""

from __future__ import annotations

import json

import pytest

RECIPE = "rank = 2\nlearning_rate = 0.02\nepochs = 2\nfolds = 2\n"


@pytest.fixture
def tune(run, shop, tiny_model_folder):
    (shop / "tiny.toml").write_text(RECIPE, encoding="utf-8")

    def call(*more):
        return run(
            "tune", "review-sentiment", "--support", "support.csv", "--out", "out", "--model", tiny_model_folder,
            "--device", "cpu", "--recipe", "tiny.toml", *more,
        )  # fmt: skip

    return call


def test_an_easy_target_saves_a_classifier_with_its_decision(tune, shop):
    result = tune("--target", "0.01", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["rung"] == "words"
    assert summary["reached"]
    decision = json.loads((shop / "out" / "decision.json").read_text(encoding="utf-8"))
    assert decision["reason"] == summary["reason"]
    assert (shop / "out" / "fewshot.json").is_file()


def test_force_trains_and_the_folder_labels(tune, run, shop):
    result = tune("--force", "--test", "support.csv")
    assert result.exit_code == 0, result.output
    assert "epoch 1: training loss" in result.stdout
    assert "On 6 test rows: accuracy" in result.stdout
    assert "fold 2/2 epoch 2/2" in result.stderr
    assert {path.name for path in (shop / "out").iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "fewshot.json", "template.jinja",
        "README.md", "decision.json",
    }  # fmt: skip
    assert not list(shop.glob(".*"))

    from fewshot_llm.estimators import FewShotClassifier

    classifier = FewShotClassifier.load(shop / "out", device="cpu")
    assert classifier.predict(["Fast delivery"]).shape == (1,)


def test_an_earlier_result_is_only_replaced_when_asked(tune):
    assert tune("--target", "0.01").exit_code == 0
    refused = tune("--target", "0.01")
    assert refused.exit_code == 2
    assert "there already" in refused.output.replace("\n", " ")
    assert tune("--target", "0.01", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "1.5"), "above 0 and at most 1"),
        (("--budget-minutes", "0"), "more than 0"),
        (("--recipe", "smal"), "Did you mean small"),
    ],
)
def test_bad_settings_fail_before_the_model_is_loaded(tune, shop, options, message):
    result = tune(*options)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert not (shop / "out").exists()


def test_one_row_of_a_class_is_refused(tune, shop):
    (shop / "support.csv").write_text("text,label\na,positive\nb,negative\nc,negative\n", encoding="utf-8")
    result = tune()
    assert result.exit_code == 1
    assert "at least 2 rows of each class" in " ".join(result.output.split())
