"""The audit: what a provider says we own against what the table says, both ways. At the provider it only reads.

One walk through the provider's list, paced like every look-up; the table is read after it, so that what was bought
meanwhile is no difference. What seems to be missing is asked for in a second walk: a list that shrinks while it is
walked can hide an entry between two pages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from schemas.config.policy import Policy
from schemas.outcomes import LookKind
from schemas.settling import Finding, FindingKind
from schemas.status import Status
from tasks.audit.walk_owned import Progress, walk
from tasks.chunks import chunks
from tasks.ledger.audit import differences, ids
from tasks.ledger.audit import findings as settling
from tasks.ledger.audit.differences import Walks
from tasks.ledger.calls import looks
from tasks.ledger.resolve import Settler
from tasks.ledger.rows import Row
from tasks.orders import CHUNK, complete_finished
from tasks.policies.watched_time import ALWAYS, Watch
from tasks.pools import stock
from tasks.provider_reaction import react_to_looks
from tasks.providers.adapter import Known
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import PATIENCE, Turns
from tasks.runtime import Binding, Runtime


class NothingLeft(Exception):
    """The provider shows none of the purchases that it must show: more likely a wrong token than a loss of all."""


class NotCharged(ValueError):
    """A number that was not found to be charged twice, or that waits for something else first."""


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

    def without(self, settled: Collection[Finding]) -> Report:
        """The same but for what is settled by now."""
        keys = {finding.key for finding in settled}
        return replace(self, findings=[one for one in self.findings if one.key not in keys])


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
    watch, shows_within = runtime.watched(), binding.policy.reconcile_after[-1]
    walks = Walks(
        provider=binding.alias,
        account=binding.account,
        began=watch.now,
        shows_by=ALWAYS if watch.was_set_within(shows_within) else watch.now - timedelta(seconds=shows_within),
        settles_by=_settles_by(binding.policy, watch),
        clock_set_at=watch.since if watch.was_set else None,
        last=walk(runtime, binding, progress, stopping),
    )
    report = _compared(runtime, walks)
    if not report.of(FindingKind.MISSING, FindingKind.ABSENT):
        return report
    again = walk(runtime, binding, progress, stopping)
    return _compared(runtime, replace(walks, last=again, earlier=walks.last))


def _settles_by(policy: Policy, watch: Watch) -> datetime | None:
    """When the last call of a held purchase must have been over; None where the policy leaves it to a person.

    A clock that is set ahead can only spare what is left of settle_after: each look has kept its distance, and this
    process has watched for as long as the last one once more.
    """
    watched = watch.seconds >= policy.reconcile_after[-1]
    machine = policy.settle_after > 0 and policy.on_unknown == "reconcile"
    return watch.now - timedelta(seconds=policy.settle_after) if watched and machine else None


def proves_absence(runtime: Runtime, report: Report, called: Collection[str] = ()) -> bool:
    """Whether the list shows any of ours: one that shows none, or has none to show, is as likely another account's.

    What was *called* for may be ours too: of several such numbers it must show one.
    """
    with runtime.database.read() as conn:
        bought = settling.count_purchased(conn, report.walks.account, report.walks.shows_by)
    shown = any(map(report.walks.showed, called))
    if len(called) > 1 and not shown:
        return False
    if bought:
        return bought > len(report.of(FindingKind.MISSING))
    return shown or bool(report.of(FindingKind.EVIDENCE))


def adopt(runtime: Runtime, binding: Binding, report: Report, by: str) -> Settlement:
    """Have a purchase stand for each orphan, settle the purchases that are ours after all, and take in numbers' ids."""
    settled = []
    usable = [one for one in report.of(FindingKind.ORPHAN) if one.usable]
    for chunk in chunks(usable, CHUNK):
        adopted = _adopt(runtime, report.walks, chunk, by)
        settled += [one for one in chunk if one.number in adopted]
    for chunk in chunks(report.of(FindingKind.EVIDENCE), CHUNK):
        settled += _take_evidence(runtime, binding, report.walks, chunk, by)
    for nameless in chunks(ids.nameless(runtime.database.read, report.walks), CHUNK):
        runtime.database.run(partial(ids.take_ids, ids=nameless, walks=report.walks, now=runtime.now()))
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
    """Mark purchases as released whose number the provider does not show, asked for them once more.

    Raises NothingLeft where it shows none of ours, unless *all_gone*.
    """
    missing = report.of(FindingKind.MISSING)
    if missing and not all_gone and not proves_absence(runtime, report):
        raise NothingLeft
    settled = []
    for gone in gone_among(runtime, binding, missing, progress):
        released = _release(runtime, report.walks, gone, by)
        settled += [one for one in gone if one.purchase_id in released]
    complete_finished(runtime)
    return _settlement(report, settled, FindingKind.MISSING)


def settle_charged_twice(runtime: Runtime, report: Report, numbers: Sequence[str], by: str, note: str) -> Settlement:
    """Tell no more of numbers that were charged twice: a person settled them with the provider; *note* says how.

    Raises NotCharged, before anything is changed, where one of *numbers* is not among those that can be settled.
    """
    twice = {one.number: one for one in report.of(FindingKind.CHARGED_TWICE)}
    for number in numbers:
        if number not in twice:
            raise NotCharged(f"{number} is not among what was found to be charged twice")
        if twice[number].status != Status.PURCHASED:
            raise NotCharged(f"{number} is {twice[number].status or 'unknown'} here: settle that first")

    wanted = [twice[number] for number in dict.fromkeys(numbers)]
    settled = runtime.database.run(
        lambda conn: settling.settle_charged_twice(conn, wanted, report.walks.account, _settler(runtime, by), note)
    )
    return _settlement(report, settled, FindingKind.CHARGED_TWICE)


def _compared(runtime: Runtime, walks: Walks) -> Report:
    return Report(walks=walks, findings=differences.compare(runtime.database.read, walks))


def _settler(runtime: Runtime, by: str) -> Settler:
    return Settler(by=by, now=runtime.now())


def _adopt(runtime: Runtime, walks: Walks, orphans: Sequence[Finding], by: str) -> set[str]:
    rows = runtime.database.run(lambda conn: settling.adopt(conn, orphans, _settler(runtime, by), walks))
    return {row["number"] for row in rows}


def _take_evidence(
    runtime: Runtime, binding: Binding, walks: Walks, evidence: Sequence[Finding], by: str
) -> list[Finding]:
    poll_every = binding.policy.poll_every
    return runtime.database.run(
        lambda conn: settling.take_evidence(conn, evidence, _settler(runtime, by), walks, poll_every=poll_every)
    )


def gone_among(
    runtime: Runtime,
    binding: Binding,
    findings: Sequence[Finding],
    progress: Progress = lambda _: None,
    *,
    called: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[list[Finding]]:
    """The last word before numbers may be bought again: by chunks, those that a look finds not to be ours.

    *called* are our names of further calls to buy them, by number.
    """
    for chunk in chunks(findings, CHUNK if binding.adapter.lookup == "by_list" else 1):
        yield _gone(runtime, binding, chunk, progress, called or {})


def _gone(
    runtime: Runtime,
    binding: Binding,
    findings: Sequence[Finding],
    progress: Progress,
    called: Mapping[str, Sequence[str]],
) -> list[Finding]:
    numbers = _known(runtime, binding, findings, called)
    with in_turn(Turns(runtime=runtime, binding=binding, first=PATIENCE)):
        answers = binding.adapter.look(numbers)
    react_to_looks(runtime, binding, answers.values())
    progress(len(findings))
    return [one for one in findings if _is_gone(one, answers[one.number].kind)]


def _known(
    runtime: Runtime, binding: Binding, findings: Sequence[Finding], called: Mapping[str, Sequence[str]]
) -> dict[str, Known]:
    """Of what may never have been bought the calls are told too: an order that is not delivered yet is in no list.

    What was bought is asked for by the list alone, as its order stands there as delivered for ever.
    """
    ids = {one.number: next(iter(one.provider_number_ids), None) for one in findings}
    if not binding.adapter.keeps_reference:
        return {number: Known(number_id=number_id) for number, number_id in ids.items()}
    doubtful = {one.purchase_id: one.number for one in findings if one.kind is FindingKind.ABSENT and one.purchase_id}
    with runtime.database.read() as conn:
        found = {doubtful[key]: names for key, names in looks.references(conn, list(doubtful)).items()}
    return {
        number: Known(number_id=number_id, references=(*called.get(number, ()), *found.get(number, ())))
        for number, number_id in ids.items()
    }


def _is_gone(finding: Finding, said: LookKind) -> bool:
    """What the provider gave up on after it took the order may have been paid for: that is a person's to say."""
    given_up = said is LookKind.LOST and finding.kind is FindingKind.MISSING
    return given_up or said in (LookKind.ABSENT, LookKind.REFUSED)


def release(conn: Connection, missing: Sequence[Finding], settler: Settler, shows_by: datetime) -> list[Row]:
    """Mark purchases as released whose number is not ours any more, and take it out of its pool. Returns them."""
    rows = settling.release_missing(conn, missing, settler, shows_by)
    for row in rows:
        stock.gone(conn, row["id"], settler.now)
    return rows


def _release(runtime: Runtime, walks: Walks, gone: Sequence[Finding], by: str) -> set[str]:
    rows = runtime.database.run(lambda conn: release(conn, gone, _settler(runtime, by), walks.shows_by))
    return {row["id"] for row in rows}


def _settlement(report: Report, settled: list[Finding], *kinds: FindingKind) -> Settlement:
    return Settlement(settled=settled, left=report.without(settled).of(*kinds))
