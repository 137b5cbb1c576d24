"""A leg at revised prices lives like any other: cut, credited, billed anew, refused, under every maximum, replayed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from services.billing import documents, pack, queries, use_cases
from services.billing.documents.facturx import pdf_findings
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal, validate
from services.billing.domain.acceptance import Decider
from services.billing.domain.ceiling import Ceiling
from services.billing.domain.charge import Charge, Cut
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import Asked, CreditNote
from services.billing.domain.errors import NothingToBillAnew
from services.billing.domain.invoicing import VatRegime
from services.billing.domain.month import Month
from services.billing.domain.revision import CeilingBasis
from services.billing.domain.statement import Statement
from services.billing.domain.status import Status, ToldStatus
from services.billing.domain.structure import Decision, Period, Structure
from services.billing.queries import Sight
from services.billing.queries.scopes import list_scopes
from services.billing.repository import Documents
from services.billing.tables import metadata
from services.billing.use_cases import acceptance
from services.billing.use_cases import credit_notes as crediting
from services.billing.use_cases.invoicing import print_invoice
from services.billing.use_cases.statuses import hear_status
from services.kit.database import Database
from tests.billing.builders import (
    ERDRE,
    LIABLE_SINCE,
    LOIRE,
    a_leg_to_price,
    an_order,
    handed_over,
    hear,
    hold,
    order_placed,
    register,
    settle,
    stop_completed,
)
from tests.billing.test_revision import (
    DECEMBER,
    JANUARY,
    NOVEMBER,
    PRICES,
    ZERO,
    a_revised_contract,
    close,
    deliver,
    held_cents,
    is_balanced,
    record,
)

FEBRUARY = Month(2027, 2)
LATER = datetime(2027, 1, 20, 9, tzinfo=UTC)
MARIE = Decider("finances", "Marie, finances")
BOTH = list(CeilingBasis)
LIABLE = ERDRE.vat_regimes
FRANCHISE = (VatRegime(LIABLE_SINCE, "", "CGI, art. 293 B"),)


def one_leg(database: Database, contract: Contract, day: date = date(2026, 11, 16)) -> str:
    order = an_order(contract, legs=[a_leg_to_price(1, day, {})])
    hold(database, order)
    settle(database, handed_over(order.id, occurred_at=datetime(day.year, day.month, day.day, 11, tzinfo=UTC)))
    return order.id


def credit(
    database: Database, statement: Statement, asked: Sequence[Asked], *, at: datetime = LATER, anew: bool = False
) -> CreditNote:
    with database.transaction() as tx:
        return crediting.credit(tx, statement.id, asked, reason="Erreur", is_billed_anew=anew, at=at)


def refuse(database: Database, statement: Statement) -> None:
    with database.transaction() as tx:
        hear_status(tx, statement.id, ToldStatus("r", Status.REFUSED, LATER, reason="Motif"), at=LATER)


def bill_anew(database: Database, statement: Statement, *, at: datetime = LATER) -> Statement:
    with database.transaction() as tx:
        return crediting.bill_anew(tx, statement.id, at=at)


def lines(database: Database, statement: Statement) -> list[Charge]:
    with database.view() as view:
        return queries.lines_of(view, statement.id)


def ceiling_of(database: Database, contract: Contract) -> Ceiling:
    assert is_balanced(database, contract)
    with database.view() as view:
        return queries.get_consumption(view, Sight(), contract.id).ceiling


def invoice_of(database: Database, statement: Statement) -> Reading:
    """Judge both kept syntaxes by every layer, and read one of them."""
    with database.view() as view:
        kept = [Documents(view).get(statement.id, format_) for format_ in ("cii", "ubl")]
    for document in kept:
        assert document is not None
        assert not fatal(validate(document.content))
    assert kept[0] is not None
    return Reading.of(kept[0].content)


@pytest.mark.parametrize("regimes", [LIABLE, FRANCHISE], ids=["liable", "franchise"])
@pytest.mark.parametrize(("definitive", "change"), [("1037.0", 859), ("1026.0", -859)])
def test_every_e_invoice_with_revision_passes_all_layers(
    database: Database, regimes: tuple[VatRegime, ...], definitive: str, change: int
) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = replace(a_revised_contract(), cooperatives=(replace(ERDRE, vat_regimes=regimes), LOIRE))
    register(database, contract, PRICES)
    deliver(database, contract, 182)
    (first,) = close(database, contract, NOVEMBER)
    billed = invoice_of(database, first).figures
    assert (billed.lines[0].price, billed.net) == (Decimal("9.7052"), Decimal("1766.35"))
    record(database, NOVEMBER, definitive)
    one_leg(database, contract, date(2026, 12, 14))
    (second,) = close(database, contract, DECEMBER)
    assert second.items[-1].code == "REGUL"
    corrected = invoice_of(database, second).figures.lines[-1]
    assert corrected.price >= 0, "BR-27"
    if change > 0:
        assert (second.items[-1].amount_cents, corrected.quantity) == (859, Decimal(1))
    else:
        assert second.items[-1].amount_cents < 0
        assert corrected.quantity == -1
    credit(database, first, [Asked(lines(database, first)[0].order_id, 1)])
    assert is_balanced(database, contract)


@pytest.mark.parametrize("regimes", [LIABLE, FRANCHISE], ids=["liable", "franchise"])
@pytest.mark.parametrize(("provisional", "definitive", "net"), [("1031.6", "1037.0", 859), ("1037.0", "1031.6", -859)])
def test_a_regularisation_alone_is_an_e_invoice(
    database: Database, regimes: tuple[VatRegime, ...], provisional: str, definitive: str, net: int
) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), provisional)
    contract = replace(a_revised_contract(), cooperatives=(replace(ERDRE, vat_regimes=regimes), LOIRE))
    register(database, contract, PRICES)
    deliver(database, contract, 182)
    close(database, contract, NOVEMBER)
    record(database, NOVEMBER, definitive)
    (statement,) = close(database, contract, DECEMBER)
    assert (statement.net_cents, statement.legs) == (net, 0)
    figures = invoice_of(database, statement).figures
    assert figures.net == Decimal(net) / 100
    assert lines(database, statement) == []


@pytest.mark.parametrize("basis", BOTH)
def test_a_price_cut_is_taken_off_the_revised_amount(database: Database, basis: CeilingBasis) -> None:
    record(database, ZERO, "100")
    record(database, NOVEMBER, "110")  # 10.2533
    contract = register(database, a_revised_contract(ceiling_basis=basis), PRICES)
    order_id = one_leg(database, contract)
    with database.transaction() as tx:
        charge = acceptance.lock(tx, order_id, 1)
        acceptance.reduce(tx, charge, [Cut("COURSE", 200, "Sac déchiré")], by=MARIE, at=LATER)
    (statement,) = close(database, contract, NOVEMBER)
    assert (statement.items[0].amount_cents, statement.allowances[0].amount_cents) == (1025, 200)
    assert statement.net_cents == 825
    assert ceiling_of(database, contract).invoiced_cents == (825 if basis is CeilingBasis.REVISED else 745)
    invoice_of(database, statement)


def test_a_cut_is_never_more_than_the_revised_price(database: Database) -> None:
    record(database, ZERO, "100")
    contract = register(database, a_revised_contract(ceiling_basis=CeilingBasis.BASE_PRICE), PRICES)
    order_id = one_leg(database, contract)
    with database.transaction() as tx:
        charge = acceptance.lock(tx, order_id, 1)
        acceptance.reduce(tx, charge, [Cut("COURSE", 940, "Presque tout")], by=MARIE, at=LATER)
    record(database, NOVEMBER, "50")  # 0.575 x 9.45 = 5.43
    (statement,) = close(database, contract, NOVEMBER)
    assert (statement.items[0].amount_cents, statement.allowances[0].amount_cents) == (543, 543)
    assert ceiling_of(database, contract).invoiced_cents == 5


@pytest.mark.parametrize("basis", BOTH)
def test_a_credit_note_gives_back_what_was_billed_with_its_regularisation(
    either_database: Database, basis: CeilingBasis
) -> None:
    record(either_database, ZERO, "1000")
    record(either_database, Month(2026, 10), "1031.6")
    contract = register(either_database, a_revised_contract(ceiling_basis=basis), PRICES)
    order_id = one_leg(either_database, contract)
    (first,) = close(either_database, contract, NOVEMBER)
    assert first.net_cents == 971
    record(either_database, NOVEMBER, "1137.0")  # 1.117 x 9.45 = 10.5557
    (second,) = close(either_database, contract, DECEMBER)
    assert second.net_cents == 1056 - 971
    part = credit(either_database, first, [Asked(order_id, 1, 400)])
    whole = credit(either_database, first, [Asked(order_id, 1)])
    assert (part.net_cents, whole.net_cents) == (400, 656)
    assert ceiling_of(either_database, contract).invoiced_cents == 0
    assert sum(leg.due_cents for leg in lines(either_database, first)) == first.net_cents, "as it was closed"


def test_what_was_credited_whole_is_not_regularised(database: Database) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = register(database, a_revised_contract(), PRICES)
    gone, kept = one_leg(database, contract), one_leg(database, contract)
    (first,) = close(database, contract, NOVEMBER)
    credit(database, first, [Asked(gone, 1)], at=datetime(2026, 12, 10, tzinfo=UTC))
    record(database, NOVEMBER, "1137.0")
    (second,) = close(database, contract, DECEMBER)
    with database.view() as view:
        by_order = {
            leg.order_id: leg.revised for leg in queries.list_charges(view, Sight(), queries.ChargeFilter(), limit=9)
        }
    assert [by_order[order_id].corrected_cents for order_id in (gone, kept)] == [0, second.net_cents]  # type: ignore[union-attr]
    assert second.net_cents in (84, 85)
    assert ceiling_of(database, contract).invoiced_cents in (1055, 1056)


@pytest.mark.parametrize("basis", BOTH)
def test_a_leg_billed_anew_has_the_coefficient_now_in_force(database: Database, basis: CeilingBasis) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = register(database, a_revised_contract(ceiling_basis=basis), PRICES)
    order_id = one_leg(database, contract)
    (first,) = close(database, contract, NOVEMBER)
    credit(database, first, [Asked(order_id, 1)], anew=True)
    before = ceiling_of(database, contract)
    assert before.owed_cents == (971 if basis is CeilingBasis.REVISED else 945)
    record(database, NOVEMBER, "1137.0")
    anew = bill_anew(database, first, at=datetime(2027, 3, 1, tzinfo=UTC))
    assert (anew.net_cents, anew.items[0].coefficient) == (1056, "1.117")
    assert ceiling_of(database, contract).invoiced_cents == (1056 if basis is CeilingBasis.REVISED else 945)
    assert [leg.due_cents for leg in lines(database, first)] == [971], "the old one stays as it was"
    assert [leg.due_cents for leg in lines(database, anew)] == [1056]
    assert close(database, contract, FEBRUARY) == [], "what was taken off is not regularised"
    invoice_of(database, anew)


def test_a_refused_statement_gives_its_regularisation_to_the_one_that_replaces_it(database: Database) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = register(database, a_revised_contract(), PRICES)
    one_leg(database, contract)
    close(database, contract, NOVEMBER)
    record(database, NOVEMBER, "1137.0")
    (second,) = close(database, contract, DECEMBER)
    refuse(database, second)
    anew = bill_anew(database, second)
    assert (anew.net_cents, anew.items, anew.legs) == (second.net_cents, second.items, 0)
    assert ceiling_of(database, contract).invoiced_cents == 1056
    with pytest.raises(NothingToBillAnew):
        bill_anew(database, second)
    assert close(database, contract, JANUARY) == []


@pytest.mark.parametrize("basis", BOTH)
def test_what_was_regularised_before_its_statement_was_refused_is_not_billed_twice(
    database: Database, basis: CeilingBasis
) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = register(database, a_revised_contract(ceiling_basis=basis), PRICES)
    one_leg(database, contract)
    (first,) = close(database, contract, NOVEMBER)
    record(database, NOVEMBER, "1137.0")
    (second,) = close(database, contract, DECEMBER)
    assert (first.net_cents, second.net_cents) == (971, 85)
    refuse(database, first)
    before = ceiling_of(database, contract)
    assert before.owed_cents == (1056 if basis is CeilingBasis.REVISED else 945)
    anew = bill_anew(database, first, at=datetime(2027, 3, 1, tzinfo=UTC))
    assert [item.amount_cents for item in anew.items] == [1056, -85]
    assert second.net_cents + anew.net_cents == 1056
    assert ceiling_of(database, contract).invoiced_cents == before.owed_cents
    credit(database, anew, [Asked(lines(database, anew)[0].order_id, 1)], at=datetime(2027, 3, 2, tzinfo=UTC))
    assert ceiling_of(database, contract).invoiced_cents == 0
    invoice_of(database, anew)


def test_a_revision_moves_the_scopes_of_the_original_delivery(database: Database) -> None:
    first = Period(1, date(2026, 1, 1), date(2026, 11, 30), 2_000, Decision.FIRM)
    then = Period(2, date(2026, 12, 1), date(2027, 12, 31), 9_000, Decision.TACIT)
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = replace(a_revised_contract(), structure=Structure((first, then), (), ()), ceiling_cents=11_000)
    register(database, contract, PRICES)
    one_leg(database, contract)
    one_leg(database, contract)
    close(database, contract, NOVEMBER)
    record(database, NOVEMBER, "1137.0")  # 21.11 together, in a period of 20.00
    one_leg(database, contract, date(2026, 12, 14))
    (second,) = close(database, contract, DECEMBER)
    item = second.items[-1]
    assert item.amount_cents <= 2_000 - 1_941
    assert "non facturés, part de la révision au-delà du montant maximum (" in item.label
    assert "reste 0," in item.label
    with database.view() as view:
        uses = list_scopes(view, contract)
    assert all(use.is_balanced for use in uses)
    assert uses[0].scope.invoiced_cents == 1_941 + item.amount_cents
    assert uses[1].scope.invoiced_cents == second.net_cents - item.amount_cents
    invoice_of(database, second)


def test_topics_replayed_into_an_empty_database_give_the_same_bytes(database: Database, tmp_path: Path) -> None:
    """Indices are commands as contracts are: given again with the instants at which they were recorded."""
    contract = a_revised_contract()
    orders = [an_order(contract, legs=[a_leg_to_price(1, loads={})], reference=f"C-{number}") for number in range(5)]
    placed, done = [order_placed(order) for order in orders], [stop_completed(order.id) for order in orders]
    copy = Database(f"sqlite:///{tmp_path}/copy.db", metadata)
    copy.upgrade()
    seen = []
    for one in (database, copy):
        record(one, ZERO, "1000")
        record(one, Month(2026, 10), "1031.6")
        if one is copy:
            record(one, NOVEMBER, "1037.0", at=datetime(2026, 12, 20, tzinfo=UTC))
        register(one, contract, PRICES)
        hear(one, *(placed if one is database else placed[::-1] * 2))
        hear(one, *(done if one is database else done[::-1] * 2))
        (first,) = close(one, contract, NOVEMBER)
        if one is database:
            record(one, NOVEMBER, "1037.0", at=datetime(2026, 12, 20, tzinfo=UTC))
        (second,) = close(one, contract, DECEMBER)
        with one.view() as view:
            kept = [Documents(view).get(statement.id, "cii") for statement in (first, second)]
        seen.append(([document.content for document in kept if document], ceiling_of(one, contract).invoiced_cents))
    copy.dispose()
    assert len(seen[0][0]) == 2
    assert seen[0] == seen[1]


def test_a_value_published_between_hold_and_delivery_is_the_price(database: Database) -> None:
    record(database, ZERO, "100")
    contract = register(database, a_revised_contract(), PRICES)
    order = an_order(contract, legs=[a_leg_to_price(1, loads={})])
    hold(database, order)
    record(database, NOVEMBER, "110")
    settle(database, handed_over(order.id))
    assert held_cents(database, contract) == 0
    assert ceiling_of(database, contract).owed_cents == 1025


def test_the_last_regularisation_is_closed_by_schedule_after_the_contract(database: Database) -> None:
    record(database, ZERO, "1000")
    contract = register(database, replace(a_revised_contract(), ends_on=date(2026, 11, 30)), PRICES)
    one_leg(database, contract)
    close(database, contract, NOVEMBER)
    at = datetime(2027, 1, 20, tzinfo=UTC)
    with database.transaction() as tx:
        assert use_cases.next_due(tx, contract.id, delay_days=5, at=at) is None
    record(database, NOVEMBER, "1137.0")
    with database.transaction() as tx:
        assert use_cases.next_due(tx, contract.id, delay_days=5, at=at) == DECEMBER


@pytest.mark.parametrize(("provisional", "definitive"), [("1031.6", "1037.0"), ("1037.0", "1031.6")])
def test_a_month_that_only_corrects_has_a_whole_pack(database: Database, provisional: str, definitive: str) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), provisional)
    contract = register(database, a_revised_contract(), PRICES)
    deliver(database, contract, 40)
    close(database, contract, NOVEMBER)
    record(database, NOVEMBER, definitive)
    (statement,) = close(database, contract, DECEMBER)
    names = [entry.name.partition("-")[0] for entry in pack.pack(database, statement, at=LATER).entries]
    assert set(names) == {"co2", "consommation", "etat", "facture", "livraisons", "revision"}
    with database.view() as view:
        printed = print_invoice(view, statement)
        kept = Documents(view).get(statement.id, "cii")
    assert kept is not None
    assert not pdf_findings(printed, kept.content)
    page = documents.as_html(statement, [])
    assert "régularisation d'états antérieurs, sans trajet" in page
    assert page.count("prix COURSE, coefficient de 2026-11") == 1
