"""Personal data out of texts, before a model, a file or a log sees them.

What has a check digit is believed only with the right one, so that order numbers stay: phone numbers by the
numbering plans of `phonenumbers`, Chinese resident IDs and bank cards by `python-stdnum`. E-mail and delivery
addresses go by pattern. Names are not found: no pattern tells them from other words.

A placeholder is a kind and a number, `[PHONE_1]`, counted within one row: the same number twice in a row is the
same placeholder, nothing can be computed back from it, and it does not depend on any other row. Needs
`pip install fewshot-llm[redact]`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fewshot_llm.errors import FewshotError

__all__ = ["Kind", "Redactor", "Span", "find_personal_data"]


class Kind(StrEnum):
    """What can be found, in the order in which overlapping finds win."""

    EMAIL = "email"
    ID_NUMBER = "id_number"
    BANK_CARD = "bank_card"
    PHONE = "phone"
    ADDRESS = "address"


@dataclass(frozen=True)
class Span:
    """One find: characters `start` to `end` of the text."""

    kind: Kind
    start: int
    end: int


DIGIT = r"[0-9０-９]"
GAP = r"[ \-－]?"
EMAIL = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,63})\s?(?:@|＠)\s?(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}(?![A-Za-z])"
)
ID_NUMBER = re.compile(rf"(?<![0-9０-９A-Za-z])(?:{DIGIT}{GAP}){{17}}[0-9０-９xXＸｘ](?![0-9０-９A-Za-z])")
BANK_CARD = re.compile(rf"(?<![0-9０-９A-Za-z])(?:{DIGIT}{GAP}){{12,18}}{DIGIT}(?![0-9０-９A-Za-z])")
CARD = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}|2[2-7][0-9]{14}|(?:35|6[0-25-9])[0-9]{14,17}"
    r"|3[47][0-9]{13}|3[068][0-9]{12}|9[0-9]{15,18}"
)
"""Visa; Mastercard; JCB, UnionPay and Discover; American Express; Diners; old Chinese debit cards."""

CHINESE_ADDRESS = re.compile(
    r"""
    (?: 大道 | 国道 | 省道 | 路 | 街 | 巷 | 弄 | 胡同 | 村 | 小区 | 花园 | 社区 | 公寓 | 苑 | 园区? | 工业区
      | 开发区 | 广场 | 大厦 | 城 | 里 | 道(?=\s?[0-9０-９]{1,4}号) )
    (?: [东西南北中]?段 )?
    \s?(?: [A-Za-zＡ-Ｚ]\s?座 | NUMBER\s?UNIT )
    (?: \s?[\u4e00-\u9fffA-Za-z]{0,12}? (?: [A-Za-zＡ-Ｚ]\s?座 | [A-Za-z]?NUMBER\s?UNIT ) ){0,6}   # 孵化园5号楼3单元
    (?: (?<=[座元栋幢楼号]) \s?[A-Za-z]?[0-9０-９]{3,4}(?![0-9０-９]) )?                               # 2单元401
    """.replace("NUMBER", r"(?:[0-9０-９]{1,5}(?:-[0-9]{1,4}){0,2}|[一二三四五六七八九十百]{1,4})").replace(
        "UNIT", r"(?:号楼|号院|号|弄|幢|栋|座|单元|层|楼|室|户|组|期)"
    ),
    re.VERBOSE,
)
"""From the word for a road or an estate on; what stands before it (province, city, district) is found going back."""
PLACE = re.compile(r"[\u4e00-\u9fff]+\Z")
LEAD = re.compile(
    r".*(?:地址(?:改为|改成|是|在|为|写的)?|[送寄发派退搬]到|[送寄发]至|[寄发]往|寄[回给]|[收退换]货|住在?|位于|改[到成为]|换成"
    r"|应该是|请[寄发送到]|公司|宿舍|[家我放]在|小区是|(?<!北)在|(?<![拉宝])是|(?<!老)家(?=在)|到)(?=[\u4e00-\u9fff]{2})"
)
"""The words before a place, up to the last one that cannot belong to its name."""
STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Dr|Court|Ct|Pl|Sq|Terrace|Ter|Parkway|Pkwy|Highway|Hwy"
    r"|Crescent|Cres|Gardens|Grove|Mews)\b"
    r"|(?:Drive|Way|Place|Square|Close)(?=[,.]|\s(?:Apt|Unit|Suite)|\Z)"  # words of other uses: only at a pause
)
ENGLISH_ADDRESS = re.compile(
    rf"""
    (?: (?:Flat|Apt|Apartment|Unit|Suite)\.?\s\#?[0-9A-Za-z-]{{1,6}},?\s )?
    (?<![0-9A-Za-z.,$€£]) [0-9]{{1,5}}[A-Za-z]? (?:-[0-9]{{1,4}})? \s
    (?: [NSEW]\.?\s | (?:North|South|East|West)\s )?
    (?: [A-Z][A-Za-z'’]{{1,20}}\s | [0-9]{{1,3}}(?:st|nd|rd|th)\s ){{1,3}} (?:{STREET})\.?
    (?: ,?\s(?:Flat|Apt|Apartment|Unit|Suite|Floor|Room|Rm|\#)\.?\s?\#?[0-9A-Za-z-]{{1,6}} )?
    (?: ,\s[A-Z][A-Za-z'-]{{1,20}}(?:\s[A-Z][A-Za-z'-]{{1,20}}){{0,2}} )?
    (?: ,?\s[A-Z]{{2}}\s[0-9]{{5}}(?:-[0-9]{{4}})? | ,?\s[A-Z]{{1,2}}[0-9][0-9A-Z]?\s[0-9][A-Z]{{2}}\b )?
    | \b(?i:P\.?\s?O\.?\s?Box)\s[0-9]{{1,6}}\b
    """,
    re.VERBOSE,
)


def _plain_digits(text: str) -> str:
    """Digits (and a final X) in ASCII, without gaps."""
    return "".join(str(int(c)) if c.isdecimal() else "X" for c in text if c.isdecimal() or c in "xXＸｘ")


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in EMAIL.finditer(text))


def _id_numbers(text: str) -> Iterator[tuple[int, int]]:
    from stdnum.cn import ric
    from stdnum.exceptions import ValidationError

    for match in ID_NUMBER.finditer(text):
        digits = _plain_digits(match.group())
        try:
            born = ric.get_birth_date(digits)
        except ValidationError:
            continue
        # The county is not looked up, as ric.validate does: of people who moved it is younger than they are.
        if digits[0] in "12345689" and born.year >= 1900 and digits[-1] == ric.calc_check_digit(digits):
            yield match.span()


def _bank_cards(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import luhn

    for match in BANK_CARD.finditer(text):
        digits = _plain_digits(match.group())
        if CARD.fullmatch(digits) and luhn.is_valid(digits) and len(set(digits)) > 1:
            yield match.span()


def _phones(regions: tuple[str, ...]) -> Callable[[str], Iterator[tuple[int, int]]]:
    def find(text: str) -> Iterator[tuple[int, int]]:
        from phonenumbers import Leniency, PhoneNumberMatcher

        if sum(c.isdecimal() for c in text) < 7:
            return
        for region in regions:
            for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID, max_tries=1000):
                yield match.start, match.end

    return find


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for match in CHINESE_ADDRESS.finditer(text):
        place = PLACE.search(text, max(0, match.start() - 30), match.start())
        start = match.start() if place is None else place.start()
        lead = None if place is None else LEAD.match(place.group() + match.group()[:2])
        yield start + (0 if lead is None else min(lead.end(), match.start() - start)), match.end()
    yield from (match.span() for match in ENGLISH_ADDRESS.finditer(text))


def find_personal_data(text: str, regions: tuple[str, ...] = ("CN", "US", "GB")) -> list[Span]:
    """Every find, left to right, without overlaps (the kind named first in `Kind` wins).

    Args:
        text: any text.
        regions: whose way of writing phone numbers without a country code is understood.

    >>> [span.kind.value for span in find_personal_data("电话13800138000，邮箱li@example.com")]
    ['phone', 'email']
    """
    finders: dict[Kind, Callable[[str], Iterator[tuple[int, int]]]] = {
        Kind.EMAIL: _emails,
        Kind.ID_NUMBER: _id_numbers,
        Kind.BANK_CARD: _bank_cards,
        Kind.PHONE: _phones(regions),
        Kind.ADDRESS: _addresses,
    }
    taken: list[Span] = []
    for kind, find in finders.items():
        for start, end in find(text):
            if all(end <= other.start or start >= other.end for other in taken):
                taken.append(Span(kind, start, end))
    return sorted(taken, key=lambda span: span.start)


@dataclass(frozen=True)
class Redactor:
    """Replaces personal data by placeholders.

    Attributes:
        kinds: what is replaced.
        regions: whose way of writing phone numbers without a country code is understood.

    Raises:
        FewshotError: `phonenumbers` or `python-stdnum` is not installed.

    >>> Redactor().text("打13800138000或者13800138000")
    '打[PHONE_1]或者[PHONE_1]'
    """

    kinds: frozenset[Kind] = field(default_factory=lambda: frozenset(Kind))
    regions: tuple[str, ...] = ("CN", "US", "GB")

    def __post_init__(self) -> None:
        try:
            import phonenumbers  # noqa: F401
            import stdnum  # noqa: F401
        except ImportError as error:
            raise FewshotError(
                f"Redaction needs the package {error.name}. Install it with: pip install 'fewshot-llm[redact]'."
            ) from error

    def text(self, text: str) -> str:
        """One text with placeholders."""
        replaced: str = self.value(text, Counter())
        return replaced

    def value(self, value: Any, counts: Counter[str]) -> Any:
        """A row, or any JSON-like value, with placeholders in every text of it; keys stay.

        Whole numbers are looked at too: a phone number is often one.

        Args:
            value: texts, numbers, lists and dicts, nested as you like.
            counts: the number of replacements by kind is added here.
        """
        return self._walk(value, {}, counts)

    def _walk(self, value: Any, names: dict[tuple[Kind, str], str], counts: Counter[str]) -> Any:
        match value:
            case str():
                return self._replace(value, names, counts)
            case bool():
                return value
            case int() if abs(value) >= 10**6:
                replaced = self._replace(str(value), names, counts)
                return value if replaced == str(value) else replaced
            case dict():
                return {key: self._walk(inner, names, counts) for key, inner in value.items()}
            case list() | tuple():
                return [self._walk(inner, names, counts) for inner in value]
            case _:
                return value

    def _replace(self, text: str, names: dict[tuple[Kind, str], str], counts: Counter[str]) -> str:
        parts: list[str] = []
        end = 0
        for span in find_personal_data(text, self.regions):
            if span.kind not in self.kinds:
                continue
            found = (span.kind, "".join(text[span.start : span.end].split()))
            if found not in names:
                number = 1 + sum(kind is span.kind for kind, _ in names)
                names[found] = f"[{span.kind.upper()}_{number}]"
            parts += [text[end : span.start], names[found]]
            counts[span.kind.value] += 1
            end = span.end
        return "".join([*parts, text[end:]])
