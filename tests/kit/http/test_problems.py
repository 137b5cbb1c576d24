import logging
from typing import Any

import pytest

from services.kit.http import problems
from services.kit.telemetry import JsonLines


async def test_a_refusal_tells_its_name_its_sentence_and_its_figures(house: Any) -> None:
    async with house.writer() as client:
        await client.post("/v1/notes", json={"text": "un"})
        answer = await client.post("/v1/notes", json={"text": "un"}, headers={"X-Request-Id": "essai-0001"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/text-taken",
        "title": "Texte déjà noté",
        "status": 409,
        "detail": "Choisissez un autre texte.",
        "code": "text-taken",
        "request_id": "essai-0001",
        "text": "un",
        "errors": [
            {
                "code": "text-taken",
                "title": "Texte déjà noté",
                "detail": "Choisissez un autre texte.",
                "pointer": "/text",
                "text": "un",
            }
        ],
    }


async def test_several_refusals_come_together(house: Any) -> None:
    async with house.writer() as client:
        mixed = await client.post("/v1/note-batches", json={"texts": ["pris", "bon", ""]})
        alike = await client.post("/v1/note-batches", json={"texts": ["pris", "pris"]})
    assert mixed.status_code == 422
    assert [(fault["code"], fault["pointer"]) for fault in mixed.json()["errors"]] == [
        ("text-taken", "/texts/0"),
        ("text-empty", "/texts/2"),
    ]
    assert mixed.json()["errors"][1]["least"] == 1
    assert alike.status_code == 409


async def test_everything_wrong_with_a_body_is_said_at_once_in_french(house: Any) -> None:
    body = {"text": "", "on": "2026-02-30", "at": "2026-11-24T08:30:00", "colour": "bleu", "tarif/x~y": 1}
    async with house.writer() as client:
        answer = await client.post("/v1/notes", json=body)
    assert answer.status_code == 422
    faults = {fault["pointer"]: (fault["code"], fault["detail"]) for fault in answer.json()["errors"]}
    assert faults == {
        "/text": ("string-too-short", "Donnez au moins 1 caractère(s)."),
        "/on": ("date-from-datetime-parsing", "Donnez une date qui existe, par exemple 2026-11-24."),
        "/at": ("timezone-aware", "Ajoutez le décalage horaire, par exemple 2026-11-24T08:30:00+01:00."),
        "/colour": ("literal-error", "Choisissez parmi : 'rouge' ou 'vert'."),
        "/tarif~1x~0y": ("extra-forbidden", "Ce champ n'est pas connu ici : retirez-le ou corrigez son nom."),
    }
    assert answer.json()["detail"].startswith("5 points")


async def test_a_body_that_is_not_json_is_malformed(house: Any) -> None:
    async with house.writer() as client:
        broken = await client.post("/v1/notes", content='{"text": ', headers={"Content-Type": "application/json"})
        absent = await client.post("/v1/notes")
        other = await client.post("/v1/notes", content="text=un", headers={"Content-Type": "text/plain"})
        latin = await client.post(
            "/v1/notes", content='{"text": "é"}'.encode("latin-1"), headers={"Content-Type": "application/json"}
        )
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed-json")
    assert (absent.status_code, absent.json()["errors"][0]["code"]) == (422, "missing")
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "model-attributes-type")
    assert (latin.status_code, latin.json()["code"]) == (400, "malformed-request")


async def test_unknown_addresses_and_methods_are_problems_too(house: Any) -> None:
    async with house.writer() as client:
        nowhere = await client.get("/v1/nowhere")
        wrong = await client.delete("/v1/notes")
        badly = await client.get("/v1/notes/abc")
        gone = await client.get("/v1/notes/999")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not-found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method-not-allowed")
    assert wrong.headers["Allow"]
    assert badly.json()["errors"][0]["parameter"] == {"in": "path", "name": "note_id"}
    assert (gone.status_code, gone.json()["code"], gone.json()["note_id"]) == (404, "note-not-found", 999)


async def test_a_fault_of_ours_shows_a_number_and_no_cause(house: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.ERROR):
        async with house.writer() as client:
            answer = await client.get("/v1/broken")
    assert answer.status_code == 500
    assert "secret of the house" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert f'"request_id": "{answer.json()["request_id"]}"' in caplog.text
    assert "secret of the house" in caplog.text


async def test_what_people_wrote_does_not_get_into_the_log_with_an_error(
    house: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.writer() as client:
        await client.post("/cahier", data={"text": "Mme Durand, 3e porte"})
        answer = await client.post("/cahier", data={"text": "Mme Durand, 3e porte"})
    assert answer.status_code == 500
    assert "UNIQUE" in caplog.text
    assert "Durand" not in caplog.text


async def test_a_database_that_is_away_is_worth_another_try(house: Any) -> None:
    async with house.writer() as client:
        answer = await client.get("/v1/away")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
    assert answer.headers["Retry-After"] == "2"
    assert "db.internal" not in answer.text


async def test_a_page_that_fails_while_telling_a_fault_falls_back_to_json(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no template")

    monkeypatch.setattr(problems, "error_page", broken)
    async with house.client(headers={"Accept": "text/html"}) as client:
        answer = await client.get("/nulle-part")
    assert (answer.status_code, answer.json()["code"]) == (500, "server-fault")


async def test_a_person_gets_a_page_and_a_program_gets_json(house: Any) -> None:
    async with house.client(headers={"Accept": "text/html,*/*;q=0.8"}) as client:
        page = await client.get("/nulle-part")
        api = await client.get("/v1/nowhere")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>Introuvable</h1>" in page.text
    assert page.headers["X-Request-Id"] in page.text
    assert api.headers["content-type"] == "application/problem+json"


async def test_a_page_names_the_field_even_if_one_alone_is_missing(house: Any) -> None:
    secret = house.access.accounts.add("lea", name="Léa", roles=["secretary"])
    async with house.client(headers={"Accept": "text/html"}) as client:
        await client.post("/connexion", data={"login": "lea", "secret": secret})
        answer = await client.post("/cahier", data={})
    assert answer.status_code == 422
    assert "<code>/text</code> : Ce champ est obligatoire" in answer.text


async def test_a_body_beyond_the_limit_is_cut_while_it_streams(open_house: Any) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 1000
            yield b"x" * 1000

    async with open_house(max_body_bytes=2000) as house, house.writer() as client:
        announced = await client.post("/v1/notes", json={"text": "x" * 3000})
        streamed = await client.post("/v1/notes", content=endless(), headers={"Content-Type": "application/json"})
        assert sent < 10_000
        allowed = await client.put("/v1/attachments", content=b"x" * 4000)
        refused = await client.put("/v1/attachments", content=b"x" * 6000)
    for answer in (announced, streamed, refused):
        assert answer.status_code == 413
        assert answer.json()["code"] == "body-too-large"
        assert answer.headers["content-type"] == "application/problem+json"
    assert allowed.json() == {"size": 4000}
