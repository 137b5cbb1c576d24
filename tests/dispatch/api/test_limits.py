"""Bikes that share trailers, and sites with room for a few, reach the plan."""

from dataclasses import fields
from typing import Any

from services.contracts.orders.v1 import events_pb2 as orders
from services.dispatch.domain.courier import Cooperative
from services.dispatch.domain.limits import SharedEquipment, SiteLimit
from services.dispatch.domain.reach import EVERYTHING
from services.dispatch.planning.plan import LeftOut, ReasonCode, Remedy
from services.dispatch.planning.problem import FleetLimit
from services.dispatch.planning.translate import DayPlan, Place
from services.dispatch.repository import crew, limits
from services.dispatch.use_cases.plans import Day, begin_plan, keep_draft, read_day, request_plan
from services.kit.database import Database
from tests.dispatch import test_races
from tests.dispatch.api.test_planning_settings import at_nine
from tests.dispatch.builders import NOW, PARIS, PLACES, TODAY, amount_held, at, contract_registered, order_placed
from tests.dispatch.conftest import House, a_bike, a_shift, checked, drafted, furnish

TRAILERS = "/v1/cooperatives/erdre/shared-equipment"
SCHOOL = "/v1/site-limits/site-école"


async def share(house: House, at_most: int) -> Any:
    dispatcher = house.as_dispatcher()
    etag = (await dispatcher.get(TRAILERS)).headers["ETag"]
    body = {"equipment": [{"equipment": "trailer", "at_most": at_most}]}
    return checked(await dispatcher.put(TRAILERS, json=body, headers={"If-Match": etag}))


async def hire_with_trailer(house: House, name: str, **shift: Any) -> Any:
    dispatcher = house.as_dispatcher()
    bike = checked(await dispatcher.post("/v1/bikes", json=a_bike(has_trailer=True)), 201)
    courier = checked(await dispatcher.post("/v1/couriers", json={"name": name}), 201)
    return checked(await dispatcher.post("/v1/shifts", json=a_shift(courier["id"], bike["id"], **shift)), 201)


def long_things(number: int, place: str) -> list[Any]:
    """An order at nine o'clock sharp that needs a trailer, and its money."""
    leg: orders.Leg = at_nine(place)
    leg.needs_trailer = True
    return [order_placed(number, leg), amount_held(number)]


async def two_trailers(house: House, **second_shift: Any) -> None:
    """Two bikes with a trailer, and two orders that only both can ride in time."""
    await furnish(house)  # a bike without one
    await hire_with_trailer(house, "Bastien")
    await hire_with_trailer(house, "Chloé", **second_shift)
    await house.hear(contract_registered(), *long_things(1, "blanchisserie"), *long_things(2, "jardin"))


async def test_bikes_that_share_a_trailer_do_not_ride_at_the_same_time(house: House) -> None:
    await two_trailers(house)
    assert (await drafted(house))["left_out"] == []
    assert await share(house, 1) == {
        "cooperative_id": "erdre",
        "equipment": [{"equipment": "trailer", "at_most": 1}],
    }
    plan = await drafted(house)
    (told,) = plan["left_out"]
    assert told["codes"] == ["skill", "limit", "outweighed"]
    (remedy,) = [one for one in told["remedies"] if one["code"] == "limit"]
    assert (remedy["what"], remedy["words"]) == ("trailer", f"une remorque de plus, avec {remedy['courier_name']}")
    # Nor by hand.
    move = {"delivery_id": told["delivery_id"], "shift_id": remedy["shift_id"]}
    refused = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=move), 409)
    assert "pas assez d'équipement partagé" in refused["detail"]
    await share(house, 2)
    assert (await drafted(house))["left_out"] == []  # what was told is true


async def test_a_trailer_that_is_back_is_used_again(house: House) -> None:
    await furnish(house)
    await hire_with_trailer(house, "Bastien", starts_at=at(7).isoformat(), ends_at=at(11).isoformat())
    await hire_with_trailer(house, "Chloé", starts_at=at(11).isoformat(), ends_at=at(13).isoformat())
    await share(house, 1)
    late = at_nine("jardin")
    late.needs_trailer = True
    for visit in (late.pickup, late.drop):
        visit.window_start.FromDatetime(at(11))
        visit.window_end.FromDatetime(at(12))
    await house.hear(contract_registered(), *long_things(1, "blanchisserie"), order_placed(2, late), amount_held(2))
    plan = await drafted(house)
    assert plan["left_out"] == []
    assert len(plan["rounds"]) == 2


async def test_a_trailer_that_a_published_round_took_is_gone(house: House) -> None:
    await two_trailers(house)
    await share(house, 1)
    plan = await drafted(house)
    checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/publication"))
    (told,) = (await drafted(house))["left_out"]
    assert "limit" in told["codes"]
    replan = checked(await house.as_dispatcher().post("/v1/replans", json={"date": TODAY.isoformat()}), 201)
    assert [change["kind"] for change in replan["changes"]] == ["left-out"]
    await share(house, 2)
    assert (await drafted(house))["left_out"] == []
    replan = checked(await house.as_dispatcher().post("/v1/replans", json={"date": TODAY.isoformat()}), 201)
    assert [change["kind"] for change in replan["changes"]] == ["added"]


async def test_no_more_bikes_call_at_a_site_than_it_has_room_for(house: House) -> None:
    await furnish(house, "erdre", "amel", "bastien")
    await house.hear(contract_registered())
    for number, place in ((1, "blanchisserie"), (2, "jardin")):
        await house.hear(order_placed(number, at_nine(place)), amount_held(number))
    dispatcher = house.as_dispatcher()
    told = checked(await dispatcher.put(SCHOOL, json={"at_most": 1}))
    assert told == {"site_id": "site-école", "site_name": "École", "at_most": 1}
    assert checked(await dispatcher.get("/v1/site-limits"))["items"] == [told]
    plan = await drafted(house)
    (left_out,) = plan["left_out"]
    assert left_out["codes"] == ["limit", "outweighed"]
    (remedy,) = [one for one in left_out["remedies"] if one["code"] == "limit"]
    assert (remedy["what"], remedy["stop"]) == ("École", "drop")
    assert remedy["words"] == f"une place de plus à « École », avec {remedy['courier_name']}"
    move = {"delivery_id": left_out["delivery_id"], "shift_id": remedy["shift_id"]}
    refused = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/moves", json=move), 409)
    assert "trop de vélos" in refused["detail"]
    # A published round has called there for the day.
    checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"))
    assert len((await drafted(house))["left_out"]) == 1
    assert (await dispatcher.delete(SCHOOL)).status_code == 204
    assert (await dispatcher.delete(SCHOOL)).status_code == 204  # twice is harmless
    assert (await drafted(house))["left_out"] == []


async def test_room_at_a_site_is_told_and_taken_back_by_those_who_call_there_alone(house: House) -> None:
    await house.hear(contract_registered(), order_placed(1, at_nine("jardin")), amount_held(1))
    told = checked(await house.as_dispatcher().put(SCHOOL, json={"at_most": 1}))
    stranger = house.as_dispatcher("sèvre")
    assert checked(await stranger.put(SCHOOL, json={"at_most": 2}), 404)["code"] == "site-not-found"
    assert checked(await stranger.delete(SCHOOL), 404)["code"] == "site-not-found"
    assert checked(await stranger.get("/v1/site-limits"))["items"] == [told]
    assert (await house.as_dispatcher("loire").delete(SCHOOL)).status_code == 204


async def test_what_is_wrong_with_limits_is_told_at_once(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered(), order_placed(1, at_nine("jardin")), amount_held(1))
    dispatcher = house.as_dispatcher()
    twice = {"equipment": [{"equipment": "Froid", "at_most": -1}, {"equipment": " froid ", "at_most": 1}]}
    refused = checked(await dispatcher.put(TRAILERS, json=twice, headers={"If-Match": "*"}), 422)
    assert {one["pointer"] for one in refused["errors"]} == {"/equipment/0/at_most", "/equipment/1"}
    assert checked(await dispatcher.put(TRAILERS, json={"equipment": []}), 428)["code"] == "if-match-required"
    stale = {"If-Match": (await dispatcher.get(TRAILERS)).headers["ETag"]}
    await share(house, 1)
    assert checked(await dispatcher.put(TRAILERS, json={"equipment": []}, headers=stale), 412)["code"]
    stranger = house.as_dispatcher("loire")
    assert checked(await stranger.get(TRAILERS), 404)["code"] == "cooperative-not-found"
    assert checked(await dispatcher.put(SCHOOL, json={"at_most": 0}), 422)["code"] == "out-of-bounds"
    assert checked(await dispatcher.put("/v1/site-limits/x", json={"at_most": 1}), 404)["code"] == "site-not-found"


class CountedDay(Day):
    """A day that counts how often its limits are put together."""

    asked: list[str] = []  # noqa: RUF012 - of the one test

    def fleet_limits_to_plan(self) -> list[tuple[SharedEquipment, FleetLimit]]:
        self.asked.append("fleet")
        return super().fleet_limits_to_plan()

    def site_limits_to_plan(self) -> dict[Place, tuple[SiteLimit, int]]:
        self.asked.append("sites")
        return super().site_limits_to_plan()


def test_a_days_limits_are_put_together_once_for_all_remedies(database: Database) -> None:
    test_races.furnish(database, 3)
    with database.transaction() as tx:
        limits.save_site(tx, SiteLimit("site-école", "École", 1))
        plan = request_plan(tx, EVERYTHING, TODAY, seconds=1, requested_by="Régie", at=NOW)
        plan = begin_plan(tx, plan.id, at=NOW)
        read = read_day(tx, TODAY, PARIS, not_before=plan.not_before)
        day = CountedDay(**{field.name: getattr(read, field.name) for field in fields(read)})
        latitude, longitude = PLACES["école"]
        raised = Remedy(ReasonCode.LIMIT, None, 1, f"hub {day.places.index(Place(longitude, latitude))}")
        left_out = tuple(LeftOut(str(id_), (), "Quais pleins.", (raised,)) for id_ in day.deliveries)
        plan = keep_draft(tx, plan, day, DayPlan((), left_out), at=NOW)
    assert [remedy.what for item in plan.left_out for remedy in item.remedies] == ["École"] * 3
    assert sorted(day.asked) == ["fleet", "sites"]


def test_limits_are_kept_on_either_database(either_database: Database) -> None:
    trailers = SharedEquipment("erdre", "trailer", 2)
    base = SiteLimit("site-base", "Base", 3)
    with either_database.transaction() as tx:
        crew.add_cooperative(tx, Cooperative("erdre", "Erdre"))
        for at_most in (1, 2):
            limits.save_equipment(tx, "erdre", [SharedEquipment("erdre", "trailer", at_most)])
            limits.save_site(tx, SiteLimit("site-base", "Base", at_most + 1))
    with either_database.view() as view:
        assert limits.equipment_of(view, ["erdre", "loire"]) == [trailers]
        assert limits.of_sites(view) == [base]
    with either_database.transaction() as tx:
        limits.save_equipment(tx, "erdre", [])
        limits.remove_site(tx, "site-base")
        assert (limits.equipment_of(tx, ["erdre"]), limits.of_sites(tx)) == ([], [])
