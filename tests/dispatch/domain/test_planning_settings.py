from dataclasses import replace

import pytest

from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.planning_settings import PlanningSettings, Priority
from services.kit.errors import Refusals

SETTINGS = PlanningSettings(courier_seconds=1_800, balance_weight=1, ordinary_seconds=7_200, can_wait_seconds=3_600)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"courier_seconds": -1}, "/courier_seconds"),
        ({"courier_seconds": 14_401}, "/courier_seconds"),
        ({"balance_weight": 11}, "/balance_weight"),
        ({"ordinary_seconds": 86_401}, "/ordinary_seconds"),
        ({"tolerance_seconds": 3_601}, "/tolerance_seconds"),
        ({"late_weight": 101}, "/late_weight"),
        ({"can_wait_seconds": -1}, "/can_wait_seconds"),
        ({"can_wait_seconds": 7_201}, "/can_wait_seconds"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, int], pointer: str) -> None:
    SETTINGS.check()
    with pytest.raises(OutOfBounds) as refusal:
        replace(SETTINGS, **changes).check()
    assert refusal.value.pointer == pointer


def test_all_faults_are_told_together() -> None:
    with pytest.raises(Refusals) as refusal:
        replace(SETTINGS, courier_seconds=-1, balance_weight=-1, can_wait_seconds=-1).check()
    assert len(refusal.value.errors) == 3


def test_the_lowest_priority_is_named_that_is_worth_a_detour() -> None:
    assert SETTINGS.enough(3_600) is Priority.CAN_WAIT
    assert SETTINGS.enough(3_601) is Priority.ORDINARY
    assert SETTINGS.enough(7_201) is Priority.URGENT
    assert replace(SETTINGS, ordinary_seconds=None).enough(7_201) is Priority.ORDINARY
