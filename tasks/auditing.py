"""The audit: what a provider says we own against what the table says, both ways. At the provider it only reads.

One walk through the provider's list, paced like every look-up; the table is read after it, so that what was bought
meanwhile is no difference. What seems to be missing is asked for in a second walk: a list that shrinks while it is
walked can hide an entry between two pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from redis.exceptions import RedisError
from sqlalchemy import Connection

from schemas.outcomes import LookKind
from schemas.settling import Finding, FindingKind
from tasks.ledger import audit as ledger
from tasks.ledger import findings as settling
from tasks.ledger.accept import with_retry
from tasks.ledger.audit import Shown, Walks
from tasks.ledger.resolve import Settler
from tasks.orders import CHUNK, chunks, complete_finished
from tasks.policies.pace import HORIZON, Later, looking_lane
from tasks.providers.base import ProviderError
from tasks.runtime import Binding, Runtime

log = logging.getLogger(__name__)

BY_MACHINE = "audit"
"""Who settled what the scheduled audit settled."""

Progress = Callable[[int], object]


class Stopped(Exception):
    """The audit was told to stop half way; it found nothing."""


class NothingLeft(Exception):
    """The provider shows none of the purchases that it must show: more likely a wrong token than a loss of all."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an audit found."""

    walks: Walks
    findings: list[Finding]

    @property
    def owned(self) -> int:
        """How many numbers the provider showed."""
        return len(self.walks.last.ids)

    def of(self, *kinds: FindingKind) -> list[Finding]:
        """The findings of these kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What was done about a report: the findings that were settled, and those that are left."""

    settled: list[Finding] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)


def audit(
    runtime: Runtime,
    binding: Binding,
    progress: Progress = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Report:
    """Compare; change nothing. *progress* is told how many more numbers were shown.

    Raises ProviderError where the provider did not show its whole list, redis.RedisError while Redis is away,
    Stopped, and Unsupported where the provider has no list.
    """
    began = runtime.now()
    walks = Walks(
        provider=binding.alias,
        account=binding.account,
        began=began,
        shows_by=began - timedelta(seconds=binding.policy.reconcile_after[-1]),
        last=_walk(runtime, binding, progress, stopping),
    )
    report = _compared(runtime, walks)
    if not report.of(FindingKind.MISSING):
        return report
    again = _walk(runtime, binding, progress, stopping)
    return _compared(runtime, replace(walks, last=again, earlier=walks.last))


def adopt(runtime: Runtime, binding: Binding, report: Report, by: str) -> Settlement:
    """Have a purchase stand for each orphan, and settle the purchases that are ours after all."""
    settled = []
    usable = [one for one in report.of(FindingKind.ORPHAN) if one.usable]
    for chunk in chunks(usable, CHUNK):
        adopted = with_retry(lambda chunk=chunk: _adopt(runtime, binding, chunk, by))  # type: ignore[misc]
        settled += [one for one in chunk if one.number in adopted]
    for chunk in chunks(report.of(FindingKind.EVIDENCE), CHUNK):
        settled += _take_evidence(runtime, binding, chunk, by, tell=False)
    complete_finished(runtime)
    return _settlement(report, settled, FindingKind.ORPHAN, FindingKind.EVIDENCE)


def mark_released(
    runtime: Runtime,
    binding: Binding,
    report: Report,
    by: str,
    *,
    all_gone: bool = False,
    progress: Progress = lambda _: None,
) -> Settlement:
    """Mark purchases as released whose number the provider does not show, asked by number once more where it can be.

    Raises NothingLeft where it shows none of several purchases, unless *all_gone*.
    """
    missing = report.of(FindingKind.MISSING)
    if len(missing) > 1 and not all_gone:
        with runtime.database.read() as conn:
            bought = settling.count_purchased(conn, report.walks.account, report.walks.shows_by)
        if bought <= len(missing):
            raise NothingLeft
    settled = []
    for chunk in chunks(missing, CHUNK):
        gone = [one for one in chunk if _is_gone(runtime, binding, one, progress)]
        released = with_retry(lambda gone=gone: _release(runtime, report.walks, gone, by))  # type: ignore[misc]
        settled += [one for one in gone if one.purchase_id in released]
    complete_finished(runtime)
    return _settlement(report, settled, FindingKind.MISSING)


def scheduled(runtime: Runtime, alias: str, stopping: Callable[[], bool] = lambda: False) -> int | None:
    """Audit a provider where its account is due. Evidence is settled, everything else told of, once.

    Returns how many findings are new, None where there was nothing to do or the list could not be read.
    """
    binding = runtime.providers.get(alias)
    if binding is None or binding.adapter.lookup == "none" or not binding.policy.audit_every:
        return None
    began = runtime.now()
    with runtime.database.write() as conn:
        if not settling.claim_run(conn, binding.account, alias, began):
            return None
    try:
        report = audit(runtime, binding, stopping=stopping)
    except Stopped:
        with runtime.database.write() as conn:
            settling.give_back_run(conn, binding.account, began)
        return None
    except (ProviderError, RedisError) as exc:
        log.warning("the audit of %s could not be done: %s", alias, exc)
        _end(runtime, binding, began, None, str(exc))
        return None
    new = _conclude(runtime, binding, report)
    _end(runtime, binding, began, report.owned, None)
    return new


def _walk(runtime: Runtime, binding: Binding, progress: Progress, stopping: Callable[[], bool]) -> Shown:
    shown = Shown()
    told = 0

    def each_page() -> None:
        nonlocal told
        progress(len(shown.ids) - told)
        told = len(shown.ids)
        _wait(runtime, binding, stopping)

    for owned in binding.adapter.owned(each_page):
        shown.add(owned)
    progress(len(shown.ids) - told)
    return shown


def _wait(runtime: Runtime, binding: Binding, stopping: Callable[[], bool]) -> None:
    """Sleep until the next reading call may go. Purchases' own looks take their slots between ours."""
    lane = looking_lane(binding.account, binding.policy)
    while True:
        if stopping():
            raise Stopped
        slot = runtime.pace.reserve(lane)
        runtime.sleep(min(slot.wait, HORIZON))
        if not isinstance(slot, Later):
            return


def _compared(runtime: Runtime, walks: Walks) -> Report:
    with runtime.database.read() as conn:
        return Report(walks=walks, findings=ledger.compare(conn, walks))


def _settler(runtime: Runtime, by: str) -> Settler:
    return Settler(by=by, now=runtime.now())


def _adopt(runtime: Runtime, binding: Binding, orphans: Sequence[Finding], by: str) -> set[str]:
    with runtime.database.write() as conn:
        rows = settling.adopt(conn, orphans, binding.account, _settler(runtime, by))
    return {row["number"] for row in rows}


def _take_evidence(
    runtime: Runtime, binding: Binding, evidence: Sequence[Finding], by: str, *, tell: bool
) -> list[Finding]:
    def take() -> list[Finding]:
        settler = _settler(runtime, by)
        with runtime.database.write() as conn:
            taken = settling.take_evidence(conn, evidence, settler, poll_every=binding.policy.poll_every)
            if tell:
                _tell(conn, binding, taken, settler.now, settled=True)
            return taken

    return with_retry(take)


def _is_gone(runtime: Runtime, binding: Binding, missing: Finding, progress: Progress) -> bool:
    """The last word before a number may be bought again. Where only the list can be asked, two walks said it."""
    progress(1)
    if binding.adapter.lookup != "by_number":
        return True
    _wait(runtime, binding, lambda: False)
    known = missing.provider_number_ids[0] if missing.provider_number_ids else None
    return binding.adapter.look({missing.number: known})[missing.number].kind in (LookKind.ABSENT, LookKind.LOST)


def _release(runtime: Runtime, walks: Walks, gone: Sequence[Finding], by: str) -> set[str]:
    with runtime.database.write() as conn:
        rows = settling.release_missing(conn, gone, _settler(runtime, by), walks.shows_by)
    return {row["id"] for row in rows}


def _settlement(report: Report, settled: list[Finding], *kinds: FindingKind) -> Settlement:
    keys = {one.key for one in settled}
    return Settlement(settled=settled, left=[one for one in report.of(*kinds) if one.key not in keys])


def _conclude(runtime: Runtime, binding: Binding, report: Report) -> int:
    """Settle evidence, tell of what is new, and forget what is gone."""
    new = 0
    for chunk in chunks(report.of(FindingKind.EVIDENCE), CHUNK):
        new += len(_take_evidence(runtime, binding, chunk, BY_MACHINE, tell=True))
    stands = report.of(FindingKind.ORPHAN, FindingKind.MISSING, FindingKind.CHARGED_TWICE)
    with runtime.database.read() as conn:
        before = settling.open_findings(conn, binding.account)
    for chunk in chunks([one for one in stands if one.key not in before], CHUNK):
        with runtime.database.write() as conn:
            new += _tell(conn, binding, chunk, runtime.now())
    keys = {one.key for one in stands}
    for gone in chunks([key for key in before if key not in keys], CHUNK):
        with runtime.database.write() as conn:
            settling.resolve_findings(conn, [before[key] for key in gone], runtime.now())
    return new


def _tell(conn: Connection, binding: Binding, found: Sequence[Finding], now: datetime, *, settled: bool = False) -> int:
    return settling.tell(conn, found, account=binding.account, alias=binding.alias, now=now, settled=settled)


def _end(runtime: Runtime, binding: Binding, began: datetime, owned: int | None, error: str | None) -> None:
    with runtime.database.write() as conn:
        settling.end_run(
            conn, binding.account, binding.policy, began=began, now=runtime.now(), owned=owned, error=error
        )
