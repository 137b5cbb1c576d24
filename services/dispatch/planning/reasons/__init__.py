"""Why a request is left out, vehicle by vehicle, and the least change that would serve it: all true when tried."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from services.dispatch.planning.near import Near
from services.dispatch.planning.plan import LeftOut, Plan, Reason, ReasonCode
from services.dispatch.planning.problem import LARGEST_NUMBER, Objective, Request, RoutingProblem, Stop, Vehicle
from services.dispatch.planning.reasons.insertion import Undecided, fits
from services.dispatch.planning.reasons.remedies import (
    FEWEST_TRIED,
    VEHICLES_TRIED,
    Standing,
    apply,
    lacks,
    remedies,
    remedy_words,
    serve,
)
from services.dispatch.planning.schedule import Call, ride

__all__ = ["apply", "explain", "remedy_words", "sentence", "serve"]

ADVICE = {
    ReasonCode.NOT_ALLOWED: "autorisez une autre vacation",
    ReasonCode.SKILL: "prévoyez l'équipement ou la compétence qui manque",
    ReasonCode.CAPACITY: "prévoyez un vélo plus grand ou partagez la charge",
    ReasonCode.CLOSED: "choisissez un créneau pendant lequel le site est ouvert",
    ReasonCode.WINDOW: "élargissez un créneau",
    ReasonCode.RIDE_TIME: "permettez un trajet plus long à la charge",
    ReasonCode.RANGE: "prévoyez un vélo de plus grande autonomie",
    ReasonCode.SHIFT: "allongez ou déplacez une vacation",
    ReasonCode.LOCK: "libérez une livraison imposée",
    ReasonCode.SHARE: "relevez la part d'une coopérative",
    ReasonCode.LIMIT: "relevez une limite de flotte ou de base",
    ReasonCode.PRICE: "donnez-lui une priorité plus haute",
    ReasonCode.OUTWEIGHED: "ajoutez une vacation ou élargissez un créneau",
    ReasonCode.NO_VEHICLE: "ouvrez une vacation ce jour-là",
}
"""What a dispatcher can do about each reason, where no single change is known to be enough."""


def explain(
    problem: RoutingProblem, plan: Plan, near: Near | None = None, settled: Collection[str] = frozenset()
) -> Plan:
    """Return the plan with reasons, remedies and a French sentence for every request it leaves out.

    With `near`, what changing that plan costs counted too: a request whose price of its own does not pay for that is
    told to cost too much, no shift is to begin earlier, and those of the vehicles that are `settled` do not change.

    Remedies are looked for on the vehicles nearest to each request: on all of them where few requests are left out, on
    `VEHICLES_TRIED` shared out between them where many are, so that a bad day's plan is explained in seconds too.
    """
    standing, requests = Standing(problem, plan, near, settled), problem.requests_by_id
    tried = max(FEWEST_TRIED, VEHICLES_TRIED // max(1, len(plan.left_out)))
    return replace(plan, left_out=tuple(_why(standing, requests[item.request_id], tried) for item in plan.left_out))


def _why(standing: Standing, request: Request, tried: int) -> LeftOut:
    problem = standing.problem
    if not problem.vehicles:
        reasons: tuple[Reason, ...] = (Reason(ReasonCode.NO_VEHICLE),)
    else:
        alone: dict[Vehicle, tuple[ReasonCode, ...]] = {}
        reasons = tuple(
            Reason(code, vehicle.id)
            for vehicle in problem.vehicles
            for code in (
                _alone(problem, vehicle, request, alone)
                or _beside_others(standing, vehicle, request)
                or (ReasonCode.PRICE if _disturbs(standing, vehicle, request) else ReasonCode.OUTWEIGHED,)
            )
        )
    found = remedies(standing, request, tried=tried)
    words = [remedy_words(remedy, request) for remedy in found]
    return LeftOut(request.id, reasons, sentence(reasons, words), found)


def _alone(
    problem: RoutingProblem, vehicle: Vehicle, request: Request, known: dict[Vehicle, tuple[ReasonCode, ...]]
) -> tuple[ReasonCode, ...]:
    """Return every rule that keeps the request, tried alone, off this vehicle.

    With the rules lifted that are named it fits, with any one of them in force it does not (`_untimely`). `known`
    keeps what the clock says of vehicles that differ in name and equipment only.
    """
    codes = {lack.code for lack in lacks(vehicle, request)}
    if request.locked_to not in (None, vehicle.id):
        codes.add(ReasonCode.NOT_ALLOWED)
    # The clock knows neither loads nor skills.
    bare = replace(
        vehicle, id="", group="", skills=frozenset(), fixed_price=0, capacities=tuple(0 for _ in vehicle.capacities)
    )
    if bare not in known:
        known[bare] = _untimely(problem, bare, _unburdened(request))
    codes.update(known[bare])
    return tuple(code for code in ReasonCode if code in codes)


def _untimely(problem: RoutingProblem, vehicle: Vehicle, request: Request) -> tuple[ReasonCode, ...]:
    """Return which rules of time and distance forbid the request alone.

    All are lifted first, then put in force again one after another: windows, closures, ride time, range, shift with
    its breaks. What makes it impossible is named and stays lifted. A stop that no moment of its window is open for is
    named as closed whatever the windows.
    """
    if _fits(problem, vehicle, request):
        return ()
    codes = []
    anyhow = replace(
        vehicle, shift_start_seconds=-LARGEST_NUMBER, shift_end_seconds=LARGEST_NUMBER, range_metres=None, breaks=()
    )
    unhurried = replace(request, ride_seconds_at_most=None)
    if any(stop.opens(stop.window_start_seconds) is None for _, _, stop in request.stops):
        codes.append(ReasonCode.CLOSED)
        unhurried = _open(unhurried)
    if not _fits(problem, anyhow, _open(unhurried)):
        codes.append(ReasonCode.WINDOW)
        unhurried = _at_any_time(unhurried)
    elif not _fits(problem, anyhow, unhurried):
        codes.append(ReasonCode.CLOSED)
        unhurried = _open(unhurried)
    request = replace(unhurried, ride_seconds_at_most=request.ride_seconds_at_most)
    if not _fits(problem, anyhow, request):
        codes.append(ReasonCode.RIDE_TIME)
        request = unhurried
    anyhow = replace(anyhow, range_metres=vehicle.range_metres)
    if not _fits(problem, anyhow, request):
        codes.append(ReasonCode.RANGE)
        vehicle = replace(vehicle, range_metres=None)
    if not _fits(problem, vehicle, request):
        codes.append(ReasonCode.SHIFT)
    return tuple(codes)


def _beside_others(standing: Standing, vehicle: Vehicle, request: Request) -> tuple[ReasonCode, ...]:
    """Return what keeps a request off a vehicle that could serve it alone."""
    problem = standing.problem
    codes = {remedy.code for remedy in standing.reached(vehicle, request)}
    locked = [call for call in standing.calls(vehicle) if call.request.locked_to == vehicle.id]
    if locked and ride(problem, vehicle, locked) and not _fits(problem, vehicle, request, locked):
        codes.add(ReasonCode.LOCK)
    if problem.objective is Objective.PRICES and request.left_out_price is not None:
        empty = Standing(problem, Plan((), ()))
        try:
            found = empty.insert(vehicle, request)
            if found and found[0] >= request.left_out_price:
                found = standing.insert(vehicle, request)
                if found is None or found[0] >= request.left_out_price:
                    codes.add(ReasonCode.PRICE)
        except Undecided:
            pass
    return tuple(code for code in ReasonCode if code in codes)


def _disturbs(standing: Standing, vehicle: Vehicle, request: Request) -> bool:
    """Return whether the vehicle could serve it too, but for the price of what that changes in the plan in force."""
    if standing.problem.objective is not Objective.PRICES or request.left_out_price is None:
        return False
    try:
        found = standing.insert(vehicle, request)
    except Undecided:
        return False
    if found is None:
        return False
    added, route = found
    return added - standing.disturbance(vehicle.id, route) < request.left_out_price <= added


def _fits(problem: RoutingProblem, vehicle: Vehicle, request: Request, kept: Sequence[Call] = ()) -> bool:
    try:
        return fits(problem, vehicle, kept, request)
    except Undecided:
        return False


def _unburdened(request: Request) -> Request:
    """Return the request without loads, skills and permissions."""

    def bare(stops: tuple[Stop, ...]) -> tuple[Stop, ...]:
        return tuple(replace(stop, loads=tuple(0 for _ in stop.loads)) for stop in stops)

    return Request(
        request.id, bare(request.pickups), bare(request.drops), ride_seconds_at_most=request.ride_seconds_at_most
    )


def _open(request: Request) -> Request:
    return _each_stop(request, closures=())


def _at_any_time(request: Request) -> Request:
    return _each_stop(
        request,
        window_start_seconds=-LARGEST_NUMBER,
        window_end_seconds=LARGEST_NUMBER,
        latest_seconds=None,
        closures=(),
    )


def _each_stop(request: Request, **changes: Any) -> Request:
    pickups = tuple(replace(stop, **changes) for stop in request.pickups)
    return replace(request, pickups=pickups, drops=tuple(replace(stop, **changes) for stop in request.drops))


def sentence(reasons: Sequence[Reason], remedies: Sequence[str]) -> str:
    """Return the reasons in French, then what would be enough, else what to try.

    `remedies` are changes as `remedy_words` tells them, without names and times of day.
    """
    counts = Counter(reason.code for reason in reasons)
    told = " ; ".join(_told(code, counts[code]) for code in ReasonCode if counts[code])
    if remedies:
        return f"{_capitalised(told)}. Il suffirait d'un changement : {' ; ou '.join(remedies)}."
    per_vehicle: dict[str | None, list[ReasonCode]] = {}
    for reason in reasons:
        per_vehicle.setdefault(reason.vehicle_id, []).append(reason.code)
    advice = " et ".join(ADVICE[code] for code in min(per_vehicle.values(), key=len))
    return f"{_capitalised(told)}. {_capitalised(advice)}."


def _told(code: ReasonCode, count: int) -> str:
    s = "s" if count > 1 else ""
    match code:
        case ReasonCode.NOT_ALLOWED:
            return f"{count} vacation{s} non autorisée{s}"
        case ReasonCode.SKILL:
            return f"{count} vacation{s} sans l'équipement ou la compétence"
        case ReasonCode.CAPACITY:
            return f"{count} vélo{s} trop petit{s} pour la charge"
        case ReasonCode.CLOSED:
            return "un site est fermé pendant son créneau"
        case ReasonCode.WINDOW:
            return "ses créneaux ne laissent pas le temps d'aller de l'enlèvement au dépôt"
        case ReasonCode.RIDE_TIME:
            return f"trop longtemps à bord dans {count} vacation{s}"
        case ReasonCode.RANGE:
            return f"trop loin pour {count} vélo{s}"
        case ReasonCode.SHIFT:
            return f"{count} vacation{s} trop courte{s} ou à d'autres heures"
        case ReasonCode.LOCK:
            return f"tiendrait seule dans {count} vacation{s}, mais pas avec ce qui y est imposé ou commencé"
        case ReasonCode.SHARE:
            return f"part du marché atteinte pour {count} vacation{s}"
        case ReasonCode.LIMIT:
            return f"limite de flotte ou de base atteinte pour {count} vacation{s}"
        case ReasonCode.PRICE:
            return f"coûterait dans {count} vacation{s} plus que sa priorité ne vaut"
        case ReasonCode.OUTWEIGHED:
            return f"tiendrait seule dans {count} vacation{s}, mais pas avec les autres livraisons"
        case ReasonCode.NO_VEHICLE:
            return "aucune vacation n'est prévue"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
