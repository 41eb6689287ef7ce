from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier, Task, load_task
from fewshot_llm.errors import AdapterError, ArtifactError, FewshotError, ModelError
from fewshot_llm.predictors import PointwiseMutualInformation
from fewshot_llm.prompting import Balanced, Chat, Diverse, Nearest, NearestHidden, RandomOrder
from fewshot_llm.scoring import MeanHiddenState
from fewshot_llm.stats import Uncalibrated

INTENT = Task(name="customer-intent", languages=("zh",), folder=load_task("customer-intent").folder)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shots": 0, "calibration": Uncalibrated()},
        {"selection": Diverse(0.4), "permutations": 2, "seed": 5},
        {"normalisation": "pmi", "layout": "chat", "label_words": {"positive": "赞"}},
        {"normalisation": "mean", "selection": RandomOrder(), "language": "en", "template": 1},
        {"selection": Nearest(), "shots": 3, "cut_long_text": True},
    ],
)
def test_a_loaded_classifier_answers_as_the_saved_one(tmp_path, llama, reviews, options):
    saved = FewShotClassifier(model=llama, **{"shots": 2, **options}).fit(*reviews)
    saved.save(tmp_path / "deep" / "model")
    loaded = FewShotClassifier.load(tmp_path / "deep" / "model", model=llama)
    texts = ["物流很快", "再也不买", reviews[0][0]]
    assert loaded.predictions(texts) == saved.predictions(texts)
    assert loaded.predict(texts).tolist() == saved.predict(texts).tolist()
    assert loaded.support_.fingerprint == saved.support_.fingerprint
    assert loaded.predictor_.inference.builder.fingerprint == saved.predictor_.inference.builder.fingerprint
    loaded.save(tmp_path / "again")
    assert FewShotClassifier.load(tmp_path / "again", model=llama).predictions(texts) == saved.predictions(texts)


def test_a_model_that_was_named_is_found_again(tmp_path, tiny_model_folder, reviews):
    saved = FewShotClassifier(model=str(tiny_model_folder), shots=2).fit(*reviews)
    saved.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", device="cpu")
    assert loaded.predict_proba(["好"]) == pytest.approx(saved.predict_proba(["好"]))


def test_a_hidden_state_selection_is_rebuilt_from_the_model(tmp_path, llama, reviews):
    saved = FewShotClassifier(model=llama, selection=NearestHidden(MeanHiddenState(llama)), shots=2).fit(*reviews)
    saved.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", model=llama)
    assert loaded.predictions(["好"]) == saved.predictions(["好"])


@pytest.mark.parametrize("values", [[1, 0], [True, False], ["是", "否"]])
def test_classes_come_back_as_they_were(tmp_path, words, reviews, values):
    saved = FewShotClassifier(INTENT, words, shots=1).fit(reviews[0], values * 8)
    saved.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", model=words)
    assert loaded.classes_.dtype.kind == saved.classes_.dtype.kind
    assert loaded.classes_.tolist() == saved.classes_.tolist()


def test_what_is_written_is_text(tmp_path, llama, reviews):
    FewShotClassifier(model=llama, shots=2).fit(*reviews).save(tmp_path / "model")
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["README.md", "fewshot.json", "support.jsonl", "template.jinja"]
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]
    record = json.loads((tmp_path / "model" / "fewshot.json").read_text(encoding="utf-8"))
    assert record["prompt"]["task"]["label_words"]["zh"]["positive"] == "正面"
    assert record["versions"]["torch"]
    assert "正面" in (tmp_path / "model" / "fewshot.json").read_text(encoding="utf-8")


def test_a_folder_in_use_is_left_alone(tmp_path, words, reviews):
    classifier = FewShotClassifier(model=words, shots=1).fit(*reviews)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ArtifactError, match=r"holds mine\.txt"):
            classifier.save(tmp_path / "notes", overwrite)
    classifier.save(tmp_path / "model")
    with pytest.raises(AdapterError, match="is there already"):
        classifier.save(tmp_path / "model")
    classifier.set_params(shots=2).fit(*reviews).save(tmp_path / "model", overwrite=True)
    assert FewShotClassifier.load(tmp_path / "model", model=words).shots == 2
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"holds mine\.txt"):
        classifier.save(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "mine.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "model"}


def test_a_failed_save_leaves_the_old_one(tmp_path, words, reviews, monkeypatch):
    classifier = FewShotClassifier(model=words, shots=1).fit(*reviews)
    classifier.save(tmp_path / "model")
    monkeypatch.setattr("fewshot_llm.artifacts.folder.atomic_write_json", lambda *_: (_ for _ in ()).throw(OSError(28)))
    with pytest.raises(OSError):
        classifier.save(tmp_path / "model", overwrite=True)
    assert FewShotClassifier.load(tmp_path / "model", model=words).shots == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"selection": NearestHidden(lambda texts: np.ones((len(texts), 2)))}, "it is code"),
        ({"normalisation": PointwiseMutualInformation(("n/a",))}, "by name"),
    ],
)
def test_code_is_not_saved(tmp_path, words, reviews, options, word):
    classifier = FewShotClassifier(model=words, **options).fit(*reviews)
    with pytest.raises(ModelError, match=word):
        classifier.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_folder_is_refused(tmp_path, words, reviews):
    with pytest.raises(ArtifactError, match=r"no fewshot\.json"):
        FewShotClassifier.load(tmp_path)
    classifier = FewShotClassifier(model=words, shots=1).fit(*reviews)
    classifier.save(tmp_path / "model")
    with (tmp_path / "model" / "support.jsonl").open("a", encoding="utf-8") as rows:
        rows.write('{"text": "更多", "label": "positive"}\n')
    with pytest.raises(ArtifactError, match=r"support\.jsonl is not the file"):
        FewShotClassifier.load(tmp_path / "model", model=words)
    (tmp_path / "model" / "fewshot.json").write_text('{"format": 3}')
    with pytest.raises(ArtifactError, match="damaged or of another version"):
        FewShotClassifier.load(tmp_path / "model", model=words)


def test_another_model_is_refused_unless_allowed(tmp_path, llama, words, reviews):
    mine, other = (dataclasses.replace(llama, sha256=digest) for digest in ("a" * 64, "b" * 64))
    FewShotClassifier(model=mine, shots=1).fit(*reviews).save(tmp_path / "model")
    with pytest.raises(ArtifactError, match="calibration does not fit"):
        FewShotClassifier.load(tmp_path / "model", model=other)
    allowed = FewShotClassifier.load(tmp_path / "model", model=other, allow_base_mismatch=True)
    assert allowed.predict(["好"]).shape == (1,)
    FewShotClassifier(model=words, shots=1).fit(*reviews).save(tmp_path / "own")
    with pytest.raises(ArtifactError, match="scorer of your own"):
        FewShotClassifier.load(tmp_path / "own")


def test_selections_by_name_are_all_that_need_nothing_else():
    from fewshot_llm.artifacts import restore_selection, selection_record

    for selection in (Balanced(), RandomOrder(), Nearest(), Diverse(0.25)):
        assert restore_selection(selection_record(selection), scorer=None) == selection
    for record, word in (({"kind": "Nearst"}, "Did you mean Nearest"), ({"kind": "Nearest", "k": 3}, "does not take")):
        with pytest.raises(ModelError, match=word):
            restore_selection(record, scorer=None)


def test_a_chat_layout_is_rebuilt_from_the_tokenizer(tmp_path, llama, reviews):
    saved = FewShotClassifier(model=llama, layout=Chat(llama.tokenizer), shots=1).fit(*reviews)
    saved.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", model=llama)
    assert loaded.layout == "chat"
    assert loaded.predictions(["好"]) == saved.predictions(["好"])


DAMAGES = [
    (("prompt", "task"), {}),
    (("classes",), []),
    (("classes", 0), "another"),
    (("prompt", "selection", "kind"), None),
    (("prompt", "selection", "kind"), []),
    (("calibrations",), []),
    (("calibrations", 0), {}),
    (("calibrations", 0, "bias"), None),
    (("calibrations", 0, "bias"), "x"),
    (("calibrations", 0, "bias"), [0.0]),
    (("calibrations", 0, "bias", 0), []),
    (("calibrations", 0, "temperature"), None),
    (("calibrations", 0, "temperature"), []),
    (("policy",), 1),
    (("files",), {"x\0": ""}),
]


@pytest.mark.parametrize(("keys", "value"), DAMAGES)
def test_a_record_that_says_what_it_cannot(tmp_path, llama, reviews, keys, value):
    FewShotClassifier(model=llama, shots=1).fit(*reviews).save(tmp_path / "model")
    path = tmp_path / "model" / "fewshot.json"
    record = part = json.loads(path.read_text(encoding="utf-8"))
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(FewshotError):
        FewShotClassifier.load(tmp_path / "model", model=llama)


def test_a_decision_that_is_damaged(tmp_path, llama, reviews):
    FewShotClassifier(model=llama, shots=1).fit(*reviews).save(tmp_path / "model")
    (tmp_path / "model" / "decision.json").write_text("[]", encoding="utf-8")
    with pytest.raises(FewshotError, match=r"decision\.json"):
        FewShotClassifier.load(tmp_path / "model", model=llama)


def test_a_folder_of_an_earlier_format_says_what_to_do(tmp_path, words):
    (tmp_path / "classifier.json").write_text('{"format": 1}')
    with pytest.raises(ArtifactError, match=r"earlier version.*Fit again"):
        FewShotClassifier.load(tmp_path, model=words)
    (tmp_path / "classifier.json").unlink()
    (tmp_path / "fewshot.json").write_text('{"format": 1}')
    with pytest.raises(ArtifactError, match="Fit again"):
        FewShotClassifier.load(tmp_path, model=words)
