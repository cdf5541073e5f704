"""Sessions, threads, preferences, erasure, operators: the native surface from outside."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from backend import incidents
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.runs import run

DAY = timedelta(days=1)


async def test_a_guest_signs_in_by_cookie_and_may_chat(product: Product):
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        assert (await http.get("/api/me")).status_code == 401
        assert (await http.post("/api/session", json={})).status_code == 201
        me = (await http.get("/api/me")).json()
        assert me["guest"] is True
        thread = (await http.post("/api/threads", json={})).json()
        answer = await http.post(
            f"/api/threads/{thread['id']}/turns",
            json={"text": "Good morning!"},
            headers={"accept": "application/json"},
        )
        assert answer.json()["answer"] == "I am gpt-5-mini and I heard you."
        assert (await http.delete("/api/session")).status_code == 204
        assert (await http.get("/api/me")).status_code == 401


async def test_another_origins_page_cannot_act_with_the_cookie(product: Product):
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        await http.post("/api/session", json={"key": product.keys["plus"]})
        evil = {"origin": "https://evil.example"}
        assert (await http.post("/api/threads", json={}, headers=evil)).status_code == 403
        assert (await http.post("/api/threads", json={})).status_code == 201


async def test_a_password_opens_a_session_and_a_wrong_one_does_not(product: Product):
    person = {
        "name": "Kim",
        "email": "Kim@Example.com",
        "password": "correct horse",
        "plan": "free",
    }
    async with product.client("operator") as http:
        assert (await http.post("/operator/v1/users", json=person)).status_code == 201
        assert (await http.post("/operator/v1/users", json=person)).status_code == 409
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        login = {"email": "kim@example.com", "password": "correct horse"}
        assert (await http.post("/api/session", json=login)).status_code == 201
        wrong = {**login, "password": "wrong horse"}
        assert (await http.post("/api/session", json=wrong)).status_code == 401
        assert (await http.post("/api/session", json={"email": "a@b.c"})).status_code == 422


async def test_a_thread_keeps_its_turns_in_order_and_the_model_hears_them(product: Product):
    async with product.client() as http:
        thread = (await http.post("/api/threads", json={})).json()
        for words in ("My name is Kim.", "What is my name?"):
            await http.post(
                f"/api/threads/{thread['id']}/turns",
                json={"text": words},
                headers={"accept": "application/json"},
            )
        kept = (await http.get(f"/api/threads/{thread['id']}")).json()
        assert [t["text"] for t in kept["turns"]] == ["My name is Kim.", "What is my name?"]
        assert kept["title"] == "My name is Kim."
        heard = [m["content"] for m in product.model.asked[-1]["messages"]]
        assert "My name is Kim." in heard
        listed = (await http.get("/api/threads")).json()
        assert listed["data"][0]["id"] == thread["id"]
        assert (await http.delete(f"/api/threads/{thread['id']}")).status_code == 204
        assert (await http.get(f"/api/threads/{thread['id']}")).status_code == 404


async def test_a_second_message_while_one_is_answered_is_told_to_wait(product: Product):
    product.model.pause_s = 0.05
    product.model.reply = lambda _: "word " * 60
    async with product.client() as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        path = f"/api/threads/{thread}/turns"
        async with http.stream("POST", path, json={"text": "Good morning!"}) as first:
            lines = first.aiter_lines()
            await anext(lines)
            second = await http.post(path, json={"text": "And now?"})
            assert second.status_code == 409
            assert second.json()["code"] == "turn_in_flight"
            assert "retry-after" in second.headers


async def test_feedback_and_retry_belong_to_the_turns_own_person(product: Product):
    async with product.client() as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        turn = (
            await http.post(
                f"/api/threads/{thread}/turns",
                json={"text": "Good morning!"},
                headers={"accept": "application/json"},
            )
        ).json()
        given = {"rating": "down", "wrong_route": True, "preferred": "complex"}
        assert (await http.post(f"/api/turns/{turn['id']}/feedback", json=given)).status_code == 204
        again = await http.post(
            f"/api/turns/{turn['id']}/retry",
            json={"effort": "high"},
            headers={"accept": "application/json"},
        )
        assert again.json()["route"]["kind"] == "complex"
    async with product.client("pro") as other:
        answer = await other.post(f"/api/turns/{turn['id']}/feedback", json=given)
        assert answer.status_code == 404


async def test_preferences_are_kept_and_checked(product: Product):
    async with product.client("pro") as http:
        kept = await http.put("/api/me/preferences", json={"style": "warm", "warmth": 80})
        assert kept.json()["warmth"] == 80
        assert (await http.get("/api/me")).json()["preferences"]["style"] == "warm"
        for wrong in ({"warmth": 101}, {"style": "rude"}, {"warmth": "80"}, {"unknown": 1}):
            assert (await http.put("/api/me/preferences", json=wrong)).status_code == 422
        assert (
            await http.put("/api/me/preferences", json={"pinned_model": "nope"})
        ).status_code == 404


async def test_a_day_is_the_persons_own_once_they_said_where_they_live(product: Product):
    """The page says it for a guest; before, a day was London's for everybody."""
    async with httpx.AsyncClient(base_url=product.url) as http:
        await http.post("/api/session", json={})
        assert (await http.get("/api/me")).json()["preferences"]["timezone"] is None
        for wrong in ("Mars/Olympus", "", "../etc/passwd", 3):
            said = await http.put("/api/me/preferences", json={"timezone": wrong})
            assert said.status_code == 422, wrong
        ends = {}
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # 25 hours apart
            said = await http.put("/api/me/preferences", json={"timezone": zone})
            assert (said.status_code, said.json()["timezone"]) == (200, zone)
            assert (await http.get("/api/me")).json()["timezone"] == zone
            day = next(b for b in (await http.get("/api/quota")).json()["buckets"]
                       if b["name"] == "reasoning")  # fmt: skip
            ends[zone] = datetime.fromisoformat(day["resets_at"])
    for zone, end in ends.items():
        local = end.astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute, local.second) == (0, 0, 0)


async def test_erasure_leaves_no_words_and_no_key(product: Product):
    async with product.client("operator") as http:
        made = (await http.post("/operator/v1/users", json={"name": "Zelda Quux"})).json()
    async with product.client(made["key"]) as http:
        await run(http, "erase-me", text="My secret word is xyzzy")
        assert "xyzzy" in (await http.get("/api/export")).text
        assert (await http.delete("/api/me")).status_code == 204
        assert (await http.get("/api/me")).status_code == 401
    async with product.client("operator") as http:
        assert "Zelda Quux" not in json.dumps((await http.get("/operator/v1/users")).json())


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("plus", "/operator/v1/users", 403),
        ("plus", "/merchant/v1/profile", 403),
        ("operator", "/api/quota", 403),
        ("operator_read_only", "/operator/v1/users", 200),
        ("nobody", "/api/quota", 401),
        ("plus", "/api/nothing", 404),
    ],
)
async def test_a_role_stays_inside_its_surface(product: Product, who, path, status):
    async with product.client(who) as http:
        answer = await http.get(path)
    assert answer.status_code == status
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) >= {"type", "title", "status", "code", "detail"}


async def test_a_read_only_operator_changes_nothing(product: Product):
    async with product.client("operator_read_only") as http:
        assert (await http.post("/operator/v1/users", json={"name": "x"})).status_code == 403


async def test_reports_tell_turns_and_money_as_json_and_csv(product: Product):
    async with product.client("plus") as http:
        await run(http, "for-the-report", text="Good morning!")
    today = datetime.now(UTC).date()
    span = {"from": str(today - DAY), "to": str(today + DAY), "tz": "Europe/Berlin"}
    async with product.client("operator_read_only") as http:
        routing = (await http.get("/operator/v1/reports/routing", params=span)).json()
        assert sum(row["turns"] for row in routing["data"]) > 0
        csv = await http.get("/operator/v1/reports/routing", params={**span, "format": "csv"})
        assert csv.headers["content-type"].startswith("text/csv")
        columns = await http.get(
            "/operator/v1/reports/routing", params={**span, "format": "parquet"}
        )
        assert columns.content.startswith(b"PAR1")
        earlier = span | {"as_of": "2020-01-01T00:00:00Z"}
        assert (await http.get("/operator/v1/reports/revenue", params=earlier)).json()["data"] == []
        for wrong in ({"tz": "Mars/Olympus"}, {"from": "yesterday"}, {"as_of": "then"}):
            bad = await http.get("/operator/v1/reports/routing", params={**span, **wrong})
            assert 400 <= bad.status_code < 500
        nothing = await http.get("/operator/v1/reports/nothing", params=span)
        assert nothing.status_code in {404, 422}


async def test_search_takes_day_party_and_place_apart_from_the_words(product: Product):
    soon = datetime.now(UTC).date() + timedelta(days=3)
    when = {"date": soon.isoformat(), "time": "19:00", "party": 2, "place": "Berlin"}
    async with product.client() as http:
        words = {"q": "Italian table", "kind": "booking"}
        assert (await http.get("/api/search", params=words)).status_code == 400
        tables = (await http.get("/api/search", params=words | when)).json()["data"]
        assert tables
        assert {t["attributes"]["date"] for t in tables} == {soon.isoformat()}
        week = {"date": soon.isoformat(), "until": (soon + timedelta(days=6)).isoformat()}
        query = {"q": "concert", "limit": 20, **week}
        concerts = (await http.get("/api/search", params=query)).json()["data"]
        assert concerts
        assert all(week["date"] <= c["attributes"]["date"] <= week["until"] for c in concerts)
        for wrong in ({"date": "soon"}, {"party": 0}, {"time": "25:00"}):
            bad = await http.get("/api/search", params=words | wrong)
            assert bad.status_code == 422


async def test_a_conversation_remembers_what_it_showed(product: Product):
    """'The second one' is the second of the list, whatever a new search would find."""
    said = {"headers": {"accept": "application/json"}}
    async with product.client() as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        path = f"/api/threads/{thread}/turns"
        ask = {"text": "Show me tents, cheapest last"}
        shown = (await http.post(path, json=ask, **said)).json()["activities"][0]["items"]
        other = {"text": "compare the first and the third"}
        compared = (await http.post(path, json=other, **said)).json()["activities"][0]["items"]
        assert [o["offer_id"] for o in compared] == [shown[0]["offer_id"], shown[2]["offer_id"]]
        picked = (await http.post(path, json={"text": "I take the second one"}, **said)).json()
    [sheet] = picked["outcome"]["interrupts"]
    assert sheet["metadata"]["confirmation"]["lines"][0]["offer_id"] == shown[2]["offer_id"]


async def test_the_product_says_what_is_embedded_and_measures_itself(product: Product):
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        ready = (await http.get("/readyz")).json()
        assert ready["defaults"]["payments"] == "simulated"
        assert ready["model"]["resting"] == []
        counted = (await http.get("/metrics")).text
        assert 'emptor_http_answers_total{status="2xx",surface="page"}' in counted
        assert 'emptor_turns_total{kind="casual",requested_role="light"' in counted
        assert 'emptor_model_failures{model="' in counted
        assert (await http.get("/openapi.json")).status_code == 200


@pytest.mark.parametrize("body", ["{", "null", "[]", '{"text": NaN}', '"x"', '{"text": "\\u0000"}'])
async def test_bodies_that_are_not_what_is_asked_for_are_4xx(product: Product, body):
    async with product.client() as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        answer = await http.post(
            f"/api/threads/{thread}/turns",
            content=body,
            headers={"content-type": "application/json"},
        )
    assert 400 <= answer.status_code < 500


async def test_a_body_over_a_mebibyte_is_413(product: Product):
    async with product.client() as http:
        answer = await http.post("/api/threads", json={"title": "x" * 1_100_000})
        openai = await http.post("/v1/chat/completions", json={"model": "x" * 1_100_000})
    assert (answer.status_code, openai.status_code) == (413, 413)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == openai.json()["error"]["code"] == "payload_too_large"


async def test_a_picture_comes_from_our_own_address_and_may_run_nothing(product: Product):
    async with product.client() as http:
        offers = (await http.get("/api/search", params={"q": "two-person tent"})).json()["data"]
        url = offers[0]["image"]["url"]
        assert url.startswith(product.app.state.settings.url)
        answer = await http.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert (await http.get("/media/off_nothing")).status_code == 404


@pytest.mark.parametrize("zone", ["posix/UTC", "right/UTC", "localtime", "Mars/Olympus", "utc "])
async def test_a_time_zone_that_the_database_does_not_know_is_refused(product: Product, zone: str):
    async with product.client() as http:
        refused = await http.put("/api/me/preferences", json={"timezone": zone})
        assert refused.status_code == 422
        assert (await http.get("/api/quota")).status_code == 200


@pytest.mark.parametrize("of", ["users", "incidents", "merchants"])
@pytest.mark.parametrize("junk", ["x", "usr_none", "-1", "", "日"])
async def test_an_operators_list_refuses_a_cursor_that_no_page_gave(
    product: Product, of: str, junk: str
):
    async with product.client("operator") as http:
        answer = await http.get(f"/operator/v1/{of}", params={"cursor": junk})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "next_cursor" in answer.json()["detail"]


@pytest.mark.parametrize("of", ["users", "incidents", "merchants"])
async def test_an_operators_list_comes_whole_page_by_page(product: Product, of: str):
    async with product.database.transaction() as session:
        for nth in range(3):  # two of one moment
            await incidents.report(session, "price_unknown", subject=f"paged-{nth}", detail="?")
    async with product.client("operator") as http:
        whole = (await http.get(f"/operator/v1/{of}", params={"limit": 200})).json()["data"]
        paged, cursor = [], None
        for _ in range(len(whole)):
            more = {"cursor": cursor} if cursor else {}
            page = (await http.get(f"/operator/v1/{of}", params={"limit": 2, **more})).json()
            paged += page["data"]
            if (cursor := page["next_cursor"]) is None:
                break
    assert len(whole) > 2
    assert paged == whole
