"""`dialstock provider check`: calls that cost nothing, and what each answer proves about the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.outcomes import Check, Outcome, OutcomeKind
from tasks.providers.adapter import ProviderError, SearchQuery


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One free call: what its success proves, and what to mend where the provider says 404 or refuses it.

    A Check that the call returns is its line, which proves a token only where it tells of something. One that is not
    `needed` to buy fails nothing by not being told.
    """

    name: str
    call: Callable[[], Any]
    proves: str
    mend: str
    needed: bool = True


def standard_probes(
    listed: Probe,
    search: Callable[[SearchQuery], object],
    *,
    prefix: str = "",
) -> list[Probe]:
    """List what is *listed*, then *search* for one number, by *prefix* where one is needed."""
    found = Probe(
        name="search",
        call=lambda: search(SearchQuery(prefix=prefix, limit=1)),
        proves="numbers for sale are found",
        mend="check base_url",
    )
    return [listed, found]


def run_probes(base_url: str, probes: Sequence[Probe]) -> list[Check]:
    """The connection and the token as the answers tell, then a line for each probe; ends where no further can work."""
    checks: list[Check] = []
    for probe in probes:
        failure, line = _ask(probe)
        if not checks:
            checks.append(_connection(base_url, failure))
            if not checks[0].ok:
                break
        proven = failure is None and (line is None or line.ok is not None)
        if proven and not any(check.name == "token" for check in checks):
            checks.append(Check(name="token", ok=True, message="is accepted"))
        checks.append(line or _line(probe, failure))
        if checks[-1].name in ("token", "account"):
            break
    return checks


def _ask(probe: Probe) -> tuple[Outcome | None, Check | None]:
    try:
        found = probe.call()
    except ProviderError as exc:
        return exc.outcome, None
    return None, found if isinstance(found, Check) else None


def _connection(base_url: str, failure: Outcome | None) -> Check:
    if failure is None or failure.http_status is not None:
        return Check(name="connection", ok=True, message=f"{base_url} answers")
    if failure.held_back:
        return Check(name="connection", ok=False, message=f"not asked: {failure.error}: try again later")
    return Check(name="connection", ok=False, message=f"{failure.error}: check base_url, now {base_url}")


def _line(probe: Probe, failure: Outcome | None) -> Check:
    if failure is None:
        return Check(name=probe.name, ok=True, message=probe.proves)
    if not probe.needed:
        return Check(name=probe.name, ok=None, message=f"not told: {failure.error}")
    if failure.http_status in (401, 403):
        return Check(name="token", ok=False, message=f"{failure.error}: check the token and its rights")
    if failure.kind is OutcomeKind.ACCOUNT:
        mend = f"{probe.mend}, or " if failure.http_status == 404 else ""
        return Check(name="account", ok=False, message=f"{failure.error}: {mend}settle it in the provider's dashboard")
    if (
        failure.held_back
        or failure.kind is OutcomeKind.THROTTLED
        or failure.http_status is None
        or failure.http_status >= 500
    ):
        return Check(name=probe.name, ok=False, message=f"{failure.error}: try again later")
    return Check(name=probe.name, ok=False, message=f"{failure.error}: {probe.mend}")
