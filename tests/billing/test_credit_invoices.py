"""A transmitted credit note is an e-invoice that passed every layer, or it is not issued and uses no number."""

import json
from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any
from zipfile import ZipFile

import pytest
from facturx import get_facturx_xml_from_pdf
from lxml import etree
from sqlalchemy import delete, select, update

from services.billing import pack, queries
from services.billing.documents.credit import credit_of, legs_as_csv
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal, validate
from services.billing.domain.charge import Cut
from services.billing.domain.contract import Buyer, Cooperative
from services.billing.domain.credit_note import Asked, CreditNote
from services.billing.domain.errors import InvoiceDataMissing, InvoiceNotValid
from services.billing.domain.invoicing import VatRegime
from services.billing.domain.statement import Statement
from services.billing.queries import Sight, after_closing
from services.billing.tables import credit_note_documents, documents, statements
from services.billing.use_cases import credit_notes as crediting
from services.kit.database import Database
from tests.billing.builders import (
    BUYER,
    ERDRE,
    a_contract,
    a_leg_to_price,
    an_order,
    handed_over,
    hold,
    register,
    settle,
)
from tests.billing.conftest import House
from tests.billing.test_invoicing import FOR_A_SERVICE, IN_FRANCHISE
from tests.billing.test_month import (
    DECEMBER_8,
    EVERYTHING,
    accept,
    bill_anew,
    close,
    credit,
    decide,
    delivered,
    refused,
    say,
    use_of,
)


def an_invoiced_leg(database: Database, **contract: Any) -> tuple[Statement, str]:
    """Close November with one leg of 12.60; return the statement and the order."""
    registered = register(database, a_contract(**{"cooperatives": (ERDRE,), **contract}))
    order_id = delivered(database, registered)
    return close(database, registered), order_id


def kept(database: Database, note: CreditNote, format_: str) -> bytes:
    with database.view() as view:
        document = after_closing.get_note_document(view, note.id, format_)
    assert document is not None
    assert "factur-x 7" in document.made_with
    return document.content


# Where a term stands, in CII and in UBL, whatever the prefixes.
TYPE_CODE = {"cii": "{*}ExchangedDocument/{*}TypeCode", "ubl": "{*}CreditNoteTypeCode"}
PRECEDING_DAY = {
    "cii": ".//{*}InvoiceReferencedDocument/{*}FormattedIssueDateTime/{*}DateTimeString",
    "ubl": "{*}BillingReference/{*}InvoiceDocumentReference/{*}IssueDate",
}
REASON = {"cii": ".//{*}SpecifiedTradeAllowanceCharge/{*}Reason", "ubl": "{*}AllowanceCharge/{*}AllowanceChargeReason"}
REASON_CODE = {
    "cii": ".//{*}SpecifiedTradeAllowanceCharge/{*}ReasonCode",
    "ubl": "{*}AllowanceCharge/{*}AllowanceChargeReasonCode",
}


def said(root: Any, place: dict[str, str], format_: str) -> list[str]:
    return [found.text for found in root.iterfind(place["ubl" if format_ == "ubl" else "cii"])]


def kept_of(database: Database, statement: Statement, format_: str) -> Reading:
    with database.view() as view:
        document = queries.get_document(view, statement.id, format_)
    assert document is not None
    assert fatal(validate(document.content)) == []
    return Reading.of(document.content)


@pytest.mark.parametrize("buyer", [BUYER, FOR_A_SERVICE], ids=["plain", "service code"])
@pytest.mark.parametrize("seller", [ERDRE, IN_FRANCHISE], ids=["liable", "franchise"])
def test_a_part_of_a_leg_is_credited_by_a_document_that_passes_every_layer(
    either_database: Database, buyer: Buyer, seller: Cooperative
) -> None:
    statement, order_id = an_invoiced_leg(either_database, buyer=buyer, cooperatives=(seller,))
    note = credit(either_database, statement, Asked(order_id, 1, 501))
    for format_ in ("cii", "ubl", *["fx-xml"] * (buyer is FOR_A_SERVICE)):
        content = kept(either_database, note, format_)
        assert fatal(validate(content)) == []
        reading = Reading.of(content)
        assert (reading.one("BT-1"), reading.one("BT-25")) == ("2026-00002", "2026-00001")
        root = etree.fromstring(content)
        assert said(root, TYPE_CODE, format_) == ["381"]
        assert [day.replace("-", "") for day in said(root, PRECEDING_DAY, format_)] == ["20261206"]
        figures = reading.figures
        tax = 0 if seller is IN_FRANCHISE else 100
        assert [int(amount * 100) for amount in (figures.net, figures.tax, figures.due)] == [501, tax, 501 + tax]
        assert reading.one("BT-153") == "Avoir sur l'état n° 2026-00001"
        assert "Motif de l'avoir : Erreur de facturation" in " ".join(reading.all("BT-22"))


def test_legs_of_two_rates_are_credited_at_their_own(database: Database) -> None:
    became_liable = VatRegime(date(2026, 11, 17), ERDRE.vat_regimes[0].vat_number, "CGI, art. 293 B, I")
    seller = replace(ERDRE, vat_regimes=(*IN_FRANCHISE.vat_regimes, became_liable))
    contract = register(database, a_contract(cooperatives=(seller,)))
    order_ids = []
    for day in (date(2026, 11, 16), date(2026, 11, 17)):
        order = an_order(contract, legs=[a_leg_to_price(service_date=day)])
        hold(database, order)
        settle(database, handed_over(order.id))
        order_ids.append(order.id)
    statement = close(database, contract)
    both = credit(database, statement, *(Asked(order_id, 1, 300) for order_id in order_ids))
    untaxed = credit(database, statement, Asked(order_ids[0], 1))
    for note, taxes in ((both, [(20, 60), (0, 0)]), (untaxed, [(0, 0)])):
        for format_ in ("cii", "ubl"):
            content = kept(database, note, format_)
            assert fatal(validate(content)) == []
            vat = Reading.of(content).figures.vat
            assert sorted((int(one[1]), int(one[3] * 100)) for one in vat) == sorted(taxes)


def test_the_list_inside_says_which_legs_are_credited(database: Database) -> None:
    statement, order_id = an_invoiced_leg(database)
    note = credit(database, statement, Asked(order_id, 1, 501))
    assert legs_as_csv(note).decode("utf-8-sig").splitlines()[1] == (
        "2026-00002;2026-00001;16/11/2026;C-0001;1;proprete;20,0;5,01"
    )
    (attached,) = credit_of(note, statement).attachments
    assert (attached.id, attached.filename, attached.content) == (
        "BL-2026-00002",
        "avoir-2026-00002.csv",
        legs_as_csv(note),
    )


def test_a_reason_with_what_xml_cannot_hold_is_credited(database: Database) -> None:
    statement, order_id = an_invoiced_leg(database)
    with database.transaction() as tx:
        note = crediting.credit(
            tx, statement.id, [Asked(order_id, 1)], reason="Deux\x0bfois\n& <plus>", is_billed_anew=False, at=DECEMBER_8
        )
    assert "Deux fois & <plus>" in " ".join(Reading.of(kept(database, note, "ubl")).all("BT-22"))


def freeze(database: Database, statement: Statement, content: dict[str, Any]) -> None:
    """Put other parts into a frozen statement, which nothing in the service can do."""
    with database.transaction() as tx:
        tx.execute(update(statements).where(statements.c.id == statement.id).values(content=content))


def test_a_note_that_breaks_a_rule_is_not_issued_and_uses_no_number(either_database: Database) -> None:
    statement, order_id = an_invoiced_leg(either_database)
    with either_database.view() as view:
        right = view.execute(select(statements.c.content).where(statements.c.id == statement.id)).scalar_one()
    for wrong, refusal in (({"name": "N" * 100}, InvoiceNotValid), ({"iban": ""}, InvoiceDataMissing)):
        freeze(either_database, statement, {**right, "seller": {**right["seller"], **wrong}})
        with pytest.raises(refusal):
            credit(either_database, statement, Asked(order_id, 1))
    freeze(either_database, statement, right)
    with either_database.view() as view:
        assert after_closing.list_credit_notes(view, EVERYTHING, statement.id) == []
        assert view.execute(select(credit_note_documents)).all() == []
        assert queries.get_consumption(view, EVERYTHING, statement.contract_id).ceiling.invoiced_cents == 1260
    assert credit(either_database, statement, Asked(order_id, 1)).number == "2026-00002"


def test_an_internal_note_is_no_e_invoice_and_the_corrected_statement_is(database: Database) -> None:
    statement, _ = an_invoiced_leg(database)
    say(database, statement, refused())
    with database.view() as view:
        (note,) = after_closing.list_credit_notes(view, EVERYTHING, statement.id)
        assert note.is_internal
        assert after_closing.get_note_document(view, note.id, "cii") is None
    corrected = bill_anew(database, statement)
    for format_ in ("cii", "ubl"):
        reading = kept_of(database, corrected, format_)
        assert (reading.one("BT-1"), reading.one("BT-25")) == ("2026-00002", "")
        assert int(reading.figures.net * 100) == corrected.net_cents == 1260


def test_a_price_cut_is_an_allowance_that_passes_every_layer(database: Database) -> None:
    contract = register(database, a_contract(verification_days=15, cooperatives=(ERDRE,)))
    reduced, whole = delivered(database, contract), delivered(database, contract)
    decide(database, reduced, "reduce", [Cut("LINGE", 101, "Linge mouillé")])
    accept(database, whole)
    statement = close(database, contract)
    for format_ in ("cii", "ubl"):
        reading = kept_of(database, statement, format_)
        figures = reading.figures
        assert [(int(one[0] * 100), one[1], int(one[2])) for one in figures.allowances] == [(101, "S", 20)]
        assert said(reading.root, REASON, format_) == ["Linge mouillé"]
        assert said(reading.root, REASON_CODE, format_) == ["95"]
        assert [int(one * 100) for one in (figures.lines_total, figures.allowances_total, figures.net)] == [
            2520,
            101,
            2419,
        ]
    note = credit(database, statement, Asked(reduced, 1))
    assert int(Reading.of(kept(database, note, "ubl")).figures.net * 100) == note.net_cents == 1159
    assert use_of(database, contract).ceiling.invoiced_cents == 1260


def test_a_statement_from_before_is_credited_without_an_e_invoice(database: Database) -> None:
    statement, order_id = an_invoiced_leg(database)
    with database.transaction() as tx:
        tx.execute(delete(documents))
    note = credit(database, statement, Asked(order_id, 1))
    with database.view() as view:
        assert after_closing.get_note_document(view, note.id, "cii") is None


async def test_a_note_is_taken_with_the_same_bytes_each_time_and_logged(house: House) -> None:
    statement, order_id = an_invoiced_leg(house.database)
    note = credit(house.database, statement, Asked(order_id, 1, 500))
    taken = {
        "cii": ("invoice.xml", "application/xml", "avoir-erdre-2026-00002.cii.xml"),
        "ubl": ("invoice.xml?syntax=ubl", "application/xml", "avoir-erdre-2026-00002.ubl.xml"),
        "facturx": ("invoice.pdf", "application/pdf", "avoir-erdre-2026-00002.pdf"),
    }
    async with house.finance() as finance:
        for format_, (name, media_type, filename) in taken.items():
            path = f"/v1/credit-notes/{note.id}/{name}"
            first = await finance.get(path)
            assert first.status_code == 200, first.text
            again = await finance.get(path)
            unchanged = await finance.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.content, unchanged.status_code) == (first.content, 304)
            assert first.content == kept(house.database, note, format_)
            assert first.headers["content-type"] == media_type
            assert first.headers["content-disposition"] == f'attachment; filename="{filename}"'
        page = (await finance.get(f"/finances/etats/{statement.id}")).text
        for name, _, _ in taken.values():
            assert f"/v1/credit-notes/{note.id}/{name}".removesuffix("invoice.xml") in page
    _, xml = get_facturx_xml_from_pdf(kept(house.database, note, "facturx"), check_xsd=False)
    assert xml == kept(house.database, note, "cii")
    with house.database.view() as view:
        exports = queries.list_exports(view, statement.id, limit=10)
    assert [one.format for one in exports] == ["av-pdf", "av-pdf", "av-ubl", "av-ubl", "av-cii", "av-cii"]


async def test_a_note_without_an_e_invoice_says_so_and_others_see_none(house: House) -> None:
    statement, order_id = an_invoiced_leg(house.database)
    sent = credit(house.database, statement, Asked(order_id, 1, 500))
    say(house.database, statement, refused())
    with house.database.view() as view:
        inside = next(note for note in after_closing.list_credit_notes(view, Sight(), statement.id) if note.is_internal)
    async with house.finance() as finance, house.dispatcher(cooperative="loire") as other:
        for name in ("invoice.xml", "invoice.pdf"):
            answer = await finance.get(f"/v1/credit-notes/{inside.id}/{name}")
            assert (answer.status_code, answer.json()["code"]) == (404, "credit-invoice-not-found")
            assert (await other.get(f"/v1/credit-notes/{sent.id}/{name}")).status_code == 404
            assert (await finance.get(f"/v1/credit-notes/{statement.id}/{name}")).status_code == 404
        page = (await finance.get(f"/finances/etats/{statement.id}")).text
    assert f"/v1/credit-notes/{sent.id}/invoice.pdf" in page
    assert f"/v1/credit-notes/{inside.id}/" not in page


def test_a_pack_holds_the_notes_that_were_sent_in_all_their_forms(database: Database) -> None:
    statement, order_id = an_invoiced_leg(database)
    before = names_in_pack(database, statement)
    credit(database, statement, Asked(order_id, 1, 200))
    credit(database, statement, Asked(order_id, 1, 100))
    notes = {
        f"avoir{form}-erdre-2026-0000{number}.{extension}"
        for number in (2, 3)
        for form, extension in (("", "pdf"), ("-cii", "xml"), ("-ubl", "xml"))
    }
    assert names_in_pack(database, statement) == before | notes
    assert names_in_pack(database, statement) == before | notes


def test_what_the_paper_carries_for_a_service_is_named_like_the_invoice(database: Database) -> None:
    statement, _ = an_invoiced_leg(database, buyer=FOR_A_SERVICE)
    invoices = {name for name in names_in_pack(database, statement) if name.startswith("facture")}
    assert invoices == {
        "facture-erdre-2026-00001.pdf",
        *(f"facture-{form}-erdre-2026-00001.xml" for form in ("cii", "ubl", "fx")),
    }


def names_in_pack(database: Database, statement: Statement) -> set[str]:
    """Return the names of what a pack holds; each is there once and has the bytes its manifest tells."""
    with pack.pack(database, statement, at=DECEMBER_8).zipped() as (file, _), ZipFile(file) as archive:
        listed = json.loads(archive.read("manifeste.json"))["files"]
        assert all(sha256(archive.read(one["file"])).hexdigest() == one["sha256"] for one in listed)
        names = archive.namelist()[1:]
    assert sorted(names) == sorted(set(names)) == sorted(one["file"] for one in listed)
    return set(names)
