"""What happened to a number with which a promise was broken: its charges, calls and changes of status, by time."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.world import World

Row = Mapping[str, Any]


def story(
    world: World,
    suspects: Collection[tuple[str, str]],
    purchases: Sequence[Row],
    attempts: Sequence[Row],
    history: Mapping[str, Sequence[tuple[str, str, datetime]]],
) -> list[str]:
    """Lines for each of *suspects*, a provider and a number. Charges are told by the sandbox's clock, which is never
    set; all else by the database's, which is ahead by what the last line says.
    """
    lines = []
    for kind, number in sorted(suspects):
        mine = [row for row in purchases if (row["provider"], row["number"]) == (kind, number)]
        moments = [*_charges(world, kind, number)]
        for row in mine:
            moments += _calls(row, [one for one in attempts if one["purchase_id"] == row["id"]])
            moments += [(at, f"{row['id']}: {before} -> {after}") for before, after, at in history.get(row["id"], ())]
        lines += [f"  {at.astimezone(UTC).time()}  {kind} {number}: {text}" for at, text in sorted(moments)]
    return [*lines, f"  the database's clock is ahead by {world.clock.ahead:g} s"] if lines else []


def _charges(world: World, kind: str, number: str) -> Iterator[tuple[datetime, str]]:
    for charge in world.shop.charges(kind):
        if charge["number"] == number:
            yield datetime.fromisoformat(charge["at"]), f"charged by call {charge['call']}"
    for call in world.shop.calls(kind):
        if number in call["numbers"]:
            ago = timedelta(seconds=time.monotonic() - call["monotonic"])
            yield datetime.now(UTC) - ago, f"call {call['call']} came in, answered {call['status']}"


def _calls(row: Row, attempts: Sequence[Row]) -> Iterator[tuple[datetime, str]]:
    for one in attempts:
        yield one["started_at"], f"{row['id']}: call at revision {one['revision']}, by {one['deadline'].time()}"
        if one["ended_at"] is not None:
            said = f"{one['outcome']} {one['error_code'] or ''} {one['detail'] or ''}"
            yield one["ended_at"], f"{row['id']}: of revision {one['revision']}: {said}"
    yield row["updated_at"], f"{row['id']}: is {row['status']} ({row['error_code']}: {row['error']})"
