"""The lane on either bus."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.events.lane import Lane


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
