"""A service's own database: one way to write, one way to read, the same on SQLite and PostgreSQL.

`transaction()` begins immediately on SQLite: with a deferred BEGIN two writers that read first both fail at once
instead of waiting for each other. Writers of one process queue on a lock for the same reason. Nothing slow belongs
inside either context.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    CursorResult,
    Dialect,
    Engine,
    Executable,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    exc,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateColumn
from sqlalchemy.types import TIMESTAMP, TypeDecorator, TypeEngine

log = logging.getLogger(__name__)
T = TypeVar("T")

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A whole-number identity column: 64 bits on both; SQLite only counts up an INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant: TIMESTAMP WITH TIME ZONE on PostgreSQL, sortable UTC text on SQLite."""

    impl = TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write an aware instant. Raises ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read it back, in UTC."""
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value.astimezone(UTC)  # type: ignore[no-any-return]


class View:
    """An open read: sees one state, cannot write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._connection.dialect.name

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run one SQLAlchemy Core statement."""
        return self._connection.execute(statement, parameters)

    def execute_as_is(self, statement: str, parameters: tuple[Any, ...] = ()) -> CursorResult[Any]:
        """Run SQL in the driver's own words, for the few places where the way there counts."""
        return self._connection.exec_driver_sql(statement, parameters)


class Transaction(View):
    """An open write: all of it or nothing. Whoever is given one never commits it."""

    def __init__(self, connection: Connection, database: "Database") -> None:
        super().__init__(connection)
        self.database = database
        self.callbacks: list[Callable[[], None]] = []
        self._gathered: dict[Callable[[Transaction, list[Any]], None], list[Any]] = {}

    def gather(self, write: "Callable[[Transaction, list[T]], None]", item: T) -> None:
        """Keep `item` until just before the commit, when `write` gets everything gathered for it at once.

        For rows that nobody reads in this transaction: one statement for many of them instead of one each.
        """
        self._gathered.setdefault(write, []).append(item)

    def write_gathered(self) -> None:
        """Write what was gathered; `Database.transaction` does this before it commits."""
        while self._gathered:
            write = next(iter(self._gathered))
            write(self, self._gathered.pop(write))  # and what it gathers itself is written after it

    def cursor(self) -> Any:
        """Return a cursor of the driver itself."""
        return self._connection.connection.cursor()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the commit has succeeded; not at all after a rollback."""
        if callback not in self.callbacks:
            self.callbacks.append(callback)


class Database:
    """One service's database, by SQLAlchemy URL."""

    def __init__(self, url: str, metadata: MetaData) -> None:
        self.url = make_url(url)
        self.metadata = metadata
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._write_lock = threading.Lock()
        if self.is_sqlite:
            if self.url.database in (None, "", ":memory:"):
                raise ValueError("an in-memory database would be another one in every thread; name a file")
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._sqlite_engine(read_only=False)
            self._reader = self._sqlite_engine(read_only=True)
        else:
            self._writer = create_engine(
                self.url,
                pool_size=10,
                max_overflow=20,
                pool_pre_ping=True,
                hide_parameters=True,  # an error must not carry people's data into the log
            )
            self._reader = self._writer.execution_options(postgresql_readonly=True)

    def _sqlite_engine(self, *, read_only: bool) -> Engine:
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=1 if not read_only else 8,
            max_overflow=0 if not read_only else 32,
            hide_parameters=True,
            # SQLAlchemy begins transactions itself, see below; the driver must not.
            connect_args={"check_same_thread": False, "timeout": 10, "isolation_level": None, "cached_statements": 256},
        )

        @event.listens_for(engine, "connect")
        def configure(connection: sqlite3.Connection, _record: object) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA busy_timeout=10000")
            cursor.execute("PRAGMA cache_size=-32000")
            if read_only:
                cursor.execute("PRAGMA query_only=ON")
            else:
                cursor.execute("PRAGMA wal_autocheckpoint=10000")
            cursor.close()

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            if read_only:  # straight to the driver, it cannot fail: SQLAlchemy's way there is a fifth of a poll
                driver: Any = connection.connection.dbapi_connection
                driver.execute("BEGIN")
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a write; commit at the end, roll back on any exception, then call what was left for after the commit."""
        if self.is_sqlite:
            with self._write_lock, self._writer.begin() as connection:
                tx = Transaction(connection, self)
                yield tx
                tx.write_gathered()
        else:
            with self._writer.begin() as connection:
                tx = Transaction(connection, self)
                yield tx
                tx.write_gathered()
        for callback in tx.callbacks:
            callback()

    @contextmanager
    def view(self) -> Iterator[View]:
        """Open a read."""
        with self._reader.connect() as connection:
            yield View(connection)

    def upgrade(self) -> None:
        """Create what is missing: tables, and columns that were added to a table since it was made.

        A new column must be nullable or have a server default, so that the rows there are stay readable.
        """
        with self._writer.begin() as connection:
            if not self.is_sqlite:
                # Two processes of one service may start at once; CREATE TABLE IF NOT EXISTS is not atomic.
                connection.execute(text("SELECT pg_advisory_xact_lock(7205759403792793)"))
            self.metadata.create_all(connection)
            there = inspect(connection)
            for table in self.metadata.tables.values():
                known = {column["name"] for column in there.get_columns(table.name)}
                for column in table.columns:
                    if column.name not in known:
                        told = CreateColumn(column).compile(dialect=connection.dialect)
                        name = connection.dialect.identifier_preparer.format_table(table)
                        connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {told}")

    def ping(self) -> None:
        """Raise when the database does not answer."""
        with self.view() as view:
            view.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close every connection."""
        self._reader.dispose()
        self._writer.dispose()


def insert_new(
    tx: Transaction, table: Table, rows: Sequence[Mapping[str, Any]], *returning: Column[Any]
) -> CursorResult[Any]:
    """Insert the rows whose key is not there yet; those that are stay as they are.

    `rowcount` of the result says how many were new; with `returning`, it gives these columns of them.
    """
    build = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    statement: Any = build(table).values(list(rows)).on_conflict_do_nothing()
    statement = statement.execution_options(preserve_rowcount=True)
    return tx.execute(statement.returning(*returning) if returning else statement)


def many_values(insert: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Cut rows into SQLite statements of many values each: `insert` (up to VALUES) and their parameters.

    `executemany` lets go of Python's lock at each row and must wait for it again; one statement of many rows does so
    once. With a busy thread beside it that is a hundred times faster. Few sizes, so that statements are prepared once.
    """
    start = 0
    for size in (256, 64, 16, 4, 1):
        while len(rows) - start >= size:
            part = rows[start : start + size]
            row = f"({', '.join('?' * len(part[0]))})"
            yield f"{insert} VALUES {', '.join([row] * size)}", list(chain.from_iterable(part))
            start += size


def insert_all(
    tx: Transaction, table: Table, rows: Sequence[Sequence[Any]], columns: Sequence[str] | None = None
) -> None:
    """Insert many rows at the storage's own speed: one statement for hundreds, or COPY.

    Each row has one value for each of `columns`, or without them for every column but an identity, in order, as the
    driver takes it: no column type looks at them, so instants and JSON are given as text.
    """
    if columns is None:
        columns = [column.name for column in table.columns if column is not table.autoincrement_column]
    names = ", ".join(f'"{name}"' for name in columns)
    if tx.dialect == "sqlite":
        for statement, values in many_values(f"INSERT INTO {table.name} ({names})", rows):
            tx.execute_as_is(statement, tuple(values))
    elif len(rows) == 1:
        places = ", ".join(["%s"] * len(columns))
        tx.execute_as_is(f"INSERT INTO {table.name} ({names}) VALUES ({places})", tuple(rows[0]))  # noqa: S608
    elif rows:
        with tx.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def put(tx: Transaction, table: Table, row: Mapping[str, Any]) -> None:
    """Insert the row, or replace the values of the one with the same primary key."""
    build = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    keys = [column.name for column in table.primary_key]
    values = {name: value for name, value in row.items() if name not in keys}
    statement: Any = build(table).values(dict(row))
    if values:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
    else:
        statement = statement.on_conflict_do_nothing()
    tx.execute(statement)


_SQLITE_AWAY = {5, 6, 7, 8, 9, 10, 13, 14, 15}
"""Primary result codes: busy, locked, no memory, read-only, interrupted, disk error, full, cannot open, protocol."""


def is_outage(error: BaseException) -> bool:
    """Return whether `error` says that the database is away, full or contended: not the statement's fault."""
    if isinstance(error, exc.TimeoutError):
        return True
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    if isinstance(cause, psycopg.Error):
        is_standby = cause.sqlstate == "25006"
        return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) or is_standby
    return False


@contextmanager
def bearing_outages(what: str) -> Iterator[None]:
    """Log an outage and go on, where `what` is done again soon; raise everything else."""
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("the database is away: %s waits (%s)", what, error)
