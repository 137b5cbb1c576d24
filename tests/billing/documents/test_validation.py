"""The judge of e-invoices: right about invoices that are right, about known faults, and about what nobody else sees."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from services.billing.documents import validation
from services.billing.documents.invoice import Invoice
from services.billing.documents.mapping import Syntax, as_xml
from services.billing.documents.validation import Finding, fatal, validate
from services.billing.domain.errors import RulesUnavailable
from tests.billing.documents.invoices import (
    a_credit_note,
    a_full_invoice,
    a_line,
    an_invoice,
    for_a_service,
    of_a_franchise,
)

SAMPLES = "reference/einvoice-samples"
RIGHT = [
    *("inv_cii.xml", "inv_ubl.xml", "full_ctc_cii.xml", "full_ctc_ubl.xml"),
    *("cn_cii.xml", "cn_ubl.xml", "inv_franchise_cii.xml", "inv_franchise_ubl.xml"),
]
BROKEN = {
    "broken_unit_price_cii.xml": {("calcul", "BT-131")},
    "broken_missing_note_cii.xml": {("BR-FR", "BR-FR-05_BT-22_PMT")},
    "broken_two_buyer_ids_cii.xml": {("Factur-X", "FX-SCH-A-000164")},
}


def sample(shared_folder: Path, name: str) -> bytes:
    return (shared_folder / SAMPLES / name).read_bytes()


def named(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(finding.layer, finding.rule) for finding in fatal(findings)}


@pytest.mark.shared
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_sample_has_no_finding(shared_folder: Path, name: str) -> None:
    assert named(validate(sample(shared_folder, name))) == set()


@pytest.mark.shared
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sample_is_turned_back_for_its_own_fault(shared_folder: Path, name: str) -> None:
    assert named(validate(sample(shared_folder, name))) == BROKEN[name]


@pytest.mark.shared
def test_every_sample_is_judged(shared_folder: Path) -> None:
    assert {path.name for path in (shared_folder / SAMPLES).glob("*.xml")} == {*RIGHT, *BROKEN}


@pytest.mark.shared
def test_the_rules_are_the_published_ones(shared_folder: Path) -> None:
    used = {rules.schema for rules in validation._RULES.values()} | {validation._UBL_CREDIT_NOTE_SCHEMA}
    for rules in validation._RULES.values():
        used.update(rules.stylesheets.values())
    assert len(used) == 13
    for name in used:
        (published,) = (shared_folder / "en16931").rglob(Path(name).name)
        # One package stores the lines of its file another way.
        assert validation._file(name).read_bytes().replace(b"\r", b"") == published.read_bytes().replace(b"\r", b""), (
            name
        )


@pytest.mark.parametrize("syntax", Syntax)
@pytest.mark.parametrize(
    "invoice",
    [
        an_invoice(),
        of_a_franchise(an_invoice()),
        for_a_service(an_invoice()),
        of_a_franchise(for_a_service(an_invoice())),
        a_full_invoice(),
        of_a_franchise(a_full_invoice()),
        a_credit_note(),
        a_credit_note(of_a_franchise(an_invoice())),
        a_credit_note(a_full_invoice()),
        an_invoice(a_line("12", "0")),
        an_invoice(a_line("0", "9.45"), a_line("1", "3", number="2")),
        an_invoice(a_line("1", "6.30", unit_code="LS")),
        an_invoice(a_line("182", "9.7524")),
        an_invoice(a_line("100", "1"), a_line("-1", "10", number="2")),
        an_invoice(a_line("3", "10.03"), a_line("2", "5", 55, number="2"), a_line("1", "4", 0, number="3")),
    ],
    ids=lambda invoice: f"{invoice.kind}-{invoice.profile}-{len(invoice.lines)}-{invoice.gross_cents}",
)
def test_what_we_write_passes_every_layer(invoice: Invoice, syntax: Syntax) -> None:
    assert list(map(str, fatal(validate(as_xml(invoice, syntax))))) == []


CHORUS_PRO: dict[str, tuple[Callable[[Invoice], Invoice], str]] = {
    "number": (lambda one: replace(one, number="2026-0000000000000042"), "CPRO-02"),
    "contract": (lambda one: replace(one, contract_reference="C" * 51), "CPRO-14"),
    "engagement": (lambda one: replace(one, engagement_number="E" * 51), "CPRO-15"),
    "process": (lambda one: replace(one, process="S5"), "CPRO-24"),
    "line name": (lambda one: replace(one, lines=(replace(one.lines[0], name="N" * 401),)), "CPRO-30-44"),
    "account": (lambda one: replace(one, iban="FR7630001007941234567890186"), "IBAN"),
    "service code": (lambda one: replace(for_a_service(one), buyer=one.buyer), "CPRO-11"),
}


@pytest.mark.parametrize("syntax", [Syntax.CII, Syntax.UBL])
@pytest.mark.parametrize("fault", CHORUS_PRO)
def test_what_the_portal_turns_back_is_found(fault: str, syntax: Syntax) -> None:
    breaking, rule = CHORUS_PRO[fault]
    assert ("Chorus Pro", rule) in named(validate(as_xml(breaking(an_invoice()), syntax)))


@pytest.mark.parametrize("syntax", [Syntax.CII, Syntax.UBL])
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (b"90000010000017", b"9000001000001", "CPRO-03"),
        (b">30</", b">ZZ</", ""),
        (b'schemeID="0009">90000030800016', b'schemeID="0088">90000030800016', "CPRO-10"),
    ],
)
def test_a_document_changed_after_it_was_written_is_found(syntax: Syntax, old: bytes, new: bytes, rule: str) -> None:
    findings = named(validate(as_xml(an_invoice(), syntax).replace(old, new)))
    assert findings
    assert not rule or ("Chorus Pro", rule) in findings


def test_a_tax_that_is_a_cent_wrong_is_found_where_official_rules_pass() -> None:
    content = as_xml(an_invoice(), Syntax.CII).replace(b">343.98<", b">343.97<").replace(b">2063.88<", b">2063.87<")
    assert named(validate(content)) == {("calcul", "BT-117")}


def test_what_is_no_invoice_is_a_finding_and_no_crash() -> None:
    assert named(validate(b"not xml")) == {("XSD", "not-xml")}
    assert named(validate(b"<a/>")) == {("XSD", "not-xml")}
    other = as_xml(an_invoice(), Syntax.CII).replace(b"urn:cen.eu:en16931:2017", b"urn:example:2017")
    assert named(validate(other)) == {("XSD", "BT-24")}
    entity = b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + b"<a>&e;</a>"
    assert named(validate(entity)) == {("XSD", "not-xml")}


def test_many_threads_get_their_own_answers() -> None:
    contents = [as_xml(an_invoice(a_line(str(count), "9.45")), Syntax.CII) for count in range(1, 9)]
    broken = contents[3] = contents[3].replace(b">37.80<", b">37.81<")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(validate, contents))
    assert [bool(fatal(answer)) for answer in answers] == [content is broken for content in contents]


def test_without_the_rules_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "find_spec", lambda name: None)
    validation._folder.cache_clear()
    try:
        with pytest.raises(RulesUnavailable):
            validate(b"<a/>")
        validation.warm_up()
    finally:
        validation._folder.cache_clear()
