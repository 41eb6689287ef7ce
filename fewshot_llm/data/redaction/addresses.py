"""Delivery addresses: Chinese, American, British, German, French; less of Spanish, Italian and Dutch ones.

A rule starts from a word that only an address has with a number beside it (`路478号`, `3栋2单元`, `Baker Street`,
`Hauptstraße 12`, `rue de la Paix`), and goes left and right as far as places, houses and rooms are named.

Other addresses end in a code or a county, or begin with a flat, whatever names stand between: `Flat 302, Sai Residency,
4th Cross, Koramangala, Bengaluru 560034`, `Rose Cottage, Ballyvaughan, Co. Clare`, `Unit 4/12 Kembla St, Wollongong NSW
2500`. No list knows such places, but a postal code has a form, and before it go words with capital letters, numbers and
commas. So that rule finds the code and goes left as long as these go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fewshot_llm.data.redaction.reading import Find, Kind, PlainReading

__all__ = [
    "find_addresses",
]

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


def _find_anchored(reading: PlainReading) -> Iterator[tuple[int, int]]:
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
        start = _street_start(text, place, small=match["british"] is not None and match.group().islower())
        left = text[start:place]
        if match["indian"]:
            left = text[start : match.end() - 7]
        if start < place and _is_place(left, match):
            yield start, match.end()


def _street_start(text: str, end: int, *, small: bool) -> int:
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


NUMBER = r"(?:[0-9]{1,5}(?:-[0-9]{1,4}){0,3}|[一二三四五六七八九十百零〇]{1,5}|[甲乙丙丁])"
UNIT = (
    r"(?:号楼|号院|号门|号铺|号库|号|號樓|號|弄|幢|栋|棟|座|单元|單元|层|楼|樓|室|户|组|期|排|房|铺"
    r"|门(?!口)|大队|队|社|巷|段|梯|院|舍|宿舍楼|宿舍|#楼?|F(?![A-Za-z])|区|支弄|连|团)"
)
ONE_UNIT = (
    rf"(?:[A-Za-z]{{1,2}}(?:[0-9]{{1,2}}[A-Za-z]?)?\s?(?:座|栋|幢|区|楼|室|单元|号楼|塔|馆)|[东南西北中]\s?单元|[东南西北中]{{1,2}}户"
    rf"|[A-Z][0-9]{{1,2}}\s?(?:座|栋|幢|区|楼|室|塔)?(?![0-9A-Za-z])"
    rf"|[A-Za-z东西南北附]?\s?{NUMBER}\s?{UNIT})"
)
NAME = r"[^\W\d_a-zA-Z的了到在是没我你他她它吗呢吧啊把被给也还很]"
"""A character that may be in the name of a place: none of the small words."""
HOUSE_UNIT = r"(?:[A-Za-z]{1,2}\s?(?:座|栋|幢)|[A-Za-z]?[0-9]{1,5}\s?(?:号楼|号院|号|號|弄|幢|栋|棟|座|单元|單元))"
GO_ON = rf"(?:[ ,，、/·-]{{0,2}}[^\W\d_的了是没吗呢吧把被让]{{0,12}}?{ONE_UNIT})"
ROOM = (
    r"(?:(?<=[座元栋幢楼号层期区舍门棟樓號厦廈心寓苑])\s?-?(?:[0-9]{1,3}(?:-[0-9]{1,4}){1,3}|[A-Za-z]?[0-9]{2,5}|[0-9]{1,2}[A-Ha-h](?![A-Za-z]))"
    r"(?![0-9-]|\s?(?:元|块|个|%|人|年|mAh)))"
)
LANDMARK = (
    r"(?:大厦|大廈|广场|廣場|小区|花园|花苑|公寓|中心|大学|学院|医院|公司|酒店|宾馆|驿站|超市|市场|学校|中学"
    r"|小学|幼儿园|厂区?|商场|写字楼|宿舍楼?|基地|工业园|产业园"
    r"|科技园|创业园|园区|银行|家园|家苑|雅苑|苑|新村|仓库?|门卫室?|物业|快递点|代收点|传达室|前台|快递柜"
    r"|丰巢柜?|蜂巢柜?|营业部|门市部?|商行|便利店|饭店|餐厅|药店|派出所|校区|分校|社区|大楼|办公楼|教学楼"
    r"|[^\W\d_]馆|车站|地铁站|法院|支行|政府|村委会|居委会|[东南西北]门|国际|大院)"
)
CORNER = (
    r"(?:\s?(?:与|和|跟|、)[\u4e00-\u9fff]{1,6}(?:路|街|大道)(?:交叉口|交汇处?|路口"
    r"|口)?)?(?:[东西南北]{1,2}(?:角|侧|边|面|门))?(?:\d{1,4}米)?(?:对面|旁边?|隔壁|附近|交叉口|交汇处|路口)?"
)
TAIL = (
    rf"(?:{GO_ON}{{0,7}}{ROOM}?"
    rf"(?:\s?{NAME}{{0,10}}?{LANDMARK}){{0,2}}{GO_ON}{{0,4}}{ROOM}?(?:之[一二三四五六七八九]|之[0-9]{{1,3}}"
    rf"|附[0-9]{{1,3}}号?)?(?:(?<=[楼樓层層座])\s?[A-Z](?:室|座)?(?![0-9A-Za-z])|地下(?!室|铁|鐵|车|車|停))?{CORNER})"
)
STRONG_PLACE = (
    r"(?:大道|国道|省道|公路|(?<!一)路(?!由|上|边|过|灯|程|费|人|况|标|径)|街(?!边|上)|巷|弄|胡同|村|屯|庄|寨"
    r"|小区|花园|社区|公寓|家园|苑|工业区|工业园|产业园|科技园|软件园|创业园|物流园|开发区|高新区|新区|广场"
    r"|廣場|大厦|大廈|中心|写字楼|新城|新村|宿舍"
    r"|大院|家属院|校区|大学|学院|国际|名都|豪庭|华庭|华府|公馆|山庄|别墅|庄园|嘉园|佳苑|家苑|名苑|名城|商城"
    r"|市场|镇|乡|街道|厂|[东西南北]区)"
)
WEAK_PLACE = (
    r"(?:(?<![这那哪家店盒包袋柜房箱心手盘屋车机城夜])里|城|园"
    r"|道[中東东西南北]{0,1}(?=\s?[0-9]{1,4}[-至]?[0-9]{0,4}[A-Z]?\s?[号號])|邨|[墟圍]|府|邸)"
)
FEEBLE_PLACE = r"(?:湾|庭|轩|阁|墅|居|郡|岸|洲|坊|堂|浜|桥|岭|坡|坪|营|堡)"
NUMBERED = re.compile(
    rf"(?:{STRONG_PLACE}|{WEAK_PLACE})(?:[东西南北中一二三四五六七八九]{{0,2}}(?:段|路|街|巷|里"
    rf"|区))?[ ,，、]{{0,2}}(?:\([^()\n]{{1,20}}\))?"
    rf"(?:{ONE_UNIT}|{NAME}{{1,4}}{HOUSE_UNIT}"
    rf"|(?<=[区园苑寓庭府厦城])[0-9]{{1,3}}-[0-9]{{1,4}}(?:-[0-9]{{1,4}})?(?![0-9])){TAIL}"
    rf"|{FEEBLE_PLACE}[ ,，、]{{0,2}}{ONE_UNIT}(?:{GO_ON}|{ROOM}){TAIL}"
)
BUILDING = re.compile(
    rf"(?<![0-9A-Za-z])(?:[A-Za-z]|[0-9]{{1,3}}|[一二三四五六七八九十]{{1,3}})\s?(?:号楼|栋|幢|棟|座|#楼?|号院"
    rf"|舍|号公寓|号宿舍楼?|期)[ ,，-]{{0,2}}"
    rf"(?:{NUMBER}\s?(?:单元|單元|门|梯|层|楼|栋|幢"
    rf"|号楼)[ ,，-]{{0,2}}(?:[A-Za-z]?[0-9]{{1,5}}(?![0-9])\s?(?:室|号|户|房)?)?"
    rf"|[A-Za-z]?[0-9]{{1,5}}\s?(?:室|户|房)|(?<=[楼栋幢座棟#院舍期])-?[A-Za-z]?[0-9]{{3,4}}(?![0-9]|\s?(?:元"
    rf"|块|个|%|人|mAh|次|[wW瓦])))"
    rf"|{NUMBER}\s?(?:单元|單元)[ ,，]{{0,2}}(?:{NUMBER}\s?(?:层"
    rf"|楼)[ ,，]{{0,2}})?[A-Za-z]?[0-9]{{1,5}}\s?(?:室|号|户|房)?"
)
COMMUNITY = re.compile(
    rf"(?:(?<![0-9A-Za-z])(?!{NAME}{{0,4}}(?:码|号|型|日期|时间|比分|色|款|电话)){NAME}{{2,10}}(?:[A-Za-z一二三四五六七八九十]\s?[区期座])?"
    rf"|[A-Za-z]区)"
    r"[0-9]{1,3}[-—#栋幢][0-9]{1,2}[-—#单元]{1,2}[0-9]{3,4}室?(?![0-9-])"
    rf"|{NAME}{{2,8}}[0-9]{{1,3}}\s?(?:栋|幢|号楼)(?=[,，。;；\s]|\\Z|[0-9A-Z]|楼下|门口)"
    rf"|{NAME}{{2,6}}(?:村|屯|铺|庄|寨|镇|乡|组){NAME}?[头口尾边东西南北]{{1,2}}(?:第?[一二三四五六七八九十0-9]{{1,2}}[家户排]|{NAME}{{2,3}}家)"
    rf"|{NAME}{{2,10}}[A-Z]{{3,6}}\s?(?:T[0-9]{{1,2}}|[0-9A-Z]座)\s?(?:[0-9]{{1,2}}[楼层])?\s?[0-9]{{3,4}}室?(?![0-9A-Za-z])"
    rf"|(?<=[送寄放]到)(?P<mark>{NAME}{{2,8}}{LANDMARK})(?:旁边?|对面|隔壁|后面|楼下)的?(?:{NAME}{{1,6}}{LANDMARK})"
)
PROVINCES = (
    r"北京|上海|天津|重庆|河北|山西|内蒙古|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东"
    r"|广西|海南|四川|贵州|云南|西藏|陕西|甘肃|青海|宁夏|新疆|台湾|香港|澳门"
    r"|深圳|广州|杭州|成都|武汉|南京|西安|苏州|长沙|郑州|青岛|宁波|东莞|佛山|合肥|福州|厦门|济南|大连|沈阳"
    r"|昆明|哈尔滨|[台臺][北中南東]市?|高雄|新北|桃園|新竹|基隆|嘉義|九龙|九龍|新界"
)
DETAIL = (
    r"(?:镇|鎮|乡|街道|村|屯|庄|寨|大道|路|街|巷|弄|胡同|小区|社区|花园|苑|园|公寓|大厦|广场|大学|学院"
    r"|中学|小学|学校|医院|厂|家园|新村|宿舍|工业区|开发区|新城|国际|府|公司|中心|市场|酒店|超市|商场|农场|林场)"
)
CHAIN = re.compile(
    rf"(?:{PROVINCES}|省|自治区|(?<!超)(?<!城)市|自治州|地区|盟|县)[ ,，·/-]{{0,2}}(?>{NAME}{{1,8}}?(?:市|区"
    rf"|县|旗|自治州|州)[ ,，·/-]{{0,2}}){{1,3}}"
    rf"(?>{NAME}{{1,10}}?(?:镇|乡|街道)[ ,，·/-]{{0,2}})?(?:{NAME}"
    rf"|[0-9A-Za-z]){{1,12}}?{DETAIL}(?:[东西南北中]段)?(?:(?:与|和)?{NAME}{{0,6}}?{DETAIL}){{0,3}}{TAIL}"
    rf"|(?:县|区|市|旗)[ ,，]{{0,2}}{NAME}{{1,6}}?(?:镇|乡|街道)[ ,，]{{0,2}}{NAME}{{1,8}}?(?:村|屯|庄|寨|社区"
    rf"|路|街|小区){TAIL}"
)
VILLAGE = re.compile(
    rf"(?:镇|乡|街道|(?<!农)村|屯|庄|寨|农场|林场|大队|团场)[ ,，]{{0,2}}{NAME}{{0,8}}?(?:村|屯|庄|寨|坪|坝|湾"
    rf"|沟|队|组|社|连)?[ ,，]{{0,2}}(?:第)?{NUMBER}\s?(?:村民小组|小组|组|队|号|社|小队|生产队|巷|排|户|连|屯){TAIL}"
    rf"|(?<={NAME}{NAME})(?:镇|乡)[ ,，]{{0,2}}{NAME}{{1,5}}(?:村|屯|庄|寨|社区)(?!{NAME})"
)
ESTATE = re.compile(
    rf"{NAME}{{1,10}}(?:邨|苑|閣|阁|大廈|大厦|花園|花园|樓|座|村)(?:{NAME}{{1,8}}(?:樓|楼|閣|阁|座|苑|大廈))?"
    r"\s?(?:[0-9A-Z]{1,3}\s?座)?\s?(?:[0-9]{1,3}\s?[樓楼/][F字]?)?\s?(?:[A-Z]|[A-Z]?[0-9]{3,4}[A-Z]?)\s?(?:室|號室|单位|單位)(?![0-9A-Za-z])"
)
LETTER_BOX = re.compile(
    rf"(?:{NAME}{{2,10}}?)?(?:第?[0-9]{{1,6}}[号號]?)(?:郵政|邮政)?信箱(?:第?[0-9]{{1,5}}[号號]?分?[箱号號])?|(?:郵政|邮政)信箱\s?第?[0-9-]{{1,10}}[号號]?(?:信箱)?"
)
NOT_A_PLACE = re.compile(r"快递村|物流村|快递员|客服|发货|退货|电池|色号|快递镇")
ONE_FLOOR = re.compile(r"\A[^0-9A-Za-z号栋幢座室弄组]*[一二三四五六七八九十]{1,2}[楼层][^0-9A-Za-z号栋幢座室弄组]*\Z")
HERE = re.compile(
    r"(?:收货|收件|寄件|寄货|退货|发货|家庭|公司|邮寄|配送|详细|送货|新|我的|现|居住|通讯|联系|老家)?(?:地址"
    r"|住址|住处|收货地)(?:[:：=\s]|是|为|改为|改成|改到|换成|换到|应该是|变更为|填的是|写的是){1,4}"
)
MARK = re.compile(
    r"省|市|[区區]|[县縣]|[镇鎮]|[乡鄉]|村|路|街|巷|弄|[号號]|栋|幢|座|[楼樓]|室|单元|小区|花园|苑|大[厦廈]"
    r"|广场|公寓|宿舍|大学|学院|学校|医院|公司|驿站|[0-9]{2,5}|组|屯|庄|门|城|园|府|厂|院|中心|国际|期|柜|店|超市"
)
STOP = re.compile(
    r"[。!?;；\n]|电话|手机|联系|收件人|收货人|姓名|邮编|邮政|谢谢|麻烦|请|不要|别|什么|怎么|为什么|，?我"
)
WORDS_LEFT = re.compile(r"(?:[\u4e00-\u9fffA-Za-z0-9·()#-])+\Z")
JOINED = re.compile(rf"(?:[省市区县镇乡州盟旗村路街道苑园厦庄區縣鎮鄉]|{PROVINCES}|[0-9]号)[ ,，、/-]{{1,2}}\Z")
LEAD = re.compile(
    r".*(?:地址(?:改为|改成|是|在|为|写的)?|[送寄发派退搬运快递]到|[送寄发]至|[寄发]往|寄[回给]|[收退换]货"
    r"|住在?|位于|改[到成为]|换[成到]"
    r"|应该是|请[寄发送到]|公司|宿舍|[家我放]在|小区是|(?<!北)在|(?<![拉宝])是|(?<!老)家(?=在)|到|收件人"
    r"|联系人|[：:]|，|、)(?=[\u4e00-\u9fffA-Za-z0-9])"
)
"""The words before a place, up to the last one that cannot belong to its name."""

TYPE = (
    r"(?:Street|St|Avenue|Ave|Av|Road|Rd|Boulevard|Blvd|Lane|Ln|Dr|Court|Ct|Pl|Sq|Terrace|Ter|Parkway|Pkwy"
    r"|Highway|Hwy|Circle|Cir"
    r"|Crescent|Cres|Gardens|Gdns|Grove|Mews|Trail|Trl|Alley|Turnpike|Pike|Broadway|Esplanade|Promenade|Quay|Wharf)\b"
    r"|(?:Drive|Way|Place|Square|Close|Row|Hill|Walk|Park|Green|Loop|Rise|View|Path|Plaza|Heights|Point|Cross"
    r"|Vale)(?=[,.\n;)]|\s(?:Apt|Apartment|Unit|Suite|Ste|Flat|\#)|\s?\Z)"
)
ANY_TYPE = (
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq|terrace|ter"
    r"|parkway|pkwy|highway|hwy|circle|cir|crescent|cres"
    r"|gardens|grove|mews|trail|trl|way|close|row|hill|walk|loop|alley|plaza|broadway)\b"
)
FLAT = r"(?:Flat|Apt|Apartment|Unit|Suite|Ste|Room|Rm|Floor|Fl|Building|Bldg|Block|Tower|Lot|House|Level|Studio|\#)"
STATES = (
    r"A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]"
    r"|UT|V[AT]|W[AIVY]"
)
STATE_NAMES = (
    r"Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho"
    r"|Illinois|Indiana|Iowa|Kansas"
    r"|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska"
    r"|Nevada|New\s(?:Hampshire"
    r"|Jersey|Mexico|York)|North\s(?:Carolina|Dakota)|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode\sIsland"
    r"|South\s(?:Carolina|Dakota)|Tennessee"
    r"|Texas|Utah|Vermont|Virginia|Washington|West\sVirginia|Wisconsin|Wyoming"
)
STATE_ZIP = rf"(?:{STATES}|{STATE_NAMES})\.?,?\s[0-9]{{5}}(?:-[0-9]{{4}})?\b"
POSTCODE = r"(?:[A-Z]{1,2}[0-9][0-9A-Z]?\s?[0-9][A-Z]{2}|[ABCEGHJ-NPRSTVXY][0-9][A-Z]\s?[0-9][A-Z][0-9])\b"
CITY = (
    r"(?![A-Z]{2,3}\b)[A-Z][A-Za-zÀ-ÿ.'’-]{1,20}(?:[ -](?![A-Z]{2,3}\b)(?:upon|on|under|by|the|of|le|de|in"
    r"|[A-Z])[A-Za-zÀ-ÿ'’-]{0,20}){0,3}"
)
WORD = r"(?:[A-Z][A-Za-zÀ-ÿ.'’-]{1,20}|[0-9]{1,3}(?:st|nd|rd|th)|[A-Z]\.|of|the|de|la)"
PRODUCT = (
    r"(?:Speed|Way|Percent|Pack|Packs|Inch|Piece|Pieces|Pcs|Year|Years|Day|Days|Star|Stars|Hour|Hours"
    r"|Watt|Volt|Count|Lane|Foot|Feet|Ft|Mile|Miles|Minute|Minutes|Person|Player|Port|Door|Tier|Level|Shades"
    r"|Gallon|Ounce|Oz|Lb|Lbs|Set|Month|Week|Color|Colour|Size|x|X|By|New|Of|Best|Great|Different|More|Other"
    r"|Extra|Large|Small|[GMTK]B|[GM]Hz|[KM]W|[Mm]Ah|Mm|Cm|Kg|Inches)\b"
)
ENGLISH_ENDING = rf"""
    (?: \.? ,?\s? (?:[NSEW]{{1,2}}\b)? ,?\s? (?:{FLAT}\.?\s?(?:no\.?\s?)?\#?[0-9A-Za-z-]{{1,6}}\b|[0-9]{{1,3}}(?:st
      |nd|rd|th)\s(?i:floor)) ){{0,3}}
    (?: \.?,\s(?!{STATE_ZIP})(?:{CITY}) ){{0,3}}
    (?: \.?,?\s(?:(?:{CITY}),?\s){{0,2}}?(?:{STATE_ZIP}|(?:[A-Z]{{2}},?\s)?{POSTCODE}|(?:NSW|VIC|QLD|WA|SA|TAS|ACT
      |NT),?\s[0-9]{{4}}\b) | ,?\s(?:{STATES})\b )?
    (?: ,?\s(?:USA|US|UK|United\sKingdom|United\sStates|England|Scotland|Wales|Ireland|Canada|Australia)\b )?
"""
ENGLISH = re.compile(
    rf"""
    (?: (?:{FLAT}\.?\s?\#?[0-9A-Za-z-]{{1,6}}|[0-9]{{1,3}}/F|(?:[A-Z][A-Za-z'’]{{1,20}}\s){{1,2}}(?:House|Court
      |Building|Tower|Mansions|Lodge|Estate)),?\s ){{0,4}}
    (?<![0-9A-Za-z.,$€£#-]) \#?[0-9]{{1,5}}(?:[A-Za-z]|\s?[½])? (?:[-/][0-9]{{1,4}}[A-Za-z]?)? ,?\s
    (?: [NSEW]{{1,2}}\.?\s | (?:North|South|East|West|Northeast|Northwest|Southeast|Southwest)\s )?
    (?: (?: (?:(?:County|State|US)\s)?(?:Highway|Hwy|Route|Rte|Road|CR)\s[0-9]{{1,4}}\b 
      | (?!{PRODUCT}) (?:{WORD}\s){{1,4}} (?:{TYPE}) | (?:Broadway|The\s[A-Z][a-z]{{2,15}})\b(?=,)
      | [A-Z][a-z]{{2,12}}(?:gate|wood|field|croft|side|way|mead)(?=,) ) )
    (?: \s(?:NW|NE|SW|SE|North|South|East|West|[NSEW])\b )?
    {ENGLISH_ENDING}
    | \b(?i:P\.?\s?O\.?\s?Box|Post\sOffice\sBox|Postfach|Apartado|Bo[iî]te\sPostale
      |BP)\s\#?[0-9]{{1,6}}\b(?:,\s(?:{CITY}))?(?:,?\s(?:{STATE_ZIP}|{POSTCODE}|[0-9]{{4,5}}\s(?:{CITY})))?
    | \bHouse\s\#?[0-9]{{1,4}}[A-Za-z]?,\s(?:Road|Street|Lane|Block)\s(?:No\.?\s?)?[0-9A-Z]{{1,4}}(?:,\s(?:{CITY}
      |Block\s[A-Z0-9]{{1,3}})){{0,4}}
    | \bR\.?R\.?\s\#?[0-9]{{1,3}},?\sBox\s[0-9]{{1,5}}\b
    | \b(?:APO|FPO|DPO),?\sA[AEP],?\s[0-9]{{5}}\b
    """,
    re.VERBOSE,
)
HOUSE = re.compile(
    rf"\b(?:The\s)?(?:[A-Z][A-Za-z'’]{{1,20}}\s){{1,3}}(?:Cottage|House|Farm|Barn|Lodge|Hall|Manor|Villa"
    rf"|Rectory|Vicarage|Mill|Croft|Bungalow|Grange|Mansions)(?:,\s(?:{CITY})){{1,4}},?\s{POSTCODE}"
)
WITH_CODE = re.compile(
    rf"(?<![0-9A-Za-z])[0-9]{{1,5}}[A-Za-z]?,?\s(?:{WORD}\s?){{1,3}}(?:,\s(?:{CITY})){{1,3}},?\s(?:{STATE_ZIP}"
    rf"|{POSTCODE})"
)
SMALL_LETTERS = re.compile(
    rf"(?<![0-9A-Za-z.,$€£#-])(?:(?:flat|apt|apartment|unit|suite|room|floor|studio|block)\.?\s?\#?[0-9a-z]{{1,5}},?\s)?[0-9]{{1,5}}[a-z]?\s"
    rf"(?:[nsew]\.?\s)?(?:[a-z0-9'’]{{2,20}}\s){{1,3}}?(?:{ANY_TYPE})\.?(?P<rest>,?\s(?:apt|apartment|unit"
    rf"|suite|ste|flat|\#)\.?\s?\#?[0-9a-z-]{{1,5}}\b)?"
    rf"(?P<place>,?\s(?:[a-z'-]{{2,20}}[\s,]{{1,2}}){{1,3}}?(?:{STATE_ZIP}"
    rf"|{POSTCODE}))?(?P<city>,\s[a-z]{{3,20}}(?=[.,!?\n]|\Z))?",
    re.IGNORECASE,
)
ANNOUNCED = re.compile(
    r"(?i)(?:address(?:ed)?|(?:live|living|lives|moved|located|delivered|delivering|deliver|ship(?:ped|ping)?"
    r"|sen[dt]|left|dropped|leave|mail(?:ed)?|deliveries|parcel|package|pick\s?up)(?:\s\w{1,12}){0,3}?\s?(?:to"
    r"|at|on|is|outside)?)"
    r"(?:\s(?:is|was|should|be|to|at|my|our|new|the|old|changed|now|house|home|it|instead|wrong)){0,5}[\s:,]{0,3}\Z"
)
POST_BOX = re.compile(
    rf"(?<![a-z])(?:g?p\.?\s?o\.?\s?box|post\s(?:office\s)?box|private\sbag|locked\sbag|postbox|pmb|cmb)\s?"
    rf"(?:no\.?|number|nr\.?)?\s?\#?[a-z]{{0,2}}\s?[0-9]{{1,6}}(?:[-/][0-9]{{1,5}})?(?![0-9])"
    rf"(?:(?:,\s?|\s)(?:[a-z.'-]{{2,20}}(?:\s[a-z.'-]{{2,20}}){{0,2}},?\s){{1,3}}?(?:{STATE_ZIP}|{POSTCODE}"
    rf"|(?:nsw|vic|qld|wa|sa|tas|act|nt),?\s[0-9]{{4}}\b|[0-9]{{4,6}}\b)"
    rf"|(?:,\s(?-i:{CITY})){{1,3}})?",
    re.IGNORECASE,
)
EASTERN_PLACE = re.compile(
    r"(?i)(?<![a-z])(?:hong\s?kong|h\.?k\.?|kowloon|n\.t\.|new\sterritories|tai(?:pei|chung|nan|wan)|kaohsiung|hsinchu"
    r"|taoyuan|keelung|r\.?o\.?c\.?|shanghai|pudong|puxi|beijing|peking|guangzhou|shenzhen|hangzhou|suzhou|nanjing"
    r"|chengdu|wuhan|tianjin|dongguan|china|p\.?r\.?c\.?|maca[uo]|taipa|coloane|singapore)(?![a-z])"
)
EASTERN_NUMBER = (
    r"(?:no|ln|lane|aly|alley|sec|section|rm|room|flat|unit|block|blk|bldg|building|tower|suite|ste|shop|house|lot"
    r"|phase|apt|apartment|floor|fl|level|villa)\.?\s?(?:no\.?\s?)?\#?(?:[0-9]{1,5}[a-z]?(?:-[0-9]{1,4})?|[a-z][0-9]{0,4})(?![0-9a-z])"
    r"|[0-9]{1,3}(?:st|nd|rd|th)?(?:/f|f|\sfl(?:oor)?)(?![a-z])\.?(?:-[0-9]{1,3})?"
    r"|\#[0-9]{1,3}-[0-9]{1,4}|[0-9]{1,5}[a-z]?(?:-[0-9]{1,4}[a-z]?)?(?=\s[a-z][a-z'-]{2,})"
)
EASTERN_START = re.compile(rf"(?i)(?<![0-9a-z.,$€£#/-])(?:{EASTERN_NUMBER})")
EASTERN_STREET = re.compile(
    r"(?i)(?<![a-z])(?:rd|road|st|street|ave|avenue|lane|ln|alley|aly|path|drive|terrace|blvd|boulevard|highway"
    r"|(?:[a-z]{2,12})?(?:lu|jie)|court|mansions?|house|plaza|cent(?:re|er)|estate|garden|gardens|building|tower|dist(?:rict)?|rua|avenida|estrada|tsuen)"
    r"(?![a-z])"
)
EASTERN_GO_ON = re.compile(
    r"(?i)(?:\s?,?\s?(?:city|district|dist\.?|new\s(?:area|territories)|province|s\.?a\.?r\.?|island|r\.?o\.?c\.?|p\.?r\.?"
    rf"\s?c(?:hina)?\.?|[0-9]{{3,6}}(?![0-9])|{EASTERN_PLACE.pattern[4:]}))*"
)
NOT_INSIDE = re.compile(
    r"(?i)(?<![a-z'])(?:is|was|are|to|from|my|your|it|i|we|and|but|for|with|ship(?:ped)?|send|sent|made|bought|arrived|days"
    r"|parcel|order|please|in|by|tracking|phone|call|stars?|pcs)(?![a-z'])"
)

GERMAN = re.compile(
    r"""
    (?:(?<![\w])[0-9]{5}\s[A-ZÄÖÜ][\wäöüß-]{2,25},\s)?
    (?<!\w)(?: (?:[A-ZÄÖÜ][\wäöüß.-]{1,25}\s){0,2}(?:[A-ZÄÖÜa-zäöü][\wäöüß.-]{1,25}(?:straße|strasse|str\.|weg
      |platz|allee|gasse|damm|ufer|chaussee|steig|graben|stieg|pfad|promenade)
        | [A-ZÄÖÜ][\wäöüß-]{1,30}-(?:Straße|Strasse|Str\.|Platz|Weg|Allee|Ring|Ufer|Damm)
        | (?<=[a-zäöüß]\s)(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer|Chaussee)
        | Straße\sde[sr]\s(?:[0-9]{1,2}\.\s)?[A-ZÄÖÜ][\wäöüß-]{2,20})
      | [A-ZÄÖÜ][\wäöüß-]{2,25}(?:ring|hof|markt|berg|tor|wall|kamp)(?=\s[0-9]{1,4}\s?[a-z]?,\s[0-9]{5})
      | (?:Am|An\sder|An\sden|Im|In\sder|In\sden|Auf\sder|Auf\sdem|Unter\sden|Zum|Zur|Vor\sdem|Hinter\sder
        |Beim)\s[A-ZÄÖÜ][\wäöüß-]{2,25}(?=\s[0-9]{1,4}\s?[a-z]?,?\s(?:in\s)?[0-9]{5}\s) )
    \s?[0-9]{1,4}(?:\s?[a-zA-Z](?![a-zA-Z]))?(?:\s?[-/]\s?[0-9]{1,4})?(?![0-9])
    (?: ,?\s(?:(?:in|D-|DE-|A-|CH-)\s?)?[0-9]{4,5}\s[A-ZÄÖÜ][\wäöüß-]{1,25}(?:[ -](?:am|an\sder|ob\sder|im|a\.|bei
      |unter)\s[A-ZÄÖÜ][\wäöüß-]{2,20}|/[A-ZÄÖÜ][\w-]{2,20})? | ,\s(?:in\s)?[A-ZÄÖÜ][a-zäöüß]{2,20}(?!\w) )?
    """,
    re.VERBOSE,
)
PARTICLE = r"(?:(?:de\sla|de\sl['’]|de|du|des|d['’]|la|le|les|l['’]|aux?|sur|et|en)\s?)"
FRENCH = re.compile(
    rf"""
    (?<![0-9A-Za-z.,$€£-])(?:[0-9]{{1,4}}\s?(?:bis|ter|quater|[A-D])?,?\s)
    (?i: (?:rue|avenue|av\.?|boulevard|bd\.?|blvd|chemin|all[ée]e|impasse|quai|r[ée]sidence|faubourg|cit[ée]
      |esplanade|lotissement|sentier|venelle)\s(?={PARTICLE}|[A-ZÀ-Ý0-9])
       | (?:place|route|cours|square|passage)\s(?={PARTICLE}) )
    (?: {PARTICLE}{{0,3}} [\wÀ-ÿ'’.-]{{2,25}} (?:[ -](?:{PARTICLE}{{0,2}}[A-ZÀ-Ý][\wÀ-ÿ'’-]{{1,25}})){{0,4}} )
    (?: ,?\s(?:(?i:appt?|apt|b[âa]t|esc|[ée]tage)\.?\s?[0-9A-Za-z]{{1,5}},?\s?){{1,3}} )?
    (?: ,?\s(?:à\s)?(?:F-)?[0-9]{{5}},?\s[A-Za-zÀ-ÿ][\wÀ-ÿ'’-]{{1,25}}(?:[ -][A-ZÀ-Ý0-9l][\wÀ-ÿ'’-]{{0,20}}){{0,3}}
       | ,?\s(?:à\s)?[A-ZÀ-Ý][a-zà-ÿ]{{2,20}}(?:\s[0-9]{{1,2}}e)?(?!\w) )?
    """,
    re.VERBOSE,
)
OTHERS = re.compile(
    r"""
    \b(?:Calle|C/|Avenida|Avda\.?|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua
      |Carrer)\s
        (?:[A-ZÀ-Ýd][\wÀ-ÿ'’.-]{1,20}\s?,?\s?){1,4}\s?[0-9]{1,4}[A-Za-z]?\b
          (?:,\s?[0-9ºª°.A-Za-z]{1,4}\b){0,2}(?:,?\s[0-9]{4,5}(?:-[0-9]{3})?\s[A-ZÀ-Ý][\wÀ-ÿ'’-]{1,25})?
    | \b[A-Z][\w]{2,20}(?:straat|gracht|laan|kade|plein
      |steeg)\s[0-9]{1,4}(?:\s?[a-zA-Z]\b)?(?:,?\s[0-9]{4}\s?[A-Z]{2}\b)?(?:,?\s[A-Z][a-z]{2,20})?
    """,
    re.VERBOSE,
)
CHINESE_SIGNS = re.compile(
    r"[邨路街巷弄号號栋幢座楼樓室村镇鎮乡区區县縣屯庄组苑厦园城里道院舍单府湾庭期#市省铺塔箱]"
    r"|地址|住址|[0-9]-[0-9]{1,2}-[0-9]{3}|[A-Z]{3} ?T[0-9]"
)


def find_addresses(reading: PlainReading) -> Iterator[Find]:
    """Delivery addresses."""
    text = reading.text
    if CHINESE_SIGNS.search(text) is not None:
        for start, end in _chinese(text):
            yield Kind.ADDRESS, start, end
    if re.search(r"[A-Za-z]{2}", text) is None:
        return
    for start, end in _find_anchored(reading):
        yield Kind.ADDRESS, start, end
    if reading.digits:
        for pattern in (ENGLISH, HOUSE, WITH_CODE, GERMAN, FRENCH, OTHERS):
            for match in pattern.finditer(text):
                yield Kind.ADDRESS, *match.span()
        for match in POST_BOX.finditer(text):
            yield Kind.ADDRESS, *match.span()
        for start, end in _eastern(text):
            yield Kind.ADDRESS, start, end
        for match in SMALL_LETTERS.finditer(text):
            if (
                match["rest"]
                or match["place"]
                or match["city"]
                or ANNOUNCED.search(text[max(0, match.start() - 60) : match.start()])
            ):
                yield Kind.ADDRESS, *match.span()


def _eastern(text: str) -> Iterator[tuple[int, int]]:
    """Addresses in English of places that are named after all the rest: `Flat B, 12/F, 2 Hoi Ting Road, Hong Kong`."""
    done = 0
    for place in EASTERN_PLACE.finditer(text):
        if place.start() < done:
            continue
        left = max(done, place.start() - 150)
        for start in EASTERN_START.finditer(text, left, place.start()):
            inside = text[start.start() : place.start()]
            if (
                "," in inside
                and re.search(r"[!?;:\n]|[a-z]{4}\.\s", inside) is None
                and NOT_INSIDE.search(inside) is None
                and EASTERN_STREET.search(inside) is not None
            ):
                on = EASTERN_GO_ON.match(text, place.end(), place.end() + 80)
                done = place.end() if on is None else on.end()
                yield start.start(), done
                break


def _chinese(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (NUMBERED, CHAIN, VILLAGE, BUILDING, COMMUNITY, ESTATE, LETTER_BOX):
        for match in pattern.finditer(text):
            if NOT_A_PLACE.search(match.group()) is None and ONE_FLOOR.search(match.group()) is None:
                yield _place_start(text, match.start()), match.end()
    for match in HERE.finditer(text):
        end = _end_of_place(text, match.end())
        if end is not None:
            yield match.end(), end


def _place_start(text: str, start: int) -> int:
    """Where a place begins, of which a later part was found: province, city and district stand before it."""
    for _ in range(6):
        run = WORDS_LEFT.search(text, max(0, start - 30), start)
        if run is not None:
            lead = LEAD.match(run.group() + text[start : start + 2])
            if lead is not None:
                return run.start() + min(lead.end(), start - run.start())
            start = run.start()
        joined = JOINED.search(text, max(0, start - 8), start)
        if joined is None:
            return start
        start = joined.start() + len(joined.group().rstrip(" ,，、/-"))
    return start


def _end_of_place(text: str, start: int) -> int | None:
    """The end of a place after `地址：`, or `None` where no place is named."""
    stop = STOP.search(text, start + 2, start + 80)
    window = text[start : stop.start() if stop is not None else min(len(text), start + 80)]
    end, marks = 0, 0
    for piece in re.finditer(r"[^,，]+[,，]?", window):
        found = list(MARK.finditer(piece.group()))
        if not found and end:
            break
        marks += len(found)
        if found:
            end = piece.start() + found[-1].end()
    # The rest of the last word belongs to the place as well: `3栋门口`.
    return start + end if marks >= 2 else None
