"""The shop's users, from `online_retail`: who bought what in which basket."""

from __future__ import annotations

import random

from eval.shop.common import data_folder
from fewshot_llm.files import read_rows
from fewshot_llm.predictors import Choice

__all__ = ["Users", "basket_choices", "read_users", "split_users"]

Users = dict[str, list[list[str]]]
"""User → baskets → titles in the order of the invoice."""

HISTORY, CANDIDATES, SMALLEST = 8, 10, 4


def read_users() -> Users:
    """Both countries; cancellations, returns, postage and lines without a customer or a description are left out."""
    found: dict[str, dict[str, list[str]]] = {}
    for country in ("france", "germany"):
        for row in read_rows(data_folder("online_retail") / f"{country}.csv"):
            title = " ".join(str(row["Description"] or "").split())
            invoice, user = str(row["InvoiceNo"]), str(row["CustomerID"] or "")
            if invoice.startswith("C") or not user or not title or "POSTAGE" in title or float(row["Quantity"]) <= 0:
                continue
            basket = found.setdefault(user, {}).setdefault(invoice, [])
            if title not in basket:
                basket.append(title)
    return {user: list(baskets.values()) for user, baskets in found.items()}


def split_users(users: Users, known: int, seed: int) -> tuple[list[str], list[str]]:
    """Users to learn from and the others."""
    names = sorted(users)
    random.Random(seed).shuffle(names)
    return names[:known], names[known:]


def basket_choices(users: Users, asked: list[str], each: int, seed: int) -> list[Choice]:
    """Basket completion: one product of a basket among ten, given up to eight others of the basket.

    The other nine are drawn evenly from all products that are not in the basket.

    Args:
        users: all users; their products are the catalogue.
        asked: whose baskets.
        each: baskets of a user, at most.
        seed: of every draw.
    """
    chance = random.Random(seed)
    catalogue = sorted({title for baskets in users.values() for basket in baskets for title in basket})
    choices = []
    for user in asked:
        large = [basket for basket in users[user] if len(basket) >= SMALLEST]
        for basket in chance.sample(large, min(each, len(large))):
            chosen = chance.choice(basket)
            history = [title for title in basket if title != chosen][:HISTORY]
            others = chance.sample([title for title in catalogue if title not in basket], CANDIDATES - 1)
            candidates = chance.sample([chosen, *others], CANDIDATES)
            choices.append(Choice(tuple(history), tuple(candidates), chosen, user))
    return choices
