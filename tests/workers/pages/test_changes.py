"""What operators change on the pages, who may, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flower.options import default_options

from schemas.status import Status
from tasks.ledger.queue import pausing
from tasks.orders import complete_finished
from tasks.policies.pace import Pace, buying_lane
from tasks.policies.pause import Cause, Pause
from tests.servers import RedisServer
from tests.waiting import at_once, eventually
from tests.workers.cli.running import NUMBERS, Cli, purchases, settle, simple_file
from tests.workers.pages.serving import Visitor, flower_at
from workers.cli.terminal.context import open_desk
from workers.views.desk import Desk, open_redis


@pytest.fixture
def held(both: Cli, desk: Desk, home: Path) -> list[str]:
    """Three held purchases, as the page's form names them: id and version."""
    both.submit(simple_file(home, 3))
    for number in NUMBERS[:3]:
        settle(desk, number, Status.HELD, doubt=True)
    rows = purchases(desk)
    return [rows[number]["id"] for number in NUMBERS[:3]]


def chosen(visitor: Visitor) -> list[str]:
    """What the page of what is held lets one tick, the oldest first."""
    return re.findall(r'name="purchase" value="([^"]+)"', visitor.page("/held"))[::-1]


def statuses(desk: Desk) -> list[str]:
    return [row["status"] for _, row in sorted(purchases(desk).items())]


def test_many_are_settled_with_a_note_by_whoever_is_signed_in(visitor: Visitor, desk: Desk, held: list[str]) -> None:
    boxes = chosen(visitor)
    assert [box.split()[0] for box in boxes] == held
    done = visitor.submit("/held/settle", "/held", purchase=boxes[:2], decision="bought", note="seen there")
    assert (done.status_code, done.headers["location"]) == (303, "/dialstock/held")
    assert statuses(desk) == ["purchased", "purchased", "held"]
    shown = visitor.get(done.headers["location"]).text
    assert "2 purchases settled by ann." in shown
    assert "settled by ann" not in visitor.page("/held")
    assert visitor.data(f"/purchases/{held[0]}")["resolutions"][0]["note"] == "seen there"


def test_the_log_tells_who_decided_what_and_of_which(
    visitor: Visitor, held: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    [box] = [box for box in chosen(visitor) if box.startswith(held[0])]
    visitor.submit("/held/settle", "/held", purchase=box, decision="fail", note="seen\u202e there")
    visitor.submit("/held/settle", "/held", purchase=box, decision="fail", note="seen there")
    [line] = [one.getMessage() for one in caplog.records if "/held/settle: 1 purchase settled" in one.getMessage()]
    assert line.startswith("ann: POST /dialstock/held/settle: ")
    assert all(word in line for word in (held[0], '"decision": ["fail"]', '"note": ["seen there"]'))
    assert "_xsrf" not in line


def test_of_two_who_settle_at_once_the_second_is_told_what_the_first_did(visitor: Visitor, held: list[str]) -> None:
    with Visitor(str(visitor.base_url), "bob") as bob:
        [box] = [box for box in chosen(visitor) if box.startswith(held[0])]
        both = at_once(
            lambda: visitor.submit("/held/settle", "/held", purchase=box, decision="fail"),
            lambda: bob.submit("/held/settle", "/held", purchase=box, decision="bought"),
        )
    answers = {answer.status_code: answer.text for answer in both}  # type: ignore[attr-defined]
    assert set(answers) == {303, 409}
    found = visitor.data(f"/purchases/{held[0]}")
    [settled] = found["resolutions"]
    assert f"{settled['by']} settled it as {settled['decision']}" in answers[409]


def test_a_page_that_is_older_than_the_purchase_decides_nothing(
    visitor: Visitor, both: Cli, desk: Desk, held: list[str]
) -> None:
    old = chosen(visitor)[0]
    both.ok("purchase", "resolve", held[0], "--retry")
    settle(desk, NUMBERS[0], Status.HELD, doubt=True)
    answer = visitor.submit("/held/settle", "/held", purchase=old, decision="fail")
    assert answer.status_code == 409
    assert "has moved on since" in answer.text
    assert statuses(desk) == ["held", "held", "held"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decision": "bought"}, "no purchase was chosen"),
        ({"decision": "adopted", "purchase": "x y"}, "is not known"),
        ({"purchase": "x y"}, "is not known"),
        ({"decision": "bought", "purchase": "0190a0a0-0000-7000-8000-000000000001"}, "without its version"),
        ({"decision": "bought", "purchase": "x y", "note": "a\nb"}, "one line"),
        ({"decision": "bought", "purchase": "x y", "note": "\u202eb"}, "one line"),
    ],
)
def test_a_form_that_says_nothing_is_refused(
    light: Visitor, cli: Cli, desk: Desk, home: Path, fields: dict[str, str], words: str
) -> None:
    cli.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.HELD)
    answer = light.submit("/held/settle", "/held", **fields)
    assert answer.status_code == 400
    assert words in answer.text.replace("&#x27;", "'")
    assert statuses(desk) == ["held"]


def test_what_is_not_there_is_settled_by_nobody(visitor: Visitor, desk: Desk, held: list[str]) -> None:
    boxes = ["01900000-0000-7000-8000-000000000000 1", *chosen(visitor)]
    answer = visitor.submit("/held/settle", "/held", purchase=boxes, decision="bought")
    assert answer.status_code == 404
    assert "there is no purchase 01900000" in answer.text
    assert statuses(desk) == ["held"] * 3


def test_one_that_is_held_is_found_from_its_own_page(visitor: Visitor, held: list[str]) -> None:
    link = re.search(r'href="/dialstock(/held\?number=[^"]+)"', visitor.page(f"/purchases/{held[1]}"))
    assert link is not None
    assert [row["id"] for row in visitor.data(link[1])["held"]] == [held[1]]


def test_an_order_is_cancelled_and_retried_by_who_is_sure(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 2))
    unsure = visitor.submit(f"/orders/{order}/cancel", f"/orders/{order}")
    assert (unsure.status_code, statuses(desk)) == (400, ["queued", "queued"])
    done = visitor.submit(f"/orders/{order}/cancel", f"/orders/{order}", sure="yes")
    assert (done.status_code, statuses(desk)) == (303, ["cancelled", "cancelled"])
    assert visitor.data(f"/orders/{order}")["waiting"] == 0
    assert "2 lines were asked to stop" in visitor.get(done.headers["location"]).text
    again = visitor.submit(f"/orders/{order}/retry", f"/orders/{order}", sure="yes")
    assert again.status_code == 303
    assert visitor.data(f"/orders/{order}")["waiting"] == 2


def test_an_order_offers_what_can_still_be_done(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 3))

    def offered() -> tuple[list[str], list[str]]:
        shown = re.findall(rf'action="/dialstock/orders/{order}/(\w+)"', visitor.page(f"/orders/{order}"))
        return visitor.data(f"/orders/{order}")["actions"], shown

    assert offered() == (["cancel"],) * 2
    settle(desk, NUMBERS[0], Status.FAILED, success=False, error="the number is taken", error_code="taken")
    eventually(lambda: offered() == (["cancel", "retry"],) * 2, what="both are offered")
    visitor.submit(f"/orders/{order}/retry", f"/orders/{order}", sure="yes")
    assert offered() == (["cancel"],) * 2
    for number in NUMBERS[:3]:
        settle(desk, number, Status.PURCHASED, success=True)
    complete_finished(desk.runtime)
    eventually(lambda: offered() == ([], []), what="nothing is offered")
    assert "Change the order" not in visitor.page(f"/orders/{order}")


def test_an_order_by_criteria_offers_what_can_still_be_done(visitor: Visitor, both: Cli, desk: Desk) -> None:
    key = re.search(r'name="key" value="([^"]+)"', visitor.page("/new"))
    assert key is not None
    visitor.submit("/new/want", "/new", key=key[1], count="5", country="US", prefix="415")
    [order] = [one["id"] for one in visitor.data("/orders")["orders"]]
    assert visitor.data(f"/orders/{order}")["actions"] == ["cancel"]
    visitor.submit(f"/orders/{order}/cancel", f"/orders/{order}", sure="yes")
    assert visitor.data(f"/orders/{order}")["actions"] == ["retry"]
    visitor.submit(f"/orders/{order}/retry", f"/orders/{order}", sure="yes")
    assert visitor.data(f"/orders/{order}")["actions"] == ["cancel"]


def test_what_is_being_bought_offers_no_cancel(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.PROCESSING)
    assert visitor.data(f"/orders/{order}")["actions"] == []


def test_a_provider_is_paused_and_goes_on(visitor: Visitor, both: Cli) -> None:
    for reason in (" ", "x" * 501, "\u202eb"):
        answer = visitor.submit("/providers/bird/pause", "/providers", reason=reason)
        assert (answer.status_code, "the reason must be one line of 1 to 500" in answer.text) == (400, True)
    assert visitor.submit("/providers/nobody/pause", "/providers", reason="why").status_code == 404
    done = visitor.submit("/providers/bird/pause", "/providers", reason="an outage")
    assert done.status_code == 303
    rows = {row["provider"]: row for row in both.json("provider", "list")}
    assert (rows["bird"]["pause_cause"], rows["bird"]["pause_reason"]) == ("person", "an outage (ann)")
    assert _offered(visitor) == ["resume"]
    visitor.submit("/providers/bird/resume", "/providers")
    assert _offered(visitor) == ["pause"]
    rows = {row["provider"]: row for row in both.json("provider", "list")}
    assert rows["bird"]["paused_at"] is None


def _offered(visitor: Visitor) -> list[str]:
    """What the page offers for bird, as its JSON says too."""
    [bird] = [row for row in visitor.data("/providers")["providers"] if row["provider"] == "bird"]
    assert re.findall(r'action="/dialstock/providers/bird/(\w+)"', visitor.page("/providers")) == bird["actions"]
    return list(bird["actions"])


@pytest.mark.parametrize(
    ("cause", "offered"),
    [(Cause.FAILURES, ["pause", "resume"]), (Cause.BEHIND, ["pause"])],
)
def test_the_machine_s_pause_may_be_made_a_person_s(
    visitor: Visitor, desk: Desk, cause: Cause, offered: list[str]
) -> None:
    began = Pause(cause=cause, reason="six calls failed in a row", cooldown=60.0)
    desk.runtime.database.run(lambda conn: pausing.pause(conn, "bird", began, desk.runtime.now()))
    assert _offered(visitor) == offered
    assert visitor.submit("/providers/bird/pause", "/providers", reason="an outage").status_code == 303


def test_a_cool_down_is_ended_by_a_resume(cli: Cli, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    with flower_at() as address, Visitor(address) as visitor, open_desk() as desk, open_redis(desk.settings) as redis:
        bird = desk.runtime.config.providers["bird"]
        Pace(redis).penalise(buying_lane(bird.account, bird.policy), 600.0)
        assert _offered(visitor) == ["pause", "resume"]
        done = visitor.submit("/providers/bird/resume", "/providers")
        assert "bird goes on." in visitor.get(done.headers["location"]).text
        assert _offered(visitor) == ["pause"]


def test_who_only_reads_changes_nothing(
    light: Visitor, cli: Cli, desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.HELD)
    [box] = chosen(light)
    monkeypatch.setenv("DIALSTOCK_OPERATORS", "carol, bob")
    assert "Settle" not in light.page("/held")
    assert 'method="post"' not in light.page("/held")
    fields = {"_xsrf": light.cookies["_xsrf"], "purchase": box, "decision": "fail"}
    answer = light.post("/dialstock/held/settle", data=fields)
    assert answer.status_code == 403
    assert "ann may look and change nothing" in answer.text
    assert statuses(desk) == ["held"]
    with Visitor(str(light.base_url), "bob") as bob:
        assert bob.submit("/held/settle", "/held", purchase=box, decision="fail").status_code == 303
    assert statuses(desk) == ["failed"]


def test_who_only_reads_sends_no_task_and_shuts_nothing_down_either(
    light: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIALSTOCK_OPERATORS", "bob")
    paths = ("/api/task/send-task/dialstock.buy_number", "/api/worker/shutdown/worker-1", "/api/task/revoke/1")
    with Visitor(str(light.base_url), "bob") as bob:
        for path in paths:
            assert light.post(path, json={}).status_code == 403
            assert light.post(path, json={}, auth=("bob", "guessed")).status_code == 401
            assert bob.post(path, json={}).status_code not in (401, 403)
    assert light.get("/api/tasks").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_what_another_site_sends_is_refused(light: Visitor, cli: Cli, headers: dict[str, str]) -> None:
    token = re.search(r'name="_xsrf" value="([^"]+)"', light.page("/providers"))
    assert token is not None
    fields = {"_xsrf": token[1], "reason": "why"}
    assert light.post("/dialstock/providers/bird/pause", data=fields, headers=headers).status_code == 403
    assert light.post("/dialstock/providers/bird/pause", data={"reason": "why"}).status_code == 403
    assert light.post("/dialstock/providers/bird/pause", data=fields).status_code == 303


def test_without_a_password_only_this_machine_changes_something(cli: Cli) -> None:
    with flower_at({}) as address, Visitor(address, None) as somebody:
        assert somebody.post("/dialstock/providers/bird/pause", data={"reason": "why"}).status_code == 403
        elsewhere = {"Host": "rebound.example"}
        page = somebody.get("/dialstock/providers", headers=elsewhere)
        assert (page.status_code, "Pause bird" in page.text) == (200, False)
        assert somebody.submit("/providers/bird/pause", "/providers", reason="why").status_code == 303
        [bird] = [row for row in cli.json("provider", "list") if row["provider"] == "bird"]
        assert bird["pause_reason"].startswith("why (")
        assert somebody.post("/api/task/send-task/dialstock.buy_number", json={}).status_code == 401


def test_a_flower_that_only_reads(light: Visitor) -> None:
    default_options.read_only = True
    try:
        assert "Pause bird" not in light.page("/providers")
        answer = light.post("/dialstock/providers/bird/pause", data={"_xsrf": light.cookies["_xsrf"], "reason": "why"})
    finally:
        default_options.read_only = False
    assert (answer.status_code, "read_only" in answer.text) == (403, True)


def test_a_wrong_password_sees_nothing(light: Visitor) -> None:
    with Visitor(str(light.base_url), None) as nobody:
        assert nobody.get("/dialstock/orders").status_code == 401
    assert light.get("/dialstock/orders", auth=("ann", "wrong")).status_code == 401
    assert light.get("/dialstock/held/settle").status_code == 405


def test_an_account_of_an_accounts_file_is_paused_and_goes_on(cli: Cli, home: Path) -> None:
    table = '[providers.customers]\nkind = "signalwire"\nbase_url = "https://x.example"\ntoken_env = "T"\n'
    (home / "providers.toml").write_text(f'{table}accounts_file = "customers.toml"\n')
    (home / "customers.toml").write_text('[acme]\nproject_id = "a"\n[beta]\nproject_id = "b"\n')
    with flower_at() as address, Visitor(address) as visitor:
        assert "customers:acme" in visitor.get("/dialstock/providers").text
        for path in ("/providers/customers:acme", "/providers/customers%3Aacme"):
            assert visitor.submit(f"{path}/pause", "/providers", reason="an outage").status_code == 303
            rows = {row["provider"]: row["pause_cause"] for row in cli.json("provider", "list")}
            assert rows == {"customers:acme": "person", "customers:beta": None}
            assert visitor.submit(f"{path}/resume", "/providers").status_code == 303
        order = cli.submit(simple_file(home, 2, "customers:beta"))
        assert "customers:beta" in visitor.get(f"/dialstock/orders/{order}").text
        assert visitor.get("/dialstock/purchases?provider=customers:beta").text.count("customers:beta") > 1
