"""A published day changes: what is proposed, what is accepted, what everybody hears of it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.contracts.dispatch.v1.events_pb2 import DeliveryLeftOut, DeliveryPlanned, DeliveryWithdrawn
from services.dispatch.domain.events import DeliveryId
from services.dispatch.domain.replan import ChangeKind, DeliveryChange
from services.dispatch.jobs import lapse
from services.dispatch.queries.replans import Told
from services.dispatch.repository import instructions
from services.kit import clock
from services.kit.ids import new_id
from tests.dispatch.builders import NOW, PARIS, TODAY, a_leg, amount_held, at, order_cancelled, order_id, order_placed
from tests.dispatch.conftest import House, a_bike, a_shift, checked, drafted, furnish, hire, ordered

DAY = {"date": TODAY.isoformat()}
ASSIGNMENTS = "/v1/me/assignments?date=2026-11-24"


async def two_rounds(house: House, orders: int = 4) -> dict[str, dict[str, Any]]:
    """Publish a day of which amel and bastien each ride a part; return the shifts by courier."""
    shifts = await furnish(house, "erdre", "amel", "bastien")
    await house.hear()
    await ordered(house, orders)
    # One hour of work each: both are needed.
    dispatcher = house.as_dispatcher()
    for number in range(1, orders + 1):
        who = shifts["amel" if number % 2 else "bastien"]["courier_id"]
        path = f"/v1/deliveries/{order_id(number)}-1/instruction"
        checked(await dispatcher.put(path, json={"courier_ids": [who], "reason": "pour l'essai"}))
    plan = await drafted(house)
    checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"))
    # In force as instructed; the instructions themselves would hold every delivery where it is.
    with house.database.transaction() as tx:
        for number in range(1, orders + 1):
            instructions.remove(tx, DeliveryId(order_id(number), 1))
    return shifts


async def stops_of(house: House, login: str) -> list[dict[str, Any]]:
    day = checked(await house.as_courier(login).get(ASSIGNMENTS))
    return [stop for round_ in day["rounds"] if round_["state"] != "withdrawn" for stop in round_["stops"]]


async def report(house: House, login: str, stop: dict[str, Any], kind: str, when: datetime) -> Any:
    body = {"event_id": new_id(), "stop_id": stop["id"], "kind": kind, "occurred_at": when.isoformat()}
    answer = checked(await house.as_courier(login).post("/v1/me/reports", json={"reports": [body]}))
    return answer["results"][0]


async def collected(house: House, login: str) -> tuple[dict[str, Any], datetime]:
    """Let a courier collect the load of a round's only delivery; return that stop and when it was planned."""
    (pickup, _) = await stops_of(house, login)
    planned_at = datetime.fromisoformat(pickup["starts_at"])
    clock.set_now(planned_at)
    await report(house, login, pickup, "complete", planned_at)
    return pickup, planned_at


async def proposed(house: House, **happened: Any) -> Any:
    return checked(await house.as_dispatcher().post("/v1/replans", json={**DAY, **happened}), 201)


async def accepted(house: House, replan: dict[str, Any]) -> Any:
    return checked(await house.as_dispatcher().post(f"/v1/replans/{replan['id']}/acceptance"))


async def stale(house: House, replan: dict[str, Any]) -> str:
    """Return why a proposal is not accepted any more."""
    problem = checked(await house.as_dispatcher().post(f"/v1/replans/{replan['id']}/acceptance"), 409)
    assert problem["code"] == "replan-stale"
    return str(problem["detail"])


async def taken_away(house: House, shift: dict[str, Any]) -> None:
    answer = await house.as_dispatcher().delete(f"/v1/shifts/{shift['id']}", headers={"If-Match": "*"})
    assert answer.status_code == 204, answer.text


def loss_of(shift: dict[str, Any], since: datetime = NOW) -> dict[str, str]:
    return {"shift_id": shift["id"], "since": since.isoformat()}


def by_kind(replan: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [change for change in replan["changes"] if change["kind"] == kind]


async def test_a_sick_couriers_day_goes_to_a_colleague_once_it_is_accepted(house: House) -> None:
    shifts = await two_rounds(house)
    before = {stop["id"]: stop for stop in await stops_of(house, "amel")}
    lost = await stops_of(house, "bastien")
    sick = {"shift_id": shifts["bastien"]["id"], "since": NOW.isoformat()}
    replan = await proposed(house, lost=[sick])
    moved = by_kind(replan, "moved")
    assert {change["delivery_id"] for change in moved} == {stop["delivery_id"] for stop in lost}
    assert {change["why"] for change in moved} == {"Bastien ne roule plus"}
    assert all(change["to_shift_id"] == shifts["amel"]["id"] for change in moved)
    # Nothing has changed yet.
    assert {stop["id"] for stop in await stops_of(house, "bastien")} == {stop["id"] for stop in lost}
    said = len(await house.told())

    await accepted(house, replan)
    after = {stop["id"]: stop for stop in await stops_of(house, "amel")}
    assert before.keys() <= after.keys()
    new = [stop for id_, stop in after.items() if id_ not in before]
    assert {stop["delivery_id"] for stop in new} == {stop["delivery_id"] for stop in lost}
    assert all(stop["flags"] == ["added"] for stop in new)
    day = checked(await house.as_courier("bastien").get(ASSIGNMENTS))
    (round_,) = day["rounds"]
    assert round_["state"] == "withdrawn"
    assert {stop["state"] for stop in round_["stops"]} == {"moved"}
    heard = (await house.told())[said:]
    assert {type(event) for event in heard} == {DeliveryPlanned}
    told = {f"{event.order_id}-{event.leg}": event for event in heard}  # type: ignore[attr-defined]
    assert {stop["delivery_id"] for stop in lost} <= told.keys()
    # Twice is harmless.
    said = len(await house.told())
    await accepted(house, replan)
    assert len(await house.told()) == said


@pytest.mark.parametrize("asked", [at(7, 28), at(7, 40)], ids=["before it", "during it"])
async def test_a_break_is_taken_once_whenever_a_readjustment_is_asked_for_and_accepted(
    house: House, asked: datetime
) -> None:
    rest = {"window_start": at(7, 30).isoformat(), "window_end": at(7, 35).isoformat(), "length_seconds": 1800}
    await furnish(house, "erdre", "amel", breaks=[rest])
    await ordered(house, 1)
    plan = await drafted(house)
    checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))
    await house.hear(order_placed(2), amount_held(2))
    clock.set_now(asked)
    replan = await proposed(house, with_new=True)
    assert len(by_kind(replan, "added")) == 1
    clock.set_now(at(7, 42))
    await accepted(house, replan)
    (round_,) = checked(await house.as_courier("amel").get(ASSIGNMENTS))["rounds"]
    assert [datetime.fromisoformat(one["starts_at"]) for one in round_["breaks"]] == [at(7, 30)]


async def test_what_is_done_started_or_aboard_stays(house: House) -> None:
    shifts = await two_rounds(house, 4)
    stops = await stops_of(house, "bastien")
    first, second = stops[0], stops[1]
    started_at = datetime.fromisoformat(first["starts_at"])
    clock.set_now(started_at + timedelta(minutes=4))
    await report(house, "bastien", first, "complete", started_at)
    await report(house, "bastien", second, "start", started_at + timedelta(minutes=4))
    late = {"shift_id": shifts["bastien"]["id"], "minutes": 30}
    replan = await proposed(house, late=[late])
    changed = {change["delivery_id"]: change for change in replan["changes"]}
    for change in changed.values():
        kinds = {stop["kind"] for stop in change["stops"]}
        for done in (first, second):
            assert not (change["delivery_id"] == done["delivery_id"] and done["kind"] in kinds)
    await accepted(house, replan)
    after = await stops_of(house, "bastien")
    assert [stop["id"] for stop in after[:2]] == [first["id"], second["id"]]
    assert [stop["state"] for stop in after[:2]] == ["completed", "started"]
    assert [stop["starts_at"] for stop in after[:2]] == [first["starts_at"], second["starts_at"]]
    assert all(stop["aboard_grams"] >= 0 for stop in after)
    # The rest of the day is ridden to its end as ever.
    for stop in after[1:]:
        if stop["state"] in ("to_do", "started"):
            answer = await report(house, "bastien", stop, "complete", started_at + timedelta(minutes=20))
            assert answer["effect"] == "recorded", answer


async def test_a_new_order_finds_its_place_in_the_published_rounds(house: House) -> None:
    await two_rounds(house, 2)
    await house.hear(order_placed(9, a_leg(pickup="musée", drop="jardin")), amount_held(9))
    replan = await proposed(house, strictness="strict")
    (added,) = by_kind(replan, "added")
    assert added["delivery_id"] == f"{order_id(9)}-1"
    assert by_kind(replan, "moved") == []
    await accepted(house, replan)
    delivery = checked(await house.as_dispatcher().get(f"/v1/deliveries/{order_id(9)}-1"))
    assert delivery["state"] == "planned"
    riding = [
        login for login in ("amel", "bastien") for stop in await stops_of(house, login) if "added" in stop["flags"]
    ]
    assert len(riding) == 2
    assert len(set(riding)) == 1


async def test_what_no_longer_fits_is_dropped_with_why_and_can_be_planned_again(house: House) -> None:
    shifts = await two_rounds(house, 2)
    both = [{"shift_id": shift["id"], "since": NOW.isoformat()} for shift in shifts.values()]
    replan = await proposed(house, lost=both)
    dropped = by_kind(replan, "dropped")
    assert len(dropped) == 2
    assert all("ne roule plus. " in change["why"] for change in dropped)
    said = len(await house.told())
    await accepted(house, replan)
    heard = (await house.told())[said:]
    assert all(isinstance(event, DeliveryWithdrawn | DeliveryLeftOut) for event in heard)
    assert len(heard) == 4
    delivery = checked(await house.as_dispatcher().get(f"/v1/deliveries/{order_id(1)}-1"))
    assert delivery["state"] == "plannable"


async def test_what_has_become_too_heavy_for_every_bike_is_dropped_with_why_and_can_be_planned_again(
    house: House,
) -> None:
    await two_rounds(house, 2)
    await smaller_bikes(house)
    replan = await proposed(house)
    whys = [change["why"] for change in by_kind(replan, "dropped")]
    assert len(whys) == 2
    assert all("Trop lourde" in why for why in whys)
    await accepted(house, replan)
    for number in (1, 2):
        delivery = checked(await house.as_dispatcher().get(f"/v1/deliveries/{order_id(number)}-1"))
        assert delivery["state"] == "plannable"


async def test_what_a_bike_carries_already_stays_on_it_however_small_it_is_said_to_be_since(house: House) -> None:
    shifts = await two_rounds(house, 2)
    pickup, _ = await collected(house, "amel")
    await smaller_bikes(house)
    replan = await proposed(house)
    # The other delivery weighs no more: the only bike that is known to carry as much can fetch it too.
    (moved,) = by_kind(replan, "moved")
    assert moved["delivery_id"] != pickup["delivery_id"]
    assert moved["to_shift_id"] == shifts["amel"]["id"]
    assert by_kind(replan, "dropped") == []
    await accepted(house, replan)
    stops = [stop for stop in await stops_of(house, "amel") if stop["delivery_id"] == pickup["delivery_id"]]
    assert {stop["kind"]: stop["state"] for stop in stops} == {"pickup": "completed", "drop": "to_do"}


async def smaller_bikes(house: House) -> None:
    """Let somebody say that no bike carries 24 kg, which each delivery weighs."""
    dispatcher = house.as_dispatcher()
    for bike in checked(await dispatcher.get("/v1/bikes"))["items"]:
        body = a_bike(name=bike["name"], capacity_grams=20_000)
        checked(await dispatcher.put(f"/v1/bikes/{bike['id']}", json=body, headers={"If-Match": "*"}))


@pytest.mark.parametrize("is_shared", [False, True])
async def test_a_longer_shift_is_advised_unless_its_bike_is_another_couriers_by_then(
    house: House, *, is_shared: bool
) -> None:
    shifts = await two_rounds(house, 2)
    free = await hire(house, "erdre", "chloe", ends_at=at(8, 10).isoformat())
    if is_shared:
        dispatcher = house.as_dispatcher()
        second = checked(await dispatcher.post("/v1/couriers", json={"name": "Driss", "account": "driss"}), 201)
        body = a_shift(second["id"], free["bike_id"]) | {"starts_at": at(8, 11).isoformat()}
        body |= {"ends_at": at(8, 12).isoformat(), "start": {"latitude": 47.9, "longitude": -1.55}}  # too far away
        checked(await dispatcher.post("/v1/shifts", json=body), 201)
    replan = await proposed(house, lost=[loss_of(shift) for shift in shifts.values()])
    whys = [change["why"] for change in by_kind(replan, "dropped")]
    assert len(whys) == 2
    assert all(("en fin de vacation" in why) is not is_shared for why in whys)


async def test_a_day_that_went_on_meanwhile_refuses_an_old_proposal_and_changes_nothing(house: House) -> None:
    shifts = await two_rounds(house, 2)
    replan = await proposed(house, lost=[{"shift_id": shifts["bastien"]["id"], "since": NOW.isoformat()}])
    (stop, _) = await stops_of(house, "bastien")
    await report(house, "bastien", stop, "start", NOW)
    answer = await house.as_dispatcher().post(f"/v1/replans/{replan['id']}/acceptance")
    problem = checked(answer, 409)
    assert problem["code"] == "replan-stale"
    assert "la tournée de Bastien a avancé ou changé" in problem["detail"]
    assert [one["state"] for one in await stops_of(house, "bastien")] == ["started", "to_do"]


async def test_a_delivery_cancelled_meanwhile_refuses_an_old_proposal(house: House) -> None:
    await two_rounds(house, 2)
    await house.hear(order_placed(9), amount_held(9))
    replan = await proposed(house)
    await house.hear(order_cancelled(9))
    problem = checked(await house.as_dispatcher().post(f"/v1/replans/{replan['id']}/acceptance"), 409)
    assert problem["code"] == "replan-stale"


async def test_a_free_shift_taken_away_meanwhile_refuses_an_old_proposal(house: House) -> None:
    shifts = await two_rounds(house, 2)
    free = await hire(house, "erdre", "chloe")
    replan = await proposed(house, lost=[loss_of(shift) for shift in shifts.values()])
    assert {change["to_shift_id"] for change in by_kind(replan, "moved")} == {free["id"]}
    await taken_away(house, free)
    assert "une vacation libre a changé ou n'est plus libre" in await stale(house, replan)


async def test_a_round_withdrawn_with_its_shift_meanwhile_refuses_an_old_proposal(house: House) -> None:
    shifts = await two_rounds(house, 2)
    replan = await proposed(house, lost=[loss_of(shifts["bastien"])])
    (round_,) = checked(await house.as_courier("bastien").get(ASSIGNMENTS))["rounds"]
    withdrawal = {"reason": "Malade."}
    checked(await house.as_dispatcher().post(f"/v1/rounds/{round_['id']}/withdrawal", json=withdrawal))
    await taken_away(house, shifts["bastien"])
    assert "la tournée de Bastien a avancé ou changé" in await stale(house, replan)


async def test_a_proposal_is_accepted_until_shortly_after_its_first_start_and_no_more(house: House) -> None:
    shifts = await two_rounds(house, 2)
    replan = await proposed(house, lost=[loss_of(shifts["bastien"])])
    starts = [datetime.fromisoformat(stop["after"]) for change in replan["changes"] for stop in change["stops"]]
    clock.set_now(max(starts) + timedelta(minutes=11))
    told = await stale(house, replan)
    assert "l'heure proposée pour la livraison C-000" in told
    assert "demandez une nouvelle proposition" in told
    assert {stop["state"] for stop in await stops_of(house, "bastien")} == {"to_do"}
    clock.set_now(min(starts) + timedelta(minutes=9))
    await accepted(house, replan)


async def test_who_is_lost_gets_no_work_back_until_told_to_ride_again(house: House) -> None:
    shifts = await two_rounds(house)
    await accepted(house, await proposed(house, lost=[loss_of(shifts["bastien"])]))
    await house.hear(order_placed(9, a_leg(pickup="musée", drop="jardin")), amount_held(9))
    # Nobody says of bastien again what was accepted: neither readjustments nor plans offer his shift.
    replan = await proposed(house, lost=[loss_of(shifts["amel"])])
    assert (len(by_kind(replan, "dropped")), by_kind(replan, "moved")) == (4, [])
    assert (await drafted(house))["rounds"] == []
    # Whoever does say it again is understood.
    both = [loss_of(shift) for shift in shifts.values()]
    assert len(by_kind(await proposed(house, lost=both), "dropped")) == 4

    dispatcher, address = house.as_dispatcher(), f"/v1/shifts/{shifts['bastien']['id']}"
    assert checked(await dispatcher.get(address))["lost_since"] == "2026-11-23T16:00:00Z"
    assert (await house.as_dispatcher("loire").delete(f"{address}/loss")).status_code == 404
    for _ in range(2):
        assert checked(await dispatcher.delete(f"{address}/loss"))["lost_since"] is None
    assert [round_["shift_id"] for round_ in (await drafted(house))["rounds"]] == [shifts["bastien"]["id"]]
    replan = await proposed(house, lost=[loss_of(shifts["amel"])])
    assert {change["to_shift_id"] for change in by_kind(replan, "moved")} == {shifts["bastien"]["id"]}


async def test_a_lost_shift_that_is_agreed_anew_is_ridden(house: House) -> None:
    shifts = await two_rounds(house, 2)
    bastien = shifts["bastien"]
    await accepted(house, await proposed(house, lost=[loss_of(bastien)]))
    again = a_shift(bastien["courier_id"], bastien["bike_id"])
    path, version = f"/v1/shifts/{bastien['id']}", {"If-Match": "*"}
    assert checked(await house.as_dispatcher().put(path, json=again, headers=version))["lost_since"] is None


async def test_a_round_under_way_that_is_lost_is_not_sent_on(house: House) -> None:
    shifts = await two_rounds(house)
    (first, *_) = await stops_of(house, "bastien")
    started_at = datetime.fromisoformat(first["starts_at"])
    clock.set_now(started_at)
    await report(house, "bastien", first, "complete", started_at)
    await accepted(house, await proposed(house, lost=[loss_of(shifts["bastien"], started_at)]))
    replan = await proposed(house, lost=[loss_of(shifts["amel"], started_at)])
    assert by_kind(replan, "moved") == []
    assert [change["from_shift_id"] for change in by_kind(replan, "aboard")] == [shifts["bastien"]["id"]]


async def test_a_proposal_that_gives_work_to_a_shift_lost_since_is_stale(house: House) -> None:
    shifts = await two_rounds(house, 2)
    _, started_at = await collected(house, "bastien")
    replan = await proposed(house, lost=[loss_of(shifts["amel"], started_at)])
    assert {change["to_shift_id"] for change in by_kind(replan, "moved")} == {shifts["bastien"]["id"]}
    # All that bastien still has is aboard: his round itself does not change.
    await accepted(house, await proposed(house, lost=[loss_of(shifts["bastien"], started_at)], with_new=False))
    assert "Bastien ne roule plus" in await stale(house, replan)


async def test_a_readjusted_round_is_told_whole(house: House) -> None:
    shifts = await two_rounds(house, 2)
    (shown,) = checked(await house.as_courier("bastien").get(ASSIGNMENTS))["rounds"]
    path = f"/v1/rounds/{shown['id']}"
    before = checked(await house.as_dispatcher().get(path))
    late = {"shift_id": shifts["bastien"]["id"], "minutes": 120}
    await accepted(house, await proposed(house, late=[late], strictness="strict"))
    retimed = checked(await house.as_dispatcher().get(path))
    assert retimed["starts_at"] >= at(9).isoformat().replace("+00:00", "Z") > before["starts_at"]

    pickup = retimed["stops"][0]
    started_at = datetime.fromisoformat(pickup["starts_at"])
    clock.set_now(started_at)
    await report(house, "bastien", pickup, "complete", started_at)
    await accepted(house, await proposed(house, late=[late | {"minutes": 30}], strictness="strict"))
    whole = checked(await house.as_dispatcher().get(path))
    assert whole["stops"][1]["starts_at"] > retimed["stops"][1]["starts_at"]
    figures = ("starts_at", "travel_seconds", "travel_metres")
    assert [whole[name] for name in figures] == [retimed[name] for name in figures]

    await accepted(house, await proposed(house, lost=[loss_of(shifts["bastien"], started_at)]))
    ridden = checked(await house.as_dispatcher().get(path))
    assert 0 < ridden["travel_metres"] < whole["travel_metres"]
    assert 0 < ridden["travel_seconds"] < whole["travel_seconds"]


async def test_a_report_for_a_stop_that_was_taken_away_is_kept_without_effect(house: House) -> None:
    shifts = await two_rounds(house, 4)
    stops = await stops_of(house, "bastien")
    started_at = datetime.fromisoformat(stops[0]["starts_at"])
    clock.set_now(started_at)
    await report(house, "bastien", stops[0], "complete", started_at)
    replan = await proposed(house, lost=[{"shift_id": shifts["bastien"]["id"], "since": started_at.isoformat()}])
    (aboard,) = by_kind(replan, "aboard")
    assert aboard["delivery_id"] == stops[0]["delivery_id"]
    assert aboard["why"].startswith("elle est à bord, et y reste")
    await accepted(house, replan)
    gone = next(stop for stop in await stops_of(house, "bastien") if stop["state"] == "moved")
    result = await report(house, "bastien", gone, "complete", started_at)
    assert result["effect"] == "without_effect"
    assert "n'est plus dans votre tournée" in result["detail"]
    # What is aboard is still handed over by whoever has it, and the end of the day touches nothing twice.
    drop = next(stop for stop in await stops_of(house, "bastien") if stop["state"] == "to_do")
    assert drop["delivery_id"] == aboard["delivery_id"]
    assert (await report(house, "bastien", drop, "complete", started_at))["effect"] == "recorded"
    clock.set_now(at(9) + timedelta(days=3))
    lapse(house.database, PARIS, hours=12)
    moved = checked(await house.as_dispatcher().get(f"/v1/deliveries/{gone['delivery_id']}"))
    assert moved["state"] == "lapsed"  # in amel's round, once


async def test_a_closed_site_puts_its_stops_off(house: House) -> None:
    await two_rounds(house, 2)
    until = at(10)
    replan = await proposed(house, closed=[{"site_id": "site-école", "until": until.isoformat()}])
    assert replan["changes"]
    drops = [stop for change in replan["changes"] for stop in change["stops"] if stop["kind"] == "drop"]
    assert all(datetime.fromisoformat(stop["after"]) >= until for stop in drops if stop["after"])
    assert {change["why"] for change in by_kind(replan, "retimed")} == {"le site est fermé"}


async def test_a_site_told_to_be_closed_is_closed_for_everybody_once_that_is_accepted(house: House) -> None:
    await two_rounds(house, 2)
    path = f"/v1/closures?date={TODAY}"
    closed = {"site_id": "site-école", "until": at(10).isoformat()}
    replan = await proposed(house, closed=[closed])
    assert checked(await house.as_dispatcher().get(path))["items"] == []
    await accepted(house, replan)
    await accepted(house, await proposed(house, closed=[closed]))  # told twice, kept once
    (closure,) = checked(await house.as_dispatcher().get(path))["items"]
    assert (closure["site_name"], closure["told_by"]) == ("École", "regie-erdre")
    assert closure["starts_at"].startswith("2026-11-23T16:00:0")
    assert closure["ends_at"] == "2026-11-24T09:00:00Z"


async def test_a_pinned_delivery_keeps_its_round_and_its_minute(house: House) -> None:
    await two_rounds(house, 2)
    await house.hear(order_placed(9, a_leg(pickup="musée", drop="jardin")), amount_held(9))
    pinned = [f"{order_id(1)}-1", f"{order_id(2)}-1"]
    replan = await proposed(house, pinned=pinned, strictness="loose")
    assert not {change["delivery_id"] for change in replan["changes"]} & set(pinned)


async def test_another_cooperative_sees_and_touches_nothing(house: House) -> None:
    shifts = await two_rounds(house, 2)
    await furnish(house, "loire", "elise")
    replan = await proposed(house, lost=[{"shift_id": shifts["bastien"]["id"], "since": NOW.isoformat()}])
    loire = house.as_dispatcher("loire")
    checked(await loire.get(f"/v1/replans/{replan['id']}"), 404)
    checked(await loire.post(f"/v1/replans/{replan['id']}/acceptance"), 404)
    assert checked(await loire.post("/v1/replans", json=DAY), 409)["code"] == "nothing-to-readjust"
    mine = checked(await house.as_administrator().get(f"/v1/replans/{replan['id']}"))
    assert mine["id"] == replan["id"]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"lost": [{"shift_id": "01900000-0000-7000-8000-00000000dead", "since": NOW.isoformat()}]}, 404),
        ({"closed": [{"site_id": "site-école", "until": (NOW - timedelta(hours=1)).isoformat()}]}, 422),
        ({"closed": [{"site_id": "site-école", "until": (NOW + timedelta(days=400)).isoformat()}]}, 422),
        ({"pinned": ["nothing"]}, 404),
        ({"late": [{"shift_id": "x", "minutes": 0}]}, 422),
    ],
)
async def test_what_cannot_have_happened_is_refused(house: House, told: dict[str, Any], status: int) -> None:
    await two_rounds(house, 2)
    checked(await house.as_dispatcher().post("/v1/replans", json={**DAY, **told}), status)


async def test_a_day_without_published_rounds_has_nothing_to_readjust(house: House) -> None:
    answer = await house.as_dispatcher().post("/v1/replans", json=DAY)
    assert checked(answer, 409)["code"] == "nothing-to-readjust"


async def test_a_courier_is_named_as_it_is_said(house: House) -> None:
    shifts = await two_rounds(house, 2)
    replan = await proposed(house, lost=[loss_of(shifts["amel"])])
    (stop, _) = await stops_of(house, "amel")
    await report(house, "amel", stop, "start", NOW)
    assert "la tournée d’Amel a avancé ou changé" in await stale(house, replan)
    shorter = DeliveryChange(DeliveryId(order_id(1), 1), ChangeKind.RETIMED, "shift", "shift", (), "shift-shortened")
    assert Told({}, {"shift": "Élise"}).why(shorter) == "la vacation d’Élise est plus courte"
    assert Told({}, {}).why(shorter) == "la vacation concernée est plus courte"
