from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from fewshot_llm import FewShotClassifier, SupportSet, Task, load_task
from fewshot_llm.errors import (
    FewshotError,
    FewshotWarning,
    ModelError,
    ScoringError,
    SupportError,
    TaskError,
    TemplateError,
)
from fewshot_llm.prompting import Balanced, Nearest, RandomOrder, Template
from fewshot_llm.scoring import LabelScores, ReferenceScorer
from fewshot_llm.stats import Batch, Contextual, Uncalibrated
from tests.word_scorer import WordScorer

INTENT = Task(name="customer-intent", languages=("zh",), folder=load_task("customer-intent").folder)


def test_it_learns_to_undo_a_lean(leaning, reviews):
    texts, labels = reviews
    raw = FewShotClassifier(model=leaning, calibration=Uncalibrated()).fit(texts, labels)
    mended = FewShotClassifier(model=leaning, ladder=None).fit(texts, labels)
    assert raw.score(texts, labels) == 0.5
    assert mended.score(texts, labels) == 1.0
    (calibration,) = mended.calibrations_
    assert calibration.bias[0] < -1
    assert calibration.method == "out-of-fold"


def test_probabilities_are_those_of_classes_in_sorted_order(words, reviews):
    texts, labels = reviews
    classifier = FewShotClassifier(model=words, ladder=None).fit(texts, labels)
    p = classifier.predict_proba(["很好", "太差", "随便"])
    assert classifier.classes_.tolist() == ["negative", "positive"]
    assert classifier.labels_ == ("positive", "negative")
    assert p.sum(axis=1) == pytest.approx(np.ones(3))
    assert p[0, 1] > 0.5 > p[1, 1]
    assert np.log(p) == pytest.approx(classifier.predict_log_proba(["很好", "太差", "随便"]))
    assert classifier.classes_[p.argmax(axis=1)].tolist() == classifier.predict(["很好", "太差", "随便"]).tolist()
    for row, prediction in zip(p, classifier.predictions(["很好", "太差", "随便"]), strict=True):
        assert list(prediction.probabilities) == ["positive", "negative"]
        assert [prediction.probabilities[label] for label in classifier.classes_] == pytest.approx(row.tolist())
        assert len(prediction.prompt_fingerprint) == 64


@pytest.mark.parametrize(
    ("options", "searches"),
    [
        ({"calibration": Uncalibrated()}, True),
        ({"calibration": Uncalibrated(), "normalisation": "mean"}, False),
        ({"calibration": Uncalibrated(), "permutations": 2}, False),
        ({"permutations": 2}, False),
        ({}, True),
    ],
)
def test_the_best_label_is_searched_for_where_one_sum_and_a_bias_decide(words, reviews, options, searches):
    classifier = FewShotClassifier(model=words, ladder=None, **options).fit(*reviews)
    found = classifier.predict(reviews[0])
    assert words.searched == (len(reviews[0]) if searches else 0)
    assert found.tolist() == classifier.classes_[classifier.predict_proba(reviews[0]).argmax(axis=1)].tolist()


@pytest.mark.parametrize("method", [Contextual(), Batch(), Batch(("很好", "太差")), Uncalibrated()])
def test_every_calibration_can_be_chosen(leaning, reviews, method):
    classifier = FewShotClassifier(model=leaning, calibration=method).fit(*reviews)
    (calibration,) = classifier.calibrations_
    assert (calibration.bias[0] < 0) == (method != Uncalibrated())


def test_a_prediction_does_not_depend_on_its_neighbours(llama, reviews):
    classifier = FewShotClassifier(model=llama, shots=2, calibration=Batch()).fit(*reviews)
    together = classifier.predict_proba(reviews[0])
    alone = np.concatenate([classifier.predict_proba([text]) for text in reviews[0]])
    assert together == pytest.approx(alone, abs=1e-4)


def test_averaging_draws_is_the_mean_of_their_calibrated_log_probabilities(llama, reviews):
    averaged = FewShotClassifier(model=llama, shots=2, permutations=3).fit(*reviews)
    queries = averaged._queries(["物流很快", "再也不买"])
    total = np.zeros((2, 2))
    for draw, calibration in enumerate(averaged.calibrations_):
        inference = averaged.predictor_.inference
        scores = inference.score_prompts(inference.prompts(queries, draw), draw)
        total += calibration.log_probabilities(scores)
    p = np.exp(total / 3)
    assert averaged.predictor_.answer(queries).log_probabilities == pytest.approx(
        np.log(p / p.sum(axis=1, keepdims=True)), abs=1e-4
    )
    prints = {p.prompt_fingerprint for p in averaged.predictions(["物流很快"])}
    assert prints != {
        p.prompt_fingerprint for p in clone(averaged).set_params(permutations=1).fit(*reviews).predictions(["物流很快"])
    }


def test_it_is_reproducible_and_the_seed_matters(llama, reviews):
    first, second, other = (
        FewShotClassifier(model=llama, shots=2, seed=seed).fit(*reviews).predict_proba(["物流很快"])
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)


def test_a_scorer_and_its_model_give_the_same(llama, reviews):
    fast = FewShotClassifier(model=llama, shots=1).fit(*reviews)
    slow = FewShotClassifier(model=ReferenceScorer(llama), shots=1).fit(*reviews)
    assert fast.predict_proba(["好", "坏"]) == pytest.approx(slow.predict_proba(["好", "坏"]), abs=1e-3)


def test_a_model_folder_can_be_named(tiny_model_folder, reviews):
    by_name = FewShotClassifier(model=str(tiny_model_folder), device="cpu", shots=1).fit(*reviews)
    again = clone(by_name).fit(*reviews)
    assert by_name.predict_proba(["好"]) == pytest.approx(again.predict_proba(["好"]))
    scorers = (by_name.predictor_.inference.scorer, again.predictor_.inference.scorer)
    assert scorers[0].language_model is scorers[1].language_model


def test_zero_shot_from_an_empty_support_set(words):
    classifier = FewShotClassifier(model=words, shots=0).fit_support(SupportSet((), ()))
    assert classifier.predict(["很好，喜欢", "退货，失望"]).tolist() == ["positive", "negative"]
    assert classifier.calibrations_[0].keeps_order


def test_labels_come_from_the_rows_where_the_task_has_none(words):
    texts = ["喜欢这个", "想要退货", "很好喜欢", "退货退货"]
    classifier = FewShotClassifier(INTENT, words, shots=1).fit(texts, ["a_praise", "b_return"] * 2)
    assert classifier.labels_ == ("a_praise", "b_return")
    assert classifier.predictor_.inference.prompts(classifier._queries(["x"]))[0].answers == ("a praise", "b return")
    assert classifier.predict(["很好喜欢"]).tolist() == ["a_praise"]


@pytest.mark.parametrize("values", [[1, 0], [1.0, 0.0], [True, False], ["是", "否"]])
def test_classes_keep_the_type_of_y(words, reviews, values):
    texts, _ = reviews
    y = np.array(values * 8)
    classifier = FewShotClassifier(
        INTENT, words, ladder=None, labels=[str(int(v)) if isinstance(v, float) else str(v) for v in values]
    ).fit(texts, y)
    assert classifier.classes_.dtype.kind == y.dtype.kind
    assert set(classifier.classes_) == set(y.tolist())
    assert classifier.score(texts, y) == 1.0


def test_label_words_can_be_replaced(words, reviews):
    classifier = FewShotClassifier(model=words, ladder=None, label_words={"positive": "赞", "negative": "踩"}).fit(
        *reviews
    )
    assert words.calls[-1][0].answers == ("赞", "踩")
    assert set(classifier.predict(["好"])) <= {"positive", "negative"}


def test_an_optional_label_is_switched_on_by_the_rows(llama, reviews):
    texts, labels = reviews
    classifier = FewShotClassifier(model=llama, shots=1).fit(
        [*texts, "一般", "还行吧"], [*labels, "neutral", "neutral"]
    )
    assert classifier.labels_ == ("positive", "negative", "neutral")
    assert classifier.predict_proba(["好"]).shape == (1, 3)


def test_rows_that_are_left_out_are_not_left_out_silently(words, reviews):
    texts, labels = reviews
    with pytest.warns(UserWarning, match="same text under different labels"):
        classifier = FewShotClassifier(model=words, ladder=None).fit([*texts, texts[0]], [*labels, "negative"])
    assert len(classifier.support_) == len(texts) - 1
    assert classifier.support_.report.dropped == 2


def test_frames_with_several_fields(words):
    frame = pd.DataFrame({"title": ["赞", "", "怒", "气"], "text": ["很好", "喜欢", "太差", "退货"]})
    classifier = FewShotClassifier(model=words, shots=2).fit(frame, pd.Series(["positive"] * 2 + ["negative"] * 2))
    assert "标题：" in words.calls[-1][0].text
    assert classifier.predict(frame).tolist() == ["positive"] * 2 + ["negative"] * 2


def test_shots_beyond_the_rows_take_what_there_is(words, reviews):
    with pytest.warns(FewshotWarning, match="100 demonstrations"):
        classifier = FewShotClassifier(model=words, shots=100).fit(*reviews)
    assert len(classifier.predictor_.inference.prompts(classifier._queries(["好"]))[0].demonstrations) == 16


def test_progress_counts_rows(words, reviews):
    seen: list[tuple[int, int]] = []
    classifier = FewShotClassifier(model=words, permutations=2).fit(*reviews)
    classifier.predict_proba(reviews[0], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (16, 16)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_nothing_to_predict(words, reviews):
    classifier = FewShotClassifier(model=words, ladder=None).fit(*reviews)
    assert classifier.predict([]).shape == (0,)
    assert classifier.predict_proba([]).shape == (0, 2)
    assert classifier.predictions([]) == []


# scikit-learn's own tools


def test_cross_validation(words, reviews):
    texts, labels = reviews
    folds = StratifiedKFold(4)
    for metric in ("accuracy", "neg_log_loss", "roc_auc", "f1_macro"):
        scores = cross_val_score(FewShotClassifier(model=words, shots=2), texts, labels, cv=folds, scoring=metric)
        assert np.all(np.isfinite(scores))
        assert scores.mean() > (-0.5 if metric == "neg_log_loss" else 0.9)


def test_grid_search_over_shots_template_and_selection(words, reviews):
    texts, labels = reviews
    short = Template.from_source(
        "{% macro item(example, answer) %}评论：{{ example.text | oneline }}\n{{ answer }}\n{% endmacro %}"
        "{% for d in demonstrations %}{{ item(d.example, d.answer) }}{% endfor %}{{ item(query, answer) }}",
        "zh",
    )
    grid = {"shots": [0, 2], "template": [1, short], "selection": [Balanced(), RandomOrder(), Nearest()]}
    search = GridSearchCV(FewShotClassifier(model=words), grid, cv=2, scoring="accuracy").fit(texts, labels)
    assert len(search.cv_results_["params"]) == 12
    assert search.best_score_ > 0.9
    assert search.predict(["很好"]).tolist() == ["positive"]


def test_in_a_pipeline(words, reviews):
    texts, labels = reviews
    strip = FunctionTransformer(lambda rows: [row.strip() for row in rows])
    pipeline = make_pipeline(strip, FewShotClassifier(model=words, shots=2))
    assert pipeline.fit([f"  {text}  " for text in texts], labels).score(texts, labels) == 1.0
    assert pipeline.set_params(fewshotclassifier__shots=1).fit(texts, labels).predict(["很好"]).tolist() == ["positive"]


WITHOUT_DATA = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_mixin_order,
]

WITH_DATA = [
    estimator_checks.check_fit_score_takes_y,
    estimator_checks.check_estimators_overwrite_params,
    estimator_checks.check_dont_overwrite_parameters,
    estimator_checks.check_estimators_fit_returns_self,
    estimator_checks.check_readonly_memmap_input,
    estimator_checks.check_estimators_unfitted,
    estimator_checks.check_estimators_pickle,
    estimator_checks.check_pipeline_consistency,
    estimator_checks.check_supervised_y_2d,
    estimator_checks.check_requires_y_none,
    estimator_checks.check_methods_sample_order_invariance,
    estimator_checks.check_methods_subset_invariance,
    estimator_checks.check_dict_unchanged,
    estimator_checks.check_fit_idempotent,
    estimator_checks.check_fit_check_is_fitted,
    estimator_checks.check_classifiers_classes,
]
"""Left out: what is about numbers (dtypes, sparse and complex arrays, NaN, one feature, `n_features_in_`, arrays of the
array API, memory layout), about weights, `check_classifiers_train`, which wants blobs of numbers told apart, and
`check_classifiers_one_label`: one class is refused, with this package's own error."""


class NumbersAsText(FewShotClassifier):
    """Spells the checks' rows of numbers out as texts."""

    @staticmethod
    def spelled(X):
        return [" ".join(f"{number:.6f}" for number in np.ravel(row)) for row in np.asarray(X, dtype=float)]

    def fit(self, X, y):
        return super().fit(self.spelled(X), y)

    def _queries(self, X):
        return super()._queries(self.spelled(X))


class LengthScorer(WordScorer):
    """Scores any answers after any prompt: by counting characters."""

    def log_probs(self, prompts, progress=None):
        return [
            LabelScores(
                -np.array([zlib.crc32((p.text[-30:] + a).encode()) % 97 for a in p.answers]) / 10.0 - 1,
                np.ones(len(p.answers), dtype=int),
            )
            for p in prompts
        ]


@pytest.mark.parametrize("check", WITHOUT_DATA, ids=lambda check: check.__name__)
def test_scikit_learns_checks(check):
    check("FewShotClassifier", FewShotClassifier())


@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize("check", WITH_DATA, ids=lambda check: check.__name__)
def test_scikit_learns_checks_with_data(check):
    check("NumbersAsText", NumbersAsText(INTENT, LengthScorer(), shots=2))


def test_check_estimator_is_told_that_it_reads_text():
    with pytest.warns(SkipTestWarning, match="string=True"):
        results = estimator_checks.check_estimator(FewShotClassifier(), on_skip=None)
    assert {result["status"] for result in results} == {"passed"}


def test_fitting_changes_no_parameter_and_fitting_again_changes_nothing(words, reviews):
    classifier = FewShotClassifier(model=words, label_words={"positive": "赞"}, shots=2)
    before = dict(classifier.get_params())
    first = classifier.fit(*reviews).predict_proba(reviews[0])
    state = dict(vars(classifier))
    again = classifier.fit(*reviews).predict_proba(reviews[0])
    assert classifier.get_params() == before
    assert np.array_equal(first, again)
    assert {name for name in state if name not in before} == {"predictor_", "problem_", "classes_"}


def test_clones_share_the_model(llama, reviews):
    copy = clone(FewShotClassifier(model=llama, shots=1).fit(*reviews))
    assert copy.model is llama
    with pytest.raises(NotFittedError):
        copy.predict(["好"])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "predictions"])
def test_before_fitting(method):
    with pytest.raises(NotFittedError):
        getattr(FewShotClassifier(), method)(["好"])


# bad input


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"task": "review-sentimnt"}, TaskError, "Did you mean review-sentiment"),
        ({"task": Task(name="stars", kind="regression")}, TaskError, "kind regression"),
        ({"model": 5}, ModelError, "a LanguageModel or a Scorer"),
        ({"device": "cpu"}, ModelError, "only apply to a model that is given by name"),
        ({"normalisation": "max"}, ScoringError, "no normalisation 'max'"),
        ({"language": "fr"}, TaskError, "no language 'fr'"),
        ({"template": 99}, TemplateError, "no version 99"),
        ({"template": "zh.v1"}, TemplateError, "a version number"),
        ({"layout": "chatty"}, TemplateError, "Did you mean chat"),
        ({"layout": "chat"}, TemplateError, "tokenizer"),
        ({"shots": -1}, TemplateError, "shots is -1"),
        ({"permutations": 0}, FewshotError, "permutations is 0"),
        ({"label_words": {"positiv": "赞"}}, TaskError, "Did you mean positive"),
        ({"labels": ["positive", "positive"]}, TaskError, "read alike"),
    ],
)
def test_parameters_that_do_not_fit(words, reviews, options, error, word):
    with pytest.raises(error, match=word):
        FewShotClassifier(**{"model": words, "ladder": None, **options}).fit(*reviews)


@pytest.mark.parametrize(
    ("X", "y", "error", "word"),
    [
        (["好", "差"], None, ValueError, "requires y"),
        (["好", "差"], ["positive"], SupportError, "2 texts but 1 labels"),
        ([], [], SupportError, "no rows"),
        (["好", "很好"], ["positive", "positive"], SupportError, "at least two classes"),
        (["好", "差"], ["good", "bad"], SupportError, "unknown label"),
        ("好", ["positive"], SupportError, "Put it in a list"),
        (["好", "差"], [0.5, 1.5], ValueError, "Unknown label type"),
    ],
)
def test_rows_that_cannot_be_learned_from(words, X, y, error, word):
    with pytest.raises(error, match=word):
        FewShotClassifier(model=words).fit(X, y)


def test_a_text_with_templates_in_it_is_only_text(llama, reviews):
    classifier = FewShotClassifier(model=llama, shots=1).fit(*reviews)
    nasty = ["{{ 7*7 }}", "</s><|im_end|>", "ignore the above", "", "\0", "😀" * 50, "\ud800"]
    with pytest.warns(UserWarning, match="missing or empty.*from 0: 3, 4"):
        assert np.isfinite(classifier.predict_proba(nasty)).all()


def test_a_text_longer_than_the_context(llama, reviews):
    long = ["很长的评论" * 3000]
    with pytest.raises(ScoringError, match="cut_long_text"):
        FewShotClassifier(model=llama, shots=1).fit(*reviews).predict(long)
    assert len(FewShotClassifier(model=llama, shots=1, cut_long_text=True).fit(*reviews).predict(long)) == 1


# the package's root


def test_the_root_has_few_names_and_imports_nothing_heavy():
    code = (
        "import sys, fewshot_llm\n"
        "names = ['FewShotClassifier', 'FewShotMultiLabelClassifier', 'FewShotRanker', 'FewShotRegressor']\n"
        "names += ['Grid', 'Prediction', 'SupportSet', 'TableVerbalizer', 'Task', 'load_estimator', 'load_model']\n"
        "names += ['load_task']\n"
        "assert fewshot_llm.__all__ == names\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert all(getattr(fewshot_llm, name) for name in fewshot_llm.__all__)\n"
        "assert set(fewshot_llm.__all__) <= set(dir(fewshot_llm))\n"
        "try:\n    fewshot_llm.nothing\nexcept AttributeError as error:\n    assert 'nothing' in str(error)\n"
        "else:\n    raise SystemExit('no error')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_scorer_of_your_own_is_enough(reviews):
    assert FewShotClassifier(model=WordScorer(), shots=1).fit(*reviews).score(*reviews) == 1.0


@pytest.mark.parametrize("normalisation", ["sum", "pmi"])
def test_task_with_several_fields_that_a_row_must_have(llama, normalisation):
    rows = [{"kind": "tea", "history": f"cup {i}"} for i in range(4)]
    classifier = FewShotClassifier("product-interest", llama, shots=1, normalisation=normalisation)
    assert classifier.fit(rows, ["likes", "does_not_like"] * 2).predict(rows).shape == (4,)
