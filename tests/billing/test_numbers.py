"""Numbers have no gap: when closings and credit notes come at once, when some fail, when the process is killed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from services.billing import queries, use_cases
from services.billing.domain.acceptance import Decider
from services.billing.domain.charge import Acceptance
from services.billing.domain.contract import Contract
from services.billing.domain.credit_note import Asked
from services.billing.domain.statement import Month, Statement
from services.billing.domain.status import Status, ToldStatus
from services.billing.jobs import print_statements
from services.billing.queries import Sight, after_closing
from services.billing.use_cases import acceptance, credit_notes
from services.billing.use_cases.statuses import hear_status
from services.kit.database import Database
from services.kit.errors import DomainError
from tests.billing.builders import a_contract, an_order, handed_over, hold, register, settle
from tests.billing.test_races import Killed, at_once, die_if

NOVEMBER = Month(2026, 11)
DECEMBER_6 = datetime(2026, 12, 6, 9, tzinfo=UTC)


def delivered(database: Database, contract: Contract) -> str:
    order = an_order(contract)
    hold(database, order)
    settle(database, handed_over(order.id))
    return order.id


def close(database: Database, contract: Contract) -> Statement:
    with database.transaction() as tx:
        (statement,) = use_cases.close_month(tx, contract.id, NOVEMBER, at=DECEMBER_6).statements
    return statement


def test_closings_and_credit_notes_at_once_share_one_sequence(either_database: Database) -> None:
    contracts = [register(either_database, a_contract()) for _ in range(8)]
    orders = [delivered(either_database, contract) for contract in contracts]
    first = [close(either_database, contract) for contract in contracts[:4]]

    def close_or_credit(number: int) -> None:
        with suppress(Killed), either_database.transaction() as tx:
            if number < 4:
                asked = [Asked(orders[number], 1, 100)]
                credit_notes.credit(tx, first[number].id, asked, reason="Erreur", is_billed_anew=False, at=DECEMBER_6)
            else:
                use_cases.close_month(tx, contracts[number].id, NOVEMBER, at=DECEMBER_6)
            die_if(number in {1, 6})

    at_once([partial(close_or_credit, number) for number in range(8)])
    with either_database.view() as view:
        found = queries.list_statements(view, Sight(), limit=100)
        numbers = [one.number for one in found]
        for one in found:
            numbers += [note.number for note in after_closing.list_credit_notes(view, Sight(), one.id)]
    # Those that died gave their numbers back.
    assert sorted(numbers) == [f"2026-{count:05d}" for count in range(1, len(numbers) + 1)]
    assert len(numbers) == 4 + 3 + 3


def test_of_two_decisions_at_once_one_counts(either_database: Database) -> None:
    contract = register(either_database, a_contract())

    def decide(order_id: str, verb: str) -> str:
        by = Decider(verb, verb)
        with suppress(DomainError), either_database.transaction() as tx:
            charge = acceptance.lock(tx, order_id, 1)
            if verb == "reject":
                acceptance.reject(tx, charge, "Jamais arrivé", by=by, at=DECEMBER_6)
            else:
                acceptance.accept(tx, charge, by=by, at=DECEMBER_6)
            return verb
        return ""

    for _ in range(5):
        order_id = delivered(either_database, contract)
        at_once([partial(decide, order_id, verb) for verb in ("reject", "accept", "reject", "accept")])
        with either_database.view() as view:
            charge = queries.get_charge(view, Sight(), order_id, 1)
            assert queries.get_consumption(view, Sight(), contract.id).is_balanced
        assert charge.acceptance is Acceptance.REJECTED
        assert charge.decisions in {1, 2}


def test_a_refusal_heard_by_many_at_once_cancels_once(either_database: Database) -> None:
    contract = register(either_database, a_contract())
    delivered(either_database, contract)
    statement = close(either_database, contract)

    def hear(number: int) -> bool:
        told = ToldStatus(f"r-{number}", Status.REJECTED, DECEMBER_6, "DOUBLON")
        with either_database.transaction() as tx:
            return hear_status(tx, statement.id, told, at=DECEMBER_6)

    assert at_once([partial(hear, number % 3) for number in range(6)]).count(True) == 3
    with either_database.view() as view:
        assert len(after_closing.list_credit_notes(view, Sight(), statement.id)) == 1
        assert queries.get_consumption(view, Sight(), contract.id).is_balanced


CLOSE = """
import sys
from datetime import UTC, datetime
from services.billing import use_cases
from services.billing.domain.statement import Month
from services.billing.tables import metadata
from services.kit.database import Database
with Database(sys.argv[1], metadata).transaction() as tx:
    use_cases.close_month(tx, sys.argv[2], Month(2026, 11), at=datetime(2026, 12, 6, 9, tzinfo=UTC))
"""


def close_and_die(database: Database, contract: Contract, failpoint: str) -> None:
    url = database.url.render_as_string(hide_password=False)
    died = subprocess.run(
        [sys.executable, "-c", CLOSE, url, contract.id],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TOURNEE_FAILPOINT": failpoint},
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL


@pytest.mark.parametrize("failpoint", ["outbox.before_commit", "outbox.after_commit"])
def test_a_process_killed_around_the_freeze_burns_no_number_and_doubles_none(
    either_database: Database, failpoint: str
) -> None:
    first, second = register(either_database, a_contract()), register(either_database, a_contract())
    for contract in (first, second):
        delivered(either_database, contract)
    close_and_die(either_database, first, failpoint)
    assert close(either_database, first).number == "2026-00001"  # frozen before the death, or only now
    assert close(either_database, second).number == "2026-00002"
    with either_database.view() as view:
        assert len(queries.list_statements(view, Sight(), limit=10)) == 2


def test_what_was_frozen_before_the_death_is_rendered_after_it(database: Database) -> None:
    contract = register(database, a_contract())
    delivered(database, contract)
    close_and_die(database, contract, "outbox.after_commit")
    done = print_statements(database)
    assert done.get("unavailable") or done["printed"] == 1
    assert close(database, contract).number == "2026-00001"
