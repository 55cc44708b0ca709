"""`dialstock provider check`: many providers at once, each by its own free calls."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.outcomes import Check
from workers.cli.terminal.output import show, working
from workers.views.desk import known_provider
from workers.views.providers.asking import asking, sharing

AT_ONCE = 50
"""Providers that are asked at once: of a thousand threads each would miss its turn."""

_NAMED = 10

_MARKS = {True: ("ok", "green"), False: ("FAIL", "red"), None: ("?", "yellow")}


@dataclass(frozen=True)
class Checks:
    """What was found at one provider."""

    provider: str
    lines: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(line.ok is not False for line in self.lines)

    def document(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"provider": self.provider, "ok": self.ok, "checks": [asdict(line) for line in self.lines]}


def check_providers(config: Config, aliases: Sequence[str]) -> list[Checks]:
    """Check these providers, all where none is named, AT_ONCE of them at once. Raises Failure for an unknown alias."""
    for alias in aliases:
        known_provider(config, alias)
    chosen = list(dict.fromkeys(aliases)) or sorted(config.providers)
    title = f"asking {', '.join(chosen) if len(chosen) <= _NAMED else f'{len(chosen):,} providers'}"
    with working(title), sharing() as redis, ThreadPoolExecutor(min(len(chosen), AT_ONCE)) as pool:
        return list(pool.map(lambda alias: _check(config, alias, redis), chosen))


def show_checks(found: Sequence[Checks]) -> None:
    """One line for each check."""
    width = max(len(one.provider) for one in found)
    for one in found:
        for line in one.lines:
            mark, style = _MARKS[line.ok]
            show(
                f"{one.provider:<{width}}  {mark:<4}  {line.name}: {line.message}",
                style if line.ok is not True else None,
            )


def _check(config: Config, alias: str, redis: Redis | None) -> Checks:
    try:
        with asking(config, alias, redis) as adapter:
            return Checks(alias, tuple(adapter.check()))
    except ConfigError as exc:
        return Checks(alias, (Check(name="token", ok=False, message=str(exc)),))
