"""Start-up time and memory of the embedded house, beside a bare FastAPI process: python -m bench.startup.

Start-up is from the process's start until every service answers `/readyz`; memory is what the process then holds.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench.machine import machine
from tests.servers.parts import free_port
from tests.servers.process import ServerProcess, wait_for
from tests.system.houses import RunningHouse

ROUNDS = 5


def start(command: list[str], env: dict[str, str], log: Path, address: str) -> tuple[float, float]:
    """Start a server; return the seconds until it answers and the megabytes it then holds."""

    def answers() -> bool:
        try:
            return httpx.get(address, timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    began = time.perf_counter()
    process = ServerProcess(command, log=log, env=env)
    try:
        if not wait_for(answers, seconds=60):
            raise RuntimeError(process.last_words())
        seconds = time.perf_counter() - began
        time.sleep(2)
        return seconds, process.resident_megabytes()
    finally:
        process.stop()


def main() -> None:
    """Print medians of both and their ratio."""
    ours, bare = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            house = RunningHouse(folder)
            port = house.ports["all"]
            command = [sys.executable, "-m", "services", "serve", "--port", str(port)]
            ours.append(start(command, house.env, folder / "ours.log", f"http://127.0.0.1:{port}/readyz"))
            port = free_port()
            command = [sys.executable, "-m", "uvicorn", "bench.bare:app", "--port", str(port)]
            env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            bare.append(start(command, env, folder / "bare.log", f"http://127.0.0.1:{port}/healthz"))
    print(f"\nStart-up and memory, embedded ({machine()}; median of {ROUNDS})")
    for title, rows in (("tournee serve", ours), ("bare FastAPI, the same body model", bare)):
        seconds, megabytes = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"  {title:<36} {seconds:>6.2f} s   {megabytes:>6.0f} MB")


if __name__ == "__main__":
    main()
