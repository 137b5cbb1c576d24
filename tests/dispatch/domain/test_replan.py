"""A published round is readjusted: what stays keeps its id, what goes is still known, what comes is marked."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import NothingToReadjust
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.reach import EVERYTHING, NOTHING, Reach
from services.dispatch.domain.replan import (
    ChangeKind,
    DeliveryChange,
    Happened,
    Replan,
    RoundProposed,
    SoFar,
    StopChange,
    StopProposed,
    breaks_begun,
    is_retimed,
    readjusted,
    require_open,
    round_print,
)
from services.dispatch.domain.ride import ADDED, RETIMED
from services.dispatch.domain.round import BreakTaken, Round, RoundState, Stop, StopState
from tests.dispatch.builders import NOW, TODAY, a_delivery, a_round, a_stop, at

ONE, TWO = a_delivery(1).id, a_delivery(2).id
KNOWN: dict[DeliveryId, Delivery] = {
    ONE: a_delivery(1, state=DeliveryState.PLANNED, round_id="round"),
    TWO: a_delivery(2, state=DeliveryState.PLANNED, round_id="round"),
}
NOBODY: frozenset[DeliveryId] = frozenset()


def both(**first: Any) -> Round:
    stops = [a_stop(kind, id_) for id_ in (ONE, TWO) for kind in StopKind]
    return a_round(stops=(replace(stops[0], **first), *stops[1:]))


def proposal(*stops: Stop, minutes: int = 0) -> RoundProposed:
    return RoundProposed(
        "shift",
        "round",
        at(9),
        at(11),
        600,
        2_000,
        tuple(
            StopProposed(one.delivery_id, one.kind, *(at(9 + n, minutes) for _ in range(3)))
            for n, one in enumerate(stops)
        ),
    )


def ids() -> str:
    return "new"


def test_what_stays_keeps_its_id_and_says_that_its_time_changed() -> None:
    before = both()
    after = readjusted(before, proposal(*before.stops, minutes=30), NOBODY, KNOWN, ids, at=NOW)
    assert [stop.id for stop in after.stops] == [stop.id for stop in before.stops]
    assert {stop.flags for stop in after.stops} == {(RETIMED,)}
    assert [stop.aboard_grams for stop in after.stops] == [24_000, 0, 24_000, 0]


def test_a_time_that_reads_the_same_is_not_said_to_have_changed() -> None:
    assert not is_retimed(at(9), at(9).replace(second=40))
    assert is_retimed(at(9), at(9, 1))
    assert is_retimed(None, at(9))


def test_what_leaves_is_known_still_but_no_delivery_of_the_round() -> None:
    before = both()
    after = readjusted(before, proposal(*before.stops[2:]), frozenset({ONE}), KNOWN, ids, at=NOW)
    assert after.delivery_ids == (TWO,)
    assert [stop.state for stop in after.stops] == [StopState.TO_DO] * 2 + [StopState.MOVED] * 2
    assert [stop.delivery_id for stop in after.as_ridden.stops] == [TWO, TWO]


def test_what_comes_is_marked_and_what_comes_back_has_its_old_id() -> None:
    before = both()
    without = readjusted(before, proposal(*before.stops[2:]), frozenset({ONE}), KNOWN, ids, at=NOW)
    back = readjusted(without, proposal(*before.stops), NOBODY, KNOWN, ids, at=NOW)
    assert {stop.id for stop in back.stops} == {stop.id for stop in before.stops}
    assert [ADDED in stop.flags for stop in back.stops] == [True, True, False, False]
    assert {stop.state for stop in back.stops} == {StopState.TO_DO}
    fresh = a_stop(StopKind.PICKUP, a_delivery(3).id)
    grown = readjusted(
        before, proposal(*before.stops, fresh), NOBODY, {**KNOWN, fresh.delivery_id: a_delivery(3)}, ids, at=NOW
    )
    assert (grown.stops[-1].id, grown.stops[-1].flags) == ("new", (ADDED,))


def test_a_stop_under_way_is_neither_moved_nor_retimed() -> None:
    before = both(state=StopState.STARTED, started_at=at(8))
    after = readjusted(before, proposal(*before.stops[1:], minutes=30), NOBODY, KNOWN, ids, at=NOW)
    assert after.stops[0] == replace(before.stops[0], aboard_grams=24_000, aboard_millilitres=120_000)


def test_a_round_that_nobody_started_and_that_is_emptied_is_withdrawn() -> None:
    after = readjusted(both(), None, frozenset({ONE, TWO}), KNOWN, ids, at=NOW)
    assert (after.state, after.withdrawn_at) == (RoundState.WITHDRAWN, NOW)


def test_a_round_of_which_something_was_ridden_is_closed_when_nothing_is_left() -> None:
    before = replace(both(), state=RoundState.UNDER_WAY, started_at=at(8))
    done = tuple(replace(stop, state=StopState.COMPLETED) for stop in before.stops[:2])
    after = readjusted(replace(before, stops=(*done, *before.stops[2:])), None, frozenset({TWO}), KNOWN, ids, at=NOW)
    assert (after.state, after.closed_at) == (RoundState.CLOSED, NOW)


def test_a_closed_round_opens_again_for_a_new_delivery() -> None:
    before = replace(both(), state=RoundState.CLOSED, started_at=at(8), closed_at=at(9))
    done = replace(before, stops=tuple(replace(stop, state=StopState.COMPLETED) for stop in before.stops))
    fresh = a_stop(StopKind.PICKUP, a_delivery(3).id)
    known = {**KNOWN, fresh.delivery_id: a_delivery(3)}
    after = readjusted(done, proposal(fresh), NOBODY, known, ids, at=NOW)
    assert (after.state, after.closed_at) == (RoundState.UNDER_WAY, None)


@pytest.mark.parametrize(
    ("second", "kept"),
    [(StopState.COMPLETED, True), (StopState.STARTED, False), (StopState.TO_DO, False)],
    ids=["resting", "riding", "late"],
)
def test_a_break_being_taken_stays_and_one_that_waits_for_a_stop_is_planned_anew(second: StopState, kept: bool) -> None:
    rest = BreakTaken(at(9, 10), at(9, 40))
    states = {ONE: StopState.COMPLETED, TWO: second}
    stops = [replace(s, state=states[s.delivery_id]) if s.kind is StopKind.PICKUP else s for s in both().stops]
    before = replace(both(), state=RoundState.UNDER_WAY, started_at=at(8), stops=tuple(stops), breaks=(rest,))
    assert breaks_begun(before, at(9, 20)) == ((rest,) if kept else ())


def test_a_break_that_was_to_come_when_it_was_proposed_is_one_also_where_that_is_accepted_during_it() -> None:
    rest = BreakTaken(at(9, 10), at(9, 40))
    stops = [replace(s, state=StopState.COMPLETED) if s.kind is StopKind.PICKUP else s for s in both().stops]
    before = replace(both(), state=RoundState.UNDER_WAY, started_at=at(8), stops=tuple(stops), breaks=(rest,))
    proposed = replace(proposal(*(s for s in stops if not s.has_ended)), breaks=(rest,))
    after = readjusted(before, proposed, NOBODY, KNOWN, ids, at=at(9, 20))
    assert after.breaks == (rest,)
    emptied = readjusted(before, None, frozenset({ONE, TWO}), KNOWN, ids, at=at(9, 20))
    assert emptied.breaks == (rest,)


def test_a_readjusted_round_is_as_long_as_what_was_ridden_and_what_remains() -> None:
    before, ridden = both(), SoFar(300, 1_500)
    after = readjusted(before, proposal(*before.stops), NOBODY, KNOWN, ids, at=NOW)
    assert (after.starts_at, after.travel_seconds, after.travel_metres) == (at(9), 600, 2_000)
    begun = replace(both(state=StopState.STARTED), state=RoundState.UNDER_WAY, started_at=at(8, 50))
    after = readjusted(begun, proposal(*begun.stops[1:]), NOBODY, KNOWN, ids, ridden, at=NOW)
    assert (after.starts_at, after.travel_seconds, after.travel_metres) == (begun.starts_at, 900, 3_500)
    after = readjusted(begun, None, frozenset({TWO}), KNOWN, ids, ridden, at=NOW)
    assert (after.starts_at, after.travel_seconds, after.travel_metres) == (begun.starts_at, 300, 1_500)


@pytest.mark.parametrize("change", ["state", "time", "edition"])
def test_a_print_changes_with_all_that_a_proposal_depends_on(change: str) -> None:
    round_, known = both(), dict(KNOWN)
    if change == "state":
        round_ = both(state=StopState.ARRIVED)
    elif change == "time":
        round_ = both(starts_at=at(9, 1))
    else:
        known[TWO] = replace(known[TWO], edition=2)
    assert round_print(round_, known) != round_print(both(), KNOWN)


def test_a_proposal_is_its_authors_cooperatives_and_the_administrations() -> None:
    replan = Replan("id", TODAY, "erdre", "regie", NOW, Happened(), (), (), 0, {})
    assert replan.concerns(Reach("erdre"))
    assert replan.concerns(EVERYTHING)
    assert not replan.concerns(Reach("loire"))
    asked_by_the_administration = replace(replan, cooperative_id="")
    assert asked_by_the_administration.concerns(EVERYTHING)
    assert not asked_by_the_administration.concerns(Reach("erdre"))
    assert not asked_by_the_administration.concerns(NOTHING)


def test_a_proposal_is_overdue_when_a_start_that_it_changes_is_long_past() -> None:
    same = StopChange(StopKind.PICKUP, at(8), at(8))
    later = StopChange(StopKind.DROP, at(9), at(9, 30))
    retimed = DeliveryChange(ONE, ChangeKind.RETIMED, "shift", "shift", (same, later), "saves")
    replan = Replan("id", TODAY, "erdre", "regie", NOW, Happened(), (), (retimed,), 0, {})
    assert replan.overdue(at=at(9, 40)) == ()
    assert replan.overdue(at=at(9, 41)) == (ONE,)
    moved = replace(retimed, kind=ChangeKind.MOVED, to_shift="other")
    assert replace(replan, changes=(moved,)).overdue(at=at(8, 11)) == (ONE,)  # somebody else would begin it at 8
    out = (StopChange(StopKind.PICKUP, at(8), None), StopChange(StopKind.DROP, at(9), None))
    dropped = replace(retimed, kind=ChangeKind.DROPPED, to_shift=None, stops=out)
    assert replace(replan, changes=(dropped,)).overdue(at=at(12)) == ()


@pytest.mark.parametrize(
    ("states", "today", "told"),
    [
        ([RoundState.PUBLISHED], date(2026, 11, 25), "Le 24/11/2026 est passé"),
        ([RoundState.CLOSED, RoundState.WITHDRAWN], TODAY, "Toutes les tournées du 24/11/2026 sont terminées"),
        ([RoundState.WITHDRAWN], TODAY, "calculez et publiez d'abord un plan"),
    ],
)
def test_a_day_that_is_not_readjusted_says_why(states: list[RoundState], today: date, told: str) -> None:
    with pytest.raises(NothingToReadjust, match=told):
        require_open(TODAY, [a_round(state=state) for state in states], today=today)


def test_a_day_is_readjusted_while_one_of_its_rounds_is_open() -> None:
    require_open(TODAY, [a_round(state=RoundState.CLOSED), a_round(state=RoundState.UNDER_WAY)], today=TODAY)
