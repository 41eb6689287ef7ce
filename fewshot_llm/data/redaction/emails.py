"""E-mail addresses, also as people hide them: `li艾特163点com`, `jane (at) gmail dot com`, `12345678#qq.com`.

Each rule finds the sign (`@`, a word for it, a provider's name) and looks a bounded way to the left and the right of
it, so that a long text costs its length and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fewshot_llm.data.redaction.kinds import Kind
from fewshot_llm.data.redaction.reading import Find, PlainReading

__all__ = ["find_emails"]

LETTER = r"[^\W\d_\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"
"""Of any script that puts spaces between words. Chinese is apart: there an address touches the words beside it."""
LABEL = rf"(?:{LETTER}|[0-9])(?:{LETTER}|[0-9-]){{0,62}}"
CHINESE_TOP = r"(?:中国|中國|公司|网络|網絡|网址|商城|在线|网店|集团|我爱你|香港|台湾|台灣)"
TOP = (
    r"(?:com|cn|net|org|edu|gov|info|biz|io|me|co|uk|us|de|fr|eu|hk|tw|jp|kr|sg|ca|au|it|es|nl|ch|at|be|in|ru"
    r"|br|mx|se|no"
    r"|dk|fi|pl|ie|nz|app|dev|shop|store|online|xyz|top|vip|tech|site|cc|tv|email|cloud|example|test)"
)
SECOND_TOP = r"(?:cn|uk|hk|tw|au|jp|br|nz|in|za|sg|mx)"
PROVIDER = (
    r"(?:qq|扣扣|q{1,2}邮箱|1\s?6\s?3|1\s?2\s?6|139|188|189|yeah|foxmail|sina|新浪|vip\.?(?:qq|sina|163)|sohu"
    r"|搜狐|tom|21cn|aliyun|网易"
    r"|outlook|hotmail|live|msn|g\s?mail|谷歌|googlemail|yahoo|雅虎|ymail|icloud|me|mac|aol|gmx|web"
    r"|proton\s?mail|proton|pm"
    r"|zoho|yandex|mail|t-online|orange|wanadoo|laposte|free|btinternet|sky|virginmedia|comcast|verizon|att|sbcglobal"
    r"|fastmail|hey|freenet|posteo|naver|rediffmail|bigpond)"
)

# The domain after the sign. Spaces inside it only before an ending that is known.
PLAIN_TAIL = re.compile(
    rf"(?:{LABEL}\.){{1,5}}(?:xn--[a-z0-9-]{{2,40}}|[a-z]{{2,24}}(?![a-z0-9-])|{CHINESE_TOP}|(?!xn--){LETTER}{{2,24}})"
    rf"|(?:[\w-]{{1,30}}[.。]){{1,3}}(?:{CHINESE_TOP}|[a-z]{{2,24}}(?![a-z]))"
    r"|(?:qq|163|126|gmail|hotmail|outlook|yahoo|foxmail|sina|icloud)(?![\w.-])"
    rf"|(?:{LABEL}\s?[.。,]\s?){{1,4}}?{TOP}(?:\s?[.。]\s?{SECOND_TOP})?(?![a-z0-9-])",
    re.IGNORECASE,
)
DOT_WORD = (
    r"(?:\s{0,3}[\[({<]\s{0,2}(?:dot|\.|点|d|punkt|point)\s{0,2}[\])}>]\s{0,3}|\s{0,3}(?:点儿?|點|小数点|點)\s{0,3}"
    r"|\s{1,3}(?:dot|punkt|point)\s{1,3}|\s{0,3}[-_*]{1,2}dot[-_*]{1,2}\s{0,3})"
)
DOT = rf"(?:\s{{0,2}}[.。,]\s{{0,2}}|{DOT_WORD}|\s{{1,2}}(?=(?:com|cn|net|org)\b))"
HIDDEN_TAIL = re.compile(
    rf"(?P<domain>{PROVIDER}|[a-z0-9](?:[a-z0-9-]{{0,40}}[a-z0-9])?(?:{DOT}[a-z0-9-]{{2,30}}){{0,2}}?)"
    rf"(?P<dot>{DOT}){TOP}(?:{DOT}{SECOND_TOP})?(?![a-z0-9])",
    re.IGNORECASE,
)
HIDDEN_SIGN = re.compile(
    r"\s{0,3}[\[({<【]\s{0,2}(?:at|@|a|艾特|爱特|圈a)\s{0,2}[\])}>】]\s{0,3}|\s{0,3}(?:艾特|爱特|圈\s?a|小老鼠"
    r"|at符号|at号)\s{0,3}"
    r"|\s{0,3}[-_*~]{1,2}(?P<dashed>at)[-_*~]{1,2}\s{0,3}|\s{0,3}(?P<plain>@)\s{0,3}"
    r"|\s{1,3}(?:at[\s-]?sign|@sign|\(?symbol\sat\)?)\s{1,3}|\s{1,3}(?P<word>at)\s{1,3}|\s?在\s?(?=(?:qq|163|126"
    r"|gmail|sina|foxmail|hotmail|outlook)\s?(?:点|\.|dot))|(?<=[\u4e00-\u9fff0-9])at(?=[\u4e00-\u9fff0-9q])"
    r"|(?<=[a-z0-9])(?-i:AT)(?=[a-z0-9])|\s{1,2}@at@?\s{1,2}",
    re.IGNORECASE,
)
SIGN_OF_OTHERS = re.compile(r"\s?(?:[#&*^~$]|丶|🐭|🌀|井号?)\s?", re.IGNORECASE)

# The local part before the sign.
PRICE = re.compile(r"[0-9]{1,4}(?:[.,][0-9]{2})?\s+")
HEAD = re.compile(
    rf"(?:(?:{LETTER}|[0-9_])(?:{LETTER}|[0-9_]|[.%+!#$&'*/=?^`|~-]){{0,63}}|\"[^\"]{{1,40}}\")\s{{0,3}}\Z"
)
CHINESE_HEAD = re.compile(r"[\w.+-]{1,24}\s?\Z")
ANNOUNCING = re.compile(r".*(?:邮箱|邮件|地址|信箱|电邮|发[到给至]|寄到|联系|[是为到给叫用填写])(?=[\u4e00-\u9fff\w])")
HIDDEN_HEAD = re.compile(
    r"(?<![a-z0-9._+-])[a-z0-9](?:[a-z0-9._+-]|\s(?:dot|underscore|dash|plus|point)\s|[(\[](?:dot|点)[)\]]|点"
    r"|下划线|减号){0,63}\Z",
    re.IGNORECASE,
)

NO_SIGN = re.compile(
    r"(?<![a-z0-9._/-])(?:[0-9]{5,12}\s?|[a-z][a-z0-9._-]{2,40}[0-9]\s?|[a-z][a-z0-9._-]{3,40}\s)"
    r"(?:(?:qq|扣扣|163|126|gmail|foxmail|hotmail|outlook|sina|新浪|网易|谷歌)\s?(?:\.|点|。|\s)\s?com(?![a-z])"
    r"|(?:qq|扣扣|网易|163|126|gmail|谷歌|新浪|搜狐|foxmail|hotmail|outlook)\s?(?:的)?(?:邮箱|信箱))",
    re.IGNORECASE,
)
BESIDE = re.compile(
    r"(?:邮箱|邮件地址|电邮|(?<![a-z])(?:e-?mail|gmail|hotmail|outlook|icloud|foxmail|mail(?=\s?[:=]))(?![a-z]))"
    r"(?:地址|帐号|账号|号|name|address|id)?(?:[\s:=(]|是|为|address|is|->|→){0,8}"
    r"(?<![a-z])(?P<value>[a-z0-9][a-z0-9._-]{3,40})(?![\w@.-])",
    re.IGNORECASE,
)
MENTION = re.compile(r"邮|信箱|mail|contact|reach|write to|invoice|发票|联系|\bsend|ping me|reply", re.IGNORECASE)
DOMAINS = ("com", "cn", "net", "org", "mail", "dot", "点", "點", "邮", "信箱", ".", "。")
SIGNS = (
    "在",
    "at sign",
    "at-sign",
    "艾特",
    "爱特",
    "圈",
    "老鼠",
    "@",
    "(a",
    "[a",
    "{a",
    "<a",
    "( a",
    "[ a",
    "_at",
    "-at",
    "*at",
    "~at",
    "at符",
    "at号",
)
PROVIDERS = (
    "qq",
    "扣扣",
    "163",
    "126",
    "mail",
    "outlook",
    "sina",
    "新浪",
    "网易",
    "谷歌",
    "搜狐",
    "live",
    "yahoo",
    "icloud",
)
NOT_A_NAME = re.compile(
    r"and|are|arrive|arrived|available|back|be|bought|buy|cheaper|found|free|get|got|here"
    r"|is|it|item|items|look|looked|looking|me|not|now|one|online|only|or|order|ordered"
    r"|people|price|prices|purchased|return|returned|sale|seen|sell|selling|sells|shop"
    r"|shopping|sold|staff|stay|store|stores|stuff|support|that|them|this|up|us|was|work"
    r"|working|works|yet"
)


def find_emails(reading: PlainReading) -> Iterator[Find]:
    """E-mail addresses, plain and hidden."""
    for start, end in (*_plain(reading.text), *_hidden(reading)):
        if not reading.in_url(start):
            yield Kind.EMAIL, start, end


def _plain(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        after = at + 1
        while after < len(text) and after < at + 4 and text[after] == " ":
            after += 1
        tail = PLAIN_TAIL.match(text, after, after + 130)
        left = max(0, at - 70)
        if tail is not None:
            if (head := HEAD.search(text, left, at)) is not None:
                if PRICE.fullmatch(head.group()):
                    at = text.find("@", at + 1)
                    continue
                yield head.start(), tail.end()
            elif (head := CHINESE_HEAD.search(text, left, at)) is not None:
                lead = ANNOUNCING.match(head.group())
                yield head.start() + (0 if lead is None else lead.end()), tail.end()
        at = text.find("@", at + 1)


def _hidden(reading: PlainReading) -> Iterator[tuple[int, int]]:
    text = reading.text
    if not reading.has(DOMAINS):
        return
    mentioned = MENTION.search(text) is not None
    for sign in HIDDEN_SIGN.finditer(text) if _may_hide(reading) else ():
        tail = HIDDEN_TAIL.match(text, sign.end(), sign.end() + 100)
        head = None if tail is None else HIDDEN_HEAD.search(text, max(0, sign.start() - 70), sign.start())
        if tail is None or head is None:
            continue
        if (sign["word"] is None and sign["dashed"] is None) or _is_address(head.group(), tail, mentioned=mentioned):
            yield head.start(), tail.end()
    others = reading.has(("#", "&", "*", "^", "~", "$", "丶", "🐭", "🌀", "井"))
    for sign in SIGN_OF_OTHERS.finditer(text) if others and reading.has(PROVIDERS) else ():
        tail = HIDDEN_TAIL.match(text, sign.end(), sign.end() + 60)
        if tail is not None and re.fullmatch(PROVIDER, tail["domain"], re.IGNORECASE):
            head = HIDDEN_HEAD.search(text, max(0, sign.start() - 70), sign.start())
            if head is not None:
                yield head.start(), tail.end()
    if reading.has(PROVIDERS):
        yield from (match.span() for match in NO_SIGN.finditer(text))
    if mentioned:
        for match in BESIDE.finditer(text):
            value = match["value"]
            if re.search(r"[0-9]|[a-z][._][a-z]", value.lower()) and not re.fullmatch(
                r"[0-9.,-]{1,4}|.*\.(?:com|cn|net)", value
            ):
                yield match.span("value")


def _may_hide(reading: PlainReading) -> bool:
    if reading.has(SIGNS) or "AT" in reading.text or ("at" in reading.low and not reading.text.isascii()):
        return True
    return " at " in reading.low and (
        reading.has(("dot", "point", "punkt")) or re.search(r"\.[a-z]{2,3}(?![a-z])", reading.low) is not None
    )


def _is_address(head: str, tail: re.Match[str], *, mentioned: bool) -> bool:
    """Whether `… at …` is an address, and not `look at amazon.com`."""
    if re.search(r"[0-9_.]|\b(?:dot|underscore)\b", head, re.IGNORECASE):
        return True
    if NOT_A_NAME.fullmatch(head.lower()) is not None:
        return False
    provider = re.fullmatch(PROVIDER, tail["domain"], re.IGNORECASE) is not None
    worded = re.fullmatch(DOT_WORD, tail["dot"], re.IGNORECASE) is not None
    return (provider or worded) if mentioned else (provider and worded)
