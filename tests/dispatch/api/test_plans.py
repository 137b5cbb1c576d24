import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Executable

from services.contracts.dispatch.v1.events_pb2 import DeliveryLeftOut, DeliveryPlanned, DeliveryWithdrawn
from services.contracts.orders.v1 import events_pb2 as orders
from services.dispatch.domain.delivery import DeliveryState
from services.dispatch.domain.reach import Reach
from services.dispatch.queries.rounds import list_plans
from services.dispatch.use_cases.plans import request_plan
from services.kit import clock
from services.kit.database import View
from tests.dispatch.builders import (
    CONTRACT,
    NOW,
    TODAY,
    a_leg,
    a_told_visit,
    amount_held,
    at,
    contract_registered,
    order_amended,
    order_cancelled,
    order_id,
    order_placed,
)
from tests.dispatch.conftest import House, a_shift, checked, drafted, furnish, hire, ordered, published


async def a_hard_day(house: House) -> None:
    """Two cooperatives with two couriers each; some orders that fit, one without a trailer, one at night."""
    await furnish(house, "erdre", "amel", "bastien")
    await furnish(house, "loire", "elise", "farid")
    await house.hear(contract_registered())
    for number in range(1, 9):
        await house.hear(order_placed(number, a_leg(count=9)), amount_held(number))
    await house.hear(order_placed(20, a_leg(needs_trailer=True)), amount_held(20))
    await house.hear(order_placed(21, a_leg(window=(3, 4))), amount_held(21))


def state_counts(items: list[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        counts[item["state"]] = counts.get(item["state"], 0) + 1
    return counts


async def test_a_plan_is_asked_for_and_watched(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    dispatcher = house.as_dispatcher()
    answer = await dispatcher.post("/v1/plans", json={"date": "2026-11-24", "seconds": 0.3})
    asked = checked(answer, 202)
    assert (asked["state"], asked["progress"], asked["deliveries"]) == ("requested", 0, 0)
    assert answer.headers["Location"] == f"/v1/plans/{asked['id']}"
    plan = await drafted(house)
    assert (plan["state"], plan["progress"], plan["failure"]) == ("draft", 100, None)


async def test_how_a_plan_grew_is_told_to_the_last_mark(house: House) -> None:
    await furnish(house)
    await ordered(house, 3)
    plan = await drafted(house)
    assert [mark["seconds"] for mark in plan["trace"]] == sorted(mark["seconds"] for mark in plan["trace"])
    last = plan["trace"][-1]
    assert (last["rounds"], last["deliveries"], last["metres"]) == (1, 3, plan["travel_metres"])
    assert plan["is_stop_asked"] is False


async def test_a_computation_is_stopped_with_the_best_plan_so_far(house: House) -> None:
    await furnish(house, "erdre", "amel", "bastien")
    await ordered(house, 12)
    dispatcher = house.as_dispatcher()
    plan = checked(await dispatcher.post("/v1/plans", json={"date": TODAY.isoformat(), "seconds": 600}), 202)
    address = f"/v1/plans/{plan['id']}"
    end = asyncio.get_running_loop().time() + 60
    is_asked = False
    while plan["state"] != "draft":
        assert asyncio.get_running_loop().time() < end, plan
        await asyncio.sleep(0.05)
        plan = checked(await dispatcher.get(address))
        if plan["state"] == "solving" and plan["trace"] and not is_asked:
            is_asked = checked(await dispatcher.post(f"{address}/stop"), 202)["is_stop_asked"]
    assert plan["planned"] == 12
    assert checked(await dispatcher.post(f"{address}/stop"), 409)["code"] == "plan-not-solving"
    assert (await house.as_dispatcher("sevre").post(f"{address}/stop")).status_code == 404
    checked(await dispatcher.post(f"{address}/publication"))


async def test_what_the_administration_asked_for_is_out_of_reach_without_a_cooperative(house: House) -> None:
    await furnish(house)
    admin = house.as_administrator()
    asked = checked(await admin.post("/v1/plans", json={"date": "2026-11-24", "seconds": 0.3}), 202)
    address = f"/v1/plans/{asked['id']}"
    machine = house.as_machine(["dispatch:read", "dispatch:write"])
    assert checked(await machine.get(address), 404)["code"] == "plan-not-found"
    assert checked(await machine.post(f"{address}/stop"), 404)["code"] == "plan-not-found"
    assert checked(await machine.get("/v1/plans?date=2026-11-24"))["items"] == []
    assert checked(await admin.get(address))["id"] == asked["id"]


async def test_planned_and_left_out_are_all_deliveries_whoever_looks(house: House) -> None:
    await a_hard_day(house)
    plan = await drafted(house, by=house.as_administrator())
    address = f"/v1/plans/{plan['id']}"
    assert plan["deliveries"] == 10
    for caller in (house.as_administrator(), house.as_dispatcher("erdre"), house.as_dispatcher("loire")):
        seen = checked(await caller.get(address))
        assert seen["planned"] + len(seen["left_out"]) == seen["deliveries"] == 10
        own = sum(round_["deliveries"] for round_ in seen["rounds"])
        assert own + sum(other["deliveries"] for other in seen["others"]) == seen["planned"]


async def test_what_is_left_out_says_why_in_french(house: House) -> None:
    await a_hard_day(house)
    plan = await drafted(house)
    left_out = {item["order_id"]: item for item in plan["left_out"]}
    assert "skill" in left_out[order_id(20)]["codes"]
    assert "remorque" in left_out[order_id(20)]["sentence"]
    assert "shift" in left_out[order_id(21)]["codes"]
    own = {shift["id"] for shift in checked(await house.as_dispatcher().get("/v1/shifts"))["items"]}
    assert {reason["shift_id"] for reason in left_out[order_id(20)]["shifts"]} == own


async def test_a_cooperative_sees_anothers_rounds_as_counts_only(house: House) -> None:
    await a_hard_day(house)
    plan = await drafted(house, by=house.as_administrator())
    seen = checked(await house.as_dispatcher("loire").get(f"/v1/plans/{plan['id']}"))
    couriers = {round_["courier"]["name"] for round_ in seen["rounds"]}
    assert couriers <= {"Elise", "Farid"}
    text = str(seen)
    assert not any(name in text for name in ("Amel", "Bastien"))
    assert seen["requested_by"] == ""
    everything = {round_["cooperative_id"] for round_ in plan["rounds"]}
    assert {other["cooperative_id"] for other in seen["others"]} == everything - {"loire"}


async def test_a_stranger_does_not_see_the_plan(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    plan = await drafted(house)
    stranger = house.as_dispatcher("sevre")
    assert (await stranger.get(f"/v1/plans/{plan['id']}")).status_code == 404
    assert (await stranger.post(f"/v1/plans/{plan['id']}/publication")).status_code == 404
    assert checked(await stranger.get("/v1/plans"))["items"] == []


async def test_couriers_see_nothing_before_the_publication(house: House) -> None:
    await furnish(house)
    await ordered(house)
    plan = await drafted(house)
    amel = house.as_courier()
    assert checked(await amel.get("/v1/me/assignments?date=2026-11-24"))["rounds"] == []
    assert await house.told() == []
    await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication")
    (round_,) = checked(await amel.get("/v1/me/assignments?date=2026-11-24"))["rounds"]
    assert [stop["kind"] for stop in round_["stops"]].count("pickup") == 2


async def test_publication_says_what_is_planned_and_what_is_left_out(house: House) -> None:
    await furnish(house)
    await ordered(house, 2)
    await house.hear(order_placed(3, a_leg(needs_trailer=True)), amount_held(3))
    plan = await drafted(house)
    shown = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))
    assert shown["state"] == "published"
    told = await house.told()
    planned = {event.order_id: event for event in told if isinstance(event, DeliveryPlanned)}
    assert set(planned) == {order_id(1), order_id(2)}
    assert {event.round_id for event in planned.values()} == {shown["rounds"][0]["id"]}
    (left_out,) = [event for event in told if isinstance(event, DeliveryLeftOut)]
    assert (left_out.order_id, list(left_out.reason_codes)) == (order_id(3), ["skill"])
    assert "remorque" in left_out.reason
    deliveries = checked(await house.as_dispatcher().get("/v1/deliveries"))["items"]
    assert state_counts(deliveries) == {"planned": 2, "plannable": 1}


async def test_publishing_twice_says_nothing_twice(house: House) -> None:
    plan = await published(house)
    told = await house.told()
    again = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))
    assert again["state"] == "published"
    assert await house.told() == told


async def test_a_cooperative_without_rounds_in_the_plan_may_publish_too(house: House) -> None:
    await furnish(house)
    await furnish(house, "loire", "elise", starts_at=at(3).isoformat(), ends_at=at(4).isoformat())
    await ordered(house, 1)
    plan = await drafted(house)
    shown = checked(await house.as_dispatcher("loire").post(f"/v1/plans/{plan['id']}/publication"))
    assert (shown["state"], shown["rounds"]) == ("draft", [])
    assert checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))["state"] == "published"


async def test_each_cooperative_publishes_its_own(house: House) -> None:
    await a_hard_day(house)
    plan = await drafted(house, by=house.as_administrator())
    for cooperative in ("erdre", "loire"):
        dispatcher = house.as_dispatcher(cooperative)
        mine = len(checked(await dispatcher.get(f"/v1/plans/{plan['id']}"))["rounds"])
        await dispatcher.post(f"/v1/plans/{plan['id']}/publication")
        assert len(checked(await dispatcher.get("/v1/rounds"))["items"]) == mine
    rounds = checked(await house.as_administrator().get("/v1/rounds"))["items"]
    assert {round_["state"] for round_ in rounds} == {"published"}
    left_out = [event for event in await house.told() if isinstance(event, DeliveryLeftOut)]
    assert len(left_out) == len(plan["left_out"])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("cancelled", "delivery-cancelled"),
        ("amended", "delivery-amended"),
        ("shift changed", "shift-changed"),
        ("bike changed", "shift-changed"),
        ("courier left", "shift-changed"),
        ("planned elsewhere", "shift-changed"),
    ],
)
async def test_a_stale_draft_is_not_published_and_says_what_changed(house: House, change: str, kind: str) -> None:
    shift = (await furnish(house))["amel"]
    await ordered(house, 2)
    plan = await drafted(house)
    dispatcher = house.as_dispatcher()
    if change == "cancelled":
        await house.hear(order_cancelled(1))
    elif change == "amended":
        await house.hear(order_amended(1, a_leg(window=(9, 12))))
    elif change == "planned elsewhere":
        other = await drafted(house)
        checked(await dispatcher.post(f"/v1/plans/{other['id']}/publication"))
    else:
        await alter(dispatcher, change, shift)
    refused = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"), 409)
    assert refused["code"] == "plan-stale"
    assert kind in {one["kind"] for one in refused["changes"]}
    assert refused["detail"].startswith("Depuis ce calcul")


async def alter(dispatcher: httpx.AsyncClient, change: str, shift: dict[str, Any]) -> None:
    if change == "shift changed":
        path, body = f"/v1/shifts/{shift['id']}", a_shift(shift["courier_id"], shift["bike_id"])
        body |= {"ends_at": at(14).isoformat()}
    elif change == "bike changed":
        path = f"/v1/bikes/{shift['bike_id']}"
        body = {"name": "Cargo", "capacity_grams": 100_000, "capacity_millilitres": 900_000}
    else:
        path, body = f"/v1/couriers/{shift['courier_id']}", {"name": "Amel", "account": "amel", "is_active": False}
    version = {"If-Match": (await dispatcher.get(path)).headers["ETag"]}
    checked(await dispatcher.put(path, json=body, headers=version))


async def test_a_plan_that_is_not_ready_is_not_published(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    dispatcher = house.as_dispatcher()
    plan = checked(await dispatcher.post("/v1/plans", json={"date": "2026-11-24", "seconds": 2}), 202)
    refused = await dispatcher.post(f"/v1/plans/{plan['id']}/publication")
    assert checked(refused, 409)["code"] == "plan-not-ready"


async def test_a_second_plan_leaves_published_rounds_and_their_couriers_alone(house: House) -> None:
    first = await published(house, 1)
    await hire(house, "erdre", "bastien")
    await house.hear(order_placed(2), amount_held(2))
    second = await drafted(house)
    assert second["deliveries"] == 1
    assert [round_["courier"]["name"] for round_ in second["rounds"]] == ["Bastien"]
    checked(await house.as_dispatcher().post(f"/v1/plans/{second['id']}/publication"))
    rounds = checked(await house.as_dispatcher().get("/v1/rounds?date=2026-11-24"))["items"]
    assert len(rounds) == 2
    assert first["rounds"][0]["id"] in {round_["id"] for round_ in rounds}


async def test_a_withdrawn_round_is_told_and_its_deliveries_planned_again(house: House) -> None:
    plan = await published(house)
    round_id = plan["rounds"][0]["id"]
    dispatcher = house.as_dispatcher()
    body = {"reason": "Coursière souffrante."}
    for _ in range(2):  # twice is harmless
        withdrawn = checked(await dispatcher.post(f"/v1/rounds/{round_id}/withdrawal", json=body))
        assert (withdrawn["state"], withdrawn["withdrawal_reason"]) == ("withdrawn", body["reason"])
    told = [event for event in await house.told() if isinstance(event, DeliveryWithdrawn)]
    assert [(event.round_id, event.reason) for event in told] == [(round_id, body["reason"])] * 2
    (shown,) = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"]
    assert (shown["state"], shown["withdrawal_reason"]) == ("withdrawn", body["reason"])
    again = await drafted(house)
    assert again["deliveries"] == 2
    checked(await dispatcher.post(f"/v1/plans/{again['id']}/publication"))
    rounds = checked(await house.as_courier().get("/v1/me/assignments?date=2026-11-24"))["rounds"]
    assert sorted(round_["state"] for round_ in rounds) == ["published", "withdrawn"]


async def test_a_started_round_is_not_withdrawn(house: House) -> None:
    plan = await published(house)
    round_ = plan["rounds"][0]
    report = {
        "event_id": "11111111-1111-4111-8111-111111111111",
        "stop_id": round_["stops"][0]["id"],
        "kind": "start",
        "occurred_at": "2026-11-23T17:00:30+01:00",
    }
    checked(await house.as_courier().post("/v1/me/reports", json={"reports": [report]}))
    refused = await house.as_dispatcher().post(f"/v1/rounds/{round_['id']}/withdrawal", json={"reason": "x"})
    assert checked(refused, 409)["code"] == "round-started"


async def test_only_its_cooperative_withdraws_a_round(house: House) -> None:
    plan = await published(house)
    address = f"/v1/rounds/{plan['rounds'][0]['id']}"
    loire = house.as_dispatcher("loire")
    assert (await loire.get(address)).status_code == 404
    assert (await loire.post(f"{address}/withdrawal", json={"reason": "x"})).status_code == 404


async def test_a_cancellation_reaches_a_published_round(house: House) -> None:
    plan = await published(house)
    amel = house.as_courier()
    before = await amel.get("/v1/me/assignments?date=2026-11-24")
    await house.hear(order_cancelled(1))
    after = await amel.get("/v1/me/assignments?date=2026-11-24", headers={"If-None-Match": before.headers["ETag"]})
    stops = checked(after)["rounds"][0]["stops"]
    assert {stop["state"] for stop in stops if stop["order_id"] == order_id(1)} == {"cancelled"}
    assert {stop["state"] for stop in stops if stop["order_id"] == order_id(2)} == {"to_do"}
    round_ = checked(await house.as_dispatcher().get(f"/v1/rounds/{plan['rounds'][0]['id']}"))
    assert round_["state"] == "published"
    await house.hear(order_cancelled(2))
    round_ = checked(await house.as_dispatcher().get(f"/v1/rounds/{plan['rounds'][0]['id']}"))
    assert round_["state"] == "closed"


async def test_new_windows_show_in_a_published_round(house: House) -> None:
    plan = await published(house)
    await house.hear(order_amended(1, a_leg(window=(9, 10))))
    round_ = checked(await house.as_dispatcher().get(f"/v1/rounds/{plan['rounds'][0]['id']}"))
    amended = [stop for stop in round_["stops"] if stop["order_id"] == order_id(1)]
    assert {(tuple(stop["flags"]), stop["site"]["window"]["start"]) for stop in amended} == {
        (("amended",), "2026-11-24T08:00:00Z")
    }


async def test_a_day_without_shifts_leaves_everything_out(house: House) -> None:
    await furnish(house, "erdre", "amel", starts_at="2026-11-25T06:00:00Z", ends_at="2026-11-25T10:00:00Z")
    await ordered(house, 2)
    plan = await drafted(house)
    assert [item["codes"] for item in plan["left_out"]] == [["no-vehicle"], ["no-vehicle"]]


async def test_a_day_without_deliveries_is_an_empty_plan(house: House) -> None:
    await furnish(house)
    plan = await drafted(house)
    assert (plan["state"], plan["deliveries"], plan["rounds"]) == ("draft", 0, [])


async def test_only_holders_of_the_contract_ride(house: House) -> None:
    await furnish(house, "erdre", "amel")
    await furnish(house, "loire", "elise")
    await house.hear(contract_registered("loire"), order_placed(1), amount_held(1))
    plan = await drafted(house, by=house.as_administrator())
    assert [round_["cooperative_id"] for round_ in plan["rounds"]] == ["loire"]


async def test_seconds_have_limits(house: House) -> None:
    for seconds in (0, 601, -1):
        answer = await house.as_dispatcher().post("/v1/plans", json={"date": "2026-11-24", "seconds": seconds})
        assert answer.status_code == 422


async def test_plans_are_listed_newest_first(house: House) -> None:
    await furnish(house)
    plans = [await drafted(house) for _ in range(3)]
    dispatcher = house.as_dispatcher()
    page = checked(await dispatcher.get("/v1/plans?date=2026-11-24&limit=2"))
    assert [plan["id"] for plan in page["items"]] == [plans[2]["id"], plans[1]["id"]]
    rest = checked(await dispatcher.get("/v1/plans", params={"cursor": page["next"]}))
    assert [plan["id"] for plan in rest["items"]] == [plans[0]["id"]]


class CountingView(View):
    """A view that keeps how many rows each statement gave."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.counts: list[int] = []

    def execute(self, statement: Executable, parameters: Any = None) -> Any:
        self.counts.append(len(self._view.execute(statement, parameters).all()))
        return self._view.execute(statement, parameters)


async def test_no_more_plans_are_read_at_a_time_than_are_shown(house: House) -> None:
    with house.database.transaction() as tx:
        ids = [
            request_plan(tx, Reach(cooperative), TODAY, seconds=1, requested_by="Régie", at=NOW).id
            for cooperative in ("loire", "erdre", "erdre", "loire", "erdre")
        ]
    with house.database.view() as view:
        counting = CountingView(view)
        found = list_plans(counting, Reach("loire"), TODAY, before=None, limit=2)
        assert [plan.id for plan in found] == [ids[3], ids[0]]
        assert counting.counts == [2, 2, 1]
        assert [plan.id for plan in list_plans(view, Reach("loire"), TODAY, before=ids[3], limit=2)] == [ids[0]]
        assert list_plans(view, Reach("sevre"), TODAY, before=None, limit=2) == []


# The day itself ------------------------------------------------------------------------------------------------------


async def an_afternoon(house: House, *legs: orders.Leg) -> dict[str, Any]:
    """It is two o'clock: Amel's shift was this morning, Bastien's lasts until six; each leg is an order."""
    shifts = await furnish(house)
    whole_day = {"starts_at": at(8).isoformat(), "ends_at": at(18).isoformat()}
    shifts["bastien"] = await hire(house, "erdre", "bastien", **whole_day)
    await house.hear(contract_registered())
    for number, leg in enumerate(legs, start=1):
        await house.hear(order_placed(number, leg), amount_held(number))
    clock.set_now(at(14))
    return shifts


def first_stop(plan: dict[str, Any]) -> datetime:
    return min(datetime.fromisoformat(stop["starts_at"]) for round_ in plan["rounds"] for stop in round_["stops"])


async def test_a_plan_of_the_day_itself_plans_what_is_left_of_it(house: House) -> None:
    await an_afternoon(house, a_leg(window=(9, 11)), a_leg(window=(9, 17)), a_leg(window=(15, 17)))
    plan = await drafted(house)
    (round_,) = plan["rounds"]
    assert (round_["courier"]["name"], plan["planned"], plan["deliveries"]) == ("Bastien", 2, 3)
    assert first_stop(plan) > at(14, 10)
    assert datetime.fromisoformat(round_["starts_at"]) > at(14, 10)
    (left_out,) = plan["left_out"]
    assert (left_out["order_id"], left_out["codes"], left_out["remedies"]) == (order_id(1), ["window"], [])
    assert left_out["sentence"].startswith("Trop tard pour son créneau")
    checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))


async def test_a_plan_for_which_it_is_too_late_altogether_leaves_everything_out(house: House) -> None:
    await an_afternoon(house, a_leg(window=(9, 11)))
    shares = {"shares": [{"cooperative_id": "erdre", "at_least_permille": 500}]}
    checked(await house.as_administrator().put(f"/v1/shares/{CONTRACT}", json=shares))
    plan = await drafted(house)
    assert (plan["state"], plan["rounds"]) == ("draft", [])
    assert [item["codes"] for item in plan["left_out"]] == [["window"]]


async def test_nobody_is_advised_to_have_begun_earlier(house: House) -> None:
    leg = a_leg(window=(9, 15))
    leg.drop.CopyFrom(a_told_visit("école", at(9), at(17)))
    await an_afternoon(house, leg)
    clock.set_now(at(14, 48))
    (left_out,) = (await drafted(house))["left_out"]
    assert left_out["codes"] == ["shift"]
    codes = [remedy["code"] for remedy in left_out["remedies"]]
    assert ("shift" in codes, "window" in codes) == (False, True)
    assert "plus tôt" not in left_out["sentence"]


async def test_a_break_is_still_taken_unless_its_time_has_passed(house: House) -> None:
    breaks = [
        {"window_start": at(12).isoformat(), "window_end": at(13).isoformat(), "length_seconds": 1800},
        {"window_start": at(15).isoformat(), "window_end": at(16).isoformat(), "length_seconds": 900},
    ]
    hours = {"starts_at": at(8).isoformat(), "ends_at": at(18).isoformat()}
    await furnish(house, "erdre", "amel", breaks=breaks, **hours)
    await ordered(house, 1, legs=[a_leg(window=(9, 17))])
    clock.set_now(at(14))
    (round_,) = (await drafted(house))["rounds"]
    assert [datetime.fromisoformat(rest["starts_at"]) >= at(15) for rest in round_["breaks"]] == [True]


async def test_a_draft_of_the_eve_is_published_until_its_first_stop_and_not_later(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    plan = await drafted(house)
    path = f"/v1/plans/{plan['id']}/publication"
    clock.set_now(first_stop(plan) + timedelta(minutes=20))
    refused = checked(await house.as_dispatcher().post(path), 409)
    assert (refused["code"], refused["changes"][0]["kind"]) == ("plan-stale", "time-passed")
    assert refused["detail"].endswith("est passé depuis 20 min. Demandez un nouveau plan.")
    clock.set_now(first_stop(plan) - timedelta(minutes=1))
    checked(await house.as_dispatcher().post(path))


async def test_nothing_is_moved_by_hand_into_the_past(house: House) -> None:
    shifts = await an_afternoon(house, a_leg(window=(9, 17)), a_leg(window=(9, 17)))
    plan = await drafted(house)
    chloe = await hire(house, "erdre", "chloe", starts_at=at(8).isoformat(), ends_at=at(18).isoformat())
    address = f"/v1/plans/{plan['id']}/moves"
    moved = {"delivery_id": f"{order_id(1)}-1", "shift_id": chloe["id"]}
    after = checked(await house.as_dispatcher().post(address, json=moved))
    assert len(after["rounds"]) == 2
    assert first_stop(after) > at(14, 10)
    over = moved | {"shift_id": shifts["amel"]["id"]}
    refused = checked(await house.as_dispatcher().post(address, json=over), 409)
    assert "après sa vacation" in refused["detail"]


# By hand -------------------------------------------------------------------------------------------------------------


async def two_couriers(house: House, **second: Any) -> tuple[Any, dict[str, Any]]:
    """A draft in which Amel has everything, and Bastien's shift is free."""
    shifts = await furnish(house)
    await ordered(house, 3)
    plan = await drafted(house)
    shifts["bastien"] = await hire(house, "erdre", "bastien", **second)
    return plan, shifts


def calls(round_: dict[str, Any]) -> list[tuple[str, str]]:
    return [(stop["delivery_id"], stop["kind"]) for stop in round_["stops"]]


async def test_a_delivery_goes_to_another_courier(house: House) -> None:
    plan, shifts = await two_couriers(house)
    moved = f"{order_id(1)}-1"
    body = {"delivery_id": moved, "shift_id": shifts["bastien"]["id"]}
    after = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=body))
    rounds = {round_["courier"]["name"]: round_ for round_ in after["rounds"]}
    assert calls(rounds["Bastien"]) == [(moved, "pickup"), (moved, "drop")]
    assert moved not in dict(calls(rounds["Amel"]))
    before = {(stop["delivery_id"], stop["kind"]): stop["id"] for stop in plan["rounds"][0]["stops"]}
    kept = {(stop["delivery_id"], stop["kind"]): stop["id"] for stop in rounds["Amel"]["stops"]}
    assert kept.items() <= before.items()
    assert rounds["Amel"]["id"] == plan["rounds"][0]["id"]
    assert after["planned"] + len(after["left_out"]) == after["deliveries"] == 3
    checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))


async def test_a_delivery_goes_elsewhere_in_its_round(house: House) -> None:
    plan, shifts = await two_couriers(house)
    moved = f"{order_id(2)}-1"
    body = {
        "delivery_id": moved,
        "shift_id": plan["rounds"][0]["shift_id"],
        "pickup_position": 1,
        "drop_position": 6,
    }
    after = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=body))
    order = calls(after["rounds"][0])
    assert (order[0], order[5]) == ((moved, "pickup"), (moved, "drop"))
    assert shifts


async def test_a_delivery_is_taken_out_and_put_back(house: House) -> None:
    plan, shifts = await two_couriers(house)
    dispatcher = house.as_dispatcher()
    address = f"/v1/plans/{plan['id']}/moves"
    moved = f"{order_id(3)}-1"
    out = checked(await dispatcher.post(address, json={"delivery_id": moved}))
    assert [(item["delivery_id"], item["codes"]) for item in out["left_out"]] == [(moved, ["taken-out"])]
    back = checked(await dispatcher.post(address, json={"delivery_id": moved, "shift_id": shifts["amel"]["id"]}))
    assert (back["left_out"], back["planned"]) == ([], 3)


async def test_the_last_delivery_taken_out_leaves_no_round(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    plan = await drafted(house)
    out = await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json={"delivery_id": f"{order_id(1)}-1"})
    assert checked(out)["rounds"] == []


@pytest.mark.parametrize(
    ("second", "more", "kind", "words"),
    [
        ({"starts_at": at(12).isoformat(), "ends_at": at(16).isoformat()}, {}, "after-window", "en retard de"),
        ({"starts_at": at(7).isoformat(), "ends_at": at(8, 5).isoformat()}, {}, "after-shift", "après sa vacation"),
        ({}, {"pickup_position": 2, "drop_position": 1}, "drop-before-pickup", "avant d'être enlevée"),
    ],
)
async def test_the_judge_refuses_what_cannot_be_ridden_and_says_why(
    house: House, second: dict[str, Any], more: dict[str, int], kind: str, words: str
) -> None:
    plan, shifts = await two_couriers(house, **second)
    body = {"delivery_id": f"{order_id(1)}-1", "shift_id": shifts["bastien"]["id"], **more}
    refused = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=body), 409)
    assert refused["code"] == "move-refused"
    assert kind in {violation["kind"] for violation in refused["violations"]}
    assert words in refused["detail"]
    assert checked(await house.as_dispatcher().get(f"/v1/plans/{plan['id']}")) == plan


async def test_a_bike_is_not_overloaded_by_hand(house: House) -> None:
    shifts = await furnish(house)
    await ordered(house, 3)
    plan = await drafted(house)
    dispatcher = house.as_dispatcher()
    small = checked(
        await dispatcher.post(
            "/v1/bikes", json={"name": "S", "capacity_grams": 30_000, "capacity_millilitres": 900_000}
        ),
        201,
    )
    courier = checked(await dispatcher.post("/v1/couriers", json={"name": "Émile"}), 201)
    shift = checked(await dispatcher.post("/v1/shifts", json=a_shift(courier["id"], small["id"])), 201)
    address = f"/v1/plans/{plan['id']}/moves"
    checked(await dispatcher.post(address, json={"delivery_id": f"{order_id(1)}-1", "shift_id": shift["id"]}))
    both = {"delivery_id": f"{order_id(2)}-1", "shift_id": shift["id"], "pickup_position": 2, "drop_position": 3}
    refused = checked(await dispatcher.post(address, json=both), 409)
    assert {violation["kind"] for violation in refused["violations"]} == {"over-capacity"}
    assert "le vélo d’Émile serait trop chargé" in refused["detail"]
    assert shifts


async def test_nobody_moves_what_is_anothers_or_unknown(house: House) -> None:
    plan, shifts = await two_couriers(house)
    elise = (await furnish(house, "loire", "elise"))["elise"]
    address = f"/v1/plans/{plan['id']}/moves"
    moved = f"{order_id(1)}-1"
    loire, erdre = house.as_dispatcher("loire"), house.as_dispatcher()
    assert (await loire.post(address, json={"delivery_id": moved, "shift_id": elise["id"]})).status_code == 404
    assert (await erdre.post(address, json={"delivery_id": moved, "shift_id": elise["id"]})).status_code == 404
    for unknown in ("nonsense", f"{order_id(99)}-1"):
        body = {"delivery_id": unknown, "shift_id": shifts["amel"]["id"]}
        assert (await erdre.post(address, json=body)).status_code == 404


async def test_a_shift_that_was_published_meanwhile_is_said_to_be_taken(house: House) -> None:
    plan, _ = await two_couriers(house)
    other = await drafted(house)
    dispatcher = house.as_dispatcher()
    checked(await dispatcher.post(f"/v1/plans/{other['id']}/publication"))
    body = {"delivery_id": f"{order_id(1)}-1", "shift_id": other["rounds"][0]["shift_id"]}
    refused = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/moves", json=body), 409)
    assert (refused["code"], refused["round_id"]) == ("shift-in-use", other["rounds"][0]["id"])
    assert "Une tournée publiée occupe cette vacation" in refused["detail"]


async def test_a_published_round_is_not_changed_by_hand(house: House) -> None:
    plan = await published(house)
    body = {"delivery_id": f"{order_id(1)}-1", "shift_id": plan["rounds"][0]["shift_id"]}
    assert (await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=body)).status_code == 404


async def test_a_move_of_what_has_changed_meanwhile_is_refused(house: House) -> None:
    plan, shifts = await two_couriers(house)
    await house.hear(order_cancelled(1))
    body = {"delivery_id": f"{order_id(1)}-1", "shift_id": shifts["bastien"]["id"]}
    refused = await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=body)
    assert checked(refused, 409)["code"] == "plan-stale"


async def test_two_publications_at_once_publish_once(house: House) -> None:
    await furnish(house)
    await ordered(house)
    plan = await drafted(house)
    other = await drafted(house)
    answers = await asyncio.gather(
        *(
            house.as_dispatcher().post(f"/v1/plans/{one}/publication")
            for one in (plan["id"], other["id"], plan["id"], other["id"])
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    planned = [event for event in await house.told() if isinstance(event, DeliveryPlanned)]
    assert len(planned) == 2
    states = state_counts(checked(await house.as_dispatcher().get("/v1/deliveries"))["items"])
    assert states == {DeliveryState.PLANNED.value: 2}
