"""Rows of the article's case, for `eval/suites/product_interest.toml`: `python eval/shop/interest_rows.py known|asked`.

A third of the users are asked about up to three kinds of products each; every other user gives one labelled row, likes
and does not like in turn. No user stands on both sides. What a row holds and when a user likes a kind:
`eval/shop/product_interest.py`.
"""

from __future__ import annotations

import json
import random
import sys

from eval.shop.product_interest import halves, in_prompt, questions
from eval.shop.retail import read_users

SEED, ASKED_SHARE, EACH = 11, 1 / 3, 3


def main(part: str) -> None:
    """Print one row a line."""
    chance, users = random.Random(SEED), read_users()
    shown, hidden = halves(users, chance)
    names = [user for user in sorted(users) if shown[user]]
    chance.shuffle(names)
    asked = round(len(names) * ASKED_SHARE)
    likes = 0
    for user in names[:asked] if part == "asked" else names[asked:]:
        rows = questions(hidden, user, EACH if part == "asked" else 12, chance)
        if part == "known":  # whatever keeps both classes alike, if the user has bought so much
            wanted = likes <= 0
            rows = [row for row in rows if row.likes == wanted][:1] or rows[:1]
            likes += sum(1 if row.likes else -1 for row in rows)
        for row in rows:
            label = "likes" if row.likes else "does_not_like"
            print(json.dumps({"user": user, "kind": row.kind, "history": in_prompt(shown[user]), "label": label}))


if __name__ == "__main__":
    main(sys.argv[1])
