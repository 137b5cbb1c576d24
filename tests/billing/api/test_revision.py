"""Worked examples D and E over HTTP, to the cent: what is told of a revised month, and of its correction."""

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from services.billing.api.contracts import ContractOut
from services.kit import clock
from tests.billing.api.test_contracts import BODY
from tests.billing.api.test_indices import CLAUSE
from tests.billing.builders import a_contract, a_leg_to_price, an_order, handed_over, hold, settle
from tests.billing.conftest import NOW, House

PRICES = {
    "valid_from": "2026-01-01",
    "lines": [{"code": "COURSE", "label": "Course", "unit": "leg", "unit_price": "9.45"}],
}


async def record(admin: httpx.AsyncClient, month: str, value: str) -> None:
    told = {"month": month, "value": value, "status": "definitive", "published_on": f"{month}-28", "source": "INSEE"}
    answer = await admin.post("/v1/indices/ICHT/values", json=told)
    assert answer.status_code == 201, answer.text


async def register(admin: httpx.AsyncClient, **terms: Any) -> str:
    shown = ContractOut.of(a_contract()).model_dump(mode="json")
    body = {**BODY, "buyer": shown["buyer"], "cooperatives": shown["cooperatives"], "price_list": PRICES}
    answer = await admin.post("/v1/contracts", json={**body, "revision": {**CLAUSE, **terms}})
    assert answer.status_code == 201, answer.text
    contract_id: str = answer.json()["id"]
    return contract_id


def deliver(house: House, contract_id: str, count: int, day: date = date(2026, 11, 16)) -> None:
    contract = a_contract(id=contract_id)
    for number in range(count):
        order = an_order(contract, legs=[a_leg_to_price(1, day, {})], reference=f"C-{number:03}")
        assert hold(house.database, order)
        settle(house.database, handed_over(order.id, occurred_at=datetime(day.year, day.month, day.day, 9, tzinfo=UTC)))


async def close(admin: httpx.AsyncClient, contract_id: str, month: str) -> dict[str, Any]:
    closing = await admin.post(f"/v1/contracts/{contract_id}/closings", json={"month": month})
    assert closing.status_code == 201, closing.text
    (statement,) = closing.json()["statements"]
    told: dict[str, Any] = (await admin.get(f"/v1/statements/{statement['id']}")).json()
    return told


@pytest.mark.parametrize(
    ("decimals", "price", "rounding", "coefficient", "net"),
    [
        (4, "9.7524", "up", "1.032", "1774.94"),
        (2, "9.75", "up", "1.032", "1774.50"),
        (4, "9.7430", "nearest", "1.031", "1773.23"),
    ],
)
async def test_example_d(house: House, decimals: int, price: str, rounding: str, coefficient: str, net: str) -> None:
    async with house.administrator() as admin:
        await record(admin, "2025-12", "124.3")
        await record(admin, "2026-11", "128.9")
        contract_id = await register(admin, price_decimals=decimals, rounding=rounding)
        deliver(house, contract_id, 182)
        statement = await close(admin, contract_id, "2026-11")
        explained = (await admin.get(f"/v1/statements/{statement['id']}/explanation")).json()
        invoice = await admin.get(f"/v1/statements/{statement['id']}/invoice.xml?syntax=cii")
    (item,) = statement["items"]
    assert (item["base_amount"], item["coefficient"], item["period"]) == ("1719.90", coefficient, "2026-11")
    assert (item["revised_unit_price"], item["amount"], statement["net"]) == (price, net, net)
    assert not item["is_provisional"]
    assert explained["coefficients"][0]["coefficient"]["exact"] == "12821/12430"
    assert f">{net}</ram:LineTotalAmount>" in invoice.text


async def test_example_e(house: House) -> None:
    async with house.administrator() as admin:
        await record(admin, "2025-12", "1000")
        await record(admin, "2026-10", "1031.6")  # 1.02686, up to 1.027
        contract_id = await register(admin)
        deliver(house, contract_id, 182)
        first = await close(admin, contract_id, "2026-11")
        assert (first["net"], first["items"][0]["is_provisional"]) == ("1766.35", True)
        clock.set_now(datetime(2027, 1, 4, 9, tzinfo=UTC))
        await record(admin, "2026-11", "1037.0")  # 1.03145, up to 1.032
        second = await close(admin, contract_id, "2026-12")
        clock.set_now(NOW)
    (correction,) = second["items"]
    assert (correction["code"], correction["amount"], correction["vat_percent"]) == ("REGUL", "8.59", "20.0")
    assert (second["net"], second["taxes"][0]["tax"], second["legs"]) == ("8.59", "1.72", 0)
