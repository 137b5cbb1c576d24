import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.kit import clock
from services.kit.errors import DomainError


class Unwanted(DomainError):
    code = "unwanted"
    title = "Non voulu"


@pytest.fixture
def operator_headers(house: Any) -> dict[str, str]:
    house.access.accounts.add("admin", roles=["administrator"])
    token = house.access.tokens.issue(house.access.accounts.get("admin"), "api", seconds=60)
    return {"Authorization": f"Bearer {token}"}


async def test_only_operators_get_in(house: Any) -> None:
    async with house.client() as nobody, house.writer() as writer:
        for path in ("lane", "jobs", "dead-letters"):
            address = f"/v1/operations/notebook/{path}"
            assert (await nobody.get(address)).status_code == 401
            assert (await writer.get(address)).status_code == 403


async def test_a_lane_tells_how_it_stands(house: Any, operator_headers: dict[str, str]) -> None:
    async with house.client(headers=operator_headers) as client:
        answer = await client.get("/v1/operations/notebook/lane")
        elsewhere = await client.get("/v1/operations/billing/lane")
    assert answer.json() == {
        "service": "notebook",
        "outbox": {"pending": 0, "oldest_seconds": 0.0},
        "topics": [],
        "dead_letters": 0,
        "stopped_because": "",
    }
    assert elsewhere.status_code == 404


async def test_a_job_is_run_when_asked_and_its_summary_told(house: Any, operator_headers: dict[str, str]) -> None:
    async with house.client(headers=operator_headers) as client:
        done = await client.post("/v1/operations/notebook/jobs/count/runs")
        listed = await client.get("/v1/operations/notebook/jobs")
        unknown = await client.post("/v1/operations/notebook/jobs/nothing/runs")
        failing = await client.post("/v1/operations/notebook/jobs/fail/runs")
    assert (done.status_code, done.json()) == (200, {"job": "count", "summary": {"notes": 0}})
    assert {run["job"] for run in listed.json()} >= {"count"}
    assert (unknown.status_code, unknown.json()["jobs"]) == (404, ["count", "fail", "forget-answers"])
    assert (failing.status_code, failing.json()["code"]) == (500, "job-failed")
    assert "inner cause" not in failing.text


async def test_the_clock_is_set_in_a_demo_house_only(open_house: Any, house: Any) -> None:
    at = "2027-03-01T08:00:00+01:00"

    async def put(house: Any) -> Any:
        house.access.accounts.remove("admin") if house.access.accounts.get("admin") else None
        house.access.accounts.add("admin", roles=["administrator"])
        token = house.access.tokens.issue(house.access.accounts.get("admin"), "api", seconds=60)
        async with house.client(headers={"Authorization": f"Bearer {token}"}) as client:
            return await client.put("/v1/operations/notebook/clock", json={"at": at})

    try:
        refused = await put(house)
        assert (refused.status_code, refused.json()["code"]) == (404, "clock-is-real")
        assert clock.utc_now().year < 2027
        async with open_house(demo=True) as demo:
            assert (await put(demo)).status_code == 200
        assert 0 <= (clock.utc_now() - datetime(2027, 3, 1, 7, tzinfo=UTC)).total_seconds() < 10
    finally:
        clock.reset()


async def test_a_process_is_alive_and_ready(house: Any) -> None:
    async with house.client() as client:
        alive = await client.get("/healthz")
        ready = await client.get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "failing": []})


async def test_a_process_that_cannot_work_names_what_fails(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("services.kit.http.health.PATIENCE_SECONDS", 0.2)
    house.app.state.checks["event bus"] = silent
    async with house.client() as client:
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")
    assert (ready.status_code, ready.json()["failing"]) == (503, ["event bus"])
    assert alive.status_code == 200


async def test_the_figures_tell_of_the_lane(house: Any) -> None:
    async with house.client() as client:
        figures = (await client.get("/metrics")).text
    for line in ('tournee_outbox_pending{service="notebook"} 0.0', 'tournee_dead_letters_kept{service="notebook"} 0.0'):
        assert line in figures
