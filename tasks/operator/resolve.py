"""Held purchases settled by a person: all that are asked for, or none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from schemas.numbering.numbers import digits_only
from schemas.settling import Verdict
from schemas.status import Status
from tasks.chunks import chunks
from tasks.ledger import resolve as ledger
from tasks.ledger.resolve import Resolution, Settler
from tasks.ledger.rows import Row
from tasks.orders import CHUNK, complete_finished
from tasks.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """One purchase that cannot be settled, and why."""

    resolution: Resolution
    message: str


class ResolveError(ValueError):
    """Purchases that cannot be settled; nothing was changed."""

    def __init__(self, problems: Sequence[Unsettled]) -> None:
        super().__init__("; ".join(problem.message for problem in problems[:3]))
        self.problems = tuple(problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """One purchase as it stands after a person settled it."""

    purchase_id: str
    number: str
    provider: str
    status: Status
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What came of it: the purchases as they are now, and those that somebody else settled meanwhile."""

    settled: list[Settled] = field(default_factory=list)
    moved: list[Resolution] = field(default_factory=list)


def check(runtime: Runtime, wanted: Sequence[Resolution]) -> dict[str, str]:
    """The version of each purchase. Raises ResolveError where any is named twice, does not exist or is not held."""
    problems = [*_named_twice(wanted)]
    versions: dict[str, str] = {}
    for chunk in chunks(wanted, CHUNK):
        with runtime.database.read() as conn:
            found = ledger.standing(conn, [one.purchase_id for one in chunk])
        for one in chunk:
            row = found.get(one.purchase_id)
            versions[one.purchase_id] = "" if row is None else row["version"]
            if message := _problem(one, row):
                problems.append(Unsettled(resolution=one, message=message))
    if problems:
        raise ResolveError(problems)
    return versions


def resolve(
    runtime: Runtime,
    wanted: Sequence[Resolution],
    by: str,
    progress: Callable[[int], object] = lambda _: None,
    *,
    spend: Callable[[Mapping[tuple[str, str], int]], object] = lambda _: None,
) -> Resolved:
    """Settle held purchases, by chunks, once all of them were checked. Their orders are told at the end.

    *spend* is told before anything is changed how many are bought again for each alias and account. Raises ResolveError
    before that. A purchase that moved after the check is left as it is.
    """
    versions = check(runtime, wanted)
    spend(_again(runtime, wanted))
    done = Resolved()
    for chunk in chunks(wanted, CHUNK):
        settling = partial(_resolve, runtime=runtime, chunk=chunk, versions=versions, by=by)
        rows = runtime.database.run(settling)
        verdicts = {one.purchase_id: one.verdict for one in chunk}
        done.settled.extend(_settled(row, verdicts.pop(row["id"])) for row in rows)
        done.moved.extend(one for one in chunk if one.purchase_id in verdicts)
        progress(len(chunk))
    complete_finished(runtime)
    return done


def _again(runtime: Runtime, wanted: Sequence[Resolution]) -> Counter[tuple[str, str]]:
    again: Counter[tuple[str, str]] = Counter()
    for chunk in chunks([one.purchase_id for one in wanted if one.verdict is Verdict.RETRY], CHUNK):
        with runtime.database.read() as conn:
            found = ledger.sold_by(conn, chunk)
        for (alias, account), many in found.items():
            again[runtime.seller(alias, account), account] += many
    return again


def _resolve(
    conn: Connection, *, runtime: Runtime, chunk: Sequence[Resolution], versions: Mapping[str, str], by: str
) -> list[Row]:
    return ledger.resolve(conn, chunk, versions, Settler(by=by, now=runtime.now()), runtime.seller)


def _settled(row: Row, verdict: Verdict) -> Settled:
    return Settled(
        purchase_id=row["id"],
        number=row["number"],
        provider=row["provider"],
        status=Status(row["status"]),
        verdict=verdict,
    )


def _named_twice(wanted: Sequence[Resolution]) -> list[Unsettled]:
    counts = Counter(one.purchase_id for one in wanted)
    first: dict[str, Resolution] = {}
    problems = []
    for one in wanted:
        if counts[one.purchase_id] > 1 and first.setdefault(one.purchase_id, one) is not one:
            message = f"purchase {one.purchase_id} is named twice: keep one decision for it"
            problems.append(Unsettled(resolution=one, message=message))
    return problems


def _problem(one: Resolution, row: Row | None) -> str | None:
    if row is None:
        return f"there is no purchase {one.purchase_id}: `dialstock purchase list --status held` shows what waits"
    if one.number is not None and re.sub("[^0-9]", "", one.number) != digits_only(row["number"]):
        beside = f"purchase {one.purchase_id} is of {row['number']}, and beside it stands {one.number[:60]!r}"
        return f"{beside}: was the table sorted in part, or the number computed?"
    if row["status"] != Status.HELD:
        return f"purchase {one.purchase_id} is {row['status']}: only a held purchase can be settled by a person"
    return _outdated(one, row)


def _outdated(one: Resolution, row: Row) -> str | None:
    """Why a decision that was written into a file may be one on what the purchase was before its last call."""
    mend = "look at the provider again, and decide in a new export, or name it by its id on the command line"
    if one.version is not None and one.version != row["version"]:
        return f"purchase {one.purchase_id} has moved on since this was exported, and may have been called for: {mend}"
    if one.line is not None and one.version is None and row["again"]:
        why = "was bought again after an earlier decision, and no version tells that this one is not older"
        return f"purchase {one.purchase_id} {why}: {mend}"
    return None
