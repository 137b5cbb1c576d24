"""Stories end to end in the database: hold, settle, publish prices, close; each exactly once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from services.billing import queries, use_cases
from services.billing.domain.charge import Charge, Outcome
from services.billing.domain.contract import Contract
from services.billing.domain.errors import (
    CeilingExceeded,
    ContractNotFound,
    HoldRefusedEarlier,
    LaterMonthClosed,
    LegUnknown,
    LoadNotPriced,
    MonthNotOver,
    PriceListDateTaken,
    PriceListTooLate,
    ReferenceTaken,
    SellerNotInContract,
)
from services.billing.domain.ledger import Account
from services.billing.domain.statement import Month
from services.billing.queries import ChargeFilter, Consumption, RefusedOrder, Sight
from services.billing.tables import balances, charges, ledger
from services.contracts.billing.v1 import events_pb2 as said_pb2
from services.kit.database import Database
from services.kit.errors import NotYet
from services.kit.events import outbox
from tests.billing.builders import (
    NOON,
    PRICES,
    a_contract,
    a_leg_to_price,
    an_order,
    cancelled,
    failed,
    handed_over,
    hold,
    lapsed,
    publish,
    register,
    settle,
)

EVERYTHING = Sight()
NOVEMBER = Month(2026, 11)
DECEMBER_6 = datetime(2026, 12, 6, 9, tzinfo=UTC)


@pytest.fixture
def contract(database: Database) -> Contract:
    return register(database, a_contract())


def consumption(database: Database, contract: Contract) -> Consumption:
    with database.view() as view:
        return queries.get_consumption(view, EVERYTHING, contract.id)


def charge(database: Database, order_id: str, leg: int = 1) -> Charge:
    with database.view() as view:
        found = queries.list_charges(view, EVERYTHING, ChargeFilter(order_id=order_id), limit=10)
    return next(one for one in found if one.leg == leg)


def refusals(database: Database, contract: Contract) -> list[RefusedOrder]:
    with database.view() as view:
        return queries.list_refusals(view, contract.id, limit=100)


def close(
    database: Database, contract: Contract, month: Month = NOVEMBER, *, at: datetime = DECEMBER_6
) -> use_cases.Closing:
    with database.transaction() as tx:
        return use_cases.close_month(tx, contract.id, month, at=at)


def said(database: Database) -> list[str]:
    with database.view() as view:
        return [pending.message.type.removeprefix("billing.v1.") for pending in outbox.pending(view, 1000)]


# -- contracts --------------------------------------------------------------------------------------------------------


def test_a_registered_contract_has_its_whole_ceiling_left(database: Database, contract: Contract) -> None:
    use = consumption(database, contract)
    assert use.contract == contract
    assert use.ceiling.left_cents == 9_000_000
    assert use.is_balanced
    assert said(database) == ["ContractRegistered"]


def test_a_buyer_has_a_reference_once(database: Database, contract: Contract) -> None:
    with pytest.raises(ReferenceTaken) as refused:
        register(database, a_contract(reference=contract.reference))
    assert refused.value.facts["contract_id"] == contract.id


def test_an_unknown_contract_has_no_prices(database: Database) -> None:
    with pytest.raises(ContractNotFound), database.transaction() as tx:
        publish(tx, a_contract(), date(2026, 1, 1))


# -- holds ------------------------------------------------------------------------------------------------------------


def test_an_order_is_held_leg_by_leg_by_the_prices_of_each_day(database: Database, contract: Contract) -> None:
    dearer = (replace(PRICES[0], unit_price_cents=1000), *PRICES[1:])
    with database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 20), dearer)
    order = an_order(contract, legs=[a_leg_to_price(1), a_leg_to_price(2, date(2026, 11, 20))])
    assert hold(database, order)
    assert (charge(database, order.id, 1).held_cents, charge(database, order.id, 2).held_cents) == (1260, 1360)
    assert charge(database, order.id, 2).estimate.price_list_version == 2
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.is_balanced) == (2620, True)
    assert said(database) == ["ContractRegistered", "AmountHeld"]


def test_an_order_placed_twice_is_held_once(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    assert hold(database, order)
    assert not hold(database, order)
    assert not hold(database, replace(order, reference="C-0002"))
    assert consumption(database, contract).ceiling.held_cents == 1260
    assert said(database).count("AmountHeld") == 1


def test_the_same_order_twice_in_one_transaction_is_held_once(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    with database.transaction() as tx:
        decisions = use_cases.book(tx, [order, order], [], at=NOON)
    assert [decision.is_held for decision in decisions] == [True]
    assert consumption(database, contract).is_balanced


def test_the_last_euro_goes_to_the_first_and_the_refusal_names_the_figures(database: Database) -> None:
    contract = register(database, a_contract(ceiling_cents=30_000))
    dear = a_leg_to_price(loads={"panneau": 100})
    assert hold(database, an_order(contract, legs=[dear]))
    assert not hold(database, an_order(contract, legs=[dear], reference="C-0002"))
    (refusal,) = refusals(database, contract)
    assert (refusal.code, refusal.reference) == ("ceiling-exceeded", "C-0002")
    assert (refusal.asked_cents, refusal.left_cents) == (21_400, 8_600)
    assert "Il faudrait" in refusal.reason


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"department_id": "police"}, "department-not-in-contract"),
        ({"legs": [a_leg_to_price(service_date=date(2028, 1, 1))]}, "date-outside-period"),
        ({"legs": [a_leg_to_price(loads={"piano": 1})]}, "load-not-priced"),
        ({"legs": [a_leg_to_price(loads={"panneau": -5})]}, "load-count-invalid"),
    ],
)
def test_an_order_the_contract_does_not_cover_is_refused_by_name(
    database: Database, contract: Contract, changes: dict[str, object], code: str
) -> None:
    order = an_order(contract, **changes)  # type: ignore[arg-type]
    assert not hold(database, order)
    assert not hold(database, order)
    assert [refusal.code for refusal in refusals(database, contract)] == [code]
    assert consumption(database, contract).ceiling.held_cents == 0
    assert said(database) == ["ContractRegistered", "HoldRefused"]


def test_a_contract_without_prices_holds_nothing(database: Database) -> None:
    contract = register(database, a_contract(), prices=None)
    assert not hold(database, an_order(contract))
    assert [refusal.code for refusal in refusals(database, contract)] == ["no-price-list"]


def test_an_order_under_an_unknown_contract_is_refused(database: Database) -> None:
    assert not hold(database, an_order(a_contract()))
    assert said(database) == ["HoldRefused"]


def test_several_reasons_are_told_together_the_first_one_counts(database: Database, contract: Contract) -> None:
    order = an_order(contract, department_id="police", legs=[a_leg_to_price(service_date=date(2028, 1, 1))])
    assert not hold(database, order)
    (refusal,) = refusals(database, contract)
    assert refusal.code == "department-not-in-contract"
    assert "« police »" in refusal.reason
    assert "01/01/2028" in refusal.reason


def test_one_order_does_not_spoil_its_neighbours(database: Database) -> None:
    contract = register(database, a_contract(ceiling_cents=2 * 1260))
    orders = [an_order(contract), an_order(contract, department_id="police"), an_order(contract), an_order(contract)]
    with database.transaction() as tx:
        decisions = use_cases.book(tx, orders, [], at=NOON)
    assert [decision.is_held for decision in decisions] == [True, False, True, False]
    assert consumption(database, contract).is_balanced


def test_an_alert_is_told_once_per_crossing(database: Database) -> None:
    contract = register(database, a_contract(ceiling_cents=4 * 1260))
    orders = [an_order(contract) for _ in range(4)]
    for order in orders[:3]:
        hold(database, order)
    assert said(database).count("CeilingNearlyReached") == 2  # 50 %, then 75 %
    settle(database, lapsed(orders[0].id))
    settle(database, lapsed(orders[1].id))
    hold(database, orders[3])
    assert said(database).count("CeilingNearlyReached") == 3  # 50 % again


# -- settlements ------------------------------------------------------------------------------------------------------


def test_a_hand_over_turns_the_hold_into_a_debt(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id, counted={"ballot-linge": 2}, proof_ids=("p",), note="à la loge"))
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.ceiling.owed_cents, use.is_balanced) == (0, 1140, True)
    settlement = charge(database, order.id).settlement
    assert settlement is not None
    assert (settlement.outcome, settlement.cooperative_id) == (Outcome.DELIVERED, "erdre")
    assert (settlement.proof_ids, settlement.note) == (("p",), "à la loge")
    assert said(database)[-1] == "LegSettled"


def test_the_first_fact_that_ends_a_leg_counts(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    settle(database, failed(order.id))
    for later in (failed(order.id), handed_over(order.id), cancelled(order.id, is_late=True), lapsed(order.id)):
        settle(database, later)
    assert charge(database, order.id).settlement.outcome is Outcome.FAILED_CHARGED  # type: ignore[union-attr]
    assert consumption(database, contract).ceiling.owed_cents == 630
    assert said(database).count("LegSettled") == 1


def test_of_two_facts_heard_together_the_first_counts(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    with database.transaction() as tx:
        use_cases.book(tx, [], [failed(order.id), handed_over(order.id)], at=NOON)
    assert consumption(database, contract).ceiling.owed_cents == 630
    assert said(database).count("LegSettled") == 1


def test_legs_end_each_on_their_own(database: Database, contract: Contract) -> None:
    order = an_order(contract, legs=[a_leg_to_price(1), a_leg_to_price(2)])
    hold(database, order)
    settle(database, handed_over(order.id, 2, cooperative_id="loire"))
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.ceiling.owed_cents) == (1260, 1260)
    settle(database, cancelled(order.id, 1))
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.ceiling.owed_cents, use.is_balanced) == (0, 1260, True)


def test_a_fact_about_an_order_nobody_heard_of_waits(database: Database, contract: Contract) -> None:
    with pytest.raises(NotYet):
        settle(database, handed_over(an_order(contract).id))


def test_a_fact_about_a_refused_order_is_refused(database: Database, contract: Contract) -> None:
    order = an_order(contract, department_id="police")
    hold(database, order)
    with pytest.raises(HoldRefusedEarlier):
        settle(database, handed_over(order.id))


def test_a_fact_about_a_leg_that_is_none_is_refused(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    with pytest.raises(LegUnknown):
        settle(database, handed_over(order.id, 2))


def test_a_stranger_cannot_sell(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    with pytest.raises(SellerNotInContract):
        settle(database, handed_over(order.id, cooperative_id="garonne"))
    assert charge(database, order.id).settlement is None
    assert consumption(database, contract).ceiling.held_cents == 1260


# -- price lists ------------------------------------------------------------------------------------------------------


def test_a_new_price_list_reprices_what_is_held_for_its_days(database: Database, contract: Contract) -> None:
    before = an_order(contract, legs=[a_leg_to_price(1, date(2026, 11, 30))])
    after = an_order(contract, legs=[a_leg_to_price(1, date(2026, 12, 1))])
    hold(database, before)
    hold(database, after)
    dearer = (replace(PRICES[0], unit_price_cents=1000), *PRICES[1:])
    with database.transaction() as tx:
        publish(tx, contract, date(2026, 12, 1), dearer)
    assert charge(database, before.id).held_cents == 1260
    assert charge(database, after.id).held_cents == 1360
    assert charge(database, after.id).estimate.price_list_version == 2
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.is_balanced) == (2620, True)
    settle(database, handed_over(after.id))
    assert consumption(database, contract).ceiling.owed_cents == 1360


def test_cheaper_prices_give_back(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    with database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 1), (replace(PRICES[0], unit_price_cents=100), *PRICES[1:]))
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.is_balanced) == (460, True)


def test_prices_that_would_break_the_ceiling_are_refused_whole(database: Database) -> None:
    contract = register(database, a_contract(ceiling_cents=1260))
    order = an_order(contract)
    hold(database, order)
    with pytest.raises(CeilingExceeded), database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 1), (replace(PRICES[0], unit_price_cents=901), *PRICES[1:]))
    assert charge(database, order.id).estimate.price_list_version == 1
    assert consumption(database, contract).is_balanced


def test_prices_that_forget_a_held_load_are_refused(database: Database, contract: Contract) -> None:
    hold(database, an_order(contract))
    with pytest.raises(LoadNotPriced), database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 1), PRICES[:1])


def test_prices_cannot_change_what_is_settled(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    with pytest.raises(PriceListTooLate, match="16/11/2026"), database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 16))
    with database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 17))


def test_a_day_starts_one_list(database: Database, contract: Contract) -> None:
    with pytest.raises(PriceListDateTaken), database.transaction() as tx:
        publish(tx, contract, contract.starts_on)


# -- closing ----------------------------------------------------------------------------------------------------------


def test_a_month_becomes_one_statement_per_seller(database: Database, contract: Contract) -> None:
    orders = [an_order(contract) for _ in range(3)]
    for order, cooperative_id in zip(orders, ("erdre", "loire", "erdre"), strict=True):
        hold(database, order)
        settle(database, handed_over(order.id, cooperative_id=cooperative_id))
    closing = close(database, contract)
    assert closing.is_new
    assert [(one.seller.id, one.number, one.legs, one.net_cents) for one in closing.statements] == [
        ("erdre", "2026-00001", 2, 2520),
        ("loire", "2026-00001", 1, 1260),
    ]
    use = consumption(database, contract)
    assert (use.ceiling.owed_cents, use.ceiling.invoiced_cents, use.is_balanced) == (0, 3780, True)
    assert charge(database, orders[0].id).statement_number == "2026-00001"
    assert said(database).count("StatementClosed") == 2


def test_a_month_is_closed_once(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    first = close(database, contract)
    settle_again = an_order(contract)
    hold(database, settle_again)
    settle(database, handed_over(settle_again.id))
    second = close(database, contract)
    assert not second.is_new
    assert second.statements == first.statements
    assert said(database).count("StatementClosed") == 1


def test_what_came_late_goes_to_the_next_month(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    close(database, contract)
    settle(database, handed_over(order.id, occurred_at=datetime(2026, 11, 28, 10, tzinfo=UTC)), at=DECEMBER_6)
    december = close(database, contract, Month(2026, 12), at=datetime(2027, 1, 6, tzinfo=UTC))
    (statement,) = december.statements
    assert (statement.legs, statement.first_day) == (1, date(2026, 11, 28))
    assert statement.number == "2027-00001"  # counted by the year it is issued in


def test_what_is_not_over_or_overtaken_is_not_closed(database: Database, contract: Contract) -> None:
    with pytest.raises(MonthNotOver):
        close(database, contract, at=datetime(2026, 11, 30, 22, 59, tzinfo=UTC))
    close(database, contract, at=datetime(2026, 11, 30, 23, 0, tzinfo=UTC))  # midnight in Paris
    with pytest.raises(LaterMonthClosed):
        close(database, contract, Month(2026, 10))


def test_legs_still_held_and_released_ones_are_no_part_of_it(database: Database, contract: Contract) -> None:
    waiting, released = an_order(contract), an_order(contract)
    hold(database, waiting)
    hold(database, released)
    settle(database, lapsed(released.id))
    closing = close(database, contract)
    assert closing.statements == ()
    use = consumption(database, contract)
    assert (use.ceiling.held_cents, use.is_balanced) == (1260, True)


def test_a_month_without_anything_burns_no_number(database: Database, contract: Contract) -> None:
    close(database, contract, Month(2026, 10), at=datetime(2026, 11, 6, tzinfo=UTC))
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    assert close(database, contract).statements[0].number == "2026-00001"


def test_a_seller_counts_across_contracts_and_each_year_from_one(database: Database) -> None:
    numbers = []
    for at in (DECEMBER_6, DECEMBER_6 + timedelta(days=1), datetime(2027, 1, 5, tzinfo=UTC)):
        contract = register(database, a_contract())
        order = an_order(contract)
        hold(database, order)
        settle(database, handed_over(order.id))
        numbers.append(close(database, contract, at=at).statements[0].number)
    assert numbers == ["2026-00001", "2026-00002", "2027-00001"]


def test_a_closing_that_fails_gives_its_number_back(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    with pytest.raises(RuntimeError), database.transaction() as tx:
        use_cases.close_month(tx, contract.id, NOVEMBER, at=DECEMBER_6)
        raise RuntimeError("the machine died before the commit")
    assert consumption(database, contract).ceiling.owed_cents == 1260
    assert close(database, contract).statements[0].number == "2026-00001"


def test_a_statement_keeps_its_parties_and_gauge(database: Database, contract: Contract) -> None:
    done, waiting = an_order(contract), an_order(contract)
    for order in (done, waiting):
        hold(database, order)
    settle(database, handed_over(done.id))
    (statement,) = close(database, contract).statements
    with database.view() as view:
        kept = queries.get_statement(view, EVERYTHING, statement.id)
    assert kept == statement
    assert (kept.buyer, kept.seller) == (contract.buyer, contract.lead)
    assert (kept.gauge.invoiced_cents, kept.gauge.held_cents, kept.gauge.left_cents) == (1260, 1260, 8_997_480)


# -- what keeps it true -----------------------------------------------------------------------------------------------


@pytest.fixture
def settled(database: Database, contract: Contract) -> Iterator[tuple[Database, Contract, str]]:
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    yield database, contract, order.id


def test_reconciliation_notices_a_cent_moved_behind_its_back(settled: tuple[Database, Contract, str]) -> None:
    database, contract, order_id = settled
    assert consumption(database, contract).is_balanced
    with database.transaction() as tx:
        tx.execute(update(charges).where(charges.c.order_id == order_id).values(amount_cents=1259))
    assert not consumption(database, contract).is_balanced


def test_every_entry_says_why_and_which_leg(settled: tuple[Database, Contract, str]) -> None:
    database, _, order_id = settled
    with database.view() as view:
        rows = view.execute(select(ledger).order_by(ledger.c.id)).all()
    assert [(row.source, row.target, row.amount_cents, row.cause, row.order_id, row.leg) for row in rows] == [
        (Account.CEILING, Account.AVAILABLE, 9_000_000, "contract", "", 0),
        (Account.AVAILABLE, Account.HELD, 1260, "orders.v1.OrderPlaced", order_id, 1),
        (Account.HELD, Account.OWED, 1260, "dispatch.v1.StopCompleted", order_id, 1),
    ]


def test_the_database_itself_refuses_to_pass_the_ceiling(either_database: Database) -> None:
    contract = register(either_database, a_contract(ceiling_cents=1000))
    with pytest.raises(IntegrityError), either_database.transaction() as tx:
        tx.execute(update(balances).where(balances.c.contract_id == contract.id).values(held_cents=1001))


def test_a_day_in_the_life_is_the_same_on_both_databases(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    orders = [an_order(contract, legs=[a_leg_to_price(1), a_leg_to_price(2)]) for _ in range(4)]
    for order in orders:
        hold(either_database, order)
        settle(either_database, handed_over(order.id, 1))
    settle(either_database, failed(orders[0].id, 2))
    settle(either_database, cancelled(orders[1].id, 2, is_late=True))
    settle(either_database, lapsed(orders[2].id, 2))
    closing = close(either_database, contract)
    assert [(one.legs, one.net_cents, one.tax_cents) for one in closing.statements] == [(6, 5985, 1197)]
    use = consumption(either_database, contract)
    assert (use.ceiling.held_cents, use.ceiling.invoiced_cents, use.is_balanced) == (1260, 5985, True)
    assert [(part.held_cents, part.invoiced_cents) for part in use.departments] == [(1260, 5985), (0, 0)]
    (closed,) = closing.statements
    with either_database.view() as view:
        assert [line.leg for line in queries.lines_of(view, closed.id)].count(1) == 4


def test_events_name_their_key(database: Database, contract: Contract) -> None:
    order = an_order(contract)
    hold(database, order)
    with database.view() as view:
        registered, held = (pending.message for pending in outbox.pending(view, 10))
    assert (registered.subject, held.subject) == (contract.id, order.id)
    event = said_pb2.AmountHeld.FromString(held.data)
    assert (event.amount_cents, event.left_cents) == (1260, 9_000_000 - 1260)
