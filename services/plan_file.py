"""`tournee plan`: plans a file on its own, without the house; kept light, because somebody waits for its start."""

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from services.dispatch.planning import document
from services.dispatch.planning.instances import FORMATS, Instance, detect, read
from services.dispatch.planning.plan import Plan, cost, rank
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.stop import Seconds, Steps
from services.kit.errors import DomainError, Refusals

ENGINES = ("search", "ortools")
LOOKS_PER_SECOND = 5
MOST_TOLD = 20
"""Faults of a file that are written out; the others are counted."""


class UnreadableFile(DomainError):
    """The file cannot be read, or what comes out of it not written."""

    code = "unreadable-file"
    title = "Fichier inaccessible"


class EngineMissing(DomainError):
    """Nothing that plans can be loaded on this machine."""

    code = "engine-missing"
    title = "Moteur de planification absent"


class Interrupted(BaseException):
    """Somebody asked us to stop; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(slots=True)
class Heard:
    """The first Ctrl-C or SIGTERM, and whether it is raised: not where that would lose a plan."""

    first: Interrupted | None = None
    is_raised: bool = True


@dataclass(slots=True)
class Task:
    """A file to plan, and what became of it so far.

    `instance` is None for our own format. A line of `trace` is seconds, vehicles and distance of a plan that serves
    everything (benchmarks), or an object that tells as much of any better plan.
    """

    name: str
    problem: RoutingProblem
    instance: Instance | None = None
    positions: list[tuple[float, float]] | None = None
    travel_is_estimated: bool = False
    best: Plan | None = None
    trace: list[Any] = field(default_factory=list)

    def note(self, seconds: float, plan: Plan) -> None:
        """Keep a better plan."""
        self.best = plan
        if self.instance is None:
            self.trace.append(
                {
                    "seconds": round(seconds, 3),
                    "left_out": len(plan.left_out),
                    "vehicles": len(plan.routes),
                    "cost": cost(self.problem, plan),
                }
            )
        elif not plan.left_out:
            self.trace.append([round(seconds, 3), len(plan.routes), self.instance.distance(plan)])

    @property
    def progress(self) -> str:
        """What there is so far, in a few words."""
        if self.best is None:
            return "pas encore de plan"
        ridden = self.instance.distance(self.best) if self.instance else self.best.travel_metres / 1000
        unit = "" if self.instance else " km"
        return f"vacations : {len(self.best.routes)}, trajet : {ridden:.1f}{unit}, de côté : {len(self.best.left_out)}"

    def answer(self, plan: Plan) -> str:
        """Return the JSON to be written; the plan was judged and found without fault."""
        if self.instance is not None:
            return json.dumps({"routes": self.instance.routes(plan), "trace": self.trace}) + "\n"
        written = {
            **document.plan_document(self.problem, plan),
            "cost": cost(self.problem, plan),
            "violations": [],
            "travel_is_estimated": self.travel_is_estimated,
            "trace": self.trace,
        }
        return json.dumps(written, ensure_ascii=False, indent=2) + "\n"

    def picture(self, plan: Plan) -> str:
        """Return the plan as SVG."""
        from services.dispatch.planning.drawing import Progress, draw, kilometres, plane

        is_flat = self.instance is not None and self.instance.is_flat
        return draw(
            self.problem,
            plan,
            self.positions if is_flat or not self.positions else plane(self.positions),
            [
                Progress(*line) if self.instance else Progress(line["seconds"], line["vehicles"], line["cost"])
                for line in self.trace
            ],
            title=self.name,
            ridden=self._ridden if self.instance else kilometres,
        )

    def _ridden(self, plan: Plan) -> str:
        assert self.instance
        return f"{self.instance.distance(plan):.1f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--format", choices=FORMATS, help="of the file; by default what it looks like")
    parser.add_argument(
        "--seconds",
        type=_number(float, 0.01, 1_000_000),
        default=10.0,
        metavar="S",
        help="to search for; 10 by default",
    )
    parser.add_argument(
        "--steps", type=_number(int, 1, 10**12), metavar="N", help="instead of a time: the same plan each time"
    )
    parser.add_argument("--seed", type=_number(int, 0, 2**32 - 1), default=0, metavar="N")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--out", type=Path, metavar="plan.json", help="instead of standard output")
    parser.add_argument("--plot", type=Path, metavar="plan.svg", help="a picture of the plan")
    parser.set_defaults(run=run)


def main(arguments: Sequence[str]) -> None:
    """Run `tournee plan` with these arguments and exit."""
    parser = argparse.ArgumentParser(prog="tournee plan", description="Plan a file.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args(arguments)))


def run(asked: argparse.Namespace) -> int:
    """Plan a file; return 0, or 2 where it cannot be done as asked, 1 where it failed.

    Stopped by Ctrl-C or SIGTERM it writes the best plan it has and ends the process with 130 or 143.
    """
    try:
        with _heard() as heard:
            _check_places(asked.out, asked.plot)
            return _plan(load(asked.file, asked.format), asked, heard)
    except DomainError as error:
        errors = error.errors if isinstance(error, Refusals) else (error,)
        for fault in errors[:MOST_TOLD]:
            _say(fault.detail)
        if len(errors) > MOST_TOLD:
            _say(f"Et {len(errors) - MOST_TOLD} autres fautes.")
        return 2
    except Interrupted as stopped:
        _say("Interrompu avant le premier plan ; rien n'est écrit.")
        return 128 + stopped.number


def load(path: Path, form: str | None = None) -> Task:
    """Read a file to plan. Raises a DomainError that says what is wrong with it."""
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"Le fichier {path} ne peut pas être lu ; vérifiez son nom et vos droits.") from error
    text = whole.decode("utf-8-sig", errors="replace")
    form = form or detect(text)
    is_lossy = "\ufffd" in text and b"\xef\xbf\xbd" not in whole
    # UTF-16 is full of zeros, and no format is recognised in it. In a public instance, names may be in any letters.
    if "\0" in text or (form == "json" and is_lossy):
        raise UnreadableFile(f"Le fichier {path} n'est pas en UTF-8 ; enregistrez-le ainsi.")
    if form != "json":
        instance = read(text, form)
        return Task(path.stem, instance.problem, instance, [(float(x), float(y)) for x, y in instance.positions])
    given = document.parse(text)
    problem = document.from_document(given, _travel)
    assert isinstance(given, dict)
    is_estimated = any(given.get(name) is None for name in document.MATRICES)
    return Task(path.stem, problem, None, document.positions(given), is_estimated)


def _plan(task: Task, asked: argparse.Namespace, heard: Heard) -> int:
    done = threading.Event()
    failures: list[BaseException] = []
    with suppress(Interrupted):
        threading.Thread(target=_search, args=(task, asked, done, failures), daemon=True).start()
        _wait(task, done, None if asked.steps else asked.seconds)
        heard.is_raised = False
    if task.best is None:
        raise failures[0] if failures else heard.first or RuntimeError("the search ended without a plan")
    code = _hand_over(task, task.best, asked, heard)
    written = "." if code else " ; le meilleur plan trouvé est écrit."
    if failures:
        _say(f"La recherche a échoué ({failures[0]!r}){written}")
        code = code or 1
    if heard.first:
        _say(f"Interrompu{written}")
        code = code or 128 + heard.first.number
        if not done.is_set():
            sys.stdout.flush()
            os._exit(code)  # the search is still at it and hears nothing
    return code


def _search(task: Task, asked: argparse.Namespace, done: threading.Event, failures: list[BaseException]) -> None:
    try:
        solve = _engine()
        began = time.monotonic()
        stop = Steps(asked.steps) if asked.steps else Seconds(asked.seconds)
        plan = solve(task.problem, stop, asked.seed, watch=task.note, engine=asked.engine)
        if task.best is None or rank(task.problem, plan) < rank(task.problem, task.best):
            task.note(time.monotonic() - began, plan)
        elif rank(task.problem, plan) == rank(task.problem, task.best):
            task.best = plan  # as good as one that was told, and the same each time where steps are counted
    except BaseException as error:
        failures.append(error)
    finally:
        done.set()


def _engine() -> Callable[..., Plan]:
    """Load what plans. Raises EngineMissing."""
    try:
        from services.dispatch.planning.solve import solve
    except (ImportError, OSError) as error:  # a library that is missing or made for another machine
        raise EngineMissing(f"Le moteur de planification manque ({error}) ; installez de nouveau Tournée.") from error
    return solve


def _wait(task: Task, done: threading.Event, seconds: float | None) -> None:
    """Wait for the search; on a terminal, show how far it is."""
    if not sys.stderr.isatty():
        done.wait()
        return
    from tqdm import tqdm

    began = time.monotonic()
    shape = "{l_bar}{bar}| {n:.0f}/{total:.0f} s{postfix}" if seconds else "{n:.0f} s{postfix}"
    with tqdm(total=seconds, bar_format=shape, dynamic_ncols=True, file=sys.stderr) as bar:
        while True:
            is_done = done.wait(1 / LOOKS_PER_SECOND)
            bar.n = min(time.monotonic() - began, seconds or math.inf)
            bar.set_postfix_str(task.progress)
            if is_done:
                return


def _hand_over(task: Task, plan: Plan, asked: argparse.Namespace, heard: Heard) -> int:
    """Judge the plan, explain it and write it; return 0, or 1 or 2 where it is not written, which is said."""
    from services.dispatch.planning.check import check

    violations = check(task.problem, plan)
    if violations:
        _say(f"Le plan trouvé ne peut pas être parcouru et n'est pas écrit : {violations[0]}. Signalez-le.")
        return 1
    if plan.left_out and task.instance is None:
        from services.dispatch.planning.reasons import explain

        try:
            heard.is_raised = True
            plan = explain(task.problem, plan)
            heard.is_raised = False
        except Interrupted:
            _say("Les raisons de ce qui reste de côté manquent : leur recherche est interrompue.")
    elif plan.left_out:
        _say(f"{len(plan.left_out)} demandes restent de côté ; donnez plus de temps.")
    try:
        if asked.out:
            _write(asked.out, task.answer(plan))
        else:
            sys.stdout.buffer.write(task.answer(plan).encode())
        if asked.plot:
            _write(asked.plot, task.picture(plan))
    except OSError as error:
        _say(f"Le plan ne peut pas être écrit ({error}) ; vérifiez la place et vos droits.")
        return 2
    return 0


def _write(place: Path, text: str) -> None:
    """Write a file whole or leave what was there. Raises OSError."""
    behind = place.resolve()  # a link stays one
    if (place.exists() and not place.is_file()) or not os.access(behind.parent, os.W_OK):
        place.write_text(text, encoding="utf-8")  # a device or a pipe, or a folder that takes no other file
        return
    draft = behind.with_name(f".tournee-{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        if behind.exists():
            draft.chmod(behind.stat().st_mode & 0o7777)
        draft.replace(behind)
    finally:
        draft.unlink(missing_ok=True)


def _travel(positions: Sequence[document.Position]) -> tuple[Any, Any]:
    from services.dispatch.travel.estimate import matrix

    rides = matrix(positions)
    return rides.seconds, rides.metres


def _check_places(*places: Path | None) -> None:
    for place in filter(None, places):
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                place.stat()  # newer Pythons answer "no" below where this says what is wrong
            is_place = place.parent.is_dir() and not place.is_dir()
            is_allowed = os.access(place if place.exists() else place.parent, os.W_OK)
        except OSError as error:
            raise UnreadableFile(f"{place} ne peut pas être écrit ; vérifiez son nom et vos droits.") from error
        if not is_place:
            raise UnreadableFile(f"{place} ne peut pas être écrit ; donnez un fichier dans un dossier qui existe.")
        if not is_allowed:
            raise UnreadableFile(f"{place} ne peut pas être écrit ; vérifiez vos droits.")


@contextmanager
def _heard() -> Iterator[Heard]:
    """Let the first Ctrl-C or SIGTERM be heard, and raised as Interrupted where it may; the second ends the process."""
    heard = Heard()

    def hear(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        heard.first = Interrupted(number)
        if heard.is_raised:
            raise heard.first

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, hear)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(sentence: str) -> None:
    print(f"tournee: {sentence}", file=sys.stderr)


def _number(kind: type[int] | type[float], least: float, most: float) -> Callable[[str], float]:
    def read_number(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = kind(-1)
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(f"« {text} » n'est pas un nombre de {least} à {most}")

    return read_number
