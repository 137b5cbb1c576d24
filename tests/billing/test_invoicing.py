"""A month is closed with its e-invoices or not at all; they are printed afterwards, taken, and never written again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
from facturx import get_facturx_xml_from_pdf
from sqlalchemy import delete

from services.billing import queries, use_cases
from services.billing.documents.invoice import Profile
from services.billing.documents.issue import issue
from services.billing.documents.month import invoice_of, missing
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal, validate
from services.billing.domain.contract import Buyer, BuyerKind, Contract, Cooperative
from services.billing.domain.errors import InvoiceDataMissing, InvoiceNotValid
from services.billing.domain.invoicing import DirectoryEntry, VatRegime
from services.billing.domain.statement import Month, Statement
from services.billing.jobs import close_due_months, print_invoices
from services.billing.queries import Sight
from services.billing.tables import documents
from services.billing.use_cases.parties import complete_parties
from services.kit import clock
from services.kit.database import Database
from tests.billing.api.test_contracts import BODY
from tests.billing.builders import (
    BUYER,
    ERDRE,
    LOIRE,
    a_contract,
    a_leg_to_price,
    an_order,
    failed,
    handed_over,
    hold,
    register,
    settle,
)
from tests.billing.conftest import NOW, House

BARE_BUYER = Buyer(BUYER.name, BUYER.siret)
BARE_ERDRE = Cooperative(ERDRE.id, ERDRE.name, ERDRE.siret, ERDRE.address)
FOR_A_SERVICE = replace(BUYER, service_code="FIN-44", directory_entries=(DirectoryEntry(date(2026, 1, 5), True, True),))
IN_FRANCHISE = replace(ERDRE, vat_regimes=(VatRegime(date(2020, 1, 1), "", "CGI, art. 293 B"),))


@pytest.fixture(autouse=True)
def real_clock() -> Iterator[None]:
    yield
    clock.reset()


def with_legs(database: Database, contract: Contract) -> Contract:
    """Register a contract whose lead handed a leg over, failed at one by the requester's cause, and used a trailer."""
    register(database, contract)
    orders = [
        an_order(contract, reference="C-1"),
        an_order(contract, reference="C-2"),
        an_order(contract, reference="C-3", legs=[a_leg_to_price(loads={"pied-panneau": 2}, needs_trailer=True)]),
    ]
    for order in orders:
        hold(database, order)
    settle(database, handed_over(orders[0].id))
    settle(database, failed(orders[1].id))
    settle(database, handed_over(orders[2].id))
    return contract


def close(database: Database, contract: Contract, month: Month = Month(2026, 11)) -> Statement:
    with database.transaction() as tx:
        (statement,) = use_cases.close_month(tx, contract.id, month, at=NOW).statements
    return statement


def kept(database: Database, statement: Statement, format_: str) -> bytes:
    with database.view() as view:
        document = queries.get_document(view, statement.id, format_)
    assert document is not None
    assert document.sha256 == sha256(document.content).hexdigest()
    assert "factur-x 7" in document.made_with
    return document.content


@pytest.mark.parametrize("buyer", [BUYER, FOR_A_SERVICE], ids=["plain", "service code"])
@pytest.mark.parametrize("seller", [ERDRE, IN_FRANCHISE], ids=["liable", "franchise"])
def test_a_closed_month_keeps_invoices_that_pass_every_layer(
    either_database: Database, buyer: Buyer, seller: Cooperative
) -> None:
    contract = with_legs(either_database, a_contract(buyer=buyer, cooperatives=(seller,)))
    statement = close(either_database, contract)
    formats = ["cii", "ubl", *["fx-xml"] * (buyer is FOR_A_SERVICE)]
    for format_ in formats:
        content = kept(either_database, statement, format_)
        assert fatal(validate(content)) == []
        reading = Reading.of(content)
        assert (reading.one("BT-1"), reading.one("BT-122")) == ("2026-00001", "BL-2026-00001")
        figures = reading.figures
        assert int(figures.net * 100) == statement.net_cents
        assert int(figures.tax * 100) == statement.tax_cents == (0 if seller is IN_FRANCHISE else 628)
    with either_database.view() as view:
        assert (queries.get_document(view, statement.id, "fx-xml") is None) == (buyer is BUYER)


def test_what_a_rule_charges_is_a_lump_sum_line(database: Database) -> None:
    invoice = invoice_of(close(database, with_legs(database, a_contract(cooperatives=(ERDRE,)))))
    assert [(line.code, line.unit_code, str(line.quantity), line.amount_cents) for line in invoice.lines] == [
        ("COURSE", "C62", "2", 1800),
        ("ECHEC", "LS", "1", 630),
        ("LINGE", "C62", "3", 360),
        ("PIED", "C62", "2", 0),
        ("REMORQUE", "C62", "1", 350),
    ]
    assert invoice.profile is Profile.EN16931
    assert (invoice.issued_on, invoice.due_on) == (date(2026, 12, 2), date(2027, 1, 1))


def test_a_hospital_has_longer_to_pay_and_reads_so(database: Database) -> None:
    buyer = replace(BUYER, kind=BuyerKind.HOSPITAL)
    invoice = invoice_of(close(database, with_legs(database, a_contract(buyer=buyer, cooperatives=(ERDRE,)))))
    assert invoice.due_on == date(2027, 1, 21)
    assert "50 jours" in invoice.payment_terms


def test_a_change_of_regime_counts_from_its_day(database: Database) -> None:
    became_liable = VatRegime(date(2026, 11, 17), ERDRE.vat_regimes[0].vat_number, "CGI, art. 293 B, I")
    seller = replace(ERDRE, vat_regimes=(*IN_FRANCHISE.vat_regimes, became_liable))
    contract = register(database, a_contract(cooperatives=(seller,)))
    for day in (date(2026, 11, 16), date(2026, 11, 17)):
        order = an_order(contract, legs=[a_leg_to_price(service_date=day)])
        hold(database, order)
        settle(database, handed_over(order.id))
    statement = close(database, contract)
    assert [(tax.permille, tax.base_cents, tax.tax_cents) for tax in statement.taxes] == [
        (200, 1260, 252),
        (0, 1260, 0),
    ]
    assert fatal(validate(kept(database, statement, "cii"))) == []
    assert fatal(validate(kept(database, statement, "ubl"))) == []


def test_a_contract_without_invoicing_data_is_used_but_its_month_is_not_closed(either_database: Database) -> None:
    contract = with_legs(either_database, a_contract(buyer=BARE_BUYER, cooperatives=(BARE_ERDRE,)))
    with pytest.raises(InvoiceDataMissing) as refused:
        close(either_database, contract)
    assert refused.value.facts["missing"] == [
        "adresse postale de l'acheteur Ville de Nantes (démonstration)",
        "consultation de l'annuaire pour l'acheteur Ville de Nantes (démonstration)",
        "adresse postale de Les Coursiers de l'Erdre",
        "forme juridique de Les Coursiers de l'Erdre",
        "IBAN de Les Coursiers de l'Erdre",
        "régime de TVA de Les Coursiers de l'Erdre",
    ]
    with either_database.view() as view:
        assert queries.list_statements(view, Sight(), limit=10) == []
        assert queries.latest_closed(view, contract.id) is None
        assert queries.get_consumption(view, Sight(), contract.id).is_balanced
    with either_database.transaction() as tx:
        complete_parties(tx, contract.id, buyer=BUYER, cooperatives=(ERDRE,))
    statement = close(either_database, contract)
    assert statement.number == "2026-00001"
    assert fatal(validate(kept(either_database, statement, "ubl"))) == []


def test_what_the_directory_demanded_after_registering_is_asked_for_at_closing(database: Database) -> None:
    contract = with_legs(database, a_contract(cooperatives=(ERDRE,)))
    statement = close(database, contract)
    asks = replace(BUYER, engagement_number="", directory_entries=FOR_A_SERVICE.directory_entries)
    assert missing(replace(statement, buyer=asks)) == [
        "code service, exigé par l'annuaire",
        "numéro d'engagement, exigé par l'annuaire",
    ]


def test_no_vat_outside_a_franchise_has_no_reason(database: Database) -> None:
    statement = close(database, with_legs(database, a_contract(cooperatives=(ERDRE,))))
    untaxed = replace(statement, items=tuple(replace(item, vat_permille=0) for item in statement.items))
    assert missing(untaxed) == ["taux de TVA : Les Coursiers de l'Erdre n'est pas en franchise"]


def test_a_finding_blocks_the_closing_and_uses_no_number(either_database: Database) -> None:
    long_name = replace(ERDRE, name="N" * 100)
    contract = with_legs(either_database, a_contract(cooperatives=(long_name,)))
    with pytest.raises(InvoiceNotValid) as refused:
        close(either_database, contract)
    assert "BT-27 a 100 caractères" in refused.value.detail
    other = with_legs(either_database, a_contract(cooperatives=(ERDRE,)))
    assert close(either_database, other).number == "2026-00001"
    with either_database.view() as view:
        assert queries.latest_closed(view, contract.id) is None


def test_one_sellers_fault_leaves_the_others_number_free_too(database: Database) -> None:
    contract = register(database, a_contract(cooperatives=(ERDRE, replace(LOIRE, iban=""))))
    for seller_id in ("erdre", "loire"):
        order = an_order(contract)
        hold(database, order)
        settle(database, handed_over(order.id, cooperative_id=seller_id))
    with pytest.raises(InvoiceDataMissing):
        close(database, contract)
    assert close(database, with_legs(database, a_contract(cooperatives=(ERDRE,)))).number == "2026-00001"


def test_amounts_that_are_not_the_invoices_are_not_issued(database: Database) -> None:
    invoice = invoice_of(close(database, with_legs(database, a_contract(cooperatives=(ERDRE,)))))
    wrong = replace(invoice, lines=(replace(invoice.lines[0], amount_cents=1801), *invoice.lines[1:]))
    with pytest.raises(InvoiceNotValid) as refused:
        issue(wrong)
    assert "BT-131" in refused.value.detail


def test_a_contract_that_cannot_be_invoiced_does_not_stop_the_others(database: Database) -> None:
    bare = with_legs(database, a_contract(cooperatives=(BARE_ERDRE,), starts_on=date(2026, 11, 1)))
    with_legs(database, a_contract(cooperatives=(ERDRE,), starts_on=date(2026, 11, 1)))
    clock.set_now(datetime(2026, 12, 6, 12, tzinfo=UTC))
    summary = close_due_months(database, delay_days=5)
    assert (summary["months"], summary["statements"]) == (1, 1)
    assert isinstance(summary["refused"], dict)
    assert list(summary["refused"]) == [bare.id]
    assert "IBAN" in summary["refused"][bare.id]


def test_invoices_are_printed_ahead_once_with_the_xml_that_was_kept(database: Database) -> None:
    statements = [
        close(database, with_legs(database, a_contract(buyer=buyer, cooperatives=(ERDRE,))))
        for buyer in (BUYER, FOR_A_SERVICE)
    ]
    assert print_invoices(database) == {"printed": 2}
    assert print_invoices(database) == {"printed": 0}
    for statement, carried in zip(statements, ("cii", "fx-xml"), strict=True):
        _, xml = get_facturx_xml_from_pdf(kept(database, statement, "facturx"), check_xsd=False)
        assert xml == kept(database, statement, carried)


async def test_an_invoice_is_taken_with_the_same_bytes_each_time_and_logged(house: House) -> None:
    statement = close(house.database, with_legs(house.database, a_contract(cooperatives=(ERDRE,))))
    taken = {
        "cii": ("invoice.xml", "application/xml", "facture-erdre-2026-00001.cii.xml"),
        "ubl": ("invoice.xml?syntax=ubl", "application/xml", "facture-erdre-2026-00001.ubl.xml"),
        "facturx": ("invoice.pdf", "application/pdf", "facture-erdre-2026-00001.pdf"),
    }
    async with house.finance() as finance:
        for format_, (name, media_type, filename) in taken.items():
            path = f"/v1/statements/{statement.id}/{name}"
            first = await finance.get(path)
            assert first.status_code == 200, first.text
            again = await finance.get(path)
            unchanged = await finance.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.content, unchanged.status_code) == (first.content, 304)
            assert first.content == kept(house.database, statement, format_)
            assert first.headers["content-type"] == media_type
            assert first.headers["content-disposition"] == f'attachment; filename="{filename}"'
        assert (await finance.get(f"/v1/statements/{statement.id}/invoice.xml?syntax=xr")).status_code == 422
    with house.database.view() as view:
        exports = queries.list_exports(view, statement.id, limit=10)
    assert [one.format for one in exports] == ["facturx", "facturx", "ubl", "ubl", "cii", "cii"]


async def test_an_invoice_is_shown_to_those_who_may_see_its_statement_only(house: House) -> None:
    statement = close(house.database, with_legs(house.database, a_contract(cooperatives=(ERDRE,))))
    async with house.dispatcher(cooperative="loire") as other:
        for name in ("invoice.xml", "invoice.pdf"):
            assert (await other.get(f"/v1/statements/{statement.id}/{name}")).status_code == 404
    async with house.dispatcher(cooperative="erdre") as own:
        assert (await own.get(f"/v1/statements/{statement.id}/invoice.xml")).status_code == 200


async def test_a_statement_from_before_has_no_invoice_and_says_so(house: House) -> None:
    statement = close(house.database, with_legs(house.database, a_contract(cooperatives=(ERDRE,))))
    with house.database.transaction() as tx:
        tx.execute(delete(documents))
    async with house.finance() as finance:
        for name in ("invoice.xml", "invoice.pdf"):
            answer = await finance.get(f"/v1/statements/{statement.id}/{name}")
            assert (answer.status_code, answer.json()["code"]) == (404, "invoice-not-found")
        assert (await finance.get(f"/v1/statements/{statement.id}.csv")).status_code == 200
    assert print_invoices(house.database) == {"printed": 0}


async def test_the_finance_page_says_what_is_missing_before_anybody_closes(house: House) -> None:
    register(house.database, a_contract(buyer=BARE_BUYER, cooperatives=(BARE_ERDRE,)))
    async with house.finance() as finance:
        page = (await finance.get("/finances")).text
    assert "Aucun mois ne peut être clos" in page
    assert "IBAN de Les Coursiers de l&#39;Erdre" in page


async def test_the_finance_page_offers_the_invoice(house: House) -> None:
    statement = close(house.database, with_legs(house.database, a_contract(cooperatives=(ERDRE,))))
    async with house.finance() as finance:
        for path in ("/finances", f"/finances/etats/{statement.id}"):
            page = (await finance.get(path)).text
            assert f"/v1/statements/{statement.id}/invoice.pdf" in page
            assert f"/v1/statements/{statement.id}/invoice.xml?syntax=ubl" in page


INVOICING = {
    "postal_address": {"lines": ["4 quai de Versailles"], "postcode": "44000", "city": "Nantes", "country_code": "FR"},
    "legal_form": "SCIC SA à capital variable",
    "share_capital": "",
    "vat_regimes": [{"valid_from": "2014-01-01", "vat_number": "FR74900000100", "source": "CGI, art. 256"}],
    "iban": "FR7630001007941234567890185",
    "bic": "BDFEFRPPCCT",
    "contact": {"name": "Facturation", "phone": "+33200000000", "email": "factures@erdre.example"},
}
DIRECTORY = {
    "postal_address": {
        "lines": ["2 rue de l'Hôtel-de-Ville"],
        "postcode": "44094",
        "city": "Nantes",
        "country_code": "FR",
    },
    "directory_entries": [
        {"looked_up_on": "2026-01-05", "demands_service_code": False, "demands_engagement_number": True}
    ],
}


async def test_a_contract_is_registered_with_what_invoices_need(house: House) -> None:
    body = {**BODY, "buyer": {**BODY["buyer"], **DIRECTORY}}
    body["cooperatives"] = [{**BODY["cooperatives"][0], **INVOICING}]
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=body)
        assert answer.status_code == 201, answer.text
        read = (await admin.get(answer.headers["location"])).json()
    assert {key: read["cooperatives"][0][key] for key in INVOICING} == INVOICING
    assert {key: read["buyer"][key] for key in DIRECTORY} == DIRECTORY


async def test_all_that_is_wrong_with_invoicing_data_comes_back_together(house: House) -> None:
    demands = {"looked_up_on": "2026-01-05", "demands_service_code": True, "demands_engagement_number": True}
    body = {**BODY, "buyer": {**BODY["buyer"], "siret": "90000030800017", "engagement_number": ""}}
    body["buyer"]["directory_entries"] = [demands, demands]
    wrong = {"iban": "FR7630001007941234567890186", "bic": "BDFE"}
    wrong_vat = [{"valid_from": "2014-01-01", "vat_number": "FR00900000100", "source": "CGI"}] * 2
    body["cooperatives"] = [{**BODY["cooperatives"][0], **wrong, "vat_regimes": wrong_vat}]
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=body)
    assert answer.status_code == 422
    assert {(fault["code"], fault["pointer"]) for fault in answer.json()["errors"]} == {
        ("siret-invalid", "/buyer/siret"),
        ("date-twice", "/buyer/directory_entries/1/looked_up_on"),
        ("service-code-missing", "/buyer/service_code"),
        ("engagement-number-missing", "/buyer/engagement_number"),
        ("iban-invalid", "/cooperatives/0/iban"),
        ("bic-invalid", "/cooperatives/0/bic"),
        ("vat-number-invalid", "/cooperatives/0/vat_regimes/0/vat_number"),
        ("vat-number-invalid", "/cooperatives/0/vat_regimes/1/vat_number"),
        ("date-twice", "/cooperatives/0/vat_regimes/1/valid_from"),
    }


async def test_a_registered_contract_is_completed_and_then_its_month_is_closed(house: House) -> None:
    contract = with_legs(house.database, a_contract(buyer=BARE_BUYER, cooperatives=(BARE_ERDRE,)))
    path = f"/v1/contracts/{contract.id}"
    async with house.finance() as finance, house.administrator() as admin:
        refused = await finance.post(f"{path}/closings", json={"month": "2026-11"})
        assert (refused.status_code, refused.json()["code"]) == (409, "invoice-data-missing")
        assert (await finance.put(f"{path}/parties", json={})).status_code == 403
        data = {
            "buyer": {"engagement_number": "EJ-1", **DIRECTORY},
            "cooperatives": [{"id": "erdre", **INVOICING}],
        }
        completed = await admin.put(f"{path}/parties", json=data)
        assert completed.status_code == 200, completed.text
        assert completed.json()["cooperatives"][0]["siret"] == ERDRE.siret
        assert (await admin.get(path)).json() == completed.json()
        unknown = {"cooperatives": [{"id": "autre", **INVOICING}]}
        assert (await admin.put(f"{path}/parties", json=unknown)).json()["code"] == "seller-not-in-contract"
        closed = await finance.post(f"{path}/closings", json={"month": "2026-11"})
        assert (closed.status_code, closed.json()["statements"][0]["number"]) == (201, "2026-00001")
