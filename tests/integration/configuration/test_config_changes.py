"""providers.toml edited under workers that run: taken over whole within seconds, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from pytest_celery import CeleryTestWorker
from sqlalchemy import update

from schemas.tables.processes import PROCESS
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.policies.pace import HORIZON
from tests.integration.commands import dialstock
from tests.integration.place import Place, configuration
from tests.integration.results import Event
from tests.waiting import eventually, fair_clock

Numbers = Callable[[int], list[str]]
SOON = 5.0
"""Seconds within which an edit is in force."""
SLOWER = 15.0
"""The same where the machine has more to do than this test."""
POOL = {"providers": ["signalwire"], "prefix": "415", "low": 1, "target": 2, "daily_limit": 0, "schedule": "10s"}
ACCOUNT = 'project_id = "sandbox-project"'

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def write(place: Place, kinds: Sequence[str], pools: Mapping[str, Any] | None = None, **policy: Any) -> str:
    """Edit the file; returns what stood in it."""
    path = place.home / "providers.toml"
    before = path.read_text()
    path.write_text(configuration(place.sandbox.url, {**place.policy, **policy}, kinds, pools))
    return before


def start(place: Place, *kinds: str) -> CeleryTestWorker:
    """A worker that knows these providers alone."""
    write(place, kinds)
    return place.setup("worker").worker


def buy(place: Place, provider: str, *numbers: str) -> list[str]:
    message = {"name": "dialstock.buy_number"}
    return place.send(*({**message, "kwargs": {"number": one, "provider": provider}} for one in numbers))


def in_force(place: Place, role: str = "worker") -> str:
    found = place.rows(PROCESS, role=role)
    return found[0]["digest"] if found else ""


def taken_over(place: Place, before: str, role: str = "worker") -> None:
    """Wait until another configuration is in force, and no longer than may be promised."""
    with fair_clock() as clock:
        eventually(lambda: in_force(place, role) not in ("", before), what="it is taken over")
        assert clock() < SLOWER


def known(place: Place, role: str = "worker") -> str:
    return eventually(lambda: in_force(place, role), what=f"the {role} is written down")


def refused(place: Place) -> str | None:
    return next(iter(place.rows(PROCESS, role="worker")))["refused"]


def bought(place: Place, *numbers: str) -> None:
    eventually(
        lambda: all(place.rows(PURCHASE, number=one, status="purchased") for one in numbers),
        what=f"{numbers} are bought",
    )
    assert place.charged(numbers) == dict.fromkeys(numbers, 1)


def test_a_new_provider_is_bought_at_and_one_that_went_is_answered_for(
    fresh_place: Callable[..., Place], numbers: Numbers
) -> None:
    place = fresh_place()
    one, two, three = numbers(3)
    worker = start(place, "signalwire")
    before = known(place)
    with place.results() as results:
        write(place, ["signalwire", "vogent"])
        [early] = buy(place, "vogent", one)
        taken_over(place, before)
        bought(place, one)
        assert place.rejected(early) == []
        # a call is under way while its provider is taken out of the file
        place.control.latency("vogent", 4.0)
        buy(place, "vogent", two)
        eventually(lambda: place.control.charges("vogent")[1:], what="the call has arrived")
        before = in_force(place)
        write(place, ["signalwire"])
        bought(place, two)
        taken_over(place, before)
        [late] = buy(place, "vogent", three)
        told = results.wait("dialstock.request.rejected")
    assert told["data"]["error_code"] == "unknown_provider"
    assert [row["message_id"] for row in place.rejected(late)] == [late]
    assert worker.container.status == "running"
    assert ": ERROR/" not in worker.logs()


def test_a_new_pool_is_filled_and_taken_from(fresh_place: Callable[..., Place]) -> None:
    place = fresh_place()
    start(place, "signalwire")
    place.start_beat("beat")
    before = known(place), known(place, "beat")
    with place.results() as results:
        write(place, ["signalwire"], {"fresh": POOL})
        take = {"name": "dialstock.take_number", "kwargs": {"pool": "fresh"}}
        [early] = place.send(take)
        taken_over(place, before[0])
        taken_over(place, before[1], "beat")
        assert place.rejected(early) == []

        def took() -> Event | None:
            place.send(take)
            return next(iter(results.all("dialstock.pool.taken")), None)

        eventually(took, what="a number is taken")
    assert place.rejected(early) == []


def test_what_is_wrong_is_kept_out_loudly(fresh_place: Callable[..., Place], numbers: Numbers) -> None:
    place = fresh_place()
    one, *others = numbers(4)
    wanted = iter(others)
    worker = start(place, "signalwire")
    before = known(place)
    buy(place, "signalwire", one)
    bought(place, one)
    path = place.home / "providers.toml"
    good = path.read_text()
    faults = {
        "half.toml": (good[: len(good) // 2].rpartition("=")[0] + "= [", "is not TOML"),
        "another account": (good.replace(ACCOUNT, 'project_id = "other"'), "purchases under it are of"),
        "no secret": (
            good
            + good.replace("signalwire]", "twin]")
            .replace("signalwire.", "twin.")
            .replace("PROVIDERS_TOKEN", "NOT_THERE"),
            "NOT_THERE is not set",
        ),
    }
    for text, why in faults.values():
        path.write_text(text)
        with fair_clock() as clock:
            eventually(lambda why=why: why in (refused(place) or ""), what=why)  # type: ignore[misc]
            assert clock() < SLOWER
        two = next(wanted)
        buy(place, "signalwire", two)
        bought(place, two)
    done = dialstock(place, "doctor")
    assert done.returncode in (1, 2)
    assert f"keeps the configuration that it had, {before}" in done.stdout
    assert in_force(place) == before
    assert worker.logs().count("NOT taken over") == len(faults)
    path.write_text(good)
    path.write_text(good)
    with fair_clock() as clock:
        eventually(lambda: refused(place) is None, what="all is well again")
        assert clock() < SLOWER


def test_a_limit_that_was_lowered_holds_from_then_on(fresh_place: Callable[..., Place], numbers: Numbers) -> None:
    place = fresh_place()
    many = numbers(200)
    write(place, ["signalwire"], rate_limits=["4/second"])
    place.setup("worker")
    before = known(place)
    buy(place, "signalwire", *many)
    eventually(lambda: len(place.charged(many)) >= 4, what="some are bought")
    write(place, ["signalwire"], rate_limits=["1/second"])
    taken_over(place, before)
    # what has its turn by the old limit already goes within a moment
    time.sleep(HORIZON + 1.0)
    began, bought_then = time.monotonic(), len(place.charged(many))
    assert bought_then < len(many) - 8
    eventually(lambda: len(place.charged(many)) >= bought_then + 6, what="six more are bought")
    assert time.monotonic() - began >= 4.5
    assert set(place.charged(many).values()) == {1}


def test_a_worker_that_is_outdated_for_one_provider_serves_the_others(
    fresh_place: Callable[..., Place], numbers: Numbers
) -> None:
    place = fresh_place()
    theirs, [other] = numbers(120), numbers(1)
    worker = start(place, "signalwire", "vogent")
    account = become(place, "another")
    buy(place, "signalwire", *theirs)
    eventually(lambda: "messages go back to the queue" in worker.logs(), what="they wait")
    with fair_clock() as clock:
        buy(place, "vogent", other)
        bought(place, other)
        # four rounds of all threads would sleep for 20 s before
        assert clock() < SLOWER
    assert place.charged(theirs) == {}
    become(place, account)
    bought(place, *theirs)
    assert worker.logs().count("messages go back to the queue") == 1
    assert "Reject" not in worker.logs()


def become(place: Place, account: str) -> str:
    """What a process with a newer file writes down of signalwire; returns what stood there."""
    before: str = place.rows(PROVIDER, provider="signalwire")[0]["account"]
    with place.database.write() as conn:
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "signalwire").values(account=account))
    return before
