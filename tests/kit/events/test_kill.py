"""A process killed at any step of the lane loses nothing and doubles nothing, embedded and distributed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from services.kit.database import Database
from services.kit.failpoints import FAILPOINTS
from tests.kit.events import two_services
from tests.kit.events.two_services import Settings, key_of
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer

EVENTS = 20


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return Settings(
        source=f"sqlite:///{tmp_path}/source.db",
        sink=f"sqlite:///{tmp_path}/sink.db",
        log=f"{tmp_path}/log.db",
        events=EVENTS,
    )


@pytest.fixture
def distributed(kafka_server: KafkaServer, postgres_server: PostgresServer) -> Settings:
    return Settings(
        source=postgres_server.create_database(),
        sink=postgres_server.create_database(),
        kafka=kafka_server.bootstrap,
        prefix=f"{uuid4().hex[:8]}.",
        events=EVENTS,
    )


def run(settings: Settings, failpoint: str = "") -> int:
    """Run the two services until they end; return the exit code, negative for a signal."""
    return subprocess.run(
        [sys.executable, "-m", "tests.kit.events.two_services", settings.text()],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TOURNEE_FAILPOINT": failpoint},
        timeout=60,
        check=False,
    ).returncode


def assert_everything_once(settings: Settings) -> None:
    source, sink = Database(settings.source, two_services.metadata), Database(settings.sink, two_services.metadata)
    words = [str(row["word"]) for row in two_services.rows(sink, two_services.written)]
    heard = [row["number"] for row in two_services.rows(source, two_services.answers)]
    for key in two_services.KEYS:
        expected = [number for number in range(settings.events) if key_of(number) == key]
        assert [word for word in words if key_of(int(word[5:])) == key] == [f"word {number}" for number in expected]
        assert [number for number in heard if key_of(int(str(number))) == key] == expected
    assert len(words) == len(heard) == settings.events
    source.dispose()
    sink.dispose()


@pytest.mark.parametrize("failpoint", [f"{name}:2" for name in FAILPOINTS])
def test_embedded_nothing_is_lost_or_doubled_when_killed_at(failpoint: str, embedded: Settings) -> None:
    assert run(embedded, failpoint) == -signal.SIGKILL
    assert run(embedded) == 0
    assert_everything_once(embedded)


@pytest.mark.parametrize("failpoint", [f"{name}:1" for name in FAILPOINTS])
def test_distributed_nothing_is_lost_or_doubled_when_killed_at(failpoint: str, distributed: Settings) -> None:
    assert run(distributed, failpoint) == -signal.SIGKILL
    assert run(distributed) == 0
    assert_everything_once(distributed)


def test_killed_again_and_again_it_still_ends_with_everything_once(embedded: Settings) -> None:
    for failpoint in FAILPOINTS:
        run(embedded, failpoint)
    assert run(embedded) == 0
    assert_everything_once(embedded)
