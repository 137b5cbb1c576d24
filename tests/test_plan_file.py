"""`tournee plan`: what it writes for each kind of file, what it refuses in a line, and that a plan survives Ctrl-C."""

import errno
import json
import math
import os
import pty
import signal
import subprocess
import sys
import termios
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from services import plan_file
from services.dispatch.planning import check, document, problem
from services.dispatch.planning.check import Violation, ViolationKind
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.search.run import search
from services.dispatch.planning.stop import Limit, Watch
from tests.dispatch.planning.test_instances import LILIM, SARTORI

PROJECT = Path(__file__).parents[1]
EXAMPLE = PROJECT / "docs" / "planning-file.json"
ANY_TIME = {"window_start_seconds": 0, "window_end_seconds": "12:00"}
SHIFT = {"start_point": 0, "end_point": 0, "shift_start_seconds": 0, "shift_end_seconds": "12:00"}
ALIKE: dict[str, Any] = {
    "points": ["hub", "school"],
    "requests": [{"id": "cloths", "pickups": [{"point": 0, **ANY_TIME}], "drops": [{"point": 1, **ANY_TIME}]}],
    "vehicles": [{"id": "one", **SHIFT}, {"id": "other", **SHIFT}],
    "travel_seconds": [[0, 300], [300, 0]],
    "travel_metres": [[0, 900], [900, 0]],
}
"""One request, and two vehicles that are the same but for their names."""


def tournee_plan(*arguments: str | Path) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        plan_file.main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def lilim(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.txt"
    file.write_text(LILIM)
    return file


@pytest.fixture
def much(tmp_path: Path) -> Path:
    """A file that keeps a search busy: 100 requests on a spiral."""
    file = tmp_path / "much.txt"
    places = [(round(50 + k * math.cos(k)), round(50 + k * math.sin(k))) for k in range(200)]
    lines = ["25 50 1", "0 50 50 0 0 3000 0 0 0"]
    for k, (x, y) in enumerate(places, 1):
        load, pickup, drop = (5, 0, k + 100) if k <= 100 else (-5, k - 100, 0)
        lines.append(f"{k} {x} {y} {load} 0 2800 5 {pickup} {drop}")
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(("text", "distance"), [(LILIM, 45.124611797498105), (SARTORI, 22.0)])
@pytest.mark.parametrize("engine", plan_file.ENGINES)
def test_a_benchmark_file_is_answered_in_its_own_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, distance: float, engine: str
) -> None:
    file = tmp_path / "instance"
    file.write_text(text)
    assert tournee_plan(file, "--steps", "50", "--engine", engine) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert set(answer) == {"routes", "trace"}
    assert sorted(answer["routes"][0]) == list(range(1, len(answer["routes"][0]) + 1))
    seconds, vehicles, ridden = answer["trace"][-1]
    assert (vehicles, ridden) == (1, pytest.approx(distance))
    assert seconds >= 0
    assert said.err == ""


def test_our_own_file_is_answered_with_everything(tmp_path: Path) -> None:
    out, plot = tmp_path / "plan.json", tmp_path / "plan.svg"
    assert tournee_plan(EXAMPLE, "--steps", "100", "--out", out, "--plot", plot) == 0
    answer = json.loads(out.read_text())
    assert set(answer) == {"routes", "left_out", "cost", "violations", "travel_is_estimated", "trace"}
    assert answer["violations"] == []
    assert answer["travel_is_estimated"] is True
    assert answer["trace"][-1]["cost"] == answer["cost"]
    (left_out,) = answer["left_out"]
    assert left_out["request_id"] == "trop tôt"
    assert left_out["reasons"]
    assert left_out["sentence"]
    planned = plan_file.load(EXAMPLE).problem
    plan = document.plan_from_document(planned, answer)
    assert check.check(planned, plan) == []
    assert any(route.breaks for route in plan.routes)
    assert ElementTree.fromstring(plot.read_text()).tag.endswith("svg")


def test_the_example_and_its_page_show_every_member() -> None:
    page = (PROJECT / "docs" / "planning-file.md").read_text()
    example = EXAMPLE.read_text()
    shown = {
        field.name
        for kind in (problem.Stop, problem.Request, problem.Vehicle, problem.Break, problem.Share, problem.Prices)
        for field in fields(kind)
    } | {field.name for field in fields(problem.RoutingProblem)}
    assert {name for name in shown if f"`{name}`" not in page} == set()
    assert {name for name in shown if f'"{name}"' not in example} == {"travel_seconds", "travel_metres"}


def test_a_picture_of_each_kind_of_file(tmp_path: Path, lilim: Path) -> None:
    without_positions: Any = json.loads(EXAMPLE.read_text())
    size = len(without_positions["points"])
    without_positions["points"] = [point["id"] for point in without_positions["points"]]
    for name in document.MATRICES:
        without_positions[name] = [[300] * size] * size
    other = tmp_path / "other.json"
    other.write_text(json.dumps(without_positions))
    for file in (lilim, other):
        plot = tmp_path / "plan.svg"
        assert tournee_plan(file, "--steps", "50", "--out", os.devnull, "--plot", plot) == 0
        assert f"<title>{file.stem}</title>" in plot.read_text()


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (None, [], "ne peut pas être lu"),
        ("", [], "La première ligne"),
        ("3 10\n", [], "La première ligne"),
        (SARTORI, ["--format", "lilim"], "La première ligne"),
        (LILIM, ["--format", "sartori"], "NODES"),
        (LILIM, ["--format", "json"], "JSON"),
        ("{", [], "JSON"),
        ("{}", [], "/points"),
        ('{"points": ["caf\udce9"]}', [], "UTF-8"),
        (LILIM.replace("0 900 10 0 3", "950 900 10 0 3"), [], "1-3"),
        (LILIM, ["--out", "missing/plan.json"], "missing/plan.json"),
        (LILIM, ["--plot", "missing/plan.svg"], "missing/plan.svg"),
        (LILIM, ["--out", "."], "dossier"),
        (LILIM, ["--out", "n" * 300], "son nom"),
        (LILIM, ["--plot", "n" * 300], "son nom"),
        (LILIM, ["--out", "file/plan.json"], "dossier"),
        (LILIM, ["--seconds", "0"], "« 0 »"),
        (LILIM, ["--seconds", "soon"], "« soon »"),
        (LILIM, ["--seconds", "nan"], "« nan »"),
        (LILIM, ["--steps", "1.5"], "« 1.5 »"),
        (LILIM, ["--seed", "-1"], "« -1 »"),
        (LILIM, ["--engine", "magic"], "magic"),
    ],
)
def test_what_cannot_be_planned_is_said_before_any_search(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("file").write_text(content, errors="surrogateescape")
    assert tournee_plan("file", *arguments) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_of_ours_in_utf_16_is_not_taken_for_a_public_instance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps(ALIKE), encoding=encoding)
    assert tournee_plan(file) == 2
    assert "UTF-8" in capsys.readouterr().err


def test_a_place_in_a_folder_that_is_closed_to_us_is_refused(
    tmp_path: Path, lilim: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, look = tmp_path / "closed", Path.stat

    def refused(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.parent == closed:  # as it is for all but root, who may look everywhere
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return look(self, follow_symlinks=follow_symlinks)

    closed.mkdir(mode=0)
    monkeypatch.setattr(Path, "stat", refused)
    assert tournee_plan(lilim, "--out", closed / "plan.json") == 2
    assert "vos droits" in capsys.readouterr().err


def test_every_fault_of_a_file_has_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file.json"
    file.write_text('{"points": [1, 2], "requests": 3, "vehicles": []}')
    assert tournee_plan(file) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("tournee: /") for line in lines)
    assert {line.split()[1] for line in lines} == {
        "/points/0",
        "/points/1",
        "/requests",
        "/travel_seconds",
        "/travel_metres",
    }
    file.write_text(json.dumps({"points": [1] * 100, "requests": [], "vehicles": []}))
    assert tournee_plan(file) == 2
    assert len(capsys.readouterr().err.splitlines()) == plan_file.MOST_TOLD + 1


def test_a_plan_that_the_judge_refuses_is_not_written(
    tmp_path: Path, lilim: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    violation = Violation(ViolationKind.EMPTY_ROUTE, "planted")
    monkeypatch.setattr(check, "check", lambda problem, plan: [violation])
    out = tmp_path / "plan.json"
    assert tournee_plan(lilim, "--steps", "5", "--out", out) == 1
    assert not out.exists()
    assert "planted" in capsys.readouterr().err


def test_of_plans_as_good_the_answer_is_the_one_that_the_search_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Plan] = []

    def tells_another(planned: RoutingProblem, stop: Limit, seed: int, *, watch: Watch, engine: str) -> Plan:
        plan = search(planned, stop, seed)
        (route,) = plan.routes
        (other,) = {"one", "other"} - {route.vehicle_id}
        told.append(replace(plan, routes=(replace(route, vehicle_id=other),)))
        watch(0.0, told[0])
        return plan

    monkeypatch.setattr("services.dispatch.planning.solve.solve", tells_another)
    file, out = tmp_path / "alike.json", tmp_path / "plan.json"
    file.write_text(json.dumps(ALIKE))
    assert tournee_plan(file, "--steps", "50", "--out", out) == 0
    answer = json.loads(out.read_text())
    assert answer["routes"][0]["vehicle_id"] != told[0].routes[0].vehicle_id
    assert len(answer["trace"]) == 1  # it is no better


class OnTerminal:
    """The command in a process of its own whose standard error is a terminal."""

    def __init__(self, *arguments: str | Path) -> None:
        self._side, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 120))
        command = [sys.executable, "-m", "services", "plan", *map(str, arguments)]
        self.process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def read_until(self, word: str | None) -> str:
        """Return what was shown until a word is there, or until the end."""
        try:
            while word is None or word not in self.shown:
                self.shown += os.read(self._side, 65_536).decode(errors="replace")
        except OSError:  # how Linux says that the other side is closed
            os.close(self._side)
        return self.shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_search_that_is_stopped_writes_the_best_plan_so_far(
    tmp_path: Path, much: Path, number: signal.Signals
) -> None:
    out = tmp_path / "plan.json"
    search = OnTerminal(much, "--seconds", "300", "--out", out)
    search.read_until("de côté : 0")
    search.process.send_signal(number)
    said = search.read_until(None)
    assert search.process.wait(timeout=30) == 128 + number
    assert "Interrompu" in said
    assert "Traceback" not in said
    answer = json.loads(out.read_text())
    assert sorted(node for route in answer["routes"] for node in route) == list(range(1, 201))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_reasons_are_looked_for_the_plan_is_written_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def stopped(planned: RoutingProblem, plan: Plan) -> Plan:
        signal.raise_signal(number)
        return plan

    monkeypatch.setattr("services.dispatch.planning.reasons.explain", stopped)
    out = tmp_path / "plan.json"
    assert tournee_plan(EXAMPLE, "--steps", "50", "--out", out) == 128 + number
    (left_out,) = json.loads(out.read_text())["left_out"]
    assert left_out == {"request_id": "trop tôt"}
    said = capsys.readouterr().err
    assert "raisons" in said
    assert "le meilleur plan trouvé est écrit" in said


def test_stopped_while_the_plan_is_written_it_is_written_whole(
    tmp_path: Path, lilim: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = plan_file.Task.answer

    def stopped(task: plan_file.Task, plan: Plan) -> str:
        signal.raise_signal(signal.SIGTERM)
        return answer(task, plan)

    monkeypatch.setattr(plan_file.Task, "answer", stopped)
    out = tmp_path / "plan.json"
    assert tournee_plan(lilim, "--steps", "5", "--out", out) == 128 + signal.SIGTERM
    assert json.loads(out.read_text())["routes"]
    assert "le meilleur plan trouvé est écrit" in capsys.readouterr().err


def test_a_plan_that_cannot_be_written_whole_leaves_what_was_there(
    tmp_path: Path, lilim: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fills_the_disk(place: Path, text: str, **how: str) -> None:
        place.write_bytes(text[:10].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "plan.json"
    out.write_text("the plan of before")
    monkeypatch.setattr(Path, "write_text", fills_the_disk)
    assert tournee_plan(lilim, "--steps", "5", "--out", out) == 2
    assert out.read_text() == "the plan of before"
    assert {*tmp_path.iterdir()} == {lilim, out}
    assert "ne peut pas être écrit" in capsys.readouterr().err


def test_a_plan_is_written_behind_a_link_and_for_whom_the_file_was(tmp_path: Path, lilim: Path) -> None:
    out, link = tmp_path / "plan.json", tmp_path / "link.json"
    out.touch(mode=0o640)
    link.symlink_to(out)
    assert tournee_plan(lilim, "--steps", "5", "--out", link) == 0
    assert link.is_symlink()
    assert json.loads(out.read_text())["routes"]
    assert out.stat().st_mode & 0o777 == 0o640


def test_a_terminal_sees_how_far_the_search_is(lilim: Path) -> None:
    search = OnTerminal(lilim, "--seconds", "1")
    assert "vacations : 1, trajet : 45.1, de côté : 0" in search.read_until(None)
    answer, _ = search.process.communicate(timeout=30)
    assert search.process.returncode == 0
    assert json.loads(answer)["routes"]


def planned_after(spoilt: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own in which something is spoilt first."""
    code = f"{spoilt}\nfrom services import plan_file\nplan_file.main([{str(file)!r}, '--steps', '20'])"
    return subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60)


def test_without_an_engine_the_command_ends_in_a_line(lilim: Path) -> None:
    ended = planned_after("import sys; sys.modules['ortools'] = None", lilim)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "Le moteur de planification manque" in line
    assert "ortools" in line


def test_where_the_search_cannot_be_compiled_the_second_engine_plans(lilim: Path) -> None:
    refuse = "def refuse(**_): raise RuntimeError('no locator available')"
    ended = planned_after(f"import numba\n{refuse}\nnumba.njit = refuse", lilim)
    assert ended.returncode == 0, ended.stderr
    assert "no locator available" in ended.stderr
    assert json.loads(ended.stdout)["routes"]


def test_the_second_engine_plans_a_file_with_every_rule() -> None:
    # In a process of its own: where its library finds a model not to be right, it ends all of it.
    command = [sys.executable, "-m", "services", "plan", str(EXAMPLE), "--steps", "20", "--engine", "ortools"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["violations"] == []
    assert [item["request_id"] for item in answer["left_out"]] == ["trop tôt"]


def test_planning_starts_without_the_house() -> None:
    code = (
        "import sys; from services import plan_file; from services.dispatch.planning.drawing import draw; "
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    for heavy in ("fastapi", "sqlalchemy", "pydantic", "uvicorn", "httpx", "numba", "ortools", "tqdm"):
        assert f"'{heavy}'" not in loaded.stdout
