"""Statements over HTTP: JSON, CSV and PDF, the same bytes each time, each export logged."""

import csv
import io
from hashlib import sha256

import pytest
from pypdf import PdfReader

from services.billing import documents, queries, use_cases
from services.billing.domain.errors import PrintingUnavailable
from services.billing.domain.statement import Month, Statement
from tests.billing.builders import a_contract, an_order, failed, handed_over, hold, register, settle
from tests.billing.conftest import NOW, House


@pytest.fixture
def statements(house: House) -> list[Statement]:
    """One statement of each cooperative, for November."""
    contract = register(house.database, a_contract())
    orders = [an_order(contract, reference=f"C-{number}") for number in range(3)]
    for order in orders:
        hold(house.database, order)
    settle(house.database, handed_over(orders[0].id))
    settle(house.database, failed(orders[1].id))
    settle(house.database, handed_over(orders[2].id, cooperative_id="loire"))
    with house.database.transaction() as tx:
        return list(use_cases.close_month(tx, contract.id, Month(2026, 11), at=NOW).statements)


async def test_statements_are_listed_newest_first(house: House, statements: list[Statement]) -> None:
    async with house.finance() as finance:
        listed = (await finance.get("/v1/statements")).json()["items"]
        assert [one["id"] for one in listed] == sorted((one.id for one in statements), reverse=True)
        page = (await finance.get("/v1/statements?limit=1")).json()
        rest = (await finance.get(f"/v1/statements?limit=1&cursor={page['next']}")).json()
        assert [one["id"] for one in page["items"] + rest["items"]] == [one["id"] for one in listed]
        assert rest["next"] is None
        assert (await finance.get("/v1/statements?month=2026-10")).json()["items"] == []
        contract_id = statements[0].contract_id
        assert len((await finance.get(f"/v1/statements?month=2026-11&contract={contract_id}")).json()["items"]) == 2


async def test_a_statement_is_told_whole_as_json(house: House, statements: list[Statement]) -> None:
    erdre = statements[0]
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/statements/{erdre.id}")
        again = await finance.get(f"/v1/statements/{erdre.id}", headers={"If-None-Match": answer.headers["etag"]})
    detail = answer.json()
    assert again.status_code == 304
    assert (detail["number"], detail["net"], detail["tax"], detail["gross"]) == ("2026-00001", "18.90", "3.78", "22.68")
    assert [(item["code"], item["amount"]) for item in detail["items"]] == [
        ("COURSE", "9.00"),
        ("ECHEC", "6.30"),
        ("LINGE", "3.60"),
    ]
    assert detail["seller"]["siret"] == erdre.seller.siret
    assert [charge["reference"] for charge in detail["charges"]] == ["C-0", "C-1"]
    assert detail["taxes"] == [{"vat_percent": "20.0", "base": "18.90", "tax": "3.78"}]


async def test_a_csv_opens_in_a_french_spreadsheet(house: House, statements: list[Statement]) -> None:
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/statements/{statements[0].id}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="etat-erdre-2026-00001.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert [(row["Commande"], row["Prix"], row["Montant HT"]) for row in rows] == [
        ("C-0", "COURSE", "9,00"),
        ("C-0", "LINGE", "3,60"),
        ("C-1", "ECHEC", "6,30"),
    ]
    assert {row["Taux de TVA"] for row in rows} == {"20,0"}
    assert rows[0]["Date de service"] == "16/11/2026"


async def test_a_pdf_holds_the_whole_account(house: House, statements: list[Statement]) -> None:
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/statements/{statements[0].id}.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    plain = text.replace("\u202f", " ").replace("\xa0", " ")
    for words in ("État mensuel n° 2026-00001", "novembre 2026", "22,68 €", "EJ-2026-0042", "C-1, trajet 1"):
        assert words in plain


@pytest.mark.parametrize("format_", ["csv", "pdf"])
async def test_every_download_has_the_same_bytes_and_is_logged(
    house: House, statements: list[Statement], format_: str
) -> None:
    path = f"/v1/statements/{statements[0].id}.{format_}"
    async with house.finance() as finance, house.administrator() as admin:
        first = await finance.get(path)
        second = await admin.get(path)
        unchanged = await finance.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert first.content == second.content
    assert unchanged.status_code == 304
    digest = sha256(first.content).hexdigest()
    assert first.headers["etag"] == f'"{digest}"'
    with house.database.view() as view:
        exports = queries.list_exports(view, statements[0].id, limit=10)
    assert [(one.account_id, one.format, one.sha256) for one in exports] == [
        ("admin", format_, digest),
        ("finances", format_, digest),
    ]


async def test_kept_bytes_outlive_a_change_of_the_rendering(
    house: House, statements: list[Statement], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/statements/{statements[0].id}.csv"
    async with house.finance() as finance:
        first = await finance.get(path)
        monkeypatch.setattr(documents, "HEADERS", ("autre",))
        second = await finance.get(path)
    assert first.content == second.content


async def test_a_machine_that_cannot_print_says_what_to_install(
    house: House, statements: list[Statement], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pango(*_: object) -> bytes:
        raise PrintingUnavailable(documents.PANGO_PACKAGES)

    monkeypatch.setattr(documents, "_draw", no_pango)
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/statements/{statements[0].id}.pdf")
        assert (answer.status_code, answer.json()["code"]) == (503, "printing-unavailable")
        assert "libpango-1.0-0" in answer.json()["detail"]
        assert (await finance.get(f"/v1/statements/{statements[0].id}.csv")).status_code == 200


async def test_a_dispatcher_sees_its_own_cooperatives_statements_only(
    house: House, statements: list[Statement]
) -> None:
    erdre, loire = statements
    async with house.dispatcher(cooperative="loire") as dispatcher:
        assert [one["id"] for one in (await dispatcher.get("/v1/statements")).json()["items"]] == [loire.id]
        assert (await dispatcher.get(f"/v1/statements/{loire.id}")).status_code == 200
        for suffix in ("", ".csv", ".pdf"):
            answer = await dispatcher.get(f"/v1/statements/{erdre.id}{suffix}")
            assert (answer.status_code, answer.json()["code"]) == (404, "statement-not-found")
    async with house.dispatcher() as stray:
        assert (await stray.get("/v1/statements")).json()["items"] == []


async def test_another_buyers_statements_are_not_there(house: House, statements: list[Statement]) -> None:
    async with house.finance(buyer="90000010000017") as other:
        assert (await other.get("/v1/statements")).json()["items"] == []
        assert (await other.get(f"/v1/statements/{statements[0].id}.csv")).status_code == 404
    async with house.account("robot", scopes=["billing:read"], is_machine=True) as machine:
        assert (await machine.get("/v1/statements")).status_code == 403
