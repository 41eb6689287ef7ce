"""Names of people beside the words that announce them: `收件人：李明`, `张女士`, `Dear Ms Smith`, `my name is Ann Lee`.

No pattern tells a name alone from other words, so a name alone stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fewshot_llm.data.redaction.names_in_sentences import (
    COMPOUND,
    HALF_WORD,
    LATIN,
    SURNAMES,
    UPPER,
    find_introduced,
    is_of_a_thing,
    is_word,
)
from fewshot_llm.data.redaction.reading import Find, Kind, PlainReading

__all__ = ["find_names"]

HAN = r"[\u3400-\u9fff]"
NOT_GIVEN = r"[的了在是电手地住身收和与我您你他她请要会说不没就把被给吗呢吧啊很叫这那到打寄个但还联微号]"
GIVEN = rf"(?:(?!{NOT_GIVEN}){HAN})"
CHINESE_NAME = rf"(?:(?:{COMPOUND})(?:{GIVEN}{{1,2}})|[{SURNAMES}](?:{GIVEN}{{1,2}}|{HAN}))"
NICKNAME = (
    rf"(?:[小阿老大][{SURNAMES}](?!{HAN}{{0,1}}[子])|[{SURNAMES}](?:姐|哥|总|老师|师傅|工|经理|主任"
    rf"|医生|大姐|大哥|阿姨|叔叔?|老板|太太|先生|女士|小姐))"
)
MINORITY = rf"{HAN}{{2,8}}(?:·{HAN}{{1,8}}){{1,3}}"
ROLE = (
    r"(?:收件人|收货人|收貨人|收件|收货|联系人|聯絡人|联络人|寄件人|发件人|签收人|取件人|提货人|退款人|退货人"
    r"|订货人|购买人|下单人|买家|客户|顾客|户主|持卡人|开户人|户名|开户名|机主|经办人|申请人|收款人|付款人"
    r"|投诉人|当事人|本人|乘客|学生|患者)?"
    r"(?:的)?(?:真实|客户|顾客|收货|收件)?(?:姓名|名字|大名)|收件人|收货人|收貨人|联系人|聯絡人|联络人|寄件人"
    r"|发件人|签收人|取件人|提货人|户主|持卡人|开户人|户名|开户名|机主|经办人|申请人|收款人|付款人|投诉人|买家姓名|抬头"
)
CHINESE_BESIDE = re.compile(
    rf"(?:{ROLE})(?P<sep>(?:[\s:：=「“\"(【-]|就?是|为|叫|改为|改成|写的?|填的?|换成|换为|应该是|名字){{0,6}})"
    rf"(?P<value>{MINORITY}|{CHINESE_NAME}|{NICKNAME}|{LATIN}|(?<=:)\s?{HAN}{{2,4}}(?!{HAN})"
    rf"|(?<=:)\s?[a-z]{{2,12}}\s[a-z]{{2,14}}(?![a-z]))"
)
SAY = re.compile(
    rf"(?:(?:我|本人|他|她|老公|老婆|爸|妈|儿子|女儿|朋友|同事|室友|丈夫|妻子|对象)叫|应该叫|改叫|我是叫|名叫"
    rf"|名字叫做?|叫做|我姓名是|我的名字是?|我姓|我是:|本人:|敝姓|免贵姓|贵姓)\s?[:：]?\s?(?P<value>{MINORITY}"
    rf"|{CHINESE_NAME}|{LATIN}|(?<=姓)[{SURNAMES}])"
)
TITLE = re.compile(
    rf"(?<!谢)(?!康师傅)(?<![由关对属]于)(?P<value>(?:{COMPOUND}"
    rf"|(?![向和时应从成常单车位何])[{SURNAMES}])(?:{GIVEN}{{1,2}}(?=先生|女士|小姐|太太))?(?:先生|女士|小姐"
    rf"|太太|夫人|总(?=[说的让,。]|\Z)|阿姨|大爷|师傅|老师|同志|經理|经理|老板|總|大姐|大哥|先森))"
)
RECEIVES = re.compile(
    rf"(?:(?<=[,，。;；:：、\s)(0-9室号楼])|\A)(?P<value>(?:{COMPOUND}"
    rf"|[{SURNAMES}]){GIVEN}{{1,2}})\s?\(?(?:亲?收|签收|收件|亲启|敬启)\)?(?=[,，。;；\s)]|\Z)"
)
BEFORE_NUMBER = re.compile(
    rf"(?:(?<=[,，。;；:：、\s)(到给寄号室])|\A)(?P<value>(?:{COMPOUND}"
    rf"|[{SURNAMES}]){GIVEN}{{1,2}})[,，、:：\s/|+]{{0,3}}(?=(?:电话|手机号?|tel|TEL"
    rf"|联系方式)?[:：\s]{{0,2}}(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{{4}}[ -]?[0-9]{{4}}(?![0-9]))"
)
AFTER_NUMBER = re.compile(
    rf"(?<=[0-9]{{3}})[,，、:：\s/|+]{{1,3}}(?P<value>(?:{COMPOUND}|[{SURNAMES}]){GIVEN}{{1,2}})(?=[,，。;\s)]|\Z)"
)
ROLES = (
    "姓名",
    "名字",
    "大名",
    "收件",
    "收货",
    "收貨",
    "联系人",
    "聯絡人",
    "联络人",
    "寄件",
    "发件",
    "签收人",
    "取件人",
    "提货人",
    "户主",
    "持卡人",
    "开户",
    "户名",
    "机主",
    "经办人",
    "申请人",
    "收款人",
    "付款人",
    "投诉人",
    "抬头",
)
TITLES = (
    "先生",
    "女士",
    "小姐",
    "太太",
    "夫人",
    "阿姨",
    "大爷",
    "师傅",
    "老师",
    "同志",
    "经理",
    "老板",
    "大姐",
    "大哥",
    "总",
    "先森",
)
ENGLISH_TITLES = (
    "mr",
    "ms",
    "miss",
    "mx",
    "dr",
    "prof",
    "herr",
    "frau",
    "mons",
    "madame",
    "mme",
    "mlle",
    "señor",
    "sr",
    "signor",
)
LATIN_ROLES = (
    "name",
    "recipient",
    "consignee",
    "addressee",
    "receiver",
    "attn",
    "attention",
    "c/o",
    "care of",
    "holder",
    "contact person",
    "ship to",
    "shipped to",
    "deliver to",
    "bill to",
    "sold to",
    "signed",
    "empfänger",
    "destinataire",
    "nom ",
    "nom:",
    "called",
    "call me",
    "ask for",
    "asking for",
    "heiße",
    "heisse",
    "llamo",
    "appelle",
    "customer",
    "buyer",
    "client",
    "guest",
    "sender",
)
COMMON = re.compile(
    r"万一|严重|丰富|丰巢|于今|于是|云南|井盖|付了|付款|付钱|任何|任务|位于|位置|何必|何时"
    r"|余下|余额|元旦|全名|全家|关于|关注|关系|冷静|包含|包括|包装|包裹|包邮|华为|华丽|单买"
    r"|单价|单位|单反|单号|单品|单子|单独|占用|卫星|卫生|原价|原因|原来|原装|古代|同学|向前"
    r"|向您|向我|周一|周三|周二|周五|周六|周四|周日|周末|和平|商品|商城|商家|夏天|夏季|宁波"
    r"|安全|安排|安装|宫廷|小米|尚未|左右|左边|席位|常用|常见|平台|平安|平时|平板|应急|应该"
    r"|康复|强烈|强行|成功|成品|成都|房东|房子|房间|文件|文具|文字|文明|方便|方式|方案|方法"
    r"|施工|时候|时段|时间|明天|易拉|易碎|景区|曲面|查收|查看|查询|桂花|武汉|毛巾|毛病|水果"
    r"|江苏|江西|汤圆|沙发|海南|温度|游戏|牛仔|牛奶|牛皮|甘肃|田园|申诉|申请|白天|白色|白送"
    r"|石头|石材|程序|空调|章程|简单|简直|管家|管理|米粉|舒服|舒适|艾特|苹果|解决|解答|解释"
    r"|计算|许久|许多|谢了|谢谢|路上|路人|车型|车牌|边上|金牌|金色|金额|钱包|钱款|项目|马上"
    r"|高价|高档|高清|高级|黄色|黄金"
)
BRANDS = re.compile(
    r"(?:Pac-Man|Martens|Pepper|Clean|Coffee|Muscle|Bronner|Sketch|Dior|Brown['’]?s|Scholl|Potato|Fields"
    r"|Oetker|Beast|Butterworth|Kipling|Jart|Squatch|Heater|Teal|Talbot|Bubble|Dash|Barbara|Jessie|Pen\b"
    r"|Dre\b|Bean|Robot|Strange|Stone|Seuss|Who\b|Meyer|Rogers|Rooter|Doom|Octopus|Evil|No\b|Freeze|Green"
    r"|Smith['’]?s\b|Lid|Wash|Porky|Universe|Me\b|Right|Big|Spock|Bar|Steam|Cool|Gasket|Pickle|Rooney|Sub"
    r"|Sheer|Hauschka|Hauschka|Elsa|Elle|Fresh|T\b|Bear|Nice|Men\b|America|World|Fixit|Grip|Ho|Organic|Sweet"
    r"|Sofa|Chow|Chips|Marple|Congeniality|Beauty|Me$)"
)
TITLE_WORD = r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herr|Frau|Monsieur|Madame|Mme|Mlle|Señora?|Sr|Sra|Signora?)"
ENGLISH_TITLE = re.compile(rf"(?<![A-Za-z])(?P<value>{TITLE_WORD}\.?\s(?P<name>{LATIN}))")
SMALL_TITLE = re.compile(
    r"(?<![A-Za-z])(?P<value>(?:mr|mrs)\.?\s(?!right|big|clean|coffee|potato|muscle|bean"
    r"|me\b)[a-z][a-z'-]{2,20})(?![a-z])"
)
NAME_WORD = (
    r"(?:(?:full|first|last|sur|given|family|customer|recipient|recipient'?s|buyer|contact|client|receiver"
    r"|consignee|shipping|billing|cardholder|account\s?holder|passenger|patient|guest|sender|my|his|her|legal"
    r"|real|nick)\s?names?"
    r"|recipient|consignee|addressee|receiver|attn|attention|customer(?=\s?:)|buyer(?=\s?:)|client(?=\s?:)"
    r"|guest(?=\s?:)|sender(?=\s?:)|c/o|care\sof|cardholder|account\s?holder|contact\s?person"
    r"|ship(?:ped)?\s?to|deliver\s?to|bill\s?to|sold\s?to|sign(?:ed)?\s?(?:for\s)?by|empfänger"
    r"|name\s?(?:des\sempfängers|on\s(?:the\s)?(?:card|order|account|parcel|package|label|box))|destinataire|nom)"
)
NAMED = re.compile(
    rf"(?<![A-Za-z])(?:(?i:{NAME_WORD})|(?:(?<=\n)|(?<=[.,;!?(]\s)|(?<=[,;(])"
    rf"|\A)(?i:name))(?P<sep>\s?(?:[:=#-]|\.|(?i:is|was|should\sbe|under|reads))\s?(?:(?i:is|it's|mr|mrs|ms"
    rf"|dr)\.?\s)?)[\"“]?(?P<value>{LATIN}|{CHINESE_NAME})"
)
SAID = re.compile(
    rf"(?<![A-Za-z])(?i:my\s(?:full\s)?name\s?(?:is|['’]s|:)|i\sam\scalled|i['’]m\scalled|they\scall\sme"
    rf"|attn:?|attention:|c/o|in\sthe\sname\sof|under\sthe\sname(?:\sof)?|name\sof"
    rf"|ich\shei(?:ß|ss)e|mein\sname\sist|je\sm['’]appelle|mon\snom\sest|me\sllamo"
    rf"|name\son\s(?:the\s)?(?:order|parcel|account|card|package|label)\s(?:is|was|should\sbe|reads))"
    rf"[\s:]{{1,2}}(?P<value>(?i:(?:mr|mrs|ms|miss|dr)\.?\s)?{LATIN})"
    rf"|(?<![A-Za-z])(?i:recipient|consignee|addressee|cardholder|attn\.?|attention"
    rf"|receiver)\s(?P<bare>{UPPER}[^\W\d_]{{1,20}}\s{UPPER}[^\W\d_]{{1,20}})(?![^\W\d_])"
)
SELF = re.compile(
    rf"(?i:this\sis|i\sam"
    rf"|i['’]m)\s(?P<value>{UPPER}[^\W\d_]{{1,20}}\s{UPPER}[^\W\d_]{{1,20}})(?=,?\s(?:calling|speaking"
    rf"|from\s(?:apartment|flat|unit|apt)|and\smy\s(?:order|phone|number|email|address)|my\s(?:order|phone"
    rf"|number|email|address)|order))"
)
NAMED_SMALL = re.compile(
    r"(?:(?<=\n)|(?<=[.,;!?(]\s)|(?<=[,;(])|\A|(?<![a-z])(?:full|customer|recipient|buyer|contact|shipping"
    r"|receiver)\s)(?:name|recipient|attn"
    r"|consignee)\s?:\s?(?P<value>[a-z'-]{2,15}\s[a-z'-]{2,15})(?=\s?(?:[,.;\n)]|\Z)|\s(?:phone|tel|address"
    r"|email|and))",
    re.IGNORECASE,
)
SAID_SMALL = re.compile(
    r"(?i)(?<![a-z])my\s(?:full\s)?name(?:\sis|\s?['’]s)\s(?P<value>(?!not|wrong|spelled|misspelled|missing|on|the"
    r"|still|a|printed|spelt|now|also|in|written|listed|incorrect|correct|engraved"
    r"|embroidered)[a-z'-]{2,20}(?:\s(?!and|but|i|my|on|the|from|please|order|who|with|the|you|we|at|in|is|to"
    r"|phone|tel|email|live)[a-z'-]{2,20})?)"
)
REGARDS = re.compile(
    rf"(?i:(?:best|kind|warm)?\s?regards|sincerely(?:\syours)?|yours\s(?:truly|sincerely|faithfully)|cheers"
    rf"|best\swishes|mit\sfreundlichen\sgrüßen|cordialement"
    rf"|viele\sgrüße)\s?[,.!\n-]\s?\n?(?P<value>{LATIN})\s*[.!]?\s*(?=\n|\Z)"
)
SHIP_TO = re.compile(
    r"(?i:ship|deliver|send|sent|delivered|shipped|addressed|mail|post)(?:ed)?(?:\s(?:it|this|the\s\w{3,10}"
    r"|parcel|package|order))?\s(?:it\s)?(?:to"
    r"|for):?\s(?P<value>[A-Z][a-zà-ÿ'’-]{1,15}\s"
    r"(?:[A-Z]\.\s)?[A-Z][A-Za-zà-ÿ'’-]{1,20})(?=,?\s(?:at\s)?(?:[0-9]|Flat|Apt|Unit|PO\sBox|P\.O))"
)
NOT_LATIN_NAME = re.compile(
    r"all|amazon|brand|customer|customers|everyone|friend|friends|madam|model|n/a|na"
    r"|none|not|seller|service|sir|support|tbd|team|the|there|unknown"
)


def find_names(reading: PlainReading) -> Iterator[Find]:
    """Names beside the words that announce them."""
    for start, end in (*_chinese(reading), *_latin(reading)):
        yield Kind.NAME, start, end
    yield from find_introduced(reading)


def _chinese(reading: PlainReading) -> Iterator[tuple[int, int]]:
    text = reading.text
    if text.isascii():
        return
    patterns = [
        *([CHINESE_BESIDE] if reading.has(ROLES) else []),
        *([SAY] if reading.has(("叫", "姓", "名字", "我是", "本人")) else []),
        *([TITLE] if reading.has(TITLES) else []),
        *([RECEIVES] if reading.has(("收", "启")) else []),
        *([BEFORE_NUMBER, AFTER_NUMBER] if reading.digits >= 11 else []),
    ]
    for pattern in patterns:
        for match in pattern.finditer(text):
            value = match["value"]
            if HALF_WORD.match(text, max(0, match.start("value") - 1)) is not None:
                continue
            if COMMON.fullmatch(value[:2]) is not None or (value[0] in "不没无未信写错有" and pattern is not TITLE):
                continue
            if (
                pattern is CHINESE_BESIDE
                and not match["sep"]
                and value[0] not in SURNAMES + "小阿老大"
                and not value.isascii()
            ):
                continue
            yield match.span("value")


def _latin(reading: PlainReading) -> Iterator[tuple[int, int]]:
    text = reading.text
    for match in ENGLISH_TITLE.finditer(text) if reading.has(ENGLISH_TITLES) else ():
        if BRANDS.match(match["name"]) is None:
            yield match.span("value")
    patterns = [
        *([NAMED, NAMED_SMALL, SAID, SAID_SMALL] if reading.has(LATIN_ROLES) else []),
        *([SELF] if reading.has(("calling", "speaking", "from ", "my ", "order")) else []),
        *(
            [REGARDS]
            if reading.has(("regards", "sincerely", "yours", "cheers", "wishes", "grüße", "cordialement"))
            else []
        ),
        *([SHIP_TO] if reading.digits and reading.has((" to", " for")) else []),
        *([SMALL_TITLE] if reading.has(("mr",)) else []),
    ]
    for pattern in patterns:
        for match in pattern.finditer(text):
            group = next(name for name in ("value", "bare") if match.groupdict().get(name) is not None)
            first = match[group].split()[0].lower()
            if NOT_LATIN_NAME.fullmatch(first) is not None or is_of_a_thing(text, match.start()):
                continue
            # `Receiver - Black`, `Recipient - STRDG520`: a dash stands before any part of a title as well.
            dashed = pattern is NAMED and "-" in (match["sep"] or "")
            if dashed and (is_word(first) or text[match.end() : match.end() + 1].isdigit()):
                continue
            yield match.span(group)
