"""A statement's other documents and its pack over HTTP: streamed, named, alike, logged, and only for who may see it."""

import io
import json
import zipfile
from hashlib import sha256

import pytest

from services.billing import queries, use_cases
from services.billing.domain.statement import Month, Statement
from tests.billing.builders import a_contract, an_order, handed_over, hold, register, settle
from tests.billing.conftest import NOW, House
from tests.billing.test_pack import ridden

PATHS = {
    "deliveries.csv": "text/csv; charset=utf-8",
    "deliveries.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "deliveries.pdf": "application/pdf",
    "consumption.json": "application/json",
    "consumption.csv": "text/csv; charset=utf-8",
    "consumption.pdf": "application/pdf",
    "co2.json": "application/json",
    "co2.csv": "text/csv; charset=utf-8",
    "co2.pdf": "application/pdf",
    "pack.zip": "application/zip",
}


@pytest.fixture
def statement(house: House) -> Statement:
    """November, one hand-over."""
    contract = register(house.database, a_contract())
    order = an_order(contract)
    hold(house.database, order)
    settle(house.database, handed_over(order.id, ridden=ridden()))
    with house.database.transaction() as tx:
        return use_cases.close_month(tx, contract.id, Month(2026, 11), at=NOW).statements[0]


@pytest.mark.parametrize(("path", "media_type"), PATHS.items())
async def test_each_is_the_same_bytes_each_time_and_logged(
    house: House, statement: Statement, path: str, media_type: str
) -> None:
    address = f"/v1/statements/{statement.id}/{path}"
    async with house.finance() as finance:
        first, second = await finance.get(address), await finance.get(address)
        unchanged = await finance.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, first.headers["content-type"]) == (200, media_type)
    assert first.content == second.content
    assert int(first.headers["content-length"]) == len(first.content)
    assert first.headers["etag"] == f'"{sha256(first.content).hexdigest()}"'
    assert "erdre-2026-00001." in first.headers["content-disposition"]
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    with house.database.view() as view:
        logged = queries.list_exports(view, statement.id, limit=9)
    assert [one.sha256 for one in logged] == [sha256(first.content).hexdigest()] * 2


async def test_a_pack_opens_and_lists_its_files(house: House, statement: Statement) -> None:
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/statements/{statement.id}/pack.zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="mois-2026-11-erdre-2026-00001.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    manifest = json.loads(archive.read("manifeste.json"))
    assert [file["file"] for file in manifest["files"]] == archive.namelist()[1:]


async def test_others_do_not_see_it_and_strangers_must_say_who_they_are(house: House, statement: Statement) -> None:
    for path in PATHS:
        address = f"/v1/statements/{statement.id}/{path}"
        async with house.dispatcher(cooperative="loire") as other, house.client() as nobody:
            assert (await other.get(address)).status_code == 404
            assert (await nobody.get(address)).status_code == 401
        async with house.account("ordering", is_machine=True, scopes=["orders:read"]) as machine:
            assert (await machine.get(address)).status_code == 403


async def test_the_finance_pages_lead_to_all_of_it(house: House, statement: Statement) -> None:
    async with house.finance() as finance:
        listed = (await finance.get("/finances")).text
        page = (await finance.get(f"/finances/etats/{statement.id}")).text
    assert f'href="/v1/statements/{statement.id}/pack.zip"' in listed
    assert all(f'href="/v1/statements/{statement.id}/{path}"' in page for path in PATHS)
