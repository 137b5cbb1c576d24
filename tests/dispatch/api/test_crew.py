from typing import Any

import pytest

from services.kit.ids import new_id
from tests.dispatch.builders import TODAY, at
from tests.dispatch.conftest import House, a_bike, a_shift, checked, furnish, hire, ordered, published


async def test_a_cooperative_is_registered_by_the_administration(house: House) -> None:
    admin = house.as_administrator()
    answer = await admin.post("/v1/cooperatives", json={"id": "erdre", "name": "Erdre"})
    assert checked(answer, 201) == {"id": "erdre", "name": "Erdre"}
    assert answer.headers["Location"] == "/v1/cooperatives/erdre"
    again = await admin.post("/v1/cooperatives", json={"id": "erdre", "name": "Erdre"})
    assert checked(again, 409)["code"] == "cooperative-exists"
    refused = await house.as_dispatcher().post("/v1/cooperatives", json={"id": "loire", "name": "Loire"})
    assert refused.status_code == 403


async def test_a_change_names_the_version_that_was_read(house: House) -> None:
    await furnish(house)
    dispatcher = house.as_dispatcher()
    (bike,) = checked(await dispatcher.get("/v1/bikes"))["items"]
    address = f"/v1/bikes/{bike['id']}"
    read = await dispatcher.get(address)
    etag = read.headers["ETag"]
    assert (await dispatcher.get(address, headers={"If-None-Match": etag})).status_code == 304
    body = a_bike(name="Cargo 2", has_trailer=True)
    assert checked(await dispatcher.put(address, json=body), 428)["code"] == "if-match-required"
    changed = await dispatcher.put(address, json=body, headers={"If-Match": etag})
    assert checked(changed)["has_trailer"] is True
    stale = await dispatcher.put(address, json=body, headers={"If-Match": etag})
    assert checked(stale, 412)["code"] == "version-stale"


async def test_lists_are_read_page_by_page(house: House) -> None:
    await furnish(house, "erdre", "amel", "bastien", "chloe")
    dispatcher = house.as_dispatcher()
    for path in ("/v1/couriers", "/v1/bikes", "/v1/shifts"):
        everything = checked(await dispatcher.get(path))["items"]
        seen: list[Any] = []
        page = checked(await dispatcher.get(f"{path}?limit=2"))
        while True:
            seen += page["items"]
            if not page["next"]:
                break
            page = checked(await dispatcher.get(path, params={"limit": 2, "cursor": page["next"]}))
        assert seen == everything
        assert len(seen) == 3
        assert checked(await dispatcher.get(f"{path}?cursor=nonsense"), 422)["code"] == "bad-cursor"
    forged = "WyJub3QgYSBkYXkiLCJ4Il0"  # ["not a day","x"]
    assert checked(await dispatcher.get(f"/v1/shifts?cursor={forged}"), 422)["code"] == "bad-cursor"


async def test_all_faults_are_told_together(house: House) -> None:
    await furnish(house)
    dispatcher = house.as_dispatcher()
    body = a_bike(name=" ", capacity_grams=9_000_000, capacity_millilitres=9_000_000)
    bike = await dispatcher.post("/v1/bikes", json={**body, "name": "x"})
    assert [error["pointer"] for error in checked(bike, 422)["errors"]] == ["/capacity_grams", "/capacity_millilitres"]
    unknown = await dispatcher.post("/v1/bikes", json={"capacity_grams": "x", "colour": "red"})
    assert {error["pointer"] for error in checked(unknown, 422)["errors"]} == {
        "/name",
        "/capacity_grams",
        "/capacity_millilitres",
        "/colour",
    }


async def test_the_same_request_sent_again_registers_once(house: House) -> None:
    await furnish(house)
    dispatcher = house.as_dispatcher()
    key = {"Idempotency-Key": "once"}
    first = checked(await dispatcher.post("/v1/couriers", json={"name": "Driss"}, headers=key), 201)
    assert checked(await dispatcher.post("/v1/couriers", json={"name": "Driss"}, headers=key), 201) == first
    assert len(checked(await dispatcher.get("/v1/couriers"))["items"]) == 2


async def test_a_cooperative_does_not_see_anothers_crew(house: House) -> None:
    amel = (await furnish(house))["amel"]
    await furnish(house, "loire", "elise")
    loire = house.as_dispatcher("loire")
    for path in (
        "/v1/cooperatives/erdre",
        f"/v1/couriers/{amel['courier_id']}",
        f"/v1/bikes/{amel['bike_id']}",
        f"/v1/shifts/{amel['id']}",
    ):
        assert (await loire.get(path)).status_code == 404
    courier = {"name": "Voleur"}
    assert (await loire.put(f"/v1/couriers/{amel['courier_id']}", json=courier)).status_code == 404
    assert (await loire.put(f"/v1/bikes/{amel['bike_id']}", json=a_bike())).status_code == 404
    assert (await loire.delete(f"/v1/shifts/{amel['id']}")).status_code == 404
    assert [shift["courier_name"] for shift in checked(await loire.get("/v1/shifts"))["items"]] == ["Elise"]
    assert [one["id"] for one in checked(await loire.get("/v1/cooperatives"))["items"]] == ["loire"]
    borrowed = await loire.post("/v1/shifts", json=a_shift(amel["courier_id"], amel["bike_id"]))
    assert checked(borrowed, 404)["code"] == "courier-not-found"
    assert checked(await loire.post("/v1/couriers", json={"name": "X", "cooperative_id": "erdre"}), 404)


async def test_a_bike_of_another_cooperative_is_not_ridden(house: House) -> None:
    amel = (await furnish(house))["amel"]
    elise = (await furnish(house, "loire", "elise"))["elise"]
    mixed = await house.as_administrator().post("/v1/shifts", json=a_shift(amel["courier_id"], elise["bike_id"]))
    assert checked(mixed, 404)["code"] == "bike-not-found"


async def test_whoever_acts_for_several_says_for_which(house: House) -> None:
    await furnish(house)
    admin = house.as_administrator()
    assert checked(await admin.post("/v1/couriers", json={"name": "X"}), 422)["code"] == "cooperative-missing"
    named = await admin.post("/v1/couriers", json={"name": "X", "cooperative_id": "erdre"})
    assert checked(named, 201)["cooperative_id"] == "erdre"
    unknown = await admin.post("/v1/couriers", json={"name": "X", "cooperative_id": "nobody"})
    assert checked(unknown, 404)["code"] == "cooperative-not-found"


async def test_an_account_without_a_cooperative_reaches_nothing(house: House) -> None:
    await furnish(house)
    machine = house.as_machine(["dispatch:read", "dispatch:write"])
    assert checked(await machine.get("/v1/couriers"))["items"] == []
    assert (await machine.post("/v1/couriers", json={"name": "X"})).status_code == 404


async def test_an_account_rides_for_one_courier_only(house: House) -> None:
    await furnish(house)
    twin = await house.as_dispatcher().post("/v1/couriers", json={"name": "Amelle", "account": "amel"})
    assert checked(twin, 409)["code"] == "account-taken"


async def test_shifts_do_not_overlap(house: House) -> None:
    amel = (await furnish(house))["amel"]
    dispatcher = house.as_dispatcher()
    body = a_shift(amel["courier_id"], amel["bike_id"], starts_at=at(12).isoformat(), ends_at=at(15).isoformat())
    refused = checked(await dispatcher.post("/v1/shifts", json=body), 409)
    assert {error["pointer"] for error in refused["errors"]} == {"/courier_id", "/bike_id"}
    afternoon = body | {"starts_at": at(13).isoformat()}
    assert checked(await dispatcher.post("/v1/shifts", json=afternoon), 201)["date"] == TODAY.isoformat()


async def test_a_shift_belongs_to_the_local_day_of_its_start(house: House) -> None:
    amel = (await furnish(house))["amel"]
    late = a_shift(
        amel["courier_id"], amel["bike_id"], starts_at="2026-11-24T23:30:00Z", ends_at="2026-11-25T04:00:00Z"
    )
    shift = checked(await house.as_dispatcher().post("/v1/shifts", json=late), 201)
    assert shift["date"] == "2026-11-25"
    assert shift["end"] == shift["start"]


async def test_shifts_are_found_by_day_and_courier(house: House) -> None:
    amel = (await furnish(house))["amel"]
    await hire(house, "erdre", "bastien", starts_at="2026-11-25T06:00:00Z", ends_at="2026-11-25T10:00:00Z")
    dispatcher = house.as_dispatcher()

    async def found(query: str) -> list[str]:
        items = checked(await dispatcher.get(f"/v1/shifts?{query}"))["items"]
        return [shift["courier_name"] for shift in items]

    assert await found("date=2026-11-24") == ["Amel"]
    assert await found("date_from=2026-11-25") == ["Bastien"]
    assert await found("date_to=2026-11-24") == ["Amel"]
    assert await found(f"courier_id={amel['courier_id']}") == ["Amel"]


async def test_a_shift_in_which_a_published_round_is_ridden_stays(house: House) -> None:
    plan = await published(house)
    dispatcher = house.as_dispatcher()
    address = f"/v1/shifts/{plan['rounds'][0]['shift_id']}"
    shift = await dispatcher.get(address)
    version = {"If-Match": shift.headers["ETag"]}
    body = {key: shift.json()[key] for key in ("courier_id", "bike_id", "starts_at", "ends_at", "start")}
    assert checked(await dispatcher.put(address, json=body, headers=version), 409)["code"] == "shift-in-use"
    assert checked(await dispatcher.delete(address, headers=version), 409)["code"] == "shift-in-use"


async def test_a_shift_is_changed_and_taken_away(house: House) -> None:
    amel = (await furnish(house))["amel"]
    dispatcher = house.as_dispatcher()
    address = f"/v1/shifts/{amel['id']}"
    version = {"If-Match": (await dispatcher.get(address)).headers["ETag"]}
    longer = a_shift(amel["courier_id"], amel["bike_id"], ends_at=at(14).isoformat())
    changed = await dispatcher.put(address, json=longer, headers=version)
    assert checked(changed)["ends_at"] == "2026-11-24T13:00:00Z"
    assert (await dispatcher.delete(address, headers=version)).status_code == 412
    assert (await dispatcher.delete(address, headers={"If-Match": changed.headers["ETag"]})).status_code == 204
    assert (await dispatcher.get(address)).status_code == 404


@pytest.mark.parametrize("path", ["couriers", "bikes", "shifts", "rounds", "plans", "deliveries"])
async def test_what_does_not_exist_is_not_found(house: House, path: str) -> None:
    for unknown in (new_id(), "nonsense"):
        answer = await house.as_administrator().get(f"/v1/{path}/{unknown}")
        assert checked(answer, 404)["code"].endswith("-not-found")


async def test_deliveries_are_listed_page_by_page(house: House) -> None:
    await furnish(house)
    await ordered(house, 5)
    dispatcher = house.as_dispatcher()
    seen = []
    page = checked(await dispatcher.get("/v1/deliveries?date=2026-11-24&state=plannable&limit=2"))
    while True:
        seen += [item["id"] for item in page["items"]]
        if not page["next"]:
            break
        page = checked(await dispatcher.get("/v1/deliveries", params={"limit": 2, "cursor": page["next"]}))
    assert len(seen) == len(set(seen)) == 5
    one = checked(await dispatcher.get(f"/v1/deliveries/{seen[0]}"))
    assert (one["grams"], one["state"], one["note"]) == (24_000, "plannable", "Fragile")
    assert checked(await dispatcher.get("/v1/deliveries?state=cancelled"))["items"] == []
    assert checked(await dispatcher.get("/v1/deliveries?date=2026-11-25"))["items"] == []


async def test_a_cooperative_sees_deliveries_of_its_contracts_only(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    assert len(checked(await house.as_dispatcher("loire").get("/v1/deliveries"))["items"]) == 1
    stranger = house.as_dispatcher("sevre")
    assert checked(await stranger.get("/v1/deliveries"))["items"] == []
    (delivery,) = checked(await house.as_administrator().get("/v1/deliveries"))["items"]
    assert (await stranger.get(f"/v1/deliveries/{delivery['id']}")).status_code == 404
