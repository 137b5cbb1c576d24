import random
from collections.abc import Sequence
from typing import Any

from services.contracts.dispatch.v1.events_pb2 import (
    BIKE_KIND_ELECTRIC,
    DISTANCE_SOURCE_ESTIMATED,
    DeliveryCancelled,
    StopCompleted,
    StopFailed,
)
from services.dispatch.jobs import lapse
from services.kit import clock
from services.kit.ids import new_id
from tests.dispatch.builders import PARIS, amount_held, at, order_cancelled, order_id, order_placed
from tests.dispatch.conftest import House, checked, furnish, ordered, published

DAY = "/v1/me/assignments?date=2026-11-24"


def a_report(stop: dict[str, Any], kind: str = "complete", minute: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "event_id": new_id(),
        "stop_id": stop["id"],
        "kind": kind,
        "occurred_at": at(9, minute).isoformat(),
        **more,
    }


def whole_ride(stops: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a courier reports who does every stop in its order, a few minutes each."""
    return [
        a_report(stop, kind, 3 * position + minute)
        for position, stop in enumerate(stops)
        for minute, kind in enumerate(("start", "arrive", "complete"))
    ]


async def stops_of(house: House) -> list[dict[str, Any]]:
    day = checked(await house.as_courier().get(DAY))
    return [stop for round_ in day["rounds"] for stop in round_["stops"]]


async def send(house: House, *reports: dict[str, Any], by: str = "amel") -> list[dict[str, Any]]:
    answer = checked(await house.as_courier(by).post("/v1/me/reports", json={"reports": list(reports)}))
    results: list[dict[str, Any]] = answer["results"]
    assert [result["event_id"] for result in results] == [report["event_id"] for report in reports]
    return results


# Polling -------------------------------------------------------------------------------------------------------------


async def test_a_poll_gives_everything_needed_without_a_network(house: House) -> None:
    await published(house)
    answer = await house.as_courier().get(DAY)
    day = checked(answer)
    assert day["poll_seconds"] == 15
    assert {"site-closed", "bike-breakdown"} <= {reason["code"] for reason in day["failure_reasons"]}
    assert day["proof_rules"]["photo_bytes"] == 5_000_000
    stop = day["rounds"][0]["stops"][0]
    assert stop["site"]["access_note"] == "Sonner à l'accueil."
    assert stop["site"]["contact"] == "Mme Roy, 02 40 00 00 00"
    assert stop["site"]["window"] == {"start": "2026-11-24T07:00:00Z", "end": "2026-11-24T11:00:00Z"}
    assert stop["loads"] == [
        {
            "kind": "ballot-linge",
            "label": "ballot de linge",
            "count": 3,
            "unit_grams": 8000,
            "unit_millilitres": 40000,
            "unit_seconds": 0,
            "longest_ride_seconds": None,
        }
    ]
    assert answer.headers["ETag"].startswith('"')


async def test_an_unchanged_day_is_told_in_no_words(house: House) -> None:
    await published(house)
    amel = house.as_courier()
    first = await amel.get(DAY)
    again = await amel.get(DAY, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (await amel.get(DAY)).content == first.content  # a strong tag: the same bytes


async def test_each_change_makes_another_version(house: House) -> None:
    await published(house)
    amel = house.as_courier()
    tags = [(await amel.get(DAY)).headers["ETag"]]

    async def has_changed() -> bool:
        answer = await amel.get(DAY, headers={"If-None-Match": tags[-1]})
        tags.append(answer.headers["ETag"])
        return answer.status_code == 200

    stops = await stops_of(house)
    await send(house, a_report(stops[0], "start"))
    assert await has_changed()
    assert not await has_changed()
    await house.hear(order_cancelled(2))
    assert await has_changed()
    assert len(set(tags)) == 3


async def test_a_day_without_a_round_has_a_version_too(house: House) -> None:
    await furnish(house)
    amel = house.as_courier()
    empty = await amel.get("/v1/me/assignments?date=2026-12-01")
    assert checked(empty)["rounds"] == []
    again = await amel.get("/v1/me/assignments?date=2026-12-01", headers={"If-None-Match": empty.headers["ETag"]})
    assert again.status_code == 304
    other_day = await amel.get("/v1/me/assignments?date=2026-12-02", headers={"If-None-Match": empty.headers["ETag"]})
    assert other_day.status_code == 200


async def test_without_a_date_it_is_today(house: House) -> None:
    await published(house)
    amel = house.as_courier()
    assert checked(await amel.get("/v1/me/assignments"))["date"] == "2026-11-23"
    clock.set_now(at(0, 30))
    assert checked(await amel.get("/v1/me/assignments"))["date"] == clock.utc_now().astimezone(PARIS).date().isoformat()


async def test_an_account_without_a_courier_has_no_day(house: House) -> None:
    answer = await house.as_courier("nobody").get(DAY)
    assert checked(answer, 404)["code"] == "not-a-courier"
    bad = await house.as_courier("nobody").get("/v1/me/assignments?date=24/11/2026")
    assert bad.status_code == 422


async def test_a_courier_sees_only_the_own_day(house: House) -> None:
    await published(house)
    await furnish(house, "loire", "elise")
    assert checked(await house.as_courier("elise").get(DAY))["rounds"] == []


async def test_dispatchers_do_not_ride_and_couriers_do_not_dispatch(house: House) -> None:
    await published(house)
    assert (await house.as_dispatcher().get(DAY)).status_code == 403
    assert (await house.as_courier().get("/v1/rounds")).status_code == 403
    assert (await house.client().get(DAY)).status_code == 401


# Reporting -----------------------------------------------------------------------------------------------------------


async def test_a_whole_ride_is_told_stop_by_stop(house: House) -> None:
    plan = await published(house)
    stops = await stops_of(house)
    results = await send(house, *whole_ride(stops))
    assert {result["effect"] for result in results} == {"recorded"}
    told = [event for event in await house.told() if isinstance(event, StopCompleted)]
    assert len(told) == 4
    assert {event.cooperative_id for event in told} == {"erdre"}
    round_ = checked(await house.as_dispatcher().get(f"/v1/rounds/{plan['rounds'][0]['id']}"))
    assert round_["state"] == "closed"
    deliveries = checked(await house.as_dispatcher().get("/v1/deliveries"))["items"]
    assert {delivery["state"] for delivery in deliveries} == {"delivered"}


async def test_what_is_told_says_how_it_was_ridden(house: House) -> None:
    plan = await published(house)
    await send(house, *whole_ride(await stops_of(house)))
    (round_,) = plan["rounds"]
    told = [event for event in await house.told() if isinstance(event, StopCompleted)]
    assert {event.ridden.round_id for event in told} == {round_["id"]}
    assert {event.ridden.round_metres for event in told} == {round_["travel_metres"]}
    assert {event.ridden.distance_source for event in told} == {DISTANCE_SOURCE_ESTIMATED}
    assert {event.ridden.bike_kind for event in told} == {BIKE_KIND_ELECTRIC}
    assert all(0 < event.ridden.direct_metres <= round_["travel_metres"] for event in told)
    assert all(event.ridden.load_grams == 24_000 for event in told)


async def test_the_same_reports_again_get_the_same_answers_and_say_nothing(house: House) -> None:
    await published(house)
    reports = whole_ride(await stops_of(house))
    first = await send(house, *reports)
    told = await house.told()
    assert await send(house, *reports) == first
    assert await send(house, *reports[3:], *reports[:3]) == first[3:] + first[:3]
    assert await house.told() == told


async def test_reports_in_any_order_and_any_batches_end_the_same(house: House) -> None:
    await published(house)
    stops = await stops_of(house)
    reports = whole_ride(stops)
    clock.set_now(at(18))
    chance = random.Random(1)
    doubled = reports + reports[:5]
    chance.shuffle(doubled)
    while doubled:
        batch, doubled = doubled[: chance.randint(1, 4)], doubled[4:]
        await send(house, *batch)
    for report in reports:  # what the slicing above lost comes late
        await send(house, report)
    after = await stops_of(house)
    assert {stop["state"] for stop in after} == {"completed"}
    assert [stop["ended_at"] for stop in after] == [f"2026-11-24T08:{3 * i + 2:02d}:00Z" for i in range(4)]
    told = [(event.order_id, event.stop_kind) for event in await house.told() if isinstance(event, StopCompleted)]
    assert len(told) == len(set(told)) == 4
    for number in (1, 2):
        assert [kind for order, kind in told if order == order_id(number)] == [1, 2]


async def test_what_comes_together_is_taken_in_the_order_in_which_it_happened(house: House) -> None:
    await published(house, 1)
    clock.set_now(at(18))
    pickup, _ = await stops_of(house)
    failed = a_report(pickup, "fail", minute=9, reason_code="site-closed")
    results = await send(house, failed, a_report(pickup, minute=5))
    assert [result["effect"] for result in results] == ["without_effect", "recorded"]


async def test_one_id_is_one_report(house: House) -> None:
    await published(house)
    stop, other = (await stops_of(house))[:2]
    report = a_report(stop, "start")
    await send(house, report)
    for changed in (report | {"kind": "arrive"}, report | {"stop_id": other["id"]}, report | {"note": "x"}):
        (result,) = await send(house, changed)
        assert (result["effect"], result["errors"][0]["code"]) == ("refused", "event-id-reused")


async def test_a_failure_is_told_with_its_reason_and_ends_the_delivery(house: House) -> None:
    await published(house, 1)
    pickup, drop = await stops_of(house)
    await send(house, a_report(pickup, "fail", reason_code="site-closed", note="Rideau baissé"))
    (failed,) = [event for event in await house.told() if isinstance(event, StopFailed)]
    assert (failed.reason_code, failed.reason, failed.is_billable, failed.note) == (
        "site-closed",
        "Site fermé",
        True,
        "Rideau baissé",
    )
    failed_stop, skipped = await stops_of(house)
    assert (failed_stop["is_photo_missing"], skipped["state"]) == (True, "skipped")
    (late,) = await send(house, a_report(drop, "complete", 30))
    assert late["effect"] == "without_effect"


async def test_a_drop_reported_before_its_pickup_is_held(house: House) -> None:
    await published(house, 1)
    pickup, drop = await stops_of(house)
    (held,) = await send(house, a_report(drop, minute=30))
    assert (held["effect"], await said(house)) == ("held", [])
    await house.hear(order_cancelled(1))
    assert await said(house) == []  # it was handed over: too late
    await send(house, a_report(pickup, minute=5))
    assert [type(event) for event in await said(house)] == [StopCompleted, StopCompleted]


async def said(house: House) -> list[Any]:
    return [event for event in await house.told() if isinstance(event, StopCompleted | StopFailed | DeliveryCancelled)]


async def test_good_reports_are_taken_though_a_neighbour_is_refused(house: House) -> None:
    await published(house, 1)
    pickup, drop = await stops_of(house)
    short = [{"kind": "ballot-linge", "counted": 2}]
    results = await send(
        house,
        a_report(pickup, minute=1, loads=short),
        a_report({"id": new_id()}),
        a_report(pickup, minute=2, loads=short, note="Un manque"),
        a_report(drop, "fail", minute=3, reason_code="nonsense"),
    )
    assert [result["effect"] for result in results] == ["refused", "refused", "recorded", "refused"]
    assert [result["errors"][0]["code"] for result in results if result["errors"]] == [
        "bad-report",
        "stop-not-found",
        "bad-report",
    ]
    stop = (await stops_of(house))[0]
    assert stop["counted"] == [{"kind": "ballot-linge", "announced": 3, "counted": 2}]


async def test_anothers_stop_is_not_found(house: House) -> None:
    await published(house)
    await furnish(house, "loire", "elise")
    stop = (await stops_of(house))[0]
    answer = await house.as_courier("elise").post("/v1/me/reports", json={"reports": [a_report(stop)]})
    assert checked(answer, 404)["code"] == "stop-not-found"
    assert await said(house) == []
    assert (await stops_of(house))[0]["state"] == "to_do"


async def test_an_impossible_time_is_flagged_and_not_refused(house: House) -> None:
    await published(house, 1)
    pickup, _ = await stops_of(house)
    (result,) = await send(house, a_report(pickup))  # it is the eve: nine o'clock tomorrow has not come
    assert (result["effect"], result["flags"]) == ("recorded", ["in-the-future"])
    stop = (await stops_of(house))[0]
    assert stop["reported_at"] == "2026-11-24T08:00:00Z"
    assert stop["ended_at"] == stop["received_at"] < "2026-11-23T16:05"


async def test_a_late_report_keeps_both_times(house: House) -> None:
    await published(house, 1)
    clock.set_now(at(18))
    pickup, _ = await stops_of(house)
    (result,) = await send(house, a_report(pickup))
    assert result["flags"] == []
    stop = (await stops_of(house))[0]
    assert (stop["reported_at"], stop["ended_at"]) == ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z")
    assert stop["received_at"] >= "2026-11-24T17:00"


async def test_a_report_of_a_withdrawn_round_is_kept_without_effect(house: House) -> None:
    plan = await published(house, 1)
    pickup, _ = await stops_of(house)
    await house.as_dispatcher().post(f"/v1/rounds/{plan['rounds'][0]['id']}/withdrawal", json={"reason": "Grève."})
    (result,) = await send(house, a_report(pickup))
    assert result["effect"] == "without_effect"
    assert "régulation" in result["detail"]
    assert await said(house) == []


async def test_after_a_cancellation_the_ride_has_no_effect_before_it_it_wins(house: House) -> None:
    await published(house, 2)
    stops = await stops_of(house)
    collected = next(stop for stop in stops if stop["order_id"] == order_id(1) and stop["kind"] == "pickup")
    await send(house, a_report(collected))
    await house.hear(order_cancelled(1), order_cancelled(2))
    (cancelled,) = [event for event in await house.told() if isinstance(event, DeliveryCancelled)]
    assert (cancelled.order_id, cancelled.cooperative_id) == (order_id(2), "erdre")
    results = await send(house, *[a_report(stop, minute=30) for stop in stops if stop["id"] != collected["id"]])
    assert sorted(result["effect"] for result in results) == ["recorded", "without_effect", "without_effect"]
    delivered = [event for event in await house.told() if isinstance(event, StopCompleted) and event.stop_kind == 2]
    assert [event.order_id for event in delivered] == [order_id(1)]


async def test_reports_are_checked_before_anything_is_done(house: House) -> None:
    amel = house.as_courier()
    for reports in ([], [{"event_id": "x"}], [a_report({"id": new_id()}) | {"colour": "red"}], "x"):
        assert (await amel.post("/v1/me/reports", json={"reports": reports})).status_code == 422
    naive = a_report({"id": new_id()}) | {"occurred_at": "2026-11-24T09:00:00"}
    refused = checked(await amel.post("/v1/me/reports", json={"reports": [naive]}), 422)
    assert refused["errors"][0]["pointer"] == "/reports/0/occurred_at"


# The end of the day --------------------------------------------------------------------------------------------------


async def test_what_nobody_rode_lapses_after_the_grace_and_rounds_close(house: House) -> None:
    plan = await published(house, 2)
    await house.hear(order_placed(9), amount_held(9))
    stops = await stops_of(house)
    first = [stop for stop in stops if stop["order_id"] == order_id(1)]
    await send(house, a_report(first[1], minute=40))  # the pickup's report never came
    clock.set_now(at(23, 59, day=at(12).date()))
    assert lapse(house.database, PARIS, hours=24) == {"rounds": 0, "told": 0, "lapsed_without_round": 0}
    clock.set_now(at(0, 1, day=at(12).date().replace(day=26)))
    assert lapse(house.database, PARIS, hours=24) == {"rounds": 1, "told": 3, "lapsed_without_round": 1}
    assert lapse(house.database, PARIS, hours=24) == {"rounds": 0, "told": 0, "lapsed_without_round": 0}
    states = {
        item["order_id"]: item["state"]
        for item in checked(await house.as_administrator().get("/v1/deliveries"))["items"]
    }
    assert states == {order_id(1): "delivered", order_id(2): "lapsed", order_id(9): "lapsed"}
    round_ = checked(await house.as_dispatcher().get(f"/v1/rounds/{plan['rounds'][0]['id']}"))
    assert round_["state"] == "closed"
    assert {stop["state"] for stop in round_["stops"]} == {"completed", "lapsed"}
    deduced = next(stop for stop in round_["stops"] if stop["id"] == first[0]["id"])
    assert deduced["flags"] == ["in-the-future", "pickup-deduced"] or deduced["flags"] == ["pickup-deduced"]


async def test_failure_reasons_are_a_catalogue(house: House) -> None:
    await ordered(house, 0)
    for caller in (house.as_courier(), house.as_dispatcher()):
        reasons = {reason["code"]: reason for reason in checked(await caller.get("/v1/failure-reasons"))}
        assert reasons["site-closed"]["is_billable"]
        assert not reasons["bike-breakdown"]["is_billable"]
        assert reasons["load-refused"]["stop_kinds"] == ["drop"]
    assert (await house.as_department().get("/v1/failure-reasons")).status_code == 403
