"""What is cut, credited or taken back returns to every scope of the original delivery, whatever day it is."""

import json
from datetime import UTC, date, datetime

import pytest

from services.billing.documents import consumption
from services.billing.domain.acceptance import Decider
from services.billing.domain.charge import Cut
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import Asked
from services.billing.domain.statement import Month
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.billing.queries.scopes import list_scopes
from services.billing.use_cases import acceptance
from services.billing.use_cases.parties import complete_parties
from services.contracts.billing.v1 import events_pb2 as said_pb2
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
from tests.billing.test_month import bill_anew, close, close_all, credit, refused, say
from tests.billing.test_scopes import said, standing

STRUCTURE = Structure(
    (
        Period(1, date(2026, 1, 1), date(2026, 12, 31), 20_00, Decision.FIRM),
        Period(2, date(2027, 1, 1), date(2027, 12, 31), 50_00, Decision.TACIT),
    ),
    (Lot(1, "Linge", "64120000", 50_00), Lot(2, "Reste", "64120000", 50_00, load_kinds=("caisse",))),
    (Budget(30_00, "proprete", 2026), Budget(30_00, "proprete", 2027)),
)
IN_2026 = ("period:1", "lot:1", "budget:proprete:2026")
ALL_OF_2027 = ("period:2", "lot:2", "budget:proprete:2027")
MARIE = Decider("finances", "Marie, finances")
NEXT_YEAR = datetime(2027, 1, 20, 9, tzinfo=UTC)
DECEMBER = Month(2026, 12)
JANUARY_8 = datetime(2027, 1, 8, 9, tzinfo=UTC)


@pytest.fixture
def contract(either_database: Database) -> Contract:
    return register(either_database, a_contract(ceiling_cents=50_00, structure=STRUCTURE))


def delivered(database: Database, contract: Contract, day: date = date(2026, 12, 30)) -> str:
    """Hold and deliver 12.60 of a day; what is delivered is settled the day before the month ends."""
    order = an_order(contract, legs=[a_leg_to_price(service_date=day)])
    assert hold(database, order)
    settle(database, handed_over(order.id, occurred_at=datetime(2026, 12, 30, 10, tzinfo=UTC)))
    return order.id


def committed(database: Database, contract: Contract) -> set[int]:
    """Return what the scopes of the delivery of 2026 have committed, one figure when they agree; 2027 has nothing."""
    stands = standing(database, contract)
    assert {stands[key][0] for key in ALL_OF_2027} == {0}
    return {stands[key][0] for key in ("", *IN_2026)}


def figures(database: Database, contract: Contract, key: str) -> tuple[int, int, int]:
    with database.view() as view:
        (scope,) = (part.scope for part in list_scopes(view, contract) if part.scope.key == key)
    return scope.held_cents, scope.owed_cents, scope.invoiced_cents


def test_a_price_cut_of_the_new_year_goes_back_to_the_old_period(either_database: Database, contract: Contract) -> None:
    order_id = delivered(either_database, contract)
    with either_database.transaction() as tx:
        charge = acceptance.lock(tx, order_id, 1)
        acceptance.reduce(tx, charge, [Cut("COURSE", 2_60, "Retard")], by=MARIE, at=NEXT_YEAR)
    assert committed(either_database, contract) == {10_00}
    assert figures(either_database, contract, "period:1") == (0, 10_00, 0)
    statement = close(either_database, contract, DECEMBER, at=NEXT_YEAR)
    assert statement.net_cents == 10_00
    assert figures(either_database, contract, "period:1") == (0, 0, 10_00)


def test_a_rejected_leg_leaves_every_scope(either_database: Database, contract: Contract) -> None:
    order_id = delivered(either_database, contract)
    with either_database.transaction() as tx:
        acceptance.reject(tx, acceptance.lock(tx, order_id, 1), "Perdu", by=MARIE, at=NEXT_YEAR)
    assert committed(either_database, contract) == {0}


def test_a_credit_of_the_new_year_goes_back_to_the_old_period(either_database: Database, contract: Contract) -> None:
    order_id = delivered(either_database, contract)
    statement = close(either_database, contract, DECEMBER, at=JANUARY_8)
    credit(either_database, statement, Asked(order_id, 1, 5_00), at=NEXT_YEAR)
    assert committed(either_database, contract) == {7_60}
    credit(either_database, statement, Asked(order_id, 1), at=NEXT_YEAR)
    assert committed(either_database, contract) == {0}


def test_a_level_of_a_scope_is_told_again_after_a_credit(either_database: Database, contract: Contract) -> None:
    """12.60 of the period's 20.00 is above 50 %; credited and ordered again it is so once more."""
    order_id = delivered(either_database, contract)
    statement = close(either_database, contract, DECEMBER, at=JANUARY_8)
    credit(either_database, statement, Asked(order_id, 1), at=NEXT_YEAR)
    assert hold(either_database, an_order(contract, legs=[a_leg_to_price(service_date=date(2026, 12, 30))]))
    told = [
        one.threshold_percent
        for one in said(either_database, said_pb2.CeilingNearlyReached)
        if isinstance(one, said_pb2.CeilingNearlyReached) and one.scope_key == "period:1"
    ]
    assert told == [50, 50]


def test_what_is_billed_anew_stays_committed_in_its_scopes(either_database: Database, contract: Contract) -> None:
    order_id = delivered(either_database, contract)
    statement = close(either_database, contract, DECEMBER, at=JANUARY_8)
    credit(either_database, statement, Asked(order_id, 1), is_billed_anew=True, at=NEXT_YEAR)
    assert figures(either_database, contract, "period:1") == (0, 12_60, 0)
    bill_anew(either_database, statement, at=NEXT_YEAR)
    assert committed(either_database, contract) == {12_60}
    assert figures(either_database, contract, "period:1") == (0, 0, 12_60)


def test_a_refused_statement_is_owed_again_in_every_scope(either_database: Database, contract: Contract) -> None:
    order_id = delivered(either_database, contract)
    statement = close(either_database, contract, DECEMBER, at=JANUARY_8)
    assert say(either_database, statement, refused(), at=NEXT_YEAR)
    for key in IN_2026:
        assert figures(either_database, contract, key) == (0, 12_60, 0)
    corrected = bill_anew(either_database, statement, at=NEXT_YEAR)
    for key in IN_2026:
        assert figures(either_database, contract, key) == (0, 0, 12_60)
    credit(either_database, corrected, Asked(order_id, 1), at=NEXT_YEAR)
    assert committed(either_database, contract) == {0}


def test_the_closing_freezes_every_scope_and_the_consumption_lists_them(
    either_database: Database, contract: Contract
) -> None:
    delivered(either_database, contract)
    assert hold(either_database, an_order(contract, legs=[a_leg_to_price(service_date=date(2027, 2, 1))]))
    (statement,) = close_all(either_database, contract, DECEMBER, at=JANUARY_8)
    told = json.loads(consumption.as_json(statement))["scopes"]
    assert [(one["id"], one["invoiced"], one["held"], one["left"]) for one in told] == [
        ("contract", "12.60", "12.60", "24.80"),
        ("period:1", "12.60", "0.00", "7.40"),
        ("period:2", "0.00", "12.60", "37.40"),
        ("lot:1", "12.60", "12.60", "24.80"),
        ("lot:2", "0.00", "0.00", "50.00"),
        ("budget:proprete:2026", "12.60", "0.00", "17.40"),
        ("budget:proprete:2027", "0.00", "12.60", "17.40"),
    ]
    assert len(consumption.as_csv(statement).splitlines()) == 1 + len(told)
    page = consumption.as_html(statement)
    assert "Période ferme : 63,00 % consommés" in page
    assert "Reconduction n° 1 : 25,20 % consommés" in page


def test_completed_parties_leave_the_parts_of_a_contract_alone(either_database: Database, contract: Contract) -> None:
    delivered(either_database, contract)
    with either_database.transaction() as tx:
        assert complete_parties(tx, contract.id, buyer=BUYER, cooperatives=(ERDRE,)).structure == STRUCTURE
    assert committed(either_database, contract) == {12_60}
