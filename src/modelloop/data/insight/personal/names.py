"""What the name of a column says about a person, in the languages of many tables. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

_NAMES: tuple[tuple[str, str], ...] = (
    (
        "email",
        r"e_?mails?|e_?mail_(address|adresse?|id)|mail_?address|correo(_electronico)?|courriel|mailadresse|posta_elettronica",
    ),
    ("ip", r"ip|ip_?v?[46]?_?(address|adresse?|addr)|(client|remote|source|src|dst|user|visitor|host)_ip(_address)?"),
    (
        "passport",
        (r"passport(_?(no|nr|num|number))?|reise_?pass(_?nummer)?|passeport|pasaporte|passaporto|passaporte|paspoort(nummer)?|"
        r"paszport|driv(er|ers|ing)_?licen[sc]e(_?(no|number))?|fuehrerschein(nummer)?|(personal)?ausweis(_?nr|nummer)?|"
        r"permis_de_conduire|patente_di_guida"),
    ),
    (
        "national id",
        (r"ssn|sin_number|social_?security(_?(no|number))?|socsec|national_?(id|insurance)(_?(no|number))?|nino|"
        r"sozialversicherungs_?nummer|sv_?nummer|steuer_?(id|nummer)|identifikationsnummer|numero_(de_)?securite_sociale|"
        r"insee|dni|nif|nie|cpf|curp|codice_?fiscale|bsn|burgerservicenummer|pesel|person_?nummer|personal_?number|cpr|"
        r"aadhaa?r(_?(no|number))?|tax_?payer_?id|patient_?(no|nr|number)|medical_record_?(no|number)?|mrn|nhs_?number"),
    ),
    (
        "payment card",
        (r"(credit|debit|payment|bank)_?card(_?(no|nr|num|number))?|cc_?(num|number)|card_?(num|number)|kreditkarten?(_?nummer)?|"
        r"(numero_)?(de_)?carte_(bancaire|de_credit)|tarjeta(_de_credito)?|carta_di_credito|cvv2?|cvc2?"),
    ),
    ("bank account", r"iban|bank_?account(_?(no|number))?|account_?iban|konto_?nummer|kontonr|bankverbindung|rib"),
    (
        "phone",
        (r"(tele)?_?phone(_?(no|nr|num|number))?|(mobile|cell|fax|tel|telephone|home|work|daytime)_?(phone_?)?(no|nr|num|number|phone)|"
        r"tel|fax|handy(_?(nr|nummer))?|mobil(e|funk)?(_?(nr|nummer))?|cell|cellphone|telefon(_?(nr|nummer|o))?|rufnummer|"
        r"telefono|telefone|telefoon(nummer)?|movil|celular|cellulare|(numero_(de_)?)?telephone|msisdn|whatsapp"),
    ),
    (
        "birth",
        (r"(date_?of_?)?birth(_?(date|day|dt))?|birthday|dob|d_o_b|birth_?place|place_of_birth|geburts?_?(tag|datum|ort)|geb_?datum|"
        r"(date_(de_)?)?naissance|ne_le|(fecha_(de_)?)?nacimiento|(data_(di_)?)?nascita|(data_(de_)?)?nascimento|"
        r"geboorte_?(datum|dag)|data_urodzenia|fodelsedatum|fodselsdato"),
    ),
    (
        "name",
        (r"(first|given|fore|last|family|middle|maiden|full|legal|nick|christian|sur)_?names?|fname|lname|surname|"
        r"(customer|client|patient|person|contact|holder|cardholder|employee|user|member|passenger|guest|owner|author|"
        r"student|applicant|recipient|sender|beneficiary|mothers?|fathers?|spouse)_?(full_?)?name|"
        r"vor_?name|nach_?name|familien_?name|geburtsname|kundenname|prenom|nom_de_famille|nom_complet|nombre_completo|"
        r"primer_nombre|apellidos?|cognome|nome_completo|sobrenome|apelido|voornaam|achternaam|imie|nazwisko|"
        r"fornamn|efternamn|fornavn|etternavn|etunimi|sukunimi"),
    ),
    (
        "address",
        (r"((home|street|postal|post|mailing|billing|shipping|delivery|residential|customer|permanent)_?)?address(_?(line_?)?[123])?|"
        r"street(_?(name|no|number|line))?|house_?(no|nr|number)|stra(ss|s)e|hausnummer|anschrift|wohn(ort|anschrift)|"
        r"(post|liefer|rechnungs)?adresse|rue|direccion|domicilio|calle|indirizzo|endereco|straat(naam)?|adres|ulica|gatuadress"),
    ),
)  # fmt: skip
"""Kind and names, the sharper first; a name is lower case with underscores between its words."""

CHECKED = frozenset({"email", "ip", "phone", "payment card", "bank account"})
"""Kinds whose values have a form of their own: the name alone proves nothing."""

_BESIDE = frozenset({"name", "nom", "nome", "nombre", "naam"})
"""The name of a person where another column is one, of a thing otherwise."""
_ABOUT = re.compile(
    r"(^|_)(count|counts|num_of|number_of|n|nr_of|has|is|was|flag|rate|share|length|len|sent|verified|opened|opt|status|type|kind|"
    r"domain|provider|valid|missing|hash|hashed|score|age|days|country|code_country|prefix|brand|model|make|os)(_|$)"
)
"""About such a value, not one."""
_ENDING = r"(?:_(?:raw|old|new|primary|secondary|main|\d))?"
_PATTERNS = tuple((kind, re.compile(rf"(?:^|.*_)(?:{names}){_ENDING}")) for kind, names in _NAMES)


def kinds_of_names(columns: Iterable[str]) -> Mapping[str, str]:
    """Return the kind of personal data for each column whose name says that it holds some."""
    plain = {name: _plain(name) for name in columns}
    found = {name: kind for name, words in plain.items() if (kind := _kind(words))}
    if "name" in found.values():
        found |= {name: "name" for name, words in plain.items() if name not in found and words in _BESIDE}
    return found


def _kind(words: str) -> str:
    if _ABOUT.search(words):
        return ""
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(words)), "")


def _plain(name: str) -> str:
    """Return the name without accents, in lower case, its words parted by underscores."""
    german = name.replace("ß", "ss").replace("ü", "ue") if "führerschein" in name.lower() else name.replace("ß", "ss")
    bare = "".join(c for c in unicodedata.normalize("NFKD", german) if not unicodedata.combining(c))
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", bare)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
