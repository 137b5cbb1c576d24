"""A billing database of its own for each test: SQLite, and PostgreSQL where a test says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.billing.tables import metadata
from services.kit.database import Database
from tests.servers.postgres import PostgresServer


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    database = Database(f"sqlite:///{tmp_path}/billing.db", metadata)
    database.upgrade()
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, once of each kind."""
    url = f"sqlite:///{tmp_path}/billing.db"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    database = Database(url, metadata)
    database.upgrade()
    yield database
    database.dispose()
