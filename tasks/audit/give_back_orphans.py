"""Orphans that a person names are given back: numbers that the provider shows as ours, and nothing here knows of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from schemas.requests import RequestError
from schemas.settling import Finding, FindingKind
from tasks.audit.compare import NothingLeft, Report
from tasks.ledger.audit import findings
from tasks.ledger.releases.asking import Asked, Asking
from tasks.ledger.resolve import Settler
from tasks.releases import giving_back
from tasks.runtime import Binding, Runtime


class NotOrphan(ValueError):
    """A number that cannot be given back as an orphan, and why."""


def named(runtime: Runtime, binding: Binding, report: Report, numbers: Sequence[str]) -> list[Finding]:
    """The orphans of these numbers; a list of another account's numbers would show nothing but orphans.

    Raises NotOrphan, and NothingLeft where the list shows none of what was bought.
    """
    kind = runtime.kinds[binding.alias]
    if not kind.releases:
        raise NotOrphan(f"{binding.alias} has no call that gives a number back: {kind.portal}")
    with runtime.database.read() as conn:
        bought = findings.count_purchased(conn, binding.account, report.walks.shows_by)
    if bought and bought <= len(report.of(FindingKind.MISSING)):
        raise NothingLeft
    orphans = {one.number: one for one in report.of(FindingKind.ORPHAN)}
    return [_one(number, orphans) for number in dict.fromkeys(numbers)]


def give_back(runtime: Runtime, report: Report, orphan: Finding, by: str) -> Asked:
    """Have a purchase stand for an orphan of *report*, and its number given back like any other: both, or neither.

    Raises RequestError, also where somebody asked for the number meanwhile.
    """

    def accept(conn: Connection) -> Asked:
        rows = findings.adopt(conn, [orphan], Settler(by=by, now=runtime.now()), report.walks)
        if not rows:
            message = f"number: {orphan.number} was asked for, or given back, meanwhile: it is left"
            raise RequestError(message, "asked_for")
        return giving_back.ask_within(conn, runtime, rows[0], Asking(by=by))

    return runtime.database.run(accept)


def _one(number: str, orphans: dict[str, Finding]) -> Finding:
    orphan = orphans.get(number)
    if orphan is None:
        raise NotOrphan(f"{number} is not among what is owned and unknown here: see `dialstock release` for the rest")
    if not orphan.usable:
        raise NotOrphan(f"{number} is still set up by the provider: wait until it is")
    if len(orphan.provider_number_ids) != 1:
        shown = ", ".join(orphan.provider_number_ids) or "none"
        raise NotOrphan(f"{number} is shown under not one id, but {shown}: see at the provider which is whose")
    return orphan
