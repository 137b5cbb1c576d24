"""The import rules hold, and each of them is seen to fail: a wrong import is planted and that very rule catches it."""

import shutil
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.servers.parts import PROJECT

RULES = [
    rule["id"]
    for rule in tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
]

# (rule, the module that misbehaves, what it imports)
WRONG_IMPORTS = [
    ("house", "services.orders.use_cases", "services.billing.domain"),
    ("house", "services.dispatch.handlers", "services.orders.queries"),
    ("house", "services.billing.wiring", "services.assembly"),
    ("house", "services.kit.errors", "services.contracts.orders.v1.events_pb2"),
    ("house", "services.kit.http.edge", "services.orders.settings"),
    ("demo", "services.demo.house", "services.kit.clock"),
    ("demo", "services.demo.month", "services.billing.domain"),
    ("service", "services.orders.domain", "services.orders.use_cases"),
    ("service", "services.billing.repository", "services.billing.use_cases"),
    ("service", "services.billing.handlers", "services.billing.api"),
    ("service", "services.dispatch.tables", "services.dispatch.domain"),
    ("service", "services.dispatch.use_cases", "services.dispatch.wiring"),
    ("pure", "services.orders.domain", "sqlalchemy"),
    ("pure", "services.billing.domain", "services.kit.clock"),
    ("pure", "services.dispatch.domain", "services.contracts.dispatch.v1.events_pb2"),
    ("pure", "services.dispatch.planning.solve", "services.kit.ids"),
    ("judge", "services.dispatch.planning.check", "services.dispatch.planning.solve"),
    ("judge", "services.dispatch.planning.check", "services.dispatch.planning.schedule"),
    ("judge", "services.dispatch.planning.routing", "services.dispatch.planning.solve"),
    ("judge", "services.dispatch.planning.problem", "services.dispatch.planning.plan"),
    ("solve", "services.dispatch.use_cases", "services.dispatch.planning.solve"),
    ("kit", "services.kit.database", "services.kit.events.outbox"),
    ("kit", "services.kit.events.bus", "services.kit.http.edge"),
    ("kit", "services.kit.errors", "services.kit.settings"),
    ("lane", "services.kit.events.bus", "services.kit.events.log"),
    ("lane", "services.kit.events.relay", "services.kit.events.consumer"),
    ("seam", "services.kit.events.relay", "services.kit.events.log"),
    ("seam", "services.orders.wiring", "services.kit.events.kafka"),
    ("guests", "services.dispatch.planning.check", "ortools"),
    ("guests", "services.dispatch.planning.solve", "numba"),
    ("guests", "services.dispatch.jobs", "osrm"),
    ("guests", "services.kit.service", "aiokafka"),
    ("guests", "services.billing.api", "weasyprint"),
    ("guests", "services.dispatch.travel", "pyogrio"),
    ("sql", "services.orders.handlers", "sqlalchemy"),
    ("sql", "services.dispatch.api", "sqlalchemy"),
    ("sql", "services.kit.events.consumer", "sqlalchemy"),
]

# (rule, a room that no floor was found for)
ROOMS_WITHOUT_A_FLOOR = [
    ("house", "services/invoicing.py"),
    ("service", "services/orders/util.py"),
    ("judge", "services/dispatch/planning/helpers.py"),
    ("kit", "services/kit/money.py"),
    ("lane", "services/kit/events/rabbit.py"),
]


def test_every_rule_holds() -> None:
    report = _lint(PROJECT)
    assert report.returncode == 0, report.stdout


@pytest.mark.parametrize(("rule", "module", "imported"), WRONG_IMPORTS)
def test_a_wrong_import_is_caught(rule: str, module: str, imported: str, house: Path) -> None:
    file = _file_of(house, module)
    original = file.read_text(encoding="utf-8")
    assert _file_of(house, imported).exists() or not imported.startswith("services."), "this would catch nothing"
    file.write_text(f"{original}\nimport {imported}  # planted\n", encoding="utf-8")
    try:
        report = _lint(house, rule)
    finally:
        file.write_text(original, encoding="utf-8")
    assert report.returncode == 1
    assert "1 broken" in report.stdout, report.stdout
    assert module in report.stdout


@pytest.mark.parametrize(("rule", "room"), ROOMS_WITHOUT_A_FLOOR)
def test_a_room_without_a_floor_is_caught(rule: str, room: str, house: Path) -> None:
    planted = house / room
    planted.write_text('"""Planted."""\n', encoding="utf-8")
    try:
        report = _lint(house, rule)
    finally:
        planted.unlink()
    assert report.returncode == 1
    assert planted.stem in report.stdout


def test_every_rule_was_seen_to_fail() -> None:
    assert {rule for rule, *_ in [*WRONG_IMPORTS, *ROOMS_WITHOUT_A_FLOOR]} == set(RULES)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("services", cache_dir=None)
    assert _circle(graph) == []


def test_a_circle_would_be_seen() -> None:
    graph = grimp.build_graph("services", cache_dir=None)
    graph.add_import(importer="services.kit.errors", imported="services.kit.service")
    assert "services.kit.errors" in _circle(graph)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code to plant things in; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(
        PROJECT / "services", folder / "services", ignore=shutil.ignore_patterns("__pycache__", "static", "templates")
    )
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def _lint(folder: Path, *rules: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", *(f"--contract={rule}" for rule in rules)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"COLUMNS": "200"},
    )


def _file_of(folder: Path, module: str) -> Path:
    path = folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _circle(graph: grimp.ImportGraph) -> list[str]:
    """Return the modules of one circle, or nothing."""
    try:
        TopologicalSorter(
            {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        ).prepare()
    except CycleError as circle:
        return list(circle.args[1])
    return []
