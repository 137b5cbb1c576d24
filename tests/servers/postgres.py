"""A real PostgreSQL: the machine's own binaries on data of our own, on a free port of the loopback interface."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, Signals
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.servers.parts import LOGS, Unavailable, free_port, install, output_of, program
from tests.servers.process import ServerProcess, wait_for

OLDEST = 13
START_SECONDS = 60

# Committed data survive the death of the server, not of the machine: enough for a test, and much faster.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
}


class PostgresServer:
    """A server of our own. Its address and data stay the same over restarts, until `close`."""

    def __init__(self) -> None:
        self._binaries, self.version = _binaries()
        self.port = free_port()
        self._user = _user()
        self._process: ServerProcess | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="tournee-postgres-"))
        if self._user:
            shutil.chown(self._folder, self._user, self._user)
        done = subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            ],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout}{done.stderr}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def description(self) -> str:
        return f"PostgreSQL {self.version} at 127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it on its data and wait until it lets us in. Nothing happens when it already runs."""
        if self._process is not None and self._process.is_running:
            return
        LOGS.mkdir(parents=True, exist_ok=True)
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        self._process = ServerProcess(
            [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), *settings],
            log=LOGS / f"postgres-{self.port}.log",
            user=self._user,
            last_resort=SIGQUIT,
            folder=self._folder,
        )
        if not wait_for(self._is_ready, seconds=START_SECONDS):
            last_words = self._process.last_words()
            self.kill()
            raise RuntimeError(f"PostgreSQL did not start within {START_SECONDS} s:\n{last_words}")

    def stop(self) -> None:
        """Stop it as an operator would in a hurry: connections are cut, data are written."""
        self._end(SIGINT)

    def kill(self) -> None:
        """End it at once (SIGKILL of the postmaster); it recovers from its log at the next start."""
        self._end(SIGKILL)

    def create_database(self, name: str | None = None) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = name or f"t_{uuid.uuid4().hex}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def client(self, name: str) -> Path:
        """Return a client program of the same version, such as psql."""
        return self._binaries / name

    def resident_megabytes(self) -> float:
        """Return the memory that the postmaster holds, shared buffers included."""
        return self._process.resident_megabytes() if self._process else 0.0

    def close(self) -> None:
        """End it and forget its data."""
        self._end(SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _end(self, signal: Signals) -> None:
        if self._process is not None:
            self._process.stop(signal)
            self._process = None

    def _is_ready(self) -> bool:
        if self._process is None or not self._process.is_running:
            raise RuntimeError(
                f"PostgreSQL ended while starting:\n{self._process.last_words() if self._process else ''}"
            )
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _user() -> str | None:
    """Return the account to run as: PostgreSQL refuses root."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Unavailable("PostgreSQL refuses to run as root, and there is no account postgres or nobody")


def _binaries() -> tuple[Path, str]:
    """Find the newest PostgreSQL server of the machine, or install one; return its folder and version."""
    for attempt in ("found", "installed"):
        newest = max(_versions(), default=None)
        if newest is not None and newest[0] >= OLDEST:
            return newest[2], newest[1]
        if attempt == "found":
            install("postgresql")
    raise Unavailable(f"no PostgreSQL server of version {OLDEST} or newer")


def _versions() -> Iterator[tuple[int, str, Path]]:
    folders = set(Path("/usr/lib/postgresql").glob("*/bin"))
    if (on_path := program("postgres")) is not None:
        folders.add(on_path.resolve().parent)
    for folder in folders:
        found = re.search(r"\(PostgreSQL\) ((\d+)[.\w]*)", output_of(folder / "postgres", "--version"))
        if found and (folder / "initdb").exists():
            yield int(found[2]), found[1], folder
