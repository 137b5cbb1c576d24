from dataclasses import replace
from datetime import timedelta

import pytest

from services.dispatch.domain.errors import RoundStarted
from services.dispatch.domain.round import RoundState, StopState
from tests.dispatch.builders import NOW, a_ride, a_round, at


def test_a_published_round_is_taken_back_with_its_reason() -> None:
    withdrawn = a_round().withdraw("Vélo volé.", at=NOW)
    assert (withdrawn.state, withdrawn.withdrawal_reason, withdrawn.withdrawn_at) == (
        RoundState.WITHDRAWN,
        "Vélo volé.",
        NOW,
    )


def test_a_started_round_is_not_taken_back() -> None:
    with pytest.raises(RoundStarted):
        a_round().ridden(at=at(9)).withdraw("Vélo volé.", at=at(10))


def test_a_round_starts_with_the_earliest_report() -> None:
    ridden = a_round().ridden(at=at(9)).ridden(at=at(8, 50)).ridden(at=at(10))
    assert (ridden.state, ridden.started_at) == (RoundState.UNDER_WAY, at(8, 50))


def test_a_round_is_closed_when_every_stop_has_ended() -> None:
    ride = a_ride()
    pickup, drop = (replace(stop, state=StopState.COMPLETED) for stop in (ride.pickup, ride.drop))
    half = a_round().ridden(at=at(9)).with_stops(pickup, at=at(9))
    assert half.state is RoundState.UNDER_WAY
    closed = half.with_stops(drop, at=at(10))
    assert (closed.state, closed.closed_at) == (RoundState.CLOSED, at(10))


def test_a_round_of_which_everything_was_cancelled_can_be_taken_back() -> None:
    ride = a_ride()
    pickup, drop = (replace(stop, state=StopState.CANCELLED) for stop in (ride.pickup, ride.drop))
    closed = a_round().with_stops(pickup, drop, at=NOW)
    assert closed.state is RoundState.CLOSED
    assert closed.withdraw("Rien à porter.", at=NOW + timedelta(1)).state is RoundState.WITHDRAWN
