"""Plans: asked for, read, kept as a draft, changed by hand, published; and rounds taken back."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from services.dispatch import messages
from services.dispatch.domain.closure import Closure
from services.dispatch.domain.courier import Share, Shift, agree, shift_print
from services.dispatch.domain.delivery import Delivery, Visit
from services.dispatch.domain.errors import OutOfBounds, PlanNotFound, PlanNotSolving
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.limits import SharedEquipment, SiteLimit, together
from services.dispatch.domain.plan import LeftOut, Mark, Plan, PlannedDelivery, Remedy, ShiftReason, aboard
from services.dispatch.domain.planning_settings import URGENT_OUTWEIGHS, PlanningSettings, Priority
from services.dispatch.domain.reach import EVERYTHING, Reach
from services.dispatch.domain.round import BreakTaken, Round, RoundState, Stop
from services.dispatch.planning import reasons
from services.dispatch.planning.plan import LeftOut as LeftOutFound
from services.dispatch.planning.plan import ReasonCode
from services.dispatch.planning.plan import Remedy as RemedyFound
from services.dispatch.planning.problem import FleetLimit, Matrix, RoutingProblem
from services.dispatch.planning.problem import Share as ShareToPlan
from services.dispatch.planning.translate import (
    DIMENSIONS,
    PRICES,
    BreakToTake,
    DayPlan,
    DeliveryToPlan,
    Place,
    PlannedRound,
    PlannedStop,
    ShiftToPlan,
    VisitToMake,
    places,
    to_problem,
)
from services.dispatch.repository import (
    closures,
    crew,
    deliveries,
    instructions,
    limits,
    planning_settings,
    plans,
    rounds,
)
from services.dispatch.repository.crew import ShiftWithCrew
from services.dispatch.use_cases.rides import lock_round
from services.kit.database import Transaction, View
from services.kit.errors import DomainError
from services.kit.events import outbox
from services.kit.ids import new_id

LONGEST_SECONDS = 600.0
SHORTEST_SECONDS = 0.1
TOO_LATE = "Trop tard pour son créneau : convenez d'un autre horaire avec le service qui la demande."


def request_plan(tx: Transaction, reach: Reach, day: date, *, seconds: float, requested_by: str, at: datetime) -> Plan:
    """Ask for a plan of a day that is computed for so long. Raises OutOfBounds."""
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise OutOfBounds("La durée de calcul va de 0,1 à 600 secondes.", pointer="/seconds")
    plan = Plan(new_id(), day, reach.cooperative_id or "", requested_by, at, seconds)
    plans.add(tx, plan)
    return plan


def begin_plan(tx: Transaction, plan_id: str, *, at: datetime) -> Plan:
    """Start computing a plan, or start again; the plan as returned stands for this computation from now on.

    Raises PlanNotSolving when it was computed to the end.
    """
    plan = plans.get(tx, plan_id, lock=True).begin(at=at)
    plans.save(tx, plan)
    plans.begin_computation(tx, plan_id)
    return plan


def stop_plan(tx: Transaction, plan_id: str, reach: Reach) -> Plan:
    """Let the computation end with the best plan found so far; twice is harmless.

    Raises
    ------
    PlanNotFound, PlanNotSolving
    """
    plan = require_plan(tx, plan_id, reach)
    plan.require_solving()
    plans.ask_to_stop(tx, plan_id)
    return plan


def keep_marks(tx: Transaction, begun: Plan, marks: Sequence[Mark]) -> None:
    """Keep how good the best plan was, and when. Raises PlanNotSolving when this computation was overtaken."""
    if plans.get(tx, begun.id).version != begun.version:
        raise PlanNotSolving(begun.id, begun.state)
    plans.save_marks(tx, begun.id, marks)


def fail_plan(tx: Transaction, begun: Plan, sentence: str, *, at: datetime) -> Plan:
    """Give a plan up, with a French sentence that says why and what to do.

    Raises PlanNotSolving when this computation was overtaken: another began the plan again, or ended it.
    """
    plan = _not_overtaken(tx, begun).fail(sentence, at=at)
    plans.save(tx, plan)
    return plan


def _not_overtaken(tx: Transaction, begun: Plan) -> Plan:
    """Return the plan that a computation began, locked. Raises PlanNotSolving when it is not as it was begun."""
    plan = plans.get(tx, begun.id, lock=True)
    if plan.version != begun.version:
        raise PlanNotSolving(plan.id, plan.state)
    return plan


@dataclass(frozen=True, slots=True)
class Limits:
    """What the bikes of a day share, and what is taken of it already by rounds that are not planned anew.

    `riding` are the shifts of those rounds, `calling` how many of them call at each site.
    """

    equipment: Sequence[SharedEquipment] = ()
    sites: Sequence[SiteLimit] = ()
    riding: Sequence[ShiftWithCrew] = ()
    calling: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Day:
    """Everything a plan of a day is made from, as it is now.

    With `not_before` nothing begins earlier, whenever a shift did; `passed` are the deliveries for whose windows that
    is too late, which are no part of `deliveries`.
    """

    day: date
    zone: ZoneInfo
    deliveries: Mapping[DeliveryId, Delivery]
    holders: Mapping[str, frozenset[str]]
    shifts: Mapping[str, ShiftWithCrew]
    instructions: Mapping[DeliveryId, Instruction] = field(default_factory=dict)
    shares: Mapping[str, Sequence[Share]] = field(default_factory=dict)
    settings: PlanningSettings = field(default_factory=PlanningSettings)
    closures: Sequence[Closure] = ()
    limits: Limits = field(default_factory=Limits)
    not_before: datetime | None = None
    passed: Mapping[DeliveryId, Delivery] = field(default_factory=dict)

    @property
    def places(self) -> list[Place]:
        """Every place that may be ridden to, in the order that the matrices of `problem` must have."""
        return places(self.deliveries_to_plan(), self.shifts_to_plan())

    def problem(self, travel_seconds: Matrix, travel_metres: Matrix) -> RoutingProblem:
        """Return the day in the engine's words; the matrices are over `places`. Raises FaultyProblem."""
        return to_problem(
            self.deliveries_to_plan(),
            self.shifts_to_plan(),
            travel_seconds=travel_seconds,
            travel_metres=travel_metres,
            day=self.day,
            zone=self.zone,
            shares=self.shares_to_plan(),
            prices=replace(PRICES, balance_per_second=self.settings.balance_weight),
            fleet_limits=[limit for _, limit in self.fleet_limits_to_plan()],
            calls_at_most={place: most for place, (_, most) in self.site_limits_to_plan().items()},
        )

    def fleet_limits_to_plan(self) -> list[tuple[SharedEquipment, FleetLimit]]:
        """Return what shifts may not all ride at once, in the engine's words, with what they share.

        What is shared is free again when a shift ends: a limit holds for shifts that are worked at the same moment.
        """
        told = []
        for shared in self.limits.equipment:
            own = [shift for shift, _, bike in self.shifts.values() if shared.is_used_by(shift, bike)]
            taken = [
                shift
                for shift, _, bike in self.limits.riding
                if shared.is_used_by(shift, bike) and shift.id not in self.shifts
            ]
            ids = {shift.id for shift in own}
            for moment in together([*own, *taken]):
                left = max(0, shared.at_most - len(moment - ids))
                if len(moment & ids) > left:
                    told.append((shared, FleetLimit(moment & ids, left)))
        return told

    def site_limits_to_plan(self) -> dict[Place, tuple[SiteLimit, int]]:
        """Return how many shifts may still call at each place of a site with room for a few."""
        limits = {limit.site_id: limit for limit in self.limits.sites}
        found = {}
        for delivery in self.deliveries.values():
            for visit in (delivery.pickup, delivery.drop):
                if visit.site_id in limits:
                    limit = limits[visit.site_id]
                    left = max(0, limit.at_most - self.limits.calling.get(visit.site_id, 0))
                    found[Place(visit.longitude, visit.latitude)] = (limit, left)
        return found

    def deliveries_to_plan(self) -> list[DeliveryToPlan]:
        """Return the deliveries in the engine's words; each may be ridden by its contract's holders, as instructed."""
        return [self._delivery_to_plan(delivery) for delivery in self.deliveries.values()]

    def _delivery_to_plan(self, delivery: Delivery) -> DeliveryToPlan:
        instruction = self.instructions.get(delivery.id)
        only = instruction.courier_ids if instruction else ()
        priority = instruction.priority if instruction else Priority.ORDINARY
        return DeliveryToPlan(
            str(delivery.id),
            self._visit_to_make(delivery, delivery.pickup),
            self._visit_to_make(delivery, delivery.drop),
            delivery.grams,
            delivery.millilitres,
            delivery.pieces,
            needs_trailer=delivery.needs_trailer,
            skills=frozenset(instruction.skills) if instruction else frozenset(),
            allowed_groups=self.holders.get(delivery.contract_id, frozenset()),
            allowed_shifts=self._ridden_by(only) if only else None,
            forbidden_shifts=self._ridden_by(instruction.forbidden_courier_ids) if instruction else frozenset(),
            left_out_price=self.settings.left_out_seconds(priority),
            left_out_weight=URGENT_OUTWEIGHS if priority is Priority.URGENT else 1,
            ride_seconds_at_most=delivery.longest_ride_seconds,
        )

    def _visit_to_make(self, delivery: Delivery, visit: Visit) -> VisitToMake:
        return VisitToMake(
            Place(visit.longitude, visit.latitude),
            visit.window_start,
            visit.window_end,
            visit.service_seconds + delivery.loading_seconds,
            tuple((closure.starts_at, closure.ends_at) for closure in self.closures_of(visit)),
            self.settings.tolerance_seconds,
            self.settings.late_weight,
        )

    def closures_of(self, visit: Visit) -> list[Closure]:
        """Return the closures of a visit's site, in the order in which the engine numbers them."""
        return [closure for closure in self.closures if closure.site_id == visit.site_id]

    def _ridden_by(self, courier_ids: Collection[str]) -> frozenset[str]:
        return frozenset(shift.id for shift, courier, _ in self.shifts.values() if courier.id in courier_ids)

    def shares_to_plan(self) -> list[ShareToPlan]:
        """Return the contracts' shares in the engine's words: of all the day's deliveries.

        Where the day has several contracts their shares are added up, each by its number of deliveries; a holder
        without a share rides as much as it likes, a cooperative that does not hold a contract nothing of it.
        """
        counts = Counter(delivery.contract_id for delivery in self.deliveries.values())
        named = {share.cooperative_id for shares in self.shares.values() for share in shares}
        told = []
        for cooperative_id in sorted(named):
            least = most = 0
            for contract_id, count in counts.items():
                holds = cooperative_id in self.holders.get(contract_id, frozenset())
                share = Share(cooperative_id, 0, 1000 if holds else 0)
                share = next((s for s in self.shares.get(contract_id, ()) if s.cooperative_id == cooperative_id), share)
                least += count * share.at_least_permille
                most += count * share.at_most_permille
            told.append(ShareToPlan(cooperative_id, least // counts.total(), -(-most // counts.total())))
        return told

    def shifts_to_plan(self) -> list[ShiftToPlan]:
        """Return the shifts in the engine's words."""
        return [
            ShiftToPlan(
                shift.id,
                Place(shift.terms.start.longitude, shift.terms.start.latitude),
                Place(shift.terms.end.longitude, shift.terms.end.latitude),
                self._begins(shift),
                shift.terms.ends_at,
                bike.terms.capacity_grams,
                bike.terms.capacity_millilitres,
                bike.terms.capacity_pieces,
                has_trailer=bike.terms.has_trailer,
                skills=frozenset(courier.terms.skills) | frozenset(bike.terms.skills),
                group=shift.cooperative_id,
                speed_percent=bike.terms.speed_percent,
                range_metres=bike.terms.range_metres,
                breaks=tuple(self._breaks(shift)),
                fixed_price=self.settings.courier_seconds,
            )
            for shift, courier, bike in self.shifts.values()
        ]

    def _begins(self, shift: Shift) -> datetime:
        """Return from when on a shift is planned; of one that is over a second is left, in which nothing fits."""
        if self.not_before is None:
            return shift.terms.starts_at
        return max(shift.terms.starts_at, min(self.not_before, shift.terms.ends_at - timedelta(seconds=1)))

    def _breaks(self, shift: Shift) -> Iterator[BreakToTake]:
        """Yield the breaks that are still to be taken: whoever had nothing to ride could rest before."""
        begins = clock = self._begins(shift)
        for rest in shift.terms.breaks:
            starts = max(rest.window_start, clock)
            ends = starts + timedelta(seconds=rest.length_seconds)
            if rest.window_end >= begins and ends <= shift.terms.ends_at:
                yield BreakToTake(rest.window_start, max(rest.window_end, starts), rest.length_seconds)
                clock = ends

    def is_too_late(self, remedy: RemedyFound) -> bool:
        """Return whether a remedy would have a shift begin before anything can."""
        if self.not_before is None or remedy.code != ReasonCode.SHIFT or remedy.what != "start":
            return False
        shift, _, _ = self.shifts[remedy.vehicle_id or ""]
        return self._begins(shift) - timedelta(seconds=remedy.amount) < self.not_before


def read_day(view: View, day: date, zone: ZoneInfo, *, not_before: datetime | None) -> Day:
    """Return what can be planned for a day: plannable deliveries, and free shifts of the cooperatives that may ride
    any of them. What stands in a published round, and the shift it occupies, is no part of it; nor is a shift that is
    over by `not_before`, the instant before which nothing begins.
    """
    settings = planning_settings.in_force(view, day).settings
    found = {delivery.id: delivery for delivery in deliveries.plannable(view, day)}
    holders = crew.holders(view, {delivery.contract_id for delivery in found.values()})
    cooperative_ids = frozenset[str]().union(*holders.values())
    shifts = {
        shift.id: (shift, courier, bike)
        for shift, courier, bike in crew.free_shifts(view, day)
        if shift.cooperative_id in cooperative_ids and (not_before is None or not_before < shift.terms.ends_at)
    }
    passed = {id_: one for id_, one in found.items() if not_before is not None and _is_over(one, settings, not_before)}
    still = {id_: one for id_, one in found.items() if id_ not in passed}
    return Day(
        day,
        zone,
        still,
        holders,
        shifts,
        instructions.of_deliveries(view, still),
        crew.shares(view, holders.keys() & {delivery.contract_id for delivery in still.values()}),
        settings,
        closures.of_day(view, day, zone),
        read_limits(view, day, [one for one in rounds.of_day(view, day, EVERYTHING) if one.state in _RIDING]),
        not_before,
        passed,
    )


def _is_over(delivery: Delivery, settings: PlanningSettings, at: datetime) -> bool:
    """Return whether a stop of a delivery can begin no more, tolerance included."""
    tolerance = timedelta(seconds=settings.tolerance_seconds)
    return any(visit.window_end + tolerance < at for visit in (delivery.pickup, delivery.drop))


_RIDING = (RoundState.PUBLISHED, RoundState.UNDER_WAY, RoundState.CLOSED)


def read_limits(view: View, day: date, beside: Sequence[Round]) -> Limits:
    """Return what the bikes of a day share, less what these rounds take of it, which are not planned anew."""
    shifts = crew.shifts_of_day(view, day, EVERYTHING)
    equipment = limits.equipment_of(view, {found[0].cooperative_id for found in shifts})
    sites = limits.of_sites(view)
    if not equipment and not sites:
        return Limits()
    taken = {round_.shift_id for round_ in beside}
    known = deliveries.by_id(view, {id_ for round_ in beside for id_ in round_.delivery_ids}) if sites else {}
    calling: Counter[str] = Counter()
    for round_ in beside:
        visits = (
            known[stop.delivery_id].pickup if stop.kind is StopKind.PICKUP else known[stop.delivery_id].drop
            for stop in round_.stops
            if stop.delivery_id in known
        )
        calling.update({visit.site_id for visit in visits})
    return Limits(equipment, sites, [found for found in shifts if found[0].id in taken], calling)


def keep_distances(tx: Transaction, read: Day, metres: Matrix, estimated: NDArray[np.bool_]) -> None:
    """Keep how far it is from each delivery's pickup to its drop, as the day is planned with.

    The matrices are over the places of the day's deliveries and shifts, in the order that `to_problem` wants.
    """
    where = {place: index for index, place in enumerate(read.places)}
    measured = []
    for delivery in read.deliveries.values():
        pickup, drop = (where[Place(visit.longitude, visit.latitude)] for visit in (delivery.pickup, delivery.drop))
        measured.append((delivery.id, int(metres[pickup, drop]), bool(estimated[pickup, drop])))
    deliveries.save_distances(tx, measured)


def keep_draft(tx: Transaction, begun: Plan, read: Day, found: DayPlan, *, at: datetime) -> Plan:
    """Keep what was computed from `read` as the plan's draft.

    Raises PlanNotSolving when this computation was overtaken: another began the plan again, or ended it.
    """
    limits_by_name, beside = _limits_by_name(read), shifts_beside_advised(tx, read, found.left_out)
    plan = _not_overtaken(tx, begun).draft(
        [
            PlannedDelivery(delivery.id, delivery.edition, tuple(sorted(read.holders.get(delivery.contract_id, ()))))
            for delivery in [*read.deliveries.values(), *read.passed.values()]
        ],
        read.shifts,
        [planned_round(begun.id, read, planned) for planned in found.rounds],
        [
            *(_left_out(item, read, limits_by_name, beside) for item in found.left_out),
            *(LeftOut(id_, (ReasonCode.WINDOW,), TOO_LATE) for id_ in read.passed),
        ],
        read.settings,
        at=at,
    )
    plans.save(tx, plan)
    return plan


def _left_out(
    found: LeftOutFound,
    read: Day,
    limits_by_name: Mapping[str, SharedEquipment | SiteLimit],
    beside: Mapping[str, Sequence[Shift]],
) -> LeftOut:
    """Return what the engine leaves out in the day's words."""
    remedies, sentence = advice(found, read, beside)
    return LeftOut(
        DeliveryId.parse(found.request_id),
        tuple(found.codes),
        sentence,
        tuple(ShiftReason(reason.code, reason.vehicle_id or "") for reason in found.reasons),
        remedies=tuple(_remedy(remedy, found.request_id, read, limits_by_name) for remedy in remedies),
    )


def shifts_beside_advised(view: View, read: Day, left_out: Iterable[LeftOutFound]) -> dict[str, list[Shift]]:
    """Return, for each shift that is advised to be another, those of its courier and bike that it may then overlap."""
    advised = {
        remedy.vehicle_id or "" for item in left_out for remedy in item.remedies if remedy.code == ReasonCode.SHIFT
    }
    return {shift_id: crew.shifts_beside(view, read.shifts[shift_id][0].terms) for shift_id in sorted(advised)}


def advice(
    found: LeftOutFound, read: Day, beside: Mapping[str, Sequence[Shift]]
) -> tuple[tuple[RemedyFound, ...], str]:
    """Return what can be done about a delivery left out, and what is said of it: no advice that comes too late, none
    that would be refused. `beside` is what `shifts_beside_advised` gives.
    """
    remedies = tuple(
        remedy for remedy in found.remedies if not read.is_too_late(remedy) and _is_agreeable(remedy, read, beside)
    )
    return remedies, found.sentence if remedies == found.remedies else reasons.sentence(found.reasons, ())


def _is_agreeable(remedy: RemedyFound, read: Day, beside: Mapping[str, Sequence[Shift]]) -> bool:
    """Return whether a shift can be as a remedy has it, beside the others of its courier and bike."""
    if remedy.code != ReasonCode.SHIFT:
        return True
    shift, courier, bike = read.shifts[remedy.vehicle_id or ""]
    if remedy.what == "end":
        terms = replace(shift.terms, ends_at=_moved(shift.terms.ends_at, remedy))
    else:
        terms = replace(shift.terms, starts_at=_moved(shift.terms.starts_at, remedy))
    try:
        agree(replace(shift, terms=terms), courier, bike, beside[shift.id])
    except DomainError:
        return False
    return True


def require_plan(view: View, plan_id: str, reach: Reach) -> Plan:
    """Return a plan in which somebody with this reach has a part. Raises PlanNotFound."""
    plan = plans.get(view, plan_id)
    if not plan.concerns(reach):
        raise PlanNotFound(plan_id)
    return plan


def publish_plan(
    tx: Transaction, plan_id: str, reach: Reach, *, at: datetime, only: Collection[str] | None = None
) -> tuple[Plan, tuple[Round, ...]]:
    """Let the couriers within reach see their rounds, or `only` those with these ids; say what is planned and what is
    left out.

    Returns the plan and what was published now: nothing, when all of it was published before.

    Raises
    ------
    PlanNotFound, PlanNotReady, PlanStale
    """
    require_plan(tx, plan_id, reach)
    plan = plans.get(tx, plan_id, lock=True)
    drafts = plan.drafts_within(reach, only)
    concerned = {id_ for round_ in drafts for id_ in round_.delivery_ids}
    concerned |= {item.delivery_id for item in plan.left_out_within(reach)}
    known = deliveries.by_id(tx, concerned, lock=True)
    shift_ids = [round_.shift_id for round_ in drafts]
    crew.lock_shifts(tx, shift_ids)
    shut = closures.around(tx, [stop.starts_at for round_ in drafts for stop in round_.stops])
    prints = crew.free_prints(tx, plan.day, shift_ids)
    plan, published, left_out = plan.publish(reach, known, prints, shut, at=at, only=only)
    plans.save(tx, plan)
    rounds.add(tx, published)
    for round_ in published:
        for delivery_id in round_.delivery_ids:
            delivery, planned = known[delivery_id].plan(
                round_.id,
                round_.cooperative_id,
                pickup_at=round_.stop_of(delivery_id, StopKind.PICKUP).arrives_at,
                drop_at=round_.stop_of(delivery_id, StopKind.DROP).arrives_at,
                at=at,
            )
            deliveries.save(tx, delivery)
            outbox.add(tx, messages.message(planned))
        rounds.touch(tx, round_.courier_id, round_.day)
    for item in left_out:
        told = known[item.delivery_id].leave_out(item.codes, item.sentence, at=at)
        if told is not None:
            outbox.add(tx, messages.message(told))
    return plan, published


def withdraw_round(tx: Transaction, round_id: str, reach: Reach, reason: str, *, at: datetime) -> Round:
    """Take a published round back that nobody started; its deliveries wait for another. Doing it twice is harmless.

    Raises
    ------
    RoundNotFound, RoundStarted
    """
    rounds.get(tx, round_id, reach)
    round_, known = lock_round(tx, round_id)
    if round_.state is RoundState.WITHDRAWN:
        return round_
    round_ = round_.withdraw(reason, at=at)
    rounds.save(tx, round_)
    for delivery_id in round_.delivery_ids:
        delivery, withdrawn = known[delivery_id].withdraw(reason, at=at)
        if withdrawn is not None:
            deliveries.save(tx, delivery)
            outbox.add(tx, messages.message(withdrawn))
    rounds.touch(tx, round_.courier_id, round_.day)
    return round_


def _limits_by_name(read: Day) -> dict[str, SharedEquipment | SiteLimit]:
    """Return what is shared by the names that the engine's remedies have for its limits."""
    sites = read.site_limits_to_plan()
    return {
        **{f"fleet {number}": shared for number, (shared, _) in enumerate(read.fleet_limits_to_plan())},
        **{f"hub {number}": sites[place][0] for number, place in enumerate(read.places) if place in sites},
    }


def _remedy(
    found: RemedyFound, delivery_id: str, read: Day, limits_by_name: Mapping[str, SharedEquipment | SiteLimit]
) -> Remedy:
    """Return a remedy in the day's words; where it moves a time, the new one is told in whole minutes."""
    delivery, shift_id = read.deliveries[DeliveryId.parse(delivery_id)], found.vehicle_id or ""
    stop, before, what = None, None, found.what
    visit = delivery.pickup
    if found.stop is not None:
        stop = (StopKind.PICKUP, StopKind.DROP)[found.stop]
        visit = delivery.pickup if stop is StopKind.PICKUP else delivery.drop
    if found.code == ReasonCode.CLOSED:
        return Remedy(found.code, shift_id, stop=stop, until=read.closures_of(visit)[int(what)].ends_at)
    if found.code == ReasonCode.WINDOW:
        before = visit.window_end if what == "end" else visit.window_start
    elif found.code == ReasonCode.SHIFT and shift_id in read.shifts:
        terms = read.shifts[shift_id][0].terms
        before = terms.ends_at if what == "end" else terms.starts_at
    elif found.code == ReasonCode.CAPACITY:
        what = DIMENSIONS[int(what)]
    elif found.code == ReasonCode.PRICE:
        what = read.settings.enough(found.amount)
    elif found.code == ReasonCode.LIMIT:
        limit = limits_by_name[what]
        if isinstance(limit, SharedEquipment):
            what = limit.equipment
        else:
            what, stop = limit.site_name, StopKind.PICKUP if delivery.pickup.site_id == limit.site_id else StopKind.DROP
    return Remedy(found.code, shift_id, found.amount, what, stop, before and _moved(before, found))


def _moved(before: datetime, found: RemedyFound) -> datetime:
    """Return the time that a remedy would put in place of another: a whole minute, as much as is needed at least."""
    after = before + timedelta(seconds=found.amount if found.what == "end" else -found.amount)
    until = after.replace(second=0, microsecond=0)
    return until + timedelta(minutes=1) if found.what == "end" and until < after else until


def planned_round(plan_id: str, read: Day, planned: PlannedRound) -> Round:
    """Return a round as the engine proposes it, as a draft with ids of its own."""
    shift, courier, bike = read.shifts[planned.shift_id]
    draft = Round(
        id=new_id(),
        plan_id=plan_id,
        cooperative_id=shift.cooperative_id,
        courier_id=courier.id,
        bike_id=bike.id,
        shift_id=shift.id,
        shift_print=shift_print(shift, courier, bike),
        day=read.day,
        starts_at=planned.starts_at,
        ends_at=planned.ends_at,
        travel_seconds=planned.travel_seconds,
        travel_metres=planned.travel_metres,
        stops=tuple(_stop(stop) for stop in planned.stops),
        breaks=tuple(BreakTaken(rest.starts_at, rest.ends_at) for rest in planned.breaks),
    )
    return aboard(draft, read.deliveries)


def _stop(planned: PlannedStop) -> Stop:
    return Stop(
        id=new_id(),
        delivery_id=DeliveryId.parse(planned.delivery_id),
        kind=StopKind(planned.kind.value),
        arrives_at=planned.arrives_at,
        starts_at=planned.starts_at,
        leaves_at=planned.leaves_at,
        aboard_grams=0,
        aboard_millilitres=0,
    )
