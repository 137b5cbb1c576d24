import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.contracts.billing.v1 import events_pb2 as billing
from services.contracts.dispatch.v1 import events_pb2 as dispatch
from services.kit import clock
from services.kit.errors import DomainError
from services.orders.api import PROBLEMS
from services.orders.domain import errors
from tests.orders.builders import CONTRACT, LAUNDRY, NOW, SCHOOL
from tests.orders.conftest import House
from tests.orders.requests import Json, exchange_body, leg_body, order_body, window_body


async def placed(house: House, **changes: object) -> Json:
    async with house.as_department() as client:
        answer = await client.post("/v1/orders", json=order_body(**changes))
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["ETag"]}


async def test_an_order_is_placed(house: House) -> None:
    async with house.as_department() as client:
        answer = await client.post("/v1/orders", json=order_body(client_reference="L-1", note="sonner"))
        order = answer.json()
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"/v1/orders/{order['id']}"
        read = await client.get(answer.headers["Location"])
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert read.json() == {**order, "history": read.json()["history"]}
    assert order["reference"] == "CMD-2026-000001"
    assert (order["status"], order["contract_id"], order["held"]) == ("requested", CONTRACT, None)
    leg = order["legs"][0]
    assert (leg["service_date"], leg["grams"], leg["free_until"]) == ("2026-11-26", 16_000, "2026-11-25T07:00:00Z")
    assert [step["what"] for step in read.json()["history"]] == ["placed"]


async def test_all_faults_come_at_once_with_their_places_and_sentences(house: House) -> None:
    await placed(house, client_reference="L-1")
    wrong = leg_body(end="nowhere", count=99)
    wrong["drop"]["window"] = window_body(start="10:00", end="09:00")
    async with house.as_department() as client:
        body = order_body(legs=[wrong], client_reference="L-1", contract_id="unknown")
        answer = await client.post("/v1/orders", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {(fault["pointer"], fault["code"]) for fault in problem["errors"]} == {
        ("/legs/0/loads", "too-much-for-one-bike"),
        ("/legs/0/drop/site_id", "unknown-site"),
        ("/contract_id", "unknown-contract"),
        ("/client_reference", "client-reference-taken"),
    }
    assert all(fault["detail"].endswith(".") for fault in problem["errors"])


async def test_unknown_fields_and_wrong_shapes_are_refused_together(house: House) -> None:
    async with house.as_department() as client:
        body = {"legs": [{**leg_body(), "loads": []}], "urgent": True, "flow": "boomerang"}
        answer = await client.post("/v1/orders", json=body)
        unknown = await client.post("/v1/orders?dryrun=true", json=order_body())
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/flow", "/urgent", "/legs/0/loads"}
    assert (answer.status_code, unknown.status_code) == (422, 422)


@pytest.mark.parametrize(
    "instant", ["2026-11-26T08:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 5]
)
async def test_instants_without_offset_or_out_of_time_are_refused(house: House, instant: object) -> None:
    leg = leg_body()
    leg["pickup"]["window"]["start"] = instant
    async with house.as_department() as client:
        answer = await client.post("/v1/orders", json=order_body(legs=[leg]))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].endswith("/window/start")


async def test_a_dry_run_checks_everything_and_creates_nothing(house: House) -> None:
    async with house.as_department() as client:
        answer = await client.post("/v1/orders?dry_run=true", json=exchange_body())
        refused = await client.post("/v1/orders?dry_run=true", json=order_body(contract_id="unknown"))
        orders = await client.get("/v1/orders")
    assert answer.status_code == 200
    assert (answer.json()["dry_run"], len(answer.json()["legs"])) == (True, 2)
    assert refused.status_code == 422
    assert orders.json()["items"] == []


async def test_the_same_key_and_body_give_the_same_answer_and_one_order(house: House) -> None:
    key = {"Idempotency-Key": "k-1"}
    async with house.as_department() as client:
        first, *others = await asyncio.gather(
            *(client.post("/v1/orders", json=order_body(), headers=key) for _ in range(4))
        )
        last = await client.post("/v1/orders", json=order_body(), headers=key)
        other = await client.post("/v1/orders", json=order_body(note="x"), headers=key)
        orders = await client.get("/v1/orders")
    answers = {answer.json()["id"] for answer in (first, *others, last) if answer.status_code == 201}
    assert {answer.status_code for answer in (first, *others)} <= {201, 409}
    assert len(answers) == 1
    assert other.status_code == 422
    assert len(orders.json()["items"]) == 1


async def test_a_client_reference_used_before_names_the_order(house: House) -> None:
    first = await placed(house, client_reference="L-1")
    async with house.as_department() as client:
        answer = await client.post("/v1/orders", json=order_body(client_reference="L-1"))
    assert answer.status_code == 409
    assert answer.json()["order"] == f"/v1/orders/{first['id']}"


async def test_what_another_department_owns_does_not_exist(house: House) -> None:
    order = await placed(house)
    etag = {"If-Match": order["etag"]}
    for caller in (house.as_department("voirie"), house.as_account("machine")):
        async with caller as client:
            path = f"/v1/orders/{order['id']}"
            answers = [
                await client.get(path),
                await client.patch(path, json={"note": "x"}, headers=etag),
                await client.post(f"{path}/cancellation", json={}, headers=etag),
                await client.get(f"/v1/sites/{LAUNDRY}"),
            ]
            assert [answer.status_code for answer in answers] == [404] * 4
            assert (await client.get("/v1/orders")).json()["items"] == []
            assert (await client.get("/v1/orders?department_id=proprete")).json()["items"] == []
            assert (await client.get("/v1/sites")).json()["items"] == []


async def test_who_may_not_order_is_turned_away(house: House) -> None:
    async with house.client() as nobody, house.as_account("amel") as courier:
        assert (await nobody.post("/v1/orders", json=order_body())).status_code == 401
        assert (await courier.post("/v1/orders", json=order_body())).status_code == 403
        assert (await courier.get("/v1/orders")).status_code == 403
    async with house.as_account("machine") as machine:
        answer = await machine.post("/v1/orders", json=order_body())
    assert "unknown-department" in {fault["code"] for fault in answer.json()["errors"]}


async def test_a_machine_orders_for_its_department_and_an_administrator_for_any(house: House) -> None:
    async with house.as_account("machine-proprete") as machine:
        assert (await machine.post("/v1/orders", json=order_body())).json()["department_id"] == "proprete"
    async with house.as_administrator() as admin:
        assert (await admin.post("/v1/orders", json=order_body())).status_code == 422
        answer = await admin.post("/v1/orders", json=order_body(department_id="proprete"))
        assert answer.status_code == 201
        assert len((await admin.get("/v1/orders")).json()["items"]) == 2
    async with house.as_department() as client:
        answer = await client.post("/v1/orders", json=order_body(department_id="voirie"))
    assert answer.status_code == 422


async def test_lists_come_in_pages_that_miss_and_repeat_nothing(house: House) -> None:
    days = ["2026-11-30", "2026-11-26", "2026-11-27", "2026-11-26", "2026-12-03"]
    async with house.as_department() as client:
        for day in days:
            await client.post("/v1/orders", json=order_body(legs=[leg_body(day=day)]))
        seen: list[Json] = []
        address: str | None = "/v1/orders?limit=2"
        while address:
            answer = await client.get(address)
            seen += answer.json()["items"]
            address = answer.links["next"]["url"] if "next" in answer.links else None
            if len(seen) == 2:
                await client.post("/v1/orders", json=order_body())  # newer than what was seen of its day
        dates = [order["legs"][0]["service_date"] for order in seen]
        assert dates == sorted([*days, "2026-11-26"])
        assert len({order["id"] for order in seen}) == 6
        narrow = await client.get("/v1/orders?date_from=2026-11-27&date_to=2026-11-30&status=requested&status=accepted")
        assert len(narrow.json()["items"]) == 2
        assert (await client.get(f"/v1/orders?site_id={SCHOOL}")).json()["next"] is None
        named = await client.get(f"/v1/orders?reference={seen[0]['reference']}")
        assert [order["id"] for order in named.json()["items"]] == [seen[0]["id"]]
        for wrong in ("cursor=xx", "status=lost", "limit=0", "limit=999", "date_from=yesterday", "sort=asc"):
            assert (await client.get(f"/v1/orders?{wrong}")).status_code == 422


async def test_a_cancellation_needs_the_version_that_was_read(house: House) -> None:
    order = await placed(house)
    path = f"/v1/orders/{order['id']}/cancellation"
    async with house.as_department() as client:
        assert (await client.post(path, json={})).status_code == 428
        assert (await client.post(path, json={}, headers={"If-Match": '"old"'})).status_code == 412
        answer = await client.post(path, json={"reason": "férié"}, headers={"If-Match": order["etag"]})
        assert answer.status_code == 200
        assert answer.json()["status"] == "cancelling"
        assert answer.json()["legs"][0]["is_late_cancellation"] is False
        again = await client.post(path, json={}, headers={"If-Match": answer.headers["ETag"]})
    assert again.status_code == 409
    assert again.json()["code"] == "already-over"


async def test_a_late_cancellation_says_so_and_a_collected_load_cannot_be_cancelled(house: House) -> None:
    late, collected = await placed(house), await placed(house)
    report = dispatch.StopCompleted(order_id=collected["id"], leg=1, stop_kind=dispatch.STOP_KIND_PICKUP)
    report.completed_at.FromDatetime(NOW)
    await asyncio.to_thread(house.tell, report)
    clock.set_now(NOW + timedelta(hours=30))
    async with house.as_department() as client:
        any_version = {"If-Match": "*"}
        answer = await client.post(f"/v1/orders/{late['id']}/cancellation", json={}, headers=any_version)
        assert answer.json()["legs"][0]["is_late_cancellation"] is True
        refused = await client.post(f"/v1/orders/{collected['id']}/cancellation", json={}, headers=any_version)
    assert (refused.status_code, refused.json()["code"]) == (409, "already-collected")


async def test_windows_and_note_change_before_the_cut_off(house: House) -> None:
    order = await placed(house)
    path = f"/v1/orders/{order['id']}"
    change = {"note": "par la cour", "legs": [{"number": 1, "pickup": {"window": window_body(start="07:00")}}]}
    async with house.as_department() as client:
        assert (await client.patch(path, json=change)).status_code == 428
        answer = await client.patch(path, json=change, headers={"If-Match": order["etag"]})
        assert answer.json()["legs"][0]["pickup"]["window"]["start"] == "2026-11-26T06:00:00Z"
        assert (answer.json()["note"], answer.json()["version"]) == ("par la cour", 2)
        stale = await client.patch(path, json=change, headers={"If-Match": order["etag"]})
        assert stale.status_code == 412
        clock.set_now(NOW + timedelta(hours=30))
        late = await client.patch(path, json=change, headers={"If-Match": answer.headers["ETag"]})
    assert (late.status_code, late.json()["code"]) == (409, "too-late-to-amend")
    assert "25/11/2026" in late.json()["detail"]


async def test_an_unchanged_order_is_not_sent_again(house: House) -> None:
    order = await placed(house)
    async with house.as_department() as client:
        answer = await client.get(f"/v1/orders/{order['id']}", headers={"If-None-Match": order["etag"]})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_held_and_settled_amounts_are_listed_as_decimal_text(house: House) -> None:
    order = await placed(house)
    held = billing.AmountHeld(order_id=order["id"], contract_id=CONTRACT, amount_cents=123_405)
    held.held_at.FromDatetime(NOW)
    settled = billing.LegSettled(order_id=order["id"], leg=1, outcome=billing.OUTCOME_DELIVERED, amount_cents=120_000)
    settled.settled_at.FromDatetime(NOW)
    for event in (held, settled):
        await asyncio.to_thread(house.tell, event)
    async with house.as_administrator() as admin:
        (listed,) = (await admin.get("/v1/orders")).json()["items"]
    assert listed["held"] == "1234.05"
    assert listed["legs"][0]["settled"] == {
        "outcome": "delivered",
        "amount": "1200.00",
        "at": datetime(2026, 11, 24, 9, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
    }


def test_every_refusal_has_a_status_a_code_of_its_own_and_a_title() -> None:
    refusals = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert set(refusals) == set(PROBLEMS)
    assert len({kind.code for kind in PROBLEMS}) == len(PROBLEMS)
    assert all(kind.title and kind.title != DomainError.title for kind in PROBLEMS)
