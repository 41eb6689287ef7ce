"""The kinds of personal data, and a text as the rules for them read it.

There is one way of writing each digit, dash, space and bracket, and there are no invisible characters.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

__all__ = [
    "CONNECTIVE",
    "PERSONAL",
    "Find",
    "Kind",
    "PlainReading",
    "Rule",
    "Span",
    "beside",
    "digits_of",
    "letters_before",
    "names_a_code",
    "read",
]


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


Find = tuple[Kind, int, int]
Rule = Callable[["PlainReading"], Iterator[Find]]

INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff\u20e3]")
PLACEHOLDER = re.compile(r"\[(?:" + "|".join(kind.upper() for kind in Kind) + r")_[0-9]{1,9}\]")
URL = re.compile(r"(?i)(?<![a-z])(?:https?://|www\.)[^\s\u4e00-\u9fff,，。]{1,2000}")

CONNECTIVE = (
    r"(?:[\s:：#=\"'“”‘’「」『』\[\]【】(){}<>《》*~|/→➡>…-]|号码|号|码|编号|帐号|账号|账户|名|是|为|叫|填|写|的|[:：]|"
    r"(?:numbers?|nos?|num|nr|is|was|code|id)\b\.?)"
)
"""What may stand between a word and the number or name that it announces."""

CODE_WORDS = (
    r"订单|单号|运单|快递单?|物流单?|包裹|编号|编码|货号|款号|型号|商品|产品|货品|条形?码|批次|批号|序列号"
    r"|流水|交易|验证码|取件码|提货码"
    r"|工单|工号|会员|税号|店铺|发票|合同|积分|优惠码|券码|串号|顺丰|圆通|中通|申通|韵达|京东|极兔|邮政"
    r"|(?<![a-z])(?:skus?|spu|s/?n|imei|isbn(?:-1[03])?|ean(?:-?13)?|upc|gtin|asin|mpn|orders?|tracking|items?"
    r"|models?|parts?"
    r"|serial|invoices?|tickets?|cases?|ref(?:erence)?|lots?|batch|products?|barcode|codes?|receipts?|quotes?"
    r"|awb|parcels?"
    r"|shipments?|consignment|waybill|fedex|ups|usps|dhl|ems|versions?|id|article|catalogue?|coupon|voucher"
    r"|rma|po|firmware"
    r"|bestellung|bestellnummer|artikelnummer|artikel|commande|vat)(?![a-z])"
)
CODE_BEFORE = re.compile(rf"(?i)(?:{CODE_WORDS}){CONNECTIVE}{{0,12}}\Z")
CODE_AFTER = re.compile(
    r"(?i)\s?(?:这[个件款]|的|号)?\s?(?:订单|运单|单号|快递单|货号|款号|型号|sku|编号|条码)|\s?(?:元|块钱?"
    r"|[万亿]|个|件|次|人|只|毫安|毫升"
    r"|克|千克|公里|米|分钟|小时|字节|粉丝|销量|播放|mah|ml|kg|km|mb|gb|kb|mm|cm|rpm|usd|eur|times|units|pieces|people"
    r"|followers|views|steps|cycles|hours|rupees)(?![a-z])"
)


@dataclass(frozen=True)
class PlainReading:
    """One text.

    Attributes:
        text: in one way of writing.
        places: for each of its characters, and its end, the place in the text as it was; `None` where they are equal.
        urls: what web addresses cover.
        digits: how many digits there are.
        low: the text in lower case.
    """

    text: str
    places: tuple[int, ...] | None
    urls: tuple[tuple[int, int], ...]
    digits: int
    low: str

    def has(self, words: tuple[str, ...]) -> bool:
        """Whether any of these words is there, in any case: a look that costs far less than a pattern."""
        return any(word in self.low for word in words)

    def in_url(self, start: int) -> bool:
        """Whether a web address covers this place."""
        place = bisect_right(self.urls, (start, sys.maxsize)) - 1
        return place >= 0 and start < self.urls[place][1]


@cache
def _one_way_of_writing() -> dict[int, str]:
    table = {place: str(unicodedata.decimal(chr(place))) for place in range(0x80, sys.maxunicode) if _is_digit(place)}
    table |= {0xFF01 + place: chr(0x21 + place) for place in range(94)}
    table |= dict.fromkeys([9, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
    table |= dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0x30FC], "-")
    table |= {place: str(value) for value, place in enumerate([0x24EA, *range(0x2460, 0x2469)])}  # circled
    table |= {0x2776 + place: str(place + 1) for place in range(9)}
    return table | {0xB7: "·", 0x2022: "·", 0x30FB: "·", 0xFE6B: "@", 0x24B6: "@", 0x24D0: "@"}


def _is_digit(place: int) -> bool:
    return unicodedata.category(chr(place)) == "Nd"


def read(text: str) -> PlainReading:
    """Bring a text into one way of writing; placeholders in it become characters that no rule knows."""
    places: tuple[int, ...] | None = None
    if INVISIBLE.search(text) is not None:
        kept = [place for place, character in enumerate(text) if INVISIBLE.match(character) is None]
        places = (*kept, len(text))
        text = "".join(text[place] for place in kept)
    if not text.isascii():
        text = text.translate(_one_way_of_writing())
    if "_" in text:
        text = PLACEHOLDER.sub(lambda match: "\0" * len(match.group()), text)
    urls = tuple(match.span() for match in URL.finditer(text)) if "//" in text or "www." in text else ()
    return PlainReading(text, places, urls, sum(map(text.count, "0123456789")), text.lower())


def digits_of(text: str) -> str:
    """The digits alone."""
    return "".join(character for character in text if character in "0123456789")


def names_a_code(text: str, start: int, end: int) -> bool:
    """Whether the words beside a number say that it is one of an order, an article, a parcel, a quantity."""
    before = text[max(0, start - 32) : start]
    return CODE_BEFORE.search(before) is not None or CODE_AFTER.match(text, end) is not None


LETTERS_BEFORE = re.compile(r"[A-Za-z]+[-_.]?\Z")


def letters_before(text: str, start: int) -> str:
    """The Latin letters that a number is stuck to, as in `SF123` and `XJ-123`, in lower case."""
    match = LETTERS_BEFORE.search(text, max(0, start - 16), start)
    return "" if match is None else match.group().lower().rstrip("-_.")


def beside(words: str, value: str, gap: int = 12, after: str | None = None) -> re.Pattern[str]:
    """A value after words that announce it (`护照号：E12345678`), or before them (`E12345678是我的护照号`).

    Args:
        words: a pattern of the words.
        value: a pattern of the value.
        gap: how many connectives there may be between them.
        after: a pattern of what may stand between a value and words that come after it; `None`: they may not.
    """
    first = rf"(?:{words}){CONNECTIVE}{{0,{gap}}}(?P<value>{value})"
    second = "" if after is None else rf"|(?P<other>{value})(?:{after})(?:{words})"
    return re.compile(first + second, re.IGNORECASE)
