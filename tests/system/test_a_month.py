"""A month of the demo city through the HTTP interfaces, embedded and distributed: everything balances to the cent."""

from datetime import date
from pathlib import Path

import pytest

from services.demo.account import Account
from services.demo.month import play_month
from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer
from tests.system.houses import RunningHouse

MONTH = date(2026, 10, 1)
"""Summer time ends in it, on the 25th."""


def play(running: RunningHouse, *, scale: int) -> Account:
    with running, running.visit() as house:
        return play_month(house, MONTH, scale=scale, solve_seconds=0.3, tell=lambda _: None)


def must_be_a_real_month(account: Account) -> None:
    assert account.disagreements == []
    assert account.counts["delivered"] > 100
    assert account.counts["failed"] > 0
    assert account.counts["cancelled"] > 0
    assert account.invoiced_cents > 0
    assert len(account.statements) >= 2
    assert min(account.left_cents.values()) >= 0


@pytest.mark.slow
def test_a_month_balances_embedded(tmp_path: Path) -> None:
    account = play(RunningHouse(tmp_path), scale=1)
    must_be_a_real_month(account)
    assert account.counts["refused"] > 0, "the small contract is near enough to its ceiling that something is refused"


@pytest.mark.slow
def test_a_month_balances_on_kafka_and_postgres(
    tmp_path: Path, kafka_server: KafkaServer, postgres_server: PostgresServer
) -> None:
    must_be_a_real_month(play(RunningHouse(tmp_path, kafka=kafka_server, postgres=postgres_server), scale=2))
