"""Order and tracking numbers, which are looked for on request only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fewshot_llm.data.redaction.kinds import Kind
from fewshot_llm.data.redaction.reading import Find, PlainReading, beside

__all__ = ["find_orders"]

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
