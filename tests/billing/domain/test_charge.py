"""A leg comes to what was counted, to a share by rule, or to nothing; never to more than was held."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.charge import Fact, FactKind, Outcome, Rule
from services.billing.domain.contract import ChargeRules, VatRate
from services.billing.domain.errors import SellerNotInContract
from tests.billing.builders import NOON, a_charge, a_contract, a_leg_to_price, cancelled, failed, handed_over, lapsed

CONTRACT = a_contract()


def test_a_hand_over_is_owed_as_announced_when_nothing_was_counted() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(handed_over(charge.order_id), CONTRACT, at=NOON)
    assert (settlement.outcome, settlement.rule, settlement.amount_cents) == (
        Outcome.DELIVERED,
        Rule.AS_COUNTED,
        charge.held_cents,
    )


def test_fewer_than_announced_are_owed_as_counted() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(handed_over(charge.order_id, counted={"ballot-linge": 1}), CONTRACT, at=NOON)
    assert settlement.amount_cents == 900 + 120
    assert settlement.lines[1].note == "compté 1 au lieu de 3"


def test_none_counted_still_owes_the_trip() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(handed_over(charge.order_id, counted={"ballot-linge": 0}), CONTRACT, at=NOON)
    assert settlement.amount_cents == 900


def test_an_excess_is_noted_and_not_charged() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(handed_over(charge.order_id, counted={"ballot-linge": 9}), CONTRACT, at=NOON)
    line = settlement.lines[1]
    assert settlement.amount_cents == charge.held_cents
    assert (line.quantity, line.announced, line.counted) == (3, 3, 9)
    assert "l'excédent n'est pas facturé" in line.note


def test_a_billable_failure_owes_the_contracts_share() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(failed(charge.order_id), CONTRACT, at=NOON)
    assert (settlement.outcome, settlement.percent, settlement.amount_cents) == (Outcome.FAILED_CHARGED, 50, 630)
    assert settlement.lines[0].note == "Site fermé"


def test_a_failure_that_is_not_the_requesters_owes_nothing() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(failed(charge.order_id, is_billable=False), CONTRACT, at=NOON)
    assert (settlement.outcome, settlement.amount_cents, settlement.lines) == (Outcome.RELEASED, 0, ())
    assert not settlement.is_billable


def test_a_late_cancellation_owes_its_share_to_the_lead_when_nobody_was_to_ride() -> None:
    charge = a_charge(CONTRACT)
    settlement = charge.settle(cancelled(charge.order_id, is_late=True), CONTRACT, at=NOON)
    assert (settlement.outcome, settlement.amount_cents) == (Outcome.CANCELLED_CHARGED, 315)
    assert settlement.cooperative_id == "erdre"


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_cancellation_in_time_and_a_lapse_owe_nothing(is_cancelled: bool) -> None:
    charge = a_charge(CONTRACT)
    fact = cancelled(charge.order_id) if is_cancelled else lapsed(charge.order_id)
    settlement = charge.settle(fact, CONTRACT, at=NOON)
    assert (settlement.outcome, settlement.amount_cents) == (Outcome.RELEASED, 0)


def test_a_share_of_nothing_is_a_release() -> None:
    contract = a_contract(rules=ChargeRules(0, 0))
    charge = a_charge(contract)
    settlement = charge.settle(failed(charge.order_id), contract, at=NOON)
    assert (settlement.outcome, settlement.rule) == (Outcome.RELEASED, Rule.BILLABLE_FAILURE)


def test_a_cooperative_outside_the_contract_can_sell_nothing() -> None:
    charge = a_charge(CONTRACT)
    with pytest.raises(SellerNotInContract):
        charge.settle(handed_over(charge.order_id, cooperative_id="garonne"), CONTRACT, at=NOON)


def test_the_day_that_counts_is_the_couriers_in_the_contracts_zone() -> None:
    charge = a_charge(CONTRACT)
    late = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    settlement = charge.settle(handed_over(charge.order_id, occurred_at=late), CONTRACT, at=late + timedelta(days=3))
    assert settlement.settled_on == date(2026, 12, 1)


def test_a_telephone_ahead_of_time_does_not_put_a_leg_off_for_ever() -> None:
    charge = a_charge(CONTRACT)
    fact = handed_over(charge.order_id, occurred_at=datetime(2031, 1, 1, tzinfo=UTC))
    settlement = charge.settle(fact, CONTRACT, at=NOON)
    assert settlement.settled_on == date(2026, 11, 16)
    assert settlement.occurred_at.year == 2031


def test_the_tax_rate_is_that_of_the_service_date() -> None:
    rates = (VatRate(date(2014, 1, 1), 200, "CGI"), VatRate(date(2026, 11, 17), 210, "future"))
    contract = a_contract(vat_rates=rates)
    day_before = a_charge(contract, a_leg_to_price(service_date=date(2026, 11, 16)))
    day_after = a_charge(contract, a_leg_to_price(service_date=date(2026, 11, 17)))
    assert day_before.settle(handed_over("o"), contract, at=NOON).vat_permille == 200
    assert day_after.settle(handed_over("o"), contract, at=NOON).vat_permille == 210


def test_a_charge_can_be_priced_again_from_what_it_kept() -> None:
    leg = a_leg_to_price(loads={"panneau": 2, "pied-panneau": 2}, needs_trailer=True)
    charge = a_charge(CONTRACT, leg)
    again = charge.to_price
    assert (again.number, again.service_date, again.needs_trailer) == (leg.number, leg.service_date, True)
    assert {load.kind: load.count for load in again.loads} == {"panneau": 2, "pied-panneau": 2}


facts = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    order_id=st.just("o"),
    leg=st.just(1),
    occurred_at=st.just(NOON),
    counted=st.none() | st.dictionaries(st.sampled_from(["ballot-linge", "panneau"]), st.integers(-5, 500)),
    is_charged=st.booleans(),
)


@given(facts, st.integers(0, 100), st.integers(0, 100), st.integers(1, 50))
def test_a_leg_never_comes_to_more_than_was_held(fact: Fact, failure: int, late: int, count: int) -> None:
    contract = a_contract(rules=ChargeRules(failure, late))
    charge = a_charge(contract, a_leg_to_price(loads={"ballot-linge": count}))
    settlement = charge.settle(fact, contract, at=NOON)
    assert 0 <= settlement.amount_cents <= charge.held_cents
    assert settlement.is_billable == (settlement.outcome is not Outcome.RELEASED)
    assert all(line.quantity >= 0 for line in settlement.lines)
