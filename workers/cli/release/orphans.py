"""`dialstock audit --release`: numbers that the provider shows, and nothing here knows of, are given back."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.requests import RequestError
from schemas.settling import Finding
from tasks.audit.compare import NothingLeft, Report
from tasks.audit.give_back_orphans import NotOrphan, give_back, named
from tasks.runtime import Binding, Runtime
from workers.cli.release.give_back import ask, show_going
from workers.cli.terminal.output import say
from workers.views.errors import SOME_FAILED, Failure


def give_back_orphans(
    runtime: Runtime, binding: Binding, found: Report, numbers: Sequence[str], by: str, *, yes: bool
) -> list[Finding]:
    """Say what goes, ask, and have it given back. Returns what is on its way. Raises Failure, and typer.Abort."""
    try:
        orphans = named(runtime, binding, found, numbers)
    except NotOrphan as exc:
        raise Failure(f"nothing was changed: {exc}") from exc
    except NothingLeft as exc:
        message = (
            f"{binding.alias} shows none of our purchases, as with the token of another account: nothing was changed"
        )
        raise Failure(message, SOME_FAILED) from exc
    show_going(runtime.config, binding.alias, [one.number for one in orphans], most=len(orphans))
    ask(yes=yes)
    return [one for one in orphans if _goes(runtime, found, one, by)]


def _goes(runtime: Runtime, report: Report, orphan: Finding, by: str) -> bool:
    try:
        give_back(runtime, report, orphan, by)
    except RequestError as exc:
        say(f"Left: {exc}", "yellow")
        return False
    return True
