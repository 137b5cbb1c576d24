"""The difference between a plan in force and the next one, order by order, with why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.dispatch.planning.near import StopKey, vehicle_of
from services.dispatch.planning.plan import LeftOut, Plan
from services.dispatch.planning.problem import StopKind
from services.dispatch.planning.remaining import ChangeCode, Facts


@dataclass(frozen=True, slots=True)
class Retimed:
    """When a stop begins: in force and in the next plan; None where it is in none."""

    kind: StopKind
    number: int
    before_seconds: int | None
    after_seconds: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one request: from which vehicle to which, its stops' times, and why.

    `for_request` is the one that it makes room for. `left_out` has the reasons of one that is not served.
    """

    request_id: str
    from_vehicle: str | None
    to_vehicle: str | None
    stops: tuple[Retimed, ...]
    code: ChangeCode
    for_request: str | None = None
    left_out: LeftOut | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Each request of both plans in exactly one list.

    `moved` are served by another vehicle, `retimed` by the same at other times, `added` are served now and were not,
    `dropped` were and are not, `left_out` were not and are not; of `kept` nothing changes.
    """

    moved: tuple[Change, ...]
    retimed: tuple[Change, ...]
    added: tuple[Change, ...]
    dropped: tuple[Change, ...]
    left_out: tuple[Change, ...]
    kept: tuple[str, ...]


def changes(facts: Facts, plan: Plan) -> Changes:
    """Return what changes from what was still to be ridden to `plan`."""
    before, after = vehicle_of(facts.before), vehicle_of(plan)
    times_before, times_after = _times(facts.before), _times(plan)
    left_out = {item.request_id: item for item in plan.left_out}
    arrived: dict[str, list[str]] = {}
    for request_id, vehicle_id in after.items():
        if before.get(request_id) != vehicle_id:
            arrived.setdefault(vehicle_id, []).append(request_id)
    lists: dict[str, list[Change]] = {name: [] for name in ("moved", "retimed", "added", "dropped", "left_out")}
    kept = []
    for request_id in dict.fromkeys([*before, *after, *left_out, *facts.gone]):
        old, new = before.get(request_id), after.get(request_id)
        stops = _retimed(times_before.get(request_id, {}), times_after.get(request_id, {}))
        if old is None:
            name, code, other = ("left_out" if new is None else "added"), ChangeCode.NEW, None
        elif new is None:
            name, other = "dropped", None
            code = facts.gone.get(request_id) or _happened(facts, request_id, [old]) or ChangeCode.NO_LONGER_FITS
        elif any(stop.before_seconds != stop.after_seconds for stop in stops) or old != new:
            name = "retimed" if old == new else "moved"
            code, other = _why(facts, request_id, old, arrived, before)
        else:
            kept.append(request_id)
            continue
        lists[name].append(Change(request_id, old, new, stops, code, other, left_out.get(request_id)))
    return Changes(**{name: tuple(found) for name, found in lists.items()}, kept=tuple(kept))


def _why(
    facts: Facts,
    request_id: str,
    old: str,
    arrived: Mapping[str, list[str]],
    before: Mapping[str, str],
) -> tuple[ChangeCode, str | None]:
    happened = _happened(facts, request_id, [old])
    if happened:
        return happened, None
    # New ones first: what was moved has its own reason.
    newcomers = sorted((id_ for id_ in arrived.get(old, ()) if id_ != request_id), key=lambda id_: id_ in before)
    if newcomers:
        return ChangeCode.MAKES_ROOM, newcomers[0]
    return ChangeCode.SAVES, None


def _happened(facts: Facts, request_id: str, vehicle_ids: Iterable[str]) -> ChangeCode | None:
    """Return what happened to the request itself, else to one of these vehicles."""
    if request_id in facts.requests:
        return facts.requests[request_id]
    return next((facts.vehicles[id_] for id_ in vehicle_ids if id_ in facts.vehicles), None)


def _times(plan: Plan) -> dict[str, dict[StopKey, int]]:
    times: dict[str, dict[StopKey, int]] = {}
    for route in plan.routes:
        for visit in route.visits:
            times.setdefault(visit.request_id, {})[visit.request_id, visit.kind, visit.number] = visit.start_seconds
    return times


def _retimed(before: Mapping[StopKey, int], after: Mapping[StopKey, int]) -> tuple[Retimed, ...]:
    return tuple(Retimed(key[1], key[2], before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after]))
