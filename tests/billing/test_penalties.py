"""Penalties from events to a payment, over HTTP and on the page; never an item of a statement. Advances too."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.billing import use_cases
from services.billing.documents.penalties import as_html
from services.billing.documents.reading import Reading
from services.billing.documents.validation import fatal, validate
from services.billing.domain.advance import AdvanceTerms
from services.billing.domain.charge import Amendment
from services.billing.domain.contract import Contract
from services.billing.domain.penalty import Penalty
from services.billing.domain.penalty_terms import PenaltyRule, PenaltyTerms, Trigger
from services.billing.domain.statement import Month, Statement
from services.billing.domain.status import Status, ToldStatus
from services.billing.queries import Sight, get_document
from services.billing.queries.after_closing import payment_of
from services.billing.queries.penalties import get_statement
from services.billing.use_cases import penalties as penal
from services.billing.use_cases.credit_notes import bill_anew
from services.billing.use_cases.statuses import hear_status
from services.kit import clock
from services.kit.database import Database
from tests.billing.builders import (
    NOON,
    a_contract,
    an_order,
    hear,
    hold,
    order_placed,
    register,
    settle,
    stamp,
    stop_completed,
)
from tests.billing.builders import handed_over as handed
from tests.billing.conftest import House

NOVEMBER = Month(2026, 11)
START = date(2026, 1, 1)
TERMS = PenaltyTerms(
    (
        PenaltyRule("RETARD", "Plus de 30 minutes de retard", Trigger.LATE, START, amount_cents=500, grace_minutes=30),
        PenaltyRule("MANQUEE", "Livraison manquée", Trigger.MISSED, START, amount_cents=1500),
    ),
)


def a_late_leg(database: Database, contract: Contract, *, minutes: int = 45, cooperative_id: str = "erdre") -> str:
    order = an_order(contract)
    leg = replace(order.legs[0], promised_until=NOON)
    hold(database, replace(order, legs=(leg,), placed_at=NOON, event_id="placed"))
    late = NOON + timedelta(minutes=minutes)
    settle(database, handed(order.id, occurred_at=late, cooperative_id=cooperative_id, event_id="done"), at=late)
    return order.id


def close(database: Database, contract: Contract, month: Month = NOVEMBER) -> list[Statement]:
    after = datetime(month.next.year, month.next.number, 2, 9, tzinfo=UTC)
    with database.transaction() as tx:
        return list(use_cases.close_month(tx, contract.id, month, at=after).statements)


def penalties_of(database: Database, contract: Contract, month: Month = NOVEMBER) -> tuple[Penalty, ...]:
    with database.view() as view:
        return get_statement(view, Sight(), contract.id, month).penalties


def test_closing_computes_penalties_and_the_statement_knows_nothing_of_them(either_database: Database) -> None:
    contract = register(either_database, a_contract(penalties=TERMS))
    a_late_leg(either_database, contract)
    (statement,) = close(either_database, contract)
    (penalty,) = penalties_of(either_database, contract)
    assert (penalty.computed_cents, penalty.minutes_late, penalty.rule_code) == (500, 45, "RETARD")
    assert [source.event_id for source in penalty.sources] == ["placed", "done"]
    assert [item.code for item in statement.items] == ["COURSE", "LINGE"]
    assert statement.net_cents == 1260
    assert close(either_database, contract) == [statement]
    assert penalties_of(either_database, contract) == (penalty,), "closing again computes nothing again"


def test_what_was_promised_anew_is_what_counts(database: Database) -> None:
    contract = register(database, a_contract(penalties=TERMS))
    order = an_order(contract)
    placed = order_placed(order)
    placed.legs[0].drop.window_end.CopyFrom(stamp(NOON - timedelta(hours=2)))
    clock.set_now(NOON)
    try:
        hear(database, placed)
        hear(database, stop_completed(order.id))
        with database.transaction() as tx:
            amendment = Amendment(order.id, {1: NOON}, NOON - timedelta(days=3), event_id="amended")
            use_cases.book(tx, [], [], [amendment], at=NOON)
    finally:
        clock.reset()
    close(database, contract)
    assert penalties_of(database, contract) == ()


def test_a_month_heard_of_late_is_assessed_with_the_next(database: Database) -> None:
    contract = register(database, a_contract(penalties=TERMS))
    close(database, contract)
    a_late_leg(database, contract)
    close(database, contract, Month(2026, 12))
    assert len(penalties_of(database, contract, Month(2026, 12))) == 1


async def test_a_penalty_goes_from_notice_to_payment(house: House) -> None:
    contract = register(house.database, a_contract(penalties=TERMS))
    a_late_leg(house.database, contract)
    close(house.database, contract)
    path = f"/v1/contracts/{contract.id}/penalties?month=2026-11"
    async with house.finance() as finance, house.dispatcher(cooperative="erdre") as erdre:
        (told,) = (await finance.get(path)).json()["penalties"]
        step = f"/v1/penalties/{told['id']}"
        await finance.post(f"{step}/notification", json={})
        early = await finance.post(f"{step}/decision", json={"decision": "confirmed", "text": "Vu."})
        answer = {"text": "Gardien absent.", "cause": "buyer-absent", "evidence": ["photo p-7"]}
        contested = await erdre.post(f"{step}/contestation", json=answer)
        reduced = await finance.post(
            f"{step}/decision", json={"decision": "reduced", "text": "Moitié.", "amount": "2.50"}
        )
        await finance.post(f"{step}/application", json={"payment": "2026-12"})
        after = (await finance.get(path)).json()
        again = await finance.post(f"{step}/decision", json={"decision": "waived", "text": "Trop tard."})
        lines = (await finance.get(f"/v1/contracts/{contract.id}/penalties.csv?month=2026-11")).text.splitlines()
        paper = await finance.get(f"/v1/contracts/{contract.id}/penalties.pdf?month=2026-11")
        page = (await finance.get(f"/finances/contrats/{contract.id}/penalites?mois=2026-11")).text
        assert "Pénalités de novembre 2026" in (await finance.get("/finances")).text
    assert (early.status_code, early.json()["code"]) == (409, "penalty-decision-too-early")
    assert (contested.status_code, contested.json()["steps"][-1]["evidence"]) == (201, ["photo p-7"])
    assert reduced.json()["amount"] == "2.50"
    assert (after["penalties"][0]["status"], after["total_due"], after["to_apply"]) == ("applied", "2.50", "0.00")
    assert (again.status_code, again.json()["code"]) == (409, "penalty-step-refused")
    assert lines[1].split(";")[16:21] == ["5,00", "appliquée", "2,50", "2,50", "2026-12"]
    assert (paper.headers["content-type"], paper.content[:5]) == ("application/pdf", b"%PDF-")
    assert "45 min de retard" in page
    assert "Gardien absent." in page


async def test_a_cooperative_sees_and_answers_its_own_alone(house: House) -> None:
    contract = register(house.database, a_contract(penalties=TERMS))
    a_late_leg(house.database, contract)
    close(house.database, contract)
    path = f"/v1/contracts/{contract.id}/penalties?month=2026-11"
    (penalty,) = penalties_of(house.database, contract)
    async with house.dispatcher(cooperative="loire") as loire, house.dispatcher(cooperative="autre") as other:
        assert (await loire.get(path)).json()["penalties"] == []
        assert (await other.get(path)).status_code == 404
        body = {"text": "Pas nous.", "cause": "other"}
        assert (await loire.post(f"/v1/penalties/{penalty.id}/contestation", json=body)).status_code == 404
        assert (await loire.post(f"/v1/penalties/{penalty.id}/notification", json={})).status_code == 403
    async with house.finance(buyer="90000010000017") as stranger:
        assert (await stranger.get(path)).status_code == 404


async def test_finance_notifies_and_decides_on_the_page(house: House) -> None:
    contract = register(house.database, a_contract(penalties=replace(TERMS, answer_days=0)))
    a_late_leg(house.database, contract)
    close(house.database, contract)
    (penalty,) = penalties_of(house.database, contract)
    async with house.finance() as finance:
        await finance.post(f"/finances/penalites/{penalty.id}/notification")
        form = {"decision": "waived", "text": "Première fois."}
        answer = await finance.post(f"/finances/penalites/{penalty.id}/decision", data=form)
    assert answer.status_code == 303
    assert [step.status.value for step in penalties_of(house.database, contract)[0].steps] == ["notified", "waived"]


async def test_a_contract_without_penalties_says_so(house: House) -> None:
    contract = register(house.database, a_contract())
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/contracts/{contract.id}/penalties?month=2026-11")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-penalty-terms")


@pytest.mark.parametrize(("ceiling_cents", "prepaid_cents"), [(10_000, 0), (1800, 240), (1260, 600)])
def test_an_advance_is_taken_back_without_an_item(database: Database, ceiling_cents: int, prepaid_cents: int) -> None:
    advance = AdvanceTerms(600, date(2026, 2, 1), from_percent=60, to_percent=85)
    contract = register(database, a_contract(advance=advance, ceiling_cents=ceiling_cents))
    a_late_leg(database, contract, minutes=0)
    (statement,) = close(database, contract)
    assert (statement.prepaid_cents, statement.due_cents) == (prepaid_cents, 1512 - prepaid_cents)
    assert statement.gross_cents == 1512


def test_an_advance_is_taken_back_once(database: Database) -> None:
    advance = AdvanceTerms(600, date(2026, 2, 1), from_percent=10, to_percent=20)
    contract = register(database, a_contract(advance=advance, ceiling_cents=5000))
    a_late_leg(database, contract, minutes=0)
    (first,) = close(database, contract)
    a_late_leg(database, contract, minutes=0)
    (second,) = close(database, contract, Month(2026, 12))
    assert (first.prepaid_cents, second.prepaid_cents) == (600, 0)


def test_what_was_paid_in_advance_is_told_on_the_invoice_and_is_no_longer_due(database: Database) -> None:
    advance = AdvanceTerms(600, date(2026, 2, 1), from_percent=10, to_percent=20)
    contract = register(database, a_contract(advance=advance, ceiling_cents=5000))
    a_late_leg(database, contract, minutes=0)
    (statement,) = close(database, contract)
    with database.view() as view:
        for format_ in ("cii", "ubl"):
            document = get_document(view, statement.id, format_)
            assert document is not None
            assert fatal(validate(document.content)) == []
            figures = Reading.of(document.content).figures
            assert (figures.gross, figures.prepaid, figures.due) == (Decimal("15.12"), Decimal(6), Decimal("9.12"))
        clock_of = payment_of(view, Sight(), statement.id, on=date(2026, 12, 3))
    assert clock_of.principal_cents == 912
    assert statement.net_cents == 1260


def test_what_a_refused_statement_took_back_of_an_advance_its_correction_takes_back(database: Database) -> None:
    advance = AdvanceTerms(600, date(2026, 2, 1), from_percent=10, to_percent=20)
    contract = register(database, a_contract(advance=advance, ceiling_cents=5000))
    a_late_leg(database, contract, minutes=0)
    (statement,) = close(database, contract)
    later = datetime(2026, 12, 8, 9, tzinfo=UTC)
    with database.transaction() as tx:
        hear_status(tx, statement.id, ToldStatus("s-1", Status.REFUSED, later, "", "Service inconnu"), at=later)
    with database.transaction() as tx:
        corrected = bill_anew(tx, statement.id, at=later)
    assert (statement.prepaid_cents, corrected.prepaid_cents) == (600, 600)
    a_late_leg(database, contract, minutes=0)
    (next_one,) = close(database, contract, Month(2026, 12))
    assert next_one.prepaid_cents == 0


def test_the_statement_on_paper_says_facts_steps_and_what_is_to_be_deducted(database: Database) -> None:
    contract = register(database, a_contract(penalties=replace(TERMS, cap_permille=100)))
    a_late_leg(database, contract)
    close(database, contract)
    (penalty,) = penalties_of(database, contract)
    with database.transaction() as tx:
        penal.notify(tx, penalty.id, text="Voir le relevé.", by="Léa Martin", at=NOON + timedelta(days=20))
    with database.view() as view:
        page = as_html(get_statement(view, Sight(), contract.id, NOVEMBER), on=date(2026, 12, 7))
    words = " ".join(re.sub(r"<[^>]+>", " ", page.replace("\u202f", " ").replace("\xa0", " ")).split())
    for told in (
        "État liquidatif des pénalités novembre 2026, arrêté au 07/12/2026",
        "Les Coursiers de l'Erdre, SIRET 90000010000017",
        "10 % du montant maximum du marché, soit 9 000,00 €",
        "promis jusqu'au 16/11/2026 à 13:00, remis le 16/11/2026 à 13:45 : 45 min de retard",
        "notifiée le 06/12/2026, Léa Martin : Voir le relevé.",
        "Total à déduire 5,00 €",
        "hors TVA, hors montant maximum du marché",
    ):
        assert told in words.replace("&#39;", "'"), told
    assert "Vélo-Cargo Loire" not in words


def test_the_statement_of_a_month_without_penalties_says_so(database: Database) -> None:
    contract = register(database, a_contract(penalties=TERMS))
    close(database, contract)
    with database.view() as view:
        page = as_html(get_statement(view, Sight(), contract.id, NOVEMBER), on=date(2026, 12, 7))
    assert "Aucune pénalité pour ce mois." in page
