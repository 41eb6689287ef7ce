"""User behaviour: will a visit end in a purchase? 32 labelled visits, a language model beside estimators of tables.

    python -m eval.shop.purchase_intent [--model gemma3-270m] [--seeds 3] [--write]

Which way is recommended is decided out of fold on the 32 rows; the AUC of every way on the test rows stands beside it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from eval.shop.common import arguments, data_folder, mean_and_each, open_model, write_baseline
from fewshot_llm import FewShotClassifier
from fewshot_llm.data import TableVerbalizer
from fewshot_llm.evaluation import LANGUAGE_MODEL, recommend_for_table, table_estimators
from fewshot_llm.files import read_rows

ROWS = 32
COLUMNS = (
    *("PageValues", "ExitRates", "BounceRates", "ProductRelated", "ProductRelated_Duration"),
    *("Administrative", "Informational", "SpecialDay", "Month", "VisitorType", "Weekend"),
)
NAMES = {
    "PageValues": "value of the pages seen",
    "ExitRates": "exit rate",
    "BounceRates": "bounce rate",
    "ProductRelated": "product pages",
    "ProductRelated_Duration": "time on product pages",
    "Administrative": "account pages",
    "Informational": "information pages",
    "SpecialDay": "closeness to a special day",
    "Month": "month",
    "VisitorType": "visitor",
    "Weekend": "weekend",
}


def bought_it(row: Mapping[str, Any]) -> bool:
    """Whether a visit ended in a purchase."""
    return str(row["Revenue"]).upper() == "TRUE"


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__ or "").parse_args()
    rows = read_rows(data_folder("uci_online_shoppers") / "online_shoppers_intention.csv")
    model = open_model(options.model)
    areas: dict[str, list[float]] = {}
    inside: dict[str, list[float]] = {}
    recommended: list[str] = []
    reasons: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        chance = random.Random(seed)
        bought, left = ([row for row in rows if bought_it(row) is wanted] for wanted in (True, False))
        support = [*chance.sample(bought, ROWS // 2), *chance.sample(left, ROWS // 2)]
        known = {id(row) for row in support}
        test = chance.sample([row for row in rows if id(row) not in known], options.test_rows)
        targets, truth = (
            np.array([int(str(r["Revenue"]).upper() == "TRUE") for r in part]) for part in (support, test)
        )
        facts = TableVerbalizer.fit(support, COLUMNS, names=NAMES, units={"ProductRelated_Duration": "seconds"})

        classifier = FewShotClassifier("purchase-intent", model, shots=8, language="en", seed=seed)
        classifier.fit([facts.say(r) for r in support], ["purchase" if t else "no_purchase" for t in targets])
        probabilities = classifier.predict_proba([facts.say(r) for r in test])
        answers = {LANGUAGE_MODEL: probabilities[:, list(classifier.classes_).index("purchase")]}
        for name, estimator in table_estimators(seed).items():
            answers[name] = estimator.fit(facts.matrix(support), targets).predict_proba(facts.matrix(test))[:, 1]
        advice = recommend_for_table(classifier, support, facts, seed)
        recommended.append(advice.name)
        reasons.append({"english": advice.english, "chinese": advice.chinese})
        for name, values in answers.items():
            areas.setdefault(name, []).append(float(roc_auc_score(truth, values)))
            inside.setdefault(name, []).append(advice.areas[name])
        areas.setdefault("recommended", []).append(areas[advice.name][-1])
        print(seed, advice.english, {name: round(v[-1], 3) for name, v in areas.items()}, flush=True)
    result = {
        "work": "uci_online_shoppers, 32 visits; target: AUC ≥ 0.82, or the estimator of tables recommended",
        "auc": {name: mean_and_each(values) for name, values in areas.items()},
        "auc_out_of_fold": {name: mean_and_each(values) for name, values in inside.items()},
        "recommended": dict(Counter(recommended)),
        "reasons": reasons,
    }
    write_baseline("purchase-intent", result, options)


if __name__ == "__main__":
    main()
