"""From what the rules find to a row with placeholders."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from fewshot_llm.data.redaction.addresses import find_addresses
from fewshot_llm.data.redaction.contacts import find_chat_ids, find_emails, phones_of
from fewshot_llm.data.redaction.documents import find_bank_numbers, find_documents, find_orders
from fewshot_llm.data.redaction.names import find_names
from fewshot_llm.data.redaction.reading import PERSONAL, Kind, Rule, Span, digits_of, read
from fewshot_llm.errors import FewshotError

__all__ = ["DEFAULT_REGIONS", "Redactor", "find_personal_data"]

DEFAULT_REGIONS: tuple[str, ...] = ("CN", "US", "GB", "HK", "TW", "DE", "FR")
WORDY = frozenset({Kind.ADDRESS, Kind.NAME})
"""Of these, what is left beside another find goes as well."""
COLUMNS = {
    Kind.PHONE: r"电话|手机号?|座机|联系方式|tel|phone|mobile|cell|fax|telefon|whatsapp|phone.?number"
    r"|contact.?(?:no|number)",
    Kind.EMAIL: r"邮箱|电子邮件|e.?mail|mail.?address",
    Kind.ADDRESS: r"地址|住址|street|address(?:.?line)?|addr|adresse|anschrift|shipping.?to",
    Kind.NAME: r"姓名|收件人|收货人|联系人|寄件人|签收人|户名|持卡人|(?:full|first|last|sur|customer|recipient"
    r"|buyer|contact|receiver|consignee"
    r"|client|cardholder|shipping|billing).?name|recipient|consignee|receiver",
    Kind.ID_NUMBER: r"身份证|证件号|id.?card|ssn|social.?security|national.?id|nino|驾驶证|驾照",
    Kind.PASSPORT: r"护照|通行证|passport",
    Kind.IBAN: r"iban",
    Kind.BANK_CARD: r"银行卡|卡号|card.?(?:no|number)|credit.?card",
    Kind.BANK_ACCOUNT: r"银行账[号户]|账户号|bank.?account|account.?(?:no|number)|sort.?code",
    Kind.CHAT_ID: r"微信|qq|wechat|weixin|wx|支付宝|alipay|telegram|line.?id",
    Kind.PLATE: r"车牌|plate",
}
COLUMN = {
    kind: re.compile(
        rf"(?:.{{0,20}}[_. \-])?(?:收[货件]人?|联系人?|客户|用户|买家|寄件人?|我的|个人"
        rf"|预留)?(?:{words})(?:号码?|地址|人|账号|id)?(?:[_. \-]?[0-9]{{1,2}})?",
        re.IGNORECASE,
    )
    for kind, words in COLUMNS.items()
}
OF_THINGS = re.compile(r"(?i)(?:.*[_. -])?(?:name|title|brand|model|text|review|comment|名称|标题|品牌|型号)")
"""Columns whose name says nothing of a person: a product has a name too."""
MASKED = re.compile(r"\*{2,}|[xX]{4,}|\[[A-Z_]+_[0-9]+\]")


@cache
def _rules(regions: tuple[str, ...]) -> tuple[Rule, ...]:
    return (
        find_emails,
        find_documents,
        find_bank_numbers,
        phones_of(regions),
        find_chat_ids,
        find_addresses,
        find_names,
        find_orders,
    )


def find_personal_data(
    text: str, regions: tuple[str, ...] = DEFAULT_REGIONS, kinds: Iterable[Kind] = PERSONAL
) -> list[Span]:
    """Every find, left to right, without overlaps (the kind named first in `Kind` wins).

    Args:
        text: any text.
        regions: whose way of writing phone numbers without a country code is understood (`CN`, `US`, …).
        kinds: what is looked for; order and tracking numbers only where `Kind.ORDER` is among them.

    >>> [span.kind.value for span in find_personal_data("电话13800138000，邮箱li@example.com")]
    ['phone', 'email']
    """
    reading = read(text)
    wanted = frozenset(kinds)
    found: dict[Kind, list[tuple[int, int]]] = {}
    for rule in _rules(regions):
        if rule is find_orders and Kind.ORDER not in wanted:
            continue
        for kind, start, end in rule(reading):
            if end > start:
                found.setdefault(kind, []).append((start, end))
    taken: list[Span] = []
    _leave_out_parts(found)
    for kind in Kind:
        pieces = [
            Span(kind, *piece)
            for start, end in _merged(found.get(kind, []))
            for piece in _left_over(start, end, taken, kind, reading.text)
        ]
        if pieces:
            taken = sorted([*taken, *pieces], key=lambda span: span.start)
    spans = [span for span in taken if span.kind in wanted]
    if reading.places is None:
        return spans
    places = reading.places
    return [Span(span.kind, places[span.start], places[span.end]) for span in spans]


def _leave_out_parts(found: dict[Kind, list[tuple[int, int]]]) -> None:
    """A number inside a longer one is part of it: the phone number of a link, three groups of a parcel's number."""
    whole = sorted(place for kind, places in found.items() if kind not in WORDY for place in places)
    reach, containing = 0, set[tuple[int, int]]()
    for start, end in whole:
        if end <= reach:
            containing.add((start, end))
        reach = max(reach, end)
    if not containing:
        return
    starts: dict[int, int] = {}
    for start, end in whole:
        starts[start] = max(end, starts.get(start, 0))
    longest = sorted(starts.items())
    reaches, reach = [], 0
    for _, end in longest:
        reach = max(reach, end)
        reaches.append(reach)
    firsts = [start for start, _ in longest]
    for kind in [kind for kind in found if kind not in WORDY]:
        found[kind] = [
            (start, end)
            for start, end in found[kind]
            if not (starts[start] > end or ((place := bisect_left(firsts, start)) > 0 and reaches[place - 1] >= end))
        ]


def _merged(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _left_over(start: int, end: int, taken: list[Span], kind: Kind, text: str) -> list[tuple[int, int]]:
    """What other finds, in order and apart, leave of this one: of a number nothing, of an address the rest."""
    first = bisect_right(taken, start, key=lambda span: span.end)
    last = bisect_left(taken, end, key=lambda span: span.start)
    others = [(span.start, span.end) for span in taken[first:last]]
    if not others:
        return [(start, end)]
    if kind not in WORDY:
        return []
    edges = [start, *(edge for other in others for edge in other), end]
    pieces = [piece for piece in zip(edges[::2], edges[1::2], strict=True) if piece[1] > piece[0]]
    return [piece for piece in pieces if sum(map(str.isalnum, text[slice(*piece)])) >= 2]


@dataclass(frozen=True)
class Redactor:
    """Replaces personal data by placeholders.

    Attributes:
        kinds: what is replaced: everything but order and tracking numbers, unless said otherwise.
        regions: whose way of writing phone numbers without a country code is understood: two letters each, as in
            `phonenumbers`.

    Raises:
        FewshotError: `phonenumbers` or `python-stdnum` is not installed, or a region is not known.

    >>> Redactor().text("打13800138000或者13800138000")
    '打[PHONE_1]或者[PHONE_1]'
    """

    kinds: frozenset[Kind] = PERSONAL
    regions: tuple[str, ...] = DEFAULT_REGIONS

    def __post_init__(self) -> None:
        try:
            import phonenumbers
            import stdnum  # noqa: F401
        except ImportError as error:
            raise FewshotError(
                f"Redaction needs the package {error.name}. Install it with: pip install 'fewshot-llm[redact]'."
            ) from error
        unknown = [region for region in self.regions if region not in phonenumbers.SUPPORTED_REGIONS]
        if unknown or not self.regions:
            raise FewshotError(
                f"Not a region for phone numbers: {', '.join(unknown) or 'none given'}. Write two capital letters for "
                "each country, as in CN, US, GB, DE."
            )

    def text(self, text: str) -> str:
        """One text with placeholders."""
        replaced: str = self.value(text, Counter())
        return replaced

    def row(self, row: Mapping[str, Any], counts: Counter[str] | None = None) -> dict[str, Any]:
        """A row of a file with placeholders; see `value`.

        Args:
            row: values by column.
            counts: the number of replacements by kind is added here.
        """
        return _Row(self, Counter() if counts is None else counts).walk_mapping(row, "")

    def value(self, value: Any, counts: Counter[str]) -> Any:
        """A row, or any JSON-like value, with placeholders in every text of it.

        Looked at are texts, bytes (as UTF-8), whole numbers of any type (`13800138000.0` is what pandas makes of a
        phone number in a column with gaps), keys, and all of these inside lists and mappings. A number that is
        personal becomes the placeholder's text; bytes stay bytes; whatever holds nothing personal stays what it was.
        The name of a column counts as words beside its values: a short value under `姓名` or `phone` is personal even
        where it would not be in a sentence, a number under `order_id` is none.

        Args:
            value: texts, numbers, bytes, lists and mappings, nested as you like.
            counts: the number of replacements by kind is added here.

        >>> Redactor().value({"phone": 13800138000.0, "姓名": "李明", "stars": 5}, Counter())
        {'phone': '[PHONE_1]', '姓名': '[NAME_1]', 'stars': 5}
        """
        return _Row(self, counts).walk(value, "")


@dataclass
class _Row:
    """The placeholders of one row."""

    redactor: Redactor
    counts: Counter[str]
    names: dict[tuple[Kind, str], str] = field(default_factory=dict)
    given: Counter[Kind] = field(default_factory=Counter)

    def walk(self, value: Any, column: str) -> Any:
        match value:
            case str():
                return self.replace(value, column)
            case bytes() | bytearray():
                return self.walk_bytes(bytes(value), column)
            case bool() | np.bool_() | None:
                return value
            case int() | np.integer() | float() | np.floating() | Decimal():
                return self.walk_number(value, column)
            case Mapping():
                return self.walk_mapping(value, column)
            case list() | tuple() | set() | frozenset():
                return self.walk_all(value, column)
            case np.ndarray():
                walked = [self.walk(inner, column) for inner in value.tolist()] if value.ndim else value
                return value if value.ndim == 0 or _same(walked, value.tolist()) else walked
            case _:
                return value

    def walk_all(self, values: Any, column: str) -> Any:
        walked = [self.walk(inner, column) for inner in values]
        if isinstance(values, tuple):
            return walked if not hasattr(values, "_fields") else type(values)(*walked)
        return walked if isinstance(values, list) else type(values)(walked)

    def walk_mapping(self, mapping: Mapping[Any, Any], column: str) -> dict[Any, Any]:
        # Keys come first: those of all rows of a file get the same placeholders, whatever their values are.
        keys: dict[Any, Any] = {}
        for key in mapping:
            new = tuple(self.walk(part, "") for part in key) if isinstance(key, tuple) else self.walk(key, "")
            while new in keys:  # two writings of one number are one placeholder; both entries stay
                new = f"{new} (again)"
            keys[new] = key
        return {new: self.walk(mapping[key], key if isinstance(key, str) else column) for new, key in keys.items()}

    def walk_number(self, value: Any, column: str) -> Any:
        try:
            whole = value == int(value)
        except (OverflowError, ValueError):  # infinite, or not a number
            return value
        if not whole or (abs(value) < 10**6 and self._kind_of(column) is None):
            return value
        written = str(int(value))
        replaced = self.replace(written, column)
        return value if replaced == written else replaced

    def walk_bytes(self, value: bytes, column: str) -> bytes:
        try:
            written = value.decode("utf-8")
        except UnicodeDecodeError:
            # Not text, or text of another encoding: what is ASCII in it is looked at.
            written = value.decode("ascii", errors="surrogateescape")
            return self.replace(written, column).encode("ascii", errors="surrogateescape")
        return self.replace(written, column).encode("utf-8")

    def replace(self, text: str, column: str) -> str:
        parts: list[str] = []
        end = 0
        for span in self._spans(text, column):
            parts += [text[end : span.start], self._placeholder(span.kind, text[span.start : span.end])]
            self.counts[span.kind.value] += 1
            end = span.end
        return "".join([*parts, text[end:]])

    def _spans(self, text: str, column: str) -> list[Span]:
        kinds, regions = self.redactor.kinds, self.redactor.regions
        if not column or len(text) > 80:
            return find_personal_data(text, regions, kinds)
        kind = self._kind_of(column)
        bare = text.strip()
        if kind is not None and bare and MASKED.search(text) is None and _may_be(kind, bare):
            start = text.index(bare)
            return [Span(kind, start, start + len(bare))]
        if OF_THINGS.fullmatch(column.strip()) is not None:
            return find_personal_data(text, regions, kinds)
        shift = len(column) + 1
        found = find_personal_data(f"{column}：{text}", regions, kinds)
        return [Span(span.kind, max(0, span.start - shift), span.end - shift) for span in found if span.end > shift]

    def _kind_of(self, column: str) -> Kind | None:
        return _kind_of(column.strip(), self.redactor.kinds) if column else None

    def _placeholder(self, kind: Kind, found: str) -> str:
        written = read(found).text
        same = digits_of(written) if kind in (Kind.PHONE, Kind.BANK_CARD) else "".join(written.split()).casefold()
        if kind is Kind.PHONE and len(same) == 13 and same.startswith("86"):
            same = same[2:]
        if (kind, same) not in self.names:
            self.given[kind] += 1
            self.names[kind, same] = f"[{kind.upper()}_{self.given[kind]}]"
        return self.names[kind, same]


@cache
def _kind_of(column: str, kinds: frozenset[Kind]) -> Kind | None:
    """The kind that a column's name promises."""
    return next((kind for kind, name in COLUMN.items() if kind in kinds and name.fullmatch(column)), None)


def _may_be(kind: Kind, text: str) -> bool:
    """Whether a short value may be what its column's name promises."""
    digits = len(digits_of(read(text).text))
    letters = sum(map(str.isalpha, text))
    match kind:
        case Kind.PHONE:
            return digits >= 6 and letters <= 4
        case Kind.EMAIL:
            return re.search(r"@|＠|\bat\b|艾特", text) is not None
        case Kind.ADDRESS:
            return len(text) >= 4 and re.search(r"(?i)https?://|@|wrong|错", text) is None
        case Kind.NAME:
            return (
                0 < letters <= 40
                and digits == 0
                and not re.fullmatch(r"(?i)n/?a|none|null|unknown|nan|无|未知|匿名", text)
            )
        case Kind.CHAT_ID:
            return len(text) >= 4 and re.fullmatch(r"(?a)[\w.@+-]+", text) is not None
        case _:
            return digits >= 5 and len(text) <= 40


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and repr(first) == repr(second)
