"""One way to write, one way to read, the same on SQLite and PostgreSQL."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import JSON, Column, Integer, MetaData, String, Table, exc, func, insert, select, text, update

from services.kit.database import (
    Database,
    Transaction,
    UtcDateTime,
    bearing_outages,
    insert_all,
    insert_new,
    is_outage,
    many_values,
    put,
)
from tests.kit.conftest import metadata, things
from tests.servers.parts import free_port
from tests.servers.postgres import PostgresServer


def names(database: Database) -> list[str]:
    with database.view() as view:
        return list(view.execute(select(things.c.name).order_by(things.c.id)).scalars())


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(insert(things).values(name="kept"))
    with pytest.raises(LookupError), database.transaction() as tx:
        tx.execute(insert(things).values(name="dropped"))
        raise LookupError
    assert names(database) == ["kept"]


def test_a_view_cannot_write(database: Database) -> None:
    with pytest.raises(exc.DBAPIError, match=r"readonly|read-only"), database.view() as view:
        view.execute(insert(things).values(name="no"))
    assert names(database) == []


def test_many_that_read_then_write_at_once_all_get_their_turn(open_database: Callable[[], Database]) -> None:
    database = open_database()
    with database.transaction() as tx:
        tx.execute(insert(things).values(name="counter", size=0))

    def count(_: int) -> None:
        for _ in range(10):
            with database.transaction() as tx:
                size = tx.execute(select(things.c.size).with_for_update()).scalar_one()
                tx.execute(update(things).values(size=size + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    with database.view() as view:
        assert view.execute(select(things.c.size)).scalar_one() == 80


def test_after_the_commit_comes_after_it_once_and_not_after_a_rollback(database: Database) -> None:
    seen: list[list[str]] = []

    def look() -> None:
        seen.append(names(database))

    with database.transaction() as tx:
        tx.execute(insert(things).values(name="one"))
        tx.after_commit(look)
        tx.after_commit(look)
    assert seen == [["one"]]
    with pytest.raises(LookupError), database.transaction() as tx:
        tx.after_commit(look)
        raise LookupError
    assert len(seen) == 1


def test_what_is_gathered_is_written_together_before_the_commit(database: Database) -> None:
    calls: list[list[str]] = []

    def write(tx: Transaction, gathered: list[str]) -> None:
        calls.append(gathered.copy())
        tx.execute(insert(things), [{"name": name} for name in gathered])

    with database.transaction() as tx:
        tx.gather(write, "one")
        tx.gather(write, "two")
        assert calls == []
    assert calls == [["one", "two"]]
    assert names(database) == ["one", "two"]
    with pytest.raises(exc.IntegrityError), database.transaction() as tx:
        tx.execute(insert(things).values(name="three"))
        tx.gather(write, "one")
    assert names(database) == ["one", "two"]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 63, 800])
def test_rows_inserted_in_bulk_are_all_there_in_order(database: Database, count: int) -> None:
    at = "2026-11-24T08:00:00.000000+00:00"
    with database.transaction() as tx:
        insert_all(tx, things, [(f"é\t\\{number}\n", number, at) for number in range(count)])
    with database.view() as view:
        rows = view.execute(select(things.c.name, things.c.size, things.c.at).order_by(things.c.id)).all()
    assert [tuple(row) for row in rows] == [
        (f"é\t\\{number}\n", number, datetime(2026, 11, 24, 8, tzinfo=UTC)) for number in range(count)
    ]


def test_bulk_rows_that_are_there_already_undo_the_transaction(database: Database) -> None:
    with database.transaction() as tx:
        insert_all(tx, things, [("one", 1, None)])
    with pytest.raises((exc.IntegrityError, psycopg.IntegrityError)), database.transaction() as tx:
        insert_all(tx, things, [("two", 2, None), ("one", 1, None), ("three", 3, None)])
    assert names(database) == ["one"]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 255, 256, 777])
def test_statements_of_many_values_hold_every_row_once_and_come_in_few_sizes(count: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a, b)")
    statements = list(many_values("INSERT INTO t", [(number, -number) for number in range(count)]))
    for statement, values in statements:
        connection.execute(statement, values)
    assert connection.execute("SELECT * FROM t").fetchall() == [(number, -number) for number in range(count)]
    assert len({statement for statement, _ in statements}) <= 5


def test_only_rows_that_are_new_are_inserted_and_told(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(insert(things).values(name="old", size=1))
        told = insert_new(tx, things, [{"name": "old", "size": 2}, {"name": "new", "size": 2}], things.c.name)
        assert list(told.scalars()) == ["new"]
    with database.view() as view:
        rows = view.execute(select(things.c.name, things.c.size).order_by(things.c.name))
        assert [tuple(row) for row in rows] == [("new", 2), ("old", 1)]


def test_how_many_rows_were_new_is_told(database: Database) -> None:
    for expected in (2, 0):
        with database.transaction() as tx:
            assert insert_new(tx, things, [{"name": "one", "size": 1}, {"name": "two", "size": 2}]).rowcount == expected


def test_put_inserts_or_replaces(database: Database) -> None:
    for size in (1, 2):
        with database.transaction() as tx:
            put(tx, things, {"id": 7, "name": "x", "size": size})
    with database.view() as view:
        assert [tuple(row) for row in view.execute(select(things.c.id, things.c.size))] == [(7, 2)]


def test_instants_come_back_in_utc_and_naive_ones_are_refused(database: Database) -> None:
    at = datetime(2026, 3, 29, 4, 30, 0, 123456, timezone(timedelta(hours=2)))
    with database.transaction() as tx:
        tx.execute(insert(things).values(name="x", at=at))
    with database.view() as view:
        read = view.execute(select(things.c.at)).scalar_one()
    assert read == at
    assert read.tzinfo == UTC
    with pytest.raises(exc.StatementError, match="without a zone"), database.transaction() as tx:
        tx.execute(insert(things).values(name="y", at=at.replace(tzinfo=None)))


def test_instants_sort_as_they_happened(database: Database) -> None:
    first = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    second = datetime(2026, 1, 1, 9, tzinfo=UTC)
    with database.transaction() as tx:
        tx.execute(insert(things), [{"name": "second", "at": second}, {"name": "first", "at": first}])
    with database.view() as view:
        assert list(view.execute(select(things.c.name).order_by(things.c.at)).scalars()) == ["first", "second"]


def test_several_may_make_the_tables_at_once(url: str) -> None:
    databases = [Database(url, metadata) for _ in range(4)]
    threads = [threading.Thread(target=database.upgrade) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.ping()
        with database.view() as view:
            assert view.execute(select(func.count()).select_from(things)).scalar_one() == 0
        database.dispose()


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="name a file"):
        Database("sqlite://", MetaData())


# -- outages ----------------------------------------------------------------------------------------------------------


def error_of(database: Database, statement: str) -> Exception:
    with pytest.raises(exc.DBAPIError) as caught, database.transaction() as tx:
        tx.execute(text(statement))
    return caught.value


def test_a_mistake_in_a_statement_is_no_outage(database: Database) -> None:
    assert not is_outage(error_of(database, "SELECT * FROM nowhere"))
    assert not is_outage(error_of(database, "SELEKT"))
    assert not is_outage(error_of(database, "INSERT INTO thing (name) VALUES (NULL)"))
    assert not is_outage(ConnectionError("some other connection"))


def test_a_sqlite_file_that_somebody_else_holds_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/held.db", metadata)
    database.upgrade()
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with database.view() as view:
        view.execute(text("SELECT 1"))
    other = sqlite3.connect(tmp_path / "held.db", timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
        other.execute("BEGIN IMMEDIATE")
    assert is_outage(caught.value)
    with bearing_outages("a thing"):
        other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="syntax"), bearing_outages("a thing"):
        other.execute("SELEKT")
    holder.close()
    other.close()
    database.dispose()


def test_a_database_of_an_earlier_version_gets_the_columns_that_are_new(url: str) -> None:
    earlier, later = MetaData(), MetaData()
    Table("thing", earlier, Column("id", Integer, primary_key=True), Column("name", String(50)))
    grown = Table(
        "thing",
        later,
        Column("id", Integer, primary_key=True),
        Column("name", String(50)),
        Column("colours", JSON, nullable=False, server_default="[]"),
        Column("size", Integer, nullable=False, server_default="100"),
        Column("end", UtcDateTime),
    )
    old = Database(url, earlier)
    old.upgrade()
    with old.transaction() as tx:
        tx.execute(text("INSERT INTO thing (id, name) VALUES (1, 'kept')"))
    old.dispose()
    new = Database(url, later)
    for _ in range(2):  # twice is harmless
        new.upgrade()
    with new.view() as view:
        assert view.execute(select(grown)).one() == (1, "kept", [], 100, None)
    new.dispose()


def test_a_postgresql_that_does_not_answer_is_an_outage() -> None:
    database = Database(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing", metadata)
    with pytest.raises(exc.OperationalError) as caught:
        database.ping()
    assert is_outage(caught.value)
    assert is_outage(psycopg.OperationalError("connection lost"))


@pytest.mark.parametrize("code", ["40P01", "40001", "57P01", "53300", "25006", "55P03"])
def test_what_postgresql_says_when_it_is_contended_or_leaving_is_an_outage(
    postgres_server: PostgresServer, code: str
) -> None:
    database = Database(postgres_server.create_database(), metadata)
    raised = error_of(database, f"DO $$ BEGIN RAISE EXCEPTION 'said' USING ERRCODE = '{code}'; END $$")
    assert is_outage(raised)
    database.dispose()
