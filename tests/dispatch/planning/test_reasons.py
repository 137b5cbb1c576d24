"""Each reason is true of the request tried alone on that vehicle, and the sentence says what to do."""

from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import given, settings

from services.dispatch.planning.check import check
from services.dispatch.planning.plan import Reason, ReasonCode
from services.dispatch.planning.problem import FaultyProblem, Request, RoutingProblem, Stop, Vehicle
from services.dispatch.planning.reasons import explain, why
from services.dispatch.planning.solve import Steps, solve
from tests.strategies import problems


def rides_alone(problem: RoutingProblem, request: Request, vehicle: Vehicle) -> bool:
    """Try it: let the solver plan this request alone on this vehicle, and the judge look at it."""
    allowed = request.allowed_vehicles
    request = replace(request, allowed_vehicles=None if allowed is None else allowed & {vehicle.id})
    seconds, metres = problem.travel_seconds, problem.travel_metres
    try:
        lone = RoutingProblem(problem.points, (request,), (vehicle,), seconds, metres)
    except FaultyProblem as refused:
        assert [fault.facts["kind"] for fault in refused.errors] == ["load-over-every-vehicle"]
        return False
    plan = solve(lone, limit=Steps(1))
    assert check(lone, plan) == []
    return bool(plan.routes)


def lifted(request: Request, vehicle: Vehicle, codes: set[ReasonCode]) -> tuple[Request, Vehicle]:
    """The same pair without the rules that these codes stand for."""
    if ReasonCode.NOT_ALLOWED in codes:
        request = replace(request, allowed_vehicles=None)
    if ReasonCode.TRAILER in codes:
        request = replace(request, needs_trailer=False)
    if ReasonCode.CAPACITY in codes:
        request = replace(request, loads=(0,) * len(request.loads))
    if ReasonCode.SHIFT in codes:
        vehicle = replace(vehicle, shift_start_seconds=-(2**30), shift_end_seconds=2**30)
    if ReasonCode.WINDOW in codes:
        open_stops = [replace(stop, window_end_seconds=2**30) for stop in (request.pickup, request.drop)]
        request = replace(request, pickup=open_stops[0], drop=open_stops[1])
        vehicle = replace(vehicle, shift_start_seconds=-(2**30), shift_end_seconds=2**31)
    return request, vehicle


@given(problems())
@settings(deadline=None)
def test_every_reason_is_true_when_tried(problem: RoutingProblem) -> None:
    plan = explain(problem, solve(problem, limit=Steps(5)))
    for item in plan.left_out:
        assert item.sentence.endswith(".")
        request = problem.requests_by_id[item.request_id]
        if not problem.vehicles:
            assert item.reasons == (Reason(ReasonCode.NO_VEHICLE),)
        for vehicle in problem.vehicles:
            codes = {reason.code for reason in item.reasons if reason.vehicle_id == vehicle.id}
            assert codes, "every vehicle has its say"
            if codes == {ReasonCode.OUTWEIGHED}:
                assert rides_alone(problem, request, vehicle)
                continue
            # All of them lifted it fits; with any one of them left in place it does not.
            assert rides_alone(problem, *lifted(request, vehicle, codes))
            for code in codes:
                assert not rides_alone(problem, *lifted(request, vehicle, codes - {code}))


def test_any_request_is_explained_even_one_that_was_planned() -> None:
    problem = a_day()
    for request, vehicle in product(problem.requests, problem.vehicles):
        codes = {reason.code for reason in why(problem, request).reasons if reason.vehicle_id == vehicle.id}
        assert (codes == {ReasonCode.OUTWEIGHED}) == rides_alone(problem, request, vehicle)


def a_day(**request: object) -> RoutingProblem:
    """One request from a to b, 600 seconds of riding in all; a small bike in the morning, one with trailer at noon."""
    seconds = np.array([[0, 100, 200], [100, 0, 300], [200, 300, 0]])
    given = {"loads": (5,), "pickup": Stop(1, 0, 90_000, 0), "drop": Stop(2, 0, 90_000, 0)} | request
    vehicles = (
        Vehicle("small", 0, 0, 28_800, 43_200, (8,)),
        Vehicle("trailer", 0, 0, 43_200, 50_400, (80,), has_trailer=True),
    )
    return RoutingProblem(("d", "a", "b"), (Request("r", **given),), vehicles, seconds, seconds)  # type: ignore[arg-type]


def reasons_of(**request: object) -> tuple[set[tuple[str, str | None]], str]:
    problem = a_day(**request)
    left_out = why(problem, problem.requests[0])
    return {(reason.code.value, reason.vehicle_id) for reason in left_out.reasons}, left_out.sentence


def test_too_big_for_one_and_at_other_hours_than_the_other() -> None:
    codes, sentence = reasons_of(loads=(50,), pickup=Stop(1, 30_000, 31_000, 0))
    assert codes == {("capacity", "small"), ("shift", "trailer")}
    assert sentence == (
        "1 vélo trop petit pour la charge ; 1 vacation trop courte ou à d'autres heures. "
        "Prévoyez un vélo plus grand ou partagez la charge."
    )


def test_several_obstacles_of_one_vehicle_are_all_told() -> None:
    codes, sentence = reasons_of(needs_trailer=True, loads=(50,), allowed_vehicles=frozenset({"small"}))
    assert codes == {("trailer", "small"), ("capacity", "small"), ("not-allowed", "trailer")}
    assert sentence.endswith("Autorisez une autre vacation.")


def test_windows_that_leave_no_time_for_the_ride() -> None:
    codes, sentence = reasons_of(pickup=Stop(1, 30_000, 31_000, 0), drop=Stop(2, 30_000, 30_200, 0))
    assert codes == {("window", "small"), ("window", "trailer")}
    assert sentence == "Ses créneaux ne laissent pas le temps d'aller de l'enlèvement au dépôt. Élargissez un créneau."


def test_outweighed_and_nobody_there() -> None:
    assert reasons_of()[1] == (
        "Tiendrait seule dans 2 vacations, mais pas avec les autres livraisons. "
        "Ajoutez une vacation ou élargissez un créneau."
    )
    nobody = replace(a_day(), vehicles=())
    assert why(nobody, nobody.requests[0]).sentence == "Aucune vacation n'est prévue. Ouvrez une vacation ce jour-là."
