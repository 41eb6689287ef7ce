"""Recommendation: complete a basket of `online_retail`, ten candidates, users disjoint.

    python -m eval.shop.next_product [--model gemma3-270m] [--seeds 3] [--write]

100 users give the counts, four demonstrations and the mixture's weights; up to two baskets of every other user are
asked. The language model alone stands beside popularity, co-occurrence and the mixture.
"""

from __future__ import annotations

from typing import Any

from eval.shop.common import arguments, mean_and_each, open_model, write_baseline
from eval.shop.retail import basket_choices, read_users, split_users
from fewshot_llm.estimators import FewShotRanker
from fewshot_llm.predictors import Basket, LetterPrompt, PmiPrompt, RankingPrompt, TitlePrompt, YesNoPrompt
from fewshot_llm.stats import hit_at, mean_reciprocal_rank, ndcg, ranks
from fewshot_llm.types import FloatArray

KNOWN_USERS = 100
PROMPTS: dict[str, RankingPrompt] = {
    "pmi": PmiPrompt(),
    "title": TitlePrompt(),
    "yes-no": YesNoPrompt(),
    "letter": LetterPrompt(4),
}


def figures(scores: list[FloatArray], answers: list[int]) -> dict[str, Any]:
    """hit@1, MRR and nDCG with intervals."""
    found = ranks(scores, answers)
    measures = {
        "hit@1": hit_at(found),
        "mrr": mean_reciprocal_rank(found),
        "ndcg": ndcg(found),
    }
    return {name: {"value": m.value, "low": m.low, "high": m.high} for name, m in measures.items()}


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--way", choices=PROMPTS, default="pmi")
    options = parser.parse_args()
    users, model = read_users(), open_model(options.model)
    found: dict[str, list[dict[str, Any]]] = {}
    weights = []
    for seed in range(options.seeds):
        known, others = split_users(users, KNOWN_USERS, seed)
        support = basket_choices(users, known, 1, seed)
        test = basket_choices(users, others, 2, seed + 1000)[: options.test_rows]
        baskets = [Basket(frozenset(basket), user) for user in known for basket in users[user]]
        ranker = FewShotRanker(model=model, prompt=PROMPTS[options.way], language="en", seed=seed)
        ranker.fit(support, [choice.chosen for choice in support], baskets)
        features = ranker.features(test)
        answers = [choice.answer for choice in test]
        ways = {
            "language model alone": [table[:, 0] for table in features],
            "likeness of titles": [table[:, -3] for table in features],
            "popularity": [table[:, -2] for table in features],
            "co-occurrence": [table[:, -1] for table in features],
            "mixed": ranker.predict_log_proba(test),
        }
        for name, scores in ways.items():
            found.setdefault(name, []).append(figures(scores, answers))
        weights.append([round(weight, 3) for weight in (ranker.mix_.weights if ranker.mix_ else ())])
        print(
            seed, len(support), len(test), {n: round(v[-1]["hit@1"]["value"], 3) for n, v in found.items()}, flush=True
        )
    result = {
        "work": "online_retail, basket completion, 10 candidates; target: hit@1 ≥ 0.55 with co-occurrence mixed in",
        "way": options.way,
        "hit@1": {name: mean_and_each([each["hit@1"]["value"] for each in seeds]) for name, seeds in found.items()},
        "weights": weights,
        "with_intervals": found,
    }
    write_baseline("next-product" if options.way == "pmi" else f"next-product-{options.way}", result, options)


if __name__ == "__main__":
    main()
