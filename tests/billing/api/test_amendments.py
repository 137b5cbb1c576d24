"""A contract with parts over HTTP, its amendments, renewals and public record."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from services.billing.domain.contract import Contract
from services.billing.domain.policy import Beyond, HoldPolicy
from tests.billing.api.test_contracts import BODY, PRICE_LIST
from tests.billing.builders import a_contract, a_leg_to_price, an_order, hold, register
from tests.billing.conftest import House

AWARD: dict[str, Any] = {
    "kind": "innovative",
    "reason": "Premier service de livraison à vélo avec échange de linge suivi.",
    "cpv": "64120000",
    "procedure": "Marché passé sans publicité ni mise en concurrence préalable",
    "offers_received": 1,
    "advance_percent": "10.0",
    "group": "joint",
    "shares": [{"cooperative_id": "erdre", "percent": "66.67"}, {"cooperative_id": "loire", "percent": "33.33"}],
    "place_code": "44109",
    "price_types": ["Définitif révisable"],
    "social": ["Clause sociale"],
    "environmental": ["Clause environnementale", "Critère environnemental"],
    "notified_on": "2025-12-15",
    "published_on": "2026-01-20",
    "subcontractors": [
        {
            "name": "Vélo Sud",
            "siret": "90000010000017",
            "accepted_on": "2026-02-01",
            "amount": "5000.50",
            "months": 11,
        }
    ],
}
COOPERATIVES = [
    *BODY["cooperatives"],
    {"id": "loire", "name": "Vélo-Cargo Loire", "siret": "90000020900016", "address": "12 bd, Nantes"},
]
PERIODS: list[dict[str, Any]] = [
    {"number": 1, "starts_on": "2026-01-01", "ends_on": "2026-12-31", "maximum": "45000.00", "decision": "firm"},
    {"number": 2, "starts_on": "2027-01-01", "ends_on": "2027-12-31", "maximum": "45000.00", "decision": "explicit"},
]
WITH_PARTS: dict[str, Any] = {
    **BODY,
    "reference": "2026MI017",
    "cooperatives": COOPERATIVES,
    "periods": PERIODS,
    "lots": [{"number": 1, "title": "Linge", "cpv": "64121200", "maximum": "90000.00", "departments": ["proprete"]}],
    "budgets": [{"maximum": "30000.00", "department_id": "proprete", "year": 2026}],
    "policy": {"beyond": "approval", "reserve_percent": 5, "order_limit": "2000.00", "margin_percent": 10},
    "award": AWARD,
    "price_list": PRICE_LIST,
}
AMENDMENT: dict[str, Any] = {
    "number": 1,
    "ground": "R2194-8",
    "signed_on": "2026-03-01",
    "notified_on": "2026-03-05",
    "delta": "6000.00",
    "new_maximum": "96000.00",
    "document_sha256": "a" * 64,
}


@pytest.fixture
def validator(shared_folder: Path) -> Draft7Validator:
    schema = json.loads((shared_folder / "reference/decp/schema_decp_v2.0.3.json").read_text(encoding="utf-8"))
    # The marché half: the document's own list of concessions is nothing we write.
    return Draft7Validator(schema)


async def test_a_contract_with_parts_is_read_as_it_was_registered(house: House) -> None:
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=WITH_PARTS)
        assert answer.status_code == 201, answer.text
        contract = answer.json()
        read = (await admin.get(answer.headers["location"])).json()
        use = (await admin.get(f"{answer.headers['location']}/consumption")).json()
    assert read == contract
    assert [period["maximum"] for period in contract["periods"]] == ["45000.00", "45000.00"]
    assert contract["lots"][0]["departments"] == ["proprete"]
    assert contract["policy"] == WITH_PARTS["policy"]
    assert {name: contract["award"][name] for name in AWARD if name != "subcontractors"} == {
        name: value for name, value in AWARD.items() if name != "subcontractors"
    }
    assert (contract["open_until"], contract["warnings"]) == ("2026-12-31", [])
    assert [(scope["key"], scope["left"]) for scope in use["scopes"]] == [
        ("period:1", "45000.00"),
        ("period:2", "45000.00"),
        ("lot:1", "90000.00"),
        ("budget:proprete:2026", "30000.00"),
    ]


async def test_a_contract_as_before_has_one_scope(house: House) -> None:
    async with house.administrator() as admin:
        contract = (await admin.post("/v1/contracts", json=BODY)).json()
        use = (await admin.get(f"/v1/contracts/{contract['id']}/consumption")).json()
    assert (contract["periods"], contract["lots"], contract["award"], use["scopes"]) == ([], [], None, [])


async def test_faults_of_the_parts_come_with_the_others(house: House) -> None:
    body = {**WITH_PARTS, "zone": "Europe/Nantes", "award": {**AWARD, "reason": ""}}
    body["periods"] = [PERIODS[0], {**PERIODS[1], "starts_on": "2027-02-01"}]
    async with house.administrator() as admin:
        answer = await admin.post("/v1/contracts", json=body)
    assert answer.status_code == 422
    assert {fault["code"] for fault in answer.json()["errors"]} == {
        "zone-unknown",
        "periods-not-in-sequence",
        "award-reason-missing",
    }


async def test_a_maximum_that_reaches_the_threshold_of_its_award_is_flagged(house: House) -> None:
    body = {**WITH_PARTS, "ceiling": "100000.00", "periods": [], "lots": []}
    async with house.administrator() as admin:
        contract = (await admin.post("/v1/contracts", json=body)).json()
    assert len(contract["warnings"]) == 1


async def test_an_amendment_is_put_in_force_once_and_the_next_asks_for_a_decision(house: House) -> None:
    async with house.administrator() as admin:
        path = (await admin.post("/v1/contracts", json=WITH_PARTS)).headers["location"]
        first = await admin.post(f"{path}/amendments", json=AMENDMENT, headers={"Idempotency-Key": "a"})
        again = await admin.post(f"{path}/amendments", json=AMENDMENT, headers={"Idempotency-Key": "a"})
        assert (first.status_code, again.content) == (201, first.content), first.text
        second = {**AMENDMENT, "number": 2, "delta": "4000.00", "new_maximum": "100000.00"}
        refused = await admin.post(f"{path}/amendments", json=second)
        assert (refused.status_code, refused.json()["code"]) == (409, "legal-decision-missing")
        assert len(refused.json()["warnings"]) == 2
        taken = await admin.post(f"{path}/amendments", json={**second, "legal_decision": "Note du 12 mars."})
        assert taken.status_code == 201, taken.text
    contract = taken.json()["contract"]
    assert (contract["ceiling"], contract["initial_ceiling"]) == ("100000.00", "90000.00")
    assert [one["cumulated_percent"] for one in contract["amendments"]] == ["6.67", "11.11"]
    assert contract["periods"][0]["maximum"] == "55000.00"


async def test_a_renewal_is_decided(house: House) -> None:
    async with house.administrator() as admin:
        path = (await admin.post("/v1/contracts", json=WITH_PARTS)).headers["location"]
        decision = {"decision": "renewed", "decided_on": "2026-10-01"}
        decided = await admin.post(f"{path}/periods/2/decision", json=decision)
        assert (decided.status_code, decided.json()["open_until"]) == (200, "2027-12-31")
        other = await admin.post(f"{path}/periods/2/decision", json={**decision, "decision": "declined"})
        assert (other.status_code, other.json()["code"]) == (409, "period-decided")
        unknown = await admin.post(f"{path}/periods/3/decision", json=decision)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "period-unknown")


@pytest.mark.shared
async def test_the_public_record_is_valid_with_its_modifications(house: House, validator: Draft7Validator) -> None:
    async with house.administrator() as admin:
        path = (await admin.post("/v1/contracts", json=WITH_PARTS)).headers["location"]
        await admin.post(f"{path}/amendments", json={**AMENDMENT, "delta": "6000.01", "new_maximum": "96000.01"})
        later = {
            **AMENDMENT,
            "number": 2,
            "ground": "R2194-5",
            "delta": "0.00",
            "new_maximum": "96000.01",
            "ends_on": "2028-02-29",
        }
        assert (await admin.post(f"{path}/amendments", json=later)).status_code == 201
        answer = await admin.get(f"{path}/decp.json")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [fault.message for fault in validator.iter_errors(told)] == []
    (record,) = told["marches"]["marche"]
    assert (record["id"], record["montant"], record["dureeMois"]) == ("2026MI017", 90_000, 24)
    assert (record["marcheInnovant"], record["typeGroupementOperateurs"]) == (True, "Conjoint")
    assert [one["titulaire"]["id"] for one in record["titulaires"]] == ["90000010000017", "90000020900016"]
    assert '"montant": 96000.01' in answer.text
    assert [one["modification"].get("dureeMois") for one in record["modifications"]] == [None, 26]
    # The guard itself: what the schema refuses, it refuses here.
    record["acheteur"]["id"] = "123"
    assert list(validator.iter_errors(told))


async def test_a_record_that_lacks_something_is_refused(house: House) -> None:
    contract = register(house.database, a_contract())
    async with house.administrator() as admin:
        answer = await admin.get(f"/v1/contracts/{contract.id}/decp.json")
    assert (answer.status_code, answer.json()["code"]) == (409, "decp-incomplete")


def a_waiting_order(house: House) -> tuple[Contract, str]:
    contract = register(house.database, a_contract(policy=HoldPolicy(Beyond.APPROVAL, order_limit_cents=2_000)))
    # Of a day to come: what waits for longer than that, the house refuses by itself.
    order = an_order(contract, legs=[a_leg_to_price(1, date(2026, 12, 16), {"ballot-linge": 10})])
    assert not hold(house.database, order)
    return contract, order.id


async def test_finance_lists_what_waits_and_approves_it_by_name(house: House) -> None:
    contract, order_id = a_waiting_order(house)
    async with house.finance() as finance:
        listed = (await finance.get(f"/v1/contracts/{contract.id}/approvals")).json()["items"]
        assert [(one["order_id"], one["asked"]) for one in listed] == [(order_id, "21.00")]
        answer = await finance.post(f"/v1/holds/{order_id}/approval", json={"note": "vu"})
        assert (answer.status_code, answer.json()["is_held"]) == (200, True), answer.text
        again = await finance.post(f"/v1/holds/{order_id}/refusal", json={"reason": "non"})
        assert (again.status_code, again.json()["code"]) == (409, "approval-decided")
        assert (await finance.get(f"/v1/contracts/{contract.id}/approvals")).json()["items"] == []
        past = await finance.get(f"/v1/contracts/{contract.id}/approvals", params={"waiting_only": False})
        assert [(one["is_approved"], one["note"]) for one in past.json()["items"]] == [(True, "vu")]


async def test_who_sees_no_such_contract_approves_nothing(house: House) -> None:
    _, order_id = a_waiting_order(house)
    async with house.finance(buyer="90000010000017") as stranger, house.dispatcher() as dispatcher:
        unseen = await stranger.post(f"/v1/holds/{order_id}/approval", json={})
        assert (unseen.status_code, unseen.json()["code"]) == (404, "approval-not-found")
        assert (await dispatcher.post(f"/v1/holds/{order_id}/approval", json={})).status_code == 403


async def test_a_forecast_tells_the_day_and_the_department(house: House) -> None:
    contract = register(house.database, a_contract(ceiling_cents=3 * 1260))
    hold(house.database, an_order(contract))
    async with house.finance() as finance:
        answer = await finance.get(f"/v1/contracts/{contract.id}/forecast")
        again = await finance.get(
            f"/v1/contracts/{contract.id}/forecast", headers={"If-None-Match": answer.headers["etag"]}
        )
    assert again.status_code == 304
    (whole,) = answer.json()["reaches"]
    # 12.60 in 56 days; 25.20 are left: 112 days after 2 December 2026.
    assert (whole["reached_on"], whole["department_id"], whole["left"]) == ("2027-03-24", "proprete", "25.20")


async def test_finance_answers_from_its_page(house: House) -> None:
    _, order_id = a_waiting_order(house)
    async with house.finance() as finance:
        page = await finance.get("/finances")
        assert "Commandes qui attendent un accord (1)" in page.text
        refused = await finance.post(f"/finances/engagements/{order_id}/refus", data={"reason": "Trop cher"})
        assert refused.status_code == 303, refused.text
        after = await finance.get("/finances?accord=refuse")
    assert "Commandes qui attendent un accord" not in after.text
    assert "n&#39;a pas donné son accord : Trop cher" in after.text


async def test_the_page_shows_each_part_and_what_to_expect(house: House) -> None:
    async with house.administrator() as admin:
        await admin.post("/v1/contracts", json=WITH_PARTS)
        page = await admin.get("/finances")
    assert page.status_code == 200
    for words in ("Période ferme", "Reconduction n° 1", "Lot n° 1 Linge", "Budget du service"):
        assert words in page.text
