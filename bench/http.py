"""The HTTP doors beside bare FastAPI endpoints, in one run: python -m bench.http.

Each server is a process of its own under uvicorn on loopback; the load is one plain asyncio client with a few
connections kept alive, so that the client costs little. Rounds go A B C, A B C, ...; ratios are taken round by round.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx

from bench.machine import machine
from services.demo import city
from services.demo.day import at, plan_day, rounds_of
from services.demo.house import House
from services.demo.live import working_day
from services.demo.setting import Setting, furnish
from tests.servers.kafka import KafkaServer
from tests.system.houses import RunningHouse

CONNECTIONS = 8
ROUNDS = 5
QUIET = {"ORDERS_GENERATE_EVERY_SECONDS": "86400"}


@dataclass(frozen=True)
class Target:
    """One request to repeat against one server."""

    name: str
    port: int
    request: bytes
    expect: int


async def rate(target: Target, count: int) -> float:
    """Send the request `count` times over a few connections; return requests per second.

    Raises AssertionError when an answer has another status than the one expected.
    """

    async def visit(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        for _ in range(times):
            writer.write(target.request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            assert status == target.expect, f"{target.name}: {head!r} {await reader.read(2000)!r}"
            lower = head.lower()
            start = lower.find(b"content-length:")
            if start >= 0:
                await reader.readexactly(int(lower[start + 15 : lower.index(b"\r\n", start)]))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(visit(count // CONNECTIONS) for _ in range(CONNECTIONS)))
    return (count // CONNECTIONS) * CONNECTIONS / (time.perf_counter() - began)


def request(method: str, path: str, headers: dict[str, str], body: object | None = None) -> bytes:
    """Return the bytes of one HTTP/1.1 request that keeps its connection."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Connection": "keep-alive", **headers}
    if content:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def compare(title: str, targets: Sequence[Target], count: int, aims: Sequence[str]) -> None:
    """Measure the targets in turn and print their rates and the first one's ratio to each other."""
    for target in targets:
        asyncio.run(rate(target, count // 4))
    rounds = [[asyncio.run(rate(target, count)) for target in targets] for _ in range(ROUNDS)]
    print(f"\n{title} ({machine()}; median of {ROUNDS} rounds of {count} requests, {CONNECTIONS} connections)")
    for index, target in enumerate(targets):
        own = statistics.median(row[index] for row in rounds)
        ratio = statistics.median(row[0] / row[index] for row in rounds)
        print(f"  {target.name:<44} {own:>8.0f} /s   ours/this {ratio:>5.2f}  {aims[index]}")


@contextmanager
def bare(folder: Path) -> Iterator[int]:
    """Run the bare peers; give their port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "bench.bare:app", "--port", str(port), "--no-access-log"]
    env = {**os.environ, "BARE_DATABASE_URL": f"sqlite:///{folder}/bare.db"}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Measure the poll of a courier's unchanged day, and POST of an order: the whole house, then orders alone."""
    with tempfile.TemporaryDirectory() as name, bare(Path(name)) as bare_port:
        folder = Path(name)
        with RunningHouse(make(folder / "whole"), env=QUIET) as running, running.visit() as house:
            setting, day = furnished(house)
            plan_day(house, day, solve_seconds=2)
            compare_poll(running, house, day, bare_port)
            compare_post(running, house, setting, day, bare_port, "the whole house in one process behind it")
        with (
            KafkaServer() as kafka,
            RunningHouse(make(folder / "apart"), kafka=kafka, env=QUIET) as running,
            running.visit() as house,
        ):
            setting, day = furnished(house)
            house.visitor("proprete")
            for neighbour in ("dispatch", "billing"):
                running.processes[neighbour].stop()
            compare_post(running, house, setting, day, bare_port, "orders alone, relaying to Kafka")


def make(folder: Path) -> Path:
    """Return the folder, made."""
    folder.mkdir()
    return folder


def furnished(house: House) -> tuple[Setting, date]:
    """Furnish the demo city for the next working day."""
    day = working_day(datetime.now(ZoneInfo(city.ZONE)).date() + timedelta(days=1))
    house.set_clock(at(day - timedelta(days=1), 9))
    return furnish(house, day, day, scale=1, tell=lambda _: None), day


def compare_poll(running: RunningHouse, house: House, day: date, bare_port: int) -> None:
    """The busiest courier's day, unchanged."""
    courier = house.visitor(busiest(house, day))
    path = f"/v1/me/assignments?date={day}"
    etag = courier.call("dispatch", "GET", path).headers["etag"]
    poll = request("GET", path, {"If-None-Match": etag, "Cookie": courier.cookie})
    compare(
        "Poll of an unchanged day",
        [
            Target("courier's poll, 304", running.ports["all"], poll, 304),
            Target("bare FastAPI endpoint (def), 304", bare_port, request("GET", "/unchanged", {}), 304),
        ],
        4000,
        ["", "aim: at least 0.7"],
    )


def compare_post(running: RunningHouse, house: House, setting: Setting, day: date, bare_port: int, behind: str) -> None:
    """A one-way order; SQLite with full synchronisation on both sides."""
    origin = running.addresses.orders
    port = int(origin.rpartition(":")[2])
    body = an_order(setting, day)
    headers = {"Cookie": house.visitor("proprete").cookie, "Origin": origin, "Host": origin[len("http://") :]}
    compare(
        f"POST of an order, {behind}",
        [
            Target("POST /v1/orders", port, request("POST", "/v1/orders", headers, body), 201),
            Target("bare endpoint, validation only", bare_port, request("POST", "/validated", {}, body), 201),
            Target("bare endpoint, one plain insert", bare_port, request("POST", "/inserted", {}, body), 201),
        ],
        800,
        ["", "", "aim: at least 0.5"],
    )


def busiest(house: House, day: date) -> str:
    """Return the login of the courier with the most stops."""
    logins = [login for cooperative in city.COOPERATIVES for login in cooperative.couriers]
    return max(logins, key=lambda login: sum(len(one["stops"]) for one in rounds_of(house, login, day)))


def an_order(setting: Setting, day: date) -> dict[str, object]:
    """Return the body of a one-way order between two sites of one department."""
    here, there = [site for (department, _), site in setting.sites.items() if department == "proprete"][:2]
    windows = [{"start": at(day, hour).isoformat(), "end": at(day, hour + 2).isoformat()} for hour in (8, 10)]
    return {
        "flow": "one_way",
        "legs": [
            {
                "pickup": {"site_id": here, "window": windows[0]},
                "drop": {"site_id": there, "window": windows[1]},
                "loads": [{"kind": "ballot-linge", "count": 2}],
            }
        ],
    }


if __name__ == "__main__":
    main()
