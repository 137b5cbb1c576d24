"""From any cent back to events, price list, indices, roundings and ledger entries, as JSON and on a French page."""

import csv
import io
from datetime import date
from decimal import Decimal

from services.billing import pack, use_cases
from services.billing.documents import revision_sheet
from services.billing.domain.acceptance import Decider
from services.billing.domain.charge import Cut
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import Asked
from services.billing.domain.month import Month
from services.billing.domain.statement import Statement
from services.billing.handlers import HEARS
from services.billing.repository.revision import Revisions
from services.billing.use_cases import acceptance
from services.billing.use_cases import credit_notes as crediting
from services.kit import clock
from services.kit.database import Database
from services.kit.events.consumer import Dispatch
from services.kit.events.message import said
from tests.billing.builders import NOON, a_contract, a_leg_to_price, an_order, order_placed, register, stop_completed
from tests.billing.conftest import NOW, House
from tests.billing.test_revision import (
    NOVEMBER,
    PRICES,
    ZERO,
    a_revised_contract,
    close,
    deliver,
    record,
)


def hear(database: Database, *events: object) -> list[str]:
    """Give events to the service as the consumer does; return their ids."""
    ids = []
    dispatch = Dispatch(HEARS)
    clock.set_now(NOON)
    for event in events:
        message = said(event, source="/neighbour", subject=event.order_id, at=NOON)  # type: ignore[arg-type,attr-defined]
        with database.transaction() as tx:
            dispatch.handle(tx, message)
        ids.append(message.id)
    clock.set_now(NOW)
    return ids


async def test_a_leg_names_the_events_it_rests_on(house: House) -> None:
    contract = register(house.database, a_contract())
    order = an_order(contract)
    ids = hear(house.database, order_placed(order), stop_completed(order.id))
    async with house.finance() as finance:
        told = (await finance.get(f"/v1/charges/{order.id}/1/explanation")).json()
    assert [event["event_id"] for event in told["events"]] == ids
    assert [event["type"] for event in told["events"]] == ["orders.v1.OrderPlaced", "dispatch.v1.StopCompleted"]
    assert told["price_list"]["version"] == 1
    assert (told["rule"], told["full"]) == ("as-counted", "11.40")
    assert [(line["code"], line["announced"], line["counted"]) for line in told["lines"]] == [
        ("COURSE", 1, 1),
        ("LINGE", 3, 2),
    ]
    assert [(one["source"], one["target"], one["amount"]) for one in told["entries"]] == [
        ("available", "held", "12.60"),
        ("held", "owed", "11.40"),
        ("held", "available", "1.20"),
    ]


def a_corrected_month(database: Database) -> tuple[Contract, Statement, Statement]:
    """Seven legs billed with a provisional coefficient, corrected with the next month."""
    record(database, ZERO, "1000")
    record(database, Month(2026, 10), "1031.6")
    contract = register(database, a_revised_contract(), PRICES)
    deliver(database, contract, 7)
    (first,) = close(database, contract, NOVEMBER)
    record(database, NOVEMBER, "1037.0")
    deliver(database, contract, 1, date(2026, 12, 14))
    (second,) = close(database, contract, Month(2026, 12))
    return contract, first, second


async def test_every_cent_of_a_statement_is_that_of_its_legs(house: House) -> None:
    _, first, second = a_corrected_month(house.database)
    async with house.administrator() as admin:
        legs = (await admin.get(f"/v1/charges?statement={first.id}")).json()["items"]
        told = [(await admin.get(f"/v1/charges/{leg['order_id']}/1/explanation")).json() for leg in legs]
        whole = (await admin.get(f"/v1/statements/{first.id}/explanation")).json()
    assert sum(Decimal(one["full"]) for one in told) == Decimal(first.net_cents) / 100
    for one in told:
        exact = sum(Decimal(line["exact_amount"]) for line in one["lines"])
        assert exact + Decimal(one["rounding"]) == Decimal(one["full"])
        assert sum((Decimal(part["amount"]) for part in one["corrections"]), Decimal(one["full"])) == Decimal(
            one["due"]
        )
        assert one["billed_with"]["value"] == "1.027"
        assert one["billed_with"]["indices"][0]["month"] == "2026-10"
        assert one["billed_with"]["is_provisional"]
    assert sum(Decimal(part["amount"]) for one in told for part in one["corrections"]) == Decimal("0.33")
    (item,) = whole["items"]
    assert (item["exact_amount"], item["amount"]) == ("67.9364", "67.94")
    assert Decimal(whole["invoiced"]) == Decimal("67.94")
    assert whole["taxes"] == [{"vat_percent": "20.0", "base": "67.94", "exact": "13.588", "tax": "13.59"}]
    assert second.items[-1].amount_cents == 33


async def test_the_revision_sheet_shows_the_reckoning(house: House) -> None:
    _, first, second = a_corrected_month(house.database)
    async with house.finance() as finance:
        told = (await finance.get(f"/v1/statements/{second.id}/explanation")).json()
        answer = await finance.get(f"/v1/statements/{second.id}/revision.csv")
        again = await finance.get(f"/v1/statements/{second.id}/revision.csv")
        paper = await finance.get(f"/v1/statements/{second.id}/revision.pdf")
    assert [(item["code"], item["base_amount"], item["amount"]) for item in told["items"]] == [
        ("COURSE", "9.45", "9.75"),
        ("REGUL", None, "0.33"),
    ]
    assert [(one["corrects"], one["coefficient"]["value"]) for one in told["coefficients"]] == [
        (None, "1.032"),
        (first.number, "1.032"),
    ]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert rows[0]["Formule"] == "0,15 + 0,85 × ICHT 2026-11 (v1) 1037,0 / 2025-12 1000"
    assert (rows[0]["Coefficient exact"], rows[0]["Coefficient"]) == ("20629/20000", "1,032")
    assert (rows[-1]["Prix"], rows[-1]["Montant HT"]) == ("REGUL", "0,33")
    assert answer.content == again.content
    assert paper.content.startswith(b"%PDF")
    with house.database.view() as view:
        applied = Revisions(view).of_statement(second.id)
    page = revision_sheet.as_html(second, applied)
    assert paper.content == revision_sheet.as_pdf(second, applied), "the same bytes each time it is rendered"
    for words in ("C = 0,15 + 0,85 × 1037,0 / 1000 = 1,03145", "1,032", "9,7524 €", f"état n° {first.number}"):
        assert words in page
    assert [entry.name for entry in pack.pack(house.database, second, at=NOW).entries if "revision" in entry.name] == [
        f"revision-erdre-{second.number}.csv",
        f"revision-erdre-{second.number}.pdf",
    ]


async def test_a_statement_at_base_prices_has_no_revision_sheet(house: House) -> None:
    contract = register(house.database, a_contract(), PRICES)
    deliver(house.database, contract, 1)
    (statement,) = close(house.database, contract, NOVEMBER)
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/statements/{statement.id}/revision.csv")
        told = (await finance.get(f"/v1/statements/{statement.id}/explanation")).json()
    assert (answer.status_code, answer.json()["code"]) == (409, "statement-not-revised")
    assert (told["coefficients"], told["items"][0]["exact_amount"]) == ([], "9.45")
    assert not [entry for entry in pack.pack(house.database, statement, at=NOW).entries if "revision" in entry.name]


async def test_a_cut_a_decision_and_a_credit_are_part_of_the_explanation(house: House) -> None:
    record(house.database, ZERO, "1000")
    record(house.database, NOVEMBER, "1100")
    contract = register(house.database, a_revised_contract(), PRICES)
    order = an_order(contract, legs=[a_leg_to_price(1, loads={})])
    hear(house.database, order_placed(order), stop_completed(order.id))
    with house.database.transaction() as tx:
        cut = [Cut("COURSE", 200, "Sac déchiré")]
        acceptance.reduce(tx, acceptance.lock(tx, order.id, 1), cut, by=Decider("m", "Marie"), at=NOW)
    (statement,) = close(house.database, contract, NOVEMBER)
    with house.database.transaction() as tx:
        crediting.credit(tx, statement.id, [Asked(order.id, 1, 100)], reason="Geste", is_billed_anew=False, at=NOW)
    async with house.administrator() as admin:
        told = (await admin.get(f"/v1/charges/{order.id}/1/explanation")).json()
        page = (await admin.get(f"/finances/commandes/{order.id}/trajets/1")).text
    assert (told["full"], told["due"]) == ("10.25", "7.25")
    assert [(one["code"], one["amount"]) for one in told["taken_off"]] == [("COURSE", "2.00"), ("AVOIR", "1.00")]
    assert [(one["state"], one["decided_by"]) for one in told["decisions"]] == [("reduced", "Marie")]
    assert [one["amount"] for one in told["credits"]] == ["1.00"]
    for words in ("Sac déchiré", "réfaction par Marie", "Avoir n°"):
        assert words in page


async def test_the_page_says_it_in_french(house: House) -> None:
    _, first, _ = a_corrected_month(house.database)
    async with house.administrator() as admin:
        (leg, *_) = (await admin.get(f"/v1/charges?statement={first.id}")).json()["items"]
        page = (await admin.get(f"/finances/commandes/{leg['order_id']}/trajets/1")).text
        statement = (await admin.get(f"/finances/etats/{first.id}")).text
    for words in (
        "commande passée",
        "Version 1 du bordereau",
        "1,027",
        "dernière connue pour novembre 2026",
        "constaté",
    ):
        assert words in page
    assert f"/finances/commandes/{leg['order_id']}/trajets/1" in statement
    assert "revision.csv" in statement


async def test_a_leg_that_is_only_held_is_explained_too(house: House) -> None:
    contract = register(house.database, a_contract())
    order = an_order(contract, legs=[a_leg_to_price(2)])
    with house.database.transaction() as tx:
        use_cases.book(tx, [order], [], at=NOON)
    async with house.administrator() as admin:
        told = (await admin.get(f"/v1/charges/{order.id}/2/explanation")).json()
        page = await admin.get(f"/finances/commandes/{order.id}/trajets/2")
        missing = await admin.get(f"/v1/charges/{order.id}/1/explanation")
    assert (told["rule"], told["full"], told["lines"]) == (None, "0.00", [])
    assert page.status_code == 200
    assert (missing.status_code, missing.json()["code"]) == (404, "charge-not-found")


async def test_another_buyers_legs_are_not_there(house: House) -> None:
    contract, first, _ = a_corrected_month(house.database)
    async with house.administrator() as admin, house.finance(buyer="90000010000017") as stranger:
        (leg, *_) = (await admin.get(f"/v1/charges?contract={contract.id}")).json()["items"]
        for path in (f"/v1/charges/{leg['order_id']}/1/explanation", f"/v1/statements/{first.id}/explanation"):
            assert (await stranger.get(path)).status_code == 404
