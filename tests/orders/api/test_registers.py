from tests.orders.builders import CONTRACT, LAUNDRY
from tests.orders.conftest import House
from tests.orders.requests import site_body

KIND = {"code": "velo-cargo", "label": "pièce de vélo", "unit_grams": 5000, "unit_millilitres": 8000, "max_per_bike": 9}


async def test_a_site_is_registered_read_and_edited(house: House) -> None:
    async with house.as_department() as client:
        answer = await client.post("/v1/sites", json=site_body(service_seconds=240))
        assert answer.status_code == 201
        path = answer.headers["Location"]
        read = await client.get(path)
        assert read.json() == answer.json()
        unseen = await client.put(path, json=site_body(name="Autre"))
        edited = await client.put(path, json=site_body(name="Autre"), headers={"If-Match": read.headers["ETag"]})
        stale = await client.put(path, json=site_body(name="Encore"), headers={"If-Match": read.headers["ETag"]})
        unchanged = await client.get(path, headers={"If-None-Match": edited.headers["ETag"]})
    assert [unseen.status_code, edited.status_code, stale.status_code, unchanged.status_code] == [428, 200, 412, 304]
    assert (edited.json()["name"], edited.json()["version"]) == ("Autre", 2)


async def test_all_faults_of_a_site_are_told_together(house: House) -> None:
    async with house.as_department() as client:
        answer = await client.post("/v1/sites", json=site_body(name=" ", latitude=-1.5, longitude=47.2))
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/name", "/latitude", "/longitude"}


async def test_the_same_key_registers_one_site(house: House) -> None:
    async with house.as_department() as client:
        answers = [await client.post("/v1/sites", json=site_body(), headers={"Idempotency-Key": "s"}) for _ in range(2)]
        listed = await client.get("/v1/sites")
    assert answers[0].json() == answers[1].json()
    assert len(listed.json()["items"]) == 4


async def test_sites_are_listed_by_name_in_pages(house: House) -> None:
    async with house.as_department() as client:
        first = await client.get("/v1/sites?limit=2")
        second = await client.get(first.links["next"]["url"])
    names = [site["name"] for page in (first, second) for site in page.json()["items"]]
    assert names == ["Blanchisserie", "Jardin des Plantes", "École des Châtaigniers"]


async def test_an_administrator_registers_for_a_named_department(house: House) -> None:
    async with house.as_administrator() as admin:
        assert (await admin.post("/v1/sites", json=site_body())).status_code == 422
        answer = await admin.post("/v1/sites", json=site_body(department_id="voirie"))
        moved = await admin.put(
            f"/v1/sites/{LAUNDRY}", json=site_body(department_id="voirie"), headers={"If-Match": "*"}
        )
    assert answer.json()["department_id"] == "voirie"
    assert moved.json()["code"] == "unknown-department"


async def test_the_catalogue_starts_with_the_usual_loads_and_administrators_add_to_it(house: House) -> None:
    async with house.as_department() as client, house.as_administrator() as admin:
        codes = {kind["code"] for kind in (await client.get("/v1/load-kinds")).json()["items"]}
        assert {"ballot-linge", "panneau", "pied-panneau", "caisse-outils", "outil-long"} <= codes
        assert (await client.post("/v1/load-kinds", json=KIND)).status_code == 403
        assert (await admin.post("/v1/load-kinds", json=KIND)).status_code == 201
        assert (await admin.post("/v1/load-kinds", json=KIND)).json()["code"] == "load-kind-taken"
        assert (await admin.post("/v1/load-kinds", json={**KIND, "code": "Été"})).status_code == 422
        codes = {kind["code"] for kind in (await client.get("/v1/load-kinds")).json()["items"]}
    assert "velo-cargo" in codes


async def test_an_administrator_changes_a_kind_under_the_version_that_was_read(house: House) -> None:
    path = "/v1/load-kinds/ballot-linge"
    async with house.as_department() as client, house.as_administrator() as admin:
        read = await client.get(path)
        assert (read.json()["unit_seconds"], read.json()["longest_ride_seconds"]) == (0, None)
        body = {name: value for name, value in read.json().items() if name != "code"}
        body |= {"unit_seconds": 20, "longest_ride_seconds": 7_200}
        seen = {"If-Match": read.headers["ETag"]}
        assert (await client.put(path, json=body, headers=seen)).status_code == 403
        assert (await admin.put(path, json=body)).status_code == 428
        changed = await admin.put(path, json=body, headers=seen)
        assert (changed.status_code, changed.json()) == (200, body | {"code": "ballot-linge"})
        assert (await admin.put(path, json=body, headers=seen)).status_code == 412
        refused = await admin.put(path, json=body | {"unit_seconds": -1, "unit_grams": 0}, headers={"If-Match": "*"})
        assert {fault["pointer"] for fault in refused.json()["errors"]} == {"/unit_seconds", "/unit_grams"}
        unchanged = await client.get(path, headers={"If-None-Match": changed.headers["ETag"]})
        assert (unchanged.status_code, (await client.get("/v1/load-kinds/rien")).status_code) == (304, 404)


async def test_a_department_sees_the_contracts_it_may_order_under_and_no_other_department(house: House) -> None:
    async with house.as_department() as client, house.as_department("culture") as culture:
        (contract,) = (await client.get("/v1/known-contracts")).json()["items"]
        assert (await culture.get("/v1/known-contracts")).json()["items"] == []
    assert (contract["id"], contract["cutoff_minutes"]) == (CONTRACT, 1440)
    assert [department["id"] for department in contract["departments"]] == ["proprete"]
