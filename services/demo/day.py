"""Rides one day of the demo city: dispatchers plan and publish, couriers report, now and then something goes wrong."""

import random
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from time import monotonic, sleep
from typing import Any
from zoneinfo import ZoneInfo

from services.demo import city
from services.demo.house import DemoFailedError, House

PHOTO = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e"
    "1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b080001000101011100ffc4001f000001"
    "0501010101010100000000000000000102030405060708090a0bffc400b5100002010303020403050504040000017d01020300041105"
    "122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43444546"
    "4748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aa"
    "b2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffda0008010100"
    "003f00fbd3ffd9"
)
"""The smallest grey JPEG: one pixel."""

FAILURES = ("site-closed", "bike-breakdown")
"""Codes of the failure catalogue: the first lies with the requester and is charged, the second is not."""

FAILURE_SHARE = 0.02
SHORTAGE_SHARE = 0.03
BAD_NETWORK_SHARE = 0.15
MOST_REPORTS = 100


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """Return an instant of the city's wall clock."""
    return datetime.combine(day, day_time(hour, minute), ZoneInfo(city.ZONE)).astimezone(UTC)


def plan_day(house: House, day: date, *, solve_seconds: float) -> dict[str, Any] | None:
    """Ask for a plan, wait for it, let each cooperative's dispatcher publish; None when there is nothing to plan."""
    dispatcher = house.visitor(f"regie-{city.COOPERATIVES[0].id}")
    deliveries = list(house.admin.pages("dispatch", f"/v1/deliveries?date={day}&state=plannable"))
    if not deliveries:
        return None
    plan: dict[str, Any] = dispatcher.post("dispatch", "/v1/plans", {"date": day.isoformat(), "seconds": solve_seconds})
    end = monotonic() + 60 + 10 * solve_seconds
    while plan["state"] in ("requested", "solving"):
        if monotonic() > end:
            raise DemoFailedError(f"the plan of {day} is not ready: {plan}")
        sleep(0.05)
        plan = house.admin.get("dispatch", f"/v1/plans/{plan['id']}")
    if plan["state"] != "draft":
        raise DemoFailedError(f"the plan of {day} failed: {plan}")
    for cooperative in city.COOPERATIVES:
        house.visitor(f"regie-{cooperative.id}").post("dispatch", f"/v1/plans/{plan['id']}/publication")
    house.settle_down()
    return plan


def rounds_of(house: House, courier: str, day: date) -> list[dict[str, Any]]:
    """Poll a courier's published rounds of a day twice, as an app does: the second answer must be 304."""
    visitor = house.visitor(courier)
    path = f"/v1/me/assignments?date={day}"
    answer = visitor.call("dispatch", "GET", path)
    visitor.call("dispatch", "GET", path, headers={"If-None-Match": answer.headers["etag"]}, expect=(304,))
    return [one for one in answer.json()["rounds"] if one["state"] == "published"]


def ride_reports(
    rounds: list[dict[str, Any]], chance: random.Random
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Give every stop that is ridden to, with its reports; some stops fail, some counts are short."""
    failed: set[tuple[str, int]] = set()
    for stop in (stop for one in rounds for stop in one["stops"]):
        delivery = (stop["order_id"], stop["leg"])
        if delivery in failed:
            continue
        arrival = datetime.fromisoformat(stop["arrives_at"])
        reports = [report(stop, "start", arrival - timedelta(minutes=6)), report(stop, "arrive", arrival)]
        if chance.random() < FAILURE_SHARE:
            failed.add(delivery)
            reason = chance.choice(FAILURES)
            proof_ids = [str(uuid.uuid4())] if reason == FAILURES[0] else []
            more = {"reason_code": reason, "note": "Vu sur place.", "proof_ids": proof_ids}
            reports.append(report(stop, "fail", arrival + timedelta(minutes=4), **more))
        else:
            reports.append(report(stop, "complete", arrival + timedelta(minutes=3), **count(stop, chance)))
        yield stop, reports


def count(stop: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Count the loads at the door: now and then one is missing, and the courier says why."""
    loads = [
        {"kind": load["kind"], "counted": load["count"] - (load["count"] > 1 and chance.random() < SHORTAGE_SHARE)}
        for load in stop["loads"]
    ]
    is_short = any(one["counted"] != load["count"] for one, load in zip(loads, stop["loads"], strict=True))
    return {"loads": loads, "note": "Un de moins que prévu, compté avec le gardien." if is_short else ""}


def ride_round(house: House, courier: str, day: date, chance: random.Random) -> Counter[str]:
    """Let one courier report the day's stops; now and then over a bad network: shuffled, some of it twice."""
    tally: Counter[str] = Counter()
    reports: list[dict[str, Any]] = []
    for stop, told in ride_reports(rounds_of(house, courier, day), chance):
        reports += told
        tally["failed"] += told[-1]["kind"] == "fail"
        tally["handed_over"] += told[-1]["kind"] == "complete" and stop["kind"] == "drop"
    if chance.random() < BAD_NETWORK_SHARE:
        chance.shuffle(reports)
        reports += reports[: len(reports) // 3]
    send_reports(house, courier, reports)
    return tally


def send_reports(house: House, courier: str, reports: list[dict[str, Any]]) -> None:
    """Send reports, then the photos they announce."""
    visitor = house.visitor(courier)
    for start in range(0, len(reports), MOST_REPORTS):
        visitor.post("dispatch", "/v1/me/reports", {"reports": reports[start : start + MOST_REPORTS]})
    photos = {(one["stop_id"], proof_id) for one in reports for proof_id in one.get("proof_ids", ())}
    for stop_id, proof_id in photos:
        path = f"/v1/me/stops/{stop_id}/proofs/{proof_id}"
        visitor.call("dispatch", "PUT", path, content=PHOTO, headers={"Content-Type": "image/jpeg"})


def report(stop: dict[str, Any], kind: str, occurred_at: datetime, **more: Any) -> dict[str, Any]:
    """Make one report; its id is the client's own."""
    return {
        "event_id": str(uuid.uuid4()),
        "stop_id": stop["id"],
        "kind": kind,
        "occurred_at": occurred_at.isoformat(),
        **more,
    }


def ride_day(house: House, day: date, *, chance: random.Random, solve_seconds: float) -> Counter[str]:
    """Plan, publish and ride a day; return how many deliveries were planned, left out, handed over and failed."""
    tally: Counter[str] = Counter()
    plan = plan_day(house, day, solve_seconds=solve_seconds)
    if plan is None:
        return tally
    tally["left_out"] = len(plan["left_out"])
    tally["planned"] = plan["planned"]
    house.set_clock(at(day, 6))
    for cooperative in city.COOPERATIVES:
        for courier in cooperative.couriers:
            tally.update(ride_round(house, courier, day, chance))
    house.set_clock(at(day, 20))
    house.settle_down()
    return tally
