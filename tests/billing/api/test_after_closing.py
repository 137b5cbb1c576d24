"""Credit notes, statuses and the payment clock over HTTP."""

from typing import Any

import pytest

from services.billing import use_cases
from services.billing.domain.statement import Month, Statement
from tests.billing.builders import a_contract, an_order, handed_over, hold, register, settle
from tests.billing.conftest import NOW, House


@pytest.fixture
def statement(house: House) -> Statement:
    """Two legs of 12.60 of one seller, closed on 2 December 2026."""
    contract = register(house.database, a_contract())
    for number in range(2):
        order = an_order(contract, reference=f"C-{number}")
        hold(house.database, order)
        settle(house.database, handed_over(order.id))
    with house.database.transaction() as tx:
        (closed,) = use_cases.close_month(tx, contract.id, Month(2026, 11), at=NOW).statements
    return closed


async def legs_of(finance: Any, statement: Statement) -> list[str]:
    detail = (await finance.get(f"/v1/statements/{statement.id}")).json()
    return [charge["order_id"] for charge in detail["charges"]]


async def test_a_credit_note_has_its_own_number_and_is_found_again(house: House, statement: Statement) -> None:
    path = f"/v1/statements/{statement.id}/credit-notes"
    async with house.finance() as finance:
        first, second = await legs_of(finance, statement)
        before = (await finance.get(f"/v1/statements/{statement.id}")).content
        body = {
            "reason": "Compté deux fois",
            "legs": [{"order_id": first, "leg": 1}, {"order_id": second, "leg": 1, "amount": "2.60"}],
        }
        answer = await finance.post(path, json=body, headers={"Idempotency-Key": "k-1"})
        again = await finance.post(path, json=body, headers={"Idempotency-Key": "k-1"})
        assert (answer.status_code, answer.content) == (201, again.content)
        note = answer.json()
        assert (note["number"], note["statement_number"]) == ("2026-00002", "2026-00001")
        assert (note["net"], note["tax"], note["gross"]) == ("15.20", "3.04", "18.24")
        assert [(leg["reference"], leg["amount"]) for leg in note["legs"]] == [("C-0", "12.60"), ("C-1", "2.60")]
        assert (await finance.get(answer.headers["location"])).json() == note
        assert (await finance.get(path)).json()["items"] == [note]
        assert (await finance.get(f"/v1/statements/{statement.id}")).content == before  # closed means closed
        use = (await finance.get(f"/v1/contracts/{statement.contract_id}/consumption")).json()
        assert (use["invoiced"], use["is_balanced"]) == ("10.00", True)
        too_much = await finance.post(path, json={"reason": "x", "legs": [{"order_id": first, "leg": 1}]})
        assert (too_much.status_code, too_much.json()["code"]) == (422, "credit-too-high")
        unknown = await finance.post(path, json={"reason": "x", "legs": [{"order_id": "x", "leg": 1}]})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "leg-not-on-statement")


async def test_a_refusal_is_heard_once_and_billed_anew(house: House, statement: Statement) -> None:
    path = f"/v1/statements/{statement.id}"
    told = {"id": "cpp-9", "status": "Rejetée", "occurred_at": "2026-12-03T08:00:00Z", "reason_code": "SIRET_ERR"}
    async with house.finance() as finance:
        first = await finance.post(f"{path}/statuses", json=told)
        again = await finance.post(f"{path}/statuses", json=told)
        assert (first.status_code, again.status_code, first.json()) == (201, 200, again.json())
        assert (first.json()["state"], len(first.json()["statuses"])) == ("rejected", 1)
        (note,) = (await finance.get(f"{path}/credit-notes")).json()["items"]
        assert (note["number"], note["is_internal"]) == ("INT-2026-00001", True)
        corrected = await finance.post(f"{path}/corrected-statement")
        assert (corrected.status_code, corrected.json()["number"]) == (201, "2026-00002")
        shown = (await finance.get(corrected.headers["location"])).json()
        assert (shown["replaces"], shown["net"]) == ("2026-00001", "25.20")
        twice = await finance.post(f"{path}/corrected-statement")
        assert (twice.status_code, twice.json()["code"]) == (409, "nothing-to-bill-anew")
        changed = await finance.post(f"{path}/statuses", json={**told, "status": "203"})
        assert (changed.status_code, changed.json()["code"]) == (409, "status-id-taken")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "299"}, "status-unknown"),
        ({"status": "208"}, "status-reason-missing"),
        ({"occurred_at": "2026-12-03T08:00:00"}, "invalid-request"),
    ],
)
async def test_a_status_that_says_nothing_is_refused(
    house: House, statement: Statement, changes: dict[str, str], code: str
) -> None:
    told = {"id": "1", "status": "203", "occurred_at": "2026-12-03T08:00:00Z", **changes}
    async with house.finance() as finance:
        answer = await finance.post(f"/v1/statements/{statement.id}/statuses", json=told)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_the_payment_clock_is_told_for_any_day(house: House, statement: Statement) -> None:
    path = f"/v1/statements/{statement.id}"
    async with house.finance() as finance:
        told = {"id": "1", "status": "203", "occurred_at": "2026-12-03T08:00:00Z"}
        await finance.post(f"{path}/statuses", json=told)
        clock = (await finance.get(f"{path}/payment")).json()
        assert (clock["on"], clock["started_on"], clock["due_on"]) == ("2026-12-02", "2026-12-03", "2027-01-02")
        assert (clock["principal"], clock["delay_days"], clock["interest"]) == ("30.24", 30, None)
        late = (await finance.get(f"{path}/payment?on=2027-02-01")).json()
        assert late["interest"] is None
        assert "01/01/2027" in late["missing"]


async def test_others_see_nothing_of_it(house: House, statement: Statement) -> None:
    async with house.finance(buyer="90000010000017") as other:
        for name in ("credit-notes", "statuses", "payment", "credit-notes/x"):
            assert (await other.get(f"/v1/statements/{statement.id}/{name}")).status_code == 404
        assert (await other.post(f"/v1/statements/{statement.id}/corrected-statement")).status_code == 404
    async with house.dispatcher(cooperative="erdre") as seller:
        assert (await seller.get(f"/v1/statements/{statement.id}/payment")).status_code == 200
        told = {"id": "1", "status": "211", "occurred_at": "2026-12-03T08:00:00Z"}
        assert (await seller.post(f"/v1/statements/{statement.id}/statuses", json=told)).status_code == 403
