"""Why a request is left out: vehicle by vehicle, each reason true when tried alone, and one French sentence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from services.dispatch.planning.plan import LeftOut, Plan, Reason, ReasonCode, StopKind, route_through
from services.dispatch.planning.problem import LARGEST_NUMBER, Request, RoutingProblem, Vehicle

ADVICE = {
    ReasonCode.NOT_ALLOWED: "autorisez une autre vacation",
    ReasonCode.TRAILER: "prévoyez un vélo avec remorque",
    ReasonCode.CAPACITY: "prévoyez un vélo plus grand ou partagez la charge",
    ReasonCode.WINDOW: "élargissez un créneau",
    ReasonCode.SHIFT: "allongez ou déplacez une vacation",
    ReasonCode.OUTWEIGHED: "ajoutez une vacation ou élargissez un créneau",
    ReasonCode.NO_VEHICLE: "ouvrez une vacation ce jour-là",
}
"""What a dispatcher can do about each reason."""


def explain(problem: RoutingProblem, plan: Plan) -> Plan:
    """Return the plan with reasons and a French sentence for every request it leaves out."""
    requests = problem.requests_by_id
    return replace(plan, left_out=tuple(why(problem, requests[item.request_id]) for item in plan.left_out))


def why(problem: RoutingProblem, request: Request) -> LeftOut:
    """Return why no vehicle serves this request; each reason is true of the request tried alone on that vehicle."""
    if not problem.vehicles:
        reasons: tuple[Reason, ...] = (Reason(ReasonCode.NO_VEHICLE),)
    else:
        reasons = tuple(
            Reason(code, vehicle.id) for vehicle in problem.vehicles for code in obstacles(problem, vehicle, request)
        )
    return LeftOut(request.id, reasons, sentence(reasons))


def obstacles(problem: RoutingProblem, vehicle: Vehicle, request: Request) -> tuple[ReasonCode, ...]:
    """Return every rule that keeps this request, tried alone, off this vehicle; `OUTWEIGHED` where none does."""
    codes = []
    if request.allowed_vehicles is not None and vehicle.id not in request.allowed_vehicles:
        codes.append(ReasonCode.NOT_ALLOWED)
    if request.needs_trailer and not vehicle.has_trailer:
        codes.append(ReasonCode.TRAILER)
    if any(load > capacity for load, capacity in zip(request.loads, vehicle.capacities, strict=True)):
        codes.append(ReasonCode.CAPACITY)
    if not _in_time(problem, vehicle, request):
        whenever = replace(vehicle, shift_start_seconds=-LARGEST_NUMBER, shift_end_seconds=2 * LARGEST_NUMBER)
        codes.append(ReasonCode.SHIFT if _in_time(problem, whenever, request) else ReasonCode.WINDOW)
    return tuple(codes) or (ReasonCode.OUTWEIGHED,)


def sentence(reasons: Sequence[Reason]) -> str:
    """Return the reasons in French, then what to do: what the vehicle with the fewest obstacles lacks."""
    counts = Counter(reason.code for reason in reasons)
    told = " ; ".join(_told(code, counts[code]) for code in ReasonCode if counts[code])
    per_vehicle: dict[str | None, list[ReasonCode]] = {}
    for reason in reasons:
        per_vehicle.setdefault(reason.vehicle_id, []).append(reason.code)
    advice = " et ".join(ADVICE[code] for code in min(per_vehicle.values(), key=len))
    return f"{_capitalised(told)}. {_capitalised(advice)}."


def _told(code: ReasonCode, count: int) -> str:
    several = "s" if count > 1 else ""
    match code:
        case ReasonCode.NOT_ALLOWED:
            return f"{count} vacation{several} non autorisée{several}"
        case ReasonCode.TRAILER:
            return f"{count} vélo{several} sans remorque"
        case ReasonCode.CAPACITY:
            return f"{count} vélo{several} trop petit{several} pour la charge"
        case ReasonCode.WINDOW:
            return "ses créneaux ne laissent pas le temps d'aller de l'enlèvement au dépôt"
        case ReasonCode.SHIFT:
            return f"{count} vacation{several} trop courte{several} ou à d'autres heures"
        case ReasonCode.OUTWEIGHED:
            return f"tiendrait seule dans {count} vacation{several}, mais pas avec les autres livraisons"
        case ReasonCode.NO_VEHICLE:
            return "aucune vacation n'est prévue"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _in_time(problem: RoutingProblem, vehicle: Vehicle, request: Request) -> bool:
    """Return whether the vehicle could serve it alone if only the clock mattered."""
    weightless = replace(request, loads=(0,) * len(request.loads), needs_trailer=False, allowed_vehicles=None)
    calls = [(weightless, StopKind.PICKUP), (weightless, StopKind.DROP)]
    return route_through(problem, vehicle, calls) is not None
