"""Addresses that end in a code or a county, or begin with a flat, whatever names stand between.

`Flat 302, Sai Residency, 4th Cross, Koramangala, Bengaluru 560034`, `Rose Cottage, Ballyvaughan, Co. Clare`,
`Unit 4/12 Kembla St, Wollongong NSW 2500`: no list knows such places, but a postal code has a form, and before it go
words with capital letters, numbers and commas. So the rule finds the code and goes left as long as these go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fewshot_llm.data.redaction.reading import PlainReading

__all__ = ["find_anchored"]

US_STATES = (
    r"A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]"
    r"|W[AIVY]"
    r"|Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois"
    r"|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri"
    r"|Montana|Nebraska|Nevada|Hampshire|Jersey|Mexico|York|Carolina|Dakota|Ohio|Oklahoma|Oregon|Pennsylvania"
    r"|Island|Tennessee|Texas|Utah|Vermont|Virginia|Washington|Wisconsin|Wyoming"
)
COUNTIES = (
    r"Antrim|Armagh|Carlow|Cavan|Clare|Cork|Derry|Donegal|Down|Dublin|Fermanagh|Galway|Kerry|Kildare|Kilkenny|Laois"
    r"|Leitrim|Limerick|Longford|Louth|Mayo|Meath|Monaghan|Offaly|Roscommon|Sligo|Tipperary|Tyrone|Waterford|Westmeath"
    r"|Wexford|Wicklow|Durham"
)
INDIAN = (
    r"Andhra\sPradesh|Assam|Bihar|Chhattisgarh|Goa|Gujarat|Haryana|Himachal|Jharkhand|Karnataka|Kerala|Madhya\sPradesh"
    r"|Maharashtra|Odisha|Punjab|Rajasthan|Tamil\s?Nadu|Telangana|Uttar\sPradesh|Uttarakhand|West\sBengal|Delhi|Mumbai"
    r"|Bengaluru|Bangalore|Chennai|Kolkata|Hyderabad|Pune|Ahmedabad|Jaipur|Lucknow|Noida|Gurgaon|Gurugram|Kochi|Indore"
    r"|Chandigarh|Bhopal|Nagpur|Surat|Patna|Thane|Mysore|Mysuru|Coimbatore|Visakhapatnam|Vadodara|Ghaziabad|Faridabad"
)
AREAS = (
    r"A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GMPV]|JE|K[ATWY]|L[ADELNSU]?"
    r"|M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|ZE"
)
CODE = re.compile(
    rf"""(?<![\w-])(?:
      (?P<british>(?:{AREAS})[0-9][0-9a-z]?\s?[0-9][abd-hjlnp-uw-z]{{2}})
      | (?P<eircode>(?:[ac-fhknprtv-y][0-9]{{2}}|d6w)\s?[0-9ac-fhknprtv-y]{{4}})
      | (?P<australian>(?:nsw|vic|qld|wa|sa|tas|act|nt|new\ssouth\swales|victoria|queensland|tasmania),?\s[0-9]{{4}})
      | (?P<american>(?:{US_STATES})\.?\s?,?\s{{0,2}}[0-9]{{5}}(?:-[0-9]{{4}})?)
      | (?P<canadian>[abceghj-nprstvxy][0-9][a-z]\s?[0-9][a-z][0-9])
      | (?P<state>(?:{INDIAN})(?P<pin>\s?[-,–.]?\s?[1-8][0-9]{{2}}\s?[0-9]{{3}})?)
      | (?P<indian>[a-z]{{3,20}}\s?[-,–.:]?\s?(?:pin\s?(?:code)?\s?[:-]?\s?)?[1-8][0-9]{{2}}\s?[0-9]{{3}})
      | (?P<county>co(?:unty|\.)?\s(?:{COUNTIES})|dublin\s(?:[1-9]|1[0-9]|2[024]|6w))
      | (?P<city>(?:melbourne|sydney|brisbane|perth|adelaide|hobart|darwin|canberra|geelong|newcastle|auckland
          |wellington|christchurch|cape\stown|durban|johannesburg),?\s[0-9]{{4}})
      | (?P<continental>(?:[a-z]{{1,2}}-)?[0-9]{{4,5}},?\s(?-i:[A-ZÀ-Ý])[\wÀ-ÿ'’-]{{2,25}})
      )(?![\w-])""",
    re.IGNORECASE | re.VERBOSE,
)
STREET = re.compile(
    r"(?i)(?<![a-z])(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq"
    r"|terrace|tce"
    r"|ter|parkway|pkwy|highway|hwy|circle|cir|crescent|cres|gardens|gdns|grove|mews|trail|trl|way|close|row|hill"
    r"|walk|loop"
    r"|alley|plaza|broadway|parade|pde|esplanade|quay|wharf|rise|view|green|park|heights|cottage|house|farm|lodge|hall"
    r"|manor|villa|villas|barn|mill|flat|apt|apartments?|apts|unit|suite|ste|block|blk|tower|towers|residency"
    r"|residences?"
    r"|nagar|colony|sector|phase|plot|cross|main|marg|layout|enclave|vihar|society|chs|bhavan|bhawan|chowk|bazaar|bazar"
    r"|floor|h\.?\s?no|d\.?\s?no|door\sno|no|opp|near|nr|lot|rr|box|townhouse|estate|rue|bd|chemin|all[ée]e|impasse"
    r"|quai"
    r"|r[ée]sidence|place|cours|route|stra(?:ß|ss)e|str|weg|platz|gasse|ring|allee|ufer|damm|via|viale|piazza|corso"
    r"|calle"
    r"|avenida|plaza|paseo|rua|laan|plein|cr|county\sroad|bhawan|puram|pur|ganj|wadi|salai|veedhi|bungalow|old"
    r"|the)\b\.?"
    r"|stra(?:ß|ss)e\b|(?<=[a-zäöü])(?:str\.|weg\b|platz\b|gasse\b|straat\b|laan\b|gracht\b)"
)
WORD_LEFT = re.compile(r"(?P<word>[^\s,]{1,30})(?P<gap>\s?,?\s{0,2}(?:[-–]\s)?|\s?,?\s?\n)\Z")
SHORT_WORDS = frozenset(
    [
        "of",
        "on",
        "the",
        "upon",
        "by",
        "de",
        "la",
        "le",
        "les",
        "du",
        "des",
        "der",
        "den",
        "am",
        "im",
        "an",
        "in",
        "and",
        "&",
        "near",
        "nr",
        "opp",
        "behind",
        "no",
        "st",
        "rd",
        "ave",
        "apt",
        "flat",
        "unit",
        "bis",
        "ter",
        "d'",
        "l'",
        "-",
        "cross",
        "main",
        "floor",
        "off",
        "block",
        "sector",
        "plot",
        "house",
        "lane",
        "road",
        "street",
        "drive",
        "court",
        "avenue",
        "close",
        "phase",
    ]
)
SHORTENED = re.compile(
    r"(?i)(?:co|st|rd|ave|av|dr|blvd|ln|ct|no|nos|apt|fl|flr|ste|bldg|h\.?no|d\.?no|opp|nr|pl|sq|hno|[a-z]|cres"
    r"|tce|mt|ft|hse|str|p\.o|n\.[ew]|s\.[ew]|bd|crs?|gdns|ext|extn|pt)\."
)
NOT_OF_A_PLACE = frozenset(
    [
        "send",
        "deliver",
        "delivered",
        "ship",
        "shipped",
        "address",
        "my",
        "i",
        "it",
        "is",
        "at",
        "to",
        "we",
        "our",
        "live",
        "lives",
        "moved",
        "from",
        "order",
        "parcel",
        "package",
        "box",
        "and",
        "please",
        "hi",
        "hello",
        "dear",
        "postcode",
        "eircode",
        "zip",
        "pin",
        "post",
        "code",
        "in",
        "for",
        "name",
        "phone",
        "left",
        "leave",
        "wrong",
        "new",
        "old",
        "right",
        "correct",
        "shipping",
        "billing",
        "home",
        "sent",
        "livrer",
        "bitte",
        "liefern",
        "adresse",
        "anschrift",
    ]
)
FROM_FLAT = re.compile(
    r"(?<![\w-])(?:(?i:flat|apt\.?|apartment|unit|plot|h\.?\s?no\.?|house|door\sno\.?|d\.?no\.?|shop|room|villa"
    r"|block|lot|tower"
    r"|floor|no\.|#)\s?(?i:no\.?|number)?\s?[:#-]?\s?[A-Za-z]{0,2}[-/ ]?[0-9][0-9A-Za-z/-]{0,8}"
    r"|[A-Z]{1,2}[-/][0-9]{1,4})"
    r"(?:\s?,\s?(?:[0-9]{1,3}(?:st|nd|rd|th)\s)?(?:[A-Z0-9][\w.'’/&-]{0,20}\s?){1,4}(?=[,.\n!?]|\s|\Z)){2,8}"
)
SAID = re.compile(
    r"(?i:address|house|home|flat|live|lives|living|reside|deliver(?:ed)?|ship(?:ped)?|send"
    r"|sent)\s?(?i:\w{2,8}\s){0,2}(?i:is|at|to|in|:)\s"
    r"(?P<value>[0-9]{1,4}[A-Za-z]?\s(?:[A-Z][\w'’-]{2,20}\s?){1,4},\s(?:[A-Z][\w'’-]{2,20}\s?){1,3}(?<!\s))"
)
EIRCODE_BESIDE = re.compile(
    r"(?i)eir\s?code(?:\sis|\swas|:|\s?=)?\s(?P<value>"
    r"[ac-fhknprtv-y][0-9][0-9w]\s?[0-9ac-fhknprtv-y]{4})(?![0-9a-z])"
)


def find_anchored(reading: PlainReading) -> Iterator[tuple[int, int]]:
    """Places of addresses."""
    text = reading.text
    for pattern in (EIRCODE_BESIDE, SAID):
        for match in pattern.finditer(text):
            yield match.span("value")
    for match in FROM_FLAT.finditer(text):
        yield match.span()
    for match in CODE.finditer(text):
        place = match.start()
        if (
            match["american"]
            and match.group()[:2].islower()
            and match.group()[:3].lower() in ("in ", "or ", "me ", "hi ", "ok ")
        ):
            near = text[max(0, place - 50) : place]
            if re.search(r"[0-9]", near) is None or STREET.search(near) is None:
                continue
        start = _left_end(text, place, small=match["british"] is not None and match.group().islower())
        left = text[start:place]
        if match["indian"]:
            left = text[start : match.end() - 7]
        if start < place and _is_place(left, match):
            yield start, match.end()


def _left_end(text: str, end: int, *, small: bool) -> int:
    """Where an address begins that ends here: over words with capitals, numbers and commas."""
    start = end
    for _ in range(24):
        match = WORD_LEFT.search(text, max(0, start - 36, end - 160), start)
        if match is None:
            break
        word, gap = match["word"], match["gap"]
        bare = word.strip("()[]\"'.")
        if word[-1] in ".!?:;" and SHORTENED.fullmatch(word) is None and not (word[-1] == "." and "," in gap):
            break
        if not bare or (
            bare.lower() in NOT_OF_A_PLACE
            and not (bare in ("New", "Old") or (bare == "Box" and text[start : start + 1].isdigit()))
        ):
            break
        first = bare[0]
        if not (first.isupper() or first.isdigit() or first == "#" or bare.lower() in SHORT_WORDS or small):
            break
        start = match.start()
        if small and first.isdigit():
            break
    while (
        lead := re.compile(r"(?:of|on|the|by|in|and|no|an|am|im|near|off|main|de|la|le|-|&)\s(?=.)").match(
            text, start, end
        )
    ) and start < end:
        start = lead.end()
    return start


def _is_place(left: str, match: re.Match[str]) -> bool:
    commas, digits = left.count(",") + left.count("\n"), re.search("[0-9]", left) is not None
    street = STREET.search(left) is not None
    if match["british"] or match["eircode"] or match["australian"] or match["american"] or match["canadian"]:
        return (digits and (street or commas >= 1)) or (commas >= 1 and street) or commas >= 2
    if match["county"]:
        return commas >= 1 and (digits or street or commas >= 2)
    if match["indian"]:
        return digits and commas >= 2
    if match["state"]:
        return digits and (commas >= 1 if match["pin"] else commas >= 3 and street)
    return ((digits and street) or (street and commas >= 2)) and (commas >= 1 or match["city"] is not None)
