"""What dispatchers let plans weigh, and what deliveries are worth to them, reaches the plan."""

from datetime import datetime
from typing import Any

import pytest

from services.contracts.orders.v1 import events_pb2 as orders
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.instruction import Instruction
from services.dispatch.domain.planning_settings import KeptSettings, PlanningSettings, Priority
from services.dispatch.planning.solve import Steps, solve
from services.dispatch.repository import instructions, planning_settings
from services.dispatch.travel import matrix
from services.dispatch.use_cases import planning_settings as use_cases
from services.dispatch.use_cases.plans import Day
from services.kit.database import Database
from tests.dispatch.api.test_replans import two_rounds
from tests.dispatch.builders import (
    CONTRACT,
    NOW,
    PARIS,
    TODAY,
    a_delivery,
    a_leg,
    a_told_visit,
    amount_held,
    at,
    contract_registered,
    order_id,
    order_placed,
)
from tests.dispatch.conftest import House, checked, drafted, furnish, ordered

PATH = "/v1/planning-settings"
FIRST, SECOND = f"{order_id(1)}-1", f"{order_id(2)}-1"
NOTHING = {
    "courier_seconds": 0,
    "balance_weight": 0,
    "ordinary_seconds": None,
    "can_wait_seconds": 3_600,
    "tolerance_seconds": 0,
    "late_weight": 10,
}
DEAR: dict[str, Any] = {
    "courier_seconds": 1_800,
    "balance_weight": 2,
    "ordinary_seconds": 7_200,
    "can_wait_seconds": 60,
    "tolerance_seconds": 600,
    "late_weight": 5,
}


async def set_(house: House, path: str = PATH, **changes: Any) -> Any:
    """Set them under the version that stands."""
    dispatcher = house.as_dispatcher()
    etag = (await dispatcher.get(path)).headers["ETag"]
    return checked(await dispatcher.put(path, json=changes, headers={"If-Match": etag}))


async def prioritise(house: House, delivery_id: str, priority: str) -> None:
    body = {"priority": priority, "reason": "La mairie l'a dit."}
    given = checked(await house.as_dispatcher().put(f"/v1/deliveries/{delivery_id}/instruction", json=body))
    assert given["instruction"]["priority"] == priority


async def test_settings_are_those_of_every_day_until_a_day_has_its_own(house: House) -> None:
    dispatcher = house.as_dispatcher()
    first = checked(await dispatcher.get(PATH))
    assert first == NOTHING | {"date": None, "set_by": "", "set_at": None}
    told = await set_(house, **DEAR)
    assert told == DEAR | {"date": None, "set_by": "regie-erdre", "set_at": told["set_at"]}
    assert told["set_at"].startswith("2026-11-23T16:00")
    day = f"{PATH}?date={TODAY}"
    assert checked(await dispatcher.get(day)) == told
    own = await set_(house, day, courier_seconds=60)
    assert (own["date"], own["courier_seconds"]) == ("2026-11-24", 60)
    assert checked(await dispatcher.get(PATH)) == told
    assert checked(await dispatcher.delete(day)) == told
    assert checked(await dispatcher.delete(day)) == told  # twice is harmless
    assert checked(await dispatcher.get(day)) == told


async def test_settings_change_only_under_the_version_that_was_read(house: House) -> None:
    dispatcher = house.as_dispatcher()
    read = (await dispatcher.get(PATH)).headers["ETag"]
    assert (await dispatcher.get(PATH, headers={"If-None-Match": read})).status_code == 304
    assert checked(await dispatcher.put(PATH, json=DEAR), 428)["code"] == "if-match-required"
    checked(await dispatcher.put(PATH, json=DEAR, headers={"If-Match": read}))
    assert checked(await dispatcher.put(PATH, json=DEAR, headers={"If-Match": read}), 412)["code"] == "version-stale"


async def test_every_fault_of_settings_is_told_at_once_and_nothing_kept(house: House) -> None:
    dispatcher = house.as_dispatcher()
    bad = {"courier_seconds": -1, "balance_weight": 11, "ordinary_seconds": 60, "can_wait_seconds": 61}
    refused = checked(await dispatcher.put(PATH, json=bad, headers={"If-Match": "*"}), 422)
    assert [one["pointer"] for one in refused["errors"]] == ["/courier_seconds", "/balance_weight", "/can_wait_seconds"]
    assert checked(await dispatcher.get(PATH))["set_at"] is None
    assert (await house.as_courier().get(PATH)).status_code == 403


def at_nine(place: str) -> orders.Leg:
    """A leg that is collected at nine o'clock sharp."""
    leg = a_leg(pickup=place, drop="école")
    leg.pickup.CopyFrom(a_told_visit(place, at(9), at(9)))
    return leg


async def test_an_urgent_delivery_goes_before_another_where_not_both_find_room(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered())
    for number, place in ((1, "blanchisserie"), (2, "jardin")):
        await house.hear(order_placed(number, at_nine(place)), amount_held(number))
    for urgent, left_out in ((FIRST, SECOND), (SECOND, FIRST)):
        await prioritise(house, urgent, "urgent")
        (told,) = (await drafted(house))["left_out"]
        assert (told["delivery_id"], told["codes"]) == (left_out, ["outweighed"])
        checked(await house.as_dispatcher().delete(f"/v1/deliveries/{urgent}/instruction"))


async def test_a_stop_begins_late_within_the_tolerance_rather_than_being_left_out(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered())
    for number, place in ((1, "blanchisserie"), (2, "jardin")):
        await house.hear(order_placed(number, at_nine(place)), amount_held(number))
    (told,) = (await drafted(house))["left_out"]
    (remedy,) = [one for one in told["remedies"] if one["code"] == "window"]
    needed = remedy["amount"]
    # The window until then, or as long a tolerance: both let it be ridden, a second less does not.
    await set_(house, tolerance_seconds=needed - 1)
    (told,) = (await drafted(house))["left_out"]
    await set_(house, tolerance_seconds=needed)
    plan = await drafted(house)
    assert plan["left_out"] == []
    pickups = [stop for round_ in plan["rounds"] for stop in round_["stops"] if stop["kind"] == "pickup"]
    late = [(datetime.fromisoformat(stop["starts_at"]) - at(9)).total_seconds() for stop in pickups]
    assert sorted(late) == [0, needed]
    # A hand may do what a plan may, and no more.
    (second,) = [stop for stop, seconds in zip(pickups, late, strict=True) if seconds]
    dispatcher = house.as_dispatcher()
    out = {"delivery_id": second["delivery_id"]}
    back = out | {"shift_id": plan["rounds"][0]["shift_id"], "pickup_position": 2, "drop_position": 4}
    checked(await dispatcher.post(f"/v1/plans/{plan['id']}/moves", json=out))
    checked(await dispatcher.post(f"/v1/plans/{plan['id']}/moves", json=back))
    checked(await dispatcher.post(f"/v1/plans/{plan['id']}/moves", json=out))
    await set_(house, tolerance_seconds=needed - 60)
    refused = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/moves", json=back), 409)
    assert "en retard de 1 min" in refused["detail"]


async def test_a_delivery_that_can_wait_is_left_out_where_the_detour_is_worth_more(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    await prioritise(house, FIRST, "can-wait")
    assert (await drafted(house))["left_out"] == []
    await set_(house, can_wait_seconds=60)
    (told,) = (await drafted(house))["left_out"]
    assert told["codes"] == ["price"]
    (remedy,) = [one for one in told["remedies"] if one["code"] == "price"]
    assert remedy["what"] == "ordinary"
    minutes = -(-remedy["amount"] // 60)
    assert remedy["words"] == f"priorité « ordinaire » : avec Amel elle coûterait {minutes} minutes de trajet"
    # What is told is true: at that price it is served, a second below it is not.
    await set_(house, can_wait_seconds=remedy["amount"])
    assert (await drafted(house))["left_out"] == []
    await set_(house, can_wait_seconds=remedy["amount"] - 1)
    assert len((await drafted(house))["left_out"]) == 1


async def test_a_courier_is_called_out_only_for_what_is_worth_it(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    await set_(house, courier_seconds=7_200, ordinary_seconds=3_600)
    (told,) = (await drafted(house))["left_out"]
    assert told["codes"] == ["price"]
    assert [one["what"] for one in told["remedies"] if one["code"] == "price"] == ["urgent"]
    await set_(house, f"{PATH}?date={TODAY}", ordinary_seconds=3_600)
    assert (await drafted(house))["left_out"] == []


async def test_whoever_has_a_published_round_is_called_out_already(house: House) -> None:
    await two_rounds(house)
    await set_(house, courier_seconds=14_400)
    asked = {"date": TODAY.isoformat()}
    replan = checked(await house.as_dispatcher().post("/v1/replans", json=asked), 201)
    assert [change for change in replan["changes"] if change["kind"] == "moved"] == []


async def test_an_urgent_delivery_that_comes_late_goes_before_an_ordinary_one(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered(), order_placed(1, at_nine("jardin")), amount_held(1))
    plan = await drafted(house)
    checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))
    await house.hear(order_placed(2, at_nine("blanchisserie")), amount_held(2))
    asked = {"date": TODAY.isoformat()}
    replan = checked(await house.as_dispatcher().post("/v1/replans", json=asked), 201)
    assert {change["delivery_id"]: change["kind"] for change in replan["changes"]} == {SECOND: "left-out"}
    await prioritise(house, SECOND, "urgent")
    replan = checked(await house.as_dispatcher().post("/v1/replans", json=asked), 201)
    kinds = {change["delivery_id"]: change["kind"] for change in replan["changes"]}
    assert kinds == {FIRST: "dropped", SECOND: "added"}


@pytest.mark.parametrize("priority", Priority)
def test_a_day_weighs_what_its_settings_say(priority: Priority) -> None:
    delivery = a_delivery()
    given = Instruction(delivery.id, (), (), (), "Parce que.", "Régie", NOW, priority)
    settings = PlanningSettings(600, 3, 5_000, 4_000, 600, 7)
    day = Day(TODAY, PARIS, {delivery.id: delivery}, {CONTRACT: frozenset({"erdre"})}, {}, {delivery.id: given}, {})
    for one in (day, Day(TODAY, PARIS, day.deliveries, day.holders, {}, day.instructions, {}, settings)):
        travel = matrix(one.places)
        problem = one.problem(travel.seconds, travel.metres)
        (request,) = problem.requests
        worth = one.settings.left_out_seconds(priority)
        weight = 10 if priority is Priority.URGENT else 1
        assert (request.left_out_price, request.left_out_weight) == (worth, weight)
        assert problem.left_out_price(request) == (weight * problem.worst_cost if worth is None else worth)
        assert problem.prices.balance_per_second == one.settings.balance_weight
        soft = {(stop.last_seconds - stop.window_end_seconds, stop.late_price) for _, _, stop in request.stops}
        assert soft == ({(600, 7)} if one is not day else {(0, 0)})
        assert len(solve(problem, Steps(1)).left_out) == 1


def test_settings_and_priorities_are_kept_on_either_database(either_database: Database) -> None:
    settings = PlanningSettings(600, 3, None, 60)
    id_ = DeliveryId(order_id(1), 1)
    with either_database.transaction() as tx:
        assert planning_settings.in_force(tx, TODAY) == KeptSettings(PlanningSettings())
        planning_settings.lock(tx)
        use_cases.set_for(tx, TODAY, settings, set_by="Régie", at=NOW)
        use_cases.set_for(tx, None, PlanningSettings(), set_by="Régie", at=NOW)
        use_cases.set_for(tx, None, settings, set_by="Régie", at=NOW)
        instructions.put(tx, Instruction(id_, (), (), (), "Parce que.", "Régie", NOW, Priority.URGENT))
    with either_database.view() as view:
        assert planning_settings.in_force(view, TODAY) == KeptSettings(settings, TODAY, "Régie", NOW, 1)
        assert planning_settings.in_force(view, None) == KeptSettings(settings, None, "Régie", NOW, 2)
        assert instructions.of_deliveries(view, [id_])[id_].priority is Priority.URGENT
