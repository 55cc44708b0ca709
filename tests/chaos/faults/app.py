"""The product's Celery app with traps laid in it: `celery -A tests.chaos.faults.app:app worker|beat`.

Nothing of the product is replaced but the no-op that is told each point, the database's clock, which is ahead by what
`clock` says, and what makes a disk full: SQLite's own max_page_count, which each connection sets for itself while a
file named `full` stands in $CHAOS_FOLDER.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from celery import signals
from sqlalchemy import Engine, event

import workers.app as product
from tasks.runtime import install
from tests.chaos.faults.clock import go_by
from tests.chaos.faults.traps import Traps

FOLDER = Path(os.environ["CHAOS_FOLDER"])
FULL = FOLDER / "full"
_NO_LIMIT = 4_294_967_294

go_by(FOLDER)

app = product.app
# Short enough for messages of killed and frozen workers to come back while the suite watches.
app.conf.broker_transport_options = {**app.conf.broker_transport_options, "visibility_timeout": 15}
app.conf.beat_schedule = {
    **app.conf.beat_schedule,
    "the-same-again": {
        "task": "dialstock.buy_number",
        "schedule": 1.0,
        "kwargs": {
            "number": os.environ["CHAOS_BEAT_NUMBER"],
            "provider": "signalwire",
            "idempotency_key": "from-the-beat",
        },
        "options": {"queue": app.conf.task_default_queue},
    },
}


@signals.worker_init.connect
def _lay_traps(**_: Any) -> None:
    worker = product._worker
    assert worker.wiring is not None
    runtime = replace(worker.wiring.runtime, reached=Traps(FOLDER).reached)
    worker.wiring = replace(worker.wiring, runtime=runtime)
    install(runtime)
    if worker.wiring.database.engine.dialect.name == "sqlite":
        _watch_the_disk(worker.wiring.database.engine)


@signals.worker_ready.connect
def _tell_ready(**_: Any) -> None:
    (FOLDER / "ready").mkdir(exist_ok=True)
    (FOLDER / "ready" / str(os.getpid())).touch()


def _watch_the_disk(engine: Engine) -> None:
    @event.listens_for(engine, "checkout")
    def _limit(connection: Any, _record: Any, _proxy: Any) -> None:
        # A limit below the file's present size is taken as that size: no page more.
        connection.execute(f"PRAGMA max_page_count = {1 if FULL.exists() else _NO_LIMIT}")
