from dataclasses import replace
from datetime import timedelta

import pytest

from services.dispatch.domain.closure import Closure, falling_in
from services.dispatch.domain.errors import OutOfBounds
from services.dispatch.domain.events import StopKind
from services.kit.errors import Refusals
from tests.dispatch.builders import NOW, a_delivery, at

CLOSURE = Closure("closure", "site-école", "École", at(9), at(11), "Grève.", "Régie", NOW)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"ends_at": at(9)}, "/ends_at"),
        ({"ends_at": at(9) + timedelta(days=367)}, "/ends_at"),
        ({"reason": " "}, "/reason"),
    ],
)
def test_a_closure_that_cannot_be_meant_is_refused(changes: dict[str, object], pointer: str) -> None:
    CLOSURE.check()
    with pytest.raises(OutOfBounds) as refusal:
        replace(CLOSURE, **changes).check()  # type: ignore[arg-type]
    assert refusal.value.pointer == pointer


def test_all_faults_are_told_together() -> None:
    with pytest.raises(Refusals):
        replace(CLOSURE, ends_at=at(8), reason="").check()


def test_a_stop_falls_into_a_closure_from_its_beginning_until_just_before_its_end() -> None:
    delivery = a_delivery()
    known = {delivery.id: delivery}
    for begins, falls in ((at(8, 59), False), (at(9), True), (at(10, 59), True), (at(11), False)):
        found = falling_in([CLOSURE], [(delivery.id, StopKind.DROP, begins)], known)
        assert found == ([(CLOSURE, delivery)] if falls else [])
    assert falling_in([CLOSURE], [(delivery.id, StopKind.PICKUP, at(10))], known) == []
