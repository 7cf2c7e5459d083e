"""Personal data is found, counted and shown masked; ids, dates and prices are not taken for it."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.insight.personal import detect, holds
from modelloop.data.insight.personal.names import kinds_of_names
from modelloop.data.records import Finding
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Personal

NOTHING = ContractSettings(columns={})


def held(*values: str, name: str = "note") -> list[bool]:
    return holds(pl.Series(name, list(values))).to_list()


def found(frame: dict[str, list[object]], contract: ContractSettings = NOTHING) -> dict[str, list[Finding]]:
    findings: dict[str, list[Finding]] = {}
    for one in detect(pl.DataFrame(frame), contract):
        findings.setdefault(one.column, []).append(one)
    return findings


def passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def with_check_digit(body: str) -> str:
    return next(body + str(digit) for digit in range(10) if passes_luhn(body + str(digit)))


def iban(country: str, account: str) -> str:
    turned = "".join(str(int(c, 36)) for c in account + country + "00")
    return f"{country}{98 - int(turned) % 97:02}{account}"


PERSONAL = [
    "anna@example.org",
    "write to Anna.Maria+list@mail.example.co.uk, please",
    "ünal@müller.de",
    "+49 30 1234567",
    "+1 (212) 555-0123",
    "0049 30 1234567",
    "(212) 555-0123",
    "212-555-0123",
    "030 1234567",
    "030/1234567",
    "01 23 45 67 89",
    "tel: 0301234567",
    "call me at 0171 2345678",
    "4111 1111 1111 1111",
    "4111111111111111",
    "378282246310005",
    "paid with 5555-5555-5555-4444.",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "NO9386011117947",
    "from 192.168.1.17, port 80",
    "2001:db8::8a2e:370:7334",
    "fe80:0:0:0:1ff:fe23:4567:890a",
]
HARMLESS = [
    "",
    "a@b",
    "logo@2x.png",
    "git@github.com:owner/name.git",
    "@handle",
    "2024-01-02",
    "2024-01-02T03:04:05+01:00",
    "01.02.2003",
    "01/02/2003 12:30",
    "12345678",
    "1234567890",
    "0301234567",
    "+12345678.90",
    "1.234.567,89",
    "1,234,567.89",
    "02139-1234",
    "978-3-16-148410-0",
    "123-45-6789",
    "4111111111111112",
    "4444444444444444",
    "9999999999999995",
    "DE88370400440532013000",
    "XX8937040044053201300",
    "1.2.3.4.5",
    "v1.2.3.4",
    "256.1.1.1",
    "127.0.0.1",
    "12:30:45",
    "std::cout",
    "00:1A:2B:3C:4D:5E",
    "550e8400-e29b-41d4-a716-446655440000",
    "call 12",
    "1700000000000",
]


@pytest.mark.parametrize("value", PERSONAL)
def test_personal_values_are_seen(value: str) -> None:
    assert held(value) == [True]


@pytest.mark.parametrize("value", HARMLESS)
def test_harmless_values_are_left_alone(value: str) -> None:
    assert held(value) == [False]


def test_each_row_is_answered_and_missing_values_hold_nothing() -> None:
    series = pl.Series("note", ["anna@example.org", None, "nothing", "anna@example.org"])
    answer = holds(series)
    assert answer.to_list() == [True, False, False, True]
    assert answer.dtype == pl.Boolean
    assert holds(pl.Series("note", [], dtype=pl.String)).to_list() == []
    assert holds(pl.Series("x", [1.5, None])).to_list() == [False, False]


@settings(deadline=None)
@given(st.lists(st.emails(domains=st.sampled_from(["example.org", "mail.example.com"])), min_size=1))
def test_every_plain_address_is_an_e_mail(addresses: list[str]) -> None:
    usual = [one for one in addresses if one.split("@")[0][-1].isalnum()]
    assert all(held(*usual)) if usual else True


@settings(deadline=None)
@given(st.sampled_from(["4", "51", "55", "37", "6011", "3530", "2221"]), st.data())
def test_luhn_decides_what_is_a_card(head: str, data: st.DataObject) -> None:
    length = 15 if head == "37" else 16
    body = head + data.draw(st.text("0123456789", min_size=length - 1 - len(head), max_size=length - 1 - len(head)))
    good = with_check_digit(body)
    bad = body + str((int(good[-1]) + 1) % 10)
    assert held(good, bad) == [True, False]


@settings(deadline=None)
@given(st.sampled_from([("DE", 18), ("FR", 23), ("NL", 14), ("GB", 18), ("NO", 11)]), st.data())
def test_mod_97_decides_what_is_an_iban(country: tuple[str, int], data: st.DataObject) -> None:
    name, length = country
    account = data.draw(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=length, max_size=length))
    good = iban(name, account)
    wrong = good[:2] + f"{(int(good[2:4]) + 1) % 100:02}" + good[4:]
    spaced = " ".join(good[at : at + 4] for at in range(0, len(good), 4))
    assert held(good, good.lower(), spaced) == [True, True, True]
    assert held(wrong) == [False]


@settings(deadline=None)
@given(st.ip_addresses(v=6))
def test_addresses_of_version_6(address: object) -> None:
    text = str(address)
    groups = [one for one in text.split(":") if one]
    assert held(text) == [len(groups) >= 3 and "." not in text]


@pytest.mark.parametrize("as_type", [str, int])
def test_ids_of_sixteen_digits_are_no_cards_though_one_in_ten_passes(as_type: Callable[[object], object]) -> None:
    digits = np.random.default_rng(1).integers(4 * 10**15, 5 * 10**15, 2_000)
    assert sum(passes_luhn(str(one)) for one in digits) > 150
    assert not found({"order": [as_type(one) for one in digits.tolist()]})
    assert not any(held(*[str(one) for one in digits], name="order"))


@pytest.mark.parametrize("as_type", [str, int])
def test_a_column_of_cards_is_one(as_type: Callable[[object], object]) -> None:
    draw = random.Random(2)
    cards = [with_check_digit("4" + "".join(draw.choices("0123456789", k=14))) for _ in range(300)]
    finding = found({"used": [as_type(one) for one in cards]})["used"][0]
    assert finding.rows == 300
    assert "payment card" in finding.message
    assert all(example.startswith("***-") for example in finding.examples)


def test_release_numbers_are_no_addresses() -> None:
    assert not found({"app_version": ["10.0.19.41", "10.0.22.31"] * 20})
    assert not found({"what": [f"1.{minor}.0.{patch}" for minor in range(9) for patch in range(9)]})
    assert found({"what": ["93.184.216.34", "8.8.8.8", "1.1.1.1", "151.101.1.69", "140.82.121.4", "20.1.2.3"]})


def test_rows_are_counted_not_values() -> None:
    findings = found({"note": ["anna@example.org", "bob@example.com", None, "x", "anna@example.org"]})
    (one,) = findings["note"]
    assert (one.kind, one.rows, one.done) == ("personal", 3, "")
    assert one.examples == ("a***@***.org", "b***@***.com")
    assert "3 of 5" in one.message
    assert 'personal = "mask"' in one.message


def test_examples_of_long_texts_show_the_personal_part_only() -> None:
    (one,) = found({"note": ["please tell Anna Miller (anna@example.org) that it rained"] * 3})["note"]
    assert one.examples == ("a***@***.org",)
    (one,) = found({"note": ["Anna Miller pays with 4111 1111 1111 1111 today"]})["note"]
    assert one.examples == ("***-1111",)
    (one,) = found({"note": ["ring 030 1234567, Anna Miller"]})["note"]
    assert "Anna" not in str(one.examples)


def test_one_column_can_hold_several_kinds() -> None:
    findings = found({"contact": ["anna@example.org", "+49 30 1234567", "93.184.216.34", "none"]})["contact"]
    assert sorted(one.message.split(" hold ")[1].split(".")[0] for one in findings) == [
        "a phone number",
        "an IP address",
        "an e-mail address",
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("first_name", "name"), ("FirstName", "name"), ("lastName", "name"), ("Nachname", "name"), ("prénom", "name"),
        ("apellidos", "name"), ("cognome", "name"), ("sobrenome", "name"), ("achternaam", "name"), ("nazwisko", "name"),
        ("customer_name", "name"), ("e-mail", "email"), ("EMAIL_ADDRESS", "email"), ("correo", "email"),
        ("phoneNumber", "phone"), ("Telefon", "phone"), ("téléphone", "phone"), ("mobile", "phone"), ("handy", "phone"),
        ("date_of_birth", "birth"), ("dob", "birth"), ("Geburtsdatum", "birth"), ("fecha_nacimiento", "birth"),
        ("street", "address"), ("Straße", "address"), ("shippingAddress", "address"), ("dirección", "address"),
        ("ssn", "national id"), ("Steuer-ID", "national id"), ("codice_fiscale", "national id"),
        ("passport_no", "passport"), ("Reisepassnummer", "passport"), ("Führerschein", "passport"),
        ("credit_card_number", "payment card"), ("iban", "bank account"), ("client_ip", "ip"), ("ip_address", "ip"),
    ],
)  # fmt: skip
def test_names_of_columns_speak(name: str, kind: str) -> None:
    assert kinds_of_names([name]) == {name: kind}


THINGS = """
id product_name file_name column_name name nom email_count has_phone phone_brand birth_rate tail tailnum origin dest
carrier distance year address_count ship trip strip month truename_flag street_count hash telemetry mobility
"""


@pytest.mark.parametrize("name", THINGS.split())
def test_names_of_things_do_not(name: str) -> None:
    assert not kinds_of_names([name])


def test_a_bare_name_is_a_persons_beside_another() -> None:
    assert kinds_of_names(["nom", "prenom"]) == {"nom": "name", "prenom": "name"}
    assert kinds_of_names(["name", "price"]) == {}


def test_the_name_counts_where_values_have_no_form_and_fit() -> None:
    findings = found({"surname": ["Miller", None, "Smith"], "phone": ["5551234", "5559876", None]})
    assert findings["surname"][0].rows == 2
    assert findings["surname"][0].examples == ("***",)
    assert findings["phone"][0].rows == 2
    assert not found({"surname": [1.5, 2.5], "email": ["yes", "no"], "birth": [0.1, 0.2]})
    assert held("Miller", "", name="surname") == [True, False]


WAYS = {way: ContractSettings(columns={"mail": ColumnSettings(ColumnType.STRING, personal=way)}) for way in Personal}


def test_what_the_contract_says_is_done_is_said() -> None:
    frame: dict[str, list[object]] = {"mail": ["anna@example.org", "bob@example.com"]}
    assert not found(frame, WAYS[Personal.ALLOW])
    for way, done in ((Personal.MASK, "masked"), (Personal.HASH, "hashed"), (Personal.REFUSE, "refused")):
        (one,) = found(frame, WAYS[way])["mail"]
        assert (one.rows, one.done) == (2, done)
        assert done in one.message


def test_what_was_protected_already_is_counted_too() -> None:
    (one,) = found({"mail": ["0123456789abcdef" * 2, None, "f" * 32]}, WAYS[Personal.HASH])["mail"]
    assert (one.rows, one.done, one.examples) == (2, "hashed", ("***",))
    assert not found({"mail": ["fine", "also fine"]}, WAYS[Personal.REFUSE])


def test_the_hash_of_an_image_is_not_looked_at() -> None:
    contract = ContractSettings(columns={"photo": ColumnSettings(ColumnType.BINARY)})
    assert not found({"photo": ["anna@example.org"]}, contract)
