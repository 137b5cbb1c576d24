"""What is committed never exceeds the ceiling, and every cent can be found in the ledger."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from services.billing.domain.ceiling import Ceiling, LegAmount, Movement, Totals, agree
from services.billing.domain.errors import CeilingExceeded
from services.billing.domain.ledger import Account, Entry, balances_of


def a_ceiling(ceiling_cents: int = 100_000, **standing: Any) -> Ceiling:
    return replace(Ceiling("contract", ceiling_cents, (50, 75, 90, 100)), **standing)


def accounts_after(entries: Iterable[Entry]) -> dict[Account, int]:
    return balances_of((entry.source, entry.target, entry.amount_cents) for entry in entries)


def test_a_hold_sets_every_leg_aside() -> None:
    moved = a_ceiling().hold("order", {1: 1200, 2: 800}, cause="placed")
    assert (moved.ceiling.held_cents, moved.ceiling.left_cents) == (2000, 98_000)
    assert [(entry.leg, entry.amount_cents) for entry in moved.entries] == [(1, 1200), (2, 800)]


def test_the_last_cent_can_be_held_and_not_one_more() -> None:
    full = a_ceiling().hold("order", {1: 100_000}, cause="placed").ceiling
    assert full.left_cents == 0
    with pytest.raises(CeilingExceeded) as refused:
        full.hold("other", {1: 1}, cause="placed")
    assert (refused.value.asked_cents, refused.value.left_cents) == (1, 0)


def test_orders_that_reach_the_reserve_together_are_not_held_in_one_step() -> None:
    before = a_ceiling(held_cents=80_000, reached_percent=75)
    two = [LegAmount("one", 1, 4_000), LegAmount("other", 1, 4_000)]
    moved = before.hold_together(two, cause="placed", reserve_percent=12)
    assert moved is not None
    assert moved.ceiling.left_cents == 12_000
    assert before.hold_together(two, cause="placed", reserve_percent=13) is None


def test_a_refusal_names_the_figures() -> None:
    with pytest.raises(CeilingExceeded) as refused:
        a_ceiling(50_000, held_cents=20_000).hold("order", {1: 30_001}, cause="placed")
    sentence = refused.value.detail.replace("\u202f", " ").replace("\xa0", " ")
    assert "Il faudrait 300,01 € HT, il reste 300,00 € HT sur le maximum de 500,00 € HT" in sentence


def test_settling_less_than_was_held_gives_the_rest_back() -> None:
    moved = a_ceiling(held_cents=2000).settle("order", 1, held_cents=1200, owed_cents=900, cause="delivered")
    assert (moved.ceiling.held_cents, moved.ceiling.owed_cents, moved.ceiling.left_cents) == (800, 900, 98_300)
    assert [(entry.target, entry.amount_cents) for entry in moved.entries] == [
        (Account.OWED, 900),
        (Account.AVAILABLE, 300),
    ]


def test_a_hold_and_its_release_are_nothing() -> None:
    before = a_ceiling(owed_cents=60_000, reached_percent=50)
    held = before.hold("order", {1: 20_000}, cause="placed")
    released = held.ceiling.settle("order", 1, held_cents=20_000, owed_cents=0, cause="lapsed")
    assert released.ceiling == before
    assert not any(accounts_after(held.entries + released.entries).values())


def test_more_than_was_held_cannot_be_settled() -> None:
    with pytest.raises(ValueError, match="owed"):
        a_ceiling(held_cents=2000).settle("order", 1, held_cents=1200, owed_cents=1201, cause="delivered")


def test_more_than_is_owed_cannot_be_invoiced() -> None:
    with pytest.raises(ValueError, match="invoiced"):
        a_ceiling(owed_cents=10).invoice([LegAmount("order", 1, 11)], cause="statement")


def test_dearer_prices_are_held_only_under_the_ceiling() -> None:
    ceiling = a_ceiling(10_000, held_cents=9_000)
    cheaper_and_dearer = [(LegAmount("a", 1, 5_000), 6_500), (LegAmount("b", 1, 4_000), 3_500)]
    moved = ceiling.revalue(cheaper_and_dearer, cause="price-list")
    assert moved.ceiling.held_cents == 10_000
    with pytest.raises(CeilingExceeded):
        ceiling.revalue([(LegAmount("a", 1, 5_000), 6_001)], cause="price-list")


def test_each_level_is_told_once_on_the_way_up() -> None:
    first = a_ceiling().hold("a", {1: 49_999}, cause="placed")
    assert first.crossed == ()
    second = first.ceiling.hold("b", {1: 1}, cause="placed")
    assert [level.percent for level in second.crossed] == [50]
    third = second.ceiling.hold("c", {1: 10_000}, cause="placed")
    assert third.crossed == ()
    fourth = third.ceiling.hold("d", {1: 40_000}, cause="placed")
    assert [level.percent for level in fourth.crossed] == [75, 90, 100]
    assert (fourth.crossed[0].committed_cents, fourth.crossed[0].left_cents) == (100_000, 0)


def test_a_level_is_armed_again_when_what_is_committed_falls_back() -> None:
    reached = a_ceiling().hold("a", {1: 60_000}, cause="placed").ceiling
    fallen = reached.settle("a", 1, held_cents=60_000, owed_cents=30_000, cause="failed")
    assert (fallen.crossed, fallen.ceiling.reached_percent) == ((), 0)
    again = fallen.ceiling.hold("b", {1: 20_000}, cause="placed")
    assert [level.percent for level in again.crossed] == [50]


def test_invoicing_crosses_no_level() -> None:
    reached = a_ceiling().hold("a", {1: 60_000}, cause="placed").ceiling
    owed = reached.settle("a", 1, held_cents=60_000, owed_cents=60_000, cause="delivered")
    invoiced = owed.ceiling.invoice([LegAmount("a", 1, 60_000)], cause="statement")
    assert owed.crossed == invoiced.crossed == ()


def test_a_single_wrong_cent_is_noticed() -> None:
    ceiling = a_ceiling(held_cents=10, owed_cents=20, invoiced_cents=30)
    accounts = {
        Account.CEILING: -100_000,
        Account.AVAILABLE: 99_940,
        Account.HELD: 10,
        Account.OWED: 20,
        Account.INVOICED: 30,
    }
    assert agree(accounts, ceiling, Totals(10, 20, 30))
    assert not agree(accounts, ceiling, Totals(10, 21, 29))
    assert not agree(accounts, replace(ceiling, held_cents=11), Totals(10, 20, 30))
    assert not agree({**accounts, Account.AVAILABLE: 99_939}, ceiling, Totals(10, 20, 30))
    assert not agree({**accounts, Account.HELD: 9, Account.OWED: 21}, ceiling, Totals(10, 20, 30))


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Holds, settlements, price changes and closings in any order."""

    legs = Bundle("legs")

    def __init__(self) -> None:
        super().__init__()
        opened = a_ceiling(10_000).open()
        self.ceiling = opened.ceiling
        self.entries = list(opened.entries)
        self.held: dict[str, int] = {}
        self.owed: dict[str, int] = {}
        self.invoiced = 0
        self.orders = 0

    def took(self, moved: Movement) -> None:
        for entry in moved.entries:
            self.entries.append(entry)
            standing = accounts_after(self.entries)
            assert all(standing[account] >= 0 for account in Account if account is not Account.CEILING)
        self.ceiling = moved.ceiling

    @rule(target=legs, cents=st.integers(0, 4_000))
    def hold(self, cents: int) -> str:
        self.orders += 1
        order = f"order-{self.orders}"
        before = self.ceiling
        try:
            self.took(self.ceiling.hold(order, {1: cents}, cause="placed"))
        except CeilingExceeded:
            assert cents > before.left_cents
            assert self.ceiling is before
        else:
            assert cents <= before.left_cents
            self.held[order] = cents
        return order

    @rule(order=consumes(legs), percent=st.integers(0, 100))
    def settle(self, order: str, percent: int) -> None:
        if order not in self.held:
            return
        held = self.held.pop(order)
        owed = held * percent // 100
        self.took(self.ceiling.settle(order, 1, held_cents=held, owed_cents=owed, cause="delivered"))
        self.owed[order] = owed

    @rule(order=legs, cents=st.integers(0, 5_000))
    def revalue(self, order: str, cents: int) -> None:
        if order not in self.held:
            return
        change = [(LegAmount(order, 1, self.held[order]), cents)]
        try:
            self.took(self.ceiling.revalue(change, cause="price-list"))
        except CeilingExceeded:
            return
        self.held[order] = cents

    @rule()
    def close(self) -> None:
        amounts = [LegAmount(order, 1, cents) for order, cents in self.owed.items()]
        self.took(self.ceiling.invoice(amounts, cause="statement"))
        self.invoiced += sum(self.owed.values())
        self.owed.clear()

    @invariant()
    def everything_agrees_to_the_cent(self) -> None:
        charged = Totals(sum(self.held.values()), sum(self.owed.values()), self.invoiced)
        assert agree(accounts_after(self.entries), self.ceiling, charged)

    @invariant()
    def never_beyond_the_ceiling(self) -> None:
        assert 0 <= self.ceiling.committed_cents <= self.ceiling.ceiling_cents

    @invariant()
    def the_level_reached_is_the_level_told(self) -> None:
        at = [level for level in (50, 75, 90, 100) if self.ceiling.committed_cents >= level * 100]
        assert self.ceiling.reached_percent == max(at, default=0)


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
