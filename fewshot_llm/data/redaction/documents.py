"""Numbers of documents, accounts and, on request only, of orders and parcels.

What has a check digit is believed with the right one alone (python-stdnum knows most of them); beside a word that
says what it is (`身份证`, `passport`, `account number`), form is enough, for people mistype.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from importlib import import_module

from fewshot_llm.data.redaction.reading import Find, Kind, PlainReading, beside, digits_of, letters_before, names_a_code

__all__ = ["find_bank_numbers", "find_documents", "find_orders"]

GAP = r"[ .·_/-]{0,2}"
ALONE = r"(?<![0-9A-Za-z])"
END = r"(?![0-9A-Za-z])"
ID_WORDS = (
    r"身份证明?|身份信息|身分证|身份證|身分證(?:字號)?|身份号码?|居民证|证件号?码?|户口本?|公民身份|id\s?card"
    r"|identity(?:\s?(?:card|number))?|identification|national\s?id|\bhkid|\bsfz"
    r"|实名(?:认证)?|清关|证号|cn\s?id|resident\s?id"
)
RESIDENT = re.compile(rf"{ALONE}(?:[0-9]{GAP}){{17}}[0-9xX]{END}")
OLD_RESIDENT = re.compile(rf"{ALONE}(?<![0-9][ -])(?:[0-9]{GAP}){{14}}[0-9]{END}(?![ -][0-9])")
ID_BESIDE = beside(
    ID_WORDS,
    rf"(?:[0-9]{GAP}){{17}}[0-9x](?![0-9a-z])|(?:[0-9]{GAP}){{14}}[0-9](?![0-9a-z])",
    after=r"[\s,,，)]{0,3}(?:这?是)?(?:我的?)?",
)
PROVINCE = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[123]|91")
HONG_KONG = re.compile(rf"{ALONE}[A-Za-z]{{1,2}}\s?[0-9]{{6}}\s?(?:\([0-9aA]\)|[0-9aA]){END}")
TAIWAN = re.compile(rf"{ALONE}[A-Za-z] ?[1289][0-9]{{2}}(?P<gap>[ -]?)[0-9]{{3}}(?P=gap)[0-9]{{3}}{END}")
MACAU = re.compile(rf"{ALONE}[1578][ /]?[0-9]{{6}}(?P<check>\s?\([0-9]\)|\s?[-/]?\s?[0-9]){END}")
BRITISH_LICENCE = re.compile(
    rf"{ALONE}[A-Z9]{{5}} ?[0-9](?:[05][1-9]|[16][0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]"
    rf" ?[A-Z9]{{2}} ?[0-9A-Z][A-Z]{{2}}{END}"
)
"""Its digits are a day of birth, with 5 added to the month of a woman."""
OF_A_TRAVELLER = re.compile(
    rf"(?i)(?:护照|護照|通行证|通行證|台胞证|台胞證|回乡证|回鄉證|passport|travel\s(?:document|permit))[^0-9\n]{{1,40}}?{ALONE}"
    rf"(?P<value>[a-z]{{1,2}} ?[0-9]{{6,9}}){END}"
)
"""With other words between, as where a name stands first."""
WORDS_OF_TAIWAN = r"台湾|台灣|臺灣|taiwan(?:ese)?|(?<![a-z])(?:roc|arc)(?![a-z])"
WORDS_OF_MACAU = r"澳门|澳門|macau|macao|(?<![a-z])bir(?![a-z])"

PERMIT_WORDS = (
    r"港澳(?:台)?(?:居民)?(?:来往(?:内地|大陆))?通行证|往来港澳通行证|来往(?:大陆|内地)通行证|台湾通行证"
    r"|往来台湾通行证|通行证|回乡证|回鄉證|台胞证|台胞證|居住证|居留证"
    r"|(?:entry|travel|residence)\s?permit|home\s?return\s?permit|green\s?card"
)
PASSPORT_WORDS = (
    r"护照|護照|travel\s?document|passports?|passeport|reisepass(?:nummer)?|pasaporte"
    r"|(?:pass)(?=\s?(?:no|number|nr))|passaporto|pasport"
)
PERMIT = r"[a-z]{0,2}\s?[0-9](?:[ -]?[0-9]){6,17}(?:\s?\([0-9a-z]{1,2}\))?(?![0-9a-z])"
PASSPORT = (
    r"(?=[a-z]{0,3}(?:[ -]?[a-z]{0,3}[0-9]){4})[a-z]{0,3}[ -]?[0-9](?:[ -]?[0-9]|[a-z]){5,9}(?![0-9a-z])"
    r"|(?=(?:[a-z]{0,7}[0-9]){2})[a-z][0-9a-z]{8}(?![0-9a-z])"
)
TRAVEL_BESIDE = (
    beside(PERMIT_WORDS, PERMIT, after=r"[\s,，)(]{0,3}(?:这?是)?(?:我的?)?"),
    beside(PASSPORT_WORDS, PASSPORT, after=r"[\s,，)(]{0,3}(?:这?是|is)?(?:我的?|\s?my\s)?"),
)
NUMBERED = (
    r"(?=(?:[ -]?[a-z0-9]){6,20}"
    r"(?![a-z0-9]))"
    r"(?=(?:[ -]?[a-z]{0,5}[ -]?[0-9]){3})[a-z]{0,6}[ -]?[0-9][a-z0-9]*"
    r"(?:[ -][a-z]{0,2}[0-9][a-z0-9]*){0,5}(?![a-z0-9])"
)
LICENCE_BESIDE = beside(
    r"驾驶证|驾照|驾驶执照|行驶证|档案编号|driv(?:er'?s?|ing)\s?(?:licen[cs]e|permit)"
    r"|licen[cs]e(?=\W{1,3}[a-z][0-9]{6,12}(?![0-9a-z]))|licen[cs]e\s?(?:no"
    r"|number|#)|führerschein(?:nummer)?"
    r"|permis\s?de\s?conduire|(?<![a-z])dl\s?(?:no|number|#)",
    rf"[a-z9]{{2,5}} ?[0-9]{{6}} ?[a-z9]{{2}} ?[0-9a-z]{{2,3}}(?![0-9a-z])|{NUMBERED}",
    after=r"[\s,，)]{0,2}(?:这?是)?我的",
)

SSN = re.compile(r"(?<![0-9A-Za-z-])[0-9]{3}(?P<sep>[- ])[0-9]{2}(?P=sep)[0-9]{4}(?![0-9A-Za-z-])")
SSN_BESIDE = beside(
    r"(?<![a-z])ssn(?![a-z])|social(?:\s?security)?(?=[\s:#(])|soc\s?sec|(?<![a-z])itin(?![a-z])"
    r"|tax(?:payer)?\s?id|社会?安(?:全)?号码?|社安",
    r"[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}(?![0-9])",
    after=r"[\s,)(]{0,3}(?:is\s)?(?:my\s)?",
)
NINO = re.compile(rf"{ALONE}(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z]\s?[0-9]{{2}}\s?[0-9]{{2}}\s?[0-9]{{2}}\s?[A-D]{END}")
NINO_BESIDE = beside(
    r"national\s?insurance(?:\s?(?:no|number))?|(?<![a-z])nino(?![a-z])|(?<![a-z])ni\s?(?:no|number|num)?(?![a-z])",
    r"[a-z]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[a-d]?(?![0-9a-z])",
)
OTHER_PERSONAL = beside(
    r"社保卡?号?|医保卡?号?|学号|工作证号?|结婚证号?|出生证号?|军官证号?|士兵证号?|警官证号?|残疾证号?|教师证号?|(?<![a-z])(?:"
    r"social\s?security|nir|insee|steuer-?\s?id(?:entifikationsnummer|-nummer|-nr\.?)?|steuernummer|sozialversicherungsnummer"
    r"|personalausweis(?:nummer)?"
    r"|ausweis(?:nummer|-?nr\.?)|num[ée]ro\s?de\s?s[ée]cu(?:rit[ée]\s?sociale)?|s[ée]cu(?:rit[ée]\s?sociale)?|(?:n°"
    r"|no)\s?ss"
    r"|nhs|medicare|medicaid|aadhaa?r|adhaa?r|uid(?:ai)?(?=\s?(?:no|number|card|:))|pan(?=\s?(?:card|no|number|is|:"
    r"|[a-z]{5}[0-9]))"
    r"|voter(?:'?s)?\s?(?:id|card)|epic\s?(?:no|number)|pps(?:n|\s?(?:no|number))?"
    r"|personal\s?public\s?service(?:\snumber)?"
    r"|tfn|tax\s?file|social\s?insurance|sin(?=\s?(?:no|number|is|:|\#|[0-9]{3}[ -]?[0-9]{3}))|dni|nie(?=\s?[:xyz])|nif"
    r"|codice\s?fiscale|cod\.?\s?fisc\.?|bsn|burgerservicenummer|pesel|cpf|curp|cedula|c[ée]dula|rut(?=\s?[:0-9])"
    r"|nric|fin(?=\s?:)"
    r"|mykad|my\s?number(?=\s?card)|rrn|resident\s?registration|personnummer|fødselsnummer|cpr(?=\s?(?:no|nr|number"
    r"|:))|hetu"
    r"|ahv|emirates\s?id|iqama|cnic|nid|ein|utr|national\s?(?:id(?:entity)?|identification)(?:\s?card)?"
    r"|health\s?(?:card|insurance)"
    r"|(?:student|employee|staff|military|government|state|voter|photo)\s?id|citizen(?:ship)?\s?(?:id|card|number)"
    r"|insurance\s?(?:no|number)"
    r"|crn|centrelink|tax\s?(?:id|number|no)|green\s?card|alien\s?(?:no|number)|a-number)(?![a-z])(?:\s?card)?",
    rf"[12] ?[0-9]{{2}} ?[01][0-9] ?[0-9ab]{{2}} ?[0-9]{{3}} ?[0-9]{{3}} ?[0-9]{{2}}(?![0-9a-z])|{NUMBERED}"
    rf"|军字第?[0-9]{{5,10}}号?|第?[0-9]{{6,12}}号|[a-z]{{5}}[0-9]{{4}}[a-z](?![a-z0-9])"
    r"|[a-z]{6}[0-9]{2}[a-z][0-9]{2}[a-z][0-9]{3}[a-z](?![a-z0-9])"
    r"|[0-9](?:[ .-]?[0-9]){7,17}(?:[ -]?[a-z]{1,2})?(?![a-z0-9])"
    r"|[xyz][ -]?[0-9]{7}[ -]?[a-z](?![a-z0-9])|[a-z]{1,5}[0-9]{2,9}[a-z0-9]{0,9}(?![a-z0-9])"
    r"|[a-z][0-9]{2}[a-z][0-9]{2}[a-z][0-9]{2}",
    after=r"[\s,)(，]{1,3}(?:is\s|是)?(?:my\s|我的)?",
)
"""Numbers of persons in many countries beside the words for them: form is enough there."""
ALONE_BY_CHECK: tuple[tuple[str, str], ...] = (
    ("in_.aadhaar", r"[2-9][0-9]{3}(?P<s>[ -])[0-9]{4}(?P=s)[0-9]{4}"),
    ("in_.pan", r"[A-Z]{3}[ABCFGHLJPTK][A-Z][0-9]{4}[A-Z]"),
    ("it.codicefiscale", r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]"),
    ("fr.nir", r"[12] ?[0-9]{2} ?[01][0-9] ?[0-9AB]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}"),
    ("br.cpf", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"),
    ("kr.rrn", r"[0-9]{6}-[1-4][0-9]{6}"),
    ("es.nie", r"[XYZ]-?[0-9]{7}-?[A-Z]"),
)
"""Modules of python-stdnum, and how a number is written that its check digit alone makes believable."""
CHECKED = tuple(
    (module, re.compile(rf"(?<![0-9A-Za-z-])(?<![0-9] ){form}(?![0-9A-Za-z-]|[ ][0-9])"))
    for module, form in ALONE_BY_CHECK
)

IBAN = re.compile(rf"{ALONE}[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[A-Za-z0-9]{{4}}){{2,7}}(?:[ -]?[A-Za-z0-9]{{1,4}})?{END}")
IBAN_BESIDE = beside(r"(?<![a-z])iban(?![a-z])", r"[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]){8,30}(?![a-z0-9])")

CARD = re.compile(rf"{ALONE}(?:[0-9]{GAP}){{12,18}}[0-9](?![0-9]|[A-Za-z])")
ISSUED = re.compile(
    r"4[0-9]{12}(?:[0-9]{3})?(?:[0-9]{3})?|5[0-9]{15}|2[2-7][0-9]{14}|(?:35|6[0-9])[0-9]{14,17}|3[47][0-9]{13}"
    r"|3[0689][0-9]{12}"
    r"|9[0-9]{15,18}"
)
"""Visa; Mastercard; JCB, UnionPay, Maestro and Discover; American Express; Diners; old Chinese debit cards."""
CARD_BESIDE = beside(
    r"(?<![员物品券费机值油息通信])(?:银行卡|储蓄卡|借记卡|信用卡|工资卡|社保卡|银联卡?|卡号|卡里|(?:工行|建行"
    r"|农行|中行|招行|交行|邮储|浦发|中信|民生|兴业|光大|平安|工商|建设|农业|招商)(?:银行)?(?:的)?卡?"
    r"|(?:退|打|转|汇|存)(?:款|账|钱)?(?:到|至|给|入)|(?:这张|那张|我的|一张|这个)卡(?=[:：是为 0-9]))"
    r"|(?<![a-z])(?:(?:credit|debit|bank|visa|payment)\s?card|my card|card\s?(?:number|no|#|ending)?|visa"
    r"|master\s?card|amex|unionpay"
    r"|american express|maestro|kreditkarte|carte\s?bancaire)(?![a-z])",
    rf"(?:[0-9]{GAP}){{13,18}}[0-9](?![0-9])",
    after=r"[\s,，)(]{0,3}(?:这张|这?是|is)?(?:我的?|\s?my\s)?",
)
ACCOUNT_WORDS = (
    r"银行(?:账|帐)[号户]|(?:对公|收款|汇款|退款|打款|结算|公司|转账)(?:账|帐)[号户]|开户行?(?:账|帐)[号户]"
    r"|(?:账|帐)号(?=[:： ]?[0-9]{12})"
    r"|(?<![a-z])(?:(?:bank|checking|savings|current)\s)?(?:account|acct|acc|a/c|konto(?:nummer)?"
    r"|kto)(?:\s?(?:number|num|no|nr|#))?(?![a-z])|routing(?:\s?(?:number|no))?|(?<![a-z])aba(?![a-z])"
)
ACCOUNT = beside(ACCOUNT_WORDS, r"[0-9](?:[ -]?[0-9]){5,24}(?![0-9])")
SORT_CODE = beside(
    r"sort[\s-]?code|(?<![a-z])sort(?=\s?[:=])|(?<![a-z])s/?c(?![a-z])|bsb",
    r"[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}(?![0-9])(?:[\s,;/]{1,3}(?:and\s)?(?:account|acct|acc"
    r"|a/c)?(?:\s(?:number|no))?[\s:.#]{0,3}[0-9]{6,10}(?![0-9]))?",
)
LONE_SORT_CODE = re.compile(r"(?<![0-9-])[0-9]{2}-[0-9]{2}-[0-9]{2}\s{1,2}[0-9]{8}(?![0-9])")

PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Za-hj-np-z][ ·.-]{0,2}"
    r"(?=[A-Za-z]{0,5}[0-9])[A-HJ-NP-Za-hj-np-z0-9]{4,5}[A-HJ-NP-Za-hj-np-z0-9挂学警港澳](?![A-Za-z0-9])"
)


def find_documents(reading: PlainReading) -> Iterator[Find]:
    """Documents of a person: identity and travel papers, licences, social security, number plates."""
    text = reading.text
    if not reading.digits:
        return
    for match in PLATE.finditer(text):
        yield Kind.PLATE, *match.span()
    if reading.digits < 4 and not reading.has(("pass",)):
        return
    for start, end in _resident_ids(text):
        yield Kind.ID_NUMBER, start, end
    for pattern in TRAVEL_BESIDE:
        for start, end in _values(pattern, text):
            yield Kind.PASSPORT, start, end
    for match in OF_A_TRAVELLER.finditer(text):
        if not names_a_code(text, *match.span("value")):
            yield Kind.PASSPORT, *match.span("value")
    for match in BRITISH_LICENCE.finditer(text):
        yield Kind.ID_NUMBER, *match.span()
    for pattern in (LICENCE_BESIDE, SSN_BESIDE, NINO_BESIDE, OTHER_PERSONAL):
        for start, end in _values(pattern, text):
            yield Kind.ID_NUMBER, start, end
    for start, end in (*_regional_ids(text), *_social_security(text), *_checked(text)):
        yield Kind.ID_NUMBER, start, end


def find_bank_numbers(reading: PlainReading) -> Iterator[Find]:
    """Cards and accounts."""
    text = reading.text
    if reading.digits < 6:
        return
    for start, end in _ibans(text):
        yield Kind.IBAN, start, end
    for start, end in _cards(reading):
        yield Kind.BANK_CARD, start, end
    for pattern in (SORT_CODE, ACCOUNT):
        for start, end in _values(pattern, text):
            if not _dated(digits_of(text[start:end])):
                yield Kind.BANK_ACCOUNT, start, end
    for match in LONE_SORT_CODE.finditer(text):
        yield Kind.BANK_ACCOUNT, *match.span()


def _values(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        yield match.span("value") if match["value"] is not None else match.span("other")


def _dated(digits: str) -> bool:
    """Whether these eight digits are a day."""
    if len(digits) != 8 or digits[:2] not in ("19", "20"):
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def _resident_ids(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import luhn
    from stdnum.cn import ric
    from stdnum.exceptions import ValidationError

    if len(digits_of(text)) < 15:
        return
    yield from _values(ID_BESIDE, text)
    for match in RESIDENT.finditer(text):
        digits = digits_of(match.group()) + ("X" if match.group()[-1] in "xX" else "")
        try:
            born = ric.get_birth_date(digits)
        except ValidationError:
            continue
        # The county is not looked up, as ric.validate does: of people who moved it is younger than they are.
        if (
            PROVINCE.match(digits)
            and born.year >= 1900
            and (digits[-1] == ric.calc_check_digit(digits) or _said_to_be_id(text, *match.span()))
        ):
            yield match.span()
    for match in OLD_RESIDENT.finditer(text):
        digits = digits_of(match.group())
        month, day = int(digits[8:10]), int(digits[10:12])
        if (
            PROVINCE.match(digits)
            and 1 <= month <= 12
            and 1 <= day <= 31
            and not luhn.is_valid(digits)  # an IMEI
            and not names_a_code(text, *match.span())
        ):
            yield match.span()


def _said_to_be_id(text: str, start: int, end: int) -> bool:
    """Whether a word near it says that a number with a wrong check digit is an ID: people mistype."""
    near = text[max(0, start - 20) : start] + " " + text[end : end + 12]
    return re.search(r"身份|证件|证号|实名|清关|(?i:(?<![a-z])id(?![a-z]))", near) is not None and not names_a_code(
        text, start, end
    )


def _regional_ids(text: str) -> Iterator[tuple[int, int]]:
    for match in HONG_KONG.finditer(text):
        value = re.sub(r"[\s()]", "", match.group()).upper()
        bracketed = "(" in match.group()
        beside_words = re.search(
            rf"(?i)(?:{ID_WORDS}|香港)[^0-9\n]{{0,12}}\Z", text[max(0, match.start() - 24) : match.start()]
        )
        if beside_words or (bracketed and _hong_kong_check(value)):
            yield match.span()
    for match in TAIWAN.finditer(text):
        value = re.sub("[^0-9A-Z]", "", match.group().upper())
        beside_words = re.search(
            rf"(?i)(?:{ID_WORDS}|{WORDS_OF_TAIWAN})[^0-9\n]{{0,20}}\Z", text[max(0, match.start() - 32) : match.start()]
        )
        if beside_words or (
            value == match.group().upper()
            and value[1] in "12"
            and _taiwan_check(value)
            and not names_a_code(text, *match.span())
        ):
            yield match.span()
    for match in MACAU.finditer(text):
        near = text[max(0, match.start() - 32) : match.start()]
        in_words = re.search(rf"(?i){ID_WORDS}|\b(?:id|bir)\b", near) is not None
        if in_words and ("(" in match["check"] or re.search(rf"(?i){WORDS_OF_MACAU}", near)):
            yield match.span()


def _hong_kong_check(value: str) -> bool:
    letters = value[:-7]
    codes = [36] * (2 - len(letters)) + [ord(letter) - 55 for letter in letters]
    codes += [int(digit) for digit in value[len(letters) : len(letters) + 6]]
    check = 10 if value[-1] == "A" else int(value[-1])
    return (sum(code * weight for code, weight in zip(codes, range(9, 1, -1), strict=True)) + check) % 11 == 0


def _taiwan_check(value: str) -> bool:
    code = 10 + "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(value[0])
    numbers = [code // 10, code % 10, *map(int, value[1:])]
    return (
        sum(number * weight for number, weight in zip(numbers, [1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1], strict=True)) % 10
        == 0
    )


def _social_security(text: str) -> Iterator[tuple[int, int]]:
    from stdnum.us import ssn

    for match in SSN.finditer(text):
        if match["sep"] == "-" and ssn.is_valid(match.group()) and not names_a_code(text, *match.span()):
            yield match.span()
    for match in NINO.finditer(text):
        if not names_a_code(text, *match.span()):
            yield match.span()


def _checked(text: str) -> Iterator[tuple[int, int]]:
    for module, form in CHECKED:
        for match in form.finditer(text):
            if import_module(f"stdnum.{module}").is_valid(match.group()) and not names_a_code(text, *match.span()):
                yield match.span()


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import iban

    yield from _values(IBAN_BESIDE, text)
    for match in IBAN.finditer(text):
        # Of words in capitals after it (`DE89 … 00 BIC`) those are left out that its checksum does not want.
        value = match.group()
        while len(value) >= 15:
            if iban.is_valid(value.replace("-", ""), check_country=False) and len(digits_of(value)) >= 8:
                yield match.start(), match.start() + len(value)
                break
            shorter = max(value.rfind(" "), value.rfind("-"))
            value = value[:shorter] if shorter > 0 else ""


def _cards(reading: PlainReading) -> Iterator[tuple[int, int]]:
    from stdnum import luhn

    text = reading.text
    for match in CARD.finditer(text):
        digits = digits_of(match.group())
        if (
            ISSUED.fullmatch(digits)
            and luhn.is_valid(digits)
            and len(set(digits)) > 1
            and not reading.in_url(match.start())
            and not letters_before(text, match.start())
            and not (len(digits) < 15 and names_a_code(text, *match.span()))
        ):
            yield match.span()
    for start, end in _values(CARD_BESIDE, text):
        if len(set(digits_of(text[start:end]))) > 1:
            yield start, end


WORDS = (
    r"订单(?:编?号码?)?|訂單(?:編號)?|单号|快递(?:单号?)?|快件|运单(?:编?号)?|物流(?:单?号|编号)?|包裹(?:单?号|编号)?"
    r"|面单号?|交易(?:单?号|编号)|流水号|工单号?|售后单号?|退货单号?|退款单号?|顺丰|圆通|中通|申通|韵达|极兔"
    r"|京东快递|邮政|取件码|提货码"
    r"|(?<![a-z])(?:orders?|tracking|waybill|awb|consignment|shipment|parcel|package|invoice|rma|ticket|case"
    r"|reference|ref|confirmation|transaction|booking|fedex|ups|usps|dhl|ems|royal\s?mail|hermes|evri|dpd"
    r"|bestellung|bestellnummer|sendungsnummer|commande|colis)(?![a-z])"
)
DAY = (
    r"(?:(?:19|20)[0-9]{2}[-/][0-9]{1,2}(?:[-/][0-9]{1,2})?"
    r"|[0-9]{1,2}[-/][0-9]{1,2}[-/](?:[0-9]{2}){1,2})(?![0-9a-z/-])"
)
TOKEN = r"[a-z0-9]{1,40}+(?:[-/_][a-z0-9]{1,40}+){0,8}+"
VALUE = (
    rf"(?<![0-9])(?!{DAY})(?:"
    # Groups with spaces between: 9400 1118 …, PB 1234 5678 9GB.
    r"(?=(?:[a-z -]{0,4}[0-9]){8})(?:[a-z]{1,4}[ -]?)?[0-9][a-z0-9]{0,20}+(?:[ -][a-z]{0,2}[0-9]{2,20}+[a-z0-9]{0,4}+"
    r"|[ -][0-9][a-z]{0,2}(?![a-z0-9])){1,9}(?:\s(?-i:[A-Z]{2})(?![a-z0-9]))?"
    # Letters, digits and signs without spaces: five digits, four with a letter, or two among capitals.
    rf"|(?=(?:[a-z/_.-]{{0,8}}[0-9]){{5}}){TOKEN}"
    rf"|(?=(?:[a-z/_-]{{0,8}}[0-9]){{4}})(?=[0-9]{{0,9}}[-/_]?[a-z]){TOKEN}"
    r"|(?=(?-i:[A-Z0-9/_-]){6})(?=(?:[a-z/_-]{0,8}[0-9]){2})(?=[0-9/_-]{0,8}[a-z])(?=[a-z0-9]{1,9}[-/_])"
    rf"{TOKEN})(?![a-z0-9]|[-/_][a-z0-9])"
)
BESIDE = beside(WORDS, VALUE, after=r"[\s,，]{0,2}(?:这个|的|号|is my|was my|is the)\s?")
FORMS = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:SF|YT|JT|YD|LP|JD[A-Z]{0,3}|ZTO?|STO?|DPK|TBA|GM|JJD)[ -]?[0-9](?:[ -]?[0-9]){8,19}"
    r"(?:-[0-9]{1,4}){0,2}"
    r"|EMS?[0-9]{9,13}"
    r"|(?:7[3-8]|4[36]|77)[0-9]{12,13}"
    r"|1Z[ ]?[0-9A-Z]{3}[ ]?[0-9A-Z]{3}[ ]?[0-9A-Z]{2}[ ]?[0-9A-Z]{4}[ ]?[0-9A-Z]{4}"
    r"|9[2-5][0-9]{2}(?: ?[0-9]{4}){4}(?: ?[0-9]{2})|TBA[0-9]{9,13}|[A-Z]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3} ?[A-Z]{2}"
    r"|[0-9]{3}-[0-9]{7}-[0-9]{7}|GM[0-9]{16,18}|JJD[0-9]{16,20}|H[0-9A-Z]{15})(?![0-9A-Za-z])",
    re.IGNORECASE,
)


def find_orders(reading: PlainReading) -> Iterator[Find]:
    """Order and tracking numbers."""
    for match in FORMS.finditer(reading.text):
        yield Kind.ORDER, *match.span()
    for match in BESIDE.finditer(reading.text):
        yield Kind.ORDER, *(match.span("value") if match["value"] is not None else match.span("other"))
