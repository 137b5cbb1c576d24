"""What a load takes to load, and how long it may be on the way, reaches the plan."""

from datetime import datetime, timedelta
from typing import Any

from services.contracts.orders.v1 import events_pb2 as orders
from services.dispatch import messages
from tests.dispatch.builders import a_leg, amount_held, contract_registered, order_id, order_placed
from tests.dispatch.conftest import House, checked, drafted, furnish

MEALS = orders.Load(
    kind="panier-repas",
    label="panier-repas",
    count=6,
    unit_grams=2_500,
    unit_millilitres=12_000,
    unit_seconds=20,
    longest_ride_seconds=600,
)


def meals(number: int = 1, **changes: Any) -> orders.OrderPlaced:
    """An order of meals from the kitchen to the school."""
    leg = a_leg()
    leg.loads[0].CopyFrom(MEALS)
    for name, value in changes.items():
        setattr(leg.loads[0], name, value)
    return order_placed(number, leg)


def stops_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [stop for round_ in plan["rounds"] for stop in round_["stops"]]


def instants(stop: dict[str, Any]) -> tuple[datetime, datetime]:
    start, leaves = (datetime.fromisoformat(stop[name]) for name in ("starts_at", "leaves_at"))
    return start, leaves


async def test_units_take_their_time_at_both_ends(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered(), meals(longest_ride_seconds=86_400), amount_held(1))
    stops = stops_of(await drafted(house))
    assert [leaves - start for start, leaves in map(instants, stops)] == [timedelta(seconds=180 + 6 * 20)] * 2
    (load,) = stops[0]["loads"]
    assert (load["unit_seconds"], load["longest_ride_seconds"]) == (20, 86_400)


async def test_a_load_that_would_be_on_the_way_too_long_is_left_out_with_why_and_what_would_help(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered(), meals(longest_ride_seconds=60), amount_held(1))
    (told,) = (await drafted(house))["left_out"]
    assert told["codes"] == ["ride-time"]
    (remedy,) = [one for one in told["remedies"] if one["code"] == "ride-time"]
    assert remedy["words"].endswith("de plus à bord, avec Amel")
    # What is told is true: so much longer it is ridden, a second less it is not.
    enough = 60 + remedy["amount"]
    await house.hear(meals(2, longest_ride_seconds=enough), amount_held(2))
    await house.hear(meals(3, longest_ride_seconds=enough - 1), amount_held(3))
    plan = await drafted(house)
    assert {item["delivery_id"] for item in plan["left_out"]} == {f"{order_id(1)}-1", f"{order_id(3)}-1"}
    pickup, drop = stops_of(plan)
    assert (instants(drop)[0] - instants(pickup)[1]).total_seconds() <= enough


async def test_a_hand_does_not_keep_a_load_on_the_way_too_long(house: House) -> None:
    await furnish(house)
    await house.hear(contract_registered(), meals(1, longest_ride_seconds=60), amount_held(1))
    await house.hear(meals(2, longest_ride_seconds=86_400), amount_held(2))
    plan = await drafted(house)
    move = {"delivery_id": f"{order_id(1)}-1", "shift_id": plan["rounds"][0]["shift_id"]}
    refused = checked(await house.as_dispatcher().post(f"/v1/plans/{plan['id']}/moves", json=move), 409)
    assert "la charge de la livraison C-0001 resterait trop longtemps à bord (Amel)" in refused["detail"]


def test_the_most_delicate_load_says_how_long_a_delivery_may_be_on_the_way() -> None:
    event = meals()
    event.legs[0].loads.add().CopyFrom(orders.Load(kind="linge", label="linge", count=2, unit_seconds=5))
    (delivery,) = messages.deliveries(event)
    assert [load.longest_ride_seconds for load in delivery.loads] == [600, None]
    assert (delivery.longest_ride_seconds, delivery.loading_seconds) == (600, 130)
    (unlimited,) = messages.deliveries(order_placed())
    assert (unlimited.longest_ride_seconds, unlimited.loading_seconds) == (None, 0)
