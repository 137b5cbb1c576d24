"""A readjustment of a published day: what happened, what is proposed, and what was seen when that was computed."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.dispatch.domain.delivery import Delivery, DeliveryState
from services.dispatch.domain.errors import NothingToReadjust
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.reach import Reach
from services.dispatch.domain.ride import ADDED, RETIMED
from services.dispatch.domain.round import BreakTaken, Round, RoundState, Stop, StopState

PATIENCE = timedelta(minutes=10)
"""How long after a start that it proposes a readjustment can still be accepted: a dispatcher reads and calls first."""


class Strictness(StrEnum):
    """How dear it is to change what couriers and departments were told."""

    LOOSE = "loose"
    MEASURED = "measured"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class ShiftLost:
    """Nobody rides this shift from then on: somebody is sick, a bike is broken."""

    shift_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class CourierLate:
    """Whoever rides this shift goes on so many minutes later than planned."""

    shift_id: str
    minutes: int


@dataclass(frozen=True, slots=True)
class SiteShut:
    """Nothing can be collected or handed over there until then."""

    site_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Happened:
    """What a dispatcher says of a day. `with_new` also looks for places for deliveries that are in no round.

    `pinned` deliveries keep their round and their times.
    """

    lost: tuple[ShiftLost, ...] = ()
    late: tuple[CourierLate, ...] = ()
    shut: tuple[SiteShut, ...] = ()
    with_new: bool = True
    pinned: tuple[DeliveryId, ...] = ()
    strictness: Strictness = Strictness.MEASURED


@dataclass(frozen=True, slots=True)
class StopProposed:
    """A stop still to be made, at the times proposed."""

    delivery_id: DeliveryId
    kind: StopKind
    arrives_at: datetime
    starts_at: datetime
    leaves_at: datetime


@dataclass(frozen=True, slots=True)
class RoundProposed:
    """All that a shift still rides, in order. `round_id` is that of its published round, None for a free shift.

    `travel_seconds` and `travel_metres` are of what is still to be ridden; `breaks` are all of the round's, also those
    that were over or being taken when this was proposed: later it could no longer be told which were planned anew.
    """

    shift_id: str
    round_id: str | None
    starts_at: datetime
    ends_at: datetime
    travel_seconds: int
    travel_metres: int
    stops: tuple[StopProposed, ...]
    breaks: tuple[BreakTaken, ...] = ()


@dataclass(frozen=True, slots=True)
class SoFar:
    """What was ridden of a round, as the day is planned with: up to the last stop that is done, or that was begun."""

    seconds: int
    metres: int


UNRIDDEN = SoFar(0, 0)


@dataclass(frozen=True, slots=True)
class StopChange:
    """When a stop begins: as published and as proposed; None where it is in no round."""

    kind: StopKind
    before: datetime | None
    after: datetime | None


class ChangeKind(StrEnum):
    """What becomes of a delivery."""

    MOVED = "moved"
    RETIMED = "retimed"
    ADDED = "added"
    DROPPED = "dropped"
    LEFT_OUT = "left-out"
    ABOARD = "aboard"  # on a bike that rides no more: it stays in its round until its courier says what became of it


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """What becomes of one delivery, and why: `code` is the engine's, `makes_room_for` another delivery.

    `codes` and `sentence` tell why one is in no round afterwards.
    """

    delivery_id: DeliveryId
    kind: ChangeKind
    from_shift: str | None
    to_shift: str | None
    stops: tuple[StopChange, ...]
    code: str
    makes_room_for: DeliveryId | None = None
    codes: tuple[str, ...] = ()
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Replan:
    """What was asked and what is proposed. `seen` are prints of what it touches, by round, delivery or free shift;
    `ridden` is what of these rounds was ridden, by round.
    """

    id: str
    day: date
    cooperative_id: str
    requested_by: str
    requested_at: datetime
    happened: Happened
    rounds: tuple[RoundProposed, ...]
    changes: tuple[DeliveryChange, ...]
    kept: int
    seen: Mapping[str, str]
    ridden: Mapping[str, SoFar] = field(default_factory=dict)
    accepted_at: datetime | None = None

    def concerns(self, reach: Reach) -> bool:
        """Return whether somebody with this reach may see and accept it: it touches only what its author may."""
        return reach.covers(self.cooperative_id)

    def of_kind(self, kind: ChangeKind) -> tuple[DeliveryChange, ...]:
        """Return the changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)

    def overdue(self, *, at: datetime) -> tuple[DeliveryId, ...]:
        """Return the deliveries of which a stop that is changed should have begun longer ago than `PATIENCE`."""
        return tuple(
            change.delivery_id
            for change in self.changes
            if any(
                stop.after is not None and stop.after + PATIENCE < at
                for stop in change.stops
                if change.kind is ChangeKind.MOVED or is_retimed(stop.before, stop.after)
            )
        )

    def sends(self, shift_id: str, *, since: datetime) -> bool:
        """Return whether a delivery comes into a shift of which a stop begins then or later."""
        return any(
            change.to_shift == shift_id != change.from_shift
            and any(stop.after is not None and stop.after >= since for stop in change.stops)
            for change in self.changes
        )

    def accept(self, *, at: datetime) -> "Replan":
        """Note that it is done."""
        return replace(self, accepted_at=at)


def require_open(day: date, rounds: Iterable[Round], *, today: date) -> None:
    """Raise NothingToReadjust when of these rounds of a day none is published and still to be ridden."""
    states = {round_.state for round_ in rounds}
    if day < today:
        raise NothingToReadjust(day, is_past=True)
    if not states & {RoundState.PUBLISHED, RoundState.UNDER_WAY}:
        raise NothingToReadjust(day, is_ridden=RoundState.CLOSED in states)


def round_print(round_: Round, deliveries: Mapping[DeliveryId, Delivery]) -> str:
    """Return a name for everything about a published round that a readjustment depends on."""
    facts = [
        round_.state.value,
        round_.shift_print,
        *(
            (stop.id, stop.state.value, stop.starts_at.timestamp(), deliveries[stop.delivery_id].edition)
            for stop in round_.stops
        ),
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def delivery_print(delivery: Delivery) -> str:
    """Return a name for what a readjustment depends on of a delivery that is in no round."""
    return f"{delivery.state.value} {delivery.edition}"


def readjusted(
    round_: Round,
    proposed: RoundProposed | None,
    leaving: frozenset[DeliveryId],
    deliveries: Mapping[DeliveryId, Delivery],
    make_id: Callable[[], str],
    so_far: SoFar = UNRIDDEN,
    *,
    at: datetime,
) -> Round:
    """Return a published round as proposed: its stops keep their ids, those of `leaving` deliveries are taken out.

    What has ended or begun, and what is aboard of a shift that is lost, stays where it is, before what is to be done.
    Travel is what was ridden `so_far` and what remains.
    """
    wanted = {(stop.delivery_id, stop.kind): stop for stop in (proposed.stops if proposed else ())}
    old = {(stop.delivery_id, stop.kind): stop for stop in round_.stops}
    out = [
        replace(stop, state=StopState.MOVED, ended_at=at) if not stop.has_ended else stop
        for key, stop in old.items()
        if key not in wanted and (stop.delivery_id in leaving or stop.state is StopState.MOVED)
    ]
    gone = {stop.id for stop in out}
    staying = [stop for key, stop in old.items() if key not in wanted and stop.id not in gone]
    to_do = [_stop(old.get(key), stop, make_id) for key, stop in wanted.items()]
    stops = _loaded((*staying, *to_do, *out), deliveries)
    return round_.readjust(
        stops,
        starts_at=proposed.starts_at if proposed and round_.started_at is None else round_.starts_at,
        ends_at=proposed.ends_at if proposed else max([stop.leaves_at for stop in staying], default=round_.ends_at),
        travel_seconds=so_far.seconds + (proposed.travel_seconds if proposed else 0),
        travel_metres=so_far.metres + (proposed.travel_metres if proposed else 0),
        breaks=proposed.breaks if proposed else breaks_begun(round_, at),
        at=at,
    )


def breaks_begun(round_: Round, at: datetime) -> tuple[BreakTaken, ...]:
    """Return the breaks that are over or being taken at a time: they are not planned anew."""
    return tuple(rest for rest in round_.breaks if rest.ends_at <= at or _is_running(round_, rest, at))


def _is_running(round_: Round, rest: BreakTaken, at: datetime) -> bool:
    """Return whether a break is being taken: its time has come, all before it is done, and nothing is begun."""
    before = [stop for stop in round_.stops if stop.starts_at < rest.starts_at]
    is_riding = any(stop.state in (StopState.STARTED, StopState.ARRIVED) for stop in round_.stops)
    is_done = all(stop.has_ended or stop.state is StopState.HELD for stop in before)
    return rest.starts_at <= at < rest.ends_at and is_done and not is_riding


def _stop(old: Stop | None, proposed: StopProposed, make_id: Callable[[], str]) -> Stop:
    """Return a stop at its proposed times, under the id that it has in the round."""
    if old is None:
        new = Stop(
            make_id(),
            proposed.delivery_id,
            proposed.kind,
            proposed.arrives_at,
            proposed.starts_at,
            proposed.leaves_at,
            aboard_grams=0,
            aboard_millilitres=0,
        )
        return replace(new, flags=(ADDED,))
    flags = old.flags
    if old.state is StopState.MOVED:
        flags = _flagged(old, ADDED)
    elif is_retimed(old.starts_at, proposed.starts_at):
        flags = _flagged(old, RETIMED)
    return replace(
        old,
        arrives_at=proposed.arrives_at,
        starts_at=proposed.starts_at,
        leaves_at=proposed.leaves_at,
        state=StopState.TO_DO,
        ended_at=None,
        flags=flags,
    )


def is_retimed(before: datetime | None, after: datetime | None) -> bool:
    """Return whether the minute that people read is another."""
    if before is None or after is None:
        return before is not after
    return before.replace(second=0, microsecond=0) != after.replace(second=0, microsecond=0)


def _flagged(stop: Stop, flag: str) -> tuple[str, ...]:
    return tuple(sorted({*stop.flags, flag}))


def _loaded(stops: tuple[Stop, ...], deliveries: Mapping[DeliveryId, Delivery]) -> tuple[Stop, ...]:
    """Return the stops with what is on the bike after each; what was not collected is not aboard."""
    grams = millilitres = 0
    told = []
    for stop in stops:
        delivery = deliveries[stop.delivery_id]
        is_ridden = stop.state not in _NOTHING_DONE and delivery.state is not DeliveryState.CANCELLED
        sign = (1 if stop.kind is StopKind.PICKUP else -1) if is_ridden else 0
        grams += sign * delivery.grams
        millilitres += sign * delivery.millilitres
        told.append(replace(stop, aboard_grams=max(grams, 0), aboard_millilitres=max(millilitres, 0)))
    return tuple(told)


_NOTHING_DONE = frozenset({StopState.MOVED, StopState.CANCELLED, StopState.SKIPPED, StopState.FAILED, StopState.LAPSED})
