"""A contract's penalty rules: what is punished, with what, within which bounds. Legal values are the contract's own.

Source: CCAG-FCS 2021, article 14 (1/1000 a day, cap of 10 %, exemption up to 1,000 EUR); a contract may derogate.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from services.billing.domain.errors import PenaltyRuleInvalid, PenaltyRuleTwice
from services.kit.errors import DomainError


class Trigger(StrEnum):
    """What a rule punishes."""

    LATE = "late"
    """Handed over after the promised window: an amount for each delivery."""
    LATE_PER_DAY = "late_per_day"
    """Handed over on a later day: V x R x per mille / 1000, V the base price excluding tax, R the calendar days."""
    MISSED = "missed"
    """Never handed over by the courier's cause: an amount for each delivery."""


@dataclass(frozen=True, slots=True)
class PenaltyRule:
    """One line of the contract's penalties, for deliveries of the days from `valid_from` to `valid_to`, both included.

    `amount_cents` is per delivery; a rule per day has `permille_per_day` instead. `reason_codes` are the failures that
    count as missed, by the catalogue of dispatch; a delivery that nobody rode always does.
    """

    code: str
    label: str
    trigger: Trigger
    valid_from: date
    valid_to: date | None = None
    amount_cents: int = 0
    permille_per_day: int = 0
    grace_minutes: int = 0
    reason_codes: tuple[str, ...] = ()

    def is_in_force(self, day: date) -> bool:
        """Return whether it is about deliveries of a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class CapBase(StrEnum):
    """What the cap is a share of, excluding tax."""

    CONTRACT = "contract"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class PenaltyTerms:
    """The contract's penalties. Up to `exemption_cents` in all, none is due; beyond, all are.

    `cap_permille` of the contract's maximum, or of each order, is the most; None for no cap. The cooperative has
    `answer_days` after it was notified before anything is decided.
    """

    rules: tuple[PenaltyRule, ...]
    exemption_cents: int = 0
    cap_permille: int | None = None
    cap_base: CapBase = CapBase.CONTRACT
    answer_days: int = 15

    def check(self) -> list[DomainError]:
        """Return what is wrong: PenaltyRuleTwice, PenaltyRuleInvalid."""
        faults: list[DomainError] = []
        for index, rule in enumerate(self.rules):
            pointer = f"/penalties/rules/{index}"
            if any(other.code == rule.code for other in self.rules[:index]):
                faults.append(PenaltyRuleTwice(rule.code, f"{pointer}/code"))
            by_day = rule.trigger is Trigger.LATE_PER_DAY
            if (rule.permille_per_day > 0) != by_day or (rule.amount_cents > 0) == by_day:
                faults.append(PenaltyRuleInvalid(rule.code, pointer))
            elif rule.valid_to is not None and rule.valid_to < rule.valid_from:
                faults.append(PenaltyRuleInvalid(rule.code, f"{pointer}/valid_to"))
        return faults
