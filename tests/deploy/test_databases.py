"""deploy/postgres/databases.sql on a real PostgreSQL: one database and role per service, walls between them."""

import os
import subprocess
from collections.abc import Mapping

import psycopg
import pytest

from tests.servers.parts import PROJECT
from tests.servers.postgres import PostgresServer

SERVICES = ("orders", "dispatch", "billing")
PASSWORDS = {f"{service.upper()}_DB_PASSWORD": f"it's {service}" for service in SERVICES}


def _run_script(server: PostgresServer, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(server.client("psql"), "-X", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"),
            *("-f", str(PROJECT / "deploy/postgres/databases.sql")),
        ],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("forgotten", PASSWORDS)
def test_a_forgotten_password_stops_everything(forgotten: str, postgres_server: PostgresServer) -> None:
    done = _run_script(postgres_server, {name: value for name, value in PASSWORDS.items() if name != forgotten})
    assert done.returncode != 0
    assert f"{forgotten} is not set" in done.stderr
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        _connect(postgres_server, "orders", "orders")


def test_a_service_has_its_database_and_no_other(postgres_server: PostgresServer) -> None:
    done = _run_script(postgres_server, PASSWORDS)
    assert done.returncode == 0, done.stderr
    for service in SERVICES:
        with _connect(postgres_server, service, service) as connection:
            connection.execute("CREATE TABLE mine (n int)")
        for other in set(SERVICES) - {service}:
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                _connect(postgres_server, service, other)


def _connect(server: PostgresServer, user: str, database: str) -> psycopg.Connection:
    return psycopg.connect(host="127.0.0.1", port=server.port, user=user, dbname=database, connect_timeout=5)
