"""A process that audits Fluents where that is due, and prints how many findings were new: DATABASE_URL, sandbox."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import timedelta

from tasks.audit import schedule
from tasks.ledger.audit import runs
from tasks.runtime import Runtime, utc_now
from tests.tasks.shops import bind
from tests.tasks.support import make_world
from workers.database.connections import SqlDatabase

LEASE = timedelta(seconds=3)


def living(runtime: Runtime, url: str) -> Runtime:
    """*runtime* with the real time, and the real Fluents adapter for the sandbox at *url*."""
    return replace(runtime, providers={"fluents": bind(url, "fluents")}, now=utc_now, sleep=time.sleep)


def main(database: str, sandbox: str) -> None:
    runs.LEASE = LEASE
    print(schedule.scheduled(living(make_world(SqlDatabase(database)).runtime, sandbox), "fluents"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
