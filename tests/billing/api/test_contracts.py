"""Contracts, prices, gauge and closings over HTTP."""

from typing import Any

import pytest

from services.billing.domain.charge import Order
from services.billing.domain.contract import Contract
from tests.billing.builders import a_contract, an_order, handed_over, hold, lapsed, register, settle
from tests.billing.conftest import House

BODY: dict[str, Any] = {
    "reference": "2026-VELO-07",
    "title": "Transports à vélo",
    "buyer": {"name": "Ville de Nantes", "siret": "90000030800016", "engagement_number": "EJ-42"},
    "cooperatives": [
        {"id": "erdre", "name": "Coursiers de l'Erdre", "siret": "90000010000017", "address": "4 quai, Nantes"}
    ],
    "departments": [{"id": "proprete", "name": "Propreté"}],
    "starts_on": "2026-01-01",
    "ends_on": "2027-12-31",
    "ceiling": "90000.00",
    "cutoff_minutes": 720,
    "billable_failure_percent": 50,
    "late_cancellation_percent": 25,
    "vat_rates": [{"valid_from": "2014-01-01", "percent": "20.0", "source": "CGI, art. 278"}],
}
PRICE_LIST: dict[str, Any] = {
    "valid_from": "2026-01-01",
    "lines": [
        {"code": "COURSE", "label": "Course", "unit": "leg", "unit_price": "9.00"},
        {"code": "LINGE", "label": "Ballot", "unit": "load", "load_kind": "ballot-linge", "unit_price": "1.20"},
    ],
}


def changed(**changes: object) -> dict[str, Any]:
    return {**BODY, **changes}


async def test_a_contract_is_registered_with_its_prices_and_can_be_read(house: House) -> None:
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=changed(price_list=PRICE_LIST))
        assert answer.status_code == 201, answer.text
        contract = answer.json()
        assert answer.headers["location"] == f"/v1/contracts/{contract['id']}"
        read = await admin.get(answer.headers["location"])
        assert read.json() == contract
        assert (contract["ceiling"], contract["vat_rates"][0]["percent"]) == ("90000.00", "20.0")
        assert contract["alert_percents"] == [50, 75, 90, 100]
        lists = (await admin.get(f"{answer.headers['location']}/price-lists")).json()["items"]
        assert [(one["version"], one["lines"][1]["unit_price"]) for one in lists] == [(1, "1.20")]
        listed = (await admin.get("/v1/contracts")).json()
        assert [one["id"] for one in listed["items"]] == [contract["id"]]


async def test_a_contract_says_what_its_bikes_are_compared_with_and_what_unknown_loads_weigh(house: House) -> None:
    masses = [{"load_kind": "ballot-linge", "grams": 8_000}]
    async with house.administrator() as admin:
        plain = (await admin.post("/v1/contracts", json=BODY)).json()
        told = changed(reference="A", co2_baseline="A", load_masses=masses)
        own = (await admin.post("/v1/contracts", json=told)).json()
        unknown = await admin.post("/v1/contracts", json=changed(reference="C", co2_baseline="C"))
        assert (plain["co2_baseline"], plain["load_masses"]) == ("B", [])
        read = (await admin.get(f"/v1/contracts/{own['id']}")).json()
    assert (read["co2_baseline"], read["load_masses"]) == ("A", masses)
    assert unknown.status_code == 422


async def test_an_unchanged_contract_is_not_sent_again(house: House) -> None:
    contract = register(house.database, a_contract())
    async with house.finance() as finance:
        for path in (f"/v1/contracts/{contract.id}", f"/v1/contracts/{contract.id}/consumption"):
            first = await finance.get(path)
            again = await finance.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        hold(house.database, an_order(contract))
        after = await finance.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert after.status_code == 200


async def test_the_same_key_registers_once(house: House) -> None:
    async with house.administrator() as admin:
        key = {"Idempotency-Key": "k-1"}
        first = await admin.post("/v1/contracts", json=BODY, headers=key)
        again = await admin.post("/v1/contracts", json=BODY, headers=key)
        other = await admin.post("/v1/contracts", json=changed(title="Autre"), headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.content == again.content


async def test_a_reference_is_taken_once_and_a_bad_price_list_takes_nothing(house: House) -> None:
    async with house.administrator() as admin:
        double = {**PRICE_LIST, "lines": [PRICE_LIST["lines"][0]] * 2}
        refused = await admin.post("/v1/contracts", json=changed(price_list=double))
        assert (refused.status_code, refused.json()["code"]) == (422, "price-line-twice")
        first = await admin.post("/v1/contracts", json=BODY)
        second = await admin.post("/v1/contracts", json=BODY)
    assert first.status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "contract-reference-taken")
    assert second.json()["contract_id"] == first.json()["id"]


async def test_all_faults_of_form_come_back_together(house: House) -> None:
    body = changed(ceiling=90000.0, colour="red", cutoff_minutes="720", starts_on="2026-02-30")
    body["cooperatives"] = [{**BODY["cooperatives"][0], "id": "Pas Bon"}]
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {
        "/ceiling",
        "/colour",
        "/cutoff_minutes",
        "/starts_on",
        "/cooperatives/0/id",
    }


async def test_all_faults_of_substance_come_back_together(house: House) -> None:
    body = changed(ends_on="2025-01-01", zone="Europe/Nantes", ceiling="0")
    body["buyer"] = {**BODY["buyer"], "siret": "90000030800017"}
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=body)
    assert answer.status_code == 422
    assert [(fault["code"], fault["pointer"]) for fault in answer.json()["errors"]] == [
        ("siret-invalid", "/buyer/siret"),
        ("period-reversed", "/ends_on"),
        ("ceiling-missing", "/ceiling"),
        ("zone-unknown", "/zone"),
    ]


@pytest.mark.parametrize("amount", ["12.345", "-1", "1e3", "", "12,50", 12.5, None, "1234567890123"])
async def test_an_amount_is_decimal_text(house: House, amount: object) -> None:
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=changed(ceiling=amount))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/ceiling"


async def test_a_price_list_is_published_and_reprices(house: House) -> None:
    contract = register(house.database, a_contract())
    order = an_order(contract)
    hold(house.database, order)
    async with house.administrator() as admin:
        path = f"/v1/contracts/{contract.id}"
        dearer = {"valid_from": "2026-11-01", "lines": [{**PRICE_LIST["lines"][0], "unit_price": "10.00"}]}
        refused = await admin.post(f"{path}/price-lists", json=dearer)
        assert (refused.status_code, refused.json()["code"]) == (409, "load-not-priced")
        dearer["lines"].append(PRICE_LIST["lines"][1])  # type: ignore[attr-defined]
        answer = await admin.post(f"{path}/price-lists", json=dearer)
        assert (answer.status_code, answer.json()["version"]) == (201, 2)
        use = (await admin.get(f"{path}/consumption")).json()
        assert (use["held"], use["is_balanced"]) == ("13.60", True)


async def test_the_gauge_says_where_every_euro_stands(house: House) -> None:
    contract, orders = a_month(house)
    async with house.finance() as finance:
        use = (await finance.get(f"/v1/contracts/{contract.id}/consumption")).json()
    assert use == {
        "contract_id": contract.id,
        "ceiling": "50.00",
        "held": "12.60",
        "owed": "12.60",
        "invoiced": "0.00",
        "committed": "25.20",
        "left": "24.80",
        "committed_percent": "50.40",
        "reached_alert_percent": 50,
        "departments": [
            {
                "id": "proprete",
                "name": "Propreté des bâtiments",
                "held": "12.60",
                "owed": "0.00",
                "invoiced": "0.00",
                "committed": "12.60",
            },
            {
                "id": "voirie",
                "name": "Voirie et signalisation",
                "held": "0.00",
                "owed": "12.60",
                "invoiced": "0.00",
                "committed": "12.60",
            },
        ],
        "scopes": [],
        "accounts": {
            "ceiling": "-50.00",
            "available": "24.80",
            "held": "12.60",
            "owed": "12.60",
            "invoiced": "0.00",
        },
        "is_balanced": True,
    }
    assert len(orders) == 3


def a_month(house: House) -> tuple[Contract, list[Order]]:
    """One order held, one handed over, one lapsed, under a ceiling of 50.00 EUR."""
    contract = register(house.database, a_contract(ceiling_cents=5000))
    orders = [an_order(contract, department_id=department) for department in ("proprete", "voirie", "proprete")]
    for order in orders:
        hold(house.database, order)
    settle(house.database, handed_over(orders[1].id))
    settle(house.database, lapsed(orders[2].id))
    return contract, orders


async def test_a_month_is_closed_once_whoever_asks(house: House) -> None:
    contract, _ = a_month(house)
    path = f"/v1/contracts/{contract.id}/closings"
    async with house.finance() as finance:
        first = await finance.post(path, json={"month": "2026-11"})
        again = await finance.post(path, json={"month": "2026-11"})
        with_key = [
            await finance.post(path, json={"month": "2026-11"}, headers={"Idempotency-Key": "k"}) for _ in range(2)
        ]
    assert [answer.status_code for answer in with_key] == [200, 200]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    (statement,) = first.json()["statements"]
    assert (statement["number"], statement["net"], statement["tax"], statement["gross"]) == (
        "2026-00001",
        "12.60",
        "2.52",
        "15.12",
    )


@pytest.mark.parametrize(
    ("month", "status", "code"),
    [
        ("2026-12", 409, "month-not-over"),
        ("2027-05", 409, "month-not-over"),
        ("2025-12", 422, "month-before-contract"),
        ("2026-13", 422, "invalid-request"),
        ("2026-1", 422, "invalid-request"),
    ],
)
async def test_a_month_that_cannot_be_closed_is_refused(house: House, month: str, status: int, code: str) -> None:
    contract, _ = a_month(house)
    async with house.finance() as finance:
        answer = await finance.post(f"/v1/contracts/{contract.id}/closings", json={"month": month})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_finance_sees_its_buyers_contracts_only(house: House) -> None:
    contract, _ = a_month(house)
    path = f"/v1/contracts/{contract.id}"
    async with house.finance(buyer=contract.buyer.siret) as own, house.finance(buyer="90000010000017") as other:
        assert (await own.get(path)).status_code == 200
        assert [one["id"] for one in (await own.get("/v1/contracts")).json()["items"]] == [contract.id]
        assert (await other.get("/v1/contracts")).json()["items"] == []
        for suffix in ("", "/consumption", "/price-lists"):
            answer = await other.get(path + suffix)
            assert (answer.status_code, answer.json()["code"]) == (404, "contract-not-found")
        closing = await other.post(f"{path}/closings", json={"month": "2026-11"})
        assert closing.status_code == 404


async def test_each_caller_may_do_what_its_scopes_say(house: House) -> None:
    contract, _ = a_month(house)
    path = f"/v1/contracts/{contract.id}"
    async with house.client() as nobody:
        assert (await nobody.get("/v1/contracts")).status_code == 401
    async with house.dispatcher(cooperative="erdre") as dispatcher:
        assert (await dispatcher.get(path)).status_code == 403
        assert (await dispatcher.post(f"{path}/closings", json={"month": "2026-11"})).status_code == 403
    async with house.finance() as finance:
        assert (await finance.post("/v1/contracts", json=BODY)).status_code == 403
        assert (await finance.post(f"{path}/price-lists", json=PRICE_LIST)).status_code == 403
    async with house.account("robot", scopes=["billing:read"], is_machine=True) as machine:
        assert (await machine.get(path)).status_code == 200
        assert (await machine.post(f"{path}/closings", json={"month": "2026-11"})).status_code == 403


async def test_contracts_are_paged_without_a_gap(house: House) -> None:
    ids = [register(house.database, a_contract()).id for _ in range(5)]
    async with house.finance() as finance:
        seen: list[str] = []
        path = "/v1/contracts?limit=2"
        while path:
            answer = await finance.get(path)
            seen += [one["id"] for one in answer.json()["items"]]
            path = answer.headers.get("link", "").partition("<")[2].partition(">")[0]
        assert seen == ids
        assert (await finance.get("/v1/contracts?cursor=nonsense")).json()["code"] == "bad-cursor"
        assert (await finance.get("/v1/contracts?limit=0")).status_code == 422
        assert (await finance.get("/v1/contracts?colour=red")).status_code == 422
