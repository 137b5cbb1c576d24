"""What a dispatcher says of deliveries, crews and contracts beyond the orders reaches the plan."""

from typing import Any

import pytest

from services.dispatch.domain.courier import Share
from services.dispatch.domain.events import DeliveryId
from services.dispatch.use_cases.plans import Day
from tests.dispatch.builders import CONTRACT, PARIS, TODAY, a_delivery, at, contract_registered, order_id
from tests.dispatch.conftest import House, a_bike, a_shift, checked, drafted, furnish, hire, ordered, published

FIRST = f"{order_id(1)}-1"
INSTRUCTION = f"/v1/deliveries/{FIRST}/instruction"


async def change(house: House, path: str, **changes: Any) -> None:
    """Change a courier or a bike under the version that stands."""
    dispatcher = house.as_dispatcher()
    read = await dispatcher.get(path)
    body = {key: value for key, value in read.json().items() if key not in ("id", "cooperative_id")}
    body |= {"account": body.get("account") or ""} if "account" in body else {}
    checked(await dispatcher.put(path, json=body | changes, headers={"If-Match": read.headers["ETag"]}))


async def test_a_delivery_goes_to_who_has_the_skill_that_is_asked(house: House) -> None:
    shifts = await furnish(house, "erdre", "amel", "bastien")
    await ordered(house, 1)
    dispatcher = house.as_dispatcher()
    body = {"skills": ["Froid"], "reason": "Des vaccins."}
    given = checked(await dispatcher.put(INSTRUCTION, json=body))["instruction"]
    assert (given["skills"], given["reason"], given["given_by"]) == (["froid"], "Des vaccins.", "regie-erdre")
    (left_out,) = (await drafted(house))["left_out"]
    assert left_out["codes"] == ["skill"]
    assert [told["courier_name"] for told in left_out["shifts"]] == ["Amel", "Bastien"]
    (remedy,) = left_out["remedies"]
    assert (remedy["code"], remedy["what"], remedy["words"]) == (
        "skill",
        "froid",
        f"« froid » pour {remedy['courier_name']}",
    )
    await change(house, f"/v1/bikes/{shifts['bastien']['bike_id']}", skills=["froid", "grand"])
    (round_,) = (await drafted(house))["rounds"]
    assert round_["courier"]["name"] == "Bastien"


async def test_a_delivery_goes_to_the_courier_who_is_named_and_not_to_who_is_ruled_out(house: House) -> None:
    shifts = await furnish(house, "erdre", "amel", "bastien")
    await ordered(house, 1)
    dispatcher = house.as_dispatcher()
    for body in (
        {"courier_ids": [shifts["bastien"]["courier_id"]], "reason": "Il connaît le gardien."},
        {"forbidden_courier_ids": [shifts["amel"]["courier_id"]], "reason": "Elle est allergique."},
    ):
        checked(await dispatcher.put(INSTRUCTION, json=body))
        (round_,) = (await drafted(house))["rounds"]
        assert round_["courier"]["name"] == "Bastien"
    listed = checked(await dispatcher.get("/v1/deliveries"))["items"]
    assert listed[0]["instruction"]["reason"] == "Elle est allergique."
    assert checked(await dispatcher.delete(INSTRUCTION))["instruction"] is None
    assert checked(await dispatcher.delete(INSTRUCTION))["instruction"] is None  # twice is harmless


async def test_a_draft_is_stale_once_an_instruction_came(house: House) -> None:
    await furnish(house)
    await ordered(house, 1)
    plan = await drafted(house)
    dispatcher = house.as_dispatcher()
    checked(await dispatcher.put(INSTRUCTION, json={"skills": ["froid"], "reason": "Des vaccins."}))
    refused = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"), 409)
    assert refused["code"] == "plan-stale"
    assert "consigne" in refused["detail"]


async def test_a_move_by_hand_keeps_to_the_instruction(house: House) -> None:
    shifts = await furnish(house, "erdre", "amel")
    await ordered(house, 1)
    checked(
        await house.as_dispatcher().put(
            INSTRUCTION, json={"courier_ids": [shifts["amel"]["courier_id"]], "reason": "Elle a la clé."}
        )
    )
    plan = await drafted(house)
    bastien = await hire(house, "erdre", "bastien")
    move = {"delivery_id": FIRST, "shift_id": bastien["id"]}
    refused = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=move), 409)
    assert "consigne" in refused["detail"]


async def test_an_instruction_is_refused_for_what_is_published_unknown_or_anothers(house: House) -> None:
    await published(house, 1)
    elise = (await furnish(house, "loire", "elise"))["elise"]
    dispatcher = house.as_dispatcher()
    body = {"skills": ["froid"], "reason": "Des vaccins."}
    assert checked(await dispatcher.put(INSTRUCTION, json=body), 409)["code"] == "delivery-taken"
    assert (await dispatcher.put("/v1/deliveries/nothing/instruction", json=body)).status_code == 404
    anothers = {"courier_ids": [elise["courier_id"]], "reason": "x"}
    assert checked(await dispatcher.put(INSTRUCTION, json=anothers), 404)["errors"][0]["pointer"] == "/courier_ids"
    assert (await house.as_dispatcher("sevre").put(INSTRUCTION, json=body)).status_code == 404
    assert checked(await dispatcher.put(INSTRUCTION, json={"reason": "x"}), 422)["code"] == "out-of-bounds"


async def test_a_break_a_range_and_a_speed_are_kept_and_planned_with(house: House) -> None:
    rest = {"window_start": at(9).isoformat(), "window_end": at(10).isoformat(), "length_seconds": 1800}
    shifts = await furnish(house, "erdre", "amel", breaks=[rest])
    dispatcher = house.as_dispatcher()
    shift = checked(await dispatcher.get(f"/v1/shifts/{shifts['amel']['id']}"))
    assert shift["breaks"] == [
        {"window_start": "2026-11-24T08:00:00Z", "window_end": "2026-11-24T09:00:00Z", "length_seconds": 1800}
    ]
    await ordered(house, 2)
    plan = await drafted(house)
    (round_,) = plan["rounds"]
    (taken,) = round_["breaks"]
    assert "2026-11-24T08:00:00Z" <= taken["starts_at"] <= "2026-11-24T09:00:00Z"
    shown = checked(await dispatcher.post(f"/v1/plans/{plan['id']}/publication"))
    assert shown["rounds"][0]["breaks"] == [taken]
    assert checked(await dispatcher.get("/v1/rounds"))["items"][0]["breaks"] == [taken]
    outside = rest | {"window_end": at(12, 45).isoformat()}
    body = {key: shift[key] for key in ("courier_id", "bike_id", "starts_at", "ends_at", "start")}
    refused = checked(await dispatcher.post("/v1/shifts", json=body | {"breaks": [outside]}), 422)
    assert "/breaks/0/window_start" in str(refused)
    bike = checked(
        await dispatcher.post("/v1/bikes", json=a_bike(range_metres=2_000, speed_percent=120, capacity_pieces=8)), 201
    )
    assert (bike["range_metres"], bike["speed_percent"], bike["capacity_pieces"]) == (2_000, 120, 8)


async def test_a_remedy_names_the_courier_and_the_hour(house: House) -> None:
    await furnish(house, "erdre", "amel", ends_at=at(8, 10).isoformat())
    await ordered(house, 1)
    (left_out,) = (await drafted(house))["left_out"]
    shift = next(remedy for remedy in left_out["remedies"] if remedy["code"] == "shift")
    assert (shift["what"], shift["courier_name"]) == ("end", "Amel")
    assert shift["words"].startswith(
        f"{-(-shift['amount'] // 60)} minutes de plus à la fin de la vacation d’Amel (jusqu’à 8 h "
    )
    assert shift["until"] > "2026-11-24T07:10:00Z"


async def test_nobody_is_advised_to_ride_on_a_bike_that_is_another_couriers_by_then(house: House) -> None:
    shifts = await furnish(house, "erdre", "amel", ends_at=at(8, 10).isoformat())
    dispatcher = house.as_dispatcher()
    second = checked(await dispatcher.post("/v1/couriers", json={"name": "Basile", "account": "basile"}), 201)
    body = a_shift(second["id"], shifts["amel"]["bike_id"])
    body |= {"starts_at": at(8, 11).isoformat(), "ends_at": at(8, 12).isoformat()}
    body["start"] = {"latitude": 47.9, "longitude": -1.55}  # so far away that hours more would be needed
    checked(await dispatcher.post("/v1/shifts", json=body), 201)
    await ordered(house, 1)
    (left_out,) = (await drafted(house))["left_out"]
    ends = [one["until"] for one in left_out["remedies"] if (one["code"], one["what"]) == ("shift", "end")]
    assert ends == []


async def test_a_remedy_on_anothers_shift_names_nobody(house: House) -> None:
    await furnish(house, "loire", "elise", ends_at=at(8, 10).isoformat())
    await furnish(house, "erdre", "amel", starts_at=at(4).isoformat(), ends_at=at(4, 30).isoformat())
    await ordered(house, 1)
    (left_out,) = (await drafted(house))["left_out"]
    assert left_out["remedies"]
    assert "Elise" not in str(left_out)
    shift = next(remedy for remedy in left_out["remedies"] if remedy["code"] == "shift")
    assert (shift["shift_id"], shift["courier_name"]) == (None, None)


async def test_a_holder_rides_no_more_than_its_share(house: House) -> None:
    await furnish(house, "erdre", "amel")
    await furnish(house, "loire", "elise")
    await ordered(house, 4)
    admin = house.as_administrator()
    shares = {
        "shares": [
            {"cooperative_id": "erdre", "at_least_permille": 200, "at_most_permille": 500},
            {"cooperative_id": "loire", "at_least_permille": 0, "at_most_permille": 500},
        ]
    }
    kept = checked(await admin.put(f"/v1/shares/{CONTRACT}", json=shares))
    assert kept["shares"] == shares["shares"]
    plan = await drafted(house, by=admin)
    assert {round_["cooperative_id"]: round_["deliveries"] for round_ in plan["rounds"]} == {"erdre": 2, "loire": 2}
    assert checked(await house.as_dispatcher("loire").get(f"/v1/shares/{CONTRACT}")) == kept


async def test_shares_are_the_administrations_to_keep(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered())
    body = {"shares": [{"cooperative_id": "erdre"}]}
    assert (await house.as_dispatcher().put(f"/v1/shares/{CONTRACT}", json=body)).status_code == 403
    admin = house.as_administrator()
    assert checked(await admin.put(f"/v1/shares/{order_id(9)}", json=body), 404)["code"] == "contract-not-found"
    stranger = {"shares": [{"cooperative_id": "sevre"}]}
    assert checked(await admin.put(f"/v1/shares/{CONTRACT}", json=stranger), 404)["code"] == "cooperative-not-found"
    too_little = {"shares": [{"cooperative_id": one, "at_most_permille": 400} for one in ("erdre", "loire")]}
    assert checked(await admin.put(f"/v1/shares/{CONTRACT}", json=too_little), 422)["errors"][0]["pointer"] == "/shares"
    assert (await house.as_dispatcher("sevre").get(f"/v1/shares/{CONTRACT}")).status_code == 404


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({}, []),
        ({"one": [Share("erdre", 300, 600)]}, [("erdre", 150, 800)]),
        ({"one": [Share("erdre", 300, 600)], "two": [Share("erdre", 100, 200), Share("loire", 0, 900)]},
         [("erdre", 200, 400), ("loire", 0, 950)]),
    ],
)  # fmt: skip
def test_the_shares_of_several_contracts_are_added_up(shares: dict[str, list[Share]], told: list[Any]) -> None:
    deliveries = {DeliveryId(order_id(number), 1): a_delivery(number, contract_id=contract_id)
                  for number, contract_id in ((1, "one"), (2, "two"))}  # fmt: skip
    holders = {contract_id: frozenset({"erdre", "loire"}) for contract_id in ("one", "two")}
    day = Day(TODAY, PARIS, deliveries, holders, {}, shares=shares)
    assert [(share.group, share.at_least_permille, share.at_most_permille) for share in day.shares_to_plan()] == told
