"""The article's case: from 100 labelled users, does a user like a kind of product? Accuracy against its 80 %.

    python -m eval.shop.product_interest [--model gemma3-270m] [--seeds 3] [--write]

A user's products are halved by chance: one half is read, and a kind is asked about. The user likes the kind if the
other half holds at least three products of it, and does not if it holds none; in between no label is given. Yes and no
are drawn equally often. 100 users give one labelled row each; up to three kinds are asked of every other user. The
model is asked in two ways: the question itself, with demonstrations and 20 titles of the half, because a prompt has an
end; and of which kind each title is, by an adapter trained on 56 titles whose kind the shop has told (4 of each kind,
16 of none), so that a half becomes the expected number of its titles of the kind. Popularity and co-occurrence are
counted among the 100 users. Whatever is combined is combined by a logistic regression on the 100 labelled rows.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eval.shop.common import ROOT, arguments, mean_and_each, open_model, write_baseline
from eval.shop.retail import Users, read_users
from fewshot_llm import FewShotClassifier
from fewshot_llm.data import Example, SupportSet, load_task
from fewshot_llm.ladder import Ladder, run_ladder
from fewshot_llm.ladder.rungs import Lora
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import resources_of
from fewshot_llm.stats import Uncalibrated
from fewshot_llm.types import FloatArray

KNOWN_USERS, IN_PROMPT, FEWEST = 100, 20, 3
TOLD, TOLD_OF_NONE, NONE = 4, 16, "something else"
KINDS: dict[str, tuple[str, ...]] = {
    "children's things": (
        "CHILD",
        "KIDS",
        "DOLLY GIRL",
        "SPACEBOY",
        "CIRCUS",
        "BABY",
        "TOY",
        "DOLL",
        "JIGSAW",
        " GAME",
    ),
    "baking and kitchen": ("CAKE", "BAKING", "KITCHEN", "APRON", "JELLY MOULD", "RECIPE", "COOK", "SPOON", "PANTRY"),
    "lunch boxes and bags": ("LUNCH", "SNACK BOX", "JUMBO BAG", "SHOPPER", "CHARLOTTE BAG", "BACKPACK"),
    "Christmas and Easter decoration": ("CHRISTMAS", "XMAS", "SANTA", "REINDEER", "ADVENT", "EASTER", "SNOWFLAKE"),
    "candles and lights": ("LIGHT", "CANDLE", "LANTERN", "LAMP"),
    "stationery and paper": ("PENCIL", "CARD", "NOTEBOOK", "WRAP", "PAPER", "STICKER", "RUBBER", "RULER", "ERASER"),
    "tea and coffee ware": ("TEACUP", "MUG", "TEAPOT", " TEA ", "COFFEE", "CUP", "SAUCER"),
    "first aid and travel": ("PLASTERS", "LUGGAGE", "PASSPORT", "HOT WATER", "TISSUES", "TRAVEL"),
    "garden and outdoor": ("GARDEN", "PLANT", "WATERING", "PICNIC", "BIRD", "FLOWER POT", "HERB"),
    "party things": ("PARTY", "BUNTING", "NAPKIN", "BALLOON", "BIRTHDAY", "PAPER PLATE"),
}


@dataclass(frozen=True)
class Row:
    """One question: does this user like this kind?"""

    user: str
    kind: str
    likes: bool


def of_kind(kind: str, titles: list[str]) -> int:
    """How many titles are of a kind."""
    return sum(any(word in title for word in KINDS[kind]) for title in titles)


def questions(hidden: dict[str, list[str]], user: str, each: int, chance: random.Random) -> list[Row]:
    """Up to `each` questions on different kinds, yes and no as a coin says."""
    rows: list[Row] = []
    for _ in range(each):
        likes, asked = chance.random() < 0.5, {row.kind for row in rows}
        counts = {kind: of_kind(kind, hidden[user]) for kind in KINDS if kind not in asked}
        kinds = [kind for kind, count in counts.items() if (count >= FEWEST if likes else count == 0)]
        if kinds:
            rows.append(Row(user, chance.choice(kinds), likes))
    return rows


def halves(users: Users, chance: random.Random) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """User → titles that are shown, and titles that decide."""
    shown, hidden = {}, {}
    for user in sorted(users):
        titles = sorted({title for basket in users[user] for title in basket})
        chance.shuffle(titles)
        shown[user], hidden[user] = titles[: len(titles) // 2], titles[len(titles) // 2 :]
    return shown, hidden


def in_prompt(titles: list[str]) -> str:
    """The part of a user's half that a prompt holds."""
    return "; ".join(titles[:IN_PROMPT])


def counts(row: Row, users: Users, known: list[str], shown: list[str]) -> tuple[float, float]:
    """Log-odds of the kind's popularity, and how often the known buyers of a shown title like it; without oneself."""
    titles = {user: {t for basket in users[user] for t in basket} for user in known if user != row.user}
    fans = {user for user, bought in titles.items() if of_kind(row.kind, sorted(bought)) >= FEWEST}
    popularity = (len(fans) + 0.5) / (len(titles) + 1)
    shares = []
    for title in shown:
        buyers = [user for user, bought in titles.items() if title in bought]
        if buyers:
            shares.append((sum(user in fans for user in buyers) + popularity) / (len(buyers) + 1))
    return math.log(popularity / (1 - popularity)), float(np.mean(shares)) if shares else popularity


def told_titles(titles: list[str], chance: random.Random) -> SupportSet:
    """A few titles of each kind, and more that are of none; a title of two kinds teaches neither."""
    found: dict[str, list[str]] = {kind: [] for kind in (*KINDS, NONE)}
    for title in chance.sample(titles, len(titles)):
        kinds = [kind for kind in KINDS if of_kind(kind, [title])] or [NONE]
        most = TOLD_OF_NONE if kinds == [NONE] else TOLD
        if len(kinds) == 1 and len(found[kinds[0]]) < most:
            found[kinds[0]].append(title)
    rows = tuple(Example({"text": title}, kind) for kind, titles in found.items() for title in titles)
    return SupportSet(rows, tuple(found))


def titles_of_kinds(model: LanguageModel, told: SupportSet, titles: list[str], seed: int) -> dict[str, FloatArray]:
    """Title → P(kind | title) of each of `KINDS`, by an adapter trained on the told ones."""
    task = load_task(ROOT / "eval" / "tasks" / "product-category").with_labels(
        told.labels, {label: label for label in told.labels}
    )
    classifier = FewShotClassifier(task, model, shots=1, language="en", calibration=Uncalibrated(), seed=seed)
    trained = run_ladder(resources_of(classifier, told), Ladder(seed=seed, rungs=(Lora(),)))
    probabilities = np.exp(trained.predictor.answer([Example({"text": title}) for title in titles]).log_probabilities)
    return dict(zip(titles, probabilities[:, : len(KINDS)], strict=True))


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__ or "").parse_args()
    users, model = read_users(), open_model(options.model)
    found: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        chance = random.Random(seed)
        names = sorted(users)
        chance.shuffle(names)
        shown, hidden = halves(users, chance)
        titles = sorted({title for read in shown.values() for title in read})
        kinds = titles_of_kinds(model, told_titles(titles, random.Random(1000 + seed)), titles, seed)
        rows = [row for user in names for row in questions(hidden, user, 1, chance) if shown[user]]
        support, known = rows[:KNOWN_USERS], [row.user for row in rows[:KNOWN_USERS]]
        test = [
            row for user in names if user not in known and shown[user] for row in questions(hidden, user, 3, chance)
        ]
        test = test[: options.test_rows]
        fields = [{"kind": row.kind, "history": in_prompt(shown[row.user])} for row in (*support, *test)]
        asked, answers = fields[len(support) :], np.array([row.likes for row in test])
        labels = ["likes" if row.likes else "does_not_like" for row in support]
        classifier = FewShotClassifier("product-interest", model, shots=8, language="en", seed=seed)
        classifier.fit(fields[: len(support)], labels)
        everything = (*support, *test)
        place = {kind: at for at, kind in enumerate(KINDS)}
        alike = np.array(
            [
                (
                    math.log1p(sum(kinds[title][place[row.kind]] for title in shown[row.user])),
                    math.log(len(shown[row.user])),
                )
                for row in everything
            ]
        )
        table = np.array([counts(row, users, known, shown[row.user]) for row in everything])
        truth = np.array([row.likes for row in support])

        def answered(columns: FloatArray, truth: FloatArray = truth) -> FloatArray:
            fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(columns[: len(truth)], truth)
            result: FloatArray = fitted.predict(columns[len(truth) :])
            return result

        ways = {
            "language model, asked": classifier.predict(asked) == "likes",
            "language model, by titles": answered(alike),
            "majority class": np.full(len(test), truth.mean() >= 0.5),
            "popularity": answered(table[:, :1]),
            "co-occurrence": answered(table[:, 1:]),
            "counts": answered(table),
            "mixed": answered(np.column_stack([alike, table])),
        }
        for name, said in ways.items():
            found.setdefault(name, []).append(float((said == answers).mean()))
        found.setdefault("test rows", []).append(len(test))
        print(seed, len(support), len(test), {name: round(v[-1], 3) for name, v in found.items()}, flush=True)
    result = {
        "work": "online_retail, 100 labelled users, likes or does not like a kind; target: accuracy ≥ 0.80",
        "accuracy": {name: mean_and_each(values) for name, values in found.items()},
    }
    write_baseline("product-interest", result, options)


if __name__ == "__main__":
    main()
