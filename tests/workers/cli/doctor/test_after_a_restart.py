"""What the doctor says of what waits on purpose, or goes on by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from schemas.tables.processes import PROCESS
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.policies.backoff import longest_wait
from tasks.processes import WORKER
from tasks.providers.configured import parse_config
from tests.workers.cli.doctor.test_examine import purchase, write
from tests.workers.cli.doctor.test_pools import PROVIDERS
from workers.cli.doctor.findings import Finding, Level
from workers.cli.doctor.tables import ledger
from workers.views.words import moment

CONFIG = parse_config(PROVIDERS, "file")
WAIT = longest_wait(CONFIG.providers["acme"].policy)


def finding(url: str, name: str) -> Finding:
    [found] = [one for one in ledger.read(url, CONFIG).findings if one.name == name]
    return found


def overdue(url: str, *, began: float, updated: float, status: str = "unknown") -> Finding:
    """Of a purchase that is 2 minutes late; seconds ago a worker began, and the purchase was written last."""
    now = datetime.now(UTC)
    place = {"id": "w", "role": WORKER, "host": "h", "pid": 1, "digest": CONFIG.digest, "seen_at": now}
    write(url, insert(PROCESS).values(**place, since=now - timedelta(seconds=began)))
    row = {**purchase(status, now - timedelta(minutes=2)), "provider": "acme"}
    write(url, insert(PURCHASE).values({**row, "updated_at": now - timedelta(seconds=updated)}))
    return finding(url, "overdue")


@pytest.mark.parametrize("status", ["unknown", "purchasing"])
def test_a_new_worker_s_one_distance_is_no_failure(database_url: str, status: str) -> None:
    told = overdue(database_url, began=10, updated=600, status=status)
    assert told.level is Level.WARN
    assert told.message.startswith("1 purchases in doubt wait until 20")
    assert "no worker has watched the clock for the distance of a look yet" in told.message


@pytest.mark.parametrize(
    ("began", "updated", "status"),
    [
        (WAIT + 90, 600, "unknown"),
        (400, 300, "unknown"),
        (10, 600, "processing"),
        (10, 600, "dispatched"),
    ],
)
def test_what_waits_for_nothing_is_a_failure(database_url: str, began: float, updated: float, status: str) -> None:
    told = overdue(database_url, began=began, updated=updated, status=status)
    assert told.level is Level.FAIL
    assert told.message.startswith("1 purchases under way or in doubt should have moved on")


@pytest.mark.parametrize("cause", ["account", "refusals", "failures"])
def test_a_machine_s_pause_tells_what_ends_it(database_url: str, cause: str) -> None:
    now = datetime.now(UTC)
    pause: dict[str, Any] = {"paused_at": now, "reason": "503", "cause": cause, "probe_at": now + timedelta(hours=1)}
    write(database_url, insert(PROVIDER).values(provider="acme", updated_at=now, **pause))
    told = finding(database_url, "providers")
    by_itself = f"one purchase may try again at {moment(pause['probe_at'])} by itself"
    assert told.message.endswith(f"Z: 503; {by_itself}")
    assert (told.mend or "").endswith("; to go on sooner: dialstock provider resume acme")


def test_a_person_s_pause_is_ended_by_a_person(database_url: str) -> None:
    now = datetime.now(UTC)
    pause = {"paused_at": now, "reason": "a check", "cause": "person"}
    write(database_url, insert(PROVIDER).values(provider="acme", updated_at=now, **pause))
    told = finding(database_url, "providers")
    assert "by itself" not in told.message
    assert told.mend == "mend the cause; then dialstock provider resume acme"
