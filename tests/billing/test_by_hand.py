"""Months closed and statements taken at the console: by reference or id, logged, refused in words."""

import json
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from services.billing import by_hand, queries
from services.billing.domain.errors import ContractNotFound, MonthNotOver, ReferenceAmbiguous, StatementNotFound
from services.kit import clock
from services.kit.database import Database
from tests.billing.builders import BUYER, LOIRE, a_contract, an_order, handed_over, hold, register, settle
from tests.billing.conftest import NOW

NOVEMBER = date(2026, 11, 1)


@pytest.fixture(autouse=True)
def second_of_december() -> object:
    """It is 2 December 2026."""
    clock.set_now(NOW)
    yield
    clock.reset()


def test_a_month_is_closed_by_reference_and_taken_whole(database: Database, tmp_path: Path) -> None:
    contract = register(database, a_contract(reference="VELO-7"))
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    closing = by_hand.close_month(database, "VELO-7", NOVEMBER)
    assert closing.is_new
    assert not by_hand.close_month(database, contract.id, NOVEMBER).is_new
    (statement,) = closing.statements
    folder = tmp_path / "a" / "month"
    first, *others = by_hand.export(database, statement.id, folder, taker="amel")
    manifest = json.loads(first.read_text())
    assert {path.name for path in others} == {file["file"] for file in manifest["files"]}
    for file in manifest["files"]:
        assert sha256((folder / file["file"]).read_bytes()).hexdigest() == file["sha256"]
    with database.view() as view:
        (logged,) = queries.list_exports(view, statement.id, limit=9)
    assert (logged.format, logged.account_id, logged.account_name) == ("pack", "console", "amel")


def test_what_cannot_be_done_is_refused_by_name(database: Database, tmp_path: Path) -> None:
    contract = register(database, a_contract(reference="VELO-7"))
    register(database, a_contract(reference="VELO-7", buyer=type(BUYER)("Rezé", LOIRE.siret)))
    with pytest.raises(ContractNotFound):
        by_hand.close_month(database, "VELO-8", NOVEMBER)
    with pytest.raises(ReferenceAmbiguous, match=contract.id):
        by_hand.close_month(database, "VELO-7", NOVEMBER)
    with pytest.raises(MonthNotOver):
        by_hand.close_month(database, contract.id, date(2026, 12, 1))
    with pytest.raises(StatementNotFound):
        by_hand.export(database, "nothing", tmp_path, taker="amel")
