"""Names of people after ordinary words: `deliver to Ann Lee`, `I'm Ravi`, `Cheers, Dave`, `交给孙晓梅`, `我是周丽华`.

Such words come before everything (`I'm happy`, `deliver to Germany`, `我是老顾客`), so what follows counts as a name
only where it is written like one and is no word of the language: `words/en.txt` has common English words (their
plurals and pasts are known by their endings), `words/zh.txt` Chinese words that begin with a character which is also
a surname. `words/README.md` says where both come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib.resources import files

from fewshot_llm.data.redaction.reading import Find, Kind, PlainReading

__all__ = ["COMPOUND", "HALF_WORD", "LATIN", "SURNAMES", "UPPER", "find_introduced", "is_of_a_thing", "is_word"]

SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
    "庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边"
    "闫肖付郎邬尚佘卓练苟冷巩鞠丘蒙晏敖占符池臧楚娄滕艾冀原商米仇宗平戚荆洛揭詹仲楼窦岑应薄麦井丰栾计简揭蓝饶沙辜杭危虞宫蔺郁邸邝呼谈扈苑匡巫商鹿奚储古阙"
    "張劉陳楊趙黃吳孫馬羅鄭謝韓馮蕭鄧許呂蘇盧蔣賈葉閻鐘鄒陸龍萬錢湯賴龐蘭顏嚴莊齊"
)
COMPOUND = (
    "欧阳|司马|上官|诸葛|夏侯|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|端木|西门|南宫|百里|独孤|长孙|宇文"
    "|轩辕|申屠|太史|濮阳|闻人|公冶|欧陽"
)
UPPER = r"[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĞĢĪĮİĶĹĽŁŃŅŇŌŐŒŘŚŞŠŢŤŪŮŰŲŹŻŽ]"
LATIN = (
    rf"(?:(?:van|von|de|del|di|da)\s(?:(?:der|den"
    rf"|la)\s)?)?(?:{UPPER}\.\s?){{0,3}}{UPPER}[^\W\d_\u2e80-\u9fff]*(?:['’-][^\W\d_\u2e80-\u9fff]{{1,20}})?"
    rf"(?:[ ](?:(?:van|von|de|der|den|da|di|del|la|le|bin|al|el"
    rf"|dos)\s){{0,2}}"
    rf"(?:[OD]['’])?{UPPER}[^\W\d_\u2e80-\u9fff]{{0,20}}(?:['’-][^\W\d_\u2e80-\u9fff]{{1,20}})?\.?){{0,3}}"
)

PEOPLE = (
    r"husband|wife|son|daughter|brother|sister|mother|father|mum|mom|dad|neighbou?r|flatmate|room\s?mate|house\s?mate"
    r"|colleague|co-?worker|friend|partner|boyfriend|girlfriend|fianc[ée]e?|assistant|secretary|boss|landlord|landlady"
    r"|tenant|driver|courier|agent|rep|representative|advis[eo]r|operator|supervisor|manager|technician|engineer"
    r"|postman|mailman|concierge|caretaker|receptionist|aunt|uncle|cousin|grandson|granddaughter|niece|nephew|nan"
    r"|grandmother|grandfather|doorman|porter|carer|nurse|doctor|teacher|lady|guy|gentleman|man|woman|person|colleague"
)
THING = r"(?:it|them|this|that|everything|(?:the|my|our|his|her|your|an?|this)\s(?:\w{2,12}\s)?\w{2,12})"
ONE = re.compile(
    rf"""(?<![\w-])(?:
      (?:ask|asking|asked)\sfor | contact(?:ed|ing)? | (?:speak|speaking|spoke|spoken|talk|talked|talking|chatted
        |chatting|deal|dealt)\s(?:to|with) | att(?:n|ention|ent)\b[.:]?
      | fao\b:? | addressed\sto | reach(?:\sout\sto)? | ring
      | (?:signed|sign)(?:\sfor)?(?:\sas|\sby)? | (?:received|accepted|collected|picked\sup|taken(?:\sin)?|ordered
        |placed|purchased|booked|paid|submitted|opened|helped|assisted|answered|handled|witnessed|returned|requested|sent)\sby
      | in\sthe\snames?\sof | under(?:\sthe\sname(?:\sof)?)? | names?\sof
      | (?:account|card|policy)\s?holder(?:'s\sname)?
      | cardholder | recipient | consignee | addressee | payee | beneficiary | purchaser
      | (?:gave|handed|given|give|hand|passed|pass|entrusted)\s(?:{THING}\s)?(?:over\s)?to
      | (?:left|leave|leaving|drop|dropped)\s(?:{THING}\s)?(?:off\s)?with | out\sto | payable\sto | c/o | care\sof
      | (?:my|our|his|her|your|their|the|a|an|ur)\s(?:\w{{3,12}}\s)?(?:{PEOPLE}),?(?:\s(?:is|was|called|named))?
      | (?:courier|driver|agent|rep|postman|postie|neighbou?r|husband|wife|son|daughter)
      | (?:should|must|to|can)\s(?:say|read) | (?:let|tell|told|inform|notify|email|text|call|phone|cc) | on\sbehalf\sof
      | by\sthe\sname(?:\sof)? | (?:contact|responsible|emergency)\s(?:person|contact|name)
      | (?:bill|billed|billing)\sto
      | (?:customer|client|buyer|guest|passenger|patient|member|sender|receiver)(?:\sname\s?:?|\s?:)
      | empfänger(?:in)? | destinataire
      | (?:ansprechpartner(?:in)?|kontakt|z\.\s?hd\.|[àa]\sl'attention\sde)|name:?
      )\s?[:,-]?\s\(?""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words after which one name is enough."""
TWO = re.compile(
    rf"""(?<![\w-])(?:
      (?:deliver|delivered|delivery|delivering|ship|shipped|shipping|send|sent|sending|post|posted|mail|mailed|redirect
        |forward|forwarded|address|bring|brought|return|returned|transfer|transferred|refund|refunded|pay|paid|issue
        |issued|belongs?|registered|assign|assigned|label+ed|given|made|sold|charged?)\s(?:{THING}\s)?(?:back\s|out\s
        |over\s)?(?:to|for)
      | (?:is|was|are|be|it's|parcel|package|box|order|item|letter|gift|present|delivery|refund|meant|intended|pick\s?up
        |invoice|booking|reservation|envelope|something|packet|post|mail|replacement|account|one)\s(?:for|to)
      | to | with
      )\s?:?\s""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words after which a first and a last name are needed."""
AT_A_PLACE = re.compile(
    r"(?i),?\s(?:(?:at|in|on)\s(?:reception|the|flat|apartment|number|no\b|apt|unit|room|front|desk|house|#?[0-9])"
    r"|(?:flat|apt|apartment|unit|room|suite|house|please)\b|,?\s?\(|#?[0-9])"
)
GREETING = (
    r"(?:hi|hiya|hello|hey|hallo|bonjour|good\s(?:morning|afternoon|evening|day)|greetings|namaste|howdy|g'day|yes)"
)
SELF = re.compile(
    rf"(?<![\w'’-])(?P<greeted>{GREETING}\s?(?:there|team|all|guys|sir|madam|everyone)?[\s,.!-]{{0,3}})?"
    r"(?:i\sam|i['’]?m|this\sis|it['’]?s|it\sis|my\sname['’]?s|my\sname\sis|me\sis|here\sis|ich\sbin|je\ssuis)\s",
    re.IGNORECASE,
)
GOES_ON = re.compile(
    r"(?i),?\s(?:here|speaking|calling|again|writing|from|on\sbehalf|(?:and|,)?\s?(?:i|my|we|the\sbuyer)\b"
    r"|of\s(?:flat|apt)"
    r"|and\s(?:i|my)\b|order|(?:in|at)\s(?:flat|apartment|apt|unit|number|no|room|the|[0-9])|(?:from|in)\s)"
)
SMALL_PAIR = re.compile(r"[a-z][a-z'’-]{1,15}(?:\s[a-z][a-z'’-]{1,15})?(?=\s?(?:[,.!;]|\Z)|\s(?:and|from|here|i|my)\b)")
HERE = re.compile(
    rf"(?:\A|(?<=[.!?\n]\s)|(?<=\n)|{GREETING}[\s,!.-]{{1,3}})(?P<value>{LATIN})(?=\s(?:here|speaking|again)\b)",
    re.IGNORECASE,
)
GREETED = re.compile(
    rf"(?<![\w'’-])(?:(?i:dear|hi|hello|hey|hallo|lieber?|cher|ch[èe]re|thanks|thank\syou|bonjour))[\s,]{{1,2}}"
    rf"(?P<value>{LATIN})(?=\s?(?:[,!:.;\n-]|\Z))"
)
CLOSING = re.compile(
    r"(?<![\w'’-])(?i:(?:best|kind|kindest|warm|warmest|many|with|yours|your|all\sthe)?\s?(?:regards|rgds|thanks"
    r"|thank\syou"
    r"|thx|ta|cheers|best|wishes|sincerely|yours|truly|faithfully|respectfully|love(?=,)|cordially|cordialement"
    r"|grüße|gruß"
    rf"|grüssen?|hugs|xoxo|signed|mfg|lg|br|much\sappreciated))[\s,.!:-]{{1,4}}(?P<value>{LATIN})\s?[.!)]?\s?(?=\n"
    rf"|\Z|[x]{{1,3}}\Z"
    r"|,\s?[0-9A-Z])"
)
DASHED = re.compile(
    rf"(?:(?<=[.!?,]\s)[-–—~]{{1,2}}\s?|(?i:sent\sfrom\smy\s\w{{1,12}})\s?[-–—,.]\s?"
    rf"|\n[-–—~]{{0,2}}\s?)(?P<value>{LATIN})\s?\.?\s?\Z"
)
CORRECTED = re.compile(
    r"(?<![\w'’-])(?i:it['’]s|it\sis|i\sam|i['’]m|is|be|says?|not|as|to|reads?|instead\sof|but|into|for|was"
    r"|spel(?:led|t|ling))\s[\"'“‘]?"
)
OF_A_PERSON = re.compile(
    r"(?i)(?<!brand\s)(?<!product\s)(?<!model\s)(?<!company\s)(?<!game\s)(?<!file\s)(?<!user\s)(?<!domain\s)(?<!colou?r\s)".replace(
        "(?<!colou?r\\s)", r"(?<!color\s)(?<!colour\s)(?<!store\s)(?<!shop\s)(?<!street\s)(?<!city\s)(?<!dog's\s)"
    )
    + r"(?<![a-z])(?:sur)?names?(?![a-z])|on\sthe\s(?:label|parcel|package|box|envelope|card)"
)
BEFORE_PLACE = re.compile(
    rf"(?:\A|(?<=[\n:;.,]\s)|(?<=[\n:;])|(?<=\bto\s)|(?<=\bfor\s)|(?<=\bat\s))(?P<value>{LATIN})"
    r"(?=\s?[,\n]\s?[0-9]{1,5}[A-Za-z]?(?:[/-][0-9]{1,4})?,?\s[A-Z][a-z]{2,}\s?[A-Z,]"
    r"|(?:\s?,\s?|\s|\s?\n)(?:at\s)?(?:(?i:flat|apt|apartment|unit|suite|house\sno|h\.no|plot|p\.?\s?o\.?\sbox)\b|"
    r"(?i:tel|ph|phone|mob|mobile|cell)\b|"
    r"\+[0-9]{2}|\(?0[0-9]{2,4}\)?[ -]|\([0-9]{3}\)|[0-9]{3}[-. ][0-9]{3}[-. ]))"
)
MONSIEUR = re.compile(rf"(?<![\w.])(?P<value>M\.\s{UPPER}[^\W\d_]{{2,20}})")
ALSO_WORDS = frozenset(
    [
        "will",
        "may",
        "april",
        "june",
        "summer",
        "hope",
        "joy",
        "grace",
        "rose",
        "love",
        "faith",
        "autumn",
        "penny",
        "melody",
        "angel",
        "august",
        "angel",
        "king",
        "young",
        "brown",
        "white",
        "green",
        "black",
        "long",
        "jackson",
        "harry",
        "georgia",
        "austin",
        "virginia",
        "jordan",
        "chase",
        "robin",
        "dean",
        "gene",
        "earl",
        "christian",
        "paris",
    ]
)
"""Given names that are words as well: with a family name behind them they are names."""

HAN = r"[\u3400-\u9fff]"
NOT_GIVEN = r"[的了在是电手地住身收和与我您你他她它请要会说不没就把被给吗呢吧啊很叫这那到打寄个但还联微号货]"
GIVEN = rf"(?:(?!{NOT_GIVEN}){HAN})"
MINORITY = rf"{HAN}{{2,8}}(?:·{HAN}{{1,8}}){{1,3}}"
CALLED = re.compile(
    rf"{MINORITY}|(?:{COMPOUND}){GIVEN}{{1,2}}|[{SURNAMES}]{GIVEN}{{2}}|[{SURNAMES}]{GIVEN}|[小阿老大][{SURNAMES}]"
)
LAST_OF_NAME = (
    "涵轩萱怡欣婷静强伟芳娜敏杰军磊涛超勇艳丽霞鹏飞辉斌波刚峰宇浩俊彬凯瑞琳雪梅兰英华玲红燕萍莉洁颖倩雯琪瑶佳悦妍菲"
    "媛晴彤蕾薇莹茹娟秀珍凤淑琴云莲翠娥龙虎兵健建国庆栋梁林松柏坤乾旭昊晨阳亮明辰泽睿博鑫森炎淼毅恒康宁祥福贵财发达"
    "兴旺盛昌荣富仁义礼智信德才贤良忠孝宏伟洪涛海洋江河川源泉清雨霖雷震霆豪雄杰俊彦昂扬帆航舟渝蓉晓霄萌蓓蕊芸菁雁凌"
    "冰岚钰璐珊瑾瑜瑛琦珂玥玮琛璇然烨煜熙燃灿炜焕铭锋钧鸿鹤鹰麟骏骥驰腾跃翔翼羽翎墨笔砚书画诗词歌赋韵律弦"
)
WELL_KNOWN_WORD = (
    r"(?:(?:签收|代收|取件|收货|下单|付款|收|取)的(?:人)?是|"
    r"同事|室友|邻居|老公|老婆|丈夫|妻子|妈妈?|爸爸?|儿子|女儿|弟弟?|哥哥?|姐姐?|妹妹?|舅舅|叔叔|婆婆|朋友|闺蜜|表[哥姐弟妹]"
    r"|快递员|快递小哥|配送员|派送员|骑手|外卖员|司机|店员|销售|导购|安装工|业务员|店长|房东|住户|业主|房主|租户|前台|保安|门卫"
    r"|管家|助理|秘书|户主|经手人|代收人?|签收人?|经办人?|负责人|对接人|收款人|抬头(?:是|写|为)?(?:个人)?|个人|实名(?:是|为)?"
    r"|本人|我是|俺是|这里是|这边是|我叫|名叫|叫做|人叫|人是|人写的?是?|联系|联络|通知|转告|告诉|找|交给|转交给?|转给|寄给|送给|退给|发给"
    r"|打给|付给|汇给|转账给|打款给|退款给|退回给|递给|拿给|带给|留给|写给|赠予|赠送|收件|收货|寄到|改成|改为|换成|写成|写的是"
    r"|投诉|表扬|感谢|工程师|师傅|医生|老师|发票(?:请)?开(?:给)?|客户|顾客|买家|会员|乘客|用户|学生|患者|机主|户名|开户人|持卡人|署名|落款|名义是)"
)
INTRODUCED = re.compile(rf"{WELL_KNOWN_WORD}[\s:：=「“\"(（]{{0,2}}(?:姓名|名字|叫|是|为)?[\s:：]{{0,2}}")
NEXT = re.compile(
    r"[\s,，。.;；:!?、)(\"”'】\]/|~…—+-]|\Z|[来收签拿取接代的去说态买就下在不已也是会这那先女今明昨刚亲帮给把让要想有到没"
    r"还都打电手住和与跟或本同夫老师人0-9(写收寄开阿叔您你我他她]"
)
AFTERWARDS = re.compile(
    rf"(?:[给用以让请叫喊派替帮被由写])(?P<value>{MINORITY}|(?:{COMPOUND}){GIVEN}{{1,2}}|[{SURNAMES}]{GIVEN}{{1,2}}?"
    rf"|[小老][{SURNAMES}])"
    r"(?=(?:买|收|签|的名|名义|名字|代[收签领取]|来?[接签收取拿]|过来|来|打电话|回电|回个电话|下单|下的|送|寄|用的|定的|订的|办))"
)
OF_HOUSE = re.compile(
    rf"(?:我是|我们是|这是)[^,，。\s]{{1,12}}的(?P<value>(?:{COMPOUND}){GIVEN}{{1,2}}|[{SURNAMES}]{GIVEN}{{1,2}})(?=[,，。!\s]|\Z)"
)
AT_END = re.compile(
    rf"(?:(?<=[,，。;；:：、\s)(0-9室号楼台])|\A)(?P<value>{UPPER}[a-z]{{1,15}}(?:\s{UPPER}[a-z]{{1,15}})?)\s?\(?(?:亲?收|签收"
    rf"|代收)(?=[,，。;\s)]|\Z)"
)
FIRST_RECEIVES = re.compile(
    rf"(?:(?:\A|(?<=[,，。;；\s]))收[:：\s]?)(?P<value>(?:{COMPOUND}){GIVEN}{{1,2}}"
    rf"|[{SURNAMES}]{GIVEN}{{1,2}})(?=[(,，。\s]|\Z)"
)
NAME_IS = re.compile(r"(?:不是|应该是|而是|是|写成了?|打成了?|改成|改为|错成)")
LATIN_AFTER = re.compile(
    rf"(?:(?:{WELL_KNOWN_WORD}|客服)\s?[:：]?\s?|[给是找叫])(?P<value>{UPPER}[a-z]{{1,15}}"
    rf"(?:[ ·.]{{1,2}}{UPPER}[a-z]{{1,15}}){{0,3}})"
    r"(?![A-Za-z0-9-]|\s?[0-9]|的?(?:专[柜卖]|旗舰|官方|品牌|手机|系统|公司|版|粉|家的))"
)


SMALL = (
    "aren't|can't|couldn't|didn't|doesn't|don't|hasn't|haven't|he's|i'd|i'll|i'm|i've|isn't|isnt|it's|ma'am"
    "|shouldn't|they're|they've|wasn't|we're|we've|we'll|won't|wouldn't|you're|you've|you'll|that's|there's"
    "|what's|let's|thanks|regards|cheers|has|its|us|orders|items|goods|neighbour|neighbours|okay|ok|plz|pls|thx"
    "|omg|lol|imo|btw|asap|faq|id|ids|uk|usa|us|eu|etc|hr|hrs|min|mins|ltd|inc|llc|gmbh|plc|co|vs|ps|pm|am|mr|mrs"
    "|cheaper|cheapest|bigger|biggest|smaller|smallest|newer|newest|older|oldest|larger|largest|longer|longest"
    "|shorter|shortest|faster|fastest|slower|slowest|better|best|worse|worst|earlier|earliest|later|latest|kinder"
    "|kindest|warmest|quicker|quickest|stronger|strongest|wider|widest|deeper|closest|nearest|finest|greatest"
    "|easiest|hardest|happier|happiest|fewer|highest|lowest|cookies|sunglasses|congratulations|headphones"
    "|earphones|earbuds|smartphone|laptop|online|website|email|emails|app|apps|update|updates|login|internet|wifi"
    "|wi-fi|bluetooth|usb|hdmi|url|pdf|dvd|cd|tv|lcd|led|gps|sms|pc|atm|otp|backend|software|hardware|blog"
    "|podcast|download|downloads|upload|mom|mum|mama|folks|vegan|lyrics|premises|jan|feb|mar|apr|jun|jul|aug|sep"
    "|sept|oct|nov|dec|mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun|diwali|ramadan|xmas"
)
BRANDS = (
    "adidas|airpods|aldi|alexa|alibaba|aliexpress|amazon|amd|android|apple|aramex|argos|asda|asus|audi|aventage"
    "|barbie|beatles|belkin|bmw|bose|braun|cadbury|canon|chanel|chromecast|costco|cuisinart|dell|delhivery|denon"
    "|dewalt|dhl|dior|disney|disneyland|dolby|dpd|dyson|ebay|epson|etsy|evri|facebook|fedex|fitbit|flipkart"
    "|fortnite|fujifilm|garmin|geforce|gls|google|gopro|gucci|hermes|hobbit|hogwarts|honda|honeywell|hp|huawei"
    "|huggies|hyundai|ikea|instagram|intel|ipad|iphone|jbl|kenwood|keurig|kia|kitchenaid|klarna|lakers|lego"
    "|lenovo|lg|lidl|linksys|linux|logitech|macbook|macos|makita|marantz|mastercard|mcdonalds|microsoft|minecraft"
    "|myntra|nespresso|netflix|netgear|nike|nikon|nintendo|nissan|nivea|nvidia|onkyo|pampers|panasonic|patagonia"
    "|paypal|peloton|pepsi|philips|pioneer|pixel|playstation|pokemon|prada|reebok|roblox|roku|roomba|ryzen"
    "|sainsburys|samsung|sandisk|seagate|sennheiser|shein|shopify|siemens|snapchat|sony|spiderman|spotify"
    "|starbucks|tefal|temu|tesco|tesla|tiktok|toshiba|toyota|ups|usps|venmo|visa|volkswagen|vodafone|walmart"
    "|wechat|weixin|whatsapp|windows|xbox|xerox|xiaomi|yamaha|yeti|youtube|zara|zelda|zelle"
)
PLACES = (
    "aberdeen|africa|america|amsterdam|asia|athens|auckland|australia|austria|bangalore|bangkok|bangladesh"
    "|barcelona|beijing|belfast|belgium|bengaluru|berlin|birmingham|boston|brazil|brisbane|bristol|britain"
    "|brooklyn|brussels|budapest|bulgaria|california|cambridge|canada|cardiff|chennai|chicago|china|chelsea"
    "|copenhagen|croatia|dallas|delhi|denmark|denver|detroit|dubai|dublin|edinburgh|egypt|england|europe|finland"
    "|florida|france|frankfurt|galway|germany|ghana|glasgow|greece|guangzhou|hamburg|hawaii|helsinki|hobart|hong"
    "|houston|hungary|hyderabad|iceland|india|indonesia|ireland|israel|istanbul|italy|japan|kenya|kingston"
    "|kolkata|kong|korea|leeds|leicester|lisbon|liverpool|london|los|madrid|malaysia|manchester|manila|melbourne"
    "|mexico|miami|milan|montreal|moscow|mumbai|munich|naples|netherlands|nigeria|norway|nottingham|oregon|osaka"
    "|oslo|oxford|pakistan|paris|perth|philadelphia|philippines|poland|portland|portugal|prague|pune|queens|rome"
    "|romania|russia|scotland|seattle|seoul|shanghai|sheffield|shenzhen|singapore|spain|stockholm|sweden"
    "|switzerland|sydney|taipei|taiwan|taiwanese|texas|thailand|tokyo|toronto|turkey|ukraine|vancouver|vegas"
    "|vienna|vietnam|wales|warsaw|york|zurich"
)
"""What `words/en.txt` lacks, for it is an old dictionary's: written by hand."""


@cache
def _words(language: str) -> frozenset[str]:
    words = (files(__package__) / "words" / f"{language}.txt").read_text(encoding="utf-8").split()
    return frozenset(words) | frozenset("|".join((SMALL, BRANDS, PLACES)).split("|") if language == "en" else ())


def is_word(word: str) -> bool:
    """Whether this is an ordinary word, a brand or a place, in small letters."""
    return word in _words("en") or _is_form_of_a_word(word)


@lru_cache(maxsize=65_536)
def _is_form_of_a_word(word: str) -> bool:
    """Whether this is a plural, a past or another regular form of a word of the list."""
    common = _words("en")
    for ending in ("s", "es", "d", "ed", "ing", "ly"):
        base = word.removesuffix(ending)
        if base == word or len(base) < 3 or word.endswith("ss"):
            continue
        if ending == "es" and not base.endswith(("s", "x", "z", "ch", "sh", "o", "i")):
            continue
        bases = [base] if ending != "d" or base.endswith("e") else []
        bases += [f"{base}e"] if ending == "ing" else []
        bases += [base[:-1]] if ending in ("ed", "ing") and base[-1] == base[-2] else []
        bases += [f"{base[:-1]}y"] if ending in ("es", "ed") and base.endswith("i") else []
        if any(one in common for one in bases):
            return True
    return False


def find_introduced(reading: PlainReading) -> Iterator[Find]:
    """Names after ordinary words."""
    text = reading.text
    for start, end in _latin(text) if re.search("[A-Za-z]{2}", text) else ():
        yield Kind.NAME, start, end
    for start, end in _chinese(text) if not text.isascii() else ():
        yield Kind.NAME, start, end


THING_OR_PERSON = re.compile(r"(?i)(?:receiver|client|sender|card\s?holder|carrier|reader|tracker|contact|guest)\b")
BEFORE_A_PERSON = re.compile(
    r"(?i)(?:\A|[.,;:!?(\[\n]\s?|(?<![a-z])(?:the|my|our|his|her|their|your|new|correct|right|wrong|parcel|package|order|label"
    r"|change|as|is|for|of|and|to|real|actual|intended|final|name|with|update|here))\s?\Z"
)


def is_of_a_thing(text: str, start: int) -> bool:
    """Whether the word that begins here is said of a thing that other words describe: `Sony Receiver - STRDG520`."""
    return (
        THING_OR_PERSON.match(text, start) is not None
        and BEFORE_A_PERSON.search(text, max(0, start - 24), start) is None
    )


A_NAME = re.compile(LATIN)
CAPITAL = re.compile(rf"{UPPER}[^\W\d_]*(?:['’][^\W\d_]+)?")


def _latin(text: str) -> Iterator[tuple[int, int]]:
    # Nothing but common words is written large in most texts: a look that costs far less than the patterns.
    capital = any(
        not is_word(word.lower().replace("’", "'").removesuffix("'s"))
        for word in CAPITAL.findall(text)
        if len(word) > 1
    )
    for pattern, least in ((ONE, 1), (TWO, 2)) if capital else ():
        for match in pattern.finditer(text):
            name = A_NAME.match(text, match.end(), match.end() + 90)
            end = None if name is None else _end_of_name(text, name)
            if name is None or end is None or is_of_a_thing(text, match.start()):
                continue
            words = text[name.start() : end].split()
            if len(words) < least and not (
                AT_A_PLACE.match(text, end) and match.group().strip(": ")[-3:] in ("for", " to")
            ):
                continue
            if least == 2 and match.group().strip(": ").lower() in ("to", "with") and not _ends(text, end):
                continue
            yield name.start(), end
    for match in SELF.finditer(text):
        name = A_NAME.match(text, match.end(), match.end() + 90)
        end = None if name is None else _end_of_name(text, name)
        if name is not None and end is not None:
            if match["greeted"] or GOES_ON.match(text, end) or (" " in text[name.start() : end] and _ends(text, end)):
                yield name.start(), end
        elif (
            match["greeted"]
            and (small := SMALL_PAIR.match(text, match.end())) is not None
            and not any(is_word(word) or len(word) < 3 for word in small.group().split())
        ):
            yield small.span()
    if not capital:
        return
    for pattern in (HERE, GREETED, CLOSING, DASHED, BEFORE_PLACE):
        for match in pattern.finditer(text):
            name = A_NAME.match(text, match.start("value"), match.end("value"))
            end = None if name is None else _end_of_name(text, name)
            if name is None or end is None or (pattern is not BEFORE_PLACE and end < match.end("value") - 1):
                continue
            if pattern in (BEFORE_PLACE, DASHED) and " " not in text[name.start() : end] and "\n" not in match.group():
                continue
            yield name.start(), end
    for match in MONSIEUR.finditer(text):
        if match["value"][3:].lower() not in _words("en"):
            yield match.span("value")
    if (about := OF_A_PERSON.search(text)) is not None:
        for match in CORRECTED.finditer(text, max(0, about.start() - 60), about.end() + 120):
            name = A_NAME.match(text, match.end(), match.end() + 90)
            end = None if name is None else _end_of_name(text, name)
            if name is not None and end is not None:
                yield name.start(), end


def _ends(text: str, end: int) -> bool:
    """Whether a clause ends here."""
    return (
        re.compile(r"\s?(?:[,.!?;:)\n]|\Z)|\s(?:and|but|please|who|at|on|in|via|is|has|was)\b").match(text, end)
        is not None
    )


def _end_of_name(text: str, name: re.Match[str]) -> int | None:
    """Where a name ends whose form is right, or `None` where its words are words of the language."""
    common = _words("en")
    end, real = None, 0
    for number, word in enumerate(re.finditer(r"\S+", name.group())):
        bare = word.group().strip(".").replace("’", "'").lower()
        stem = bare.removesuffix("'s")
        if len(stem) == 1 or stem in (
            "van",
            "von",
            "de",
            "der",
            "den",
            "da",
            "di",
            "del",
            "la",
            "le",
            "bin",
            "al",
            "el",
            "dos",
        ):
            continue
        if stem in ("mr", "mrs", "ms", "miss", "dr", "prof", "mx", "sir"):
            continue
        if stem in common or _is_common_part(stem, first=number == 0):
            if number == 0 and stem in ALSO_WORDS:
                end = word.end()
                continue
            if real and (stem in ALSO_WORDS or _is_family_name(stem)):
                end = word.end()
                continue
            break
        real += 1
        end = word.end() - (2 if bare != stem else 0)
    if end is None or not real:
        return None
    found = name.group()[:end]
    if " " not in found and (
        any(map(str.isdigit, found)) or (found.isupper() and not (len(found) > 4 and re.search("[AEIOUY]", found)))
    ):
        return None
    after = text[name.start() + end : name.start() + end + 2]
    if after[:1].isdigit() or after[:1] == "_" or re.search("[A-Z]{2}s|[a-z][A-Z]{2}", found):
        return None
    return name.start() + end


def _is_common_part(word: str, *, first: bool) -> bool:
    """Whether this is a compound or an ending that only ordinary words have, or a form of a common verb."""
    common = _words("en")
    if first and _is_form_of_a_word(word):
        return True
    return word.endswith(("tion", "ment", "ness", "able", "ible", "ful", "less", "ity", "ally", "ware", "tech")) or (
        "-" in word and all(part in common for part in word.split("-"))
    )


def _is_family_name(word: str) -> bool:
    return word in FAMILY


FAMILY = frozenset(
    [
        "bell",
        "bird",
        "bishop",
        "black",
        "bridges",
        "bright",
        "brook",
        "brooks",
        "brown",
        "bull",
        "burns",
        "bush",
        "butler",
        "carpenter",
        "carter",
        "case",
        "castle",
        "chambers",
        "church",
        "clay",
        "cole",
        "cook",
        "cooper",
        "cox",
        "cross",
        "day",
        "dean",
        "drake",
        "duke",
        "east",
        "farmer",
        "field",
        "fields",
        "fisher",
        "flower",
        "flowers",
        "ford",
        "forest",
        "foster",
        "fox",
        "france",
        "freeman",
        "frost",
        "gardener",
        "gates",
        "gay",
        "glass",
        "gold",
        "golden",
        "good",
        "grant",
        "graves",
        "gray",
        "green",
        "grey",
        "grove",
        "hall",
        "ham",
        "hand",
        "hardy",
        "hart",
        "hawk",
        "hay",
        "head",
        "hill",
        "holiday",
        "holland",
        "hood",
        "hook",
        "house",
        "hunt",
        "hunter",
        "hurt",
        "jewel",
        "judge",
        "key",
        "keys",
        "kings",
        "knight",
        "lake",
        "lamb",
        "lane",
        "law",
        "little",
        "lord",
        "love",
        "major",
        "marks",
        "marsh",
        "marshall",
        "mason",
        "masters",
        "may",
        "mean",
        "mills",
        "moon",
        "moore",
        "moss",
        "north",
        "page",
        "park",
        "parks",
        "parker",
        "parsons",
        "peace",
        "peck",
        "penny",
        "piper",
        "pitt",
        "pool",
        "pope",
        "porter",
        "potter",
        "potts",
        "pound",
        "power",
        "powers",
        "price",
        "prince",
        "quick",
        "reed",
        "reeves",
        "rice",
        "rich",
        "rivers",
        "rock",
        "rose",
        "rush",
        "savage",
        "shepherd",
        "short",
        "silver",
        "singer",
        "small",
        "smart",
        "south",
        "sparks",
        "speed",
        "spring",
        "steel",
        "stone",
        "stern",
        "storm",
        "street",
        "strong",
        "summer",
        "summers",
        "swan",
        "sweet",
        "swift",
        "tanner",
        "taylor",
        "temple",
        "towers",
        "tucker",
        "turner",
        "underwood",
        "valentine",
        "vines",
        "walker",
        "wall",
        "walls",
        "ward",
        "waters",
        "weaver",
        "webb",
        "weeks",
        "wells",
        "west",
        "wheeler",
        "white",
        "wild",
        "wilder",
        "winter",
        "winters",
        "wise",
        "wolf",
        "wood",
        "woods",
        "wright",
        "young",
        "sharp",
        "steward",
        "steel",
        "lee",
        "bond",
        "nash",
        "york",
        "banks",
        "fry",
        "rowe",
        "bacon",
        "barber",
        "baker",
        "becker",
        "berry",
        "blank",
        "block",
        "bowl",
        "brand",
        "burn",
        "busch",
        "carrier",
        "chance",
        "chase",
        "cherry",
        "christian",
        "coffey",
    ]
)


def _chinese(text: str) -> Iterator[tuple[int, int]]:
    for match in INTRODUCED.finditer(text):
        end = _end_of_chinese_name(text, match.end())
        if end is not None:
            yield match.end(), end
    patterns: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
        (AFTERWARDS, _is_chinese_name),
        (OF_HOUSE, _is_chinese_name),
        (FIRST_RECEIVES, _is_chinese_name),
        (AT_END, _no_word),
        (LATIN_AFTER, _no_word),
    )
    for pattern, right in patterns:
        for match in pattern.finditer(text):
            if right(match["value"]) and HALF_WORD.match(text, max(0, match.start("value") - 1)) is None:
                yield match.span("value")
    if "名字" in text or "姓名" in text or "姓" in text or "收件人" in text:
        for match in NAME_IS.finditer(text):
            end = _end_of_chinese_name(text, match.end())
            if end is not None:
                yield match.end(), end


def _no_word(name: str) -> bool:
    return not any(is_word(word.lower()) for word in re.findall("[A-Za-z]+", name))


HALF_WORD = re.compile(
    "时尚|和尚|高尚|[羊除脱唇睫皮汗绒]毛|儿童|宿管|[语英中作论散]文|学习|练习|[非经正日平通]常|[简订菜名清下买]单|[温文]和|高[高级端中]|[安齐健]全"
    "|[大小]米|[包钱书]包|[计规策]划|老[师板]|[马道公铁]路|[原本]来|[舒征]服|[下上]游|[地土]方|[应必]须"
)
"""A word whose second half is a surname as well."""


def _end_of_chinese_name(text: str, start: int) -> int | None:
    match = CALLED.match(text, start, start + 40)
    if match is None or HALF_WORD.match(text, max(0, start - 1)) is not None:
        return None
    longest = match.group()
    for value in (longest, longest[:-1]):
        if (
            len(value) >= 2
            and (NEXT.match(text, start + len(value)) or (len(value) == 3 and value[2] in LAST_OF_NAME))
            and _is_chinese_name(value)
        ):
            return start + len(value)
    return None


def _is_chinese_name(value: str) -> bool:
    words = _words("zh")
    if "·" in value or re.match(COMPOUND, value):
        return len(value) >= 3
    if value[0] in "小阿老大" and len(value) == 2 and value[0] not in "阿":
        return value not in words and value not in (
            "老师",
            "小米",
            "老板",
            "小时",
            "大家",
            "老万",
            "老家",
            "大方",
            "小单",
        )
    if value[:2] in words and not (
        len(value) == 3 and value[2] in LAST_OF_NAME and value[1] in "子小文明晓雪大家志国海"
    ):
        return False
    return value not in words
