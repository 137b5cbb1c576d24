"""Legal thresholds are dated rows that warn; a contract's percentages are exact."""

from datetime import date

import pytest

from services.billing.domain.amendment import Amendment, award_warnings, cumulated, percent_text, warnings
from services.billing.domain.award import Award, AwardKind
from services.billing.domain.legal import rows_of

INITIAL = 9_000_000
ROWS = rows_of("contracts")


def an_award(kind: AwardKind = AwardKind.INNOVATIVE) -> Award:
    return Award(
        kind=kind,
        cpv="64120000",
        procedure="Marché passé sans publicité ni mise en concurrence préalable",
        offers_received=1,
        place_code="44109",
        place_code_type="Code commune",
        notified_on=date(2026, 1, 5),
        reason="Première livraison à vélo cargo avec échange de linge suivi.",
    )


def an_amendment(number: int, delta_cents: int, new_maximum_cents: int, ground: str = "R2194-8") -> Amendment:
    return Amendment(number, ground, date(2026, 3, 1), date(2026, 3, 5), delta_cents, new_maximum_cents)


def test_two_amendments_add_up_and_the_second_needs_another_ground() -> None:
    """Worked example C: 90,000, then +6,000 and +4,000 as small amounts, under an innovative award."""
    first = an_amendment(1, 600_000, 9_600_000)
    assert percent_text(cumulated([first], "R2194-8", INITIAL)) == "6.67"
    assert warnings(first, [], initial_cents=INITIAL, award=an_award(), rows=ROWS) == []
    second = an_amendment(2, 400_000, 10_000_000)
    assert percent_text(cumulated([first, second], "R2194-8", INITIAL)) == "11.11"
    touched = warnings(second, [first], initial_cents=INITIAL, award=an_award(), rows=ROWS)
    plain = [sentence.replace("\u202f", " ").replace("\xa0", " ") for sentence in touched]
    assert "11,11 % du montant initial" in plain[0]
    assert "100 000,00 € HT n'est pas inférieur au seuil de 100 000,00 € HT" in plain[1]
    assert len(plain) == 2


def test_another_ground_has_a_base_of_its_own() -> None:
    first, other = an_amendment(1, 600_000, 9_600_000), an_amendment(2, 300_000, 9_900_000, "R2194-5")
    assert warnings(other, [first], initial_cents=INITIAL, award=an_award(), rows=ROWS) == []


@pytest.mark.parametrize(("delta_cents", "is_touched"), [(899_100, False), (900_000, True), (900_900, True)])
def test_small_amounts_stay_strictly_below_ten_per_cent(delta_cents: int, is_touched: bool) -> None:
    amendment = an_amendment(1, delta_cents, INITIAL + delta_cents)
    assert bool(warnings(amendment, [], initial_cents=INITIAL, award=None, rows=ROWS)) is is_touched


@pytest.mark.parametrize(("delta_cents", "is_touched"), [(4_500_000, False), (4_500_001, True)])
def test_an_additional_need_is_half_of_the_initial_amount_at_most(delta_cents: int, is_touched: bool) -> None:
    amendment = an_amendment(1, delta_cents, INITIAL + delta_cents, "R2194-5")
    assert bool(warnings(amendment, [], initial_cents=INITIAL, award=None, rows=ROWS)) is is_touched


def test_a_modification_that_is_not_substantial_needs_its_reasoning() -> None:
    amendment = an_amendment(1, 1, INITIAL + 1, "R2194-7")
    assert len(warnings(amendment, [], initial_cents=INITIAL, award=None, rows=ROWS)) == 1


def test_a_threshold_that_is_not_confirmed_is_only_mentioned() -> None:
    before = award_warnings(an_award(), 10_000_000, date(2026, 6, 30), ROWS)
    after = award_warnings(an_award(), 10_000_000, date(2026, 7, 1), ROWS)
    assert "annoncé" not in before[0]
    assert "annoncé" in after[0]
    assert "à confirmer" in after[0]


@pytest.mark.parametrize(
    ("day", "is_reached"), [(date(2019, 1, 1), False), (date(2026, 3, 31), True), (date(2026, 4, 1), False)]
)
def test_the_row_of_the_day_counts(day: date, is_reached: bool) -> None:
    """50,000 by direct award: above the 40,000 of before April 2026, below the 60,000 since; no row, no warning."""
    assert bool(award_warnings(an_award(AwardKind.DIRECT), 5_000_000, day, ROWS)) is is_reached


def test_every_row_has_a_source_and_a_status() -> None:
    assert ROWS
    assert {row.status for row in ROWS} == {"in-force", "to-confirm"}
    assert all(row.source and (row.valid_to or row.valid_from) >= row.valid_from for row in ROWS)


def test_no_row_no_warning() -> None:
    """Thresholds are in no code: without rows nothing is touched."""
    amendment = an_amendment(1, INITIAL, 2 * INITIAL)
    assert warnings(amendment, [], initial_cents=INITIAL, award=an_award(), rows=()) == []
