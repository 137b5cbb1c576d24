"""Index values over HTTP: recorded with their source, never edited."""

from typing import Any

import httpx

from services.billing.domain.contract import Contract
from tests.billing.builders import a_contract, register
from tests.billing.conftest import House

VALUE = {
    "month": "2025-12",
    "value": "124.3",
    "status": "definitive",
    "published_on": "2026-02-20",
    "source": "INSEE, série de démonstration",
}
CLAUSE: dict[str, Any] = {
    "fixed": "0.15",
    "weights": [{"index_id": "ICHT", "weight": "0.85"}],
    "base_month": "2025-12",
}


async def record(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post("/v1/indices/ICHT/values", json={**VALUE, **changes})


def contract_body(contract: Contract, **changes: Any) -> dict[str, Any]:
    return {
        "reference": contract.reference,
        "title": contract.title,
        "buyer": {"name": contract.buyer.name, "siret": contract.buyer.siret},
        "cooperatives": [
            {"id": one.id, "name": one.name, "siret": one.siret, "address": one.address}
            for one in contract.cooperatives
        ],
        "departments": [{"id": one.id, "name": one.name} for one in contract.departments],
        "starts_on": "2026-01-01",
        "ends_on": "2027-12-31",
        "ceiling": "90000.00",
        "cutoff_minutes": 720,
        "billable_failure_percent": 50,
        "late_cancellation_percent": 25,
        "vat_rates": [{"valid_from": "2014-01-01", "percent": "20.0", "source": "CGI, art. 278"}],
        **changes,
    }


async def test_values_are_added_in_versions_and_listed(house: House) -> None:
    async with house.administrator() as admin, house.finance() as finance:
        early = await record(admin, status="provisional", value="124.1")
        final = await record(admin)
        again = await record(admin, value="125")
        listed = (await finance.get("/v1/indices/ICHT/values")).json()["items"]
        assert (await finance.get("/v1/indices")).json()["items"] == ["ICHT"]
        assert (await finance.get("/v1/indices/OTHER/values")).json()["code"] == "index-unknown"
        assert (await record(finance)).status_code == 403
    assert (early.status_code, early.json()["version"], final.json()["version"]) == (201, 1, 2)
    assert (again.status_code, again.json()["code"]) == (409, "index-value-definitive")
    assert [(one["value"], one["status"]) for one in listed] == [("124.1", "provisional"), ("124.3", "definitive")]


async def test_a_float_is_no_index_value(house: House) -> None:
    async with house.administrator() as admin:
        assert (await record(admin, value=124.3)).status_code == 422
        assert (await record(admin, value="1e3")).status_code == 422


async def test_a_clause_is_kept_as_it_was_given(house: House) -> None:
    async with house.administrator() as admin:
        await record(admin)
        made = await admin.post("/v1/contracts", json=contract_body(a_contract(), revision=CLAUSE))
        read = (await admin.get(f"/v1/contracts/{made.json()['id']}")).json()
    assert made.status_code == 201
    assert read["revision"]["weights"] == [{"index_id": "ICHT", "weight": "0.85"}]
    assert (read["revision"]["step"], read["revision"]["ceiling_basis"]) == ("0.001", "revised")


async def test_a_clause_that_cannot_be_computed_is_refused_by_name(house: House) -> None:
    unknown = {**CLAUSE, "weights": [{"index_id": "NONE", "weight": "0.85"}]}
    uneven = {**CLAUSE, "fixed": "0.2", "price_decimals": 9}
    async with house.administrator() as admin:
        answers = [
            await admin.post("/v1/contracts", json=contract_body(a_contract(), revision=clause))
            for clause in (unknown, uneven)
        ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json()["code"] == "index-unknown"
    assert {one["code"] for one in answers[1].json()["errors"]} == {"revision-weights-invalid", "revision-term-invalid"}


async def test_a_new_value_says_what_it_did_to_open_holds(house: House) -> None:
    async with house.administrator() as admin:
        await record(admin)
        made = await admin.post("/v1/contracts", json=contract_body(a_contract(), revision=CLAUSE))
        register(house.database, a_contract())
        answer = await record(admin, month="2026-11", value="128.9", published_on="2026-12-20")
    assert answer.json()["revalued"] == [
        {"contract_id": made.json()["id"], "legs": 0, "change": "0.00", "short": "0.00", "short_text": ""}
    ]
