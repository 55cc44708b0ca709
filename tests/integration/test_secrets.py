"""A provider's token stands in the environment and in its requests, and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from sqlalchemy import MetaData, select

from tests.integration.place import KINDS, TOKEN, Place

FORMS = (TOKEN, base64.b64encode(f"project:{TOKEN}".encode()).decode())


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
    fresh_place: Callable[..., Place], numbers: Callable[[int], list[str]]
) -> None:
    place = fresh_place(max_attempts=1, pause_cooldown=0.2)
    bought, echoed, doubted, refused = (dict(zip(KINDS, numbers(5), strict=True)) for _ in range(4))
    echo = {"message": f"unknown token {TOKEN}", "errors": [{"detail": FORMS}]}
    for kind in KINDS:
        place.control.plan(kind, "status", echoed[kind], status=422, body=echo, times=50)
        place.control.plan(kind, "status", doubted[kind], status=500, body=echo, times=50)
        place.control.plan(kind, "status", refused[kind], status=401, body=echo, times=1)
    setup = place.setup("worker")
    with place.results() as results:
        for kind in KINDS:
            for number in (bought[kind], echoed[kind], doubted[kind], refused[kind]):
                request = {"number": number, "provider": kind}
                setup.app.send_task("dialstock.buy_number", kwargs=request, queue="purchases")
        for kind in KINDS:
            results.wait("dialstock.purchase.purchased", bought[kind])
            results.wait("dialstock.purchase.purchased", refused[kind])
            for number in (echoed[kind], doubted[kind]):
                results.wait("dialstock.purchase.failed" if number == echoed[kind] and kind else "x", number)
    worker = setup.worker.container
    asked = [worker.exec_run(f"celery -A workers.app:app inspect {what}")[1].decode() for what in ("conf", "report")]
    assert "dialstock" in asked[0]

    history, dump, log = redis_history(place), database_dump(place), setup.worker.logs()
    assert bought["bird"] in history
    assert bought["bird"] in dump
    assert "unknown token" in dump
    for form in FORMS:
        assert form not in history
        assert form not in dump
        assert form not in log
        assert form not in "".join(asked)
