from datetime import datetime, timedelta
from typing import Any

import pytest

from services.kit import clock
from services.kit.database import Database
from services.orders import jobs, queries
from services.orders.domain.order import Actor, Order, place
from services.orders.domain.recurring_request import RecurringRequest
from services.orders.queries import OrderFilter
from services.orders.repository import RecurringRequests
from services.orders.settings import OrdersSettings
from services.orders.use_cases import orders as use_cases
from tests.orders.builders import DEPARTMENT, NOW, TODAY, a_recurrence, an_order, some_terms
from tests.orders.conftest import furnish


def keep_request(database: Database, request_id: str, **terms: Any) -> None:
    with database.transaction() as tx:
        RecurringRequests(tx).add(tx, RecurringRequest(request_id, DEPARTMENT, some_terms(**terms), NOW))


def all_orders(database: Database) -> list[Order]:
    with database.view() as view:
        return queries.list_orders(view, OrderFilter(), limit=1_000)


def run(database: Database, name: str) -> object:
    job = next(job for job in jobs.jobs(OrdersSettings(contacts_kept_days=30)) if job.name == name)
    return job.run(database)


def test_every_request_that_goes_on_is_unfolded_and_the_run_reports(database: Database, clock_at_now: datetime) -> None:
    with database.transaction() as tx:
        furnish(tx)
    keep_request(database, "first")
    keep_request(database, "ended", recurrence=a_recurrence(ends_on=TODAY - timedelta(days=3)))
    keep_request(database, "without contract", contract_id="unknown")
    assert run(database, "generate-orders") == {"requests": 2, "orders": 9, "with_problems": 1}
    assert run(database, "generate-orders") == {"requests": 2, "orders": 0, "with_problems": 1}


def test_a_request_that_breaks_does_not_stop_the_others_and_is_told(database: Database, clock_at_now: datetime) -> None:
    with database.transaction() as tx:
        furnish(tx)
    keep_request(database, "broken", recurrence=a_recurrence(zone="Mars/Olympus"))
    keep_request(database, "sound")
    with pytest.raises(jobs.NotAllUnfolded, match="1 of 2 recurring requests; 9 orders"):
        run(database, "generate-orders")
    assert len(all_orders(database)) == 9


def test_contacts_are_forgotten_when_their_time_has_passed(database: Database, clock_at_now: datetime) -> None:
    with database.transaction() as tx:
        use_cases.add(tx, place(an_order(), actor=Actor.DEPARTMENT))
    assert run(database, "forget-contacts") == {"orders": 0}
    clock.set_now(NOW + timedelta(days=40))
    assert run(database, "forget-contacts") == {"orders": 1}
    assert all_orders(database)[0].legs[0].drop.contact == ""
