"""Commands that are killed between two of their commits; what they left half done, workers and people settle."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from schemas.status import OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks.ledger.sweep import LOADING_PATIENCE
from tests.chaos.faults.command import Done
from tests.chaos.world import KINDS, World
from tests.waiting import eventually

LINES = 15
"""Numbers of an order; nobody else asks for them."""

COMMITS = 4
"""Commits after which a command is killed, at the most; a shorter one ends by itself."""

DYING = -signal.SIGKILL
ENDS = (0, 1, 2, DYING)
"""How a command may end: 1 and 2 are what it could not do."""


def killed_commands(world: World, rng: random.Random) -> str:
    """An order is submitted, cancelled and retried, and what of it is held settled: each killed, and then whole."""
    numbers = _draw(world)
    order = _submit(world, rng, numbers)
    killed = [order is None]
    if order is None:
        _give_up(world)
        order = _submit(world, rng, numbers, whole=True)
    assert order is not None
    killed += [
        _dies(world.command("order", what, order, dies_after=rng.randint(1, COMMITS))) for what in ("cancel", "retry")
    ]
    with suppress(AssertionError):
        eventually(lambda: _held(world, numbers), seconds=3.0)
    killed += _resolve(world, rng, numbers)
    return f"commands killed between their commits: {sum(killed)} of {len(killed)}, order {order}"


def _draw(world: World) -> list[tuple[str, str]]:
    """Number and provider of each line. Some are refused at first, some in doubt: TimePay's are held then."""
    first = 3_000_000 + len(world.ordered)
    numbers = [(f"+1415{first + n}", KINDS[n % len(KINDS)]) for n in range(LINES)]
    for n, (number, kind) in enumerate(numbers):
        fault = ("error_before", "refuse", "error_after")[n * 3 // LINES]
        world.shop.plan(kind, fault, number=number)
    world.ordered |= {number for number, _ in numbers}
    return numbers


def _submit(world: World, rng: random.Random, numbers: Sequence[tuple[str, str]], *, whole: bool = False) -> str | None:
    """The order's id; None where the command was killed."""
    file = world.folder / "order.csv"
    file.write_text("\n".join(["number,provider", *map(",".join, numbers)]) + "\n")
    dies_after = 0 if whole else rng.randint(1, COMMITS)
    done = world.command("order", "submit", str(file), "--json", dies_after=dies_after)
    return None if _dies(done) else str(json.loads(done.stdout)["order_id"])


def _give_up(world: World) -> None:
    """Have the time pass after which workers give up an order that nobody loads any more."""
    patience = world.clock() - LOADING_PATIENCE - timedelta(seconds=1)
    left = (ORDER.c.status == OrderStatus.LOADING, ORDER.c.idempotency_key.is_(None))
    with world.desk, world.database.write() as conn:
        conn.execute(update(ORDER).where(*left).values(updated_at=patience))


def _resolve(world: World, rng: random.Random, numbers: Sequence[tuple[str, str]]) -> list[bool]:
    """A person looks at the provider, and says what they saw; killed first, and then again for what is left."""
    killed = []
    for dies_after in (rng.randint(1, 2), 0):
        # In this order: what is held is not called for any more, and what is not may be charged meanwhile.
        held = _held(world, numbers)
        charged = {charge["number"] for charge in world.shop.charges()}
        verdicts = {
            "--retry": [row["id"] for row in held if row["number"] not in charged],
            "--bought": [row["id"] for row in held if row["number"] in charged],
        }
        for verdict, ids in verdicts.items():
            if ids:
                killed.append(_dies(world.command("purchase", "resolve", *ids, verdict, dies_after=dies_after)))
    return killed


def _held(world: World, numbers: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Purchases of these orders that wait for a person, where the provider cannot be asked."""
    at = PURCHASE.c
    wanted = (at.number.in_([number for number, _ in numbers]), at.status == Status.HELD, at.provider == "timepay")
    mine = select(LINE.c.purchase_id)
    with world.database.read() as conn:
        return [dict(row) for row in conn.execute(select(PURCHASE).where(*wanted, at.id.in_(mine))).mappings()]


def _dies(done: Done) -> bool:
    assert done.status in ENDS, done
    assert "a bug" not in done.stderr, done
    return done.status == DYING
