"""The three services put together: what only shows when all of them stand side by side."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from services.assembly import NAMES, NAVIGATION, ROLES, build, described
from services.kit.http.doors import Door, Hall
from services.kit.service import Service, assemble
from services.kit.settings import HouseSettings


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> list[Service]:
    folder = tmp_path_factory.mktemp("house")
    return [build(name, database_url=f"sqlite:///{folder}/{name}.db", data_dir=folder / name) for name in NAMES]


@pytest.fixture(scope="module")
def app(services: list[Service], tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("accounts")
    settings = HouseSettings(secret_key="x" * 32, accounts=folder / "accounts.json")
    return assemble(services, settings, navigation=NAVIGATION)


def doors_of(app: FastAPI) -> list[Door]:
    return [door for route in app.routes if isinstance(route, Hall) for door in route.doors]


def test_the_navigation_leads_to_pages_that_open_to_whom_it_shows_them(app: FastAPI) -> None:
    pages = {door.path: door for door in doors_of(app) if "GET" in (door.methods or set())}
    for link in NAVIGATION.links:
        assert link.scope in (pages[link.path].needed_scopes or ()), link.path


def test_the_navigation_knows_the_roles_as_the_services_do(services: list[Service]) -> None:
    shown = {link.scope for link in NAVIGATION.links}
    for role in ROLES:
        granted = frozenset().union(*(service.role_scopes.get(role, frozenset()) for service in services))
        assert NAVIGATION.role_scopes.get(role, frozenset()) == granted & shown, role


def test_every_role_that_a_service_knows_can_be_given(services: list[Service]) -> None:
    assert {role for service in services for role in service.role_scopes} <= set(ROLES)


def test_no_address_of_one_service_begins_like_anothers(services: list[Service]) -> None:
    owners: dict[str, set[str]] = {}
    for service in services:
        for router in service.routers:
            for path in _paths(router):
                first, *rest = path.strip("/").split("/")
                owners.setdefault(f"{first}/{rest[0]}" if first == "v1" else first, set()).add(service.name)
    assert {beginning: names for beginning, names in owners.items() if len(names) > 1} == {}


def _paths(router: Any) -> list[str]:
    from fastapi.routing import iter_route_contexts

    return [context.path or "" for context in iter_route_contexts(router.routes)]


def test_every_door_of_a_service_asks_who_comes_in(services: list[Service], app: FastAPI) -> None:
    own = {service.database for service in services}
    open_doors = [door.path for door in doors_of(app) if door.database in own and door.needed_scopes is None]
    assert open_doors == []


def test_the_interfaces_are_described_whole(tmp_path: Path) -> None:
    document = described(NAMES, tmp_path)
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    ids = Counter(operation["operationId"] for _, _, operation in operations)
    assert [name for name, count in ids.items() if count > 1] == []
    for path, method, operation in operations:
        if path.startswith("/v1/"):
            assert operation["security"], f"{method} {path}"
            assert "403" in operation["responses"], f"{method} {path}"
            named = set(re.findall(r"{(\w+)}", path))
            declared = {entry["name"] for entry in operation.get("parameters", []) if entry["in"] == "path"}
            assert named == declared, f"{method} {path}"
    assert "HTTPValidationError" not in json.dumps(document)


def test_a_process_that_runs_one_service_does_not_load_the_others_libraries() -> None:
    program = (
        "import sys; from services.assembly import build; build('orders', database_url='sqlite:////dev/null'); "
        "print([name for name in ('ortools', 'weasyprint', 'pyogrio', 'aiokafka') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
