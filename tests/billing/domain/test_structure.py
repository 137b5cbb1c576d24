"""Periods, lots and budgets: what contradicts is refused together, and a leg counts where it belongs."""

from dataclasses import replace
from datetime import date

import pytest

from services.billing.domain.award import Share
from services.billing.domain.ceiling_errors import LegInNoLot, PeriodNotOpen
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.kit.errors import Refusals
from tests.billing.builders import a_contract
from tests.billing.domain.test_amendment import an_award

FIRM = Period(1, date(2026, 1, 1), date(2026, 12, 31), 4_500_000, Decision.FIRM)
RENEWAL = Period(2, date(2027, 1, 1), date(2027, 12, 31), 4_500_000, Decision.TACIT)
LINEN = Lot(1, "Linge", "64121200", 5_000_000, load_kinds=("ballot-linge",))
SIGNS = Lot(2, "Voirie", "64120000", 4_000_000, departments=("voirie",))


def test_a_contract_without_parts_has_no_scope_but_its_life() -> None:
    structure = a_contract().structure
    assert list(structure) == []
    assert structure.scopes_of("proprete", date(2026, 5, 5), 0) == ()
    assert structure.lot_of(1, "proprete", ["anything"]) == 0


def test_a_leg_counts_in_its_period_lot_and_budgets() -> None:
    budgets = (
        Budget(100, "proprete", 2027),
        Budget(100, "voirie", 2027),
        Budget(100, "proprete"),
        Budget(100, "", 2027),
    )
    structure = Structure((FIRM, RENEWAL), (LINEN, SIGNS), budgets)
    lot = structure.lot_of(1, "proprete", ["ballot-linge"])
    assert structure.scopes_of("proprete", date(2027, 1, 1), lot) == (
        "period:2",
        "lot:1",
        "budget:proprete:2027",
        "budget:proprete:",
        "budget::2027",
    )
    assert structure.scopes_of("proprete", date(2026, 12, 31), lot) == ("period:1", "lot:1", "budget:proprete:")


def test_a_lot_takes_a_leg_whole_or_not_at_all() -> None:
    structure = Structure(lots=(LINEN, SIGNS))
    assert structure.lot_of(1, "voirie", ["panneau", "ballot-linge"]) == 2
    with pytest.raises(LegInNoLot):
        structure.lot_of(2, "proprete", ["ballot-linge", "panneau"])


def test_everything_wrong_is_told_together() -> None:
    structure = Structure(
        (FIRM, Period(2, date(2027, 1, 2), date(2027, 12, 31), 4_400_000, Decision.FIRM)),
        (LINEN, Lot(1, "Encore", "64120000", 0, departments=("inconnu",))),
        (Budget(1), Budget(1, "proprete"), Budget(1, "proprete")),
    )
    shares = (Share("erdre", 9_000), Share("autre", 900))
    contract = a_contract(structure=structure, award=replace(an_award(), reason=" ", shares=shares))
    with pytest.raises(Refusals) as refused:
        contract.check()
    assert sorted((fault.code, fault.pointer) for fault in refused.value.errors) == [
        ("award-reason-missing", "/award/reason"),
        ("budget-for-everything", "/budgets/0"),
        ("firm-period-misplaced", "/periods/1/decision"),
        ("maxima-disagree", "/lots"),
        ("maxima-disagree", "/periods"),
        ("maximum-missing", "/lots/1/maximum"),
        ("named-twice", "/budgets/2"),
        ("named-twice", "/lots/1"),
        ("party-unknown", "/award/shares/1"),
        ("party-unknown", "/lots/1"),
        ("periods-not-in-sequence", "/periods/1"),
        ("shares-incomplete", "/award/shares"),
    ]


def test_a_right_contract_with_parts_is_taken() -> None:
    contract = a_contract(structure=Structure((FIRM, RENEWAL), (LINEN, SIGNS), (Budget(1, "proprete"),)))
    contract.check()


@pytest.mark.parametrize(
    ("decision", "decided_on", "until"),
    [
        (Decision.TACIT, None, date(2027, 12, 31)),
        (Decision.EXPLICIT, None, date(2026, 12, 31)),
        (Decision.EXPLICIT, date(2026, 10, 1), date(2027, 12, 31)),
        (Decision.DECLINED, date(2026, 10, 1), date(2026, 12, 31)),
    ],
)
def test_only_an_open_period_may_be_ordered_for(decision: Decision, decided_on: date | None, until: date) -> None:
    renewal = Period(2, RENEWAL.starts_on, RENEWAL.ends_on, RENEWAL.maximum_cents, decision, decided_on)
    contract = a_contract(structure=Structure((FIRM, renewal)))
    assert contract.open_until == until
    contract.check_order("proprete", [date(2026, 12, 31)])
    if until.year == 2027:
        contract.check_order("proprete", [date(2027, 1, 1)])
    else:
        with pytest.raises(PeriodNotOpen, match="reconduction n° 1"):
            contract.check_order("proprete", [date(2027, 1, 1)])
