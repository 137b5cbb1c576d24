"""A contract's maximum: hold, settle and release under it; what is committed never exceeds it.

Committed = held + owed + invoiced. Only a hold or a dearer price can raise it, and both are refused beyond the maximum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.billing.domain.errors import CeilingExceeded
from services.billing.domain.ledger import Account, Entry


@dataclass(frozen=True, slots=True)
class LevelCrossed:
    """What is committed rose to an alert level, a percentage of the ceiling."""

    percent: int
    ceiling_cents: int
    committed_cents: int
    left_cents: int


@dataclass(frozen=True, slots=True)
class Movement:
    """What a verb did: the new state, the entries that explain it, the alert levels it crossed upwards."""

    ceiling: "Ceiling"
    entries: tuple[Entry, ...]
    crossed: tuple[LevelCrossed, ...] = ()


@dataclass(frozen=True, slots=True)
class LegAmount:
    """An amount of one leg of an order."""

    order_id: str
    leg: int
    amount_cents: int


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
        return self._moved(Account.CEILING, Account.AVAILABLE, [LegAmount("", 0, self.ceiling_cents)], "contract")

    def hold(self, order_id: str, cents_by_leg: Mapping[int, int], *, cause: str) -> Movement:
        """Set an order's estimate aside, leg by leg.

        Raises
        ------
        CeilingExceeded
            When less than the sum of all legs is left. Nothing changes.
        """
        asked_cents = sum(cents_by_leg.values())
        self._check(asked_cents)
        held = replace(self, held_cents=self.held_cents + asked_cents)
        amounts = [LegAmount(order_id, leg, amount) for leg, amount in cents_by_leg.items()]
        return held._moved(Account.AVAILABLE, Account.HELD, amounts, cause, before=self)

    def settle(self, order_id: str, leg: int, *, held_cents: int, owed_cents: int, cause: str) -> Movement:
        """Turn one leg's hold into what is owed for it and give the rest back; owed 0 releases it all.

        Raises
        ------
        ValueError
            When more would be owed than was held: the charge must have been capped before.
        """
        if not 0 <= owed_cents <= held_cents <= self.held_cents:
            raise ValueError(f"{owed_cents} owed of {held_cents} held of {self.held_cents}")
        settled = replace(self, held_cents=self.held_cents - held_cents, owed_cents=self.owed_cents + owed_cents)
        owed = settled._moved(Account.HELD, Account.OWED, [LegAmount(order_id, leg, owed_cents)], cause, before=self)
        rest = LegAmount(order_id, leg, held_cents - owed_cents)
        released = settled._moved(Account.HELD, Account.AVAILABLE, [rest], cause, before=self)
        return replace(released, entries=owed.entries + released.entries)

    def revalue(self, changes: Sequence[tuple[LegAmount, int]], *, cause: str) -> Movement:
        """Hold each leg at a new amount: pairs of what it was held at, and what it is held at from now on.

        Raises
        ------
        CeilingExceeded
            When less than the sum of all changes is left. Nothing changes.
        """
        change_cents = sum(new_cents - old.amount_cents for old, new_cents in changes)
        self._check(change_cents)
        revalued = replace(self, held_cents=self.held_cents + change_cents)
        raised = [LegAmount(old.order_id, old.leg, new_cents - old.amount_cents) for old, new_cents in changes]
        up = revalued._moved(Account.AVAILABLE, Account.HELD, raised, cause, before=self)
        lowered = [replace(amount, amount_cents=-amount.amount_cents) for amount in raised]
        down = revalued._moved(Account.HELD, Account.AVAILABLE, lowered, cause, before=self)
        # Given back first: in no order of the entries does an account stand below zero.
        return replace(up, entries=down.entries + up.entries)

    def invoice(self, amounts: Sequence[LegAmount], *, cause: str) -> Movement:
        """Put owed amounts on a closed statement. Raises ValueError when that much is not owed."""
        invoiced_cents = sum(amount.amount_cents for amount in amounts)
        if invoiced_cents > self.owed_cents:
            raise ValueError(f"{invoiced_cents} invoiced of {self.owed_cents} owed")
        invoiced = replace(
            self, owed_cents=self.owed_cents - invoiced_cents, invoiced_cents=self.invoiced_cents + invoiced_cents
        )
        return invoiced._moved(Account.OWED, Account.INVOICED, amounts, cause, before=self)

    def reduce(self, order_id: str, leg: int, amount_cents: int, *, cause: str) -> Movement:
        """Give back some of what is owed for a leg: a price cut, or all of it when the leg is rejected.

        Raises
        ------
        ValueError
            When that much is not owed.
        """
        if not 0 <= amount_cents <= self.owed_cents:
            raise ValueError(f"{amount_cents} given back of {self.owed_cents} owed")
        reduced = replace(self, owed_cents=self.owed_cents - amount_cents)
        given_back = [LegAmount(order_id, leg, amount_cents)]
        return reduced._moved(Account.OWED, Account.AVAILABLE, given_back, cause, before=self)

    def credit(self, amounts: Sequence[LegAmount], *, cause: str) -> Movement:
        """Give back what was invoiced and is not due. Raises ValueError when that much was not invoiced."""
        credited = self._less_invoiced(amounts)
        return credited._moved(Account.INVOICED, Account.AVAILABLE, amounts, cause, before=self)

    def take_back(self, amounts: Sequence[LegAmount], *, cause: str) -> Movement:
        """Owe again what was invoiced in vain; as much stays committed. Raises ValueError when it was not invoiced."""
        lowered = self._less_invoiced(amounts)
        owed_cents = lowered.owed_cents + self.invoiced_cents - lowered.invoiced_cents
        owed = replace(lowered, owed_cents=owed_cents)
        return owed._moved(Account.INVOICED, Account.OWED, amounts, cause, before=self)

    def _less_invoiced(self, amounts: Sequence[LegAmount]) -> "Ceiling":
        taken_cents = sum(amount.amount_cents for amount in amounts)
        if taken_cents > self.invoiced_cents:
            raise ValueError(f"{taken_cents} taken back of {self.invoiced_cents} invoiced")
        return replace(self, invoiced_cents=self.invoiced_cents - taken_cents)

    def _check(self, asked_cents: int) -> None:
        if asked_cents > self.left_cents:
            raise CeilingExceeded(
                self.contract_id,
                asked_cents=asked_cents,
                left_cents=self.left_cents,
                ceiling_cents=self.ceiling_cents,
            )

    def _moved(
        self,
        source: Account,
        target: Account,
        amounts: Sequence[LegAmount],
        cause: str,
        *,
        before: "Ceiling | None" = None,
    ) -> Movement:
        entries = tuple(
            Entry(self.contract_id, source, target, amount.amount_cents, cause, amount.order_id, amount.leg)
            for amount in amounts
            if amount.amount_cents > 0
        )
        reached = max((level for level in self.alert_percents if self._is_at(level)), default=0)
        crossed = tuple(
            LevelCrossed(level, self.ceiling_cents, self.committed_cents, self.left_cents)
            for level in self.alert_percents
            if before is not None and before.reached_percent < level <= reached
        )
        return Movement(replace(self, reached_percent=reached), entries, crossed)

    def _is_at(self, percent: int) -> bool:
        return self.committed_cents * 100 >= self.ceiling_cents * percent


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
