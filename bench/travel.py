"""Ride times of a large commune beside their limit, and how the network is prepared: python -m bench.travel.

300 x 300 in Toulouse from OSRM must take less than 0.2 s when nothing is known yet, transfer and keeping included. The
same points over the network prepared the other way (partitioned, MLD) show what contracting it (CH) buys.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench.machine import machine
from services.dispatch import travel
from services.dispatch.travel import Point, network, open_roads
from services.dispatch.travel.streets import import_network
from services.dispatch.worker import Worker
from tests.servers.parts import PROJECT

LIMIT_SECONDS = 0.2
PLACES = 300
REPEATS = 7
EXTRACT = PROJECT.parent / "shared" / "geo" / "toulouse-network.osm.pbf"
BOUNDS = (1.3364, 43.5270, 1.5224, 43.6913)


def places(seed: int, count: int) -> list[Point]:
    """Return places all over the inner city."""
    generator = np.random.default_rng(seed)
    return list(
        zip(generator.uniform(1.40, 1.48, count).tolist(), generator.uniform(43.57, 43.64, count).tolist(), strict=True)
    )


def taken(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print medians, the limit and the ratio of both preparations."""
    if not EXTRACT.is_file() or not network.can_build():
        print(f"\nRide times: NOT MEASURED, {EXTRACT} and osrm-bindings (Python 3.12 or newer) are needed")
        return
    print(f"\nRide times, {PLACES} x {PLACES}, Toulouse ({machine()}; median of {REPEATS})")

    def tell(what: str, seconds: float, note: str = "") -> None:
        print(f"  {what:<58} {seconds:>8.4f} s   {note}")

    with tempfile.TemporaryDirectory() as name:
        data_dir = Path(name)
        tell("import: extract, contract, ride on it, switch", taken(lambda: import_network(EXTRACT, data_dir, BOUNDS)))
        roads = open_roads("", data_dir)
        try:
            tell("the first question: OSRM's process starts and loads", taken(lambda: roads.matrix(places(0, 2))))
            cold = statistics.median(
                taken(partial(roads.matrix, places(seed, PLACES))) for seed in range(1, REPEATS + 1)
            )
            tell("nothing known (cold)", cold, f"limit {LIMIT_SECONDS} s: {cold / LIMIT_SECONDS:.2f} of it")
            known = places(1, PLACES)
            roads.matrix(known)
            warm = statistics.median(taken(lambda: roads.matrix(known)) for _ in range(REPEATS))
            tell("everything known (warm)", warm, f"{cold / warm:.0f} times as fast as cold")
            more = statistics.median(
                taken(partial(roads.matrix, [*known, *places(seed, 1)])) for seed in range(100, 100 + REPEATS)
            )
            tell("one new place: a row and a column", more)
            tell("estimates alone", statistics.median(taken(lambda: travel.matrix(known)) for _ in range(REPEATS)))
            rounds = [places(seed, 20) for seed in range(200, 220)]
            tell("lines of 20 rounds of 20 stops, nothing known", taken(lambda: roads.lines(rounds)))
            tell("the same page again", taken(lambda: roads.lines(rounds)))
        finally:
            roads.stop()
        again = open_roads("", data_dir)
        try:
            tell("everything known, after a restart", taken(lambda: again.matrix(known)))
        finally:
            again.stop()
        _compare(data_dir, tell)


def _compare(data_dir: Path, tell: Callable[[str, float, str], None]) -> None:
    """Ask OSRM alone, over the network as we contract it and partitioned."""
    contracted = network.current(data_dir)
    assert contracted is not None
    file = network.data_file(data_dir, contracted)
    partitioned = data_dir / "mld" / file.name
    shutil.copytree(file.parent, partitioned.parent)

    def tool(name: str, *options: str) -> None:
        command = [sys.executable, "-m", "osrm", name, str(partitioned), "-l", "ERROR", *options]
        subprocess.run(command, check=True, capture_output=True)

    prepared = sum(taken(partial(tool, name)) for name in ("partition", "customize"))
    tell("partition and customize instead (MLD)", prepared, "")
    tell("contract (CH), in the import above", taken(lambda: tool("contract")), "")
    seconds = {}
    for name, algorithm, path in (("contracted", "CH", file), ("partitioned", "MLD", partitioned)):
        worker = Worker(f"osrm {name}", table_only, str(path), algorithm)
        try:
            worker.ask(places(0, 2), seconds=60)
            seconds[name] = statistics.median(
                taken(partial(worker.ask, places(seed, PLACES), seconds=60)) for seed in range(1, REPEATS + 1)
            )
        finally:
            worker.stop()
        tell(f"OSRM alone, {name} ({algorithm})", seconds[name], "")
    print(f"  contracted is {seconds['partitioned'] / seconds['contracted']:.1f} times as fast as partitioned")


def table_only(path: str, algorithm: str) -> Callable[[list[Point]], object]:
    """Return what asks OSRM for a table and gives nothing back; runs in a process of its own."""
    import osrm

    engine = osrm.OSRM(storage_config=path, algorithm=algorithm, use_shared_memory=False, verbosity="NONE")

    def answer(points: list[Point]) -> object:
        engine.Table(
            osrm.TableParameters(coordinates=points, annotations=["duration", "distance"], generate_hints=False)
        )
        return None

    return answer


if __name__ == "__main__":
    main()
