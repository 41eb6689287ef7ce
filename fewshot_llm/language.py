"""What can be told from the writing itself: its language, its sameness, the readable form of a label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["JOINED", "UNSPACED", "detect_language", "normalise_text", "readable_label"]

UNSPACED = "㐀-鿿豈-﫿぀-ヿ가-힯𠀀-𯨟"
"""Characters of scripts without spaces between words, as they stand inside a regular expression's brackets."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[^\W\d_\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_EMOJI = "\U0001f000-\U0001faff\u2190-\u2bff"
_JOINED_EMOJI = re.compile(
    rf"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])|(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f"
)
JOINED = re.compile(rf"{_JOINED_EMOJI.pattern}|(?<=[^\W\d_a-zA-Z])[\u200c\u200d]|(?<=[\u0900-\u0dff])[\u200c\u200d]")
"""Invisible characters that belong to what is seen: in a family or flag of emoji, between letters that join."""


def detect_language(texts: Iterable[str], languages: Sequence[str]) -> str:
    """The one of `languages` that the texts are written in, by their share of Han characters.

    A Han character counts as much as a word of letters, so a Chinese review that names an English brand is
    still Chinese. Texts without letters get the first language.

    Args:
        texts: what to look at.
        languages: what to choose from, for example a task's languages.

    >>> detect_language(["iPhone 手机很好"], ["zh", "en"])
    'zh'
    >>> detect_language(["Arrived late"], ["zh", "en"])
    'en'
    """
    han = words = 0
    for text in texts:
        han += len(_HAN.findall(text))
        words += len(_WORD.findall(text))
    if not han + words:
        return languages[0]
    chinese = 2 * han >= han + words
    return next((language for language in languages if language.startswith("zh") == chinese), languages[0])


def readable_label(label: str) -> str:
    """A label's name as words a language model may know.

    >>> readable_label("cancel_order"), readable_label("alarm/set_alarm"), readable_label("GetRefund")
    ('cancel order', 'alarm: set alarm', 'get refund')
    """
    if re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", label) or re.fullmatch(r"[a-z]+(?:[A-Z][a-z0-9]+)+", label):
        label = _CAMEL_CASE.sub(" ", label).lower()
    if re.fullmatch(r"[A-Z0-9]+(?:_[A-Z0-9]+)+", label):
        label = label.lower()
    parts = [" ".join(re.split(r"[_\-\s]+", part)).strip() for part in re.split(r"[/.:]+", label)]
    return ": ".join(part for part in parts if part) or label.strip()


def normalise_text(text: str) -> str:
    r"""The form in which two texts count as the same: for duplicates and leaks.

    Unicode NFKC with case folding (so full-width letters equal half-width ones), invisible format characters removed
    (not those that make one emoji of several), runs of whitespace made one space.

    >>> normalise_text("  ＧＯＯＤ   Quality\n")
    'good quality'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    emoji = {at for found in _JOINED_EMOJI.finditer(folded) for at in range(*found.span())}
    visible = "".join(
        character for at, character in enumerate(folded) if at in emoji or unicodedata.category(character) != "Cf"
    )
    return " ".join(visible.split())
