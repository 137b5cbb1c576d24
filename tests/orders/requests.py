"""Bodies of requests with sensible defaults: say only what matters."""

from typing import Any

from tests.orders.builders import LAUNDRY, SCHOOL

Json = dict[str, Any]


def window_body(day: str = "2026-11-26", start: str = "08:00", end: str = "10:00") -> Json:
    return {"start": f"{day}T{start}:00+01:00", "end": f"{day}T{end}:00+01:00"}


def leg_body(start: str = LAUNDRY, end: str = SCHOOL, day: str = "2026-11-26", count: int = 2) -> Json:
    return {
        "pickup": {"site_id": start, "window": window_body(day)},
        "drop": {"site_id": end, "window": window_body(day, "09:00", "12:00")},
        "loads": [{"kind": "ballot-linge", "count": count}],
    }


def order_body(**changes: Any) -> Json:
    return {"legs": [leg_body()], **changes}


def exchange_body(**changes: Any) -> Json:
    return order_body(flow="exchange", legs=[leg_body(), leg_body(SCHOOL, LAUNDRY)], **changes)


def site_body(**changes: Any) -> Json:
    return {"name": "Crèche", "address": "3 rue Haute", "latitude": 47.2, "longitude": -1.55, **changes}


def request_body(**changes: Any) -> Json:
    return {
        "title": "Linge de l'école",
        "flow": "exchange",
        "start_on": "2026-11-24",
        "rule": "FREQ=WEEKLY;BYDAY=TU,FR",
        "legs": [
            {
                "pickup": {"site_id": LAUNDRY, "window": {"start": "08:00", "end": "10:00"}},
                "drop": {"site_id": SCHOOL, "window": {"start": "09:00", "end": "12:00"}},
                "loads": [{"kind": "ballot-linge", "count": 2}],
            },
            {
                "pickup": {"site_id": SCHOOL, "window": {"start": "10:00", "end": "12:00"}},
                "drop": {"site_id": LAUNDRY, "window": {"start": "11:00", "end": "16:00"}},
                "loads": [{"kind": "ballot-linge", "count": 2}],
            },
        ],
        **changes,
    }
