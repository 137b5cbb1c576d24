"""Billing under several maxima at once, on both databases: check and hold are one transaction, in every scope."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial

import pytest
from google.protobuf.message import Message as ProtoMessage
from sqlalchemy import exc, text, update

from services.billing import jobs, queries, use_cases
from services.billing.domain.amendment import Amendment
from services.billing.domain.ceiling_errors import (
    AmendmentNotNext,
    ApprovalDecided,
    DecisionTooLate,
    HoldExpired,
    LegalDecisionMissing,
    MaximumMissing,
    PeriodDecided,
    PeriodInUse,
)
from services.billing.domain.contract import Contract
from services.billing.domain.errors import CeilingExceeded
from services.billing.domain.legal import rows_of
from services.billing.domain.policy import Beyond, HoldPolicy
from services.billing.domain.statement import Month
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.billing.queries import Sight
from services.billing.queries.scopes import list_scopes
from services.billing.repository import Contracts
from services.billing.tables import metadata, scopes
from services.billing.use_cases import Taker
from services.billing.use_cases.approvals import approve_hold, refuse_hold
from services.billing.use_cases.contracts import amend_contract, decide_period
from services.contracts.billing.v1 import events_pb2 as said_pb2
from services.kit import clock
from services.kit.database import Database
from services.kit.errors import DomainError, Refusals
from services.kit.events import outbox
from tests.billing.builders import (
    NOON,
    PRICES,
    a_contract,
    a_leg_to_price,
    an_order,
    handed_over,
    hold,
    publish,
    register,
    settle,
)
from tests.billing.domain.test_amendment import an_award
from tests.billing.test_races import at_once

ORDER_CENTS = 1260
ROWS = rows_of("contracts")
LEA = Taker("lea", "Léa Martin")
IN_2027 = date(2027, 1, 12)


def two_periods(
    maximum_cents: int = 4_500_000, decision: Decision = Decision.TACIT, second_cents: int | None = None
) -> Structure:
    second = maximum_cents if second_cents is None else second_cents
    return Structure(
        (
            Period(1, date(2026, 1, 1), date(2026, 12, 31), maximum_cents, Decision.FIRM),
            Period(2, date(2027, 1, 1), date(2027, 12, 31), second, decision),
        )
    )


def standing(database: Database, contract: Contract) -> dict[str, tuple[int, int]]:
    """Return what is committed and left in each scope; the ledger must say the same."""
    with database.view() as view:
        use = queries.get_consumption(view, Sight(), contract.id)
        parts = list_scopes(view, use.contract)
    assert use.is_balanced
    assert all(part.is_balanced for part in parts)
    whole = {"": (use.ceiling.committed_cents, use.ceiling.left_cents)}
    return whole | {part.scope.key: (part.scope.committed_cents, part.scope.left_cents) for part in parts}


def said(database: Database, kind: type[ProtoMessage]) -> list[ProtoMessage]:
    with database.view() as view:
        pending = [one.message for one in outbox.pending(view, 1000)]
    return [kind.FromString(one.data) for one in pending if one.type == kind.DESCRIPTOR.full_name]


def test_an_order_is_held_settled_and_invoiced_in_every_scope(either_database: Database) -> None:
    structure = replace(
        two_periods(), lots=(Lot(1, "Tout", "64120000", 9_000_000),), budgets=(Budget(5_000, "voirie"),)
    )
    contract = register(either_database, a_contract(structure=structure))
    order = an_order(contract, department_id="voirie")
    assert hold(either_database, order)
    settle(either_database, handed_over(order.id))
    with either_database.transaction() as tx:
        use_cases.close_month(tx, contract.id, Month(2026, 11), at=datetime(2026, 12, 6, 9, tzinfo=UTC))
    stands = standing(either_database, contract)
    assert stands == {
        "": (1260, 8_998_740),
        "period:1": (1260, 4_498_740),
        "period:2": (0, 4_500_000),
        "lot:1": (1260, 8_998_740),
        "budget:voirie:": (1260, 3740),
    }


def test_an_order_over_the_new_year_counts_leg_by_leg(either_database: Database) -> None:
    contract = register(either_database, a_contract(structure=two_periods()))
    legs = [a_leg_to_price(1, date(2026, 12, 31)), a_leg_to_price(2, date(2027, 1, 4), {"ballot-linge": 1})]
    assert hold(either_database, an_order(contract, legs=legs))
    stands = standing(either_database, contract)
    assert (stands["period:1"][0], stands["period:2"][0], stands[""][0]) == (1260, 1020, 2280)


def test_a_refusal_names_the_scope_and_what_is_left(either_database: Database) -> None:
    contract = register(either_database, a_contract(ceiling_cents=10_000, structure=two_periods(5_000)))
    for _ in range(3):
        assert hold(either_database, an_order(contract))
    assert not hold(either_database, an_order(contract))
    (refused,) = said(either_database, said_pb2.HoldRefused)
    assert isinstance(refused, said_pb2.HoldRefused)
    assert (refused.reason_code, refused.asked_cents, refused.left_cents) == ("ceiling-exceeded", 1260, 1220)
    assert [(one.key, one.left_cents) for one in refused.scopes] == [("period:1", 1220)]
    assert "il reste 12,20" in refused.reason
    assert "(période ferme)" in refused.reason


def test_fifty_orders_for_the_last_500_in_two_scopes_overshoot_neither(either_database: Database) -> None:
    """500.00 left in the period and in the budget; fifty orders of 99.60 at once: five fit."""
    structure = replace(two_periods(50_000, second_cents=50_000), budgets=(Budget(50_000, "proprete", 2026),))
    contract = register(either_database, a_contract(ceiling_cents=100_000, structure=structure))
    legs = [a_leg_to_price(loads={"ballot-linge": 75})]  # 9.00 + 75 x 1.20 = 99.00
    orders = [an_order(contract, legs=legs) for _ in range(50)]
    held = at_once([partial(hold, either_database, order) for order in orders])
    assert held.count(True) == 5
    stands = standing(either_database, contract)
    assert stands["period:1"] == stands["budget:proprete:2026"] == (49_500, 500)


def test_two_scopes_that_cross_are_both_kept(either_database: Database) -> None:
    """One department has little left, the period has room for a few of another: each refuses only its own."""
    structure = replace(two_periods(20_000), budgets=(Budget(2 * ORDER_CENTS, "voirie"),))
    contract = register(either_database, a_contract(ceiling_cents=40_000, structure=structure))
    orders = [an_order(contract, department_id=name) for name in ("voirie", "proprete") * 15]
    held = at_once([partial(hold, either_database, order) for order in orders])
    stands = standing(either_database, contract)
    assert stands["budget:voirie:"] == (2 * ORDER_CENTS, 0)
    assert stands["period:1"] == (15 * ORDER_CENTS, 20_000 - 15 * ORDER_CENTS)
    assert held.count(True) == 15


@pytest.mark.parametrize("figure", ["held_cents", "owed_cents", "invoiced_cents"])
def test_the_database_itself_refuses_an_overshoot_in_a_scope(either_database: Database, figure: str) -> None:
    contract = register(either_database, a_contract(structure=two_periods()))
    for cents in (4_500_001, -1):
        with pytest.raises(exc.IntegrityError), either_database.transaction() as tx:
            tx.execute(update(scopes).where(scopes.c.key == "period:1").values({figure: cents}))
    assert standing(either_database, contract)["period:1"][0] == 0


def test_dearer_prices_are_refused_when_one_scope_has_no_room_for_them(either_database: Database) -> None:
    structure = replace(two_periods(), budgets=(Budget(ORDER_CENTS, "proprete"),))
    contract = register(either_database, a_contract(structure=structure))
    assert hold(either_database, an_order(contract))
    dearer = [replace(line, unit_price_cents=line.unit_price_cents + 1) for line in PRICES]
    with pytest.raises(CeilingExceeded) as refused, either_database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 1), dearer)
    assert refused.value.scope_key == "budget:proprete:"
    cheaper = [replace(line, unit_price_cents=line.unit_price_cents // 2) for line in PRICES]
    with either_database.transaction() as tx:
        publish(tx, contract, date(2026, 11, 1), cheaper)
    assert standing(either_database, contract)["budget:proprete:"] == (630, 630)


def test_a_database_of_before_goes_on_with_its_life_scope(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    order = an_order(contract)
    assert hold(either_database, order)
    with either_database.transaction() as tx:
        tx.execute(text("DROP TABLE scopes"))
        tx.execute(text("DROP TABLE approvals"))
        tx.execute(text("ALTER TABLE charges DROP COLUMN lot"))
        tx.execute(text("ALTER TABLE ledger DROP COLUMN scopes"))
        for name in ("structure", "policy", "amendments", "award"):
            remove = (
                f"UPDATE contracts SET terms = json_remove(terms, '$.{name}')"
                if either_database.is_sqlite
                else f"UPDATE contracts SET terms = (terms::jsonb - '{name}')::json"
            )
            tx.execute(text(remove))
    upgraded = Database(either_database.url.render_as_string(hide_password=False), metadata)
    upgraded.upgrade()
    with upgraded.view() as view:
        assert Contracts(view).get(contract.id) == contract
    settle(upgraded, handed_over(order.id))
    assert hold(upgraded, an_order(contract))
    assert standing(upgraded, contract) == {"": (2520, 8_997_480)}
    upgraded.dispose()


# Margin


def test_an_extra_is_charged_within_the_margin_and_the_rest_released(either_database: Database) -> None:
    contract = register(either_database, a_contract(policy=HoldPolicy(margin_percent=20)))
    order, other, third = an_order(contract), an_order(contract), an_order(contract)
    for one in (order, other, third):
        assert hold(either_database, one)
    assert standing(either_database, contract)[""][0] == 3 * (1260 + 252)
    settle(either_database, handed_over(order.id, counted={"ballot-linge": 5}))
    assert standing(either_database, contract)[""][0] == (1260 + 240) + 2 * 1512
    settle(either_database, handed_over(other.id, counted={"ballot-linge": 6}))  # 3.60 more, 2.52 held for it
    settle(either_database, handed_over(third.id))
    assert standing(either_database, contract)[""][0] == 1500 + 1500 + 1260
    with either_database.view() as view:
        charges = queries.list_charges(view, Sight(), queries.ChargeFilter(order_id=other.id), limit=9)
    assert charges[0].settlement is not None
    assert charges[0].settlement.lines[1].note == "compté 6 au lieu de 3, 1 au-delà de la marge"


# Amendments and periods


def an_amendment(number: int, delta_cents: int, new_maximum_cents: int, **changes: object) -> Amendment:
    amendment = Amendment(number, "R2194-8", date(2026, 3, 1), date(2026, 3, 5), delta_cents, new_maximum_cents)
    return replace(amendment, **changes)  # type: ignore[arg-type]


def amend(database: Database, contract: Contract, amendment: Amendment) -> tuple[Contract, list[str]]:
    with database.transaction() as tx:
        return amend_contract(tx, contract.id, amendment, rows=ROWS, at=NOON)


def test_the_second_amendment_asks_for_a_recorded_decision_and_does_not_block(either_database: Database) -> None:
    """Worked example C, through the whole service."""
    contract = register(either_database, a_contract(structure=two_periods(), award=an_award()))
    amended, warnings = amend(either_database, contract, an_amendment(1, 600_000, 9_600_000))
    assert (warnings, amended.ceiling_cents) == ([], 9_600_000)
    with pytest.raises(LegalDecisionMissing):
        amend(either_database, contract, an_amendment(2, 400_000, 10_000_000))
    decided = an_amendment(2, 400_000, 10_000_000, legal_decision="Note juridique du 12/03/2026.")
    amended, warnings = amend(either_database, contract, decided)
    assert (len(warnings), amended.ceiling_cents, amended.initial_ceiling_cents) == (2, 10_000_000, 9_000_000)
    assert standing(either_database, contract)["period:1"] == (0, 5_500_000)
    told = said(either_database, said_pb2.ContractRegistered)
    assert [one.ceiling_cents for one in told] == [9_000_000, 9_600_000, 10_000_000]  # type: ignore[attr-defined]


def test_no_maximum_is_amended_to_nothing(database: Database) -> None:
    """A maximum of zero would have no percentage to show; what is not wanted any more is declined."""
    contract = register(database, a_contract(structure=two_periods(9_000_000)))
    with pytest.raises(Refusals) as refused:
        amend(database, contract, an_amendment(1, -9_000_000, 0))
    assert {type(fault) for fault in refused.value.errors} == {MaximumMissing}


def test_an_amendment_makes_room_at_once_and_arms_the_levels_again(either_database: Database) -> None:
    contract = register(either_database, a_contract(ceiling_cents=2 * ORDER_CENTS))
    for _ in range(2):
        assert hold(either_database, an_order(contract))
    assert not hold(either_database, an_order(contract))
    more = an_amendment(1, 2 * ORDER_CENTS, 4 * ORDER_CENTS, legal_decision="oui")
    amend(either_database, contract, more)
    assert hold(either_database, an_order(contract))
    levels = [one.threshold_percent for one in said(either_database, said_pb2.CeilingNearlyReached)]  # type: ignore[attr-defined]
    assert levels == [50, 75, 90, 100, 75]


def test_all_that_is_wrong_with_an_amendment_is_told_at_once(database: Database) -> None:
    contract = register(database, a_contract())
    wrong = an_amendment(
        3, 5, 1, notified_on=date(2026, 2, 1), ends_on=date(2027, 1, 1), period=4, lot=2, legal_decision="oui"
    )
    with pytest.raises(Refusals) as refused:
        amend(database, contract, wrong)
    assert [fault.code for fault in refused.value.errors] == [
        "amendment-not-next",
        "amounts-disagree",
        "amendment-dates-reversed",
        "amendment-dates-reversed",
        "period-unknown",
        "lot-unknown",
    ]


def test_amendments_recorded_twice_count_once(either_database: Database) -> None:
    contract = register(either_database, a_contract())

    def once() -> bool:
        try:
            amend(either_database, contract, an_amendment(1, 100, 9_000_100))
        except DomainError as refusal:
            assert refusal.code in (AmendmentNotNext.code, "several-refusals")
            return False
        return True

    assert at_once([once] * 4).count(True) == 1
    assert standing(either_database, contract)[""] == (0, 9_000_100)


def decide(
    database: Database, contract: Contract, *, is_renewed: bool, decided_on: date = date(2026, 10, 1)
) -> Contract:
    with database.transaction() as tx:
        return decide_period(tx, contract.id, 2, is_renewed=is_renewed, decided_on=decided_on, at=NOON)


def test_an_explicit_renewal_opens_its_period(either_database: Database) -> None:
    contract = register(either_database, a_contract(structure=two_periods(decision=Decision.EXPLICIT)))
    order: Callable[[], bool] = lambda: hold(  # noqa: E731
        either_database, an_order(contract, legs=[a_leg_to_price(service_date=IN_2027)])
    )
    assert not order()
    renewed = decide(either_database, contract, is_renewed=True)
    assert decide(either_database, contract, is_renewed=True) == renewed
    assert order()
    told = said(either_database, said_pb2.ContractRegistered)
    assert [one.ends_on for one in told] == ["2026-12-31", "2027-12-31"]  # type: ignore[attr-defined]
    with pytest.raises(PeriodDecided):
        decide(either_database, contract, is_renewed=False)


def test_a_period_is_declined_only_while_nothing_stands_in_it(either_database: Database) -> None:
    contract = register(either_database, a_contract(structure=two_periods()))
    assert hold(either_database, an_order(contract, legs=[a_leg_to_price(service_date=IN_2027)]))
    with pytest.raises(PeriodInUse, match="reconduction n° 1"):
        decide(either_database, contract, is_renewed=False)
    other = register(either_database, a_contract(structure=two_periods()))
    with pytest.raises(DecisionTooLate):
        decide(either_database, other, is_renewed=False, decided_on=date(2027, 1, 1))
    decide(either_database, other, is_renewed=False)
    assert not hold(either_database, an_order(other, legs=[a_leg_to_price(service_date=IN_2027)]))


# Approvals

WAITS = HoldPolicy(Beyond.APPROVAL, reserve_percent=10, order_limit_cents=2_000)


def test_an_order_over_the_limit_waits_and_is_held_once_approved(either_database: Database) -> None:
    contract = register(either_database, a_contract(policy=WAITS))
    order = an_order(contract, legs=[a_leg_to_price(loads={"ballot-linge": 10})])  # 21.00
    assert not hold(either_database, order)
    assert not hold(either_database, order)  # heard again
    assert standing(either_database, contract)[""][0] == 0
    (asked,) = said(either_database, said_pb2.ApprovalRequested)
    assert asked.reason_code == "order-limit-exceeded"  # type: ignore[attr-defined]
    assert not said(either_database, said_pb2.AmountHeld)
    assert not said(either_database, said_pb2.HoldRefused)
    with either_database.transaction() as tx:
        assert approve_hold(tx, order.id, by=LEA, note="", at=NOON).is_held
    assert standing(either_database, contract)[""][0] == 2_100
    assert len(said(either_database, said_pb2.AmountHeld)) == 1
    with pytest.raises(ApprovalDecided, match="Léa Martin"), either_database.transaction() as tx:
        refuse_hold(tx, order.id, by=LEA, reason="non", at=NOON)
    assert not hold(either_database, order)
    settle(either_database, handed_over(order.id))


def test_an_order_into_the_reserve_waits_and_a_refusal_is_signed(either_database: Database) -> None:
    contract = register(either_database, a_contract(ceiling_cents=3 * ORDER_CENTS, policy=WAITS))
    assert hold(either_database, an_order(contract))
    assert hold(either_database, an_order(contract))
    third = an_order(contract)
    assert not hold(either_database, third)
    with either_database.transaction() as tx:
        refuse_hold(tx, third.id, by=LEA, reason="Attendre l'avenant.", at=NOON)
    (refused,) = said(either_database, said_pb2.HoldRefused)
    assert refused.reason == "Léa Martin n'a pas donné son accord : Attendre l'avenant."  # type: ignore[attr-defined]


def test_an_approval_never_exceeds_a_maximum(either_database: Database) -> None:
    contract = register(either_database, a_contract(ceiling_cents=2 * ORDER_CENTS, policy=WAITS))
    assert hold(either_database, an_order(contract))
    waiting = [an_order(contract) for _ in range(4)]
    for order in waiting:
        assert not hold(either_database, order)

    def approve(order_id: str) -> bool:
        try:
            with either_database.transaction() as tx:
                return approve_hold(tx, order_id, by=LEA, note="", at=NOON).is_held
        except CeilingExceeded:
            return False

    assert at_once([partial(approve, order.id) for order in waiting]).count(True) == 1
    assert standing(either_database, contract)[""] == (2 * ORDER_CENTS, 0)


def test_by_another_policy_the_same_order_is_refused(database: Database) -> None:
    contract = register(database, a_contract(policy=replace(WAITS, beyond=Beyond.REFUSE)))
    assert not hold(database, an_order(contract, legs=[a_leg_to_price(loads={"ballot-linge": 10})]))
    (refused,) = said(database, said_pb2.HoldRefused)
    assert refused.reason_code == "order-limit-exceeded"  # type: ignore[attr-defined]


# Expiry


def test_what_nobody_speaks_of_is_given_back_or_refused(either_database: Database) -> None:
    contract = register(either_database, a_contract(structure=two_periods(), policy=WAITS))
    order = an_order(contract)
    assert hold(either_database, order)
    late = an_order(contract, legs=[a_leg_to_price(loads={"ballot-linge": 10})])
    assert not hold(either_database, late)
    clock.set_now(datetime(2027, 1, 15, 9, tzinfo=UTC))  # the 60th day
    try:
        assert jobs.tidy_holds(either_database, expiry_days=60) == {"expired": 0, "refused": 1}
        clock.set_now(datetime(2027, 1, 16, 9, tzinfo=UTC))
        assert jobs.tidy_holds(either_database, expiry_days=60) == {"expired": 1, "refused": 0}
        assert jobs.tidy_holds(either_database, expiry_days=60) == {"expired": 0, "refused": 0}
    finally:
        clock.reset()
    assert standing(either_database, contract)["period:1"] == (0, 4_500_000)
    (refused,) = said(either_database, said_pb2.HoldRefused)
    assert refused.reason_code == "approval-too-late"  # type: ignore[attr-defined]
    with pytest.raises(HoldExpired):
        settle(either_database, handed_over(order.id))
