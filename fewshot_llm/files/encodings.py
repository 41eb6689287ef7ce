"""Text files in any encoding, as streams of UTF-8 bytes.

What cannot be read stays a byte that is not UTF-8, so that every reader notices it in the same way.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from fewshot_llm.errors import DataFileError, nearest

__all__ = ["Encoding", "fitting_line", "known_encoding", "sniff_encoding", "utf8_stream"]

CANDIDATES = (
    *("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949"),
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "koi8_r", "cp874"),
)
"""What spreadsheets and old systems write. The first of those that give the same text is the one that is named."""

SAID = {"big5hkscs": "big5", "cp932": "shift_jis"}
"""Names that people know; each stands for the wider encoding."""
WIDER = {"big5": "big5hkscs", "gbk": "gb18030", "gb2312": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MOST = 1 << 16
"""Bytes that an encoding is told from."""
ENOUGH_HANGUL = 10
_LINES = re.compile(rb"[\r\n]+|(?<=\}),[ \t]*(?=\{)")
"""What is between rows; a JSON array may have all of its objects in one line."""
_KANA = re.compile("[\u3040-\u30ff\uff66-\uff9f]")
_HANGUL = re.compile("[\uac00-\ud7a3]")


@dataclass(frozen=True)
class Encoding:
    """What a file's beginning says about its encoding.

    Attributes:
        name: the codec to read it with.
        fits: names of all that fit, the likeliest first; more than one where they give different texts.
        samples: of each of `fits`, the beginning of a line as it would be read.
    """

    name: str
    fits: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()


def known_encoding(name: str) -> str:
    """The codec of an encoding that a person named.

    Raises:
        DataFileError: no text encoding has that name.
    """
    try:
        codec = codecs.lookup(name.strip())
        "a".encode(codec.name)
    except (LookupError, UnicodeError, TypeError, AttributeError) as error:
        names = ("utf-8", "utf-16", "gb18030", "big5", "shift_jis", "cp1252", "cp1250", "cp1251", "euc_kr", "euc_jp")
        raise DataFileError(f"There is no encoding {name!r}. {nearest(name, names)}") from error
    plain = codec.name.replace("-", "_")
    if plain in ("utf_8_sig", "ascii"):
        return "utf-8"
    return WIDER.get(plain, codec.name)


def sniff_encoding(sample: bytes, whole: bool, header: bool = False) -> Encoding:
    """Which encoding a file is in, from its beginning.

    A file of which single lines are not UTF-8 is UTF-8 with bad lines. One that holds no certain line of UTF-8 is in
    another encoding.

    Args:
        sample: the first bytes.
        whole: whether they are all.
        header: the first line names the columns: where it is not UTF-8, the file is not.
    """
    for mark, name in MARKS:
        if sample.startswith(mark):
            return Encoding(name, (name,))
    if wide := _without_mark(sample):
        return Encoding(wide, (wide,))
    if _begins_as_utf8(sample, whole):
        return Encoding("utf-8")
    lines = _LINES.split(sample)
    if not whole and len(lines) > 1:
        del lines[-1]
    spoken = [(number, line) for number, line in enumerate(lines) if not line.isascii()]
    broken = [(number, line) for number, line in spoken if not _is_utf8(line)]
    certain = any(_is_utf8(line) and sum(byte > 0x7F for byte in line) > 8 for _, line in spoken)
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    single = len(broken) == 1 and not (header and broken[0][0] == first)
    if not broken or certain or single or 2 * len(broken) <= len(spoken):
        return Encoding("utf-8")
    told = b"\n".join(line for _, line in spoken)
    return _fitting(told if len(told) <= MOST else told[:MOST].rpartition(b"\n")[0] or told)


def fitting_line(line: bytes) -> tuple[str, ...]:
    """Names of the encodings that one line of another encoding may be in, at most three."""
    return _fitting(line).fits[:3]


def utf8_stream(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The stream's text as UTF-8 bytes; a byte 0xFF where the encoding has no character. UTF-8 stays as it is."""
    if encoding == "utf-8":
        return stream
    return cast(BinaryIO, io.BufferedReader(_Recoded(stream, encoding), 1 << 16))


class _Recoded(io.RawIOBase):
    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._stream.read(1 << 16)
            text = self._decoder.decode(data, final=not data)
            self._rest = text.replace("\ufffd", "\udcff").encode("utf-8", "surrogateescape")
            if not data:
                break
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _begins_as_utf8(sample: bytes, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _without_mark(sample: bytes) -> str | None:
    """UTF-16 without a byte order mark: NUL is every other byte of ASCII, and seldom elsewhere (一 is 4E 00)."""
    sample = sample[: 1 << 16]
    sample = sample[: len(sample) // 2 * 2]
    at = [sample[0::2].count(0), sample[1::2].count(0)]
    pairs = len(sample) // 2
    share = 0.5 if _is_utf8(sample) else 0.02
    if pairs < 2 or 2 * min(at) > max(at) or max(at) < share * pairs:
        return None
    name = "utf-16-be" if at[0] > at[1] else "utf-16-le"
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return None
    strange = any(unicodedata.category(letter) in ("Cc", "Cn", "Co") and letter not in "\t\r\n" for letter in text)
    return None if strange else name


def _fitting(sample: bytes) -> Encoding:
    """The encodings in which the sample reads as text: by charset-normalizer, and by how usual the characters are."""
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=list(CANDIDATES), enable_fallback=False)
    texts: dict[str, str] = {}
    for name in CANDIDATES:
        for match in found:
            if name in match.could_be_from_charset:
                texts.setdefault(name, str(match))
    usual = {name: _usual(text, name) for name, text in texts.items()}
    if (usual.get("cp949") or 0.0) >= 0.95 and len(_HANGUL.findall(texts["cp949"])) >= ENOUGH_HANGUL:
        # Every usual syllable is a usual character of Chinese too, but not the other way round.
        usual = {"cp949": usual["cp949"]} | {name: 0.0 for name in texts if name != "cp949"}
    best = max((share for share in usual.values() if share is not None), default=0.0)
    if best >= 0.8:
        texts = {name: text for name, text in texts.items() if (usual[name] or 0.0) >= best - 0.1}
    else:
        texts = {name: text for name, text in texts.items() if usual[name] is None}
        clear = {name: match for match in found for name in match.could_be_from_charset if name in texts}
        least = min((match.percent_chaos for match in clear.values()), default=0.0)
        most = max((match.percent_coherence for match in clear.values()), default=0.0)
        texts = {
            name: text
            for name, text in texts.items()
            if clear[name].percent_chaos <= least + 3 and clear[name].percent_coherence >= most - 20
        }
    distinct: dict[str, str] = {}
    for name, text in texts.items():
        if text not in distinct.values():
            distinct[name] = text
    if not distinct:
        return Encoding("utf-8")
    fits = tuple(distinct) if len(distinct) == 1 else tuple(texts)
    line = next((at for at, part in enumerate(sample.split(b"\n")) if not part.isascii()), 0)
    shown = tuple(texts[name].split("\n")[line].strip()[:20] for name in fits)
    return Encoding(fits[0], tuple(SAID.get(name, name) for name in fits), shown)


def _usual(text: str, name: str) -> float | None:
    """The share of an East Asian encoding's letters that are of its usual ones; `None` for the other encodings."""
    letters = [letter for letter in text if letter > "\u3000" and letter.isalpha()]
    if name not in CANDIDATES[:5]:
        return None
    if not letters or any("\ue000" <= letter <= "\uf8ff" for letter in text):
        return 0.0
    if name == "cp949":
        return sum(bool(_HANGUL.match(letter)) and 0xB0 <= _lead(letter, "euc_kr") <= 0xC8 for letter in letters) / len(
            letters
        )
    if name in ("cp932", "euc_jp"):
        kana = sum(bool(_KANA.match(letter)) for letter in letters)
        kanji = sum(0x88 <= _lead(letter, "cp932") <= 0x97 for letter in letters)
        return (kana + kanji) / len(letters) if kana >= 0.2 * len(letters) else 0.0
    codec, low, high = ("gb2312", 0xB0, 0xD7) if name == "gb18030" else ("big5", 0xA4, 0xC6)
    return sum(low <= _lead(letter, codec) <= high for letter in letters) / len(letters)


def _lead(letter: str, codec: str) -> int:
    try:
        return letter.encode(codec)[0]
    except UnicodeEncodeError:
        return 0
