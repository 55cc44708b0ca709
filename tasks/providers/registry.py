"""The kinds of providers that there are: our own, and those that installed distributions bring along.

A distribution registers its `ProviderKind` under its name in the entry-point group `dialstock.providers`. One that
cannot be used is named with its reason, and stops none of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import SANDBOX_ACCOUNT, ProviderConfig, kind_in
from tasks.providers import bandwidth, bird, fluents, plivo, signalwire, telnyx, timepay, twilio, vogent, vonage
from tasks.providers.adapter import Adapter
from tasks.providers.guard import guarded
from tasks.providers.kind import ProviderKind, problem_of
from tasks.providers.sandbox.api import SandboxApi

ENTRY_POINTS = "dialstock.providers"

_OURS = (
    timepay.KIND,
    fluents.KIND,
    signalwire.KIND,
    vogent.KIND,
    bird.KIND,
    twilio.KIND,
    telnyx.KIND,
    bandwidth.KIND,
    plivo.KIND,
    vonage.KIND,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """The kinds by name, and why others cannot be used, by the names under which they are registered."""

    kinds: Mapping[str, ProviderKind]
    unusable: Mapping[str, str]


@cache
def installed() -> Installed:
    """What there is, found out once in a process; what cannot be used is logged."""
    usable = {kind.name: kind for kind in _OURS}
    unusable: dict[str, str] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, _origin(point))):
        found = _load(point, usable)
        if isinstance(found, ProviderKind):
            usable[found.name] = found
        else:
            unusable[point.name] = f"{_origin(point)}: {found}"
            log.warning("the kind %r of %s", point.name, unusable[point.name])
    return Installed(kinds=MappingProxyType(usable), unusable=MappingProxyType(unusable))


def kinds() -> Mapping[str, ProviderKind]:
    """The kinds that can be used, by name."""
    return installed().kinds


def sandbox_apis() -> dict[str, type[SandboxApi]]:
    """What answers for each kind in the sandbox, by the kind's name."""
    return {name: kind.sandbox.api for name, kind in kinds().items()}


def kinds_of(config: Config) -> dict[str, ProviderKind]:
    """The kind of each configured provider, by alias."""
    return {alias: kinds()[provider.kind] for alias, provider in config.providers.items()}


def tells_apart(account: str) -> bool:
    """Whether the kind in an account says by itself that two are two: where it does not, only `account_id` can."""
    kind = kinds().get(kind_in(account).removeprefix(SANDBOX_ACCOUNT))
    return kind is not None and not kind.config.several_need_id


def build(config: ProviderConfig, token: str) -> Adapter:
    """The adapter for *config*. Raises ConfigError for a token that no header can carry, and for a faulty adapter."""
    try:
        return guarded(kinds()[config.kind].adapter)(config, token)
    except ConfigError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever foreign code raises
        # Without its words, which may hold the token.
        raise ConfigError(f"the adapter of kind {config.kind!r} raised {type(exc).__name__}: a fault of it") from None


def _load(point: EntryPoint, taken: Mapping[str, ProviderKind]) -> ProviderKind | str:
    """The kind, or what is wrong with it and who mends that."""
    if point.name in taken:
        return f"the name {point.name!r} is taken by another kind: its author has to choose another"
    try:
        found = point.load()
    except Exception as exc:  # noqa: BLE001 - whatever foreign code raises
        return f"{point.value} cannot be imported ({type(exc).__name__}: {exc}): update it, or take it out"
    problem = problem_of(found, point.name)
    return found if problem is None else f"{point.value} {problem}: its author has to mend it"


def _origin(point: EntryPoint) -> str:
    """The distribution that registers it, with its version."""
    return "an unknown distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"
