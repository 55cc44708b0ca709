"""What tests of the command line share: to run it, to make files, and to play the workers' part."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import typer.testing
from redis import Redis
from sqlalchemy import func, select, update
from typer.testing import CliRunner, Result

from schemas.status import Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks.ledger.rows import Row, lock, move
from tasks.providers.registry import kinds
from tests.tasks.pacing import saved_up
from workers.cli.app import app
from workers.config_file import read_config
from workers.settings import load_settings
from workers.views.desk import Desk
from workers.wiring import bind_providers

NUMBERS = [f"+1415555{n:04d}" for n in range(100)]
_WAYS = {
    Status.PURCHASED: (Status.DISPATCHED, Status.PURCHASING, Status.PURCHASED),
    Status.FAILED: (Status.DISPATCHED, Status.PURCHASING, Status.FAILED),
    Status.HELD: (Status.DISPATCHED, Status.PURCHASING, Status.HELD),
    Status.UNKNOWN: (Status.DISPATCHED, Status.PURCHASING, Status.UNKNOWN),
    Status.PROCESSING: (Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING),
    Status.PURCHASING: (Status.DISPATCHED, Status.PURCHASING),
    Status.DISPATCHED: (Status.DISPATCHED,),
    Status.CANCELLED: (Status.CANCELLED,),
    # Of what is bought.
    Status.RELEASED: (Status.RELEASING, Status.RELEASED),
}

# It reads the signatures of all commands at each invocation: longer than most commands take.
typer.testing._get_command = cache(typer.testing._get_command)


class Cli:
    """Runs `dialstock` in this process, as a program without a terminal."""

    def __call__(self, *arguments: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input)

    def ok(self, *arguments: str, input: str | bytes | None = None) -> str:
        """The standard output of a command that must end with 0."""
        result = self(*arguments, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str, status: int = 0, input: str | bytes | None = None) -> Any:
        """The one JSON document that a command prints."""
        result = self(*arguments, "--json", input=input)
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def refused(self, *arguments: str, status: int = 2, input: str | bytes | None = None) -> str:
        """The standard error of a command that must end with *status* and print no result."""
        result = self(*arguments, input=input)
        assert result.exit_code == status, result.output
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        return result.stderr

    def submit(self, path: Path, *arguments: str) -> str:
        """The id of the order that a file makes."""
        return str(self.json("order", "submit", str(path), *arguments)["order_id"])


def rested(redis_url: str) -> None:
    """Have the limits of every configured provider be as after a long silence: a new server's begin with a wait."""
    bindings = bind_providers(read_config(load_settings()), os.environ)
    with Redis.from_url(redis_url) as redis:
        for binding in bindings.values():
            for lane in (binding.buying, binding.looking):
                saved_up(redis, lane)


def csv_file(folder: Path, rows: Iterable[str], header: str = "number,provider", name: str = "numbers.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def simple_file(folder: Path, count: int, provider: str = "timepay", name: str = "numbers.csv") -> Path:
    return csv_file(folder, (f"{number},{provider}" for number in NUMBERS[:count]), name=name)


_OWN = {"signalwire": {"project_id": "p"}, "bird": {"workspace_id": "w", "organization_id": "o"}}
"""Accounts that tests know by name, other ones than the sandbox's."""


def sandbox_config_text(url: str, policy: str = "") -> str:
    """A providers.toml with each kind under its own name."""
    fields = {
        name: "\n".join(
            f"{field} = {json.dumps(value)}" for field, value in {**kind.sandbox.fields, **_OWN.get(name, {})}.items()
        )
        for name, kind in kinds().items()
    }
    return "\n".join(
        f'[providers.{kind}]\nkind = "{kind}"\nbase_url = "{url}/{kind}"\ntoken_env = "SANDBOX_TOKEN"\n{more}\n'
        f"[providers.{kind}.policy]\ndaily_limit = 0\n{policy}\n"
        for kind, more in fields.items()
    )


def steady(home: Path, url: str) -> None:
    """Write a providers.toml whose turns to read are not missed where the machine stands still for a second or two."""
    policy = 'rate_guard = 5\nlookup_rate_limits = ["1000/second"]'
    (home / "providers.toml").write_text(sandbox_config_text(url, policy))


def purchases(desk: Desk) -> dict[str, Row]:
    """All purchases by number; where a number has several, the newest."""
    with desk.runtime.database.read() as conn:
        return {row["number"]: dict(row) for row in conn.execute(select(PURCHASE).order_by(PURCHASE.c.id)).mappings()}


def counted(desk: Desk) -> tuple[int, int, int]:
    """How many orders, lines and purchases there are."""
    with desk.runtime.database.read() as conn:
        orders, lines, bought = (
            conn.execute(select(func.count()).select_from(table)).scalar_one() for table in (ORDER, LINE, PURCHASE)
        )
    return orders, lines, bought


def settle(desk: Desk, number: str, to: Status, **changes: Any) -> Row:
    """Take a queued purchase the whole way to a status, as workers do."""
    now = desk.runtime.now()
    with desk.runtime.database.write() as conn:
        found = conn.execute(select(PURCHASE.c.id).where(PURCHASE.c.number == number).order_by(PURCHASE.c.id.desc()))
        row = lock(conn, found.scalars().first() or "")
        assert row is not None
        for status in _WAYS[to]:
            also = changes if status is to else {}
            row = move(conn, row, status, now, **also)
            assert row is not None
    return row


def due_in(desk: Desk, number: str, seconds: float) -> None:
    """Let a purchase be due in so many seconds."""
    with desk.runtime.database.write() as conn:
        due = desk.runtime.now() + timedelta(seconds=seconds)
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == number).values(due_at=due))
