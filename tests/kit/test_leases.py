"""A lease has one holder; the dead lose theirs."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from services.kit import leases
from services.kit.database import Database

TAKE = """
import os, signal, sys
from services.kit import leases
from services.kit.database import Database
from tests.kit.conftest import metadata
assert leases.take(Database(sys.argv[1], metadata), "work", seconds=3600)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_one_holds_it_and_may_renew(database: Database) -> None:
    assert leases.take(database, "work", seconds=60, holder="one")
    assert leases.take(database, "work", seconds=60, holder="one")
    assert not leases.take(database, "work", seconds=60, holder="two")
    assert leases.take(database, "other work", seconds=60, holder="two")


def test_who_gives_it_back_lets_the_next_one_have_it_at_once(database: Database) -> None:
    assert leases.take(database, "work", seconds=60, holder="one")
    leases.give_back(database, "work", holder="two")
    assert not leases.take(database, "work", seconds=60, holder="two")
    leases.give_back(database, "work", holder="one")
    assert leases.take(database, "work", seconds=60, holder="two")


def test_it_runs_out(database: Database) -> None:
    assert leases.take(database, "work", seconds=-1, holder="one")
    assert leases.take(database, "work", seconds=60, holder="two")
    assert not leases.take(database, "work", seconds=60, holder="one")


def test_what_is_held_is_renewed_until_the_end(database: Database) -> None:
    with leases.held(database, "work", seconds=0.6, holder="one") as is_ours:
        assert is_ours
        time.sleep(1.5)
        assert not leases.take(database, "work", seconds=60, holder="two")
        with leases.held(database, "work", seconds=0.6, holder="two") as is_theirs:
            assert not is_theirs
        assert not leases.take(database, "work", seconds=60, holder="two")
    assert leases.take(database, "work", seconds=60, holder="two")


def test_what_is_held_is_given_back_after_a_fault(database: Database) -> None:
    with pytest.raises(LookupError), leases.held(database, "work", seconds=60, holder="one"):
        raise LookupError
    assert leases.take(database, "work", seconds=60, holder="two")


def test_of_many_that_want_it_at_once_one_gets_it(open_database: Callable[[], Database]) -> None:
    databases = [open_database() for _ in range(6)]

    def want(number: int) -> bool:
        return leases.take(databases[number], "work", seconds=60, holder=str(number))

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(want, range(6))) == [False] * 5 + [True]


def test_a_process_that_was_killed_on_this_machine_loses_it_at_once(database: Database, url: str) -> None:
    done = subprocess.run([sys.executable, "-c", TAKE, url], cwd=Path(__file__).parents[2], timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert leases.take(database, "work", seconds=60)


def test_a_process_of_another_machine_keeps_it_until_it_runs_out(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("INSERT INTO lease VALUES ('work', '@elsewhere/999999/abcd', 99999999999)"))
    assert not leases.take(database, "work", seconds=60)
    with database.transaction() as tx:
        tx.execute(text("UPDATE lease SET expires = 1"))
    assert leases.take(database, "work", seconds=60)


def test_a_living_process_of_this_machine_keeps_it(database: Database) -> None:
    assert leases.take(database, "work", seconds=60)
    with database.view() as view:
        owner = view.execute(text("SELECT owner FROM lease")).scalar_one()
    living = owner.replace(f"/{os.getpid()}/", f"/{multiprocessing.parent_process() or os.getppid()}/")
    with database.transaction() as tx:
        tx.execute(text("UPDATE lease SET owner = :owner"), {"owner": living})
    assert not leases.take(database, "work", seconds=60)
