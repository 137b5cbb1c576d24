"""A database of the kit's own tables, on each of the two."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from services.kit.database import BigId, Database, UtcDateTime
from services.kit.jobs import add_lease_table

metadata = MetaData()
add_lease_table(metadata)
things = Table(
    "thing",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(50), unique=True, nullable=False),
    Column("size", Integer, nullable=False, default=0),
    Column("at", UtcDateTime),
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_server").create_database())
    return f"sqlite:///{tmp_path}/kit.db"


@pytest.fixture
def open_database(url: str) -> Iterator[Callable[[], Database]]:
    """Open it again and again, as several processes would."""
    opened: list[Database] = []

    def open_one() -> Database:
        database = Database(url, metadata)
        database.upgrade()
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        database.dispose()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()
