"""The scheduled audit: by one worker at a time, who loses it when it dies, and tells of each finding once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from redis.exceptions import RedisError
from sqlalchemy import Connection

from schemas.settling import Finding, FindingKind
from tasks.audit.compare import Report, audit, gone_among, proves_absence
from tasks.chunks import chunks
from tasks.ledger.audit import findings, ids, runs
from tasks.ledger.audit.differences import Walks
from tasks.ledger.resolve import Settler
from tasks.orders import CHUNK
from tasks.providers.adapter import ProviderError
from tasks.reading_turns import Stopped
from tasks.renewed_claim import renewed
from tasks.runtime import Binding, Runtime
from tasks.telemetry.log_fields import about_provider

T = TypeVar("T")

log = logging.getLogger(__name__)

BY_MACHINE = "audit"
"""Who settled what the scheduled audit settled."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """An audit that this worker has claimed; `lost` is set once another took its place."""

    runtime: Runtime
    binding: Binding
    began: datetime
    lost: threading.Event = field(default_factory=threading.Event)

    def write(self, action: Callable[[Connection], T]) -> T:
        """What *action* returns in a transaction in which the audit is still ours, once that is committed.

        Raises Stopped where another took its place.
        """

        def ours(conn: Connection) -> T:
            if not runs.renew(conn, self.binding.account, self.began, self.runtime.now()):
                raise Stopped
            return action(conn)

        return self.runtime.database.run(ours)

    def renew(self) -> None:
        """Keep the audit, or stop it where another took its place: this process stood still for too long."""
        try:
            self.write(lambda _: None)
        except Stopped:
            self.lost.set()

    def tell(self, conn: Connection, found: Sequence[Finding], now: datetime, *, settled: bool = False) -> int:
        """Write down and tell of what is new, and return how many that are."""
        account, alias = self.binding.account, self.binding.alias
        return findings.tell(conn, found, account=account, alias=alias, now=now, settled=settled)

    def end(self, owned: int | None, error: str | None) -> None:
        """Write down how it went, unless another took its place."""
        now, of = self.runtime.now(), self.binding
        self.runtime.database.run(
            lambda conn: runs.end(conn, of.account, of.policy, began=self.began, now=now, owned=owned, error=error)
        )


def audited(runtime: Runtime) -> Iterator[Binding]:
    """Who is audited by schedule: each that shows what it sold, unless its policy says never."""
    return (one for one in runtime.providers.values() if one.policy.audit_every and one.adapter.lookup != "none")


def scheduled(runtime: Runtime, alias: str, stopping: Callable[[], bool] = lambda: False) -> int | None:
    """Audit a provider where its account is due. Evidence and absence are settled, everything else told of, once.

    Returns how many findings are new, None where there was nothing to do, the list could not be read, or another
    worker took over while this one stood still.
    """
    binding = runtime.providers.get(alias)
    if binding is None or binding.adapter.lookup == "none" or not binding.policy.audit_every:
        return None
    run = _Run(runtime=runtime, binding=binding, began=runtime.now())
    if not runtime.database.run(lambda conn: runs.claim(conn, binding.account, alias, run.began)):
        return None
    return _audit(run, stopping)


def _audit(run: _Run, stopping: Callable[[], bool]) -> int | None:
    """Make the audit that was claimed, and write down how it went."""
    runtime, binding, alias = run.runtime, run.binding, run.binding.alias
    try:
        with renewed(runs.LEASE.total_seconds() / 3, run.renew):
            report = audit(runtime, binding, stopping=lambda: run.lost.is_set() or stopping())
            new = _conclude(run, report)
    except Stopped:
        log.info("the audit of %s is left to another worker", alias, extra=about_provider(alias))
        runtime.database.run(lambda conn: runs.give_back(conn, binding.account, run.began))
        return None
    except (ProviderError, RedisError) as exc:
        log.warning("the audit of %s could not be done: %s", alias, exc, extra=about_provider(alias))
        run.end(None, str(exc))
        return None
    except Exception as exc:
        # Else it would be taken for dead, and done again every minute.
        run.end(None, type(exc).__name__)
        raise
    run.end(report.owned, None)
    return new


def _conclude(run: _Run, report: Report) -> int:
    """Settle evidence and absence, take ids that were not told, tell of what is new, and forget what is gone."""
    new = _fail_absent(run, report)
    for chunk in chunks(report.of(FindingKind.EVIDENCE), CHUNK):
        new += run.write(partial(_take_evidence, run, report.walks, chunk))
    for nameless in chunks(ids.nameless(run.runtime.database.read, report.walks), CHUNK):
        run.write(partial(_take_ids, run, report.walks, nameless))
    stands = report.of(FindingKind.ORPHAN, FindingKind.MISSING, FindingKind.CHARGED_TWICE)
    with run.runtime.database.read() as conn:
        before = findings.open_findings(conn, run.binding.account)
    for chunk in chunks([one for one in stands if one.key not in before], CHUNK):
        new += run.write(partial(_tell, run, chunk))
    keys = {one.key for one in stands}
    for gone in chunks([key for key in before if key not in keys], CHUNK):
        run.write(partial(_forget, run, [before[key] for key in gone]))
    return new


def _take_ids(run: _Run, walks: Walks, nameless: Sequence[str], conn: Connection) -> None:
    ids.take_ids(conn, nameless, walks, run.runtime.now())


def _tell(run: _Run, found: Sequence[Finding], conn: Connection) -> int:
    return run.tell(conn, found, run.runtime.now())


def _forget(run: _Run, gone: Sequence[str], conn: Connection) -> None:
    findings.resolve_findings(conn, gone, run.runtime.now())


def _fail_absent(run: _Run, report: Report) -> int:
    """Fail what was held though nothing says that it was bought. By number, where it can be, it is asked for again."""
    absent = report.of(FindingKind.ABSENT)
    if absent and not proves_absence(run.runtime, report):
        log.warning("the list of %s shows none of ours: what is held stays so", run.binding.alias)
        return 0
    failed = 0
    for gone in gone_among(run.runtime, run.binding, absent):
        failed += run.write(partial(_fail, run, report, gone))
    return failed


def _fail(run: _Run, report: Report, absent: Sequence[Finding], conn: Connection) -> int:
    settler = Settler(by=BY_MACHINE, now=run.runtime.now())
    failed = findings.fail_absent(conn, absent, settler, report.walks)
    run.tell(conn, failed, settler.now, settled=True)
    return len(failed)


def _take_evidence(run: _Run, walks: Walks, evidence: Sequence[Finding], conn: Connection) -> int:
    settler = Settler(by=BY_MACHINE, now=run.runtime.now())
    taken = findings.take_evidence(conn, evidence, settler, walks, poll_every=run.binding.policy.poll_every)
    run.tell(conn, taken, settler.now, settled=True)
    return len(taken)
