"""A contract's maximum: hold, settle and release under it; what is committed never exceeds it, in no scope of it.

Committed = held + owed + invoiced; owed is what was delivered, accepted or not, and is on no statement yet. Only a hold
or a dearer price can raise it, and both are refused beyond any maximum. The scopes of a contract are its whole life,
which is the ceiling itself, and its parts: periods, lots, budgets. An amount counts in every scope that contains it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.billing.domain.ceiling_errors import MaximumBelowCommitted
from services.billing.domain.errors import CeilingExceeded
from services.billing.domain.ledger import Account, Entry
from services.billing.domain.money import percent_of
from services.kit.errors import DomainError, refuse_all

NO_SCOPES: Mapping[int, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class LevelCrossed:
    """What is committed rose to an alert level, a percentage of the ceiling, or of the maximum of one of its scopes.

    `scope_key` and `scope_name` are empty for the whole life.
    """

    percent: int
    ceiling_cents: int
    committed_cents: int
    left_cents: int
    scope_key: str = ""
    scope_name: str = ""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a verb did: the new state, the entries that explain it, the alert levels it crossed upwards."""

    ceiling: "Ceiling"
    entries: tuple[Entry, ...]
    crossed: tuple[LevelCrossed, ...] = ()


@dataclass(frozen=True, slots=True)
class LegAmount:
    """An amount of one leg of an order, and the keys of the scopes it counts in besides the whole life."""

    order_id: str
    leg: int
    amount_cents: int
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What stands under the maximum of one part of a contract, all in cents excluding tax."""

    key: str
    name: str
    ceiling_cents: int
    held_cents: int = 0
    owed_cents: int = 0
    invoiced_cents: int = 0
    reached_percent: int = 0

    @property
    def committed_cents(self) -> int:
        """Held, owed and invoiced together."""
        return self.held_cents + self.owed_cents + self.invoiced_cents

    @property
    def left_cents(self) -> int:
        """What may still be ordered in it."""
        return self.ceiling_cents - self.committed_cents


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What stands under one contract's maximum, all in cents excluding tax.

    `alert_percents` ascend; `reached_percent` is the highest of them at or under what is committed, 0 for none.
    """

    contract_id: str
    ceiling_cents: int
    alert_percents: tuple[int, ...] = ()
    held_cents: int = 0
    owed_cents: int = 0
    invoiced_cents: int = 0
    reached_percent: int = 0
    scopes: tuple[Scope, ...] = ()

    @property
    def committed_cents(self) -> int:
        """Held, owed and invoiced together."""
        return self.held_cents + self.owed_cents + self.invoiced_cents

    @property
    def left_cents(self) -> int:
        """What may still be ordered."""
        return self.ceiling_cents - self.committed_cents

    def open(self) -> Movement:
        """Grant the ceiling: the first entry of a contract."""
        granted = self._entries(Account.CEILING, Account.AVAILABLE, [LegAmount("", 0, self.ceiling_cents)], "contract")
        return Movement(self, granted)

    def hold(
        self,
        order_id: str,
        cents_by_leg: Mapping[int, int],
        *,
        cause: str,
        scopes_by_leg: Mapping[int, tuple[str, ...]] = NO_SCOPES,
    ) -> Movement:
        """Set an order's estimate aside, leg by leg, in every scope the leg counts in.

        Raises
        ------
        CeilingExceeded, or Refusals with several of them
            When less than the sum of its legs is left in a scope. Nothing changes.
        """
        amounts = [LegAmount(order_id, leg, cents, scopes_by_leg.get(leg, ())) for leg, cents in cents_by_leg.items()]
        self._check(amounts)
        return self._moved(self._entries(Account.AVAILABLE, Account.HELD, amounts, cause))

    def hold_together(self, amounts: Sequence[LegAmount], *, cause: str, reserve_percent: int = 0) -> Movement | None:
        """Set the estimates of many orders aside in one step, leaving so much of every maximum.

        None when they do not all fit, or reach an alert level: then it matters which one of them does. As no amount is
        below zero, what fits as a whole fits one by one.
        """
        cents_by_scopes: dict[tuple[str, ...], int] = {}
        for amount in amounts:
            cents_by_scopes[amount.scopes] = cents_by_scopes.get(amount.scopes, 0) + amount.amount_cents
        held = replace(self, held_cents=self.held_cents + sum(cents_by_scopes.values()))
        scopes = []
        for scope in self.scopes:
            cents = sum(cents for keys, cents in cents_by_scopes.items() if scope.key in keys)
            scopes.append(replace(scope, held_cents=scope.held_cents + cents) if cents else scope)
        held = replace(held, scopes=tuple(scopes))
        for (_, now), (_, before) in zip(held.everywhere, self.everywhere, strict=True):
            kept_cents = percent_of(now.ceiling_cents, reserve_percent)
            is_beyond = now.committed_cents > before.committed_cents and now.left_cents < kept_cents
            if is_beyond or _reached(now, self.alert_percents) != before.reached_percent:
                return None
        return Movement(held, self._entries(Account.AVAILABLE, Account.HELD, amounts, cause))

    def settle(
        self, order_id: str, leg: int, *, held_cents: int, owed_cents: int, cause: str, scopes: tuple[str, ...] = ()
    ) -> Movement:
        """Turn one leg's hold into what is owed for it and give the rest back; owed 0 releases it all.

        Raises
        ------
        ValueError
            When more would be owed than was held: the charge must have been capped before.
        """
        if not 0 <= owed_cents <= held_cents <= self.held_cents:
            raise ValueError(f"{owed_cents} owed of {held_cents} held of {self.held_cents}")
        owed = LegAmount(order_id, leg, owed_cents, scopes)
        rest = LegAmount(order_id, leg, held_cents - owed_cents, scopes)
        return self._moved(
            self._entries(Account.HELD, Account.OWED, [owed], cause)
            + self._entries(Account.HELD, Account.AVAILABLE, [rest], cause)
        )

    def revalue(self, changes: Sequence[tuple[LegAmount, int]], *, cause: str) -> Movement:
        """Hold each leg at a new amount: pairs of what it was held at, and what it is held at from now on.

        Raises
        ------
        CeilingExceeded, or Refusals with several of them
            When less than the sum of all changes is left in a scope. Nothing changes.
        """
        raised = [replace(old, amount_cents=new_cents - old.amount_cents) for old, new_cents in changes]
        self._check(raised)
        lowered = [replace(amount, amount_cents=-amount.amount_cents) for amount in raised]
        # Given back first: in no order of the entries does an account stand below zero.
        return self._moved(
            self._entries(Account.HELD, Account.AVAILABLE, lowered, cause)
            + self._entries(Account.AVAILABLE, Account.HELD, raised, cause)
        )

    def invoice(self, amounts: Sequence[LegAmount], *, cause: str) -> Movement:
        """Put owed amounts on a closed statement. Raises ValueError when that much is not owed."""
        invoiced_cents = sum(amount.amount_cents for amount in amounts)
        if invoiced_cents > self.owed_cents:
            raise ValueError(f"{invoiced_cents} invoiced of {self.owed_cents} owed")
        return self._moved(self._entries(Account.OWED, Account.INVOICED, amounts, cause))

    def reduce(
        self, order_id: str, leg: int, amount_cents: int, *, cause: str, scopes: tuple[str, ...] = ()
    ) -> Movement:
        """Give back some of what is owed for a leg: a price cut, or all of it when the leg is rejected.

        Raises
        ------
        ValueError
            When that much is not owed, in all or in a scope.
        """
        return self._lowered(Account.OWED, Account.AVAILABLE, [LegAmount(order_id, leg, amount_cents, scopes)], cause)

    def credit(self, amounts: Sequence[LegAmount], *, cause: str) -> Movement:
        """Give back what was invoiced and is not due. Raises ValueError when that much was not invoiced."""
        return self._lowered(Account.INVOICED, Account.AVAILABLE, amounts, cause)

    def take_back(self, amounts: Sequence[LegAmount], *, cause: str) -> Movement:
        """Owe again what was invoiced in vain; as much stays committed. Raises ValueError when it was not invoiced."""
        return self._lowered(Account.INVOICED, Account.OWED, amounts, cause)

    def adjust(self, account: Account, changes: Sequence[LegAmount], *, cause: str) -> Movement:
        """Raise, or lower (below zero), what legs owe or were invoiced: what a revision adds or gives back.

        Raises
        ------
        CeilingExceeded, or Refusals with several of them
            When less than the sum of all changes is left in a scope. Nothing changes.
        ValueError
            When more would be given back than stands there.
        """
        self._check(changes)
        lowered = [replace(change, amount_cents=-change.amount_cents) for change in changes]
        # Given back first: in no order of the entries is more committed than the maximum.
        moved = self._moved(
            self._entries(account, Account.AVAILABLE, lowered, cause)
            + self._entries(Account.AVAILABLE, account, changes, cause)
        )
        if any(min(one.owed_cents, one.invoiced_cents) < 0 for _, one in moved.ceiling.everywhere):
            raise ValueError(f"more is given back than is {account}")
        return moved

    def amend(self, delta_cents: int, delta_cents_by_scope: Mapping[str, int], *, cause: str) -> Movement:
        """Change the maximum, and that of some scopes; differences in cents, below zero to lower it.

        Raises
        ------
        MaximumBelowCommitted, or Refusals with several of them
            When more is committed than the new maximum. Nothing changes.
        """
        scopes = tuple(
            replace(scope, ceiling_cents=scope.ceiling_cents + delta_cents_by_scope.get(scope.key, 0))
            for scope in self.scopes
        )
        amended = replace(self, ceiling_cents=self.ceiling_cents + delta_cents, scopes=scopes)
        refuse_all(
            [
                MaximumBelowCommitted(name, maximum_cents=one.ceiling_cents, committed_cents=one.committed_cents)
                for name, one in amended.everywhere
                if one.left_cents < 0
            ]
        )
        up, down = LegAmount("", 0, delta_cents), LegAmount("", 0, -delta_cents)
        return amended._moved(
            self._entries(Account.CEILING, Account.AVAILABLE, [up], cause)
            + self._entries(Account.AVAILABLE, Account.CEILING, [down], cause)
        )

    def within(self, scopes: tuple[Scope, ...]) -> "Ceiling":
        """Return the ceiling with these scopes."""
        return replace(self, scopes=scopes)

    @property
    def everywhere(self) -> "list[tuple[str, Ceiling | Scope]]":
        """The whole life and every part, each with its French name."""
        return [("marché entier", self), *((scope.name, scope) for scope in self.scopes)]

    def scope(self, key: str) -> Scope:
        """Return a scope by its key. Raises KeyError."""
        for scope in self.scopes:
            if scope.key == key:
                return scope
        raise KeyError(key)

    def _check(self, asked: Sequence[LegAmount]) -> None:
        faults: list[DomainError] = []
        asked_cents = sum(amount.amount_cents for amount in asked)
        if asked_cents > max(self.left_cents, 0):
            faults.append(
                CeilingExceeded(
                    self.contract_id,
                    asked_cents=asked_cents,
                    left_cents=self.left_cents,
                    ceiling_cents=self.ceiling_cents,
                )
            )
        for scope in self.scopes:
            asked_cents = sum(amount.amount_cents for amount in asked if scope.key in amount.scopes)
            if asked_cents > max(scope.left_cents, 0):
                faults.append(
                    CeilingExceeded(
                        self.contract_id,
                        asked_cents=asked_cents,
                        left_cents=scope.left_cents,
                        ceiling_cents=scope.ceiling_cents,
                        scope_key=scope.key,
                        scope_name=scope.name,
                    )
                )
        refuse_all(faults)

    def _entries(self, source: Account, target: Account, amounts: Sequence[LegAmount], cause: str) -> tuple[Entry, ...]:
        return tuple(
            Entry(
                self.contract_id, source, target, amount.amount_cents, cause, amount.order_id, amount.leg, amount.scopes
            )
            for amount in amounts
            if amount.amount_cents > 0
        )

    def _lowered(self, source: Account, target: Account, amounts: Sequence[LegAmount], cause: str) -> Movement:
        """Take from what is owed or invoiced, in the scopes each amount counted in: those of the original delivery.

        Levels that are no longer reached are told again when they are.
        """
        if any(amount.amount_cents < 0 for amount in amounts):
            raise ValueError("what is given back is not below zero")
        moved = self._moved(self._entries(source, target, amounts, cause))
        if any(min(one.owed_cents, one.invoiced_cents) < 0 for _, one in moved.ceiling.everywhere):
            raise ValueError(f"more is given back than is {source}")
        return moved

    def _moved(self, entries: tuple[Entry, ...]) -> Movement:
        alerts = self.alert_percents
        held, owed, invoiced = _change(entries)
        moved = replace(
            self,
            held_cents=self.held_cents + held,
            owed_cents=self.owed_cents + owed,
            invoiced_cents=self.invoiced_cents + invoiced,
        )
        reached = _reached(moved, alerts)
        crossed = _crossed(moved, reached, alerts, "", "")
        scopes = []
        for scope in self.scopes:
            now = _moved_scope(scope, entries)
            at = _reached(now, alerts)
            if at != now.reached_percent:
                crossed += _crossed(now, at, alerts, now.key, now.name)
                now = replace(now, reached_percent=at)
            scopes.append(now)
        return Movement(replace(moved, reached_percent=reached, scopes=tuple(scopes)), entries, tuple(crossed))


def _change(entries: Iterable[Entry]) -> tuple[int, int, int]:
    """Return by how much these entries change what is held, owed and invoiced."""
    sums = {Account.HELD: 0, Account.OWED: 0, Account.INVOICED: 0}
    for entry in entries:
        if entry.source in sums:
            sums[entry.source] -= entry.amount_cents
        if entry.target in sums:
            sums[entry.target] += entry.amount_cents
    return sums[Account.HELD], sums[Account.OWED], sums[Account.INVOICED]


def _moved_scope(scope: Scope, entries: Sequence[Entry]) -> Scope:
    """Return the scope after these entries, itself when none counts in it: what is the same is not written again."""
    inside = [entry for entry in entries if scope.key in entry.scopes]
    if not inside:
        return scope
    held, owed, invoiced = _change(inside)
    return Scope(
        scope.key,
        scope.name,
        scope.ceiling_cents,
        scope.held_cents + held,
        scope.owed_cents + owed,
        scope.invoiced_cents + invoiced,
        scope.reached_percent,
    )


def _reached(one: Ceiling | Scope, alert_percents: Sequence[int]) -> int:
    """Return the highest level, of ascending ones, at or under what is committed; 0 for none."""
    hundredfold, reached = one.committed_cents * 100, 0
    for level in alert_percents:
        if hundredfold < one.ceiling_cents * level:
            break
        reached = level
    return reached


def _crossed(
    one: Ceiling | Scope, reached: int, alert_percents: Sequence[int], key: str, name: str
) -> list[LevelCrossed]:
    """Return the levels that `one`, whose `reached_percent` is still the one from before, has risen to."""
    return [
        LevelCrossed(level, one.ceiling_cents, one.committed_cents, one.left_cents, key, name)
        for level in alert_percents
        if one.reached_percent < level <= reached
    ]


@dataclass(frozen=True, slots=True)
class Totals:
    """What all charges of a contract hold, owe and were invoiced, in cents."""

    held_cents: int
    owed_cents: int
    invoiced_cents: int


def agree(accounts: Mapping[Account, int], ceiling: Ceiling, charged: Totals) -> bool:
    """Return whether the ledger's accounts, the ceiling's own figures and the charges say the same to the cent."""
    return (
        sum(accounts.values()) == 0
        and accounts[Account.CEILING] == -ceiling.ceiling_cents
        and accounts[Account.AVAILABLE] == ceiling.left_cents >= 0
        and accounts[Account.HELD] == ceiling.held_cents == charged.held_cents
        and accounts[Account.OWED] == ceiling.owed_cents == charged.owed_cents
        and accounts[Account.INVOICED] == ceiling.invoiced_cents == charged.invoiced_cents
    )


def agree_in(accounts: Mapping[Account, int], scope: Scope) -> bool:
    """Return whether the ledger's accounts in a scope and the scope's own figures say the same to the cent."""
    return (
        sum(accounts.values()) == 0
        and accounts[Account.HELD] == scope.held_cents
        and accounts[Account.OWED] == scope.owed_cents
        and accounts[Account.INVOICED] == scope.invoiced_cents
        and accounts[Account.AVAILABLE] == -scope.committed_cents
        and scope.left_cents >= 0
    )
