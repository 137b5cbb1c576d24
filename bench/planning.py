"""The planning engine beside what users would pick instead, on public instances: python -m bench.planning.

Every solver gets the same instances, the same wall time and the same two cores, one after the other; each answer is
ridden again here, in the file's own numbers and double precision. Each run is a line of a JSON-lines file: a run that
is there already is not made again, and the tables are made of what is there.
"""

import argparse
import csv
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.machine import machine
from services.dispatch.planning.instances import LILIM_UNITS, read
from services.dispatch.planning.problem import RoutingProblem

PROJECT = Path(__file__).parents[1]
INSTANCES = Path(os.environ.get("TOURNEE_SHARED") or PROJECT.parent / "shared") / "bench"
RUNS = PROJECT / "var" / "bench-planning.jsonl"
PEERS = PROJECT / ".servers" / "peers"
PEERS_PYTHON = ("3.11", "3.12")
"""Those that every peer has a wheel for."""

PEER_UNITS = 5_000
"""Whole units in one of Li and Lim's distance, for peers that only know whole numbers or small ones: with twice as many
VROOM refuses 1,000 tasks.
"""

TOLERANCE = 1e-7
"""What adding doubles in another order may differ by."""

SOLVERS = ("ours", "ortools", "ortools-gls", "vroom", "pyvrp", "vrp-cli")
PROGRAMS = {"ortools-gls": "routing_peer", "vroom": "vroom_peer", "pyvrp": "pyvrp_peer", "vrp-cli": "vrp_cli_peer"}
UNLIMITED = ("vroom",)
"""They take the time they take, whatever is asked, and know no seed: run once an instance."""

FIRST_ROWS = {"lilim": 6, "sartori": 4}
"""Of each size in `best_known.csv`: one instance of each family or city."""


class Cell(NamedTuple):
    """A column of the table."""

    form: str
    size: int
    seconds: float

    def __str__(self) -> str:
        return f"{'Li-Lim' if self.form == 'lilim' else 'Sartori'} {self.size} @{self.seconds:g} s"


CELLS = (
    Cell("lilim", 100, 10),
    Cell("lilim", 200, 30),
    Cell("lilim", 400, 30),
    Cell("lilim", 1000, 60),
    Cell("lilim", 1000, 1),
    Cell("sartori", 100, 10),
    Cell("sartori", 200, 30),
    Cell("sartori", 400, 30),
)


class Known(NamedTuple):
    """The best plan that anybody has published for an instance."""

    instance: str
    vehicles: int
    distance: float


Run = dict[str, Any]
"""A line of the file of runs: what was run, then what came of it. `fault` is None where the answer can be ridden."""


def best_known(form: str, size: int) -> list[Known]:
    """Return the instances of a size with their best known plans, in the order of the file."""
    with (INSTANCES / form / "best_known.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["size"]) == size]
    return [Known(row["instance"], int(row["vehicles"]), float(row["distance"])) for row in rows]


# -- the judge ---------------------------------------------------------------------------------------------------------


class Sheet(NamedTuple):
    """An instance in its own numbers: rows of demand, earliest, latest, service, pickup, drop."""

    vehicles: int
    capacity: float
    rows: list[tuple[float, ...]]
    legs: list[list[float]]


def sheet(form: str, text: str) -> Sheet:
    """Read an instance apart from the engine's own reader."""
    lines = [line.split() for line in text.splitlines()]
    if form == "lilim":
        nodes = [[float(cell) for cell in line] for line in lines[1:] if line]
        legs = [[math.dist(a[1:3], b[1:3]) for b in nodes] for a in nodes]
        vehicles, capacity = int(lines[0][0]), float(lines[0][1])
    else:
        head = {line[0]: line[-1] for line in lines[:12] if line}
        size, first, second = int(head["SIZE:"]), lines.index(["NODES"]), lines.index(["EDGES"])
        nodes = [[float(cell) for cell in line] for line in lines[first + 1 : first + 1 + size]]
        legs = [[float(cell) for cell in line] for line in lines[second + 1 : second + 1 + size]]
        vehicles, capacity = size, float(head["CAPACITY:"])
    return Sheet(vehicles, capacity, [tuple(node[3:]) for node in nodes], legs)


def judge(told: Sheet, routes: Sequence[Sequence[int]]) -> tuple[float, str | None]:
    """Return what the routes ride and the first thing that is wrong with them, None where nothing is."""
    ridden: list[float] = []
    if sorted(node for route in routes for node in route) != list(range(1, len(told.rows))):
        return 0.0, "not every node once"
    if len(routes) > told.vehicles:
        return 0.0, "more vehicles than offered"
    for route in routes:
        here, clock, load, seen = 0, told.rows[0][1], 0.0, set[int]()
        for node in (*route, 0):
            demand, earliest, latest, service, pickup, _ = told.rows[node]
            ridden.append(told.legs[here][node])
            clock = max(clock + told.legs[here][node], earliest)
            load += demand
            if clock > latest + TOLERANCE:
                return 0.0, f"late at {node}"
            if load > told.capacity:
                return 0.0, f"too heavy at {node}"
            if pickup and int(pickup) not in seen:
                return 0.0, f"{node} is dropped before it is picked up"
            seen.add(node)
            clock, here = clock + service, node
    return math.fsum(ridden), None


# -- running -----------------------------------------------------------------------------------------------------------


def peers_python() -> Path:
    """Return the Python of the peers' own environment, made the first time."""
    python = PEERS / "bin" / "python"
    if python.exists():
        return python
    found = [
        candidate
        for version in PEERS_PYTHON
        for candidate in (
            shutil.which(f"python{version}"),
            *sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")),
        )
        if candidate
        and subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0
    ]
    if not found:
        raise SystemExit(f"the peers need Python {' or '.join(PEERS_PYTHON)}, and none was found")
    subprocess.run([found[0], "-m", "venv", PEERS], check=True)
    locked = PROJECT / "bench" / "peers" / "requirements.txt"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        locked,
    ]
    if subprocess.run(pip).returncode != 0:
        shutil.rmtree(PEERS)
        raise SystemExit("the peers could not be installed")
    return python


def told_to_a_peer(problem: RoutingProblem, form: str, seconds: float, seed: int) -> str:
    """Return the instance in whole units: what begins or is ridden is rounded up, what ends rounded down."""
    parts = LILIM_UNITS // PEER_UNITS if form == "lilim" else 1
    vehicle = problem.vehicles[0]
    nodes = [[0, -(-vehicle.shift_start_seconds // parts), vehicle.shift_end_seconds // parts, 0, 0, 0]]
    nodes += [[]] * (len(problem.points) - 1)
    for request in problem.requests:
        (pickup,), (drop,) = request.pickups, request.drops
        for stop, demand, ends in (
            (pickup, pickup.loads[0], (0, drop.point)),
            (drop, -drop.loads[0], (pickup.point, 0)),
        ):
            earliest, latest = -(-stop.window_start_seconds // parts), stop.window_end_seconds // parts
            nodes[stop.point] = [demand, earliest, latest, -(-stop.service_seconds // parts), *ends]
    return json.dumps(
        {
            "seconds": seconds,
            "seed": seed,
            "vehicles": len(problem.vehicles),
            "capacity": vehicle.capacities[0],
            "nodes": nodes,
            "legs": (-(-problem.travel_seconds // parts)).tolist(),
        }
    )


class Ended(NamedTuple):
    """A program that has ended."""

    code: int
    out: str
    last_words: str
    wall_seconds: float
    peak_mib: float


def ended(command: Sequence[str | Path], told: str, most_seconds: float) -> Ended:
    """Run a program until it ends or is killed; its memory is its own and its children's largest."""
    with (
        tempfile.TemporaryFile("w+") as standard_in,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as errors,
    ):
        standard_in.write(told)
        standard_in.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=standard_in, stdout=out, stderr=errors, cwd=PROJECT)
        watch = threading.Timer(most_seconds, process.kill)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        watch.cancel()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        last = errors.read().strip().splitlines()[-1:]
        return Ended(process.returncode, out.read(), "".join(last), wall, usage.ru_maxrss / 1024)


def run(solver: str, cell: Cell, known: Known, seed: int) -> Run:
    """Run one solver on one instance and judge what it says."""
    path = INSTANCES / cell.form / str(cell.size) / f"{known.instance}.txt"
    text = path.read_text(encoding="utf-8")
    most_seconds = 900 if solver in UNLIMITED else 2 * cell.seconds + 60
    if solver in PROGRAMS:
        python = sys.executable if solver == "ortools-gls" else peers_python()
        told = told_to_a_peer(read(text, cell.form).problem, cell.form, cell.seconds, seed)
        end = ended([python, "-m", f"bench.peers.{PROGRAMS[solver]}"], told, most_seconds)
    else:
        engine = "search" if solver == "ours" else "ortools"
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "services",
            "plan",
            path,
            "--format",
            cell.form,
            "--engine",
            engine,
        ]
        command += ["--seconds", str(cell.seconds), "--seed", str(seed)]
        end = ended(command, "", most_seconds)
    made: Run = {
        "solver": solver,
        **cell._asdict(),
        "instance": known.instance,
        "seed": seed,
        "vehicles": None,
        "distance": None,
        "fault": None,
        "wall_seconds": round(end.wall_seconds, 2),
        "peak_mib": round(end.peak_mib),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "at": time.strftime("%Y-%m-%d %H:%M"),
    }
    try:
        answer = json.loads(end.out)
    except ValueError:
        return {**made, "fault": f"no answer ({end.code}): {end.last_words}"[:300]}
    distance, fault = judge(sheet(cell.form, text), answer["routes"])
    if fault:
        return {**made, "fault": fault}
    made |= {"vehicles": len(answer["routes"]), "distance": round(distance, 4)}
    trace = answer.get("trace")
    return {**made, "search_seconds": answer.get("seconds"), "first_seconds": trace[0][0] if trace else None}


def key(made: Run) -> tuple[object, ...]:
    """Return what tells one run from another."""
    return tuple(made[name] for name in ("solver", "form", "size", "seconds", "instance", "seed"))


def wanted(asked: argparse.Namespace) -> Iterator[tuple[str, Cell, Known, int]]:
    """Yield what is to be run: peers and ours in turn on each instance."""
    for cell in asked.cells:
        rows = best_known(cell.form, cell.size)
        first = rows[: FIRST_ROWS[cell.form]]
        groups = {"first": first, "others": rows[len(first) :], "all": rows}
        for known in groups.get(asked.instances[0], [row for row in rows if row.instance in asked.instances]):
            for seed in range(asked.seeds):
                for solver in asked.solvers:
                    if seed == 0 or solver not in UNLIMITED:
                        yield solver, cell, known, seed


# -- the tables --------------------------------------------------------------------------------------------------------


def runs_of(file: Path) -> list[Run]:
    """Return every run that was made, of two alike the later one."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return list({key(made): made for made in map(json.loads, lines)}.values())


def entry(runs: Sequence[Run], known: dict[str, Known]) -> str:
    """Return a cell's text: vehicles above best known, gap where they are equal, runs without a plan."""
    solved = [made for made in runs if made["fault"] is None]
    if not solved:
        return f"nothing ({len(runs)})"
    more = statistics.mean(made["vehicles"] - known[made["instance"]].vehicles for made in solved)
    text = f"{more:+.2f} v"
    gaps = [
        made["distance"] / known[made["instance"]].distance - 1
        for made in solved
        if made["vehicles"] == known[made["instance"]].vehicles
    ]
    if gaps:
        text += f", {100 * statistics.mean(gaps):.2f} %"
    if len(solved) < len(runs):
        text += f", {len(runs) - len(solved)} of {len(runs)} unsolved"
    if runs[0]["solver"] in UNLIMITED:
        text += f" ({statistics.mean(made['wall_seconds'] for made in solved):.1f} s)"
    return text


def tables(file: Path, cells: Sequence[Cell]) -> str:
    """Return what was measured as Markdown."""
    found: dict[tuple[str, Cell], list[Run]] = defaultdict(list)
    for made in runs_of(file):
        found[made["solver"], Cell(made["form"], made["size"], made["seconds"])].append(made)
    cells = [cell for cell in cells if any(there == cell for _, there in found)]
    known = {row.instance: row for cell in cells for row in best_known(cell.form, cell.size)}
    counts = {cell: {len(found[solver, cell]) for solver in SOLVERS if solver not in UNLIMITED} - {0} for cell in cells}
    lines = [
        "| solver | " + " | ".join(f"{cell} (n = {'/'.join(map(str, sorted(counts[cell])))})" for cell in cells) + " |",
        "| --- |" + " --- |" * len(cells),
    ]
    for solver in SOLVERS:
        texts = [entry(found[solver, cell], known) if found[solver, cell] else "" for cell in cells]
        if any(texts):
            lines.append(f"| {solver} | " + " | ".join(texts) + " |")
    lines += [
        "",
        "| solver | cell | first plan, median and worst | whole process | peak memory |",
        "| --- |" + " --- |" * 4,
    ]
    for solver in SOLVERS:
        for cell in cells:
            solved = [made for made in found[solver, cell] if made["fault"] is None]
            firsts = [made["first_seconds"] for made in solved if made["first_seconds"] is not None]
            if solved:
                first = f"{statistics.median(firsts):.2f} s, {max(firsts):.2f} s" if firsts else ""
                wall = statistics.mean(made["wall_seconds"] for made in solved)
                peak = max(made["peak_mib"] for made in solved)
                lines.append(f"| {solver} | {cell} | {first} | {wall:.1f} s | {peak} MiB |")
    return "\n".join(lines)


def main(arguments: Sequence[str] = ()) -> None:
    """Run what is asked and not yet there, then print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.planning", description=__doc__)
    parser.add_argument("--solver", dest="solvers", nargs="+", choices=SOLVERS, default=SOLVERS)
    parser.add_argument("--set", dest="form", choices=("lilim", "sartori"))
    parser.add_argument("--size", type=int)
    parser.add_argument("--seconds", type=float, help="instead of those of the table")
    parser.add_argument("--seeds", type=int, default=3, help="so many, from 0")
    parser.add_argument(
        "--instances", nargs="+", default=["first"], help="first (one a family or city), others, all, or their names"
    )
    parser.add_argument("--runs", type=Path, default=RUNS, help="the file of runs; more are added to it")
    parser.add_argument("--again", action="store_true", help="also what is there already")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args(arguments)
    asked.cells = [cell for cell in CELLS if asked.form in (None, cell.form) and asked.size in (None, cell.size)]
    if asked.seconds is not None:
        asked.cells = sorted({cell._replace(seconds=asked.seconds) for cell in asked.cells})
    if not INSTANCES.is_dir():
        raise SystemExit(f"{INSTANCES} does not exist; TOURNEE_SHARED may name another folder of public instances")
    if not asked.table:
        measure(asked)
    print(f"\nPlanning ({machine()})\n")
    print(tables(asked.runs, asked.cells))


def measure(asked: argparse.Namespace) -> None:
    """Make the runs, each on the same two cores, and note each as soon as it is made."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    there = set() if asked.again else {key(made) for made in runs_of(asked.runs)}
    todo = [each for each in wanted(asked) if (each[0], *each[1], each[2].instance, each[3]) not in there]
    if any(solver == "ours" for solver, *_ in todo):
        run("ours", todo[0][1]._replace(seconds=1), todo[0][2], 0)  # compiles what it has to, once a machine
    asked.runs.parent.mkdir(parents=True, exist_ok=True)
    for number, (solver, cell, known, seed) in enumerate(todo, 1):
        made = run(solver, cell, known, seed)
        with asked.runs.open("a", encoding="utf-8") as file:
            file.write(json.dumps(made) + "\n")
        told = made["fault"] or f"{made['vehicles']} vehicles ({known.vehicles}), {made['distance']} ({known.distance})"
        print(f"{number}/{len(todo)} {cell} {known.instance} seed {seed} {solver}: {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
