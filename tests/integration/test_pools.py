"""Pools in real processes: filled by beat and workers, and used by services that know Celery and Redis alone."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup, CeleryTestWorker
from sqlalchemy import update

from schemas.tables.pools import POOL, POOL_NUMBER
from tests.integration.place import Place
from tests.integration.results import Event, Results
from tests.waiting import eventually

TAKEN = "dialstock.pool.taken"
RETURNED = "dialstock.pool.returned"
REFUSED = "dialstock.pool.refused"
REJECTED = "dialstock.request.rejected"

Ask = Callable[..., Event]


@pytest.fixture
def ask(place: Place, results: Results, celery_setup: CeleryTestSetup) -> Ask:
    """Sends a request, and returns what the results channel tells of it, as the *nth* event of its kind."""

    def ask_one(task: str, kind: str, *, nth: int = 1, message_id: str | None = None, **kwargs: Any) -> Event:
        options = {"task_id": message_id} if message_id else {}
        celery_setup.app.send_task(f"dialstock.{task}", kwargs=kwargs, queue="purchases", ignore_result=True, **options)
        return answer(results, kind, kwargs["request_id"], nth=nth)

    return ask_one


def answer(results: Results, kind: str, request_id: str, *, nth: int = 1) -> Event:
    """The data of the *nth* event of this type about this request."""

    def told() -> Event | None:
        mine = [event["data"] for event in results.all(kind) if event["data"]["request_id"] == request_id]
        return mine[nth - 1] if len(mine) >= nth else None

    return eventually(told, what=f"{kind} for {request_id}")


def numbers_of(data: Event) -> list[str]:
    return [one["number"] for one in data["numbers"]]


def replenish(setup: CeleryTestSetup, pool: str) -> None:
    """What beat sends."""
    setup.app.send_task("dialstock.internal.replenish", kwargs={"pool": pool}, queue="purchases", ignore_result=True)


def places(place: Place, pool: str) -> Counter[str]:
    return Counter(row["status"] for row in place.rows(POOL_NUMBER, pool=pool))


def full(place: Place, pool: str, available: int) -> None:
    """Wait until all that the pool lacks is there."""

    def filled() -> bool:
        found = places(place, pool)
        return found["available"] == available and not found["wanted"] + found["ordered"]

    eventually(filled, what=f"{pool} has {available} numbers")


def all_charged_once(place: Place, pool: str) -> list[str]:
    """The pool's numbers, none of which the sandbox charged twice."""
    numbers = [row["number"] for row in place.rows(POOL_NUMBER, pool=pool)]
    assert place.charged(numbers) == dict.fromkeys(numbers, 1)
    return numbers


def set_time(place: Place, pool: str, name: str) -> None:
    """Let a time of the pool's that is still to come be now."""
    with place.database.write() as conn:
        conn.execute(update(POOL).where(POOL.c.name == pool).values({name: datetime.now(UTC)}))


def at_work(worker: CeleryTestWorker) -> bool:
    """Whether it is in the middle of a replenishment."""
    lines = [line for line in worker.logs().splitlines() if "dialstock.internal.replenish[" in line]
    return len([line for line in lines if "received" in line]) > len([line for line in lines if "succeeded" in line])


class TestBeatsAndWorkers:
    def test_a_pool_is_filled_to_its_target_though_a_worker_is_killed_and_filled_again_when_due(
        self, fresh_place: Callable[..., Place]
    ) -> None:
        table = {"providers": ["signalwire"], "prefix": "415", "low": 6, "target": 12, "daily_limit": 0}
        place = fresh_place(timeout=15.0, pools={"support": {**table, "schedule": "10s"}})
        place.control.plan("signalwire", "silence_before", on="read")
        for beat in ("beat-1", "beat-2"):
            place.start_beat(beat)
        setup = place.setup("worker-1", "worker-2")

        def runs() -> CeleryTestWorker | None:
            leased = any(row["leased_until"] for row in place.rows(POOL, name="support"))
            busy = [worker for worker in place.workers if at_work(worker)]
            return busy[0] if leased and len(busy) == 1 else None

        victim = eventually(runs, what="a worker searches")
        victim.kill()
        victim.container.wait()
        assert places(place, "support") == {}
        place.control.reset()
        set_time(place, "support", "leased_until")
        full(place, "support", 12)
        [before] = place.rows(POOL, name="support")

        with place.results() as results:
            kwargs = {"pool": "support", "count": 7, "request_id": "seven"}
            setup.app.send_task("dialstock.take_number", kwargs=kwargs, queue="purchases", ignore_result=True)
            taken = numbers_of(answer(results, TAKEN, "seven"))
            full(place, "support", 12)
        [after] = place.rows(POOL, name="support")
        assert (after["last_run_at"] - before["last_run_at"]).total_seconds() >= 10
        numbers = all_charged_once(place, "support")
        assert set(taken) < set(numbers)
        assert len(place.control.charges()) == len(numbers) == 12 + 7

    def test_a_worker_of_an_older_configuration_takes_nothing_from_a_pool(
        self, fresh_place: Callable[..., Place]
    ) -> None:
        place = fresh_place()
        older = place.setup("older")
        with place.results() as results:
            replenish(older, "young")
            kwargs = {"pool": "young", "request_id": "early"}
            older.app.send_task("dialstock.take_number", kwargs=kwargs, queue="purchases", ignore_result=True)
            refused = answer(results, REJECTED, "early")
        assert (refused["error_code"], refused["pool"]) == ("unknown_pool", "young")
        assert place.rows(POOL) == []

        table = {"providers": ["vogent"], "prefix": "415", "low": 2, "target": 2, "daily_limit": 0}
        place.configure({"young": table})
        newer = place.setup("newer")

        def sent_until_full() -> bool:
            replenish(newer, "young")
            return places(place, "young") == {"available": 2}

        eventually(sent_until_full, what="the newer worker gets a message")
        assert len(all_charged_once(place, "young")) == len(place.control.charges()) == 2


class TestServices:
    def test_a_take_is_answered_under_its_id_and_its_message_does_nothing_when_it_comes_again(
        self, place: Place, celery_setup: CeleryTestSetup, ask: Ask
    ) -> None:
        replenish(celery_setup, "triple")
        full(place, "triple", 3)
        request: dict[str, Any] = {"pool": "triple", "count": 2, "request_id": "call-7", "taker": "crm"}
        request |= {"message_id": str(uuid.uuid4()), "metadata": {"job": 7}}

        first = ask("take_number", TAKEN, **request)
        again = ask("take_number", TAKEN, nth=2, **request)
        assert again == {**first, "repeat": True}
        assert (first["success"], first["taker"], first["metadata"]) == (True, "crm", {"job": 7})
        assert places(place, "triple") == {"taken": 2, "available": 1}
        assert set(numbers_of(first)) < set(all_charged_once(place, "triple"))
        for one in first["numbers"]:
            bought = place.purchase(one["number"])
            assert (one["purchase_id"], one["provider_number_id"]) == (bought["id"], bought["provider_number_id"])

        many = ask("take_number", REFUSED, pool="triple", count=2, request_id="call-8")
        assert (many["error_code"], many["success"], many["numbers"]) == ("not_enough", False, [])

    def test_a_return_that_comes_twice_leaves_the_number_to_its_next_taker(
        self, place: Place, celery_setup: CeleryTestSetup, ask: Ask
    ) -> None:
        replenish(celery_setup, "single")
        full(place, "single", 1)
        [number] = numbers_of(ask("take_number", TAKEN, pool="single", request_id="one"))
        back = {"pool": "single", "number": number, "request_id": "back", "message_id": str(uuid.uuid4())}
        ask("return_number", RETURNED, **back)
        assert numbers_of(ask("take_number", TAKEN, pool="single", request_id="two")) == [number]

        assert ask("return_number", RETURNED, nth=2, **back)["repeat"] is True
        [row] = place.rows(POOL_NUMBER, pool="single")
        assert (row["status"], row["number"], row["request_id"]) == ("taken", number, "two")
        late = ask("take_number", REFUSED, pool="single", request_id="one")
        assert late["error_code"] == "already_returned"

    def test_an_empty_pool_refuses_and_the_message_takes_nothing_when_it_comes_again(
        self, place: Place, celery_setup: CeleryTestSetup, ask: Ask
    ) -> None:
        request = {"pool": "late", "request_id": "hasty", "message_id": str(uuid.uuid4())}
        refused = ask("take_number", REFUSED, **request)
        assert (refused["error_code"], refused["success"], refused["task"]) == ("pool_empty", False, "take")
        replenish(celery_setup, "late")
        full(place, "late", 1)
        assert ask("take_number", REFUSED, nth=2, **request) == {**refused, "repeat": True}
        assert places(place, "late") == {"available": 1}
        given = ask("take_number", TAKEN, pool="late", request_id="patient")
        assert (given["repeat"], numbers_of(given)) == (False, all_charged_once(place, "late"))

    @pytest.mark.parametrize(
        ("kwargs", "code", "told"),
        [
            ({"pool": "tripel"}, "unknown_pool", "'triple'?"),
            ({"pool": "triple", "count": 0}, "invalid_request", "count:"),
            ({"pool": "triple", "cuont": 1}, "invalid_request", "'count'?"),
        ],
        ids=["unknown pool", "no number", "misspelt keyword"],
    )
    def test_an_invalid_request_is_rejected_under_the_callers_id(
        self, place: Place, ask: Ask, kwargs: dict[str, Any], code: str, told: str
    ) -> None:
        message_id, request_id = str(uuid.uuid4()), str(uuid.uuid4())
        data = ask("take_number", REJECTED, message_id=message_id, request_id=request_id, **kwargs)
        assert (data["error_code"], data["task"], data["pool"]) == (code, "dialstock.take_number", kwargs["pool"])
        assert told in data["error"]
        [row] = place.rejected(message_id)
        assert row["id"] == data["rejected_id"]

    def test_a_replenishment_of_an_unknown_pool_changes_nothing(
        self, place: Place, celery_setup: CeleryTestSetup, ask: Ask
    ) -> None:
        before = place.rows(POOL)
        charges = len(place.control.charges())
        replenish(celery_setup, "nowhere")
        told = "'nowhere' is due, and this worker's file lacks it"
        eventually(lambda: any(told in worker.logs() for worker in place.workers), what="a worker tells of it")
        assert place.rows(POOL) == before
        assert len(place.control.charges()) == charges
