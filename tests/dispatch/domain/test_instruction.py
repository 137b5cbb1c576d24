from dataclasses import replace

import pytest

from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.planning_settings import Priority
from services.kit.errors import Refusals
from tests.dispatch.builders import NOW, ORDER

GIVEN = Instruction(DeliveryId(ORDER, 1), ("froid",), ("amel",), ("bastien",), "Des vaccins.", "Régie", NOW)


def test_an_instruction_that_says_who_and_why_is_good() -> None:
    GIVEN.check()


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"reason": " "}, "/reason"),
        ({"skills": (), "courier_ids": (), "forbidden_courier_ids": ()}, "/skills"),
        ({"forbidden_courier_ids": ("bastien", "amel")}, "/forbidden_courier_ids"),
        ({"skills": ("x" * 41,)}, "/skills"),
    ],
)
def test_an_instruction_that_says_nothing_or_contradicts_itself_is_refused(
    changes: dict[str, object], pointer: str
) -> None:
    with pytest.raises(OutOfBounds) as refusal:
        replace(GIVEN, **changes).check()  # type: ignore[arg-type]
    assert refusal.value.pointer == pointer


def test_a_priority_alone_is_an_instruction() -> None:
    replace(GIVEN, skills=(), courier_ids=(), forbidden_courier_ids=(), priority=Priority.URGENT).check()


def test_all_faults_are_told_together() -> None:
    with pytest.raises(Refusals) as refusal:
        replace(GIVEN, reason="", forbidden_courier_ids=("amel",)).check()
    assert len(refusal.value.errors) == 2
