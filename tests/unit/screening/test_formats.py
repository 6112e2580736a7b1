"""Personal data in the many ways people write it, and numbers of other kinds beside it: vectors of our own."""

import random

import pytest
from stdnum import iban, luhn

from screening import Screener

CARD_LENGTHS = {"2223": 16, "2720": 16, "4": 16, "4929": 19, "37": 15, "36": 14, "6011": 16, "645": 16, "3530": 16,
                "5018": 16, "6304": 18, "6759": 19, "6212": 19, "6250": 16, "2202": 16, "6522": 16}  # fmt: skip
"""Issuer prefixes (Mastercard's second series, Maestro, UnionPay, Mir and the rest) with a length that they use."""


DASHES = ("\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212")
"""Hyphen, unbroken hyphen, figure dash, en dash, em dash, minus: what programs make of a typed one."""


def types(screener: Screener, text: str) -> list[str]:
    return [found.type for found in screener.data_findings(text)]


def card(prefix: str, length: int) -> str:
    draw = random.Random(prefix)
    body = prefix + "".join(draw.choice("0123456789") for _ in range(length - len(prefix) - 1))
    return body + str(luhn.calc_check_digit(body))


def written(number: str, gap: str) -> str:
    if len(number) in {14, 15}:
        return gap.join((number[:4], number[4:10], number[10:]))
    return gap.join(number[start : start + 4] for start in range(0, len(number), 4))


@pytest.mark.parametrize("prefix", sorted(CARD_LENGTHS))
def test_a_card_is_found_however_its_digits_are_parted(screener: Screener, prefix: str) -> None:
    number = card(prefix, CARD_LENGTHS[prefix])
    for gap in ("", " ", "-", ".", "\u00a0", *DASHES):
        assert types(screener, f"pay with {written(number, gap)} today") == ["credit_card"], repr(gap)
    assert types(screener, f"{number} 05/28 123") == ["credit_card"]
    assert types(screener, f"card={number};exp=0528") == ["credit_card"]


def test_a_card_with_one_wrong_digit_is_none(screener: Screener) -> None:
    for prefix, length in CARD_LENGTHS.items():
        number = card(prefix, length)
        wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
        assert "credit_card" not in types(screener, f"order {wrong}"), wrong


COUNTRIES = {"AD": "00012030200359100100", "AE": "0331234567890123456", "AT": "1904300234573201", "BE": "539007547034",
             "BG": "BNBG96611020345678", "BR": "00360305000010009795493C1", "CH": "00762011623852957",
             "CY": "002001280000001200527600", "CZ": "08000000192000145399", "DE": "370400440532013000",
             "DK": "00400440116243", "EE": "2200221020145685", "ES": "21000418450200051332", "FI": "12345600000785",
             "FR": "20041010050500013M02606", "GB": "WEST12345698765432", "GR": "01101250000000012300695",
             "HR": "10010051863000160", "HU": "117730161111101800000000", "IE": "AIBK93115212345678",
             "IL": "0108000000099999999", "IS": "0159260076545510730339", "IT": "X0542811101000000123456",
             "KW": "CBKU0000000000001234560101", "LI": "088100002324013AA", "LT": "1000011101001000",
             "LU": "0019400644750000", "LV": "BANK0000435195001", "MT": "MALT011000012345MTLCAST001S",
             "NL": "ABNA0417164300", "NO": "86011117947", "PK": "SCBL0000001123456702",
             "PL": "109010140000071219812874",
             "PT": "000201231234567890154", "QA": "DOHB00001234567890ABCDEFG", "RO": "AAAA1B31007593840000",
             "SA": "80000000608010167519", "SE": "50000000058398257466", "SI": "263300012039086",
             "SK": "12000000198742637541", "TR": "0006100519786457841326"}  # fmt: skip


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_a_bank_account_of_any_country_is_found_in_any_spelling(screener: Screener, country: str) -> None:
    basic = COUNTRIES[country]
    number = country + iban.calc_check_digits(f"{country}00{basic}") + basic
    for gap in ("", " ", "-", ".", "\u2013"):
        spelled = gap.join(number[start : start + 4] for start in range(0, len(number), 4))
        for text in (f"my account is {spelled}, thanks", f"IBAN:{spelled.lower()}"):
            assert types(screener, text) == ["iban"], text
    assert "iban" not in types(screener, number[:-1] + ("1" if number[-1] != "1" else "2"))


@pytest.mark.parametrize("dash", DASHES)
def test_any_dash_parts_the_digits_of_a_number(screener: Screener, dash: str) -> None:
    for text, kind in (("536-90-4399", "ssn"), ("+1-202-456-1414", "phone"), ("call 030-901-8200", "phone")):
        assert types(screener, text.replace("-", dash)) == [kind]


def test_a_number_beside_another_one_is_found_all_the_same(screener: Screener) -> None:
    """What a pattern takes in too much, or takes for the beginning, hides nothing."""
    account = "ES91 2100 0418 4502 0005 1332"
    assert types(screener, f"{account} GB82 WEST 1234 5698 7654 32") == ["iban", "iban"]
    assert types(screener, f"ref RF18 {account}") == ["iban"]
    number = written(card("4", 16), " ")
    assert types(screener, f"in 2024 {number}") == ["credit_card"]
    assert types(screener, f"1234 5678 {number} 123 {number}") == ["credit_card", "credit_card"]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("_4111 1111 1111 1111_", "4111 1111 1111 1111", "credit_card"),
        ("scan_4111111111111111_2.pdf", "4111111111111111", "credit_card"),
        ("to_DE89370400440532013000_eur", "DE89370400440532013000", "iban"),
        ("_536-90-4399_", "536-90-4399", "ssn"),
        ("ssn_536904399", "536904399", "ssn"),
        ("_+33612345678_", "+33612345678", "phone"),
        ("fax_0049 30 901820", "0049 30 901820", "phone"),
        ("backup_10.1.2.3_old", "10.1.2.3", "ipv4"),
    ],
)
def test_an_underscore_is_an_edge_and_no_part_of_a_number(screener: Screener, text: str, value: str, kind: str) -> None:
    start = text.index(value)
    assert [(f.type, f.start, f.end) for f in screener.data_findings(text)] == [(kind, start, start + len(value))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'ann@example.com',", "ann@example.com"),
        ("thanks...ann@example.com", "ann@example.com"),
        ("- -ann@example.com", "ann@example.com"),
        ("邮箱是ann@example.com、谢谢", "ann@example.com"),
        ("メールはann@example.comです", "ann@example.com"),
        ("이메일 ann@example.com입니다", "ann@example.com"),
        ("我的邮箱123456@qq.com", "123456@qq.com"),
        ("GET /find?email=ann%40example.com&page=2", "ann%40example.com"),
        ("用户@例子.公司", "用户@例子.公司"),
        ("δοκιμή@παράδειγμα.δοκιμή", "δοκιμή@παράδειγμα.δοκιμή"),
    ],
)
def test_an_address_begins_and_ends_where_its_letters_do(screener: Screener, text: str, value: str) -> None:
    start = text.index(value)
    assert [(f.type, f.start, f.end) for f in screener.data_findings(text)] == [("email", start, start + len(value))]


MAILBOXES = """first.last+tag@sub.example.co.uk|"ann lee"@example.com|o'neil@example.ie|x@y.photography
ann@xn--bcher-kva.example|mailto:ann@example.com|<ann@example.museum>|用户@例子.公司|почта@пример.рф
ann@example.com:hunter2|a.b-c_d%e@example-host.io|(ann@example.com)|ANN@EXAMPLE.ORG|ann=home@example.com
1234567@example.com"""
ADDRESSES = """192.168.1.254:8080|ip=10.0.0.1;|[2001:db8::1]:443|fe80::1%eth0|fe80::a%eth0.100|fe80::1%25en0
::ffff:192.0.2.128|64:ff9b::192.0.2.33|2001:db8::/32|2001:DB8:0:0:8:800:200C:417A|::1|host 172.16.254.1 is down
IPv6:2001:db8::7|1:2:3:4:5:6:7::|::2:3:4:5:6:7:8|http://192.0.2.1/index|inet6 fe80::1ff:fe23:4567:890a/64
(198.51.100.23)|1::|10.0.0.1/24
connect to 10.0.0.1: refused|10.0.0.1:|10.0.0.1:99999|http://10.0.0.1/99|2001:db8::1: no route|10.0.0.1/2024/
the update server 10.0.0.1 is down|build host 10.1.1.7 failed|firmware server: 192.168.0.9|php 8 on 10.1.1.7"""
SOCIAL = """SSN: 536904399|ssn=536904399|social security no. 536-90-4399|SSN 536-904399|536 90 4399|536.90.4399
ss# 536-90-4399|soc sec 536904399|SSN 536\u201390\u20134399|my SSN is 536-90-4399.
call 1 536-90-4399|phone +1 536-90-4399|tel 536-90-4399
SS# 536904399|user_ssn=536904399|"ssn_number": "536904399"|SocialSecurityNumber=536904399|S.S.N. 536904399"""
PHONES = """+49 (0)30 901820-55|+1-202-555-0147 ext. 42|+1 202 555 0147 x42|0044 20 7946 0958|011 44 20 7946 0958
+81-3-1234-5678|+55 (11) 91234-5678|call (020) 7946 0018|Tel.: 030/901820|tel:+1-201-555-0123|+1.202.555.0147
1 (202) 555-0147|202.555.0147|(202)555-0147|+7 (495) 123-45-67|+41 (0) 44 668 18 00|Handy: 0176/1234567
Tél : 01.23.45.67.89|teléfono 912 345 678|+1 (202) 555-0147 extension 9|+1 202\u2013555\u20130147|+44(0)2079460958
reach me on 07700 900123|电话\uff1a010-12345678|手机 13800138000|携帯 090-1234-5678|هاتف 0501234567|फोन 9876543210
(+49) 30 901820|+49/30/901820|Mob. 98765 43210|ph 9876543210
тел. 8 (495) 123-45-67|電話 03(1234)5678|전화 010-1234-5678|τηλέφωνο 210 123 4567|טלפון 03-123-4567|โทร 081-234-5678
puhelin 09 123 4567|cellulare 333 1234567|celular: 11 91234-5678|telefoon 06-12345678|điện thoại 024 1234 5678
home_phone=02079460958|"phoneNumber": "07700900123"|my number is 13812345678|ring +44 20 7946 0958 12 times
fax 0 (532) 123 45 67|Tel. 098765 43210|0044 7700 900123|call 0049 176 12345678|(202) 555-0147 #42
tel (06)12/345-6789|phone (21) 9 8765 4321|call 33 93 31"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(+49 (0)30 901820-55)", "+49 (0)30 901820-55"),
        ("[1 (212) 456-7890]", "1 (212) 456-7890"),
        ("тел. 8 (495) 123-45-67.", "8 (495) 123-45-67"),
        ("ring +44 20 7946 0958 12 times", "+44 20 7946 0958"),
        ("+1 202 555 0147 #42 please", "+1 202 555 0147 #42"),
    ],
)
def test_a_telephone_number_begins_and_ends_where_it_does(screener: Screener, text: str, value: str) -> None:
    start = text.index(value)
    assert [(f.type, f.start, f.end) for f in screener.data_findings(text)] == [("phone", start, start + len(value))]


NUMBERS = """EGN 7523169263|RUT 12.531.909-2|OIB 33392005961|PPS 6433435F|teudat zehut 3933742-3|kennitala 450401-3150
AMKA 01013099997|CNIC 34201-0891231-8|NRIC 770305-02-1234|cédula 00113918205|CUIT 20-05536168-2|EMŠO 0101006500006
isikukood 36805280109|asmens kodas 33309240064|RNTRC 1759013776|ИНН 500100732259|NIK 3171011708450001
my RFC GODE561231GR8|IRD 49098576|UTR 1955839661|cédula 171430710-3|CPF 39053344705|rodné číslo 7103192745
BSN 1112.22.333|個人番号 1234 5678 9018|numéro fiscal 07 01 987 765 493|personnummer 198803200016
rijksregisternummer 85073003328"""
BIRTHS = """born on April 12, 1985|born 12 April 1985|DOB: 12-Apr-1985|geboren am 12. April 1985|né le 12 avril 1985
nacida el 12 de abril de 1985|生年月日 1985年4月12日|date_of_birth=1985-04-12|"dob": "19850412"|D.O.B. 12/04/1985
geboortedatum 12-04-1985|data urodzenia 12.04.1985|født 12.04.1985|تاريخ الميلاد 12/04/1985"""
PAPERS = """passport passport_no=A1234567|passport "passport_number": "A1234567"|passport паспорт 4509 123456
drivers_license drivers_license=A1234567|drivers_license driver\u2019s license D1234567
drivers_license Führerscheinnummer B072RRE2I55|bank_account account_number=12345678
routing_number routing_number=121000358"""


SECRETS = """connection_string redis://:s3cretpw9@cache:6379/0|connection_string smtp://ann@example.com:s3cretpw9@mail.test
password password is tr0ub4:dor=|password pwd: a=b:c3d!e
password Server=db;User Id=sa;Password=Str0ngPw9!;:|service_token sk-or-v1-{hex}|service_token pat-na1-{uuid}
service_token dckr_pat_{word}|service_token nfp_{word}|service_token tskey-auth-{part}-{word}|service_token LTAI{part}x7
service_token bkua_{forty}"""
PARTS = {"hex": "0a1b2c3d4e5f6789" * 4, "forty": "0a1b2c3d4e" * 4, "uuid": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
         "word": "aB3dE5gH7jK9mN1pQ" * 3, "part": "aB3dE5gH7jK9mN1p"}  # fmt: skip


@pytest.mark.parametrize("text", [text for line in SECRETS.splitlines() for text in line.split("|")])
def test_a_secret_is_found_among_other_words(screener: Screener, text: str) -> None:
    kind, value = named(text.format(**PARTS))
    for sentence in (value, f"it is ({value})", f"use {value}, please"):
        assert types(screener, sentence) == [kind], sentence


def test_of_a_sentence_no_more_than_the_address_with_its_password_is_taken(screener: Screener) -> None:
    value = "postgres://app:s3cr3tpw9@db.internal:5432/x"
    for sentence in (f"({value})", f"`{value}`,", f"«{value}»", f"is it {value}?", f"[{value}](here)"):
        start = sentence.index(value)
        found = screener.data_findings(sentence)
        assert [(f.type, f.start, f.end) for f in found] == [("connection_string", start, start + len(value))]


def named(text: str) -> tuple[str, str]:
    kind, _, rest = text.partition(" ")
    return kind, rest


def listed(kinds: str, texts: str) -> list[tuple[str, str]]:
    return [(kinds, text) for line in texts.splitlines() for text in line.split("|")]


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        *listed("email", MAILBOXES),
        *listed("ipv4 ipv6", ADDRESSES),
        *listed("ssn", SOCIAL),
        *listed("phone", PHONES),
        *listed("date_of_birth", BIRTHS),
        *listed("national_id", NUMBERS),
        *(one for line in PAPERS.splitlines() for one in map(named, line.split("|"))),
    ],
)
def test_personal_data_is_found_as_it_is_written_elsewhere(screener: Screener, kinds: str, text: str) -> None:
    assert len([kind for kind in types(screener, text) if kind in kinds.split()]) == 1


NOTHING = """256.1.1.1|1.2.3.4.5|version 1.2.3.4|v2.10.3.1|ver. 1.2.3.4|Chrome/120.0.0.0 Safari|section 1.2.3.4
§ 1.2.3.4
Firmware 5.1.2.7|AssemblyVersion("1.0.0.0")|OID 1.3.6.1.4.1.311|12:30:45|a::b::c|std::vector<int>|10.1.2026
3.14159265358979|order 123456789|order #4111111111111112|ISBN 978-3-16-148410-0|ISBN 0-306-40615-2|1700000000000
2024-11-21T18:43:36Z|2024-01-01T00:00:00+02:00|550e8400-e29b-41d4-a716-446655440000|d41d8cd98f00b204e9800998ecf8427e
$1,234,567.89|12/04/1985|@@ -1234,6 +1234,7 @@|user@host|@ann|logo@2x.png|icon@1.5x.webp|npm i lodash@4.17.21
git@example.com:team/tool.git|100 200 300 400|lat 52.5200, lon 13.4050|room 12-34|in 1999-2003|ZIP 12345-6789
PO 4500012345|SKU 123-45-678|tracking 1Z999AA10123456784
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08|#FFAA00|+20%|call 911
GB82 WEST 1234 5698 7654 33|part DE44AB99|Foo::Bar|+5 points and +12 more|bus 123 at 18:30|rows 12 34 56|phone 2.0
MD5 16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48|01-02-03-04-05-06-07|aabb.ccdd.eeff.0011
4532 3123 4567 8909|3123 4567 8909 4532|guid aa:bb:cc:dd:ee:ff:00:11|1:2:3:4:5:6:7:8:9
"version": "1.2.3.4"|<version>1.2.3.4</version>|upgrade to 1.2.3.4|requests==1.2.3.4|nginx/1.18.0.1|Table 3.2.1.4
npm i angular@17.0.0-next.beta|pkg@1.0.0-rc.one
serial 0012345678901|id 0049123|call the API 100 200 300 times|call at 10.30-11.45|call 20240102
rows 1000-2000 of the phone book|findutils (4.6.0+git+20190510-2)|elfutils 0.182+20210205-1
(password:|pwd=)\\S* finds it"""


@pytest.mark.parametrize("text", [text for _, text in listed("", NOTHING)])
def test_numbers_of_other_kinds_are_left_alone(screener: Screener, text: str) -> None:
    assert types(screener, text) == []


@pytest.mark.parametrize("address", ["fe80::%en0", "fe80::/10", "2001:db8::", "fe80::a%eth0.100"])
def test_an_address_that_ends_in_colons_is_replaced_with_its_zone_and_length(screener: Screener, address: str) -> None:
    assert screener.redact(f"route {address} via eth0") == "route [IPV6_1] via eth0"
