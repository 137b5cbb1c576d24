"""What is committed exceeds no maximum: not that of the whole life, nor that of any part that contains the leg."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from services.billing.domain.ceiling import Ceiling, LegAmount, Movement, Scope, agree_in
from services.billing.domain.ceiling_errors import MaximumBelowCommitted
from services.billing.domain.errors import CeilingExceeded
from services.billing.domain.ledger import Account, Entry, balances_of
from services.kit.errors import DomainError, Refusals

LEVELS = (50, 75, 90, 100)
PERIOD = "period:1"
LOT = "lot:2"


def a_ceiling(ceiling_cents: int = 100_000, *scopes: Scope) -> Ceiling:
    return Ceiling("contract", ceiling_cents, LEVELS, scopes=scopes)


def a_scope(key: str = PERIOD, maximum_cents: int = 50_000) -> Scope:
    return Scope(key, f"nom de {key}", maximum_cents)


def in_scope(entries: Iterable[Entry], key: str) -> dict[Account, int]:
    return balances_of((e.source, e.target, e.amount_cents) for e in entries if key in e.scopes)


def in_french(refusal: DomainError) -> str:
    return refusal.detail.replace("\u202f", " ").replace("\xa0", " ")


def test_the_period_is_exceeded_while_the_whole_life_says_half() -> None:
    """Worked example A: 90,000 over two periods of 45,000."""
    period = Scope(PERIOD, "période ferme", 4_500_000, held_cents=310_000, owed_cents=265_570, invoiced_cents=4_125_000)
    ceiling = Ceiling("contract", 9_000_000, LEVELS, 310_000, 265_570, 4_125_000, scopes=(period,))
    assert (ceiling.left_cents, ceiling.committed_cents * 100 // ceiling.ceiling_cents) == (4_299_430, 52)
    assert period.left_cents == -200_570
    with pytest.raises(CeilingExceeded) as refused:
        ceiling.hold("order", {1: 1}, cause="placed", scopes_by_leg={1: (PERIOD,)})
    assert (refused.value.scope_key, refused.value.left_cents) == (PERIOD, -200_570)
    # The next period has room.
    assert (
        ceiling.hold("order", {1: 1}, cause="placed", scopes_by_leg={1: ("period:2",)}).ceiling.left_cents == 4_299_429
    )


def test_of_two_orders_for_the_last_500_one_is_refused_with_the_scope_and_what_is_left() -> None:
    """Worked example B: 500.00 left, twice 300.00."""
    ceiling = a_ceiling(100_000, a_scope(PERIOD, 50_000))
    first = ceiling.hold("a", {1: 30_000}, cause="placed", scopes_by_leg={1: (PERIOD,)}).ceiling
    with pytest.raises(CeilingExceeded) as refused:
        first.hold("b", {1: 30_000}, cause="placed", scopes_by_leg={1: (PERIOD,)})
    assert "300,00 € HT, il reste 200,00 € HT sur le maximum de 500,00 € HT (nom de period:1)" in in_french(
        refused.value
    )
    assert refused.value.facts["scope"] == PERIOD


def test_every_exhausted_scope_is_named_at_once() -> None:
    ceiling = a_ceiling(1_000, a_scope(PERIOD, 900), a_scope(LOT, 800))
    with pytest.raises(Refusals) as refused:
        ceiling.hold("a", {1: 1_001}, cause="placed", scopes_by_leg={1: (PERIOD, LOT)})
    keys = [fault.scope_key for fault in refused.value.errors if isinstance(fault, CeilingExceeded)]
    assert keys == ["", PERIOD, LOT]


def test_an_order_over_two_periods_counts_leg_by_leg() -> None:
    ceiling = a_ceiling(100_000, a_scope("period:1", 1_000), a_scope("period:2", 2_000))
    two_periods = {1: ("period:1",), 2: ("period:2",)}
    moved = ceiling.hold("a", {1: 1_000, 2: 1_500}, cause="placed", scopes_by_leg=two_periods).ceiling
    assert [(scope.held_cents, scope.left_cents) for scope in moved.scopes] == [(1_000, 0), (1_500, 500)]
    with pytest.raises(CeilingExceeded) as refused:
        moved.hold("b", {1: 1, 2: 1}, cause="placed", scopes_by_leg=two_periods)
    assert refused.value.scope_key == "period:1"


def test_dearer_prices_must_fit_into_every_scope() -> None:
    ceiling = a_ceiling(100_000, a_scope(LOT, 1_000))
    held = ceiling.hold("a", {1: 900}, cause="placed", scopes_by_leg={1: (LOT,)}).ceiling
    old = LegAmount("a", 1, 900, (LOT,))
    assert held.revalue([(old, 1_000)], cause="index").ceiling.scope(LOT).left_cents == 0
    with pytest.raises(CeilingExceeded):
        held.revalue([(old, 1_001)], cause="index")


def test_each_scope_tells_its_own_levels() -> None:
    ceiling = a_ceiling(100_000, a_scope(PERIOD, 10_000))
    moved = ceiling.hold("a", {1: 7_500}, cause="placed", scopes_by_leg={1: (PERIOD,)})
    told = [(level.scope_key, level.percent, level.left_cents) for level in moved.crossed]
    assert told == [(PERIOD, 50, 2_500), (PERIOD, 75, 2_500)]


def test_a_credit_goes_back_to_the_scopes_of_the_delivery_and_arms_its_levels_again() -> None:
    ceiling = a_ceiling(20_000, a_scope("period:1", 10_000), a_scope("period:2", 10_000))
    leg = LegAmount("a", 1, 9_000, ("period:1",))
    ceiling = ceiling.hold("a", {1: 9_000}, cause="placed", scopes_by_leg={1: leg.scopes}).ceiling
    ceiling = ceiling.settle("a", 1, held_cents=9_000, owed_cents=9_000, cause="d", scopes=leg.scopes).ceiling
    ceiling = ceiling.invoice([leg], cause="statement").ceiling
    assert [scope.reached_percent for scope in ceiling.scopes] == [90, 0]
    credited = ceiling.credit([replace(leg, amount_cents=5_000)], cause="credit-note")
    assert [scope.committed_cents for scope in credited.ceiling.scopes] == [4_000, 0]
    assert (credited.crossed, credited.ceiling.scope("period:1").reached_percent) == ((), 0)
    again = credited.ceiling.hold("b", {1: 1_000}, cause="placed", scopes_by_leg={1: leg.scopes})
    assert [(level.scope_key, level.percent) for level in again.crossed] == [("period:1", 50)]


def test_a_price_cut_before_the_statement_lowers_what_is_owed() -> None:
    ceiling = a_ceiling().hold("a", {1: 900}, cause="placed").ceiling
    ceiling = ceiling.settle("a", 1, held_cents=900, owed_cents=900, cause="d").ceiling
    cut = ceiling.reduce("a", 1, 200, cause="cut").ceiling
    assert (cut.owed_cents, cut.left_cents) == (700, 99_300)


def test_nothing_is_given_back_twice_nor_from_the_wrong_account() -> None:
    ceiling = a_ceiling(10_000, a_scope(PERIOD, 5_000))
    with pytest.raises(ValueError, match="given back"):
        ceiling.credit([LegAmount("a", 1, 1)], cause="credit-note")
    with pytest.raises(ValueError, match="given back"):
        ceiling.take_back([LegAmount("a", 1, 1)], cause="credit-note")
    with pytest.raises(ValueError, match="given back"):
        ceiling.reduce("a", 1, 1, cause="cut")
    with pytest.raises(ValueError, match="below zero"):
        ceiling.credit([LegAmount("a", 1, -1)], cause="credit-note")


def test_an_amendment_raises_the_whole_and_its_part() -> None:
    ceiling = a_ceiling(9_000_000, a_scope("period:1", 4_500_000), a_scope("period:2", 4_500_000))
    moved = ceiling.amend(600_000, {"period:2": 600_000}, cause="amendment:1")
    assert moved.ceiling.ceiling_cents == 9_600_000
    assert [scope.ceiling_cents for scope in moved.ceiling.scopes] == [4_500_000, 5_100_000]
    assert [(e.source, e.target, e.amount_cents) for e in moved.entries] == [
        (Account.CEILING, Account.AVAILABLE, 600_000)
    ]


def test_a_maximum_is_not_lowered_under_what_is_committed() -> None:
    ceiling = a_ceiling(10_000, a_scope(PERIOD, 10_000))
    held = ceiling.hold("a", {1: 8_000}, cause="placed", scopes_by_leg={1: (PERIOD,)}).ceiling
    assert held.amend(-2_000, {PERIOD: -2_000}, cause="amendment:1").ceiling.left_cents == 0
    with pytest.raises(Refusals) as refused:
        held.amend(-2_001, {PERIOD: -2_001}, cause="amendment:1")
    assert [type(fault) for fault in refused.value.errors] == [MaximumBelowCommitted] * 2


KEYS = ("period:1", "period:2", "lot:1", "budget:proprete:")


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Holds, settlements, releases, price changes, closings, credits and amendments, in random scopes."""

    legs = Bundle("legs")

    def __init__(self) -> None:
        super().__init__()
        scopes = [a_scope(key, 4_000 + 1_000 * index) for index, key in enumerate(KEYS)]
        opened = a_ceiling(10_000, *scopes).open()
        self.ceiling = opened.ceiling
        self.entries = list(opened.entries)
        self.held: dict[str, LegAmount] = {}
        self.owed: dict[str, LegAmount] = {}
        self.invoiced: dict[str, LegAmount] = {}
        self.orders = 0

    def took(self, moved: Movement) -> None:
        for crossed in moved.crossed:
            assert crossed.left_cents == crossed.ceiling_cents - crossed.committed_cents >= 0
        self.entries.extend(moved.entries)
        self.ceiling = moved.ceiling

    @rule(target=legs, cents=st.integers(0, 4_000), scopes=st.lists(st.sampled_from(KEYS), unique=True))
    def hold(self, cents: int, scopes: list[str]) -> str:
        self.orders += 1
        order, before = f"order-{self.orders}", self.ceiling
        lefts = [before.left_cents, *(before.scope(key).left_cents for key in scopes)]
        try:
            moved = before.hold(order, {1: cents}, cause="placed", scopes_by_leg={1: tuple(scopes)})
        except DomainError:
            assert cents > min(lefts)
        else:
            assert cents <= min(lefts)
            self.took(moved)
            self.held[order] = LegAmount(order, 1, cents, tuple(scopes))
        return order

    @rule(order=consumes(legs), percent=st.integers(0, 100))
    def settle(self, order: str, percent: int) -> None:
        if order not in self.held:
            return
        held = self.held.pop(order)
        owed = held.amount_cents * percent // 100
        self.took(
            self.ceiling.settle(
                order, 1, held_cents=held.amount_cents, owed_cents=owed, cause="delivered", scopes=held.scopes
            )
        )
        self.owed[order] = replace(held, amount_cents=owed)

    @rule(order=legs, cents=st.integers(0, 5_000))
    def revalue(self, order: str, cents: int) -> None:
        if order not in self.held:
            return
        try:
            self.took(self.ceiling.revalue([(self.held[order], cents)], cause="index"))
        except DomainError:
            return
        self.held[order] = replace(self.held[order], amount_cents=cents)

    @rule()
    def close(self) -> None:
        self.took(self.ceiling.invoice(list(self.owed.values()), cause="statement"))
        self.invoiced |= self.owed
        self.owed.clear()

    @rule(data=st.data())
    def credit(self, data: st.DataObject) -> None:
        if not self.invoiced:
            return
        order = data.draw(st.sampled_from(sorted(self.invoiced)))
        leg = self.invoiced[order]
        back = data.draw(st.integers(0, leg.amount_cents))
        self.took(self.ceiling.credit([replace(leg, amount_cents=back)], cause="credit-note"))
        self.invoiced[order] = replace(leg, amount_cents=leg.amount_cents - back)

    @rule(data=st.data(), is_all=st.booleans())
    def cut(self, data: st.DataObject, is_all: bool) -> None:
        if not self.owed:
            return
        order = data.draw(st.sampled_from(sorted(self.owed)))
        leg = self.owed[order]
        back = leg.amount_cents if is_all else data.draw(st.integers(0, leg.amount_cents))
        self.took(self.ceiling.reduce(order, 1, back, cause="cut", scopes=leg.scopes))
        self.owed[order] = replace(leg, amount_cents=leg.amount_cents - back)

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        if not self.invoiced:
            return
        order = data.draw(st.sampled_from(sorted(self.invoiced)))
        self.took(self.ceiling.take_back([self.invoiced[order]], cause="credit-note"))
        self.owed[order] = self.invoiced.pop(order)

    @rule(delta=st.integers(-3_000, 3_000), key=st.sampled_from(KEYS))
    def amend(self, delta: int, key: str) -> None:
        if self.ceiling.ceiling_cents + delta <= 0 or self.ceiling.scope(key).ceiling_cents + delta <= 0:
            return
        try:
            self.took(self.ceiling.amend(delta, {key: delta}, cause="amendment"))
        except DomainError:
            return

    @invariant()
    def never_over_in_any_scope(self) -> None:
        for _, one in self.ceiling.everywhere:
            assert min(one.held_cents, one.owed_cents, one.invoiced_cents) >= 0
            assert one.left_cents >= 0

    @invariant()
    def every_scope_says_what_its_entries_say(self) -> None:
        assert all(agree_in(in_scope(self.entries, scope.key), scope) for scope in self.ceiling.scopes)
        accounts = balances_of((e.source, e.target, e.amount_cents) for e in self.entries)
        assert sum(accounts.values()) == 0
        assert accounts[Account.AVAILABLE] == self.ceiling.left_cents

    @invariant()
    def every_scope_says_what_its_legs_say(self) -> None:
        for scope in self.ceiling.scopes:
            for figure, legs in (("held", self.held), ("owed", self.owed), ("invoiced", self.invoiced)):
                inside = sum(leg.amount_cents for leg in legs.values() if scope.key in leg.scopes)
                assert getattr(scope, f"{figure}_cents") == inside

    @invariant()
    def the_level_reached_is_the_level_told(self) -> None:
        for _, one in self.ceiling.everywhere:
            at = [level for level in LEVELS if one.committed_cents * 100 >= level * one.ceiling_cents]
            assert one.reached_percent == max(at, default=0)


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_single_wrong_cent_in_a_scope_is_noticed() -> None:
    moved = a_ceiling(10_000, a_scope(PERIOD, 5_000)).hold("a", {1: 9}, cause="p", scopes_by_leg={1: (PERIOD,)})
    scope = moved.ceiling.scope(PERIOD)
    assert agree_in(in_scope(moved.entries, PERIOD), scope)
    assert not agree_in(in_scope(moved.entries, PERIOD), replace(scope, held_cents=8, owed_cents=1))
