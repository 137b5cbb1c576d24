"""A published day that changes: what is still to be ridden is read, a proposal kept, and accepted as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from services.dispatch import messages
from services.dispatch.domain.closure import LONGEST_CLOSURE, Closure, falling_in
from services.dispatch.domain.courier import Courier, Shift, shift_print
from services.dispatch.domain.delivery import Delivery, DeliveryState, Visit
from services.dispatch.domain.errors import DeliveryNotFound, OutOfBounds, ReplanStale, ShiftNotFound, french_of
from services.dispatch.domain.events import DeliveryId, DeliveryPlanned, StopKind
from services.dispatch.domain.reach import EVERYTHING, Reach
from services.dispatch.domain.replan import (
    UNRIDDEN,
    ChangeKind,
    DeliveryChange,
    Happened,
    Replan,
    RoundProposed,
    ShiftLost,
    SiteShut,
    SoFar,
    StopChange,
    StopProposed,
    Strictness,
    breaks_begun,
    delivery_print,
    is_retimed,
    readjusted,
    require_open,
    round_print,
)
from services.dispatch.domain.round import BreakTaken, Round, RoundState, Stop, StopState
from services.dispatch.planning.changes import Change, Changes
from services.dispatch.planning.near import ChangePrices, StopKey
from services.dispatch.planning.plan import BreakTaken as RestPlanned
from services.dispatch.planning.plan import Plan, ReasonCode, Route
from services.dispatch.planning.plan import Visit as VisitPlanned
from services.dispatch.planning.problem import Matrix, Span
from services.dispatch.planning.problem import StopKind as AskedKind
from services.dispatch.planning.remaining import (
    ChangeCode,
    Event,
    Late,
    Progress,
    Remaining,
    ShiftEnds,
    SiteClosed,
    VehicleLost,
    remaining,
)
from services.dispatch.planning.translate import Place, to_rounds
from services.dispatch.repository import closures, crew, deliveries, instructions, planning_settings, replans, rounds
from services.dispatch.repository.crew import ShiftWithCrew
from services.dispatch.use_cases.closures import close_site
from services.dispatch.use_cases.crew import lose_shift
from services.dispatch.use_cases.plans import Day, advice, read_limits, shifts_beside_advised
from services.kit.database import Transaction, View
from services.kit.events import outbox
from services.kit.ids import new_id

PRICES = {
    Strictness.LOOSE: ChangePrices(moved_order=60),
    Strictness.MEASURED: ChangePrices(moved_order=600, moved_minute=5, courier_told=180),
    Strictness.STRICT: ChangePrices(moved_order=7_200, moved_minute=30, courier_told=1_800),
}
"""What a change weighs against seconds ridden, by how strict the dispatcher is. None of these make a delivery be left
out, which weighs more than any day's rides, but one with a price of its own: what can wait may wait for calm.
"""

MOST_LATE_MINUTES = 600
TOO_MUCH = "Trop lourde ou volumineuse pour chaque vélo qui roule encore. Prévoyez un autre vélo ce jour-là."
DROPPED = "Un changement de la journée l'a fait sortir de sa tournée ; elle est de nouveau à planifier."
CLOSED_SUDDENLY = "Signalé lors d'un réajustement de la journée."
_OPEN = (RoundState.PUBLISHED, RoundState.UNDER_WAY, RoundState.CLOSED)
_GOING = (StopState.STARTED, StopState.ARRIVED)
_BEEN = (*_GOING, StopState.HELD, StopState.COMPLETED, StopState.FAILED)


@dataclass(frozen=True, slots=True)
class Scene:
    """A published day as it was read: its rounds that may be changed, and all that they are made of.

    Its rounds keep to the day's closures; `sudden` are those that they do not keep to. `lost` are the shifts that
    nobody rides any more, as is told now or was accepted before.
    """

    day: Day
    rounds: tuple[Round, ...]
    happened: Happened
    reach: Reach
    now: datetime
    lost: tuple[ShiftLost, ...] = ()
    sudden: tuple[Closure, ...] = ()

    def remaining(self, travel_seconds: Matrix, travel_metres: Matrix) -> Remaining:
        """Return what is still to be ridden, in the engine's words; the matrices are over the day's places.

        Whoever has a published round is called out already. Raises FaultyProblem.
        """
        problem = self.day.problem(travel_seconds, travel_metres)
        called = {round_.shift_id for round_ in self.rounds}
        problem = replace(
            problem,
            vehicles=tuple(replace(one, fixed_price=0) if one.id in called else one for one in problem.vehicles),
        )
        where = {place: index for index, place in enumerate(self.day.places)}
        progress = (self._progress(round_, where, travel_metres) for round_ in self.rounds)
        return remaining(
            problem,
            Plan(tuple(self._route(round_, where) for round_ in self.rounds if round_.delivery_ids), ()),
            [one for one in progress if one],
            self._events(where),
            now_seconds=self.seconds(self.now),
        )

    def seconds(self, instant: datetime) -> int:
        """Return an instant as seconds after the day's midnight."""
        return (instant - _midnight(self.day)) // timedelta(seconds=1)

    def visit(self, stop: Stop) -> Visit:
        """Return where a stop is."""
        delivery = self.day.deliveries[stop.delivery_id]
        return delivery.pickup if stop.kind is StopKind.PICKUP else delivery.drop

    def _point(self, stop: Stop, where: Mapping[Place, int]) -> int:
        visit = self.visit(stop)
        return where[Place(visit.longitude, visit.latitude)]

    def _stops(self, round_: Round) -> list[Stop]:
        """Return the stops of deliveries that are this round's, and were not cancelled."""
        own = {id_ for id_ in round_.delivery_ids if id_ in self.day.deliveries}
        return [stop for stop in round_.stops if stop.delivery_id in own]

    def _route(self, round_: Round, where: Mapping[Place, int]) -> Route:
        return Route(
            round_.shift_id,
            self.seconds(round_.starts_at),
            tuple(
                VisitPlanned(
                    str(stop.delivery_id),
                    AskedKind(stop.kind.value),
                    self._point(stop, where),
                    self.seconds(stop.arrives_at),
                    self.seconds(stop.starts_at),
                    self.seconds(stop.leaves_at),
                    (),
                )
                for stop in self._stops(round_)
            ),
            self.seconds(round_.ends_at),
            round_.travel_seconds,
            round_.travel_metres,
            tuple(
                RestPlanned(
                    sum(stop.starts_at < rest.starts_at for stop in self._stops(round_)),
                    self.seconds(rest.starts_at),
                    self.seconds(rest.ends_at),
                )
                for rest in round_.breaks
            ),
        )

    def so_far(self, travel_seconds: Matrix, travel_metres: Matrix) -> dict[str, SoFar]:
        """Return what was ridden of each round, by its id; the matrices are over the day's places.

        Raises FaultyProblem.
        """
        problem = self.day.problem(travel_seconds, travel_metres)
        where = {place: index for index, place in enumerate(self.day.places)}
        ridden = {}
        for round_ in self.rounds:
            vehicle = problem.vehicles_by_id[round_.shift_id]
            legs = [*pairwise(self._way(round_, where))]
            ridden[round_.id] = SoFar(
                sum(problem.ride_seconds(vehicle, a, b) for a, b in legs),
                sum(int(travel_metres[a, b]) for a, b in legs),
            )
        return ridden

    def _progress(self, round_: Round, where: Mapping[Place, int], metres: Matrix) -> Progress | None:
        """Return how far a round is; None when nothing of it has begun."""
        ended: dict[StopKey, int] = {}
        started: set[StopKey] = set()
        for stop in self._stops(round_):
            key = str(stop.delivery_id), AskedKind(stop.kind.value), 0
            if stop.state in _GOING:
                started.add(key)
            if stop.has_ended or stop.state in _BEEN:
                ended[key] = self._ends(stop)
        for stop in self._stops(round_):
            # A hand-over that is held proves that its load was collected.
            held = str(stop.delivery_id), AskedKind.DROP, 0
            if held in ended:
                ended.setdefault((str(stop.delivery_id), AskedKind.PICKUP, 0), ended[held])
        passed = self._passed(round_, where)
        if not passed:
            return None
        way = self._way(round_, where)
        ridden = sum(int(metres[a, b]) for a, b in pairwise(way))
        free = max(self.seconds(self.now), passed[-1][0])
        return Progress(round_.shift_id, way[-1], free, ended, frozenset(started), ridden)

    def _way(self, round_: Round, where: Mapping[Place, int]) -> list[int]:
        """Return where a courier starts, has been and is going, in order."""
        start = self.day.shifts[round_.shift_id][0].terms.start
        return [where[Place(start.longitude, start.latitude)], *(point for _, point in self._passed(round_, where))]

    def _passed(self, round_: Round, where: Mapping[Place, int]) -> list[tuple[int, int]]:
        """Return when a courier is done with each stop that was begun, and where that is, in order."""
        begun = [stop for stop in self._stops(round_) if stop.state in _BEEN]
        return sorted((self._ends(stop), self._point(stop, where)) for stop in begun)

    def _ends(self, stop: Stop) -> int:
        """Return when a stop that is begun or over is done with."""
        now = self.seconds(self.now)
        if stop.state not in _GOING:
            return self.seconds(stop.ended_at) if stop.ended_at else now
        # Nobody knows where the courier is: no earlier than planned, and the service still takes its time.
        takes = self.visit(stop).service_seconds + self.day.deliveries[stop.delivery_id].loading_seconds
        if stop.arrived_at is not None:
            return max(now, self.seconds(stop.arrived_at) + takes)
        return max(self.seconds(stop.leaves_at), now + takes)

    def _events(self, where: Mapping[Place, int]) -> list[Event]:
        events: list[Event] = []
        for lost in self.lost:
            since = self.seconds(lost.since)
            is_now = since <= max(
                self.seconds(self.now), self.seconds(self.day.shifts[lost.shift_id][0].terms.starts_at)
            )
            events.append(VehicleLost(lost.shift_id) if is_now else ShiftEnds(lost.shift_id, since))
        events += [Late(late.shift_id, 60 * late.minutes) for late in self.happened.late]
        shut = [(one.site_id, self.now, one.until) for one in self.happened.shut]
        shut += [(one.site_id, one.starts_at, one.ends_at) for one in self.sudden]
        for site_id, start, end in shut:
            span = Span(self.seconds(start), self.seconds(end))
            points = {
                where[Place(visit.longitude, visit.latitude)]
                for delivery in self.day.deliveries.values()
                for visit in (delivery.pickup, delivery.drop)
                if visit.site_id == site_id
            }
            events += [SiteClosed(point, span) for point in sorted(points)]
        return events


def read_scene(view: View, day: date, happened: Happened, reach: Reach, zone: ZoneInfo, *, at: datetime) -> Scene:
    """Return a published day as it is now.

    Raises
    ------
    NothingToReadjust, ShiftNotFound, DeliveryNotFound, OutOfBounds
    """
    found = [round_ for round_ in rounds.of_day(view, day, reach) if round_.state in _OPEN]
    require_open(day, found, today=at.astimezone(zone).date())
    known = deliveries.by_id(view, {id_ for round_ in found for id_ in round_.delivery_ids})
    known = {id_: one for id_, one in known.items() if one.state is not DeliveryState.CANCELLED}
    free = [one for one in crew.free_shifts(view, day) if reach.covers(one[0].cooperative_id)]
    new = {one.id: one for one in deliveries.plannable(view, day)} if happened.with_new else {}
    contracts = {delivery.contract_id for delivery in [*known.values(), *new.values()]}
    holders = crew.holders(view, contracts)
    new = {
        id_: one for id_, one in new.items() if any(reach.covers(holder) for holder in holders.get(one.contract_id, ()))
    }
    ridden = {round_.shift_id for round_ in found}
    known_shifts = {one[0].id: one for one in crew.shifts_of_day(view, day, reach)}
    shifts = {id_: one for id_, one in known_shifts.items() if id_ in ridden}
    for round_ in found:
        if round_.shift_id in shifts:
            shifts[round_.shift_id] = _as_loaded(round_, shifts[round_.shift_id], known)
    shifts |= {one[0].id: one for one in free}
    lost = {id_: since for id_, (shift, _, _) in known_shifts.items() if (since := shift.lost_since)}
    named = [("lost", one.shift_id) for one in happened.lost] + [("late", one.shift_id) for one in happened.late]
    for what, shift_id in named:
        if shift_id not in shifts and shift_id not in lost:
            raise ShiftNotFound(shift_id, f"/{what}")
    lost |= {one.shift_id: one.since for one in happened.lost}
    if any(not 0 < late.minutes <= MOST_LATE_MINUTES for late in happened.late):
        raise OutOfBounds("Un retard va de 1 à 600 minutes.", pointer="/late")
    if any(shut.until <= at for shut in happened.shut):
        raise OutOfBounds("La fermeture doit finir après maintenant.", pointer="/closed")
    if any(shut.until - at > LONGEST_CLOSURE for shut in happened.shut):
        raise OutOfBounds("Une fermeture dure au plus un an ; notez-en une autre ensuite.", pointer="/closed")
    for pinned in happened.pinned:
        if pinned not in known:
            raise DeliveryNotFound(str(pinned), "/pinned")
    every = {**known, **new}
    shut = closures.of_day(view, day, zone)
    to_do = [
        (stop.delivery_id, stop.kind, stop.starts_at)
        for round_ in found
        for stop in round_.stops
        if not stop.has_ended and stop.delivery_id in known
    ]
    sudden = {closure.id for closure, _ in falling_in(shut, to_do, known)}
    return Scene(
        Day(
            day,
            zone,
            every,
            holders,
            shifts,
            instructions.of_deliveries(view, every),
            crew.shares(view, holders),
            planning_settings.in_force(view, day).settings,
            [one for one in shut if one.id not in sudden],
            read_limits(view, day, _beside(view, day, found)),
        ),
        tuple(found),
        happened,
        reach,
        at,
        tuple(ShiftLost(id_, since) for id_, since in lost.items() if id_ in shifts),
        tuple(one for one in shut if one.id in sudden),
    )


def _as_loaded(round_: Round, shift: ShiftWithCrew, known: Mapping[DeliveryId, Delivery]) -> ShiftWithCrew:
    """Return the shift, its bike with room for what it carries: it does, whatever has been said of it since."""
    begun = {stop.delivery_id for stop in round_.stops if stop.state in _BEEN}
    ended = {stop.delivery_id for stop in round_.stops if stop.kind is StopKind.DROP and stop.has_ended}
    carried = [known[id_] for id_ in begun - ended if id_ in known]
    terms = shift[2].terms
    pieces = sum(delivery.pieces for delivery in carried)
    terms = replace(
        terms,
        capacity_grams=max(terms.capacity_grams, sum(delivery.grams for delivery in carried)),
        capacity_millilitres=max(terms.capacity_millilitres, sum(delivery.millilitres for delivery in carried)),
        capacity_pieces=None if terms.capacity_pieces is None else max(terms.capacity_pieces, pieces),
    )
    return shift[0], shift[1], replace(shift[2], terms=terms)


def _beside(view: View, day: date, found: Sequence[Round]) -> list[Round]:
    """Return the day's rounds that somebody rides and that are none of these."""
    own = {round_.id for round_ in found}
    return [one for one in rounds.of_day(view, day, EVERYTHING) if one.state in _OPEN and one.id not in own]


def keep_proposal(
    tx: Transaction, scene: Scene, plan: Plan, changes: Changes, so_far: Mapping[str, SoFar], *, requested_by: str
) -> Replan:
    """Keep what was computed from a scene; `so_far` is what it says of its rounds."""
    day = scene.day
    found = to_rounds(plan, day.deliveries_to_plan(), day.shifts_to_plan(), day=day.day, zone=day.zone)
    of_shift = {round_.shift_id: round_ for round_ in scene.rounds}
    left_out = [change.left_out for change in (*changes.dropped, *changes.left_out) if change.left_out]
    told = [*_told(scene, changes, shifts_beside_advised(tx, day, left_out))]
    concerned = {id_ for change in told for id_ in (change.from_shift, change.to_shift) if id_}
    proposed = tuple(
        RoundProposed(
            one.shift_id,
            of_shift[one.shift_id].id if one.shift_id in of_shift else None,
            one.starts_at,
            one.ends_at,
            one.travel_seconds,
            one.travel_metres,
            tuple(
                StopProposed(
                    DeliveryId.parse(stop.delivery_id),
                    StopKind(stop.kind.value),
                    stop.arrives_at,
                    stop.starts_at,
                    stop.leaves_at,
                )
                for stop in one.stops
            ),
            (
                *(breaks_begun(of_shift[one.shift_id], scene.now) if one.shift_id in of_shift else ()),
                *(BreakTaken(rest.starts_at, rest.ends_at) for rest in one.breaks),
            ),
        )
        for one in found.rounds
        if one.shift_id in concerned
    )
    seen = {
        of_shift[id_].id: round_print(of_shift[id_], _of_round(tx, of_shift[id_]))
        for id_ in sorted(concerned & of_shift.keys())
    }
    seen |= {id_: shift_print(*day.shifts[id_]) for id_ in sorted(concerned - of_shift.keys())}
    seen |= {
        str(change.delivery_id): delivery_print(day.deliveries[change.delivery_id])
        for change in told
        if change.kind in (ChangeKind.ADDED, ChangeKind.LEFT_OUT)
    }
    replan = Replan(
        new_id(),
        day.day,
        scene.reach.cooperative_id or "",
        requested_by,
        scene.now,
        scene.happened,
        proposed,
        tuple(told),
        len(changes.kept) + len(changes.retimed) - sum(change.kind is ChangeKind.RETIMED for change in told),
        seen,
        {of_shift[id_].id: so_far[of_shift[id_].id] for id_ in concerned & of_shift.keys()},
    )
    replans.add(tx, replan)
    return replan


def accept(tx: Transaction, replan_id: str, reach: Reach, *, at: datetime) -> Replan:
    """Change the published rounds as proposed, all of them or none, and say so; lost shifts and closed sites are kept.

    Doing it twice is harmless.

    Raises
    ------
    ReplanNotFound
    ReplanStale
        When a round it touches, or a delivery or shift it brings in, is not as it was, a shift it brings something to
        is lost, or a start that it proposes is past. Nothing changes.
    """
    replan = replans.get(tx, replan_id, reach, lock=True)
    if replan.accepted_at is not None:
        return replan
    before = rounds.by_id(tx, replan.seen)
    known = deliveries.by_id(
        tx,
        {stop.delivery_id for round_ in before.values() for stop in round_.stops}
        | {change.delivery_id for change in replan.changes},
        lock=True,
    )
    free = [one.shift_id for one in replan.rounds if one.round_id is None]
    lost = {one.shift_id: one.since for one in replan.happened.lost}
    crew.lock_shifts(tx, [*free, *lost, *(round_.shift_id for round_ in before.values())])
    crews = {one[0].id: one for one in crew.shifts_of_day(tx, replan.day, EVERYTHING)}
    before = rounds.by_id(tx, before, lock=True)
    shut = closures.around(tx, [stop.starts_at for one in replan.rounds for stop in one.stops])
    riders = crew.couriers_by_id(tx, {round_.courier_id for round_ in before.values()})
    out = {id_: since for id_, (shift, _, _) in crews.items() if (since := shift.lost_since)} | lost
    _require_as_seen(replan, before, known, crew.free_prints(tx, replan.day, free), riders, out, shut, at=at)
    changes = {change.delivery_id: change for change in replan.changes}
    proposed = {one.round_id: one for one in replan.rounds}
    plan_id = next(round_.plan_id for round_ in rounds.of_day(tx, replan.day, EVERYTHING))
    after: list[Round] = []
    for round_ in before.values():
        leaving = frozenset(
            change.delivery_id
            for change in replan.changes
            if change.from_shift == round_.shift_id
            and change.kind in (ChangeKind.MOVED, ChangeKind.DROPPED)
            and known[change.delivery_id].state is DeliveryState.PLANNED
        )
        so_far = replan.ridden.get(round_.id, UNRIDDEN)
        changed = readjusted(round_, proposed.get(round_.id), leaving, known, new_id, so_far, at=at)
        rounds.readjust(tx, changed)
        after.append(changed)
    for one in replan.rounds:
        if one.round_id is None:
            fresh = _fresh(replan, one, plan_id, crews[one.shift_id], known, at)
            rounds.add(tx, [fresh])
            after.append(fresh)
    for round_ in after:
        for delivery_id in round_.delivery_ids:
            change = changes.get(delivery_id)
            if change is not None and change.to_shift == round_.shift_id:
                _plan(tx, known[delivery_id], round_, change, at)
        rounds.touch(tx, round_.courier_id, round_.day)
    for change in replan.changes:
        _leave_out(tx, known[change.delivery_id], change, at)
    for shift_id in lost.keys() & crews.keys():
        lose_shift(tx, crews[shift_id][0], lost[shift_id])
    for closed in replan.happened.shut:
        _close(tx, replan, closed, reach, at)
    replan = replan.accept(at=at)
    replans.save(tx, replan)
    return replan


def _plan(tx: Transaction, delivery: Delivery, round_: Round, change: DeliveryChange, at: datetime) -> None:
    """Say in which round, and when, a delivery is ridden now."""
    times = {
        "pickup_at": round_.stop_of(delivery.id, StopKind.PICKUP).arrives_at,
        "drop_at": round_.stop_of(delivery.id, StopKind.DROP).arrives_at,
    }
    planned: DeliveryPlanned
    if change.kind is ChangeKind.ADDED:
        delivery, planned = delivery.plan(round_.id, round_.cooperative_id, **times, at=at)
    else:
        delivery, planned = delivery.readjust(round_.id, round_.cooperative_id, **times, at=at)
    deliveries.save(tx, delivery)
    outbox.add(tx, messages.message(planned))


def _leave_out(tx: Transaction, delivery: Delivery, change: DeliveryChange, at: datetime) -> None:
    """Say that a delivery is in no round, or in none any more."""
    if change.kind is ChangeKind.DROPPED:
        delivery, withdrawn = delivery.withdraw(DROPPED, at=at)
        if withdrawn is not None:
            deliveries.save(tx, delivery)
            outbox.add(tx, messages.message(withdrawn))
    if change.kind in (ChangeKind.DROPPED, ChangeKind.LEFT_OUT) and change.sentence:
        told = delivery.leave_out(change.codes, change.sentence, at=at)
        if told is not None:
            outbox.add(tx, messages.message(told))


def _close(tx: Transaction, replan: Replan, told: SiteShut, reach: Reach, at: datetime) -> None:
    """Keep that a site is closed, so that plans and readjustments ride around it, unless that is known or over."""
    if told.until <= at or closures.site_name(tx, told.site_id, reach) is None:
        return
    for known in closures.between(tx, at, told.until):
        if known.site_id == told.site_id and known.starts_at <= at and told.until <= known.ends_at:
            return
    since, by = replan.requested_at, replan.requested_by
    close_site(tx, reach, told.site_id, since, told.until, CLOSED_SUDDENLY, told_by=by, at=at)


def _require_as_seen(
    replan: Replan,
    now: Mapping[str, Round],
    known: Mapping[DeliveryId, Delivery],
    free: Mapping[str, str],
    riders: Mapping[str, Courier],
    lost: Mapping[str, datetime],
    shut: Sequence[Closure],
    *,
    at: datetime,
) -> None:
    """Raise ReplanStale unless all that the proposal touches is as it was, its starts are still to come, and no site
    was closed and no shift lost since.
    """
    prints = {
        id_: round_print(round_, known)
        for id_, round_ in now.items()
        # One that was changed while we waited for its deliveries may have others, which are not known here.
        if all(stop.delivery_id in known for stop in round_.stops)
    }
    prints |= free
    prints |= {str(delivery.id): delivery_print(delivery) for delivery in known.values()}
    references = {str(delivery.id): delivery.reference for delivery in known.values()}
    changed = []
    for id_, seen in replan.seen.items():
        if prints.get(id_) != seen:
            if id_ in now:
                changed.append(f"la tournée {french_of(riders[now[id_].courier_id].terms.name)} a avancé ou changé")
            elif id_ in references:
                changed.append(f"la livraison {references[id_]} a changé")
            else:
                changed.append("une vacation libre a changé ou n'est plus libre")
    changed += [
        f"{riders[round_.courier_id].terms.name} ne roule plus"
        for round_ in now.values()
        if round_.shift_id in lost and replan.sends(round_.shift_id, since=lost[round_.shift_id])
    ]
    overdue = replan.overdue(at=at)
    changed += [f"l'heure proposée pour la livraison {known[id_].reference} est passée" for id_ in overdue]
    stops = [(stop.delivery_id, stop.kind, stop.starts_at) for one in replan.rounds for stop in one.stops]
    for closure, delivery in falling_in(shut, stops, known):
        if closure.told_at >= replan.requested_at:
            changed.append(f"« {closure.site_name} » est fermé quand la livraison {delivery.reference} y passe")
    if changed:
        raise ReplanStale(replan.id, changed)


def _fresh(
    replan: Replan,
    proposed: RoundProposed,
    plan_id: str,
    riding: ShiftWithCrew,
    known: Mapping[DeliveryId, Delivery],
    at: datetime,
) -> Round:
    """Return a published round in a shift that was free; it counts to the plan of the day's other rounds."""
    shift, courier, bike = riding
    empty = Round(
        id=new_id(),
        plan_id=plan_id,
        cooperative_id=shift.cooperative_id,
        courier_id=courier.id,
        bike_id=bike.id,
        shift_id=shift.id,
        shift_print=shift_print(shift, courier, bike),
        day=replan.day,
        starts_at=proposed.starts_at,
        ends_at=proposed.ends_at,
        travel_seconds=proposed.travel_seconds,
        travel_metres=proposed.travel_metres,
        stops=(),
    ).publish(at=at)
    return readjusted(empty, proposed, frozenset(), known, new_id, at=at)


def _of_round(view: View, round_: Round) -> dict[DeliveryId, Delivery]:
    return deliveries.by_id(view, {stop.delivery_id for stop in round_.stops})


def _told(scene: Scene, changes: Changes, beside: Mapping[str, Sequence[Shift]]) -> list[DeliveryChange]:
    """Return the engine's changes in the day's words; a time that reads the same is none."""
    told = []
    for kind, found in (
        (ChangeKind.MOVED, changes.moved),
        (ChangeKind.RETIMED, changes.retimed),
        (ChangeKind.ADDED, changes.added),
        (ChangeKind.DROPPED, changes.dropped),
        (ChangeKind.LEFT_OUT, changes.left_out),
    ):
        for change in found:
            # Nothing else takes a delivery out of the day that had no reasons to be given.
            is_aboard = change.left_out is None and change.code is ChangeCode.VEHICLE_LOST
            one = _delivery_change(
                scene, ChangeKind.ABOARD if is_aboard and kind is ChangeKind.DROPPED else kind, change, beside
            )
            if kind is not ChangeKind.RETIMED or any(is_retimed(stop.before, stop.after) for stop in one.stops):
                told.append(one)
    return told


def _delivery_change(
    scene: Scene, kind: ChangeKind, change: Change, beside: Mapping[str, Sequence[Shift]]
) -> DeliveryChange:
    midnight = _midnight(scene.day)

    def instant(seconds: int | None) -> datetime | None:
        return None if seconds is None else midnight + timedelta(seconds=seconds)

    codes: tuple[ReasonCode, ...] = ()
    sentence = ""
    if change.left_out:
        codes, (_, sentence) = tuple(change.left_out.codes), advice(change.left_out, scene.day, beside)
    if kind is ChangeKind.DROPPED and change.code is ChangeCode.NO_LONGER_FITS and not sentence:
        codes, sentence = (ReasonCode.CAPACITY,), TOO_MUCH
    return DeliveryChange(
        DeliveryId.parse(change.request_id),
        kind,
        change.from_vehicle,
        change.to_vehicle,
        tuple(
            StopChange(StopKind(stop.kind.value), instant(stop.before_seconds), instant(stop.after_seconds))
            for stop in change.stops
        ),
        change.code.value,
        DeliveryId.parse(change.for_request) if change.for_request else None,
        codes,
        sentence,
    )


def _midnight(day: Day) -> datetime:
    """Return the instant from which the engine counts seconds."""
    return datetime.combine(day.day, time.min, day.zone).astimezone(UTC)
