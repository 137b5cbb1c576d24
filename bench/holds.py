"""Holds per second on one hot contract beside plain inserts of the same rows, in one run: python -m bench.holds.

One hold is checked under five maxima (life, period, lot, two budgets), priced, and leaves one row each in holds,
charges, ledger and outbox. The plain line writes those rows again, with the driver alone, into the same tables with
the same indexes, in transactions of the same size: no lock, no check, no price. Both in turn, medians of pairs.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from psycopg.types.json import Json
from sqlalchemy import Table, delete, select

from bench.machine import machine
from services.billing import use_cases
from services.billing.domain.charge import Order
from services.billing.domain.contract import Contract
from services.billing.domain.structure import Budget, Decision, Lot, Period, Structure
from services.billing.tables import charges, holds, ledger, metadata
from services.kit.database import Database
from services.kit.ids import new_id
from tests.billing.builders import a_contract, a_leg_to_price, an_order, register

BATCHES = (1, 50, 500)
ORDERS = {1: 150, 50: 1_000, 500: 3_000}
ROUNDS = 7
NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
TABLES = (holds, charges, ledger, metadata.tables["outbox"])
STRUCTURE = Structure(
    periods=(
        Period(1, date(2026, 1, 1), date(2026, 12, 31), 500_000_000, Decision.FIRM),
        Period(2, date(2027, 1, 1), date(2027, 12, 31), 500_000_000, Decision.TACIT),
    ),
    lots=(Lot(1, "Tout", "64120000", 1_000_000_000),),
    budgets=(Budget(900_000_000, "proprete", 2026), Budget(900_000_000, "", 2026)),
)


def asked(contract: Contract, number: int) -> Order:
    """Return an order of one leg as an event brings it; 80 different ones in two departments take turns."""
    department_id = ("proprete", "voirie")[number % 2]
    day = date(2026, 11, 16) + timedelta(days=number // 2 % 4)
    loads = {("ballot-linge", "panneau")[number // 8 % 2]: 1 + number // 16 % 5}
    order = an_order(contract, department_id=department_id, legs=[a_leg_to_price(1, day, loads)])
    promised_until = datetime(day.year, day.month, day.day, 16, tzinfo=UTC)
    legs = tuple(replace(leg, promised_until=promised_until) for leg in order.legs)
    return replace(order, reference=f"C-{number:06d}", legs=legs, placed_at=NOW, event_id=new_id())


def held(database: Database, orders: Sequence[Order], batch: int) -> float:
    """Return the seconds that holding these orders takes, so many in a transaction."""
    began = perf_counter()
    for start in range(0, len(orders), batch):
        with database.transaction() as tx:
            use_cases.book(tx, orders[start : start + batch], [], at=NOW)
    return perf_counter() - began


def taken(database: Database) -> dict[Table, list[tuple[Any, ...]]]:
    """Return the rows that the holds left, as the driver gave them, and remove them."""
    rows: dict[Table, list[tuple[Any, ...]]] = {}
    with database.transaction() as tx:
        for table in TABLES:
            columns = ", ".join(f'"{column.name}"' for column in table.columns if not _is_counted(table, column.name))
            found = tx.execute_as_is(f"SELECT {columns} FROM {table.name} ORDER BY 1")
            rows[table] = [tuple(row) for row in found]
        for table in (charges, holds, ledger, metadata.tables["outbox"]):
            tx.execute(delete(table))
    return rows


def _is_counted(table: Table, name: str) -> bool:
    counted = table.autoincrement_column
    return counted is not None and counted.name == name


def inserted(database: Database, rows: dict[Table, list[tuple[Any, ...]]], orders: int, batch: int) -> float:
    """Return the seconds that plain inserts of the same rows take, in as many transactions."""
    statements = {table: _insert(database, table) for table in TABLES}
    if not database.is_sqlite:
        rows = {table: [tuple(map(_for_psycopg, line)) for line in lines] for table, lines in rows.items()}
    transactions = -(-orders // batch)
    began = perf_counter()
    for number in range(transactions):
        with database.transaction() as tx:
            cursor = tx.cursor()
            for table, statement in statements.items():
                part = len(rows[table]) // transactions
                cursor.executemany(statement, rows[table][number * part : (number + 1) * part])
            cursor.close()
    return perf_counter() - began


def _for_psycopg(value: object) -> object:
    return Json(value) if isinstance(value, dict | list) else value


def _insert(database: Database, table: Table) -> str:
    names = [f'"{column.name}"' for column in table.columns if not _is_counted(table, column.name)]
    place = "?" if database.is_sqlite else "%s"
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join([place] * len(names))})"


def measure(name: str, database: Database) -> None:
    """Print a row per batch size."""
    whole = replace(a_contract(structure=STRUCTURE), ceiling_cents=1_000_000_000)
    contract = register(database, whole)
    for batch in BATCHES:  # before anything is timed, both lines have run once: their statements are prepared
        orders = [asked(contract, number) for number in range(batch)]
        held(database, orders, batch)
        inserted(database, taken(database), batch, batch)
        taken(database)
    print(f"\n{name} ({machine()}; one contract, five scopes; median of {ROUNDS} pairs)")
    print(f"{'batch':>6} {'plain /s':>10} {'holds /s':>10} {'holds/plain':>12}")
    for batch in BATCHES:
        pairs = []
        for _ in range(ROUNDS):
            orders = [asked(contract, number) for number in range(ORDERS[batch])]
            hold_seconds = held(database, orders, batch)
            rows = taken(database)
            assert len(rows[holds]) == len(rows[charges]) == len(orders), "not all of them were held"
            plain_seconds = inserted(database, rows, len(orders), batch)
            assert _count(database) == len(orders), "not the same rows"
            taken(database)
            pairs.append((len(orders) / plain_seconds, len(orders) / hold_seconds))
        ratio = statistics.median(ours / plain for plain, ours in pairs)
        plain, ours = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        print(f"{batch:>6} {plain:>10.0f} {ours:>10.0f} {ratio:>12.2f}")


def _count(database: Database) -> int:
    with database.view() as view:
        return len(view.execute(select(holds.c.order_id)).all())


@contextmanager
def sqlite() -> Iterator[tuple[str, Database]]:
    """A SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder)}/billing.db", metadata)
        database.upgrade()
        yield "SQLite", database
        database.dispose()


@contextmanager
def postgres() -> Iterator[tuple[str, Database]]:
    """A PostgreSQL, found or fetched and started here."""
    from tests.servers.postgres import PostgresServer

    with PostgresServer() as server:
        database = Database(server.create_database(), metadata)
        database.upgrade()
        yield server.description, database
        database.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is named, both by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    only = parser.parse_args(arguments).only
    for kind, opened in (("sqlite", sqlite), ("postgres", postgres)):
        if only in (None, kind):
            with opened() as (name, database):
                measure(name, database)


if __name__ == "__main__":
    main()
