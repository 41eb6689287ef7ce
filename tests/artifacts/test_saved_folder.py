"""One folder for whatever is fitted: it comes back to the last bit, and what was changed by hand is refused."""

from __future__ import annotations

import json
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fewshot_llm
from fewshot_llm import (
    FewShotClassifier,
    FewShotMultiLabelClassifier,
    FewShotRanker,
    FewShotRegressor,
    Grid,
    SupportSet,
    load_estimator,
    load_model,
)
from fewshot_llm.artifacts import FILES, AnyRecord, read_record
from fewshot_llm.data import Example, load_task
from fewshot_llm.errors import ArtifactError, FewshotError, ModelError
from fewshot_llm.estimators import ESTIMATORS, TextEstimator
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Lora, NumberLadder
from fewshot_llm.predictors import (
    Basket,
    Choice,
    Correction,
    LetterPrompt,
    Monotone,
    PmiPrompt,
    TitlePrompt,
    YesNoPrompt,
)
from fewshot_llm.prompting import Nearest
from fewshot_llm.selective import SelectivePolicy
from fewshot_llm.training import Recipe
from tests.conftest import tiny_model
from tests.reading_scorer import ReadingScorer

ZH = [
    "很好，喜欢",
    "太差了，退货",
    "质量不错",
    "垃圾，退货",
    "会再买",
    "很差，失望",
    "好看",
    "不会再买",
    "推荐",
    "假货",
]
EN = [
    "very good, I like it",
    "bad, sent back",
    "nice quality",
    "rubbish, sent back",
    "will buy again",
    "a disappointment",
    "pretty",
    "never again",
    "recommended",
    "a fake",
]
NEW = {"zh": ["物流很快，质量也好", "坏了", "价格可以"], "en": ["fast and good", "it broke", "fair price"]}
LABELS = ["positive", "negative"] * 5
STARS = [5, 1, 4, 2, 5.0, 1.5, 4, 1, 4.5, 2]
TAGS = [
    ["delivery"],
    ["price"],
    ["delivery"],
    [],
    ["price"],
    ["delivery", "price"],
    ["price"],
    ["quality"],
    [],
    ["price"],
]
PAIRS = {"cup": "saucer", "nail": "hammer", "pen": "paper", "hat": "scarf", "key": "lock"}
CHOICES = [
    Choice((first, "box"), tuple(np.roll(list(PAIRS.values()), turn + extra).tolist()), second, f"user {turn}")
    for extra in range(3)
    for turn, (first, second) in enumerate(PAIRS.items())
]
BASKETS = [Basket(frozenset({first, second, "box"}), f"user {at}") for at, (first, second) in enumerate(PAIRS.items())]
BASKETS += [Basket(frozenset({"odd | title", "tea  cup"}), "")]


def texts(language: str) -> list[str]:
    return ZH if language == "zh" else EN


def classifier(language: str, **options: Any) -> FewShotClassifier:
    fitted = FewShotClassifier(model=tiny_model("llama"), language=language, **{"shots": 2, **options})
    return fitted.fit(texts(language), LABELS)


def regressor(language: str, **options: Any) -> FewShotRegressor:
    options = {"shots": 1, "interval_folds": 3, "grid": Grid((1, 2.5, 4, 5)), **options}
    return FewShotRegressor(model=tiny_model("llama"), language=language, **options).fit(texts(language), STARS)


def tagger(language: str, **options: Any) -> FewShotMultiLabelClassifier:
    fitted = FewShotMultiLabelClassifier(
        model=tiny_model("llama"), language=language, labels=("delivery", "price", "quality"), shots=1, **options
    )
    return fitted.fit(texts(language), TAGS)


def ranker(language: str, **options: Any) -> FewShotRanker:
    baskets = options.pop("baskets", BASKETS)
    fitted = FewShotRanker(model=tiny_model("llama"), language=language, **{"shots": 2, **options})
    return fitted.fit(CHOICES, [choice.chosen for choice in CHOICES], baskets)


def answers(estimator: TextEstimator, language: str) -> list[Any]:
    """Everything that an estimator says, as plain values."""
    new = NEW[language]
    match estimator:
        case FewShotClassifier():
            said = [
                (one.label, dict(one.probabilities), one.abstained, one.reason) for one in estimator.predictions(new)
            ]
            return [said, estimator.predict(new).tolist(), estimator.classes_.tolist()]
        case FewShotRegressor():
            said = [estimator.predict(new).tolist(), estimator.targets_.tolist(), estimator.model_.held_out.tolist()]
            if estimator.folds_ is None:
                return said[:2]
            bounds = [bound.tolist() for bound in estimator.predict_interval(new, 0.5)]
            return [*said[:2], np.nan_to_num(said[2], nan=-1.0).tolist(), bounds, estimator.cross_validated_error()]
        case FewShotMultiLabelClassifier():
            return [estimator.predict_proba(new).tolist(), estimator.answers(new), estimator.classes_.tolist()]
        case FewShotRanker():
            return [estimator.answers(CHOICES), [row.tolist() for row in estimator.predict_log_proba(CHOICES[:4])]]
    raise AssertionError(estimator)


FITTED = {
    "labels": lambda language: classifier(language),
    "labels, costs": lambda language: classifier(
        language, policy=SelectivePolicy(costs={"positive": {"negative": 2.0}, "negative": {"positive": 1.0}})
    ),
    "labels, contract": lambda language: classifier(
        language, permutations=2, policy=SelectivePolicy(max_error=0.5, confidence=0.6)
    ),
    "labels, out of scope": lambda language: classifier(
        language, shots=0, policy=SelectivePolicy(out_of_scope=0.2, max_error=0.6, confidence=0.5)
    ),
    "numbers": lambda language: regressor(language),
    "numbers, steps": lambda language: regressor(language, correction=Monotone(), permutations=2, selection=Nearest()),
    "numbers, no intervals": lambda language: regressor(language, interval_folds=0, shots=0),
    "tags": lambda language: tagger(language),
    "tags, nearest": lambda language: tagger(language, selection=Nearest(), seed=3, layout="chat"),
    "ranking, pmi": lambda language: ranker(language, prompt=PmiPrompt()),
    "ranking, title": lambda language: ranker(language, prompt=TitlePrompt(), baskets=()),
    "ranking, yes or no": lambda language: ranker(language, prompt=YesNoPrompt(), layout="chat"),
    "ranking, letters": lambda language: ranker(language, prompt=LetterPrompt(3), seed=2),
    "ranking, no mix": lambda language: ranker(language, shots=12, baskets=()),
    "ranking, zero-shot": lambda language: ranker(language, shots=0),
}
ONE_OF_EACH = ("labels", "numbers", "tags", "ranking, letters")


@cache
def fitted(kind: str, language: str = "zh") -> TextEstimator:
    return FITTED[kind](language)


@pytest.fixture(params=ONE_OF_EACH)
def saved(request, tmp_path) -> Path:
    """A folder of each kind."""
    fitted(request.param).save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", FITTED)
def test_it_comes_back_to_the_last_bit(tmp_path, kind, language):
    before = fitted(kind, language)
    before.save(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} <= set(FILES)
    again = load_estimator(tmp_path / "saved", model=tiny_model("llama"))
    assert type(again) is type(before)
    assert answers(again, language) == answers(before, language)
    again.save(tmp_path / "again")
    once_more = type(before).load(tmp_path / "again", model=tiny_model("llama"))
    assert answers(once_more, language) == answers(before, language)
    for name in ("fewshot.json", "support.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "saved" / name).read_bytes()


@pytest.mark.parametrize("kind", ["numbers", "tags", "ranking, pmi"])
def test_what_was_loaded_can_be_fitted_again(tmp_path, kind):
    before = fitted(kind)
    before.save(tmp_path / "saved")
    again = load_estimator(tmp_path / "saved", model=tiny_model("llama"))
    rows = {"numbers": (ZH, STARS), "tags": (ZH, TAGS)}.get(kind, (CHOICES, [choice.chosen for choice in CHOICES]))
    again.fit(*rows, *([BASKETS] if kind.startswith("ranking") else []))
    assert answers(again, "zh") == answers(before, "zh")


def test_a_model_that_was_named_is_found_again(tmp_path, tiny_model_folder):
    before = FewShotRegressor(model=str(tiny_model_folder), shots=1, interval_folds=2, device="cpu").fit(ZH, STARS)
    before.save(tmp_path / "saved")
    again = FewShotRegressor.load(tmp_path / "saved", device="cpu")
    assert answers(again, "zh") == answers(before, "zh")


def test_every_kind_of_task_has_an_estimator_and_a_record():
    records = {one.answers for one in AnyRecord.__origin__.__args__}
    assert records == set(ESTIMATORS)


def test_another_kind_is_refused_before_a_model_is_loaded(saved):
    """The message says what the folder holds, and what opens it."""
    kind = read_record(saved).answers
    _, opens = ESTIMATORS[kind]
    for other in (FewShotClassifier, FewShotRegressor, FewShotMultiLabelClassifier, FewShotRanker):
        if other._kind != kind:
            with pytest.raises(ArtifactError, match=rf"{opens} fitted, which answers {kind} tasks.*{opens}\.load\("):
                other.load(saved)


def test_a_scorer_of_the_users_own_has_to_be_given_again(tmp_path):
    scorer = ReadingScorer(lambda query, names: [float(len(query) % 3 - at) for at in range(len(names))])
    before = FewShotRegressor("review-rating", scorer, language="zh", interval_folds=2).fit(ZH, STARS)
    before.save(tmp_path / "saved")
    with pytest.raises(ArtifactError, match="scorer of your own"):
        load_estimator(tmp_path / "saved")
    other = ReadingScorer(scorer.rule)
    other.fingerprint = "another"
    with pytest.raises(ArtifactError, match="calibration does not fit"):
        load_estimator(tmp_path / "saved", model=other)
    assert answers(load_estimator(tmp_path / "saved", model=scorer), "zh") == answers(before, "zh")


class OwnCurve:
    def __call__(self, x):
        return x


class OwnCorrection:
    def fit(self, scores, values, targets):
        return Correction(1.0, OwnCurve())


class OwnPrompt:
    def prepare(self, context, shown, spare):
        return lambda choices, progress: [np.zeros((len(choice.candidates), 1)) for choice in choices]


class OwnPmi(PmiPrompt):
    """A subclass may do anything."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: regressor("zh", correction=OwnCorrection(), interval_folds=0),
        lambda: ranker("zh", prompt=OwnPrompt()),
        lambda: ranker("zh", prompt=OwnPmi()),
        lambda: tagger("zh", selection=type("Own", (Nearest,), {})()),
    ],
)
def test_code_is_not_saved(tmp_path, make):
    with pytest.raises(ModelError, match="code"):
        make().save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


# Values


@pytest.mark.parametrize(
    ("fields", "odd"),
    [
        ({"text": "好", "price": None}, None),
        ({"text": "好", "price": 3}, None),
        ({"text": "好", "price": 0.1, "many": [1, "a"]}, None),
        ({"text": 'a|b\n"c" \u2028'}, None),
        ({"text": "好", "price": float("nan")}, "price"),
        ({"text": "好", "price": float("inf")}, "price"),
        ({"text": "好", "when": np.datetime64("2026-01-01")}, "when"),
    ],
)
def test_odd_values_of_rows_come_back_or_are_refused(tmp_path, fields, odd):
    support = SupportSet((Example(fields, "positive"), Example({"text": "坏"}, "negative")), ("positive", "negative"))
    before = FewShotClassifier(model=tiny_model("llama"), shots=0).fit_support(support)
    if odd is None:
        before.save(tmp_path / "saved")
        again = FewShotClassifier.load(tmp_path / "saved", model=tiny_model("llama"))
        assert [dict(row.fields) for row in again.support_] == [dict(row.fields) for row in support]
        assert again.support_.fingerprint == support.fingerprint
        return
    with pytest.raises(ArtifactError, match=rf"cannot be saved.*{odd}"):
        before.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "place"),
    [({"seed": 2**70}, "seed"), ({"shots": 10**12}, "shots")],
)
def test_settings_that_no_record_holds_are_refused(tmp_path, options, place):
    with pytest.warns(UserWarning, match="demonstrations") if "shots" in options else pytest.MonkeyPatch.context():
        before = classifier("zh", **options)
    with pytest.raises(ArtifactError, match=f"cannot be saved: {place}"):
        before.save(tmp_path / "saved")


def test_a_number_that_is_no_number_is_refused(tmp_path):
    before = regressor("zh")
    before.predictor_.targets[0] = np.inf
    with pytest.raises(ArtifactError, match=r"cannot be saved: targets\.0"):
        before.save(tmp_path / "saved")


def test_a_setting_that_json_cannot_name_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"cannot be saved.*int64"):
        classifier("zh", shots=np.int64(1)).save(tmp_path / "saved")


# Strangers' folders


def edit(folder: Path, keys: tuple[Any, ...], value: Any) -> None:
    path = folder / "fewshot.json"
    record = part = json.loads(path.read_text(encoding="utf-8"))
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(record), encoding="utf-8")


COMMON = [
    (("kind",), "student"),
    (("kind",), None),
    (("kind",), ["classification"]),
    (("extra",), 1),
    (("format",), 4),
    (("prompt", "seed"), "0"),
    (("prompt", "seed"), 2**80),
    (("prompt", "seed"), True),
    (("prompt", "shots"), -1),
    (("prompt", "shots"), 10**30),
    (("prompt", "shots"), 1.5),
    (("prompt", "layout"), "../chat"),
    (("prompt", "labels"), []),
    (("prompt", "labels"), ["a", "b"]),
    (("prompt", "language"), "xx"),
    (("prompt", "template_version"), 0),
    (("prompt", "normalisation"), "max"),
    (("prompt", "selection"), {"kind": "os.system"}),
    (("prompt", "task"), []),
    (("prompt", "task", "folder"), "/etc"),
    (("prompt", "task", "kind"), "other"),
    (("base", "name"), "http://127.0.0.1:9/v1#x"),
    (("base", "name"), "\\\\host\\share"),
    (("base", "sha256"), 0),
    (("support_fingerprint",), "0" * 64),
    (("files",), {"../outside.txt": "0" * 64}),
    (("files",), {"/etc/passwd": "0" * 64}),
    (("files",), {"fewshot.json": "0" * 64}),
    (("files",), []),
    (("training",), {}),
]
OF_KIND = {
    "labels": [
        (("classes",), ["positive"]),
        (("classes",), [None, 1]),
        (("calibrations",), []),
        (("calibrations", 0, "temperature"), 0),
        (("calibrations", 0, "temperature"), "1"),
        (("calibrations", 0, "bias"), [0.0] * 3),
        (("policy",), {"shift": [0.0]}),
        (("policy",), {"shift": [0.0, 0.0], "costs": {"labels": ["positive"], "table": [[0.0]]}}),
        (
            ("policy",),
            {"contract": {"max_error": 9, "confidence": 0.9, "threshold": 1, "rows": 1, "labelled": 1, "errors": 0}},
        ),
        (("policy",), {"scope": {"score": "words", "threshold": "nan", "false_alarms": 0.1}}),
        (("policy",), {"scope": {"score": "eval", "threshold": 0.1, "false_alarms": 0.1}}),
    ],
    "numbers": [
        (("grid", "values"), [5.0, 4.0, 2.5, 1.0]),
        (("grid", "values"), [1.0]),
        (("grid", "values"), [1.0, 2.0, 3.0, 1e400]),
        (("grid", "words"), ["a"]),
        (("grid", "scale"), "cubic"),
        (("model", "corrections"), []),
        (("model", "corrections", 0, "temperature"), -1.0),
        (("model", "corrections", 0, "curve"), {"kind": "python", "source": "1"}),
        (("model", "corrections", 0, "curve"), {"kind": "steps", "knots": [0.0, 1.0], "heights": [1.0]}),
        (("model", "corrections", 0, "curve"), {"kind": "steps", "knots": [1.0, 0.0], "heights": [1.0, 2.0]}),
        (("model", "held_out"), [1.0]),
        (("targets",), [1.0]),
        (("targets", 0), "5"),
        (("targets", 0), float("nan")),
        (("folds", "fold"), [0]),
        (("folds", "fold", 0), -1),
        (("folds", "fold", 0), 99),
        (("folds", "residuals", 0), -0.5),
        (("folds", "predictions"), []),
        (("folds", "models", 0, "rows"), [0, 0]),
        (("folds", "models", 0, "rows", 0), 10**20),
        (("folds", "models"), []),
    ],
    "tags": [
        (("reading", "slope"), -1.0),
        (("reading", "offsets"), [0.0]),
        (("reading", "thresholds"), [0.5] * 4),
        (("reading", "thresholds", 0), 2),
        (("reading", "thresholds", 0), None),
        (("prompt", "task", "labels"), ["delivery"]),
    ],
    "ranking, letters": [
        (("ranking", "name"), "number"),
        (("ranking", "permutations"), None),
        (("ranking", "permutations"), 10**9),
        (("ranking", "permutations"), 0),
        (("ranking", "bias"), [0.0]),
        (("ranking", "bias", 0), "x"),
        (("ranking", "name"), "pmi"),
        (("mix",), [1.0]),
        (("mix", 0), float("inf")),
        (("prompt", "shots"), 1),
    ],
}


@pytest.mark.parametrize(
    ("kind", "keys", "value"),
    [(kind, *case) for kind in ONE_OF_EACH for case in (*COMMON, *OF_KIND[kind])],
)
def test_a_record_that_was_changed_is_refused(tmp_path, kind, keys, value):
    fitted(kind).save(tmp_path / "saved")
    edit(tmp_path / "saved", keys, value)
    model = None if keys == ("base", "name") else tiny_model("llama")
    with pytest.raises(FewshotError) as caught:
        load_estimator(tmp_path / "saved", model=model)
    told = str(caught.value)
    named = ("fewshot.json", "support.jsonl") if keys != ("base", "sha256") else ("fewshot.json", str(tmp_path))
    assert any(name in told for name in named), told


def test_earlier_formats_are_to_be_fitted_again(saved):
    for number in (1, 2):
        edit(saved, ("format",), number)
        with pytest.raises(ArtifactError, match="Fit again"):
            load_estimator(saved, model=tiny_model("llama"))


@pytest.mark.parametrize(
    "text", ["[]", "[" * 100_000, '"x"', "\0", "1e999", '{"kind": "ranking"}', "{" + '"a":1,' * 9 + "}"]
)
def test_what_is_no_record_is_refused(saved, text):
    (saved / "fewshot.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"fewshot\.json"):
        load_estimator(saved, model=tiny_model("llama"))


@pytest.mark.parametrize("name", ["fewshot.json", "support.jsonl", "template.jinja"])
def test_a_link_out_of_the_folder_is_not_read(saved, tmp_path, name):
    shutil.move(saved / name, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", saved / name)
    with pytest.raises(ArtifactError, match=rf"{name} is a link"):
        load_estimator(saved, model=tiny_model("llama"))


def test_a_pipe_is_not_waited_for(saved):
    (saved / "fewshot.json").unlink()
    os.mkfifo(saved / "fewshot.json")
    with pytest.raises(ArtifactError, match="no ordinary file"):
        load_estimator(saved, model=tiny_model("llama"))


@pytest.mark.parametrize(
    "line", ['{"titles": "a|b", "user": ""}', '{"titles": [1], "user": ""}', '{"titles": []}', "[]"]
)
def test_baskets_that_are_none(tmp_path, line):
    fitted("ranking, pmi").save(tmp_path / "saved")
    path = tmp_path / "saved" / "baskets.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ArtifactError, match="half copied"):
        load_estimator(tmp_path / "saved", model=tiny_model("llama"))
    from fewshot_llm.files import sha256_file

    edit(tmp_path / "saved", ("files", "baskets.jsonl"), sha256_file(path))
    with pytest.raises(FewshotError, match=r"baskets\.jsonl"):
        load_estimator(tmp_path / "saved", model=tiny_model("llama"))


# Ladders

RECIPE = Recipe(name="tiny", rank=2, alpha=4, learning_rate=1e-2, epochs=2, batch_rows=4, folds=2)


@pytest.fixture
def folder(tiny_model_folder, tmp_path):
    return shutil.copytree(tiny_model_folder, tmp_path / "tiny")


def test_an_escalated_classifier_with_an_error_contract(folder, tmp_path):
    model = load_model(str(folder), device="cpu")
    ladder = Ladder(target=1.0, recipe=RECIPE, rungs=(Lora(),))
    policy = SelectivePolicy(max_error=0.6, confidence=0.5, out_of_scope=0.2)
    before = FewShotClassifier(model=model, shots=1, ladder=ladder, policy=policy).fit(ZH, LABELS)
    before.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "saved" / "support.jsonl").is_file(), "what is out of scope is told by the rows"
    again = load_estimator(tmp_path / "saved", device="cpu")
    assert again.policy_ == before.policy_
    assert again.decision_.model_dump(mode="json") == before.decision_.model_dump(mode="json")
    assert again.predict_proba(ZH) == pytest.approx(before.predict_proba(ZH), abs=1e-5)
    assert [one.reason for one in again.predictions(ZH)] == [one.reason for one in before.predictions(ZH)]
    with pytest.raises(ArtifactError, match="adapter"):
        load_estimator(tmp_path / "saved", model=model)
    elsewhere = ReadingScorer(lambda query, names: [0.0] * len(names))
    assert load_estimator(tmp_path / "saved", model=elsewhere).model is elsewhere, (
        "a server tells nothing of its weights"
    )
    same = load_estimator(tmp_path / "saved", model=before.predictor_.inference.scorer)
    assert answers(same, "zh") == answers(before, "zh")


@pytest.mark.parametrize("target", [1000.0, 0.001])
def test_the_ladder_of_numbers_is_saved_with_its_decision(folder, tmp_path, target):
    texts = [f"sentence {i}: {'good ' * 4 if i % 2 else 'bad ' * 4}" for i in range(16)]
    stars = [5.0 if i % 2 else 1.0 for i in range(16)]
    recipe = Recipe(loss="ordinal", rank=8, learning_rate=3e-3, epochs=8, batch_rows=4, folds=4)
    before = FewShotRegressor(
        "review-rating",
        load_model(str(folder), device="cpu"),
        grid=Grid((1, 2, 3, 4, 5)),
        shots=1,
        language="en",
        ladder=NumberLadder(target, recipe),
    ).fit(texts, stars)
    before.save(tmp_path / "saved")
    again = FewShotRegressor.load(tmp_path / "saved", device="cpu")
    assert again.decision_.model_dump(mode="json") == before.decision_.model_dump(mode="json")
    assert before.decision_.rung == "in-context" or target < 1
    trained = before.decision_.rung == "lora"
    assert (tmp_path / "saved" / "adapter_model.safetensors").is_file() is trained
    assert (read_record(tmp_path / "saved").training is not None) is trained
    assert again.predict(texts) == pytest.approx(before.predict(texts), abs=1e-4)
    assert np.array(again.predict_interval(texts, 0.8)) == pytest.approx(
        np.array(before.predict_interval(texts, 0.8)), abs=1e-4
    )
    assert again.cross_validated_error() == before.cross_validated_error()


@pytest.mark.parametrize("kind", ["numbers", "tags", "ranking"])
def test_an_adapter_that_was_given_is_taken_along(folder, tmp_path, kind):
    ladder = Ladder(target=1.0, recipe=RECIPE, rungs=(Lora(),))
    FewShotClassifier(model=str(folder), device="cpu", ladder=ladder).fit(EN, LABELS).save(tmp_path / "adapter")
    options = {"model": str(folder), "adapter": tmp_path / "adapter", "device": "cpu", "shots": 1}
    before: Any
    match kind:
        case "numbers":
            before = FewShotRegressor(**options, interval_folds=2).fit(ZH, STARS)
        case "tags":
            before = FewShotMultiLabelClassifier(**options, labels=("delivery", "price", "quality")).fit(ZH, TAGS)
        case _:
            before = FewShotRanker(**options).fit(CHOICES, [choice.chosen for choice in CHOICES])
    before.save(tmp_path / "saved")
    shutil.rmtree(tmp_path / "adapter")
    again = load_estimator(tmp_path / "saved", device="cpu")
    assert again.predictor_.inference.scorer.language_model.adapter
    assert answers(again, "zh") == answers(before, "zh")


def test_the_name_is_at_the_root():
    assert fewshot_llm.load_estimator is load_estimator
    assert load_task("review-rating").kind in ESTIMATORS
