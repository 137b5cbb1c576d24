"""The buyer's verification over HTTP: one leg by its version, a list, a month; finance all, a department its own."""

from typing import Any

import httpx
import pytest

from services.billing.domain.contract import Contract
from tests.billing.builders import a_contract, an_order, handed_over, hold, register, settle
from tests.billing.conftest import House


@pytest.fixture
def contract(house: House) -> Contract:
    return register(house.database, a_contract(verification_days=15))


def delivered(house: House, contract: Contract, **order: Any) -> str:
    placed = an_order(contract, **order)
    hold(house.database, placed)
    settle(house.database, handed_over(placed.id))
    return placed.id


async def decide(client: httpx.AsyncClient, order_id: str, verb: str, body: Any = None, **headers: str) -> Any:
    path = f"/v1/charges/{order_id}/1"
    if "if_match" not in headers:
        headers["if_match"] = (await client.get(f"{path}/acceptance")).headers.get("etag", "")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"{path}/{verb}", json=body, headers=sent)


async def test_a_leg_is_disputed_then_reduced_and_all_of_it_is_told(house: House, contract: Contract) -> None:
    order_id = delivered(house, contract)
    async with house.finance() as finance:
        read = (await finance.get(f"/v1/charges/{order_id}/1/acceptance")).json()
        assert (read["state"], read["silence_ends_on"], read["due"]) == ("delivered", "2026-12-02", "12.60")
        answer = await decide(finance, order_id, "dispute", {"reason": "Deux ballots manquants"})
        assert (answer.status_code, answer.json()["state"]) == (200, "disputed")
        cut = {"code": "LINGE", "cut": "2.40", "reason": "Deux ballots manquants"}
        answer = await decide(finance, order_id, "reduction", {"lines": [cut]}, if_match=answer.headers["etag"])
        shown = answer.json()
        assert (shown["state"], shown["settled"], shown["due"]) == ("reduced", "12.60", "10.20")
        assert [(one["number"], one["state"], one["given_back"]) for one in shown["decisions"]] == [
            (1, "disputed", "0.00"),
            (2, "reduced", "2.40"),
        ]
        assert shown["decisions"][1]["lines"] == [cut]
        (charge,) = (await finance.get(f"/v1/charges?order={order_id}")).json()["items"]
        assert (charge["acceptance"], charge["settled"], charge["due"]) == ("reduced", "12.60", "10.20")
        refused = await decide(finance, order_id, "rejection", {"reason": "x"})
        assert (refused.status_code, refused.json()["code"]) == (409, "decided-for-good")


async def test_who_decides_must_have_read_the_latest(house: House, contract: Contract) -> None:
    order_id = delivered(house, contract)
    async with house.finance() as finance:
        path = f"/v1/charges/{order_id}/1"
        old = (await finance.get(f"{path}/acceptance")).headers["etag"]
        assert (await finance.post(f"{path}/acceptance")).status_code == 428
        assert (await decide(finance, order_id, "acceptance", if_match=old)).status_code == 200
        stale = await decide(finance, order_id, "rejection", {"reason": "x"}, if_match=old)
        assert (stale.status_code, stale.json()["code"]) == (412, "version-stale")


async def test_the_same_request_sent_again_gets_the_same_answer(house: House, contract: Contract) -> None:
    order_id = delivered(house, contract)
    async with house.finance() as finance:
        etag = (await finance.get(f"/v1/charges/{order_id}/1/acceptance")).headers["etag"]
        given = {"if_match": etag, "idempotency_key": "k-1"}
        first = await decide(finance, order_id, "rejection", {"reason": "Jamais arrivé"}, **given)
        again = await decide(finance, order_id, "rejection", {"reason": "Jamais arrivé"}, **given)
    assert (first.status_code, first.content) == (again.status_code, again.content) == (200, first.content)


@pytest.mark.parametrize(
    ("verb", "body", "status", "code"),
    [
        ("dispute", {"reason": ""}, 422, "invalid-request"),
        ("reduction", {"lines": [{"code": "LINGE", "cut": "2.405", "reason": "x"}]}, 422, "invalid-request"),
        ("reduction", {"lines": [{"code": "LINGE", "cut": 2.4, "reason": "x"}]}, 422, "invalid-request"),
        ("reduction", {"lines": [{"code": "LINGE", "cut": "3.61", "reason": "x"}]}, 422, "cut-too-high"),
        ("reduction", {"lines": [{"code": "PIANO", "cut": "1.00", "reason": "x"}]}, 422, "line-not-charged"),
    ],
)
async def test_what_cannot_be_decided_is_refused_by_name(
    house: House, contract: Contract, verb: str, body: Any, status: int, code: str
) -> None:
    order_id = delivered(house, contract)
    async with house.finance() as finance:
        answer = await decide(finance, order_id, verb, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_list_or_a_month_is_accepted_at_once(house: House, contract: Contract) -> None:
    orders = [delivered(house, contract) for _ in range(4)]
    roads = delivered(house, contract, department_id="voirie")
    path = f"/v1/contracts/{contract.id}/acceptances"
    async with house.finance() as finance:
        await decide(finance, orders[0], "dispute", {"reason": "Porte fermée"})
        legs = [{"order_id": orders[1], "leg": 1}]
        assert (await finance.post(path, json={"legs": legs})).json() == {"accepted": 1}
        month = {"month": "2026-11", "department": "proprete"}
        assert (await finance.post(path, json=month)).json() == {"accepted": 2}
        waiting = (await finance.get(f"/v1/charges?contract={contract.id}&state=delivered")).json()["items"]
        assert [one["order_id"] for one in waiting] == [roads]
        neither = await finance.post(path, json={})
        assert (neither.status_code, neither.json()["code"]) == (422, "list-or-month")
        strange = await finance.post(path, json={"legs": [*legs, {"order_id": "x", "leg": 1}]})
        assert (strange.status_code, strange.json()["code"]) == (404, "charge-not-found")


async def test_a_department_decides_about_its_own_legs_only(house: House, contract: Contract) -> None:
    own, others = delivered(house, contract, department_id="voirie"), delivered(house, contract)
    async with house.account("voirie", roles=["department"], claims={"department": "voirie"}) as roads:
        assert [one["order_id"] for one in (await roads.get("/v1/charges")).json()["items"]] == [own]
        assert (await decide(roads, own, "acceptance")).status_code == 200
        assert (await decide(roads, others, "acceptance", if_match="*")).status_code == 404
        path = f"/v1/contracts/{contract.id}/acceptances"
        assert (await roads.post(path, json={"month": "2026-11"})).json() == {"accepted": 0}
        listed = await roads.post(path, json={"legs": [{"order_id": others, "leg": 1}]})
        assert listed.status_code == 404
        assert (await roads.get(f"/v1/contracts/{contract.id}")).status_code == 403
    async with house.account("nobody", roles=["department"]) as nobody:
        assert (await nobody.get("/v1/charges")).json()["items"] == []
    async with house.dispatcher(cooperative="erdre") as dispatcher:
        assert (await decide(dispatcher, own, "acceptance", if_match="*")).status_code == 403
