import asyncio
import base64
import json
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from services.kit.http import access as access_module
from services.kit.http.access import (
    Account,
    AccountExists,
    AccountsFile,
    AccountUnknown,
    BadAccountsFile,
    BadToken,
    Throttle,
    Tokens,
)

HTML = {"Accept": "text/html,*/*;q=0.8"}


async def _log_in(client: Any, login: str, secret: str, suite: str = "/") -> Any:
    return await client.post("/connexion", data={"login": login, "secret": secret, "suite": suite}, headers=HTML)


async def _token(client: Any, login: str, secret: str, **form: str) -> Any:
    return await client.post("/oauth/token", auth=(login, secret), data={"grant_type": "client_credentials", **form})


# -- people ----------------------------------------------------------------------------------------------------------


async def test_a_person_logs_in_and_reaches_the_page_they_asked_for(house: Any) -> None:
    secret = house.access.accounts.add("lea", name="Léa", roles=["secretary"], claims={"desk": "A"})
    async with house.client() as client:
        sent = await client.get("/cahier", headers=HTML)
        form = await client.get(sent.headers["Location"], headers=HTML)
        assert 'name="suite" value="/cahier"' in form.text
        logged_in = await _log_in(client, "lea", secret, "/cahier")
        assert (logged_in.status_code, logged_in.headers["Location"]) == (303, "/cahier")
        cookie = logged_in.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" in cookie
        assert "Léa" in (await client.get("/cahier", headers=HTML)).text
        who = (await client.get("/v1/whoami")).json()
    assert who["account"] == "lea"
    assert who["desk"] == "A"
    assert who["scopes"] == ["notes:read", "notes:write"]


async def test_a_house_on_loopback_or_a_demo_may_do_without_https(open_house: Any) -> None:
    async with open_house(demo=True) as house, house.client() as client:
        secret = house.access.accounts.add("lea", roles=["guest"])
        assert "Secure" not in (await _log_in(client, "lea", secret)).headers["Set-Cookie"]


async def test_logging_out_forgets_the_session_and_only_a_post_does(house: Any) -> None:
    secret = house.access.accounts.add("lea", roles=["guest"])
    async with house.client() as client:
        await _log_in(client, "lea", secret)
        asked = await client.get("/deconnexion", headers=HTML)
        assert 'action="/deconnexion"' in asked.text
        assert (await client.get("/v1/whoami")).status_code == 200
        assert (await client.post("/deconnexion")).status_code == 303
        assert (await client.get("/v1/whoami")).status_code == 401


@pytest.mark.parametrize(
    "suite", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\nb", "javascript:x"]
)
async def test_nobody_is_sent_to_another_site_after_the_log_in(house: Any, suite: str) -> None:
    secret = house.access.accounts.add("lea", roles=["guest"])
    async with house.client() as client:
        assert (await _log_in(client, "lea", secret, suite)).headers["Location"] == "/"


async def test_an_unknown_account_and_a_wrong_secret_look_the_same(house: Any) -> None:
    house.access.accounts.add("lea", roles=["guest"])
    async with house.client() as client:
        wrong = await _log_in(client, "lea", "faux")
        unknown = await _log_in(client, "nobody", "faux")
    assert wrong.status_code == unknown.status_code == 401
    assert "Set-Cookie" not in wrong.headers
    assert "Identifiant ou mot de passe incorrect" in wrong.text
    without_numbers = wrong.text.replace("lea", "nobody").split("Page affichée")[0]
    assert without_numbers == unknown.text.split("Page affichée")[0]


@pytest.mark.real_hashes
async def test_an_unknown_account_is_checked_like_a_known_one(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    check = access_module._is_right

    def noting(kept: str, secret: str) -> bool:
        checked.append(kept)
        return check(kept, secret)

    monkeypatch.setattr(access_module, "_is_right", noting)
    async with house.client() as client:
        await _log_in(client, "nobody", "faux")
    assert len(checked) == 1
    assert not PasswordHasher().check_needs_rehash(checked[0])


async def test_guessing_is_slowed_down_per_account(house: Any) -> None:
    secret = house.access.accounts.add("lea", roles=["guest"])
    other = house.access.accounts.add("max", roles=["guest"])
    async with house.client() as client:
        for _ in range(Throttle.FREE_FAILURES):
            assert (await _log_in(client, "lea", "faux")).status_code == 401
        locked = await _log_in(client, "lea", secret)
        assert locked.status_code == 429
        assert 1 <= int(locked.headers["Retry-After"]) <= Throttle.FIRST_WAIT_SECONDS
        assert "Trop d'essais" in unescape(locked.text)
        assert (await _log_in(client, "max", other)).status_code == 303


async def test_guesses_sent_at_once_are_counted_before_they_are_checked(house: Any) -> None:
    house.access.accounts.add("lea", roles=["guest"])
    async with house.client() as client:
        answers = await asyncio.gather(*(_log_in(client, "lea", f"faux{n}") for n in range(20)))
    assert [answer.status_code for answer in answers].count(401) == Throttle.FREE_FAILURES


def test_a_wait_doubles_up_to_a_quarter_hour_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(access_module, "real_seconds", lambda: now)
    throttle = Throttle()
    waits = []
    for _ in range(12):
        throttle.failed("lea")
        waits.append(throttle.seconds_to_wait("lea"))
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900]
    now += 900
    assert throttle.seconds_to_wait("lea") == 0
    throttle.succeeded("lea")
    throttle.failed("lea")
    assert throttle.seconds_to_wait("lea") == 0


async def test_a_page_form_sent_from_another_site_is_refused(house: Any) -> None:
    secret = house.access.accounts.add("lea", roles=["secretary"])
    async with house.client() as client:
        await _log_in(client, "lea", secret)
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "https://notes.example"},
        ):
            refused = await client.post("/cahier", data={"text": "un"}, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "cross-origin")
        allowed = await client.post("/cahier", data={"text": "un"}, headers={"Origin": "https://notes.example"})
        assert allowed.status_code == 303
        in_browser = await client.post("/cahier", data={"text": "deux"}, headers={"Sec-Fetch-Site": "same-origin"})
        assert in_browser.status_code == 303


# -- machines --------------------------------------------------------------------------------------------------------


async def test_a_machine_gets_a_token_and_uses_it(house: Any) -> None:
    secret = house.access.accounts.add("erp", scopes=["notes:read", "notes:write"], is_machine=True)
    async with house.client() as client:
        given = await _token(client, "erp", secret)
        assert given.status_code == 200
        assert given.headers["Cache-Control"] == "no-store"
        token = given.json()
        assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 900, "notes:read notes:write")
        authorization = {"Authorization": f"Bearer {token['access_token']}"}
        assert (await client.get("/v1/notes", headers=authorization)).status_code == 200
        in_form = await client.post(
            "/oauth/token", data={"grant_type": "client_credentials", "client_id": "erp", "client_secret": secret}
        )
    assert in_form.status_code == 200


async def test_a_token_may_be_narrower_than_the_account_and_never_wider(house: Any) -> None:
    secret = house.access.accounts.add("erp", scopes=["notes:read", "notes:write"], is_machine=True)
    async with house.client() as client:
        narrow = (await _token(client, "erp", secret, scope="notes:read")).json()
        assert narrow["scope"] == "notes:read"
        authorization = {"Authorization": f"Bearer {narrow['access_token']}"}
        assert (await client.post("/v1/notes", json={"text": "un"}, headers=authorization)).status_code == 403
        wide = await _token(client, "erp", secret, scope="notes:read operations")
    assert (wide.status_code, wide.json()["error"]) == (400, "invalid_scope")


async def test_token_refusals_are_those_of_oauth(house: Any) -> None:
    secret = house.access.accounts.add("erp", scopes=["notes:read"], is_machine=True)
    person = house.access.accounts.add("lea", roles=["guest"])
    async with house.client() as client:
        wrong = await _token(client, "erp", "faux")
        not_a_machine = await _token(client, "lea", person)
        other = await client.post("/oauth/token", auth=("erp", secret), data={"grant_type": "password"})
        nobody = await client.post("/oauth/token", data={"grant_type": "client_credentials"})
        garbled = await client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": "Basic %%%"}
        )
        for _ in range(Throttle.FREE_FAILURES):
            await _token(client, "erp", "faux")
        waiting = await _token(client, "erp", secret)
    for refused in (wrong, not_a_machine, nobody, garbled):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["WWW-Authenticate"].startswith("Basic")
    assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")
    assert waiting.status_code == 429
    assert int(waiting.headers["Retry-After"]) > 0


async def test_a_machine_cannot_log_in_like_a_person(house: Any) -> None:
    secret = house.access.accounts.add("erp", scopes=["notes:read"], is_machine=True)
    async with house.client() as client:
        assert (await _log_in(client, "erp", secret)).status_code == 401


# -- taking away -----------------------------------------------------------------------------------------------------


async def test_what_is_taken_from_an_account_is_gone_at_the_next_request(house: Any) -> None:
    secret = house.access.accounts.add("lea", roles=["secretary"])
    async with house.client() as client:
        await _log_in(client, "lea", secret)
        assert (await client.get("/v1/whoami")).json()["scopes"] == ["notes:read", "notes:write"]
        _edit(house.access.accounts.path, "lea", roles=["guest"])
        await asyncio.sleep(1.1)
        assert (await client.get("/v1/whoami")).json()["scopes"] == ["notes:read"]
        house.access.accounts.remove("lea")
        assert (await client.get("/v1/whoami")).status_code == 401


async def test_a_new_secret_ends_the_sessions_of_the_old_one(house: Any) -> None:
    secret = house.access.accounts.add("lea", roles=["guest"])
    async with house.client() as client:
        await _log_in(client, "lea", secret)
        house.access.accounts.remove("lea")
        house.access.accounts.add("lea", roles=["guest"])
        assert (await client.get("/v1/whoami")).status_code == 401


def _edit(path: Path, login: str, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for account in content["accounts"]:
        if account["login"] == login:
            account.update(changes)
    path.write_text(json.dumps(content))


# -- tokens and the file ---------------------------------------------------------------------------------------------


def test_a_token_is_good_for_its_use_its_time_and_its_key_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = AccountsFile(tmp_path / "accounts.json")
    accounts.add("lea")
    account = accounts.get("lea")
    assert account is not None
    tokens = Tokens("k" * 40)
    token = tokens.issue(account, "session", seconds=60)
    assert tokens.read(token, "session").login == "lea"
    head, claims, signature = token.split(".")
    widened = (
        base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b'"lea"', b'"max"'))
        .decode()
        .rstrip("=")
    )
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for wrong in (f"{head}.{widened}.{signature}", f"{unsigned}.{claims}.", "x", "", token + "x", "é" * 5000):
        with pytest.raises(BadToken):
            tokens.read(wrong, "session")
    with pytest.raises(BadToken):
        tokens.read(token, "api")
    with pytest.raises(BadToken):
        Tokens("l" * 40).read(token, "session")
    later = time.time() + 61
    monkeypatch.setattr(access_module, "real_seconds", lambda: later)
    with pytest.raises(BadToken, match="expired"):
        tokens.read(token, "session")


def test_the_accounts_file_keeps_no_secret_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    accounts = AccountsFile(tmp_path / "deep" / "accounts.json")
    secret = accounts.add("lea", roles=["guest"], claims={"desk": "A"})
    text = accounts.path.read_text()
    assert secret not in text
    assert "$argon2id$" in text
    assert accounts.path.stat().st_mode & 0o077 == 0
    with pytest.raises(AccountExists):
        accounts.add("lea")
    with pytest.raises(AccountUnknown):
        accounts.remove("max")
    again = AccountsFile(accounts.path).get("lea")
    assert again is not None
    assert (again.roles, again.claims) == (("guest",), {"desk": "A"})


def test_the_accounts_file_is_read_when_it_changed_and_looked_at_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    read = access_module._read

    def noting(path: Path) -> list[Account]:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(access_module, "_read", noting)
    AccountsFile(tmp_path / "accounts.json").add("lea")
    reads.clear()
    accounts = AccountsFile(tmp_path / "accounts.json")
    for _ in range(1000):
        assert accounts.get("lea")
    assert len(reads) == 1


def test_a_broken_accounts_file_keeps_the_last_good_one_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = AccountsFile(tmp_path / "accounts.json")
    accounts.add("lea")
    assert accounts.get("lea") is not None
    accounts.path.write_text("{ not json")
    accounts._looked_at = 0
    assert accounts.get("lea") is not None
    assert "the accounts file cannot be read" in caplog.text
    with pytest.raises(BadAccountsFile):
        accounts.add("max")
    assert accounts.path.read_text() == "{ not json"
