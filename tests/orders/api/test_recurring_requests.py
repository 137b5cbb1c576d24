from tests.orders.conftest import House
from tests.orders.requests import Json, request_body


async def created(house: House, **changes: object) -> Json:
    async with house.as_department() as client:
        answer = await client.post("/v1/recurring-requests", json=request_body(**changes))
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["ETag"]}


async def test_a_preview_says_the_rule_and_marks_each_date(house: House) -> None:
    async with house.as_department() as client:
        answer = await client.post("/v1/recurring-requests/preview?count=12", json=request_body(holidays="next"))
        listed = await client.get("/v1/recurring-requests")
    preview = answer.json()
    assert preview["sentence"] == (
        "tous les mardis et vendredis, 8 h–10 h, reporté au jour ouvré suivant en cas de jour férié"
    )
    christmas = next(each for each in preview["dates"] if each["occurrence_date"] == "2026-12-25")
    assert (christmas["verdict"], christmas["day"], christmas["cause"]) == ("moved", "2026-12-28", "Noël")
    assert christmas["pickup_windows"][0]["start"] == "2026-12-28T07:00:00Z"
    assert len(preview["dates"]) == 12
    assert listed.json()["items"] == []


async def test_a_request_is_registered_and_its_orders_made(house: House) -> None:
    request = await created(house)
    assert len(request["orders"]) == 9
    async with house.as_department() as client:
        read = await client.get(f"/v1/recurring-requests/{request['id']}")
        orders = await client.get(f"/v1/orders?recurring_request_id={request['id']}")
        dates = await client.get(f"/v1/recurring-requests/{request['id']}/dates?count=3")
    assert read.headers["ETag"] == request["etag"]
    assert read.json() == {key: value for key, value in request.items() if key not in ("orders", "etag")}
    assert [order["occurrence_date"] for order in orders.json()["items"]] == [
        order["occurrence_date"] for order in request["orders"]
    ]
    assert [each["occurrence_date"] for each in dates.json()["dates"]] == ["2026-11-27", "2026-12-01", "2026-12-04"]


async def test_unsupported_rule_parts_and_other_faults_come_together(house: House) -> None:
    body = request_body(rule="FREQ=WEEKLY;BYHOUR=8;BYWEEKNO=3", zone="Europe/Nantes")
    body["legs"][1]["pickup"]["site_id"] = "nowhere"
    async with house.as_department() as client:
        answer = await client.post("/v1/recurring-requests", json=body)
    faults = [(fault["code"], fault["pointer"], fault.get("part")) for fault in answer.json()["errors"]]
    assert answer.status_code == 422
    assert faults == [
        ("unknown-zone", "/zone", None),
        ("unsupported-rule-part", "/rule", "BYHOUR"),
        ("unsupported-rule-part", "/rule", "BYWEEKNO"),
        ("unknown-site", "/legs/1/pickup/site_id", None),
        ("wrong-legs", "/legs/1/pickup/site_id", None),
    ]


async def test_times_of_day_are_clock_times(house: House) -> None:
    body = request_body()
    for wrong in ("8:00", "24:00", "08:00Z", 28_800):
        body["legs"][0]["pickup"]["window"]["start"] = wrong
        async with house.as_department() as client:
            answer = await client.post("/v1/recurring-requests/preview", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/legs/0/pickup/window/start"


async def test_pause_resumption_and_end_tell_what_they_did(house: House) -> None:
    request = await created(house)
    path = f"/v1/recurring-requests/{request['id']}"
    async with house.as_department() as client:
        span = {"since": "2026-12-01", "until": "2026-12-11"}
        assert (await client.post(f"{path}/pause", json=span)).status_code == 428
        paused = await client.post(f"{path}/pause", json=span, headers={"If-Match": request["etag"]})
        assert len(paused.json()["cancelled"]) == 4
        assert paused.json()["kept"] == []
        assert paused.json()["pauses"] == [span]
        stale = await client.post(
            f"{path}/resumption", json={"on": "2026-12-08"}, headers={"If-Match": request["etag"]}
        )
        assert stale.status_code == 412
        resumed = await client.post(
            f"{path}/resumption", json={"on": "2026-12-08"}, headers={"If-Match": paused.headers["ETag"]}
        )
        assert [order["occurrence_date"] for order in resumed.json()["orders"]] == ["2026-12-08", "2026-12-11"]
        ended = await client.post(
            f"{path}/end", json={"last_date": "2026-12-11"}, headers={"If-Match": resumed.headers["ETag"]}
        )
        assert [order["occurrence_date"] for order in ended.json()["cancelled"]] == [
            "2026-12-15", "2026-12-18", "2026-12-22", "2026-12-29"
        ]  # fmt: skip
        again = await client.post(f"{path}/end", json={"last_date": "2026-12-12"}, headers={"If-Match": "*"})
        unpaused = await client.post(f"{path}/resumption", json={"on": "2026-12-12"}, headers={"If-Match": "*"})
    assert (again.json()["code"], unpaused.json()["code"]) == ("has-ended", "not-paused")
    assert (again.status_code, unpaused.status_code) == (409, 409)


async def test_another_departments_request_does_not_exist(house: House) -> None:
    request = await created(house)
    path = f"/v1/recurring-requests/{request['id']}"
    async with house.as_department("voirie") as client:
        answers = [
            await client.get(path),
            await client.get(f"{path}/dates"),
            await client.post(f"{path}/pause", json={"since": "2026-12-01"}, headers={"If-Match": "*"}),
            await client.post(f"{path}/end", json={"last_date": "2026-12-01"}, headers={"If-Match": "*"}),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4
        assert (await client.get("/v1/recurring-requests")).json()["items"] == []


async def test_an_evening_pickup_for_a_morning_delivery_is_a_normal_case(house: House) -> None:
    leg = request_body()["legs"][0]
    leg["pickup"] = {**leg["pickup"], "day_offset": -1, "window": {"start": "18:00", "end": "20:00"}}
    request = await created(house, flow="one_way", legs=[leg])
    async with house.as_department() as client:
        orders = await client.get(f"/v1/orders?recurring_request_id={request['id']}&limit=1")
    (order,) = orders.json()["items"]
    assert order["occurrence_date"] == "2026-11-27"
    assert order["legs"][0]["service_date"] == "2026-11-26"
    assert order["legs"][0]["pickup"]["window"]["start"] == "2026-11-26T17:00:00Z"
    assert order["legs"][0]["drop"]["window"]["start"] == "2026-11-27T08:00:00Z"


async def test_the_same_key_registers_one_request(house: House) -> None:
    async with house.as_department() as client:
        for _ in range(2):
            await client.post("/v1/recurring-requests", json=request_body(), headers={"Idempotency-Key": "r"})
        assert len((await client.get("/v1/recurring-requests")).json()["items"]) == 1
        assert len((await client.get("/v1/orders")).json()["items"]) == 9
