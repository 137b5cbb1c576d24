"""Prices follow published indices: what is held, what is billed, and what is corrected once the index is definitive."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.billing import documents, queries, use_cases
from services.billing.domain.contract import Contract
from services.billing.domain.errors import IndexUnknown, IndexValueDefinitive
from services.billing.domain.month import Month
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.domain.revision import CeilingBasis, IndexStatus, IndexWeight, RevisionTerms
from services.billing.domain.statement import Statement
from services.billing.queries import Sight
from services.billing.repository.revision import Revisions
from services.billing.use_cases import indices
from services.billing.use_cases.indices import Revalued
from services.kit.database import Database
from tests.billing.builders import (
    NOON,
    a_contract,
    a_leg_to_price,
    an_order,
    failed,
    handed_over,
    hold,
    register,
    settle,
)

NOVEMBER, DECEMBER, JANUARY = Month(2026, 11), Month(2026, 12), Month(2027, 1)
ZERO = Month(2025, 12)
PRICES = (PriceLine("COURSE", "Course", Unit.LEG, 945),)


def a_revised_contract(**changes: Any) -> Contract:
    terms = RevisionTerms(
        Decimal("0.15"), (IndexWeight("ICHT", Decimal("0.85")),), base_month=ZERO, first_month=Month(2026, 1)
    )
    return a_contract(revision=replace(terms, **changes))


def record(
    database: Database, month: Month, value: str, *, is_definitive: bool = True, at: datetime = NOON
) -> list[Revalued]:
    with database.transaction() as tx:
        _, revalued = indices.record_index_value(
            tx,
            "ICHT",
            month,
            Decimal(value),
            status=IndexStatus.DEFINITIVE if is_definitive else IndexStatus.PROVISIONAL,
            published_on=month.next.last_day,
            source="INSEE, valeur de démonstration",
            at=at,
        )
    return revalued


def deliver(database: Database, contract: Contract, count: int, day: date = date(2026, 11, 16), **changes: Any) -> None:
    for number in range(count):
        order = an_order(contract, legs=[a_leg_to_price(1, day, {})], reference=f"C-{number:03}", **changes)
        hold(database, order)
        settle(database, handed_over(order.id, occurred_at=datetime(day.year, day.month, day.day, 11, tzinfo=UTC)))


def close(database: Database, contract: Contract, month: Month) -> list[Statement]:
    after = datetime(month.next.year, month.next.number, 2, 9, tzinfo=UTC)
    with database.transaction() as tx:
        return list(use_cases.close_month(tx, contract.id, month, at=after).statements)


def is_balanced(database: Database, contract: Contract) -> bool:
    with database.view() as view:
        return queries.get_consumption(view, Sight(), contract.id).is_balanced


@pytest.mark.parametrize("basis", list(CeilingBasis))
@pytest.mark.parametrize(("decimals", "net"), [(4, 177_494), (2, 177_450)])
def test_example_d_is_what_the_statement_charges(
    either_database: Database, basis: CeilingBasis, decimals: int, net: int
) -> None:
    record(either_database, ZERO, "124.3")
    record(either_database, NOVEMBER, "128.9")
    contract = register(either_database, a_revised_contract(price_decimals=decimals, ceiling_basis=basis), PRICES)
    deliver(either_database, contract, 182)
    (statement,) = close(either_database, contract, NOVEMBER)
    (item,) = statement.items
    assert (item.quantity, item.coefficient, item.base_cents) == (182, "1.032", 171_990)
    assert item.revised_unit_price == ("9.7524" if decimals == 4 else "9.75")
    assert statement.net_cents == item.amount_cents == net
    assert not item.is_provisional
    with either_database.view() as view:
        use = queries.get_consumption(view, Sight(), contract.id)
        legs = queries.lines_of(view, statement.id)
        assert queries.get_statement(view, Sight(), statement.id) == statement
    assert use.is_balanced
    assert use.ceiling.invoiced_cents == (net if basis is CeilingBasis.REVISED else 171_990)
    assert sum(leg.due_cents for leg in legs) == net
    assert sum(part.amount_cents for part in statement.departments) == net


def test_example_e_is_regularised_on_the_next_statement_and_never_rewritten(either_database: Database) -> None:
    record(either_database, ZERO, "1000")
    record(either_database, Month(2026, 10), "1031.6")  # 0.15 + 0.85 x 1.0316 = 1.02686, up to 1.027
    contract = register(either_database, a_revised_contract(), PRICES)
    deliver(either_database, contract, 182)
    (first,) = close(either_database, contract, NOVEMBER)
    assert first.net_cents == 176_635
    assert first.items[0].is_provisional
    record(either_database, NOVEMBER, "1037.0")  # 1.03145, up to 1.032
    record(either_database, DECEMBER, "1037.0")
    deliver(either_database, contract, 1, date(2026, 12, 14))
    (second,) = close(either_database, contract, DECEMBER)
    correction = second.items[-1]
    assert (correction.code, correction.amount_cents, correction.vat_permille) == ("REGUL", 859, 200)
    assert correction.label == (
        f"Régularisation de l'état {first.number}, prix COURSE, coefficient de 2026-11 : 1,027 devient 1,032"
    )
    assert second.net_cents == 975 + 859
    assert second.taxes[0].tax_cents == 367
    with either_database.view() as view:
        assert queries.get_statement(view, Sight(), first.id) == first
        assert sum(leg.due_cents for leg in queries.lines_of(view, first.id)) == 176_635
        legs = queries.lines_of(view, first.id)
        corrected = [Revisions(view).of_leg(leg.order_id, leg.leg) for leg in legs]
    assert sum(part.amount_cents for parts in corrected for part in parts) == 859
    assert is_balanced(either_database, contract)
    (none, *_) = [*close(either_database, contract, JANUARY), None]
    assert none is None, "it is regularised once"


def test_a_regularisation_alone_makes_a_statement_and_may_give_back(database: Database) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1037.0")
    contract = register(database, a_revised_contract(), PRICES)
    deliver(database, contract, 182)
    close(database, contract, NOVEMBER)
    assert close(database, contract, DECEMBER) == [], "nothing is definitive yet"
    record(database, NOVEMBER, "1031.6", is_definitive=False)
    assert close(database, contract, JANUARY) == [], "a provisional value corrects nothing"
    record(database, NOVEMBER, "1031.6")
    (statement,) = close(database, contract, Month(2027, 2))
    assert (statement.net_cents, statement.legs) == (-859, 0)
    assert [part.amount_cents for part in statement.departments] == [-859]
    assert is_balanced(database, contract)


def test_what_is_held_follows_a_new_coefficient(database: Database) -> None:
    record(database, ZERO, "100")
    contract = register(database, a_revised_contract(), PRICES)
    order = an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 16), {})])
    hold(database, order)
    assert held_cents(database, contract) == 945
    (revalued,) = record(database, NOVEMBER, "110")  # 1.085 x 9.45 = 10.2533
    assert (revalued.legs, revalued.change_cents, revalued.short_cents) == (1, 80, 0)
    assert held_cents(database, contract) == 1025
    later = an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 17), {})])
    hold(database, later)
    assert held_cents(database, contract) == 2050
    assert is_balanced(database, contract)


def held_cents(database: Database, contract: Contract) -> int:
    with database.view() as view:
        return queries.get_consumption(view, Sight(), contract.id).ceiling.held_cents


def test_holds_at_base_price_do_not_move(database: Database) -> None:
    record(database, ZERO, "100")
    contract = register(database, a_revised_contract(ceiling_basis=CeilingBasis.BASE_PRICE), PRICES)
    hold(database, an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 16), {})]))
    assert record(database, NOVEMBER, "110") == [Revalued(contract.id, 0, 0, 0)]
    assert held_cents(database, contract) == 945


def test_a_coefficient_that_does_not_fit_leaves_the_maximum_unharmed(database: Database) -> None:
    record(database, ZERO, "100")
    contract = register(database, replace(a_revised_contract(), ceiling_cents=1990), PRICES)
    orders = [an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 16), {})]) for _ in range(2)]
    for order in orders:
        hold(database, order)
    (revalued,) = record(database, NOVEMBER, "110")
    assert (revalued.legs, revalued.change_cents, revalued.short_cents) == (1, 80, 80)
    for order in orders:
        settle(database, handed_over(order.id))
    (statement,) = close(database, contract, NOVEMBER)
    # 2 x 10.2533 = 20.51, of which 0.81 or 0.80 are beyond the maximum.
    assert statement.items[0].amount_cents == 2051
    (beyond,) = statement.allowances
    assert beyond.reason == "part de la révision au-delà du montant maximum (marché entier : reste 0,20\u00a0€)"
    assert beyond.amount_cents == 81
    assert statement.net_cents <= 1990
    assert statement.net_cents == 1970 == sum(part.amount_cents for part in statement.departments)
    assert is_balanced(database, contract)


def test_what_a_rule_charges_is_revised_too(database: Database) -> None:
    record(database, ZERO, "100")
    record(database, NOVEMBER, "110")
    contract = register(database, a_revised_contract(), PRICES)
    order = an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 16), {})])
    hold(database, order)
    settle(database, failed(order.id))
    (statement,) = close(database, contract, NOVEMBER)
    assert [(item.code, item.base_cents, item.amount_cents) for item in statement.items] == [("ECHEC", 473, 513)]
    assert is_balanced(database, contract)


def test_a_new_price_list_holds_at_the_same_coefficient(database: Database) -> None:
    record(database, ZERO, "100")
    record(database, NOVEMBER, "110")
    contract = register(database, a_revised_contract(), PRICES)
    hold(database, an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 16), {})]))
    dearer = (PriceLine("COURSE", "Course", Unit.LEG, 1000),)
    with database.transaction() as tx:
        use_cases.publish_price_list(tx, contract.id, valid_from=date(2026, 11, 1), lines=dearer, at=NOON)
    assert held_cents(database, contract) == 1085
    assert is_balanced(database, contract)


def test_a_contract_cannot_follow_an_index_that_nobody_recorded(database: Database) -> None:
    with pytest.raises(IndexUnknown):
        register(database, a_revised_contract())


def test_a_definitive_value_is_never_edited(database: Database) -> None:
    record(database, ZERO, "100", is_definitive=False)
    record(database, ZERO, "101", is_definitive=False)
    record(database, ZERO, "102")
    with pytest.raises(IndexValueDefinitive):
        record(database, ZERO, "103")


def test_the_csv_adds_up_to_what_the_statement_charges(database: Database) -> None:
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = register(database, a_revised_contract(), PRICES)
    deliver(database, contract, 3)
    close(database, contract, NOVEMBER)
    record(database, NOVEMBER, "1137.0")
    deliver(database, contract, 2, date(2026, 12, 14))
    (statement,) = close(database, contract, DECEMBER)
    with database.view() as view:
        legs = queries.lines_of(view, statement.id)
    rows = [row.split(";") for row in documents.as_csv(statement, legs).decode("utf-8-sig").splitlines()[1:]]
    amounts = [int(row[22].replace(",", "")) for row in rows]
    assert sum(amounts) == statement.net_cents
    assert [row[14] for row in rows] == ["COURSE", "REVISION", "COURSE", "REVISION", "REGUL"]
    assert "1,027 devient 1,117" in documents.as_html(statement, legs)
