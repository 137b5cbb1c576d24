"""Who comes at the same time waits: the ceiling holds, numbers have no gap, a month is closed once, nobody dies."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from threading import Barrier
from typing import TypeVar

from services.billing import queries, use_cases
from services.billing.domain.errors import PriceListTooLate
from services.billing.domain.statement import Month
from services.billing.queries import Sight
from services.kit.database import Database
from tests.billing.builders import (
    ERDRE,
    LOIRE,
    NOON,
    a_contract,
    an_order,
    failed,
    handed_over,
    hear,
    hold,
    order_placed,
    publish,
    register,
    settle,
    stop_completed,
)

T = TypeVar("T")
NOVEMBER = Month(2026, 11)
DECEMBER_6 = datetime(2026, 12, 6, 9, tzinfo=UTC)
ORDER_CENTS = 1260


class Killed(Exception):
    pass


def die_if(is_hit: bool) -> None:
    if is_hit:
        raise Killed


def at_once(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run all of them at the same moment, each in a thread of its own."""
    start = Barrier(len(tasks))

    def run(task: Callable[[], T]) -> T:
        start.wait(10)
        return task()

    with ThreadPoolExecutor(len(tasks)) as threads:
        return [future.result(60) for future in [threads.submit(run, task) for task in tasks]]


def test_two_orders_for_the_last_euro(either_database: Database) -> None:
    for _ in range(10):
        contract = register(either_database, a_contract(ceiling_cents=2 * ORDER_CENTS - 1))
        orders = [an_order(contract) for _ in range(2)]
        held = at_once([partial(hold, either_database, order) for order in orders])
        assert sorted(held) == [False, True]


def test_twenty_orders_for_the_room_of_five(either_database: Database) -> None:
    contract = register(either_database, a_contract(ceiling_cents=5 * ORDER_CENTS + 7))
    orders = [an_order(contract) for _ in range(20)]
    held = at_once([partial(hold, either_database, order) for order in orders])
    assert held.count(True) == 5
    with either_database.view() as view:
        use = queries.get_consumption(view, Sight(), contract.id)
    assert (use.ceiling.left_cents, use.is_balanced) == (7, True)


def test_a_leg_that_two_consumers_settle_is_settled_once(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    for _ in range(5):
        order = an_order(contract)
        hold(either_database, order)
        facts = [handed_over(order.id), failed(order.id), handed_over(order.id), failed(order.id)]
        at_once([partial(settle, either_database, fact) for fact in facts])
    with either_database.view() as view:
        use = queries.get_consumption(view, Sight(), contract.id)
    assert use.is_balanced
    assert use.ceiling.owed_cents in {full * 1260 + (5 - full) * 630 for full in range(6)}


def test_transactions_over_several_contracts_do_not_block_each_other(either_database: Database) -> None:
    contracts = [register(either_database, a_contract()) for _ in range(4)]

    def hear_many(backwards: bool) -> None:
        for _ in range(5):
            orders = [an_order(contract) for contract in (contracts[::-1] if backwards else contracts) for _ in "ab"]
            hear(either_database, *(order_placed(order) for order in orders))
            hear(either_database, *(stop_completed(order.id) for order in orders))

    at_once([partial(hear_many, backwards) for backwards in (False, True, False, True)])
    for contract in contracts:
        with either_database.view() as view:
            use = queries.get_consumption(view, Sight(), contract.id)
        assert (use.ceiling.owed_cents, use.is_balanced) == (4 * 5 * 2 * 1140, True)


def test_prices_change_while_legs_are_settled(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    orders = [an_order(contract) for _ in range(12)]
    for order in orders:
        hold(either_database, order)

    def reprice() -> None:
        with suppress(PriceListTooLate), either_database.transaction() as tx:
            publish(tx, contract, NOON.date())

    tasks: list[Callable[[], None]] = [partial(settle, either_database, handed_over(order.id)) for order in orders]
    at_once([*tasks, reprice])
    with either_database.view() as view:
        use = queries.get_consumption(view, Sight(), contract.id)
    assert (use.ceiling.owed_cents, use.ceiling.held_cents, use.is_balanced) == (12 * ORDER_CENTS, 0, True)


def test_a_month_closed_by_many_at_once_is_closed_once(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    for _ in range(3):
        order = an_order(contract)
        hold(either_database, order)
        settle(either_database, handed_over(order.id))

    def close() -> use_cases.Closing:
        with either_database.transaction() as tx:
            return use_cases.close_month(tx, contract.id, NOVEMBER, at=DECEMBER_6)

    closings = at_once([close] * 6)
    assert [closing.is_new for closing in closings].count(True) == 1
    assert len({closing.statements for closing in closings}) == 1


def test_numbers_have_no_gap_when_contracts_close_at_once_and_some_closings_fail(either_database: Database) -> None:
    contracts = [
        register(either_database, a_contract(cooperatives=(ERDRE, LOIRE) if number % 2 else (LOIRE, ERDRE)))
        for number in range(8)
    ]
    for number, contract in enumerate(contracts):
        for cooperative in (ERDRE, LOIRE) if number % 2 else (LOIRE, ERDRE):
            order = an_order(contract)
            hold(either_database, order)
            settle(either_database, handed_over(order.id, cooperative_id=cooperative.id))

    def close(number: int) -> None:
        with suppress(Killed), either_database.transaction() as tx:
            use_cases.close_month(tx, contracts[number].id, NOVEMBER, at=DECEMBER_6)
            die_if(number % 3 == 0)

    at_once([partial(close, number) for number in range(8)])
    at_once([partial(close, number) for number in (1, 2, 4, 5, 7)])
    with either_database.view() as view:
        statements = queries.list_statements(view, Sight(), limit=100)
    for cooperative in (ERDRE, LOIRE):
        numbers = sorted(one.number for one in statements if one.seller.siret == cooperative.siret)
        assert numbers == [f"2026-{count:05d}" for count in range(1, 6)]
