"""Whole houses as processes of their own: embedded in one, or three services on real PostgreSQL and Kafka."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from services.demo import city
from services.demo.house import SERVICES, Addresses, House
from services.kit.http.access import AccountsFile
from tests.servers.kafka import KafkaServer
from tests.servers.parts import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerProcess, wait_for


class RunningHouse:
    """A demo house: every service answers when entered, every process has ended when left.

    With servers the three services run apart, each with its own database; without, embedded in one process.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: KafkaServer | None = None,
        postgres: PostgresServer | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.is_distributed = kafka is not None
        self.processes: dict[str, ServerProcess] = {}
        accounts = AccountsFile(folder / "accounts.json")
        self.logins = {
            person.login: accounts.add(person.login, name=person.name, roles=[person.role], claims=dict(person.claims))
            for person in city.PEOPLE
        }
        bus = f"kafka://{kafka.bootstrap}" if kafka else f"sqlite:///{folder}/log.db"
        self.env = {
            **os.environ,
            "TOURNEE_DEMO": "true",
            "TOURNEE_SECRET_KEY": secrets.token_urlsafe(48),
            "TOURNEE_ACCOUNTS": str(accounts.path),
            "TOURNEE_BUS_URL": bus,
            "TOURNEE_TOPIC_PREFIX": f"t{secrets.token_hex(4)}-" if kafka else "",
            "TOURNEE_REQUESTS_PER_SECOND": "5000",
            "TOURNEE_BURST_REQUESTS": "50000",
            **(env or {}),
        }
        for service in SERVICES:
            url = postgres.create_database() if postgres else f"sqlite:///{folder}/{service}.db"
            self.env[f"{service.upper()}_DATABASE_URL"] = url
            self.env[f"{service.upper()}_DATA_DIR"] = str(folder / service)
        names = SERVICES if self.is_distributed else ("all",)
        self.ports = {name: free_port() for name in names}

    @property
    def addresses(self) -> Addresses:
        """Where the services answer."""
        origins = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        if not self.is_distributed:
            return Addresses.one(origins["all"])
        return Addresses(origins["orders"], origins["dispatch"], origins["billing"])

    def start(self, name: str) -> None:
        """Start one process and wait until it answers. Raises RuntimeError with its last words when it does not."""
        port = self.ports[name]
        command = [sys.executable, "-m", "services", "serve", *([] if name == "all" else [name]), "--port", str(port)]
        process = ServerProcess(command, log=self.folder / f"{name}.log", env=self.env)
        self.processes[name] = process
        if not wait_for(lambda: not process.is_running or _answers(port), seconds=60) or not process.is_running:
            raise RuntimeError(f"{name} does not answer: {process.last_words()}")

    def __enter__(self) -> Self:
        for name in self.ports:
            self.start(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.stop()

    def visit(self) -> House:
        """Return a visitor's view of it."""
        return House(self.addresses, self.logins)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
