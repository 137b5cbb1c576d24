"""The schedule closes what is due, once, and prints it ahead."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from services.billing import documents, queries
from services.billing.domain.errors import PrintingUnavailable
from services.billing.jobs import close_due_months, jobs, print_statements
from services.billing.queries import Sight
from services.billing.settings import BillingSettings
from services.kit import clock
from services.kit.database import Database
from tests.billing.builders import a_contract, an_order, handed_over, hold, register, settle


@pytest.fixture(autouse=True)
def real_clock() -> Iterator[None]:
    yield
    clock.reset()


def an_owed_leg(database: Database, *, starts_on: date = date(2026, 10, 1)) -> None:
    contract = register(database, a_contract(starts_on=starts_on))
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))


def test_months_are_closed_some_days_after_their_end_and_once(database: Database) -> None:
    an_owed_leg(database)
    an_owed_leg(database, starts_on=date(2026, 11, 1))
    clock.set_now(datetime(2026, 12, 5, 12, tzinfo=UTC))
    assert close_due_months(database, delay_days=5) == {"months": 1, "statements": 0}  # October of the first
    clock.set_now(datetime(2026, 12, 6, 0, tzinfo=UTC))
    assert close_due_months(database, delay_days=5) == {"months": 2, "statements": 2}
    assert close_due_months(database, delay_days=5) == {"months": 0, "statements": 0}


def test_after_the_contract_only_what_came_late_is_closed(database: Database) -> None:
    contract = register(database, a_contract(starts_on=date(2026, 11, 1), ends_on=date(2026, 11, 30)))
    order = an_order(contract)
    hold(database, order)
    clock.set_now(datetime(2027, 1, 10, tzinfo=UTC))
    assert close_due_months(database, delay_days=5) == {"months": 1, "statements": 0}
    settle(database, handed_over(order.id), at=datetime(2027, 1, 10, tzinfo=UTC))
    assert close_due_months(database, delay_days=5) == {"months": 1, "statements": 1}
    assert close_due_months(database, delay_days=5) == {"months": 0, "statements": 0}


def test_statements_are_printed_ahead_once_and_nobody_is_logged(database: Database) -> None:
    an_owed_leg(database, starts_on=date(2026, 11, 1))
    clock.set_now(datetime(2026, 12, 6, 12, tzinfo=UTC))
    close_due_months(database, delay_days=5)
    assert print_statements(database) == {"printed": 1}
    assert print_statements(database) == {"printed": 0}
    with database.view() as view:
        (statement,) = queries.list_statements(view, Sight(), limit=10)
        document = queries.get_document(view, statement.id, "pdf")
        assert queries.list_exports(view, statement.id, limit=10) == []
    assert document is not None
    assert document.content.startswith(b"%PDF-")


def test_a_machine_that_cannot_print_closes_months_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pango(*_: object) -> bytes:
        raise PrintingUnavailable(documents.PANGO_PACKAGES)

    monkeypatch.setattr(documents, "_draw", no_pango)
    an_owed_leg(database, starts_on=date(2026, 11, 1))
    clock.set_now(datetime(2026, 12, 6, 12, tzinfo=UTC))
    assert close_due_months(database, delay_days=5) == {"months": 1, "statements": 1}
    summary = print_statements(database)
    assert summary["printed"] == 0
    assert "libpango" in str(summary["unavailable"])


def test_the_delay_comes_from_the_settings(database: Database) -> None:
    an_owed_leg(database, starts_on=date(2026, 11, 1))
    clock.set_now(datetime(2026, 12, 2, 12, tzinfo=UTC))
    close_months, *_ = jobs(BillingSettings(closing_delay_days=0))
    assert close_months.name == "close-months"
    assert close_months.run(database) == {"months": 1, "statements": 1}
