"""A provider's token stands in the environment and in its requests, and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from sqlalchemy import MetaData, select

from schemas.tables.purchases import PURCHASE
from tasks.providers.registry import kinds
from tests.integration.place import KINDS, TOKEN, Place
from tests.servers import RedisServer
from tests.waiting import eventually

USERS = {"signalwire": "project_id", "twilio": "account_sid", "bandwidth": "client_id", "plivo": "auth_id"}
USERS |= {"vonage": "api_key"}
"""The field that goes out as HTTP Basic with the token."""


def spelt(kind: str) -> list[str]:
    """How the token goes out."""
    field = USERS.get(kind)
    pair = f"{kinds()[kind].sandbox.fields[field]}:{TOKEN}" if field else ""
    return [TOKEN, *([base64.b64encode(pair.encode()).decode()] if field else [])]


FORMS = sorted({form for kind in KINDS for form in spelt(kind)})


def status(place: Place, number: str) -> str | None:
    rows = place.rows(PURCHASE, number=number)
    return rows[-1]["status"] if rows else None


def database_dump(place: Place) -> str:
    metadata = MetaData()
    metadata.reflect(place.database.engine)
    with place.database.read() as conn:
        rows = [str(tuple(row)) for table in metadata.sorted_tables for row in conn.execute(select(table))]
    return "\n".join(rows)


def redis_history(place: Place) -> str:
    """Every command that ever changed the server, from its append-only file."""
    with Redis.from_url(place.redis.url, decode_responses=True) as client:
        folder = Path(client.config_get("dir")["dir"]) / client.config_get("appenddirname")["appenddirname"]
    return "\n".join(path.read_text(errors="replace") for path in folder.iterdir())


def test_no_token_is_in_logs_rows_events_messages_or_what_celery_tells(
    tmp_path: Path, sqlite_url: str, redis_server: RedisServer, numbers: Callable[[int], list[str]]
) -> None:
    policy = {"timeout": 2.0, "send_within": 1.0, "max_attempts": 1, "give_up_after": 2.0, "pause_cooldown": 0.2}
    with Place(tmp_path, sqlite_url, redis_server, **policy) as place:
        check(place, *(dict(zip(KINDS, numbers(len(KINDS)), strict=True)) for _ in range(4)))


def check(
    place: Place, bought: dict[str, str], echoed: dict[str, str], doubted: dict[str, str], refused: dict[str, str]
) -> None:
    for kind in KINDS:
        echo = {"message": f"unknown token {TOKEN}", "errors": [{"detail": spelt(kind)}]}
        place.control.plan(kind, "status", echoed[kind], status=422, body=echo, times=50)
        place.control.plan(kind, "status", doubted[kind], status=500, body=echo, times=50)
        place.control.plan(kind, "status", refused[kind], status=401, body=echo, times=1)
    setup = place.setup("worker")
    for number, kind in [(numbers[kind], kind) for numbers in (bought, echoed, doubted, refused) for kind in KINDS]:
        setup.app.send_task("dialstock.buy_number", kwargs={"number": number, "provider": kind}, queue="purchases")
    for kind in KINDS:
        for number in (bought[kind], refused[kind]):
            eventually(lambda n=number: status(place, n) == "purchased", what=f"{number} of {kind} is bought")
        for number in (echoed[kind], doubted[kind]):
            eventually(lambda n=number: status(place, n) in ("failed", "held"), what=f"{number} of {kind} is settled")
    worker = setup.worker.container
    told = worker.exec_run("celery -A workers.app:app inspect conf")[1].decode()
    assert "visibility_timeout" in told

    history, dump, log = redis_history(place), database_dump(place), setup.worker.logs()
    assert bought["bird"] in history
    assert bought["bird"] in dump
    assert "unknown token" in dump
    for form in FORMS:
        assert form not in history
        assert form not in dump
        assert form not in log
        assert form not in told
