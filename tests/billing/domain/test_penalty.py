"""Penalties come from facts by the contract's rules; caps, exemption and decisions are to the cent."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.charge import Charge, Fact, Settlement
from services.billing.domain.contract import Contract
from services.billing.domain.errors import PenaltyDecisionTooEarly, PenaltyNotDue, PenaltyStepRefused
from services.billing.domain.penalty import Cause, Penalty, Status, assess, liquidate
from services.billing.domain.penalty_terms import CapBase, PenaltyRule, PenaltyTerms, Trigger
from services.billing.domain.price_list import PriceLine, Unit
from services.billing.domain.statement import Month
from tests.billing.builders import a_charge, a_contract, a_leg_to_price, a_price_list, failed, handed_over, lapsed

NOVEMBER = Month(2026, 11)
PROMISED = datetime(2026, 11, 16, 10, tzinfo=UTC)
START = date(2026, 1, 1)
LATE = PenaltyRule("RETARD", "Plus de 30 minutes de retard", Trigger.LATE, START, amount_cents=500, grace_minutes=30)
MISSED = PenaltyRule(
    "MANQUEE", "Livraison manquée", Trigger.MISSED, START, amount_cents=1500, reason_codes=("bike-breakdown",)
)
DAILY = PenaltyRule("JOUR", "V x R / 1000", Trigger.LATE_PER_DAY, START, permille_per_day=1)


def a_leg(contract: Contract, *, late: timedelta = timedelta(0), **changes: Any) -> Charge:
    charge = replace(a_charge(contract, a_leg_to_price(loads={}), PRICES_OF_13_20), promised_until=PROMISED)
    return settled(contract, charge, handed_over(charge.order_id, occurred_at=PROMISED + late, **changes))


PRICES_OF_13_20 = a_price_list(lines=(PriceLine("COURSE", "Course", Unit.LEG, 1320),))


def settled(contract: Contract, charge: Charge, fact: Fact) -> Charge:
    settlement: Settlement = charge.settle(fact, contract, at=fact.occurred_at)
    return replace(charge, settlement=settlement)


def penalties_of(contract: Contract, charges: Sequence[Charge], *rules: PenaltyRule) -> list[Penalty]:
    ids = (f"{number:04}" for number in count())
    order_cents = {charge.order_id: charge.estimate.amount_cents for charge in charges}
    return assess(contract, PenaltyTerms(rules), NOVEMBER, charges, order_cents=order_cents, new_id=ids)


def a_penalty(cents: int, number: int = 0, **changes: Any) -> Penalty:
    contract = a_contract()
    rule = replace(LATE, amount_cents=cents)
    (penalty,) = penalties_of(contract, [a_leg(contract, late=timedelta(hours=1))], rule)
    moment = penalty.occurred_at + timedelta(minutes=number)
    return replace(penalty, id=f"{number:04}", occurred_at=moment, **changes)


def test_example_f_by_the_formula() -> None:
    contract = a_contract()
    charges = [a_leg(contract, late=timedelta(days=3)) for _ in range(64)]
    assert sum(charge.estimate.amount_cents for charge in charges) == 84_480
    found = penalties_of(contract, charges, DAILY)
    assert {penalty.days_late for penalty in found} == {3}
    assert sum(penalty.computed_cents for penalty in found) == 253


def test_example_f_by_the_scale_per_delivery() -> None:
    contract = a_contract()
    late = [a_leg(contract, late=timedelta(minutes=31)) for _ in range(14)]
    on_time = [a_leg(contract, late=timedelta(minutes=30))]
    missed = [a_charge(contract), a_charge(contract)]
    broken = settled(contract, missed[0], failed(missed[0].order_id, is_billable=False, reason_code="bike-breakdown"))
    nobody = settled(contract, missed[1], lapsed(missed[1].order_id))
    found = penalties_of(contract, [*late, *on_time, broken, nobody], LATE, MISSED)
    assert [penalty.computed_cents for penalty in found] == [500] * 14 + [1500] * 2
    assert sum(penalty.computed_cents for penalty in found) == 10_000


def test_the_cap_of_example_f_is_a_tenth_of_the_order() -> None:
    terms = PenaltyTerms((LATE,), cap_permille=100, cap_base=CapBase.ORDER)
    twice = [a_penalty(20_000, number, order_id="o", order_cents=265_570) for number in range(2)]
    due = liquidate(terms, 9_000_000, twice)
    assert (due.total_cents, due.is_cap_reached) == (26_557, True)
    assert list(due.due_cents.values()) == [20_000, 6_557]


def test_what_is_not_the_couriers_doing_costs_nothing() -> None:
    contract = a_contract()
    weather, closed = a_charge(contract), a_charge(contract)
    assert not penalties_of(
        contract,
        [
            settled(contract, weather, failed(weather.order_id, is_billable=False, reason_code="weather")),
            settled(contract, closed, failed(closed.order_id)),
            a_leg(contract, late=-timedelta(hours=1)),
        ],
        LATE,
        MISSED,
        DAILY,
    )


def test_a_rule_is_about_the_days_it_is_in_force() -> None:
    contract = a_contract()
    legs = [a_leg(contract, late=timedelta(hours=1))]
    assert not penalties_of(contract, legs, replace(LATE, valid_to=date(2026, 11, 15)))
    assert not penalties_of(contract, legs, replace(LATE, valid_from=date(2026, 11, 17)))
    assert penalties_of(contract, legs, replace(LATE, valid_from=date(2026, 11, 16), valid_to=date(2026, 11, 16)))


def test_the_facts_that_prove_it_are_kept() -> None:
    contract = a_contract()
    (penalty,) = penalties_of(contract, [a_leg(contract, late=timedelta(minutes=45), event_id="e-9")], LATE)
    assert (penalty.minutes_late, penalty.promised_until) == (45, PROMISED)
    assert [source.type for source in penalty.sources] == ["orders.v1.OrderPlaced", "dispatch.v1.StopCompleted"]
    assert penalty.sources[-1].event_id == "e-9"


@pytest.mark.parametrize(("total", "due"), [(99_999, 0), (100_000, 0), (100_001, 100_001)])
def test_up_to_the_exemption_nothing_is_due_and_beyond_it_all(total: int, due: int) -> None:
    terms = PenaltyTerms((LATE,), exemption_cents=100_000)
    found = liquidate(terms, 9_000_000, [a_penalty(60_000, 0), a_penalty(total - 60_000, 1)])
    assert (found.total_cents, found.is_exempt) == (due, due == 0)


def test_the_cap_reached_in_the_middle_of_a_month_cuts_the_last_ones() -> None:
    terms = PenaltyTerms((LATE,), cap_permille=100)
    month = [a_penalty(400, number) for number in range(4)]
    found = liquidate(terms, 10_000, month)
    assert [found.due_cents[one.id] for one in month] == [400, 400, 200, 0]
    assert (found.cap_cents, found.is_cap_reached) == (1000, True)


def notified(penalty: Penalty) -> Penalty:
    return penalty.notify(at=PROMISED, by="finances")


def decided(penalty: Penalty, decision: Status, after_days: int = 15, **more: Any) -> Penalty:
    at = PROMISED + timedelta(days=after_days)
    return penalty.decide(decision, at=at, by="finances", text="vu", answer_days=15, **more)


def test_waived_then_applied_again() -> None:
    terms = PenaltyTerms((LATE,), exemption_cents=100_000)
    first, second = notified(a_penalty(60_000, 0)), notified(a_penalty(60_000, 1))
    waived = decided(second, Status.WAIVED)
    assert liquidate(terms, 9_000_000, [first, waived]).total_cents == 0
    again = decided(waived, Status.CONFIRMED)
    due = liquidate(terms, 9_000_000, [first, again])
    assert due.total_cents == 120_000
    applied = again.apply(due.due_cents[again.id], at=PROMISED, by="finances", payment="2027-3")
    assert [step.status.value for step in applied.steps] == ["notified", "waived", "confirmed", "applied"]
    with pytest.raises(PenaltyStepRefused):
        decided(applied, Status.WAIVED)
    spared = liquidate(terms, 9_000_000, [decided(first, Status.WAIVED), applied])
    assert spared.total_cents == 60_000, "what was deducted stays deducted"


def test_a_cause_is_recorded_with_its_evidence_before_the_decision() -> None:
    penalty = notified(a_penalty(500))
    with pytest.raises(PenaltyDecisionTooEarly):
        decided(penalty, Status.CONFIRMED, after_days=14)
    contested = penalty.contest(
        at=PROMISED, by="erdre", text="Gardien absent.", cause=Cause.BUYER_ABSENT, evidence=["p-7"]
    )
    assert decided(contested, Status.REDUCED, after_days=1, reduced_cents=100).amount_cents == 100
    assert (contested.steps[-1].cause, contested.steps[-1].evidence) == (Cause.BUYER_ABSENT, ("p-7",))


def test_steps_come_in_order() -> None:
    penalty = a_penalty(500)
    steps: Sequence[Callable[[], Penalty]] = (
        lambda: decided(penalty, Status.CONFIRMED),
        lambda: penalty.contest(at=PROMISED, by="x", text="x", cause=Cause.OTHER, evidence=[]),
        lambda: penalty.apply(500, at=PROMISED, by="x", payment="1"),
        lambda: notified(notified(penalty)),
    )
    for step in steps:
        with pytest.raises(PenaltyStepRefused):
            step()
    with pytest.raises(PenaltyNotDue):
        decided(notified(penalty), Status.CONFIRMED).apply(0, at=PROMISED, by="x", payment="1")


def test_rules_that_say_no_amount_or_two_are_refused() -> None:
    wrong = PenaltyTerms((LATE, replace(LATE, permille_per_day=1), replace(DAILY, amount_cents=5)))
    assert [fault.code for fault in wrong.check()] == [
        "penalty-rule-twice",
        "penalty-rule-invalid",
        "penalty-rule-invalid",
    ]
    assert PenaltyTerms((LATE, MISSED, DAILY)).check() == []


A_PENALTY = a_penalty(1)


@given(st.lists(st.integers(1, 100_000), max_size=12), st.integers(0, 200_000), st.none() | st.integers(0, 200))
def test_due_is_never_beyond_amounts_cap_or_exemption(
    amounts: list[int], exemption_cents: int, cap_permille: int | None
) -> None:
    terms = PenaltyTerms((LATE,), exemption_cents=exemption_cents, cap_permille=cap_permille)
    penalties = [replace(A_PENALTY, id=f"{at:04}", computed_cents=cents) for at, cents in enumerate(amounts)]
    found = liquidate(terms, 1_000_000, penalties)
    naive = 0 if sum(amounts) <= exemption_cents else sum(amounts)
    if cap_permille is not None:
        naive = min(naive, 1000 * cap_permille)
    assert found.total_cents == naive
    assert all(0 <= found.due_cents[one.id] <= one.amount_cents for one in penalties)
