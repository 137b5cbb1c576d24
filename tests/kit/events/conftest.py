"""The lane on either bus."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.kit.database import Database
from tests.kit.events.lane import Lane, metadata


@pytest.fixture(params=["log", pytest.param("kafka", marks=pytest.mark.kafka)])
async def lane(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lane]:
    """One test, both buses."""
    kafka = request.getfixturevalue("kafka_server") if request.param == "kafka" else None
    lane = Lane(request.param, tmp_path, kafka)
    yield lane
    await lane.close()


@pytest.fixture
async def log_lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """For what the kind of bus does not change."""
    lane = Lane("log", tmp_path)
    yield lane
    await lane.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A service's database, on each of the two."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_server").create_database()
    else:
        url = f"sqlite:///{tmp_path}/either.db"
    database = Database(url, metadata)
    database.upgrade()
    yield database
    database.dispose()
