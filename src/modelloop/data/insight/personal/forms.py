"""Values of a form that only personal data has: which of a column's distinct texts hold one, decided as a column. Pure.

A form alone is weak evidence where numbers are many: one in ten numbers of 16 digits passes Luhn's check. So it is
weighed over the column: if most of what could be a card fails the check, the rest passed by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt


Bools: TypeAlias = "npt.NDArray[np.bool_]"
_Check: TypeAlias = "Callable[[pl.Series], tuple[Bools, Bools]]"

MANY = 20
"""From so many candidates on, their share decides; fewer are taken by their word."""
_LEAST_SHARE = 0.4
"""Of the candidates: random digits pass Luhn's check one time in ten."""

_SAMPLE = 10_000
"""Of more candidates so many are looked at first."""

_H = "[0-9A-Fa-f]{1,4}"
_IPV6_FORMS = [
    rf"(?:{_H}:){{7}}{_H}",
    rf"{_H}:(?::{_H}){{2,6}}",
    *(rf"(?:{_H}:){{{n}}}(?::{_H}){{1,{7 - n}}}" for n in range(2, 7)),
    rf"(?:{_H}:){{3,7}}:",
    rf"::(?:{_H}:){{2,6}}{_H}",
]
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
EMAIL = r"[\w.%+'-]*[\w%+'-]@(?:[\w-]+\.)+\p{L}\p{L}+"
_EMAIL_IN = r"[\w%+'-]@(?:[\w-]+\.)+\p{L}\p{L}"
"""Whether there is one: found many times faster than where it begins."""
IPV4 = rf"(?:^|[^\w.])({_OCTET}(?:\.{_OCTET}){{3}})(?:$|[^\w.]|\.(?:\s|$))"
IPV6 = rf"(?:^|[^\w:.])({'|'.join(_IPV6_FORMS)})(?:$|[^\w:])"
IBAN = r"(?:^|[^0-9A-Za-z])([A-Za-z]{2}\d{2}(?:[ -]?[0-9A-Za-z]){11,30})(?:$|[^0-9A-Za-z])"
CARD = (
    r"(?:^|[^\w.,+-])([3-6]\d{12,18}|2[2-7]\d{14}|[2-6]\d{3}(?:[ -]\d{4}){3}|3[47]\d\d[ -]\d{6}[ -]\d{5})(?:$|[^\w,-])"
)
_PHONES = (
    r"(?:^|[^\w+])(?:\+[1-9](?:[ ()./-]{0,3}\d){7,14})(?:$|[^\d\w])",  # +49 30 1234567
    r"(?:^|[^\w+.,-])00[1-9]\d{0,2}[ /](?:[ ()/-]{0,3}\d){6,12}(?:$|[^\d\w])",  # 0049 30 1234567
    r"(?:^|[^\w+./-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?:$|[^\w-])",  # (212) 555-0123
    r"^\(?0[1-9]\d{0,3}(?:\) ?|[ /])\d{2,8}(?:[ /.-]\d{2,8}){0,4}$",  # 030 1234567, 01 23 45 67 89
    (
        r"(?i)\b(?:tele?(?:phone|fon|fono)?|phone|mobile?|movil|cell|fax|handy|whatsapp|call|ring)\b\W{0,4}"
        r"(?:at|me at|on|is|nr|no)?\W{0,4}\d(?:[ ()./-]{0,3}\d){6,14}(?:$|\D)"
    ),
)
PHONE = "|".join(f"(?:{one})" for one in _PHONES)
_ANY_PHONE = r"^\W{0,3}\d(?:[ ()./-]{0,3}\d){5,14}$"
"""What a column called phone is believed."""
_NO_PHONE = r"^(?:[+-]?\d+[.,]\d+|\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}(?:[ T]\d{1,2}:.*)?|\d{5}-\d{4})$"
"""A decimal number, a date, a zip code with its four digits."""
_FILES = r"@\d+x\.(?:png|jpe?g|gif|svg|webp)|(?:^|\W)git@[\w.-]+:"

_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 "
    "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 "
    "NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
    "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 "
)
"""Countries that use IBANs (ISO 13616) and how many characters theirs have."""
_WIDTH = 72
"""Digits of the longest IBAN, letters counted twice, with room."""


def forms(texts: pl.Series, *, called: str = "", versions: bool = False) -> Mapping[str, Bools]:
    """Return, for each kind found, which of the texts hold it.

    `texts` are distinct and not null. `called` is what the column's name says it holds; `versions`: it speaks of
    releases, where four numbers with dots are no address.
    """
    frame = texts.alias("text").to_frame()
    text = pl.col("text")
    phone = text.str.contains(PHONE)
    if called == "phone":
        phone = phone | text.str.contains(_ANY_PHONE)
    hits = frame.select(
        text.str.contains(_EMAIL_IN).alias("email"),
        (phone & ~text.str.contains(_NO_PHONE)).alias("phone"),
        text.str.contains(CARD).alias("payment card"),
        text.str.contains(IBAN).alias("bank account"),
        text.str.contains(IPV4).alias("ip4"),
        text.str.contains(IPV6).alias("ip6"),
    )
    found = {name: hits.get_column(name).to_numpy() for name in hits.columns if hits.get_column(name).any()}
    checked = {
        "email": _emails(texts, found.get("email")),
        "payment card": _passing(texts, found.get("payment card"), CARD, _cards),
        "bank account": _passing(texts, found.get("bank account"), IBAN, _ibans),
        "ip": _addresses(texts, found.get("ip4"), found.get("ip6"), versions=versions),
        "phone": found.get("phone"),
    }
    present = {kind: mask for kind, mask in checked.items() if mask is not None and mask.any()}
    if "phone" in present:  # the digits of a card or an account are no phone number besides
        for other in ("payment card", "bank account", "ip"):
            present["phone"] = present["phone"] & ~present.get(other, np.zeros(len(texts), dtype=bool))
    return {kind: mask for kind, mask in present.items() if mask.any()}


def _emails(texts: pl.Series, hit: Bools | None) -> Bools | None:
    if hit is None:
        return None
    where = np.flatnonzero(hit)
    rest = texts.gather(where).str.replace_all(_FILES, " ").str.contains(_EMAIL_IN)
    return _only(len(texts), where[rest.to_numpy()])


def _addresses(texts: pl.Series, four: Bools | None, six: Bools | None, *, versions: bool) -> Bools | None:
    if four is not None:
        where = np.flatnonzero(four)
        octets = texts.gather(where).str.extract(IPV4).str.split(".").list.eval(pl.element().cast(pl.Int32))
        largest, first = octets.list.max().to_numpy(), octets.list.first().to_numpy()
        nobody = np.isin(first, (0, 127)) | (octets.list.min().to_numpy() == 255)
        four = None if versions or (len(where) >= 5 and largest.max() <= 31) else _only(len(texts), where[~nobody])
    if four is None or six is None:
        return six if four is None else four
    both: Bools = four | six
    return both


def _passing(texts: pl.Series, hit: Bools | None, pattern: str, check: _Check) -> Bools | None:
    """Return which candidates have a match that passes the check, or none if passing looks like chance."""
    if hit is None:
        return None
    where = np.flatnonzero(hit)
    matches = texts.gather(where).str.extract_all(pattern)
    rows = np.repeat(where, matches.list.len().to_numpy())
    compact = matches.list.explode().str.replace_all(r"[^0-9A-Za-z]", "").str.to_uppercase()
    if len(compact) > _SAMPLE and _by_chance(*check(compact.sample(_SAMPLE, seed=0))):
        return None
    known, passed = check(compact)
    return None if _by_chance(known, passed) else _only(len(texts), rows[passed])


def _by_chance(known: Bools, passed: Bools) -> bool:
    return bool(known.sum() >= MANY and passed.sum() < _LEAST_SHARE * known.sum())


def _cards(compact: pl.Series) -> tuple[Bools, Bools]:
    """Return which have a length and first digits that networks use, and which of these pass Luhn's check."""
    length = compact.str.len_chars().to_numpy()
    digits = _digits(compact, 19)
    head = compact.str.head(6).str.pad_end(6, "0").cast(pl.Int64).to_numpy()
    four, three, two = head // 100, head // 1000, head // 10_000
    known = (
        ((head // 100_000 == 4) & np.isin(length, (13, 16, 19)))
        | (((two >= 51) & (two <= 55) | (four >= 2221) & (four <= 2720)) & (length == 16))
        | (np.isin(two, (34, 37)) & (length == 15))
        | (((three >= 300) & (three <= 305) | np.isin(two, (36, 38, 39))) & (length == 14))
        | (((four == 6011) | (three >= 644) & (three <= 649) | (two == 65)) & (length >= 16))
        | (((four >= 3528) & (four <= 3589) | (two == 62)) & (length >= 16))
        | (np.isin(four, (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763)) & (length >= 13))
    )
    doubled = digits[:, -2::-2] * 2
    total = digits[:, -1::-2].sum(axis=1) + (doubled - 9 * (doubled > 9)).sum(axis=1)
    inside = np.arange(19) >= 19 - length[:, None]
    varied = ((digits != digits[:, -1:]) & inside).any(axis=1)  # 4444 4444 ... is nobody's
    return known, known & (total % 10 == 0) & varied


def _ibans(compact: pl.Series) -> tuple[Bools, Bools]:
    """Return which have a country and the length it uses, and which of these leave 1 modulo 97 (ISO 7064)."""
    lengths = {one[:2]: int(one[2:]) for one in _IBANS.split()}
    wanted = compact.str.head(2).replace_strict(lengths, default=0, return_dtype=pl.Int64)
    known = (compact.str.len_chars().cast(pl.Int64) == wanted).to_numpy()
    turned = compact.str.slice(4) + compact.str.head(4)
    letters = {chr(ord("A") + i): str(10 + i) for i in range(26)}
    plain = turned.str.replace_many(list(letters), list(letters.values())).str.head(_WIDTH)
    rest = np.zeros(len(compact), dtype=np.int64)
    for column in _digits(plain, _WIDTH).T:
        rest = (rest * 10 + column) % 97
    return known, known & (rest == 1)


def _digits(texts: pl.Series, width: int) -> npt.NDArray[np.int64]:
    """Return digits as numbers, a row a text, filled with zeros on the left."""
    joined = "".join(texts.str.pad_start(width, "0").to_list()).encode()
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), width).astype(np.int64) - ord("0")


def _only(size: int, where: npt.NDArray[np.int64]) -> Bools:
    mask = np.zeros(size, dtype=bool)
    mask[where] = True
    return mask
