"""Phone numbers, the ids of chat programs and e-mail addresses.

Phone numbers are found in three ways, from strict to generous: the forms that are a phone number anywhere (a Chinese
mobile however it is broken up, an area code in brackets, a country code); what `phonenumbers` takes for one of the
asked regions and is written as it is there; and any row of digits beside a word such as `电话` or `call`. Beside a word
such as `订单` or `SKU` the first two do not count.

E-mail addresses are found as people hide them, too: `li艾特163点com`, `jane (at) gmail dot com`, `12345678#qq.com`.
Each rule finds the sign (`@`, a word for it, a provider's name) and looks a bounded way to the left and the right of
it, so that a long text costs its length and no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date

from fewshot_llm.data.redaction.reading import (
    CONNECTIVE,
    Find,
    Kind,
    PlainReading,
    beside,
    digits_of,
    letters_before,
    names_a_code,
)

__all__ = ["find_chat_ids", "find_emails", "phones_of"]

GAP = r"[ \-.·_/~,*|、—–]{0,2}"
CHINESE_MOBILE = re.compile(
    rf"(?<![0-9])(?P<country>(?:\+"
    rf"|00)?\(?\+?86\)?{GAP})?\(?0?"
    rf"(?P<number>1{GAP}[3-9]"
    rf"(?:[ \-.·_/~,*|、—–()]{{0,2}}[0-9]){{9}})(?![0-9])(?!\.[0-9]*[1-9])(?:\.0{{1,2}}(?![0-9]))?"
)
GROUPS = frozenset(
    {
        (11,),
        (3, 4, 4),
        (3, 3, 5),
        (4, 3, 4),
        (4, 4, 3),
        (5, 6),
        (6, 5),
        (3, 8),
        (7, 4),
        (3, 5, 3),
        (3, 2, 2, 2, 2),
        (3, 2, 3, 3),
        (3, 3, 3, 2),
    }
    | {
        (3, 2, 2, 4),
        (3, 4, 2, 2),
        (3, 3, 2, 3),
        (4, 7),
        (5, 3, 3),
        (3, 6, 2),
        (3, 2, 6),
        (2, 3, 3, 3),
        (3, 4, 1, 3),
        (1, 10),
    }
)
"""How the eleven digits are grouped without any word beside them that says that this is a phone number."""
SPELLED_DIGIT = "0-9零〇○oO一二两三四五六七八九幺壹贰叁肆伍陆柒捌玖洞拐勾"
SPELLED = re.compile(
    rf"(?<![{SPELLED_DIGIT}])[1一幺壹]{GAP}[3-9三四五六七八九叁肆伍陆柒捌玖拐勾]"
    rf"(?:{GAP}[{SPELLED_DIGIT}]){{9}}(?![{SPELLED_DIGIT}十百千万亿])"
)
CHINESE_LANDLINE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][-./])(?:(?:\+|00)?86[ -]?)?(?P<area>\(?0(?:10|2[0-9]"
    r"|[3-9][0-9]{2})\)?)(?P<sep>[ -]{0,3})[2-8][0-9]{2,3}[ -]?[0-9]{4}(?![0-9])"
)
SERVICE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][-./])[48]00(?:[0-9]{7}|-[0-9]{3}-?[0-9]{4}|-[0-9]{4}-?[0-9]{3}"
    r"|[0-9]{3}-[0-9]{4}|(?P<spaced> [0-9]{3,4} [0-9]{3,4}))(?![0-9]|-[0-9])"
)
EXTENSION = re.compile(
    r"\s?(?:-|转|轉|分机号?|分機|ext(?:ension)?\.?|x)\s?:?\s?[0-9]{1,6}(?![0-9A-Za-z])", re.IGNORECASE
)

AMERICAN = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9A-Za-z][-./])(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\)[ .-]{0,2}"
    r"|[2-9][0-9]{2}(?P<sep>[ .-]))[0-9]{3}[ .-][0-9]{4}(?![0-9]|[-/.][0-9])"
)
COUNTRY_CODE = re.compile(r"(?<![0-9A-Za-z])(?P<plus>\+|00|011 ?)\(?[1-9](?:[ \-.()/·]{0,2}[0-9]){6,14}(?![0-9])")
BARE_COUNTRY_CODE = re.compile(
    r"(?<![0-9A-Za-z])\(?(?:852|853|886|65|44|49|33|61|81|82)\)?[ -]{1,2}\(?[0-9](?:[ -]?[0-9]){6,10}(?![0-9])"
)
BRITISH = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][-./])\(?0(?:7[0-9]{3}\)?[ -][0-9]{3}[ -]?[0-9]{3}|7[0-9]{9}"
    r"|2[0-9]\)?[ -][0-9]{4}[ -]?[0-9]{4}|1[0-9]{2,4}\)?[ -][0-9]{3}[ -]?[0-9]{3,4}"
    r"|[38][0-9]{2}\)?[ -][0-9]{3,4}[ -]?[0-9]{3,4})(?![0-9])"
)
CANDIDATE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9A-Za-z][-./])\(?[0-9](?:[ \-.()/]{0,2}[0-9]){6,13}(?![0-9A-Za-z]|[-/.,][0-9])"
)

PHONE_WORDS = (
    r"(?:联系|收货|固定|家庭|办公|单位|预留)?电话(?:号码?)?|电联|手机号码?|手機|座机|坐机|固话|联系方式"
    r"|联系号码|联系我|传真|热线|拨打?|打给我?|打我|致电|来电|呼叫|短信|加我|号码|同号|(?:香港"
    r"|澳门)(?:的?号码?)?|电話|電話"
    r"|(?<![a-z])(?:tele?phone|phone|mobile|cell(?:\s?phone)?|tel|telefon|t[ée]l[ée]phone|handy|rufnummer|mob"
    r"|ph|call(?:ed|ing)?|text(?:ed|ing)?|ring|dial|sms|whats\s?app|fax|hotline|landline)(?:\s?(?:me|us|him|her))?"
    r"(?:\s(?:number|no|nr))?(?:\s(?:at|on|to|under|unter|au))?(?![a-z])"
    r"|(?<![a-z])(?:my|new|his|her|old|contact|our|wife's|husband's|office|home|work|daytime)\s(?:number"
    r"|no)(?:\s(?:is|was))?(?![a-z])|reach(?:ed)?\s(?:me|us|out)?\s?(?:at|on|to)?|contact\s(?:me|us)?\s?(?:at|on)"
)
PHONE_BESIDE = beside(
    PHONE_WORDS,
    r"\+?\(?[0-9](?:[ \-.()/·~_]{0,3}[0-9]){6,13}(?![0-9]|\.[0-9]*[1-9]|[a-z][0-9])",
    after=r"[\s,，)(]{0,2}(?:这?是|is)?(?:我的?|\s?my\s|the\s)?",
)
SPELLED_BESIDE = beside(
    PHONE_WORDS,
    rf"(?=[0-9]{{0,12}}[零〇○一二三四五六七八九幺])[{SPELLED_DIGIT}]"
    rf"(?:{GAP}[{SPELLED_DIGIT}]){{6,11}}(?![{SPELLED_DIGIT}十百千万亿])",
)
LOCAL_AMERICAN = re.compile(r"(?<![0-9A-Za-z-])[2-9][0-9]{2}[-.][0-9]{4}(?![0-9]|[-.][0-9])")
OR_ANOTHER = re.compile(r"[2-9][0-9]{2}[-.][0-9]{4}\s?(?:or|and|/|,|&)\s?\Z")
STRONG_PREFIX = re.compile(
    r"at|c|call|cell|dh|fax|hp|line|lx|lxdh|m|mob|mobile|no|num|number|on|p|ph|phone|qq"
    r"|sj|sjh|t|tel|text|tg|v|vx|wechat|weixin|whatsapp|wx|zfb"
)


def _is_day(text: str) -> bool:
    """Whether a row of digits with or without separators is a day, a time or a decimal number."""
    if re.fullmatch(
        r"(?:19|20)[0-9]{2}[-./ ][0-9]{1,2}[-./ ][0-9]{1,2}(?:[ -][0-9]{1,2}.*)?"
        r"|[0-9]{1,2}[-./][0-9]{1,2}[-./](?:19|20)[0-9]{2}.*",
        text,
    ):
        return True
    if re.fullmatch(r"[0-9]+[.,][0-9]+", text):
        return True
    digits = digits_of(text)
    if len(digits) in (8, 12, 14) and digits == text and digits[:2] in ("19", "20"):
        try:
            date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
        except ValueError:
            return False
        return True
    return re.fullmatch(r"(?:19|20)[0-9]{2}\s?[-~/]\s?(?:19|20)[0-9]{2}", text) is not None


def _groups(text: str) -> tuple[int, ...]:
    return tuple(len(group) for group in re.findall("[0-9]+", text))


def _stuck_to_code(text: str, start: int) -> bool:
    letters = letters_before(text, start)
    return bool(letters) and STRONG_PREFIX.fullmatch(letters) is None


def _goes_on(text: str, end: int) -> bool:
    """Whether Latin letters follow as they do in an article number: `13812345678A03`."""
    token = re.match(r"[A-Za-z0-9]{0,8}", text[end : end + 8])
    assert token is not None
    return token.group() != "" and (len(token.group()) <= 2 or any(c.isdigit() for c in token.group()))


NUMERALS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMERAL = (
    r"(?:(?:(?:double|triple|treble)[\s-])?(?:zero|oh|nought|one|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve"
    r"|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|(?:twenty|thirty|fou?rty|fifty|sixty|seventy"
    r"|eighty"
    r"|ninety)(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?|hundred|thousand)|[0-9]{1,4})"
)
SPELLED_ENGLISH = re.compile(rf"(?<![a-z0-9]){NUMERAL}(?:[\s,.-]{{1,3}}{NUMERAL}){{5,13}}(?![a-z0-9])", re.IGNORECASE)
COUNTING = re.compile(r"(?i)one[\s,.-]+two[\s,.-]+three[\s,.-]+four[\s,.-]+five|three[\s,.-]+two[\s,.-]+one")


def phones_of(regions: tuple[str, ...]) -> Callable[[PlainReading], Iterator[Find]]:
    """A rule for phone numbers written as in these regions (CN, US, …) or with a country code."""

    def find(reading: PlainReading) -> Iterator[Find]:
        text = reading.text
        for start, end in _spelled(reading):
            yield Kind.PHONE, start, end
        if reading.digits < 7:
            return
        for start, end in (
            *_chinese(reading),
            *_with_country_code(text),
            *_written_as_usual(reading, regions),
            *_beside(reading),
            *_of_regions(reading, regions),
        ):
            extension = EXTENSION.match(text, end)
            yield Kind.PHONE, start, end if extension is None else extension.end()

    return find


def _spelled(reading: PlainReading) -> Iterator[tuple[int, int]]:
    text = reading.text
    for match in SPELLED.finditer(text):
        written = re.sub(f"[^{SPELLED_DIGIT}]", "", match.group())
        if not written.isascii() or (re.search("[oO]", written) and len(digits_of(written)) >= 7):
            yield match.span()
    spelled = sum(map(reading.low.count, NUMERALS)) >= 4
    for match in SPELLED_ENGLISH.finditer(text) if spelled else ():
        words = len(re.findall("[a-z]+", match.group(), re.IGNORECASE))
        if (COUNTING.search(match.group()) is None or _said_to_be_phone(text, match.start())) and (
            (words >= 7 and "hundred" not in match.group().lower())
            or (words >= 4 and _said_to_be_phone(text, match.start()))
        ):
            yield match.span()
    if re.search("[零〇○一二三四五六七八九幺]{4}", text) is not None:
        for match in SPELLED_BESIDE.finditer(text):
            yield match.span("value")


def _chinese(reading: PlainReading) -> Iterator[tuple[int, int]]:
    text = reading.text
    for match in CHINESE_MOBILE.finditer(text):
        start, end = match.span()
        groups = _groups(match["number"])
        usual = groups in GROUPS or set(groups) == {1}
        listed = any(sign in match["number"] for sign in ",、|*")
        if listed and groups not in {(3, 4, 4), (3, 3, 5), (4, 3, 4)} and set(groups) != {1}:
            continue
        if usual or _said_to_be_phone(text, start):
            if _stuck_to_code(text, start) or _goes_on(text, end) or reading.in_url(start):
                continue
            if (
                re.search(r"[0-9A-Za-z][-_]\Z", text[max(0, start - 2) : start])
                and not match["country"]
                and STRONG_PREFIX.fullmatch(letters_before(text, start)) is None
            ):
                continue
            if not names_a_code(text, start, end) or match["country"]:
                yield start, end
    for match in CHINESE_LANDLINE.finditer(text):
        if (
            match["sep"]
            or "(" in match["area"]
            or (_is_valid(digits_of(match.group()), "CN") and not _ean(digits_of(match.group())))
        ) and not names_a_code(text, *match.span()):
            yield match.span()
    for match in SERVICE.finditer(text):
        if (
            match["spaced"]
            and re.search("客服|热线|电话|打|拨|call|phone", text[max(0, match.start() - 20) : match.start()]) is None
        ):
            continue
        if not names_a_code(text, *match.span()) and not reading.in_url(match.start()):
            yield match.span()


def _ean(digits: str) -> bool:
    from stdnum import ean

    return len(digits) in (12, 13) and ean.is_valid(digits)


def _said_to_be_phone(text: str, start: int) -> bool:
    return re.search(rf"(?i)(?:{PHONE_WORDS}){CONNECTIVE}{{0,12}}\Z", text[max(0, start - 40) : start]) is not None


def _with_country_code(text: str) -> Iterator[tuple[int, int]]:
    from phonenumbers import NumberParseException, is_possible_number, is_valid_number, parse

    for match in COUNTRY_CODE.finditer(text):
        plus = match["plus"] == "+"
        number = "+" + digits_of(match.group()[len(match["plus"]) :])
        try:
            parsed = parse(number)
        except NumberParseException:
            continue
        if (is_valid_number(parsed) or (plus and is_possible_number(parsed) and len(number) >= 10)) and not (
            not plus and names_a_code(text, *match.span())
        ):
            yield match.span()
    for match in BARE_COUNTRY_CODE.finditer(text):
        if _is_day(match.group()) or names_a_code(text, *match.span()):
            continue
        try:
            if is_valid_number(parse("+" + digits_of(match.group()))):
                yield match.span()
        except NumberParseException:
            continue


def _written_as_usual(reading: PlainReading, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Forms of the United States and Britain, fictional numbers included: a review may hold `555-0198`."""
    text = reading.text
    if "US" in regions or "CA" in regions:
        for match in AMERICAN.finditer(text):
            separated = (
                match["sep"] != " "
                or _said_to_be_phone(text, match.start())
                or _is_valid(digits_of(match.group()), "US")
            )
            if separated and not names_a_code(text, *match.span()):
                yield match.span()
        for match in LOCAL_AMERICAN.finditer(text):
            if _said_to_be_phone(text, match.start()) or OR_ANOTHER.search(
                text, max(0, match.start() - 14), match.start()
            ):
                yield match.span()
    if "GB" in regions:
        for match in BRITISH.finditer(text):
            if not names_a_code(text, *match.span()) and not _is_day(match.group()):
                yield match.span()


def _is_valid(digits: str, region: str) -> bool:
    from phonenumbers import NumberParseException, is_valid_number, parse

    try:
        return is_valid_number(parse(digits, region))
    except NumberParseException:
        return False


def _beside(reading: PlainReading) -> Iterator[tuple[int, int]]:
    text = reading.text
    for match in PHONE_BESIDE.finditer(text):
        name = "value" if match["value"] is not None else "other"
        start, end = match.span(name)
        value = match[name]
        if (
            reading.in_url(start)
            or _is_day(value)
            or CODE_AFTER_QUANTITY.match(text, end)
            or re.search(r"[0-9]{1,3}(?:,[0-9]{3})+", value)
        ):
            continue
        if name == "other" and (
            names_a_code(text, start, end)
            or len(digits_of(value)) < 8
            or _stuck_to_code(text, start)
            or text[max(0, start - 1) : start].isdigit()
        ):
            continue
        if len(set(digits_of(value))) > 1:
            yield start, end


CODE_AFTER_QUANTITY = re.compile(
    r"(?i)\s?(?:分(?!钟)|积分|金币|只|条|张|款|年|版|粉|元|块|毫安|mah|gb|mb|次|个|人|秒|分钟|times|people)"
)


def _of_regions(reading: PlainReading, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """What `phonenumbers` takes for a number of these regions and is written as it is written there."""
    from phonenumbers import (
        NumberParseException,
        PhoneNumberFormat,
        PhoneNumberType,
        format_number,
        is_valid_number,
        number_type,
        parse,
    )

    text = reading.text
    for match in CANDIDATE.finditer(text):
        start, end = match.span()
        written = match.group()
        if (
            _is_day(written)
            or reading.in_url(start)
            or names_a_code(text, start, end)
            or re.search(r"[$€£¥]\s?\Z", text[max(0, start - 2) : start])
        ):
            continue
        groups, digits = _groups(written), digits_of(written)
        for region in regions:
            try:
                number = parse(written, region)
            except NumberParseException:
                continue
            if not is_valid_number(number):
                continue
            national = _groups(format_number(number, PhoneNumberFormat.NATIONAL))
            trunk = digits.startswith("0")
            if not trunk and sum(national) == len(digits) + 1:
                national = (national[0] - 1, *national[1:])  # written there with a 0 before it
            if len(groups) == 1:
                mobile = number_type(number) in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
                usual = (
                    len(digits) >= 9
                    and mobile
                    and (trunk or (region in ("US", "CA") and len(digits) == 10))
                    and sum(national) == len(digits)
                )
            elif trunk:
                usual = len(digits) >= 9 and min(groups) >= 2
            else:
                usual = len(digits) >= 9 and groups == national and len(groups) >= 2 and set(groups) != {2}
            if usual:
                yield start, end
                break


CHAT_WORDS = (
    r"微\s?信|威信|薇信|微x|v\s?信|徽信|卫星号?|溦信|绿泡泡|(?:加|\+|➕|扫|家|佳)\s?(?:我)?\s?(?:个)?\s?(?:vx"
    r"|wx|v|w|薇|微|威|卫星|企鹅|扣扣|q)(?![a-z])|(?<![a-z])(?:wei\s?xin|we\s?chat|wx|vx|v号|wxid|wxh)(?![a-z])"
    r"|(?<![a-z])v(?=\s?[:：])|扣扣|企鹅号?|秋秋|叩叩|(?<![a-z])q\s?q(?![a-z])|(?<![a-z])q(?=\s?[:：])|q群|球球号"
    r"|支付宝|支付寶|(?<![a-z])(?:zfb|ali\s?pay|pay\s?pal|venmo|cash\s?app|zelle)(?![a-z])|電報|电报|飞机号"
    r"|纸飞机|(?<![a-z])(?:telegram|tg|whats\s?app|signal(?=\s?(?:id|me|[:@]))|skype|kakao(?:talk)?|viber|discord"
    r"|snap(?:chat)?|instagram|insta|ig|twitter|threads|messenger)(?![a-z])"
    r"|(?<![a-z])line(?=\s?(?:id|号|帐号|账号|[:：@]))|(?:加|我的?)\s?line(?![a-z])|旺旺|钉钉|抖音|小红书|快手"
    r"|微博|陌陌|闲鱼|淘宝|小紅書|哔哩哔哩|b站|飞书|飞信|米聊|知乎|推特|脸书|(?<![a-z])ins(?![a-z])|丫丫|歪歪(?:号)?|(?<![a-z])yy(?=号)"
    r"|(?<![a-z0-9])q(?=[0-9]{6,11}(?![0-9a-z]))|Q号|V号"
    r"|微\s?[❤💗💕心xX新芯欣辛鑫號号](?:in|号)?|[威薇维徽唯溦嶶][信芯新欣心辛❤♥]|wei\s?信|v[♥❤芯心欣信]|[加\+➕➕]\s?(?:我|个|下"
    r"|一下)?\s?[vwq](?!hats|echat|eixin|chat)(?=[a-z0-9_]{4})"
    r"|(?<![\u4e00-\u9fff])扣(?=[:：]?\s?[0-9]{5})|(?<![a-z])kik(?=\s?[:@]|\s(?:is|me|id|name))|连我(?=\s?[:：@a-z0-9])"
    r"|(?<![a-z])(?:slack|teams|wickr|session|threema|reddit|tiktok|steam|xbox|psn|gamertag|zalo|imo)"
    r"(?=\s?(?:id|user|handle|name|is|me|@|:))|(?<![a-z])(?:user\s?name|handle|screen\s?name|gamertag)(?![a-z])"
)
HANDLE_GAP = (
    r"(?:[\s:：=\"'“”‘’「【\[({<>~→-]|号码|号|码|账号|帐号|账户|用户|[up]?id|是|为|叫|搜索?|加我?|我|的|:|也是"
    r"|同号|同名|联系|联系我|❤|♥|[:：]|转我?|转账|加|群号?|就是|号是|(?:handle|as|via|under|contact|user\s?name|username|account|name"
    r"|number|no|me|is"
    r"|at|on|add|to)\b\.?){0,8}"
)
HANDLE = (
    r"(?:(?<![a-z0-9])|(?<=[加+➕][vwq])|(?<=[我个下][vwq]))[@$]?(?:live:)?[a-z][a-z0-9_.-]{3,29}(?:#[0-9]{4})?"
    r"|(?<![a-z0-9])@?_[a-z0-9_]{4,29}|2088(?:[ -]?[0-9]{4}){3}(?![0-9])|[0-9]{5,12}(?![0-9])"
)
CHAT_BESIDE = re.compile(rf"(?:{CHAT_WORDS})(?P<gap>{HANDLE_GAP})(?P<value>(?:{HANDLE}))(?![a-z0-9])", re.IGNORECASE)
CHAT_AFTER = re.compile(
    rf"(?<![a-z0-9@._-])(?P<value>(?:{HANDLE}))\s?[,，(（]?\s?(?:这?个?是|就是|为|is|on|=|-|\()\s?(?:我的?|my"
    rf"|老?板?的?)?\s?(?:{CHAT_WORDS})",
    re.IGNORECASE,
)
CHAT_ADDED = re.compile(
    r"(?:加|➕|\+|(?:咨询|私信|私聊|联系|找|搜|戳|返现|详情)(?:请?加)?)(?:我|个|下|一下|好友|群|老板|店主|客服|[微薇威维卫]信?|v|q|w|[:：\s]){0,4}"
    r"(?<![a-z])(?P<value>[a-z][a-z0-9_-]{5,19}|[0-9]{7,11})(?![a-z0-9.])",
    re.IGNORECASE,
)
MESSAGED = re.compile(
    r"(?<![a-z])(?:d\.?m|p\.?m|message|msg|ping|add|write|contact|hit|reach|text|find|tag|friend|hmu|inbox)(?:ed|ing)?"
    r"(?:\s(?:me|us|him|her|up|out|to|at|on|via|it|here|is))*\s?[:,-]?\s(?P<value>@[a-z0-9_][a-z0-9_.-]{2,29}[a-z0-9_])",
    re.IGNORECASE,
)
NUMBERED_HANDLE = re.compile(r"(?<![\w#])[A-Za-z][A-Za-z0-9_.]{2,30}#[0-9]{4}(?![0-9])")
CHAT_LINK = re.compile(
    r"(?i)(?:https?://)?(?:www\.)?(?:wxid_[a-z0-9]{6,20}|(?:t(?:elegram)?\.(?:me|dog)|wa\.me(?:/message|/qr)?"
    r"|line\.me/(?:ti/p|R/ti/p)|m\.me|paypal\.me|signal\.me/\#p|u\.wechat\.com|(?:chat\.)?whatsapp\.com"
    r"|qm\.qq\.com)/[~@a-z0-9_.+-]{3,40}"
    r"|api\.whatsapp\.com/send/?\?phone=\+?[0-9]{7,15})"
)
ALIPAY = re.compile(r"(?<![0-9A-Za-z-])2088[0-9]{12}(?![0-9A-Za-z-])")
"""Every account of Alipay has a number of this form; no card begins like it."""
TELLING = re.compile(r"(?i)[:：=@$]|号|是|为|账号|帐号|\bid\b|handle|username|\bis\b|搜|叫|add")
VERSION = re.compile(
    r"(?i)v?[0-9]+(?:\.[0-9]+)+|(?:iphone|ipad|ios|android|windows|win|mac|macos|mate|galaxy|app|web)[0-9.]*"
)
RUN = re.compile(r"[A-Za-z0-9_]{4}")
SHORT = re.compile(r"(?<![a-z])(?:v\s?[信:x号]|w\s?x|q\s?[:群]|q[0-9]{6}|(?:tg|ig)(?![a-z]))")
CHATS = (
    "微",
    "kik",
    "连我",
    "飞书",
    "飞信",
    "米聊",
    "知乎",
    "推特",
    "脸书",
    "ins",
    "丫丫",
    "歪歪",
    "威芯",
    "威",
    "唯",
    "维",
    "扣",
    "b站",
    "slack",
    "teams",
    "reddit",
    "tiktok",
    "steam",
    "xbox",
    "psn",
    "username",
    "user name",
    "handle",
    "gamertag",
    "screen name",
    "zalo",
    "威信",
    "薇",
    "徽信",
    "溦信",
    "卫星",
    "泡泡",
    "vx",
    "wx",
    "weixin",
    "wei xin",
    "wechat",
    "we chat",
    "加",
    "+",
    "➕",
    "扣扣",
    "企鹅",
    "秋秋",
    "叩叩",
    "qq",
    "q q",
    "球球",
    "支付",
    "zfb",
    "alipay",
    "ali pay",
    "paypal",
    "pay pal",
    "venmo",
    "cash app",
    "cashapp",
    "zelle",
    "电报",
    "電報",
    "飞机",
    "telegram",
    "whats",
    "signal",
    "skype",
    "kakao",
    "viber",
    "discord",
    "snap",
    "insta",
    "twitter",
    "threads",
    "messenger",
    "line",
    "旺旺",
    "钉钉",
    "抖音",
    "小红书",
    "快手",
    "微博",
    "陌陌",
    "闲鱼",
    "淘宝",
    "t.me",
    "m.me",
    "wa.me",
    "qq.com",
)
NOT_A_HANDLE = re.compile(
    r"account|also|always|and|app|available|balance|better|broken|business|call|calls"
    r"|chat|checkout|code|community|down|email|for|friend|friends|from|game|games|good"
    r"|great|group|groups|http|https|id|instead|link|login|mail|message|method|music"
    r"|never|nice|not|notification|notifications|number|official|only|option|options|pay"
    r"|payment|payments|phone|please|qrcode|refund|service|shop|store|support|that|the"
    r"|this|transfer|user|users|via|video|wallet|with|working|works|wrong|www"
)


def find_chat_ids(reading: PlainReading) -> Iterator[Find]:
    """Accounts of WeChat, QQ, Alipay, Telegram, WhatsApp, LINE and others beside their names."""
    text = reading.text
    if RUN.search(text) is None:
        return
    for pattern in (MESSAGED, CHAT_ADDED):
        for match in pattern.finditer(text) if pattern is MESSAGED or not text.isascii() else ():
            value = match["value"]
            if (
                VERSION.fullmatch(value) is None
                and (
                    pattern is MESSAGED
                    or (re.search("[0-9_]", value) and NOT_A_HANDLE.fullmatch(value.lower()) is None)
                )
                and CODE_AFTER_QUANTITY.match(text, match.end()) is None
                and not names_a_code(text, *match.span("value"))
            ):
                yield Kind.CHAT_ID, *match.span("value")
    for match in ALIPAY.finditer(text):
        if not names_a_code(text, *match.span()):
            yield Kind.CHAT_ID, *match.span()
    if not (reading.has(CHATS) or SHORT.search(reading.low)):
        return
    for match in NUMBERED_HANDLE.finditer(text) if reading.has(("discord", "battle", "gamertag")) else ():
        yield Kind.CHAT_ID, *match.span()
    for match in CHAT_LINK.finditer(text):
        yield Kind.CHAT_ID, *match.span()
    for match in CHAT_BESIDE.finditer(text):
        value = match["value"]
        if NOT_A_HANDLE.fullmatch(value.lower().lstrip("@")) is not None or CODE_AFTER_QUANTITY.match(
            text, match.end("value")
        ):
            continue
        if VERSION.fullmatch(value):
            continue
        chinese = not match.group().isascii() or "qq" in match.group().lower()
        if digits_of(value) == value.replace(" ", "").replace("-", ""):
            if chinese or len(value) >= 16 or TELLING.search(match["gap"]):
                yield Kind.CHAT_ID, *match.span("value")
        elif (
            (chinese and value.isalpha() and len(value) >= 6 and match["gap"] == "")
            or re.search(r"[0-9_@]|[a-z]-[a-z]", value.lower())
            or ("username" in match.group().lower() and "." in value)
            or TELLING.search(match["gap"])
        ):
            yield Kind.CHAT_ID, *match.span("value")
    for match in CHAT_AFTER.finditer(text):
        value = match["value"]
        if NOT_A_HANDLE.fullmatch(value.lower()) is None and (
            value.isdigit() or re.search(r"[0-9_]", value) or not value.isascii()
        ):
            yield Kind.CHAT_ID, *match.span("value")


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
