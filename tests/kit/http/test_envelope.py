from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.kit.http.envelope import Allowances


async def test_every_answer_carries_a_number_and_safe_headers(house: Any) -> None:
    async with house.client() as client:
        answers = [
            await client.get(path)
            for path in ("/healthz", "/nowhere", "/v1/notes", "/connexion", "/static/style.css", "/openapi.json")
        ]
    for answer in answers:
        assert len(answer.headers["X-Request-Id"]) == 36
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_caller_may_give_the_number_if_it_is_a_plain_word(house: Any) -> None:
    async with house.client() as client:
        kept = await client.get("/healthz", headers={"X-Request-Id": "gateway-7f3a"})
        replaced = await client.get("/healthz", headers={"X-Request-Id": "a b<script>"})
    assert kept.headers["X-Request-Id"] == "gateway-7f3a"
    assert "script" not in replaced.headers["X-Request-Id"]


async def test_a_noisy_caller_waits_and_the_others_do_not(open_house: Any) -> None:
    async with open_house(burst_requests=5, requests_per_second=0.5) as house:
        house.access.accounts.add("noisy", scopes=["notes:read"], is_machine=True)
        async with house.as_machine("noisy") as noisy, house.writer() as quiet:
            answers = [await noisy.get("/v1/notes") for _ in range(7)]
            others = await quiet.get("/v1/notes")
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].json()["code"] == "too-many-requests"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
    assert others.status_code == 200


def test_an_allowance_refills_at_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("services.kit.http.envelope.time.monotonic", lambda: now)
    allowances = Allowances(per_second=2, burst=3)
    assert [allowances.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    now = 0.5
    assert [allowances.take("a") for _ in range(2)] == [0, 0.5]
    now = 1000
    assert [allowances.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


async def test_requests_are_counted_by_route_and_never_by_address(house: Any) -> None:
    def counted(route: str, method: str, status: str) -> float:
        labels = {"route": route, "method": method, "status": status}
        return REGISTRY.get_sample_value("tournee_http_requests_total", labels) or 0

    before = counted("/v1/notes/{note_id}", "GET", "404")
    async with house.writer() as client:
        await client.get("/v1/notes/77")
        await client.request("BREW", "/secret-address")
        figures = (await client.get("/metrics")).text
    assert counted("/v1/notes/{note_id}", "GET", "404") == before + 1
    assert "secret-address" not in figures
    assert "BREW" not in figures
