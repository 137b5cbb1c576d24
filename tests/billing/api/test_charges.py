"""Charges over HTTP: every leg with what it was held at, what it came to, and why."""

from datetime import UTC, date, datetime

from services.billing import use_cases
from services.billing.domain.statement import Month
from tests.billing.builders import (
    a_contract,
    a_leg_to_price,
    an_order,
    failed,
    handed_over,
    hold,
    register,
    settle,
)
from tests.billing.conftest import NOW, House


async def test_a_charge_tells_why_it_came_to_its_amount(house: House) -> None:
    contract = register(house.database, a_contract())
    order = an_order(contract, legs=[a_leg_to_price(1), a_leg_to_price(2)])
    hold(house.database, order)
    settle(house.database, handed_over(order.id, 1, counted={"ballot-linge": 2}, proof_ids=("p-1",)))
    with house.database.transaction() as tx:
        use_cases.close_month(tx, contract.id, Month(2026, 11), at=NOW)
    async with house.finance() as finance:
        first, second = (await finance.get(f"/v1/charges?order={order.id}")).json()["items"]
    assert (first["held"], first["settled"], first["statement_number"]) == ("12.60", "11.40", "2026-00001")
    assert first["estimate"][1] == {
        "code": "LINGE",
        "label": "Ballot de linge",
        "unit": "load",
        "quantity": 3,
        "unit_price": "1.20",
        "amount": "3.60",
    }
    settlement = first["settlement"]
    assert (settlement["outcome"], settlement["rule"], settlement["rule_percent"]) == ("delivered", "as-counted", 100)
    assert (settlement["cooperative_id"], settlement["vat_percent"]) == ("erdre", "20.0")
    assert (settlement["fact"], settlement["proof_ids"]) == ("dispatch.v1.StopCompleted", ["p-1"])
    assert settlement["lines"][1]["note"] == "compté 2 au lieu de 3"
    assert (second["settled"], second["settlement"], second["statement_number"]) == (None, None, None)


async def test_charges_can_be_filtered(house: House) -> None:
    contract, other = register(house.database, a_contract()), register(house.database, a_contract())
    november = an_order(contract)
    december = an_order(contract, legs=[a_leg_to_price(service_date=date(2026, 12, 1))], department_id="voirie")
    elsewhere = an_order(other)
    for order in (november, december, elsewhere):
        hold(house.database, order)
    settle(house.database, failed(november.id, occurred_at=datetime(2026, 12, 1, 8, tzinfo=UTC)), at=NOW)

    async with house.finance() as finance:

        async def found(query: str) -> set[str]:
            answer = await finance.get(f"/v1/charges?{query}")
            assert answer.status_code == 200, answer.text
            return {one["order_id"] for one in answer.json()["items"]}

        assert await found("") == {november.id, december.id, elsewhere.id}
        assert await found(f"contract={contract.id}") == {november.id, december.id}
        assert await found(f"contract={contract.id}&department=voirie") == {december.id}
        # The month is the one it was settled in, or its service date's until then.
        assert await found(f"contract={contract.id}&month=2026-12") == {november.id, december.id}
        assert await found("month=2026-11") == {elsewhere.id}
        assert await found(f"order={elsewhere.id}") == {elsewhere.id}
        assert await found("statement=none") == set()
        assert (await finance.get("/v1/charges?month=2026-13")).status_code == 422


async def test_charges_are_paged_leg_by_leg(house: House) -> None:
    contract = register(house.database, a_contract())
    orders = [an_order(contract, legs=[a_leg_to_price(1), a_leg_to_price(2)]) for _ in range(4)]
    for order in orders:
        hold(house.database, order)
    async with house.finance() as finance:
        seen: list[tuple[str, int]] = []
        cursor = ""
        while True:
            page = (await finance.get(f"/v1/charges?limit=3{cursor}")).json()
            seen += [(one["order_id"], one["leg"]) for one in page["items"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
            hold(house.database, an_order(contract))  # whatever comes in between
    assert seen[:8] == [(order.id, leg) for order in orders for leg in (1, 2)]
    assert len(seen) == len(set(seen))


async def test_others_charges_are_not_shown(house: House) -> None:
    contract = register(house.database, a_contract())
    order = an_order(contract)
    hold(house.database, order)
    settle(house.database, handed_over(order.id))
    async with house.finance(buyer="90000010000017") as other:
        assert (await other.get("/v1/charges")).json()["items"] == []
    claims = {"cooperative": "loire"}
    async with house.account("loire", scopes=["billing:read"], claims=claims, is_machine=True) as loire:
        assert (await loire.get("/v1/charges")).json()["items"] == []
    claims = {"cooperative": "erdre"}
    async with house.account("erdre", scopes=["billing:read"], claims=claims, is_machine=True) as erdre:
        assert len((await erdre.get("/v1/charges")).json()["items"]) == 1
