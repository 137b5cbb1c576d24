"""A dispatcher's own hand in a draft: a delivery goes elsewhere; the judge says at once whether that can be ridden."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from services.dispatch.domain.delivery import Delivery
from services.dispatch.domain.errors import (
    DeliveryNotFound,
    MoveRefused,
    PlanStale,
    ShiftInUse,
    ShiftNotFound,
    french_of,
)
from services.dispatch.domain.events import DeliveryId, StopKind
from services.dispatch.domain.plan import LeftOut, Plan
from services.dispatch.domain.reach import EVERYTHING, Reach
from services.dispatch.domain.round import Round, RoundState
from services.dispatch.planning import plan as proposal
from services.dispatch.planning.check import Violation, ViolationKind, check
from services.dispatch.planning.problem import LARGEST_NUMBER, TRAILER, Matrix, Request, RoutingProblem
from services.dispatch.planning.problem import Stop as StopAsked
from services.dispatch.planning.problem import StopKind as AskedKind
from services.dispatch.planning.schedule import Call as StopCalledAt
from services.dispatch.planning.schedule import ride
from services.dispatch.planning.translate import to_rounds
from services.dispatch.repository import closures, crew, deliveries, instructions, planning_settings, plans, rounds
from services.dispatch.use_cases.plans import Day, planned_round, read_limits, require_plan
from services.kit.database import Transaction, View

TAKEN_OUT = "taken-out"
Call = tuple[DeliveryId, StopKind]


@dataclass(frozen=True, slots=True)
class Move:
    """A delivery into the round of a shift, or with None out of every round.

    Positions count from 1 among the stops of that round, both moved ones included; the end without one.
    """

    delivery_id: str
    shift_id: str | None
    pickup_position: int | None = None
    drop_position: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a move touches: the plan as it was read, and the deliveries and shifts of the rounds concerned."""

    plan: Plan
    moved: DeliveryId
    source: Round | None
    target: Round | None
    day: Day


def read_scene(view: View, plan_id: str, move: Move, reach: Reach, zone: ZoneInfo) -> Scene:
    """Return what the move touches.

    Raises
    ------
    PlanNotFound, PlanNotReady, DeliveryNotFound, ShiftNotFound
        Also for what is another cooperative's, and for a delivery that is published already.
    ShiftInUse
        When a round was published in that shift meanwhile.
    PlanStale
    """
    plan = require_plan(view, plan_id, reach)
    plan.require_draft()
    try:
        moved = DeliveryId.parse(move.delivery_id)
    except ValueError:
        raise DeliveryNotFound(move.delivery_id, "/delivery_id") from None
    drafts = plan.drafts_within(reach)
    source = next((round_ for round_ in drafts if moved in round_.delivery_ids), None)
    if source is None and moved not in {item.delivery_id for item in plan.left_out_within(reach)}:
        raise DeliveryNotFound(move.delivery_id, "/delivery_id")
    target = next((round_ for round_ in drafts if round_.shift_id == move.shift_id), None)
    concerned = {round_.id: round_ for round_ in (source, target) if round_}.values()
    shift_ids = {round_.shift_id for round_ in concerned} | ({move.shift_id} if move.shift_id else set())
    shifts = {found[0].id: found for found in crew.free_shifts(view, plan.day, shift_ids=shift_ids)}
    if move.shift_id and move.shift_id not in shifts:
        wanted_shift = crew.shifts_by_id(view, [move.shift_id]).get(move.shift_id)
        round_id = crew.round_in_shift(view, move.shift_id)
        if wanted_shift and reach.covers(wanted_shift.cooperative_id) and round_id:
            raise ShiftInUse(move.shift_id, round_id)
    if move.shift_id and (move.shift_id not in shifts or not reach.covers(shifts[move.shift_id][0].cooperative_id)):
        raise ShiftNotFound(move.shift_id, "/shift_id")
    wanted = {moved}.union(*(round_.delivery_ids for round_ in concerned))
    known = deliveries.by_id(view, wanted)
    changes = plan.changes(concerned, known, crew.free_prints(view, plan.day, shift_ids), beside=[moved])
    if changes:
        raise PlanStale(plan.id, changes)
    holders = crew.holders(view, {delivery.contract_id for delivery in known.values()})
    given = instructions.of_deliveries(view, known)
    settings = planning_settings.in_force(view, plan.day).settings
    shut = closures.of_day(view, plan.day, zone)
    published = [one for one in rounds.of_day(view, plan.day, EVERYTHING) if one.state is not RoundState.WITHDRAWN]
    beside = [one for one in plan.rounds if one.state is RoundState.DRAFT and one not in concerned]
    limits = read_limits(view, plan.day, [*published, *beside])
    day = Day(
        plan.day,
        zone,
        known,
        holders,
        shifts,
        given,
        settings=settings,
        closures=shut,
        limits=limits,
        not_before=plan.not_before,
    )
    return Scene(plan, moved, source, target, day)


def move_delivery(tx: Transaction, move: Move, scene: Scene, travel_seconds: Matrix, travel_metres: Matrix) -> Plan:
    """Move a delivery in the draft when the judge has nothing against it.

    The matrices are over the places of the scene's day. What is taken out of a round waits among the left out.

    Raises
    ------
    MoveRefused
        With what would go wrong.
    PlanStale
        When somebody changed the plan meanwhile.
    """
    plan = plans.get(tx, scene.plan.id, lock=True)
    if plan.version != scene.plan.version:
        raise PlanStale(plan.id, [{"kind": "plan-changed", "detail": "le plan a été modifié"}])
    problem = scene.day.problem(travel_seconds, travel_metres)
    proposed = _proposal(problem, scene, move)
    violations = check(problem, proposed)
    if violations:
        raise MoveRefused([*_in_words(violations, problem, proposed, scene.day)])
    ridden = to_rounds(
        proposed, scene.day.deliveries_to_plan(), scene.day.shifts_to_plan(), day=plan.day, zone=scene.day.zone
    )
    before = {round_.shift_id: round_ for round_ in (scene.source, scene.target) if round_}
    after = [
        _keeping_ids(planned_round(plan.id, scene.day, planned), before.get(planned.shift_id))
        for planned in ridden.rounds
    ]
    kept = [round_ for round_ in plan.rounds if round_.id not in {old.id for old in before.values()}]
    left_out = [item for item in plan.left_out if item.delivery_id != scene.moved]
    if move.shift_id is None:
        left_out.append(LeftOut(scene.moved, (TAKEN_OUT,), "Retirée de sa tournée par la régulation."))
    changed = plan.with_rounds(sorted([*kept, *after], key=lambda round_: round_.shift_id), left_out)
    plans.save(tx, changed)
    return changed


def _proposal(problem: RoutingProblem, scene: Scene, move: Move) -> proposal.Plan:
    """Return the rounds concerned as they would be ridden, whatever rule that breaks: the judge names it."""
    sequences: dict[str, list[Call]] = {}
    for round_ in (scene.source, scene.target):
        if round_:
            sequences[round_.shift_id] = [
                (stop.delivery_id, stop.kind) for stop in round_.stops if stop.delivery_id != scene.moved
            ]
    if move.shift_id is not None:
        calls = sequences.setdefault(move.shift_id, [])
        last = len(calls) + 2
        pickup = min(move.pickup_position or last - 1, last)
        drop = min(move.drop_position or last, last)
        for position, kind in sorted([(pickup, StopKind.PICKUP), (drop, StopKind.DROP)], key=lambda both: both[0]):
            calls.insert(position - 1, (scene.moved, kind))
    # The rules as they are, else the times without them: the judge then names each one that is broken.
    attempts = (problem, _without_limits(problem, keeps_breaks=True), _without_limits(problem, keeps_breaks=False))
    routes = []
    for shift_id, calls in sequences.items():
        if not all(str(delivery_id) in problem.requests_by_id for delivery_id, _ in calls):
            # The engine's words for a load that no bike at hand carries.
            raise MoveRefused(
                [{"kind": ViolationKind.OVER_CAPACITY, "detail": "la charge dépasse la capacité du vélo"}]
            )
        if calls:
            routes.append(next(filter(None, (_ride(attempt, shift_id, calls) for attempt in attempts))))
    ridden = {visit.request_id for route in routes for visit in route.visits}
    left_out = [proposal.LeftOut(request.id) for request in problem.requests if request.id not in ridden]
    return proposal.Plan(tuple(routes), tuple(left_out))


def _ride(problem: RoutingProblem, shift_id: str, calls: Sequence[Call]) -> proposal.Route | None:
    return ride(
        problem,
        problem.vehicles_by_id[shift_id],
        [StopCalledAt(problem.requests_by_id[str(delivery_id)], AskedKind(kind.value)) for delivery_id, kind in calls],
    )


def _without_limits(problem: RoutingProblem, *, keeps_breaks: bool) -> RoutingProblem:
    """Return the problem with windows that never close, bikes that carry everything and shifts that never end."""

    def open_ended(stop: StopAsked) -> StopAsked:
        return replace(stop, window_end_seconds=LARGEST_NUMBER, latest_seconds=None, closures=())

    def for_anybody(request: Request) -> Request:
        return replace(
            request,
            pickups=tuple(map(open_ended, request.pickups)),
            drops=tuple(map(open_ended, request.drops)),
            skills=frozenset(),
            allowed_vehicles=None,
            forbidden_vehicles=frozenset(),
            allowed_groups=None,
            forbidden_groups=frozenset(),
            ride_seconds_at_most=None,
        )

    return replace(
        problem,
        requests=tuple(for_anybody(request) for request in problem.requests),
        vehicles=tuple(
            replace(
                vehicle,
                shift_end_seconds=LARGEST_NUMBER,
                capacities=tuple(LARGEST_NUMBER for _ in vehicle.capacities),
                range_metres=None,
                breaks=tuple(
                    rest if keeps_breaks else replace(rest, window_end_seconds=LARGEST_NUMBER - rest.length_seconds)
                    for rest in vehicle.breaks
                ),
            )
            for vehicle in problem.vehicles
        ),
    )


def _in_words(
    violations: Sequence[Violation], problem: RoutingProblem, proposed: proposal.Plan, day: Day
) -> Iterator[dict[str, str]]:
    """Tell what would go wrong in French, with figures."""
    visits = {
        (visit.request_id, route.vehicle_id): [other for other in route.visits if other.request_id == visit.request_id]
        for route in proposed.routes
        for visit in route.visits
    }
    for violation in violations:
        request_id = violation.request_id or ""
        what = f"la livraison {_delivery(day, request_id).reference}" if request_id else ""
        who = day.shifts[violation.vehicle_id][1].terms.name if violation.vehicle_id else ""
        match violation.kind:
            case ViolationKind.AFTER_WINDOW:
                late = max(
                    visit.start_seconds - problem.requests_by_id[request_id].stop(visit.kind, visit.number).last_seconds
                    for visit in visits[request_id, violation.vehicle_id or ""]
                )
                detail = f"{what} serait en retard de {-(-late // 60)} min ({who})"
            case ViolationKind.CLOSED:
                detail = f"{what} trouverait un site fermé ({who})"
            case ViolationKind.AFTER_SHIFT:
                route = next(route for route in proposed.routes if route.vehicle_id == violation.vehicle_id)
                end = problem.vehicles_by_id[route.vehicle_id].shift_end_seconds
                detail = f"{who} finirait {-(-(route.end_seconds - end) // 60)} min après sa vacation"
            case ViolationKind.OVER_CAPACITY:
                detail = f"le vélo {french_of(who)} serait trop chargé à {what}"
            case ViolationKind.SKILL_MISSING:
                vehicle = problem.vehicles_by_id[violation.vehicle_id or ""]
                missing = sorted(problem.requests_by_id[request_id].skills - vehicle.skills)
                told = ", ".join("une remorque" if skill == TRAILER else f"« {skill} »" for skill in missing)
                detail = f"{what} demande {told} : {who} ne l'a pas"
            case ViolationKind.NOT_ALLOWED:
                detail = f"{what} ne peut pas aller à {who} : marché d'une autre coopérative, ou consigne"
            case ViolationKind.RIDE_TOO_LONG:
                detail = f"la charge de {what} resterait trop longtemps à bord ({who})"
            case ViolationKind.OVER_FLEET_LIMIT:
                detail = "il n'y a pas assez d'équipement partagé (remorques ou autre) pour ces vacations à la fois"
            case ViolationKind.OVER_HUB_LIMIT:
                detail = "trop de vélos passeraient ce jour-là par un site aux quais limités"
            case ViolationKind.OVER_RANGE:
                detail = f"la tournée {french_of(who)} dépasserait l'autonomie du vélo"
            case ViolationKind.BREAK_MISSING | ViolationKind.BREAK_OUTSIDE_WINDOW:
                detail = f"{who} n'aurait pas sa pause à l'heure"
            case ViolationKind.DROP_BEFORE_PICKUP:
                detail = f"{what} serait livrée avant d'être enlevée"
            case _:
                detail = f"la tournée {french_of(who)} ne tiendrait pas ({violation.kind})"
        yield {"kind": violation.kind.value, "delivery_id": request_id, "detail": detail}


def _delivery(day: Day, request_id: str) -> Delivery:
    return day.deliveries[DeliveryId.parse(request_id)]


def _keeping_ids(changed: Round, before: Round | None) -> Round:
    """Return the round under the ids that it and its stops had."""
    if before is None:
        return changed
    ids = {(stop.delivery_id, stop.kind): stop.id for stop in before.stops}
    stops = tuple(replace(stop, id=ids.get((stop.delivery_id, stop.kind), stop.id)) for stop in changed.stops)
    return replace(changed, id=before.id, stops=stops)
