"""The console script as it is run: a process of its own, in an empty folder."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from services.billing.tables import metadata
from services.demo import city
from services.kit.database import Database
from tests.billing.builders import a_contract, a_leg_to_price, an_order, handed_over, hold, register, settle
from tests.servers.parts import free_port
from tests.servers.process import ServerProcess, wait_for

SECRET = {"TOURNEE_SECRET_KEY": "only-for-tests-" + "x" * 32}


def clean_environment(folder: Path, **changes: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {**kept, "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **changes}


def tournee(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services", *arguments],
        cwd=folder,
        env=clean_environment(folder, **environment),
        capture_output=True,
        text=True,
        timeout=90,
    )


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[ServerProcess, str]]:
    port = free_port()
    command = [sys.executable, "-m", "services", "serve", *arguments, "--port", str(port)]
    with_folder = ["env", "-C", str(folder), *command]
    process = ServerProcess(with_folder, log=folder / "serve.log", env=clean_environment(folder, **environment))
    origin = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{origin}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        assert wait_for(lambda: not process.is_running or answers(), seconds=60) and process.is_running, (
            process.last_words()
        )
        yield process, origin
    finally:
        process.stop()


def test_accounts_are_added_listed_and_removed(tmp_path: Path) -> None:
    added = tournee(
        tmp_path, "account", "add", "--login", "proprete", "--role", "department", "--claim", "department=proprete"
    )
    assert added.returncode == 0
    secret = added.stdout.splitlines()[-1]
    assert len(secret) >= 20
    machine = tournee(tmp_path, "account", "add", "--login", "erp", "--machine", "--scope", "orders:read")
    assert machine.returncode == 0
    kept = (tmp_path / "var" / "accounts.json").read_text()
    assert secret not in kept
    listed = tournee(tmp_path, "account", "list").stdout
    assert re.search(r"^erp\s+machine\s+orders:read$", listed, re.MULTILINE)
    assert re.search(r"^proprete\s+person\s+department department=proprete$", listed, re.MULTILINE)
    assert tournee(tmp_path, "account", "remove", "--login", "erp").returncode == 0
    assert "erp" not in tournee(tmp_path, "account", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["account", "remove", "--login", "nobody"], "no account nobody"),
        (["account", "add", "--login", "two words"], "one word"),
        (["account", "add", "--login", "lea", "--scope", "orders:read"], "scopes are for machines"),
        (["account", "add", "--login", "lea", "--role", "king"], "invalid choice"),
        (["account", "add", "--login", "lea", "--claim", "department"], "NAME=VALUE"),
        (["serve", "kitchen"], "no service kitchen"),
        (["plan", "missing.txt"], "missing.txt"),
        (["demo", "--month", "november"], "not a month"),
        (["demo", "--orders", "http://127.0.0.1:1"], "--logins"),
        ([], "VERB"),
    ],
)
def test_what_cannot_be_done_as_asked_is_said_in_a_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    refused = tournee(tmp_path, *arguments)
    assert refused.returncode == 2
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_house_without_a_secret_key_does_not_start(tmp_path: Path) -> None:
    refused = tournee(tmp_path, "serve")
    assert refused.returncode == 2
    assert "TOURNEE_SECRET_KEY" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_one_service_alone_refuses_the_embedded_log(tmp_path: Path) -> None:
    refused = tournee(tmp_path, "serve", "billing", **SECRET)
    assert refused.returncode == 2
    assert "TOURNEE_BUS_URL" in refused.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    refused = tournee(tmp_path, "account", "list", TOURNEE_ZONE="Mars/Olympus")
    assert refused.returncode == 2
    assert "zone: " in refused.stderr


def test_databases_are_made_and_brought_up_to_date(tmp_path: Path) -> None:
    for _ in range(2):
        done = tournee(tmp_path, "migrate")
        assert done.returncode == 0, done.stderr
    assert done.stdout.count("is up to date") == 3
    assert sorted(path.name for path in (tmp_path / "var").glob("*.db")) == ["billing.db", "dispatch.db", "orders.db"]
    letters = tournee(tmp_path, "dead-letters", "list")
    assert letters.stdout.count("nothing was set aside") == 3
    replayed = tournee(tmp_path, "dead-letters", "replay", "billing")
    assert (replayed.returncode, replayed.stdout) == (0, "billing: 0 took effect, 0 still set aside\n")


def test_a_month_is_closed_and_taken_at_the_console(tmp_path: Path) -> None:
    assert tournee(tmp_path, "migrate", "billing").returncode == 0
    database = Database(f"sqlite:///{tmp_path}/var/billing.db", metadata)
    contract = a_contract(reference="VELO-7", starts_on=date(2024, 1, 1))
    register(database, contract)
    order = an_order(contract, legs=[a_leg_to_price(service_date=date(2024, 11, 16))])
    hold(database, order)
    settle(database, handed_over(order.id, occurred_at=datetime(2024, 11, 16, 12, tzinfo=UTC)))
    database.dispose()
    closed = tournee(tmp_path, "close-month", "VELO-7", "2024-11")
    assert closed.returncode == 0, closed.stderr
    statement_id = closed.stdout.split()[0]
    assert "12,60\u00a0€ HT" in closed.stdout
    assert "was closed before" in tournee(tmp_path, "close-month", contract.id, "2024-11").stdout
    taken = tournee(tmp_path, "export", statement_id, "--out", "november")
    assert taken.returncode == 0, taken.stderr
    assert (tmp_path / "november" / "manifeste.json").exists()
    assert len(taken.stdout.splitlines()) == len(list((tmp_path / "november").iterdir())) > 10
    for wrong, said in {
        ("close-month", "VELO-8", "2024-12"): "Ce marché n'existe pas",
        ("close-month", "VELO-7", "2024-10"): "2024-11",
        ("close-month", "VELO-7", "2999-01"): "2999-01",
        ("close-month", "VELO-7", "2024-13"): "is not a month",
        ("export", "nothing", "--out", "x"): "Cet état n'existe pas",
    }.items():
        refused = tournee(tmp_path, *wrong)
        assert refused.returncode == 2
        assert said in refused.stderr


def test_the_interfaces_are_described_without_a_house(tmp_path: Path) -> None:
    done = tournee(tmp_path, "openapi", "--out", "openapi.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "openapi.json").read_text())
    assert document["openapi"].startswith("3.1")
    assert {"/v1/orders", "/v1/contracts", "/v1/plans", "/oauth/token"} <= set(document["paths"])
    assert not (tmp_path / "var").exists()


def test_a_service_whose_bus_is_away_lives_and_says_that_it_is_not_ready(tmp_path: Path) -> None:
    bus = f"kafka://127.0.0.1:{free_port()}"
    with serving(tmp_path, "billing", TOURNEE_BUS_URL=bus, **SECRET) as (_, origin):
        ready = httpx.get(f"{origin}/readyz", timeout=20)
        assert (ready.status_code, ready.json()["failing"]) == (503, ["event bus"])


def test_a_demo_house_makes_its_own_secrets_and_keeps_them(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo") as (process, origin):
        assert wait_for(lambda: httpx.get(f"{origin}/readyz", timeout=5).status_code == 200, seconds=30)
        logins = json.loads((tmp_path / "var" / "demo-logins.json").read_text())
        assert set(logins) == {person.login for person in city.PEOPLE}
        assert len(set(logins.values())) == len(logins)
        with httpx.Client(base_url=origin) as client:
            assert client.post("/connexion", data={"login": "admin", "secret": logins["admin"]}).status_code == 303
            assert client.get("/").status_code == 200
            assert client.get("/v1/operations/orders/lane").status_code == 200
            refused = client.put("/v1/operations/orders/clock", json={"at": "tomorrow"})
            assert refused.status_code == 422
        assert wait_for(lambda: process.is_running, seconds=1)
    for name in ("demo-logins.json", "secret-key", "accounts.json"):
        assert stat.S_IMODE((tmp_path / "var" / name).stat().st_mode) == 0o600
    key = (tmp_path / "var" / "secret-key").read_text()
    with serving(tmp_path, "--demo"):
        assert (tmp_path / "var" / "secret-key").read_text() == key
        assert json.loads((tmp_path / "var" / "demo-logins.json").read_text()) == logins


def test_a_house_that_is_told_to_stop_ends_what_it_does_and_stops(tmp_path: Path) -> None:
    with serving(tmp_path, **SECRET) as (process, origin):
        assert httpx.get(f"{origin}/healthz").status_code == 200
        process.send(signal.SIGTERM)
        assert wait_for(lambda: not process.is_running, seconds=20)
    assert "Traceback" not in (tmp_path / "serve.log").read_text()
