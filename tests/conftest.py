"""What every test may ask for: the real servers, a browser, the folder of public instances; and what became of them.

A part that this machine cannot have skips the tests that need it, loudly; in CI (`CI=true`, or `REQUIRE_PARTS=1`) it
fails them.
"""

import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser, async_playwright

from services.kit.http import access
from tests.servers import chromium as chromium_part
from tests.servers.chromium import Chromium
from tests.servers.kafka import KafkaServer
from tests.servers.parts import PROJECT, Unavailable, are_required
from tests.servers.postgres import PostgresServer
from tests.servers.verapdf import VeraPdf

MARK_OF_FIXTURE = {
    "kafka_server": "kafka",
    "postgres_server": "postgres",
    "chromium": "browser",
    "shared_folder": "shared",
    "verapdf": "verapdf",
}

# For a change of the planning engine: `pytest tests/dispatch/planning --hypothesis-profile=thousands`.
settings.register_profile("thousands", max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Part = TypeVar("Part")

used = pytest.StashKey[list[str]]()
missing = pytest.StashKey[dict[str, str]]()


QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""Of the same kind as the real one, which takes a fifth of a second a hash on purpose."""


@pytest.fixture(autouse=True)
def quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash secrets quickly in this process, but really where a test is about that (`real_hashes`)."""
    if request.node.get_closest_marker("real_hashes") is None:
        monkeypatch.setattr(access, "_hasher", QUICK_HASHER)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[used] = []
    config.stash[missing] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a server carries its mark: `-m "not kafka"` never starts one."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARK_OF_FIXTURE:
                item.add_marker(MARK_OF_FIXTURE[fixture])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where tests run side by side, a worker hands on what became of its parts."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["used"], output["missing"] = session.config.stash[used], session.config.stash[missing]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {})  # a worker that crashed says nothing
    node.config.stash[used].extend(line for line in told.get("used", []) if line not in node.config.stash[used])
    node.config.stash[missing].update(told.get("missing", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[used]:
        terminalreporter.section("parts used")
        for line in config.stash[used]:
            terminalreporter.write_line(line)
    if config.stash[missing]:
        terminalreporter.section("PARTS NOT AVAILABLE", red=True, bold=True)
        for part, reason in config.stash[missing].items():
            terminalreporter.write_line(f"{part}: {reason}", red=True)


def _without(config: pytest.Config, part: str, reason: str, *, is_required: bool) -> NoReturn:
    config.stash[missing][part] = reason
    if is_required:
        pytest.fail(f"{part} is required here and not available: {reason}", pytrace=False)
    pytest.skip(f"{part} is not available: {reason}")


class PartGetter(Protocol):
    """Gives what `make` returns; where that is Unavailable the test is skipped, or fails in CI."""

    def __call__(self, part: str, make: Callable[[], Part]) -> Part: ...


@pytest.fixture(scope="session")
def part(pytestconfig: pytest.Config) -> PartGetter:
    def get(part: str, make: Callable[[], Part]) -> Part:
        try:
            made = make()
        except Unavailable as why:
            _without(pytestconfig, part, str(why), is_required=are_required())
        pytestconfig.stash[used].append(str(getattr(made, "description", part)))
        return made

    return get


@pytest.fixture(scope="session")
def kafka_server(part: PartGetter) -> Iterator[KafkaServer]:
    """A running Kafka for the whole session: give each test a topic prefix of its own.

    `.bootstrap`; `.stop()`, `.kill()`, `.freeze()`, and `.start()` or `.thaw()` afterwards. A test that stopped it
    starts it again.
    """
    server = part("Kafka", KafkaServer)
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(part: PartGetter) -> Iterator[PostgresServer]:
    """A running PostgreSQL for the whole session: `.create_database()` gives a test an empty database's URL.

    `.stop()`, `.kill()`, and `.start()` afterwards.
    """
    server = part("PostgreSQL", PostgresServer)
    with server:
        yield server


@pytest.fixture(scope="session")
def chromium(part: PartGetter) -> Chromium:
    """The machine's Chromium: path and arguments, not started."""
    return part("Chromium", chromium_part.find)


@pytest.fixture(scope="session")
def verapdf(part: PartGetter) -> VeraPdf:
    """The reference validator of PDF/A: `.refused(files)`."""
    return part("veraPDF", VeraPdf)


@pytest.fixture
async def browser(chromium: Chromium) -> AsyncIterator[Browser]:
    """A fresh headless browser on the test's own event loop (Playwright's async interface).

    (Its sync interface leaves a running loop behind in the main thread, on which no async test can run any more.)
    """
    async with async_playwright() as playwright:
        instance = await playwright.chromium.launch(executable_path=chromium.path, args=list(chromium.arguments))
        yield instance
        await instance.close()


@pytest.fixture(scope="session")
def osrm(pytestconfig: pytest.Config) -> Path:
    """OSRM's tools, which come with its library: its wheels begin at Python 3.12, where it is required like a server.

    The folder that has `osrm-routed` and the others.
    """
    found = importlib.util.find_spec("osrm")
    if found is None or not found.submodule_search_locations:
        is_required = sys.version_info >= (3, 12) and are_required()
        _without(pytestconfig, "OSRM", "osrm-bindings is not installed (Python 3.12 or newer)", is_required=is_required)
    return Path(found.submodule_search_locations[0]) / "bin"


@pytest.fixture(scope="session")
def shared_folder(pytestconfig: pytest.Config) -> Path:
    """The folder of public instances and street networks: TOURNEE_SHARED, or `../shared`. Never required."""
    folder = Path(os.environ.get("TOURNEE_SHARED") or PROJECT.parent / "shared")
    if not folder.is_dir():
        reason = f"{folder} does not exist; TOURNEE_SHARED may name another"
        _without(pytestconfig, "public instances", reason, is_required=False)
    return folder
