"""What the platform says comes late, twice and in any order; where a statement stands depends on none of that."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.errors import StatusReasonMissing, StatusUnknown
from services.billing.domain.status import CODES, WORDS, Status, ToldStatus, french, life_of, status_of

START = datetime(2026, 12, 7, 9, tzinfo=UTC)


def told(status: Status, hours: int = 0, id_: str = "") -> ToldStatus:
    return ToldStatus(id_ or f"{status}-{hours}", status, START + timedelta(hours=hours), reason="JUSTIF_ABS")


@given(
    st.lists(
        st.builds(told, st.sampled_from(Status), st.integers(0, 20)), max_size=12, unique_by=lambda one: one.id
    ).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some + some[:3])))
)
def test_neither_order_nor_repeats_count(lists: tuple[list[ToldStatus], list[ToldStatus]]) -> None:
    assert life_of(lists[0]) == life_of(lists[1])


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ([], Status.ISSUED),
        ([told(Status.DEPOSITED)], Status.DEPOSITED),
        ([told(Status.AVAILABLE, 1), told(Status.DEPOSITED, 2)], Status.AVAILABLE),
        ([told(Status.AVAILABLE), told(Status.SUSPENDED, 1)], Status.SUSPENDED),
        ([told(Status.SUSPENDED, 1), told(Status.COMPLETED, 2), told(Status.AVAILABLE)], Status.AVAILABLE),
        ([told(Status.SUSPENDED, 3), told(Status.COMPLETED, 2)], Status.SUSPENDED),
        ([told(Status.DISPUTED, 1), told(Status.AVAILABLE)], Status.DISPUTED),
        ([told(Status.DISPUTED, 1), told(Status.APPROVED, 2)], Status.APPROVED),
        ([told(Status.MANDATED, 3), told(Status.APPROVED, 2)], Status.MANDATED),
        ([told(Status.SUSPENDED, 1), told(Status.PAYMENT_SENT, 2)], Status.PAYMENT_SENT),
        ([told(Status.CASHED, 5), told(Status.REJECTED, 1)], Status.REJECTED),
        ([told(Status.REFUSED, 1), told(Status.AVAILABLE, 9)], Status.REFUSED),
        ([told(Status.FACTORED, 1)], Status.ISSUED),
    ],
)
def test_the_state_is_that_of_all_that_was_said(statuses: list[ToldStatus], state: Status) -> None:
    assert life_of(statuses).state is state


def test_codes_and_words_are_read_whatever_their_case() -> None:
    assert status_of("203") is status_of("mise à disposition") is Status.AVAILABLE
    assert status_of("MANDATÉE") is Status.MANDATED
    for word in ("", "299", "Payée demain"):
        with pytest.raises(StatusUnknown):
            status_of(word)


def test_every_status_has_a_french_name_and_a_way_in() -> None:
    assert all(french(status) for status in Status)
    assert {*CODES.values(), *WORDS.values()} == set(Status)


def test_every_code_and_word_of_the_reference_is_known(shared_folder: Path) -> None:
    text = (shared_folder / "reference" / "einvoice-mapping.md").read_text(encoding="utf-8")
    section = text.split("## 5. Statuses to model")[1].split("## 6.")[0]
    codes = {int(code) for code in re.findall(r"\b(2\d\d)\b", section.split("Only 200")[0])} | {226, 227}
    assert {int(code) for code in CODES} == codes
    assert all(word in section for word in WORDS)


def test_a_suspension_says_why() -> None:
    ToldStatus("1", Status.SUSPENDED, START, reason_code="JUSTIF_ABS").check()
    ToldStatus("1", Status.AVAILABLE, START).check()
    with pytest.raises(StatusReasonMissing, match="suspendu"):
        ToldStatus("1", Status.SUSPENDED, START).check()
