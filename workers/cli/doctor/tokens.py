"""Whether providers take the tokens: asked by free calls, for a wrong one shows at the first purchase only."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import ProviderConfig, read_token
from workers.cli.doctor.findings import Finding, fail, ok, warn
from workers.cli.provider.check import AT_ONCE, Checks, check_providers

MOST = AT_ONCE
"""So many providers are asked: nobody waits for a thousand."""

_ACCOUNT = ("token", "account")
_BALANCE = "balance"


def tokens(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """A line for each provider that refuses its token, or could not be asked; one for all where none is wrong.

    And one for each balance that is low. Of more than MOST some are asked, others each time, and a line tells of those
    that were not.
    """
    there = [alias for alias, provider in sorted(config.providers.items()) if _has_token(provider, environ)]
    if not there:
        return
    asked = sorted(random.sample(there, min(len(there), MOST)))
    findings = [finding for found in check_providers(config, asked) for finding in _examine(found)]
    yield from (finding for finding in findings if finding.name == _BALANCE)
    yield from [finding for finding in findings if finding.name != _BALANCE] or [
        ok("tokens", f"no provider refuses its token: {', '.join(asked)}")
    ]
    if left := len(there) - len(asked):
        message = f"{left:,} of {len(there):,} providers were not asked whether they take their tokens"
        yield warn("tokens", message, "ask all: dialstock provider check; or one: dialstock provider check ALIAS")


def _examine(found: Checks) -> Iterator[Finding]:
    mend = f"dialstock provider check {found.provider}"
    for line in found.lines:
        message = f"{found.provider}: {line.name}: {line.message}"
        if line.ok is False and line.name in _ACCOUNT:
            yield fail("tokens", message, f"mend it, then see: {mend}")
        elif line.ok is False and line.name == _BALANCE:
            yield warn(_BALANCE, f"{found.provider}: {line.message}", f"then see: {mend}")
        elif line.ok is False:
            yield warn("tokens", message, f"whether its token is taken is not known: {mend}")


def _has_token(provider: ProviderConfig, environ: Mapping[str, str]) -> bool:
    try:
        return bool(read_token(provider, environ))
    except ConfigError:
        return False  # which is told already
