"""A database that went back in time, at the command line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import select, update

from schemas.tables.purchases import EVENT, PROVIDER, PURCHASE
from tasks.ledger.rows import new_id
from tasks.restored_database import detect
from tasks.restored_database.go_on import GoingOn
from tasks.sandbox import SandboxServer
from tasks.watermark import Mark, Watermark
from tests.servers import RedisServer
from tests.workers.cli.running import NUMBERS, Cli, purchases
from workers.cli.audit import command as audit
from workers.views.desk import Desk

Lose = Callable[..., list[Mark]]


@pytest.fixture
def lose(
    both: Cli, sandbox: SandboxServer, desk: Desk, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Lose:
    """Has the database lose calls for numbers, *ago* seconds old, and a worker find that; or one that *released* it."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)

    def lose_them(alias: str, *numbers: str, ago: float = 3600.0, released: bool = False) -> list[Mark]:
        then = desk.runtime.now() - timedelta(seconds=ago)
        marks = [Mark(purchase_id=new_id(), revision=2, number=one, started_at=then, deadline=then) for one in numbers]
        with Redis.from_url(redis_server.url) as client:
            runtime = replace(desk.runtime, watermark=Watermark(client))
            account = runtime.providers[alias].account
            if released:
                runtime.watermark.write_release(account, replace(marks[0], release_id=new_id()))
            else:
                runtime.watermark.write({account: marks})
            detect.compare(runtime)
        with desk.runtime.database.write() as conn:
            conn.execute(update(PROVIDER).values(paused_at=then))
        return marks

    return lose_them


def state(cli: Cli, alias: str) -> str:
    return str(next(row["state"] for row in cli.json("provider", "list") if row["provider"] == alias))


def findings(cli: Cli, name: str) -> list[tuple[str, str, str | None]]:
    checks = json.loads(cli("doctor", "--json").stdout)["checks"]
    return [(one["level"], one["message"], one["mend"]) for one in checks if one["name"] == name]


def test_the_list_and_the_doctor_tell(both: Cli, sandbox: SandboxServer, lose: Lose) -> None:
    assert findings(both, "history") == [("ok", "the database knows what was bought last", None)]
    lose("fluents", *NUMBERS[:12])
    told = state(both, "fluents")
    assert "(database_behind): the database went back in time: it has lost 12 calls to buy at" in told
    assert told.endswith(f"{NUMBERS[2]} and 2 more; until `dialstock audit fluents --adopt`")
    [(level, message, mend)] = findings(both, "history")
    assert (level, message.startswith("the database went back in time: it has lost 12 calls")) == ("fail", True)
    assert mend == "dialstock audit fluents --adopt"
    assert [one[0] for one in findings(both, "providers")] == ["fail"]


def test_an_audit_that_adopts_lets_it_go_on(both: Cli, sandbox: SandboxServer, desk: Desk, lose: Lose) -> None:
    lose("fluents", *NUMBERS[:3])
    sandbox.control.own("fluents", NUMBERS[:2])
    assert both.json("audit", "fluents", status=1)["lost_history"] is None
    assert "database_behind" in state(both, "fluents")
    done = both.json("audit", "fluents", "--adopt", "--by", "ann")["lost_history"]
    said = {"unseen": [NUMBERS[2]], "audit_at": None, "shows_none": False, "given_back": [], "unclear": []}
    assert done == {"settled": True, "aliases": ["fluents"], **said}
    assert state(both, "fluents") == "open"
    assert set(purchases(desk)) == set(NUMBERS[:2])
    assert findings(both, "history") == [("ok", "the database knows what was bought last", None)]
    assert both.json("audit", "fluents", "--adopt")["lost_history"] is None


def test_an_audit_that_came_too_soon_says_when_to_come_again(both: Cli, sandbox: SandboxServer, lose: Lose) -> None:
    lose("fluents", NUMBERS[0], ago=10)
    told = both("audit", "fluents", "--adopt")
    assert told.exit_code == 1
    assert "What was bought may show later. It stays paused until you run it again after 20" in told.stdout
    assert ": `dialstock audit fluents --adopt`." in told.stdout
    assert "database_behind" in state(both, "fluents")


def test_people_are_told_that_it_goes_on(both: Cli, sandbox: SandboxServer, lose: Lose) -> None:
    lose("vogent", *NUMBERS[:2])
    sandbox.control.own("vogent", NUMBERS[1:2])
    told = both.ok("audit", "vogent", "--adopt")
    assert f"lost     called for, and not ours        {NUMBERS[0]}" in told
    assert "vogent goes on." in told


def test_what_shows_none_of_ours_lets_nothing_go_on(both: Cli, sandbox: SandboxServer, desk: Desk, lose: Lose) -> None:
    sandbox.control.own("fluents", NUMBERS[2:4])
    both.ok("audit", "fluents", "--adopt")
    with desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).values(finished_at=desk.runtime.now() - timedelta(hours=2)))
    sandbox.control.reset()
    lose("fluents", NUMBERS[0])
    told = both("audit", "fluents", "--adopt")
    assert (told.exit_code, "It shows none of what was bought or called for" in told.stdout) == (1, True)
    assert "`dialstock audit fluents --mark-released --all-gone` says so" in told.stdout
    assert "`dialstock provider resume fluents --lost-history --reason WHY` lets it go on" in told.stdout
    assert "database_behind" in state(both, "fluents")


def test_what_was_given_back_is_to_be_marked_as_released(
    both: Cli, sandbox: SandboxServer, desk: Desk, lose: Lose
) -> None:
    sandbox.control.own("vogent", NUMBERS[:2])
    both.ok("audit", "vogent", "--adopt")
    with desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).values(finished_at=desk.runtime.now() - timedelta(hours=2)))
    sandbox.control.reset()
    sandbox.control.own("vogent", NUMBERS[1:2])
    lose("vogent", NUMBERS[0], released=True)
    told = both("audit", "vogent", "--adopt")
    assert told.exit_code == 1
    assert (
        "stand here as bought: the account goes on by `dialstock audit vogent --adopt --mark-released`." in told.stdout
    )
    assert f"lost     given back                      {NUMBERS[0]}" in told.stdout
    assert "it has lost 1 calls to give back at" in state(both, "vogent")
    assert "vogent goes on." in both.ok("audit", "vogent", "--adopt", "--mark-released")
    assert state(both, "vogent") == "open"


def test_people_are_told_what_is_unclear(capsys: pytest.CaptureFixture[str]) -> None:
    audit._tell_going(GoingOn(unclear=[NUMBERS[0]]), "bird")
    told = capsys.readouterr().out
    assert f"unclear  ours or not                     {NUMBERS[0]}" in told
    assert "by `dialstock audit bird --adopt` once it is clear whether these are ours" in told
    audit._tell_going(GoingOn(), "bird")
    assert "by `dialstock audit bird --adopt` once that leaves none" in capsys.readouterr().out


def test_resume_alone_does_not_do(both: Cli, lose: Lose) -> None:
    lose("timepay", NUMBERS[0])
    told = both.refused("provider", "resume", "timepay")
    assert "timepay stays paused: the database went back in time" in told
    assert "dialstock provider resume timepay --lost-history --reason WHY" in told
    # No audit is advised, for it would be refused.
    assert "dialstock audit" not in told + state(both, "timepay")
    assert state(both, "timepay").endswith("until `dialstock provider resume timepay --lost-history --reason WHY`")
    assert "the reason must be one line" in both.refused("provider", "resume", "timepay", "--lost-history")
    assert "database_behind" in state(both, "timepay")


def test_a_pause_by_hand_stands_beside_it(both: Cli, lose: Lose) -> None:
    lose("timepay", NUMBERS[0])
    assert "was paused already" in both.ok("provider", "pause", "timepay", "--reason", "wait")
    told = state(both, "timepay")
    assert "database_behind" in told
    assert told.endswith("(person): wait; until `dialstock provider resume timepay`")
    assert "Nothing goes on by that" in both.ok(
        *("provider", "resume", "timepay", "--lost-history", "--reason", "seen", "--by", "ann")
    )
    told = state(both, "timepay")
    assert "(person): wait" in told
    assert "database_behind" not in told
    assert "goes on" in both.ok("provider", "resume", "timepay")
    assert state(both, "timepay") == "open"


def test_resume_ends_what_was_paused_by_hand_beside_it(both: Cli, lose: Lose) -> None:
    lose("timepay", NUMBERS[0])
    both.ok("provider", "pause", "timepay", "--reason", "wait")
    assert "timepay stays paused" in both.refused("provider", "resume", "timepay")
    assert "(person)" not in state(both, "timepay")


def test_a_provider_without_a_list_goes_on_by_a_persons_word(both: Cli, lose: Lose, desk: Desk) -> None:
    marks = lose("timepay", *NUMBERS[:2])
    refused = " ".join(both.refused("audit", "timepay", "--adopt").split())
    assert "`dialstock provider resume timepay --lost-history --reason WHY` lets it go on" in refused
    word = ("provider", "resume", "timepay", "--lost-history", "--reason", "seen", "--by", "ann")
    done = both.json(*word)
    assert (done["goes_on"], done["by"], done["reason"]) == (["timepay"], "ann", "seen")
    assert {one["number"]: one["purchase_id"] for one in done["held"]} == {m.number: m.purchase_id for m in marks}
    assert state(both, "timepay") == "open"
    assert {row["status"] for row in purchases(desk).values()} == {"held"}
    with desk.runtime.database.read() as conn:
        told = Counter(conn.execute(select(EVENT.c.type)).scalars())
    assert (told["dialstock.purchase.held"], told["dialstock.provider.resumed"]) == (2, 1)
    both.ok("purchase", "resolve", marks[0].purchase_id, "--bought", "--by", "ann")
    assert "Nothing goes on by that" in both.ok(*word)


def test_a_persons_word_is_told_with_what_is_held(both: Cli, lose: Lose) -> None:
    [mark] = lose("timepay", NUMBERS[0])
    told = both.ok("provider", "resume", "timepay", "--lost-history", "--reason", "seen")
    assert f"held  {NUMBERS[0]}      {mark.purchase_id}" in told
    assert (
        "1 purchase may have been bought: see at the provider, then `dialstock purchase resolve ID --bought`, or"
        in told
    )
    assert "timepay goes on." in told


def test_a_persons_word_needs_redis(both: Cli, lose: Lose, monkeypatch: pytest.MonkeyPatch) -> None:
    lose("timepay", NUMBERS[0])
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert "Redis is away" in both.refused(
        "provider", "resume", "timepay", "--lost-history", "--reason", "seen", status=3
    )
