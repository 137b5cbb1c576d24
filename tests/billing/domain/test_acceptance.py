"""The buyer's verification: what may be decided, what is final, and when silence speaks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.acceptance import (
    Decider,
    Decision,
    accept,
    decided,
    dispute,
    is_billable,
    reduce,
    reject,
    silence_ends_on,
    silent_until,
)
from services.billing.domain.charge import Acceptance, Charge, Cut
from services.billing.domain.errors import (
    CutIsRejection,
    CutTooHigh,
    DecidedForGood,
    LegInvoiced,
    LegNotSettled,
    LineNotCharged,
    NothingDue,
)
from services.kit.errors import DomainError, Refusals
from tests.billing.builders import NOON, a_charge, a_contract, cancelled, handed_over

CONTRACT = a_contract()
MARIE = Decider("finances", "Marie, finances")


def a_delivered_charge() -> Charge:
    """A leg of 12.60: 9.00 for the trip and 3 bundles of 1.20, delivered on 16 November 2026."""
    charge = a_charge(CONTRACT)
    return replace(charge, settlement=charge.settle(handed_over("a"), CONTRACT, at=NOON))


def after(charge: Charge, decision: Decision | None) -> Charge:
    assert decision is not None
    return decided(charge, decision)


def accepted() -> Charge:
    charge = a_delivered_charge()
    return after(charge, accept(charge, by=MARIE, at=NOON))


def disputed() -> Charge:
    charge = a_delivered_charge()
    return after(charge, dispute(charge, "Porte fermée", by=MARIE, at=NOON))


def reduced(cut_cents: int = 240) -> Charge:
    charge = a_delivered_charge()
    return after(charge, reduce(charge, [Cut("LINGE", cut_cents, "Linge mouillé")], by=MARIE, at=NOON))


def rejected() -> Charge:
    charge = a_delivered_charge()
    return after(charge, reject(charge, "Mauvaise adresse", by=MARIE, at=NOON))


def test_a_decision_says_who_when_why_and_how_many_came_before() -> None:
    charge = disputed()
    decision = reject(charge, "Mauvaise adresse", by=MARIE, at=NOON)
    assert (decision.number, decision.acceptance, decision.reason) == (2, Acceptance.REJECTED, "Mauvaise adresse")
    assert (decision.decided_by, decision.decided_at, decision.given_back_cents) == (MARIE, NOON, 1260)


def test_accepting_again_changes_nothing() -> None:
    assert accept(accepted(), by=MARIE, at=NOON) is None


def test_what_is_due_follows_the_decision_to_the_cent() -> None:
    assert [one.due_cents for one in (a_delivered_charge(), accepted(), disputed(), reduced(), rejected())] == [
        *(1260, 1260, 1260, 1020, 0)
    ]


@pytest.mark.parametrize("charge", [disputed(), accepted()])
def test_until_it_is_invoiced_an_acceptance_or_a_dispute_may_be_decided_otherwise(charge: Charge) -> None:
    dispute(charge, "x", by=MARIE, at=NOON)
    reduce(charge, [Cut("COURSE", 1, "x")], by=MARIE, at=NOON)
    reject(charge, "x", by=MARIE, at=NOON)


@pytest.mark.parametrize(
    ("charge", "refusal"),
    [
        (a_charge(CONTRACT), LegNotSettled),
        (
            replace(a_charge(CONTRACT), settlement=a_charge(CONTRACT).settle(cancelled("a"), CONTRACT, at=NOON)),
            NothingDue,
        ),
        (replace(a_delivered_charge(), statement_id="s"), LegInvoiced),
        (reduced(), DecidedForGood),
        (rejected(), DecidedForGood),
    ],
)
def test_what_cannot_be_decided_is_refused_by_name(charge: Charge, refusal: type[DomainError]) -> None:
    acts: tuple[Callable[[], object], ...] = (
        lambda: accept(charge, by=MARIE, at=NOON),
        lambda: dispute(charge, "x", by=MARIE, at=NOON),
        lambda: reduce(charge, [Cut("COURSE", 1, "x")], by=MARIE, at=NOON),
        lambda: reject(charge, "x", by=MARIE, at=NOON),
    )
    for act in acts:
        with pytest.raises(refusal):
            act()


@pytest.mark.parametrize(
    ("cuts", "refusal"),
    [
        ([Cut("PANNEAU", 1, "x")], LineNotCharged),
        ([Cut("LINGE", 100, "x"), Cut("LINGE", 100, "x")], LineNotCharged),
        ([Cut("LINGE", 361, "x")], CutTooHigh),
        ([Cut("LINGE", 0, "x")], CutTooHigh),
        ([Cut("LINGE", 360, "x"), Cut("COURSE", 900, "x")], CutIsRejection),
        ([], CutIsRejection),
    ],
)
def test_a_cut_stays_within_its_line_and_leaves_something(cuts: list[Cut], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        reduce(a_delivered_charge(), cuts, by=MARIE, at=NOON)


def test_faults_of_several_cuts_are_told_together() -> None:
    with pytest.raises(Refusals) as refused:
        reduce(a_delivered_charge(), [Cut("LINGE", 361, "x"), Cut("PANNEAU", 1, "x")], by=MARIE, at=NOON)
    assert [fault.pointer for fault in refused.value.errors] == ["/lines/0/cut", "/lines/1/code"]


@pytest.mark.parametrize(
    ("charge", "on_statement"),
    [(accepted(), True), (reduced(), True), (disputed(), False), (rejected(), False), (a_charge(CONTRACT), False)],
)
def test_only_what_is_accepted_goes_on_a_statement_at_once(charge: Charge, on_statement: bool) -> None:
    assert is_billable(charge, verification_days=15, today=date(2026, 11, 16)) is on_statement


def test_silence_accepts_once_the_whole_delay_has_passed() -> None:
    charge = a_delivered_charge()
    assert not is_billable(charge, verification_days=15, today=date(2026, 12, 1))
    assert is_billable(charge, verification_days=15, today=date(2026, 12, 2))
    assert is_billable(charge, verification_days=0, today=date(2026, 11, 17))


@given(st.dates(date(2024, 1, 1), date(2030, 1, 1)), st.integers(0, 400), st.integers(0, 800))
def test_the_two_ways_to_ask_for_silence_agree(settled_on: date, days: int, later: int) -> None:
    today = date.fromordinal(settled_on.toordinal() + later)
    assert (silence_ends_on(settled_on, days) <= today) == (settled_on <= silent_until(today, days))
