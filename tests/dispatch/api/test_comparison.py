"""Two drafts of a day are compared, and one of them is published."""

from tests.dispatch.api.test_planning_settings import at_nine, set_
from tests.dispatch.builders import TODAY, amount_held, contract_registered, order_id, order_placed
from tests.dispatch.conftest import House, checked, drafted, furnish
from tests.dispatch.pages.test_board import DAY, a_board

PAGE = "/tableau/comparaison?date=2026-11-24"


async def two_drafts(house: House) -> list[dict[str, object]]:
    """Draft a day twice: with two couriers in time, and with one who is late for the second delivery."""
    await furnish(house, "erdre", "amel", "bastien")
    await house.hear(contract_registered())
    for number, place in ((1, "blanchisserie"), (2, "jardin")):
        await house.hear(order_placed(number, at_nine(place)), amount_held(number))
    first = await drafted(house)
    await set_(house, courier_seconds=14_400, tolerance_seconds=3_600, late_weight=1)
    return [first, await drafted(house)]


async def test_two_drafts_are_compared(house: House) -> None:
    first, second = await two_drafts(house)
    dispatcher = house.as_dispatcher()
    path = f"/v1/plans/{first['id']}/comparison?with={second['id']}"
    told = checked(await dispatcher.get(path))
    one, other = told["one"], told["other"]
    assert (one["plan_id"], other["plan_id"]) == (first["id"], second["id"])
    assert (one["rounds"], one["deliveries"], one["left_out"], one["late_seconds"]) == (2, 2, 0, 0)
    assert (other["rounds"], other["deliveries"], other["left_out"]) == (1, 2, 0)
    assert other["late_seconds"] > 0
    assert (one["settings"]["courier_seconds"], other["settings"]["courier_seconds"]) == (0, 14_400)
    assert one["cooperatives"] == [{"cooperative_id": "erdre", "cooperative_name": "Erdre", "deliveries": 2}]
    (moved,) = told["differences"]
    assert {moved["one"]["courier_name"], moved["other"]["courier_name"]} == {"Amel", "Bastien"}
    assert {each["courier_name"]: bool(each["one"] and each["other"]) for each in told["shifts"]} == {
        moved["one"]["courier_name"]: False,
        moved["other"]["courier_name"]: True,
    }
    assert checked(await house.as_administrator().get(path))["one"]["deliveries"] == 2
    assert checked(await house.as_dispatcher("sèvre").get(path), 404)["code"] == "plan-not-found"


async def test_the_page_compares_the_newest_two_and_publishes_either(house: House) -> None:
    board = await a_board(house)
    assert "Il faut deux plans" in (await board.get(PAGE)).text
    first, second = await two_drafts(house)
    assert "Comparer les brouillons" in (await board.get(DAY)).text
    page = (await board.get(PAGE)).text
    assert "jamais laissée" in page
    assert page.index(f"/tableau/plans/{first['id']}/publication") < page.index(f"/{second['id']}/publication")
    named = (await board.get(f"{PAGE}&plan={second['id']}&avec={first['id']}")).text
    assert named.index(f"/{second['id']}/publication") < named.index(f"/{first['id']}/publication")
    answer = await board.post(f"/tableau/plans/{first['id']}/publication")
    assert answer.status_code == 303
    # The other draft can no longer be published, and is no longer offered.
    page = (await board.get(DAY)).text
    assert "Brouillon" not in page
    assert "Publier" not in page
    assert len(checked(await house.as_dispatcher().get(f"/v1/rounds?date={TODAY}"))["items"]) == 2
    assert '<span class="badge good">publié</span>' in (await board.get(PAGE)).text


async def test_what_another_cooperative_rides_is_told_by_its_name(house: House) -> None:
    await furnish(house, "loire", "elise")
    await house.hear(contract_registered(), order_placed(1, at_nine("jardin")), amount_held(1))
    board = await a_board(house)
    first = await drafted(house)
    shift = (await furnish(house))["amel"]
    body = {"courier_ids": [shift["courier_id"]], "reason": "Elle a la clé."}
    checked(await house.as_dispatcher().put(f"/v1/deliveries/{order_id(1)}-1/instruction", json=body))
    second = await drafted(house)
    told = checked(await house.as_dispatcher().get(f"/v1/plans/{first['id']}/comparison?with={second['id']}"))
    (moved,) = told["differences"]
    assert (moved["one"]["cooperative_id"], moved["one"]["shift_id"]) == ("loire", None)
    assert moved["other"]["courier_name"] == "Amel"
    assert told["one"]["cooperatives"] == [{"cooperative_id": "loire", "cooperative_name": "Loire", "deliveries": 1}]
    page = (await board.get(PAGE)).text
    assert "<td>Loire</td>" in page
    assert "Elise" not in page
