"""`dialstock audit`: what a provider says we own against what the table says."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from workers.cli.audit.options import ALL_GONE, RELEASE, SETTLE, Asked
from workers.cli.terminal.options import takes
from workers.cli.terminal.output import Meter, emit_json, say, show, show_line
from workers.views.errors import SOME_FAILED, Failure
from workers.views.operator import person
from workers.views.words import count, moment

if TYPE_CHECKING:
    from schemas.settling import Finding
    from tasks.audit.compare import Report
    from tasks.restored_database.go_on import GoingOn
    from tasks.runtime import Binding, Runtime

_WORDS = {
    "orphan": "owned, and unknown here",
    "evidence": "ours after all",
    "missing": "bought, and not shown any more",
    "absent": "held, and not shown",
    "charged_twice": "charged twice",
}


def register(app: typer.Typer) -> None:
    """Add `audit`."""
    app.command()(audit)


@takes(Asked)
def audit(asked: Asked) -> None:
    """Compare what a provider says we own with the table, both ways. At the provider it only reads, but for --release.

    Found are numbers that are owned and unknown here, purchases in doubt or held whose number is ours after all,
    purchases whose number is not shown any more, and numbers that were charged twice. All aliases of the provider's
    account count. A purchase is missing only when it is older than the last look of the policy, and two walks through
    the list do not show it; likewise what is held in doubt after a refusal, a cancel or looks that failed, settle_after
    of the policy after its last call. The status is 1 where anything is left to settle.

    What was charged twice costs money until you have one of the two given back, or refunded, at the provider. Then
    --settle it: who, when and how is shown by `dialstock purchase show`.
    **A number that is given back by --release may be gone for good**, whoever else uses it.

    A bought number whose id its provider told nobody gets it from the list with --adopt: it can be released then.

    After a database went back in time (a restored backup, a promoted replica), --adopt lets the account go on,
    once the list has to show all that was bought: before that it says when to run it again.
    """
    asked, name = asked.checked(), person(asked.by)
    with _ready(asked.provider) as (runtime, binding):
        found = _walk(runtime, binding)
        settled, going = _change(runtime, binding, found, asked, name)
    left = found.without(settled).findings
    _emit(found, settled, left, going) if asked.json else _tell(found, settled, left, going)
    raise typer.Exit(SOME_FAILED if left or (going is not None and not going.settled) else 0)


@contextmanager
def _ready(alias: str) -> Iterator[tuple[Runtime, Binding]]:
    """The runtime with that one provider bound for real. Raises Failure where it has no list."""
    from dataclasses import replace

    from tasks.policies.pace import Pace
    from tasks.watermark import Watermark
    from workers.cli.terminal.context import open_desk
    from workers.views.redis_server import open_redis

    with open_desk(buys=True, only=alias) as desk:
        binding = _bound(desk.runtime, alias)
        providers = {**desk.runtime.providers, alias: binding}
        with open_redis(desk.settings) as client:
            ours = replace(desk.runtime, redis=client, pace=Pace(client), watermark=Watermark(client))
            yield replace(ours, providers=providers), binding


def _bound(runtime: Runtime, alias: str) -> Binding:
    from dataclasses import replace

    from workers.views.desk import known_provider
    from workers.views.providers.asking import adapter_of

    known_provider(runtime.config, alias)
    adapter = adapter_of(runtime.config, alias)
    if adapter.lookup == "none":
        kind = runtime.kinds[alias]
        raise Failure(
            f"{alias} cannot be audited: {kind.name} documents no list of owned numbers: see its dashboard. "
            f"{_word(alias)}"
        )
    return replace(runtime.providers[alias], adapter=adapter)


def _walk(runtime: Runtime, binding: Binding) -> Report:
    from tasks.audit.compare import audit

    with _whole_list(binding), Meter(f"{binding.alias}: numbers shown") as meter:
        return audit(runtime, binding, meter.advance)


@contextmanager
def _whole_list(binding: Binding) -> Iterator[None]:
    """Raises Failure where the provider does not show it."""
    from schemas.outcomes import NOTHING_SHOWN
    from tasks.providers.adapter import ProviderError

    try:
        yield
    except ProviderError as exc:
        message = f"{binding.alias} did not show its whole list, so nothing can be said: {exc}"
        if exc.outcome.error_code == NOTHING_SHOWN:
            message += f". Its dashboard tells whether it owns one. {_word(binding.alias)}"
        raise Failure(message, SOME_FAILED) from exc


def _change(
    runtime: Runtime, binding: Binding, found: Report, asked: Asked, by: str
) -> tuple[list[Finding], GoingOn | None]:
    """Do what was asked for: what is settled by that, and how an account with a lost history goes on."""
    from workers.cli.release.orphans import give_back_orphans

    settled: list[Finding] = []
    if asked.note:
        settled += _settle(runtime, found, asked.settle or [], by, asked.note)
    if asked.mark_released:
        settled += _release(runtime, binding, found, by, all_gone=asked.all_gone)
    # What is marked as released is missing no more: an account may go on by that.
    done, going = _adopt(runtime, binding, found.without(settled), by) if asked.adopt else ([], None)
    settled += done
    if asked.release:
        settled += give_back_orphans(runtime, binding, found, asked.release, by, yes=asked.yes)
    return settled, going


def _adopt(runtime: Runtime, binding: Binding, found: Report, by: str) -> tuple[list[Finding], GoingOn | None]:
    """Take in what is ours, and let go on what the database was behind for."""
    from tasks.audit.compare import adopt
    from tasks.restored_database.go_on import take_in

    done = adopt(runtime, binding, found, by)
    with _whole_list(binding):
        return done.settled, take_in(runtime, binding, found, done, by)


def _settle(runtime: Runtime, found: Report, numbers: Sequence[str], by: str, note: str) -> list[Finding]:
    from tasks.audit.compare import NotCharged, settle_charged_twice

    try:
        return settle_charged_twice(runtime, found, numbers, by, note).settled
    except NotCharged as exc:
        raise Failure(f"nothing was changed: {exc}") from exc


def _release(runtime: Runtime, binding: Binding, found: Report, by: str, *, all_gone: bool) -> list[Finding]:
    from tasks.audit.compare import NothingLeft, mark_released

    try:
        with Meter(f"{binding.alias}: asking once more") as meter:
            return mark_released(runtime, binding, found, by, all_gone=all_gone, progress=meter.advance).settled
    except NothingLeft:
        say(
            f"{binding.alias} shows none of our purchases, as with the token of another account: none was marked. "
            f"Check it; if all of them are gone indeed, add {ALL_GONE}",
            "red",
        )
        return []


def _emit(found: Report, settled: Sequence[Finding], left: Sequence[Finding], going: GoingOn | None) -> None:
    from schemas.events import finding_data

    emit_json(
        {
            "provider": found.walks.provider,
            "account": found.walks.account,
            "began_at": found.walks.began,
            "owned": found.owned,
            "settled": [finding_data(one) for one in settled],
            "findings": [finding_data(one) for one in left],
            "lost_history": None if going is None else asdict(going),
        }
    )


def _tell(found: Report, settled: Sequence[Finding], left: Sequence[Finding], going: GoingOn | None) -> None:
    for findings, words in ((settled, "settled"), (left, "left")):
        for one in findings:
            ids = ", ".join(one.provider_number_ids)
            about = f"{one.status or 'no purchase':<11}  {one.purchase_id or '':<36}  {ids}"
            show_line(f"{words:<7}  {_WORDS[one.kind]:<30}  {one.number:<16}  {about}".rstrip())
    differences = count(len(settled), "difference")
    owned = count(found.owned, "number")
    show(f"{found.walks.provider} shows {owned} of ours: {differences} settled, {len(left):,} left.")
    if left:
        show(_next_step(left))
    if going is not None:
        _tell_going(going, found.walks.provider)


def _tell_going(going: GoingOn, alias: str) -> None:
    """What becomes of an account that the database was behind for."""
    if waits := _waits_for(going, alias):
        show(waits)
    for number in going.given_back:
        show_line(f"lost     {'given back':<30}  {number}")
    for number in going.unclear:
        show_line(f"unclear  {'ours or not':<30}  {number}")
    for number in going.unseen:
        show_line(f"lost     {'called for, and not ours':<30}  {number}")
    if going.aliases:
        show(f"{', '.join(going.aliases)} goes on.")
    elif going.settled:
        show("The database is behind no more. `dialstock provider list` tells what else waits, as for a person.")


def _waits_for(going: GoingOn, alias: str) -> str | None:
    again = f"`dialstock audit {alias} --adopt`"
    if going.audit_at is not None:
        # a scheduled audit lets nothing go on
        stays = f"It stays paused until you run it again after {moment(going.audit_at)}: {again}"
        return f"What was bought may show later. {stays}."
    if going.shows_none:
        return (
            f"It shows none of what was bought or called for, as with another account's token: check it. {_gone(alias)}"
        )
    if going.given_back:
        mark = f"`dialstock audit {alias} --adopt --mark-released`"
        return f"These were given back, and stand here as bought: the account goes on by {mark}."
    if going.unclear:
        return f"The account goes on by {again} once it is clear whether these are ours. {_word(alias)}."
    return None if going.settled else f"The account goes on by {again} once that leaves none of these."


def _word(alias: str) -> str:
    return f"Where the database went back in time, {_by_word(alias)} lets it go on"


def _by_word(alias: str) -> str:
    return f"`dialstock provider resume {alias} --lost-history --reason WHY`"


def _gone(alias: str) -> str:
    audit = f"dialstock audit {alias}"
    return (
        f"If all that was bought is gone indeed, `{audit} --mark-released {ALL_GONE}` says so, and the account goes on "
        f"by `{audit} --adopt` after it; if lost calls bought nothing indeed, {_by_word(alias)} lets it go on."
    )


def _next_step(left: Sequence[Finding]) -> str:
    kinds = {str(one.kind) for one in left}
    steps = []
    if kinds & {"orphan", "evidence"}:
        steps.append("--adopt has purchases stand for what is ours")
    if "orphan" in kinds:
        steps.append(f"{RELEASE} NUMBER gives back what is owned and unknown here")
    if "missing" in kinds:
        steps.append("--mark-released marks what is gone")
    if "absent" in kinds:
        steps.append("the scheduled audit fails what is held and not shown, or `dialstock purchase resolve ID --fail`")
    if "charged_twice" in kinds:
        steps.append(f"what was charged twice is settled with the provider, then here: {SETTLE} NUMBER --note HOW")
    return f"{'; '.join(steps)}."
