"""Index values over HTTP: recorded with their source, never edited."""

from typing import Any

import httpx

from services.billing.domain.contract import Contract
from tests.billing.builders import a_contract
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


async def test_a_contract_cannot_say_a_revision_clause_yet(house: House) -> None:
    async with house.administrator() as admin:
        await record(admin)
        answer = await admin.post("/v1/contracts", json=contract_body(a_contract(), revision=CLAUSE))
    assert answer.status_code == 422, "never taken in silence and then billed at base prices"
