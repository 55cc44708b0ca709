"""The previous release's workers and today's on one database: while a deploy rolls, and after it is rolled back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from pytest_celery import CeleryTestWorker

from schemas.tables.purchases import ORDER
from tests import releases
from tests.integration.commands import dialstock
from tests.integration.place import Place
from tests.waiting import eventually
from tests.workers.migrations.test_versions import alembic
from workers.database.connections import migrate, revisions
from workers.database.versions import needed_revision

KNOWN = ("signalwire", "bird")
"""Kinds that the release before had, too."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return releases.unpack(tmp_path / "old")


def ready(worker: CeleryTestWorker) -> CeleryTestWorker:
    assert worker.container.ready()
    return worker


def order(place: Place, key: str, numbers: list[str]) -> None:
    lines = [{"number": n, "provider": KNOWN[i % 2]} for i, n in enumerate(numbers)]
    place.send({"name": "dialstock.submit_order", "kwargs": {"requests": lines, "idempotency_key": key}})


def bought(place: Place, numbers: list[str]) -> int:
    return place.charged(numbers).total()


def completed(place: Place, key: str) -> bool:
    return [row["status"] for row in place.rows(ORDER, idempotency_key=key)] == ["completed"]


def test_a_deploy_that_rolls_and_is_rolled_back_loses_nothing_and_buys_nothing_twice(
    fresh_place: Callable[..., Place], numbers: Callable[[int], list[str]], old: Path
) -> None:
    first, second, third = numbers(64), numbers(64), numbers(6)
    place = fresh_place(rate_limits=["4/second"])
    place.configure({}, KNOWN)
    with place.database.write() as conn:
        alembic(conn, command.downgrade, releases.REVISION)
    olds = [place.start_worker(f"old-{n}", old) for n in range(2)]
    for worker in olds:
        ready(worker)
    order(place, "first", first)
    eventually(lambda: bought(place, first) >= 3, what="the order is under way")

    migrate(place.database_url)
    assert revisions(place.database.engine)[0] == needed_revision()
    assert not completed(place, "first")
    new = ready(place.start_worker("new"))
    order(place, "second", second)
    eventually(lambda: bought(place, second) >= 2, what="the second order is under way")
    olds[0].kill()
    assert not completed(place, "second")
    back = place.start_worker("back", old)
    eventually(lambda: completed(place, "first") and completed(place, "second"), what="both orders are done")

    ready(back)
    new.teardown()
    order(place, "third", third)
    eventually(lambda: completed(place, "third"), what="the old ones alone do an order")

    wanted = [*first, *second, *third]
    assert place.charged(wanted) == Counter(wanted)
    assert {place.purchase(number)["status"] for number in wanted} == {"purchased"}
    logs = {name: (place.home / f"{name}.log").read_text() for name in ("old-1", "new", "back")}
    older = f"this program is for {releases.REVISION}: this program is older than the database"
    assert {name: log.count(older) for name, log in logs.items()} == {"old-1": 0, "new": 0, "back": 1}
    for log in logs.values():
        assert "Traceback" not in log
        assert "ERROR" not in log


def release(place: Place, *numbers: str) -> None:
    done = dialstock(place, "release", *numbers, "--yes")
    assert done.returncode == 0, done.stderr


def statuses(place: Place, numbers: list[str]) -> list[str]:
    return [place.purchase(number)["status"] for number in numbers]


def test_an_older_worker_leaves_a_number_on_its_way_back_alone_and_what_it_promises_is_kept(
    fresh_place: Callable[..., Place], numbers: Callable[[int], list[str]], old: Path
) -> None:
    young, wanted, gone, other = returning = numbers(4)
    place = fresh_place()
    place.configure({}, ("signalwire", "vogent"))
    older = ready(place.start_worker("old", old))
    lines = [{"number": one, "provider": "vogent"} for one in (wanted, gone)]
    place.send(
        {
            "name": "dialstock.submit_order",
            "kwargs": {"requests": [{"number": young, "provider": "signalwire"}, *lines]},
        }
    )
    eventually(lambda: bought(place, returning) == 3 and set(statuses(place, returning[:3])) == {"purchased"})

    release(place, young, wanted, gone)
    again = [{"number": one, "provider": "vogent"} for one in (wanted, other)]
    place.send({"name": "dialstock.submit_order", "kwargs": {"requests": again, "idempotency_key": "again"}})
    eventually(lambda: bought(place, [other]) == 1 and statuses(place, [other]) == ["purchased"])
    # Whether the order is complete by now is the older one's word, which knows of no number on its way back.
    assert statuses(place, returning[:3]) == ["releasing"] * 3

    ready(place.start_worker("new"))
    eventually(lambda: statuses(place, [wanted, gone]) == ["purchased", "released"], what="each goes its way")
    eventually(lambda: completed(place, "again"), what="what the older one promised is there")
    assert statuses(place, [young]) == ["releasing"]
    assert [one["number"] for one in place.control.returns() if one["executed"]] == [gone]
    assert place.charged(returning) == Counter(returning)
    older.teardown()
    for name in ("old", "new"):
        log = (place.home / f"{name}.log").read_text()
        assert "Traceback" not in log
        assert "ERROR" not in log
