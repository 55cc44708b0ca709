"""A provider of a world with its real adapter, against the sandbox on a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from schemas.config.provider import SANDBOX_TOKEN
from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.audit import compare, schedule
from tasks.audit.compare import Report
from tasks.ledger.rows import Row
from tasks.lifecycle import accept, purchase, reconcile, release_and_sweep
from tasks.providers.configured import sandbox_provider
from tasks.providers.registry import build
from tasks.runtime import Binding, Runtime
from tasks.sandbox import SandboxServer
from tests.tasks.support import FAST, World

LISTS = ("fluents", "signalwire", "vogent", "bird", "twilio", "plivo", "vonage")
PAGES = {"fluents": 100, "signalwire": 1000, "vogent": 100, "bird": 99, "twilio": 1000, "plivo": 20, "vonage": 100}


def bind(url: str, kind: str, **policy: Any) -> Binding:
    """The adapter of *kind* for the sandbox at *url*."""
    config = sandbox_provider(kind, url, {**FAST, "timeout": 20.0, **policy})
    adapter = build(config, SANDBOX_TOKEN)
    return Binding(alias=kind, kind=kind, account=config.account, policy=config.policy, adapter=adapter)


@dataclass
class Shop:
    """One provider of a world, whose adapter is the real one."""

    world: World
    sandbox: SandboxServer
    kind: str
    runtime: Runtime
    binding: Binding

    def buy(self, *numbers: str) -> list[Row]:
        """Buy through the whole of our code."""
        rows = []
        for one in numbers:
            row = accept.accept_one(self.runtime, BuyNumber(number=one, provider=self.kind))
            while self.world.sent:
                purchase.buy(self.runtime, **self.world.sent.pop(0).kwargs)
            rows.append(self._looked_up(row["id"]))
        return rows

    def _looked_up(self, purchase_id: str) -> Row:
        """A purchase whose yes named no number, once a look has shown it."""
        while (row := self.world.row(purchase_id))["status"] == Status.PROCESSING and not row["provider_number_id"]:
            self.world.clock.advance(10)
            release_and_sweep.look_due(self.runtime, self.binding)
            while self.world.sent:
                reconcile.look(self.runtime, **self.world.sent.pop(0).kwargs)
        return row

    def audit(self, **options: Any) -> Report:
        return compare.audit(self.runtime, self.binding, **options)

    def scheduled(self) -> int | None:
        return schedule.scheduled(self.runtime, self.kind)

    def own(self, *numbers: str) -> None:
        self.sandbox.control.own(self.kind, numbers)

    def forget(self) -> None:
        """The provider shows nothing of what was bought so far."""
        self.sandbox.control.reset()
        self.sandbox.control.provisioning(0)

    def put(self, row: Row, status: Status) -> None:
        with self.world.write() as conn:
            changes = {"status": status, "finished_at": None, "success": None, "due_at": None}
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**changes))

    def charges(self) -> int:
        return len(self.sandbox.control.charges(self.kind))

    def told(self) -> list[str]:
        return [
            row["type"].removeprefix("dialstock.audit.")
            for row in self.world.rows(select(EVENT).order_by(EVENT.c.seq))
            if row["type"].startswith("dialstock.audit.")
        ]
