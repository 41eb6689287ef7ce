"""What can be told from the writing itself: its language, its sameness, the readable form of a label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = [
    "JOINED",
    "UNSPACED",
    "detect_language",
    "language_name",
    "normalise_text",
    "readable_label",
    "written_language",
]

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


_SCRIPTS = {
    "kana": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af\u1100-\u11ff",
    "ru": "\u0400-\u04ff",
    "ar": "\u0600-\u06ff\u0750-\u077f",
    "he": "\u0590-\u05ff",
    "el": "\u0370-\u03ff",
    "th": "\u0e00-\u0e7f",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "my": "\u1000-\u109f",
    "km": "\u1780-\u17ff",
}
_BY_SCRIPT = {code: re.compile(f"[{span}]") for code, span in _SCRIPTS.items()}
_LATIN = re.compile("[a-zA-Z\u00c0-\u024f\u1e00-\u1eff]")
_LETTERS_OF = {"ru": [("uk", "іїєґ")], "ar": [("fa", "پچژگ"), ("ur", "ٹڈڑے")]}
"""Letters that tell a language from the one its script is first taken for."""
_FREQUENT = """
en the and is was it this to of in not but very with for my i are have on that you would will
de der die das und ist nicht ich sehr mit war ein eine auch zu für auf es aber nur den wie schnell
fr le la les et est pas je très avec une un des pour mais dans que qui ce du au plus bien
es el la los las y es no muy con una un de por para pero que lo se mi me más bien
it il la le e è non molto con una un di per ma che ho sono più bene lo gli mi della
pt o a os as e é não muito com uma um de por para mas que meu mais bem do da veio
nl de het een en is niet ik zeer met was voor maar van op dat goed heel ook te er
pl i jest nie się na z to bardzo do ale jak za po dobra tak w polecam mi
tr ve bir bu çok ama için değil da de ürün iyi güzel gibi daha hiç geldi ile
sv och är inte jag mycket med en ett som det för på men den bra att
vi và là không rất tôi hàng được của có cho với này giao đẹp nhưng
id dan yang tidak ini sangat bagus dengan untuk barang di saya sudah sesuai tapi
"""
_FUNCTION_WORDS = {line[:2]: line.split()[1:] for line in _FREQUENT.strip().splitlines()}
_NAMES = {
    "zh": "Chinese",
    "en": "English",
    "ja": "Japanese",
    "ko": "Korean",
    "ru": "Russian",
    "uk": "Ukrainian",
    "ar": "Arabic",
    "fa": "Persian",
    "ur": "Urdu",
    "he": "Hebrew",
    "el": "Greek",
    "th": "Thai",
    "hi": "Hindi",
    "bn": "Bengali",
    "ta": "Tamil",
    "te": "Telugu",
    "ka": "Georgian",
    "hy": "Armenian",
    "my": "Burmese",
    "km": "Khmer",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "tr": "Turkish",
    "sv": "Swedish",
    "vi": "Vietnamese",
    "id": "Indonesian",
}


def language_name(code: str) -> str:
    """English name of a two-letter code that `written_language` gives; the code itself for others."""
    return _NAMES.get(code, code)


def written_language(texts: Iterable[str]) -> str | None:
    """The language that most of the texts are in, as a two-letter code; None where nothing tells it.

    Told from the script (Cyrillic counts as Russian unless letters of another language stand there), and for Latin
    letters from the most frequent words. It needs no network and no model, and knows no rare languages.

    >>> written_language(["Доставка очень быстрая"]), written_language(["Sehr gut, aber nicht schnell"])
    ('ru', 'de')
    >>> written_language(["物流很快"]), written_language(["配送が早くて良い"])
    ('zh', 'ja')
    """
    text = unicodedata.normalize("NFC", "\n".join(texts)).lower()
    counts = {code: len(pattern.findall(text)) for code, pattern in _BY_SCRIPT.items()}
    kana, han = counts.pop("kana"), len(_HAN.findall(text))
    counts["ja" if kana * 10 > han else "zh"] = kana + han
    # A character of these two scripts says as much as a whole word of letters.
    counts = {code: count * (3 if code in ("zh", "ja", "ko") else 1) for code, count in counts.items()}
    counts["latin"] = len(_LATIN.findall(text))
    best = max(counts, key=lambda code: counts[code])
    if not counts[best]:
        return None
    if best != "latin":
        rivals = ((code, sum(map(text.count, letters))) for code, letters in _LETTERS_OF.get(best, ()))
        return next((code for code, found in rivals if found * 50 >= counts[best]), best)
    words = re.findall(r"[^\W\d_]+", text)
    hits = {code: sum(map(words.count, function)) for code, function in _FUNCTION_WORDS.items()}
    first = max(hits, key=lambda code: hits[code])
    # A few words in common are chance: English is doubted only where another language is clearly ahead.
    return first if hits[first] > 1.5 * hits["en"] and hits[first] * 12 >= len(words) else "en"


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
