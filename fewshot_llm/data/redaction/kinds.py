"""The kinds of personal data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PERSONAL", "Kind", "Span"]


class Kind(StrEnum):
    """What can be found, in the order in which overlapping finds win."""

    EMAIL = "email"
    ID_NUMBER = "id_number"
    """Of a person: resident and identity cards, social security, driving licences."""
    PASSPORT = "passport"
    """Passports and travel permits."""
    IBAN = "iban"
    BANK_CARD = "bank_card"
    BANK_ACCOUNT = "bank_account"
    PHONE = "phone"
    CHAT_ID = "chat_id"
    PLATE = "plate"
    ADDRESS = "address"
    NAME = "name"
    ORDER = "order"
    """Order and tracking numbers: only on request."""


PERSONAL = frozenset(Kind) - {Kind.ORDER}
"""What is looked for unless something else is asked for."""


@dataclass(frozen=True)
class Span:
    """One find: characters `start` to `end` of the text."""

    kind: Kind
    start: int
    end: int
