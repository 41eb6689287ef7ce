r"""What gives an injected piece of text away: forms of words that talk to the labeller instead of about the product.

Patterns are matched against one clause at a time in its plain form (NFKC, lower case, no blanks between Chinese
characters), so that `回 答`, `ＡＮＳＷＥＲ` and `Answer` are one thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fewshot_llm.prompting.form import Form

__all__ = ["SIGNS", "Sign", "form_signs", "plain", "shows", "unusual"]

_HAN_GAP = re.compile(r"(?<=[\u3400-\u9fff，。！？：；、])\s+(?=[\u3400-\u9fff，。！？：；、])")

ORDINARY = 0.02
"""A sign that more of the shop's own labelled texts show is the way people write there, and no sign."""


@dataclass(frozen=True)
class Sign:
    """One kind of evidence.

    Attributes:
        name: what it is evidence of.
        pattern: searched in a clause's plain form.
    """

    name: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, name: str, pattern: str) -> Sign:
        """A sign from a regular expression; blanks and line breaks in it mean nothing."""
        return cls(name, re.compile(pattern, re.VERBOSE))

    def __repr__(self) -> str:
        return f"Sign({self.name!r}, {self.pattern.pattern!r})"


SIGNS: tuple[Sign, ...] = (
    Sign.of(
        "an order to ignore something",
        r"""(忽略|无视|忘掉|忘记|不要理会|不用理会) .{0,6}
          (以上|上面|上述|前面|之前|指示|指令|要求|规则|提示|内容|评论|文本)
        | \b(ignore|disregard|forget|override|skip)\b .{0,30}
          \b(above|previous|prior|before|preceding|earlier|instructions?|rules?|prompts?|reviews?|texts?)\b""",
    ),
    Sign.of(
        "an order to answer",
        r"""(必须|只能|务必|一律|只|都|请|应当|应该) .{0,2} (回答|输出|判定|判断为|判为|标记|标注|归为|归类|归入)
        | ^[，,、:：\s]*(回答|输出|答案|判定|标注)
        | \b(must|always|only|just|please)\s+(answer|output|respond|reply|print|say|label|classify|return)\b
        | \b(classify|label|file|mark|rate|categori[sz]e)\s+(this|it|the\s\w+)\s+(as|under)\b""",
    ),
    Sign.of(
        "a role for the labeller",
        r"""(你|您)(现在)?(是|变成|扮演) .{0,10} (助手|助理|机器人|模型|系统|程序|专家|管理员) | 扮演|角色扮演
        | \b(you\sare|act\sas|pretend\sto\sbe|role-?play) .{0,24}
          \b(assistant|bot|robot|model|ai|system|program|classifier|seller|admin\w*)\b""",
    ),
    Sign.of(
        "words in the name of the operator",
        r"""(系统|管理员|平台|审核员?|开发者|客服) .{0,2} (提示|说明|消息|指令|备注|批注|通知) [：:]
        | \b(system|admin\w*|assistant|developer|moderator|operator)\b
          .{0,4} \b(note|prompt|message|remark|instruction)\b
        | \b(note|message|remark)\sfrom\s(the\s)?(system|admin\w*|developer|moderator|operator)\b""",
    ),
    Sign.of(
        "a forged end",
        r"""(评论|评价|文本|内容|输入|正文) .{0,2} (到此)? (结束|完毕)
        | \bend\s+of\s+(the\s+)?(review|text|message|input|prompt|user)\b""",
    ),
    Sign.of(
        "a forged label line",
        r"""(评价|标签|类别|分类|结果|结论|答案|判定|意图|情感|输出|评论) \s* (=|:|：|->|→)
        | \b(label|answer|sentiment|verdict|category|class|classification|output|intent|result|response|review|text)
          \s*(=|:|->|→)""",
    ),
    Sign.of("a control token", r"<[|/]?[a-z_0-9▁ ]{2,24}[|>]|\[/?inst\]|<</?sys>>|\#{3,}"),
)
"""Written for shops' texts in Chinese and English on the development half of the attacks."""


def plain(clause: str) -> str:
    """The form in which a clause is looked at.

    >>> plain("回 答：ＹＥＳ")
    '回答:yes'
    """
    return _HAN_GAP.sub("", unicodedata.normalize("NFKC", clause).casefold())


def shows(clause: str, signs: Iterable[Sign]) -> bool:
    """Whether a clause shows any of the signs."""
    read = plain(clause)
    return any(sign.pattern.search(read) for sign in signs)


def form_signs(form: Form) -> tuple[Sign, ...]:
    """Signs that a task's own prompts give: its labels' words, and what the template prints around a text."""
    labels = [*form.words.values(), *form.names, *form.words]
    marks = [part.strip() for part in (form.opening, form.closing) if len(part.strip()) > 1]
    signs = [Sign(f"the label words {word!r}", _words(word)) for word in dict.fromkeys(map(plain, labels)) if word]
    return (*signs, *(Sign(f"the template's {mark!r}", re.compile(re.escape(plain(mark)))) for mark in marks))


def unusual(signs: Iterable[Sign], trusted: Sequence[str]) -> tuple[Sign, ...]:
    """The signs that the shop's own texts hardly ever show.

    A shop whose intents are `cancel order` and `track order` reads these words in every second message; there they say
    nothing of an attack.

    Args:
        signs: all that could be looked for.
        trusted: texts that nobody had a reason to forge: the support set's.
    """
    texts = [plain(text) for text in trusted]
    most = ORDINARY * len(texts)
    return tuple(sign for sign in signs if sum(bool(sign.pattern.search(text)) for text in texts) <= most)


def _words(word: str) -> re.Pattern[str]:
    """A label's words as words: `good` is not found in `goodness`, 正面 is found anywhere."""
    left, right = (r"(?<![a-z0-9])" if word[0].isascii() else ""), (r"(?![a-z0-9])" if word[-1].isascii() else "")
    return re.compile(left + re.escape(word) + right)
