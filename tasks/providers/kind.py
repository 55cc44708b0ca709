"""All that Dialstock knows of one kind of providers, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from schemas.by_criteria.criteria import Criterion
from schemas.config.kinds import Options, policy_for
from schemas.config.provider import ProviderConfig
from tasks.providers.adapter import Adapter, cancels_reservations, releasing, reserving
from tasks.providers.sandbox.api import SandboxApi


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """How the kind is tried out: the sandbox's side of its API, and what a configuration for it says.

    `fields` are those of [providers.ALIAS] beside kind, base_url and the token; `numbers` is how the numbers begin that
    the demo buys, E.164 with the plus: seven or eight digits follow.
    """

    api: type[SandboxApi]
    fields: Mapping[str, str] = field(default_factory=dict)
    numbers: str = "+1415"


@dataclass(frozen=True, kw_only=True)
class ProviderKind:
    """A kind of providers; `schemas.config.kinds.Kind` tells what configuration and requests see of it.

    `name` is the `kind` of [providers.ALIAS]; `policy` what differs from `schemas.config.policy.Policy`, each with its
    source. What it can do stands at its adapter. `portal` is what a person does to give a number back, where none
    say how a program does. `asked_for` is what its search takes beside country and prefix; `price_currency` the
    currency (ISO 4217) that all its prices are documented in, if one. `narrows` are the fewest and
    the most digits of a prefix by which a search without pages can be asked for a part of what it shows.
    """

    name: str
    config: type[ProviderConfig]
    adapter: type[Adapter]
    sandbox: Sandbox
    options: type[Options] = Options
    policy: Mapping[str, Any] = field(default_factory=dict)
    needs_prefix: bool = False
    tells_price: bool = False
    price_currency: str = ""
    narrows: tuple[int, int] | None = None
    portal: str = ""
    asked_for: frozenset[Criterion] = frozenset()

    @property
    def max_batch(self) -> int:
        """The most numbers that one purchase call may carry."""
        return self.adapter.max_batch

    @property
    def searches(self) -> bool:
        """Whether a search of numbers for sale is documented."""
        return self.adapter.can_search

    @property
    def releases(self) -> bool:
        """Whether the documents say how a number is given back."""
        return releasing(self.adapter) is not None

    @property
    def keeps_for(self) -> tuple[float, ...]:
        """For how many seconds after its purchase the provider keeps a number; the shortest first."""
        found = releasing(self.adapter)
        return () if found is None else found.keeps_for

    @property
    def reserves_for(self) -> int | None:
        """For how many seconds the provider keeps a number for us before it is bought; None where no documents say."""
        found = reserving(self.adapter)
        return None if found is None else found.reserves_for

    @property
    def cancels_reservations(self) -> bool:
        """Whether the documents say how a reservation that is not needed is given back; else it lapses."""
        return cancels_reservations(self.adapter) is not None

    @property
    def lists_owned(self) -> bool:
        """Whether the provider shows the numbers that it sold."""
        return self.adapter.lookup != "none"


def problem_of(found: object, name: str) -> str | None:
    """Why what is registered under *name* is no kind that can be used, to follow its name; None where it is one."""
    if not isinstance(found, ProviderKind):
        return f"is a {type(found).__name__} and no ProviderKind"
    if found.name != name:
        return f"calls itself {found.name!r}, and is registered as {name!r}"
    for part, wanted in (("config", ProviderConfig), ("options", Options)):
        if not _is_a(getattr(found, part), wanted):
            return f"has as its {part} no subclass of {wanted.__name__}"
    if not isinstance(found.sandbox, Sandbox) or not _is_a(found.sandbox.api, SandboxApi):
        return "has no sandbox with a SandboxApi"
    missing = [part for part in _ADAPTER if not hasattr(found.adapter, part)]
    if not isinstance(found.adapter, type) or missing:
        return f"has an adapter without {', '.join(missing) or 'a class'}"
    return _problem_of_policy(found)


_ADAPTER = (
    *("lookup", "can_search", "max_batch", "prepares", "keeps_reference"),
    *("prepare", "buy", "look", "search", "owned", "check"),
)


def _is_a(found: object, wanted: type) -> bool:
    return isinstance(found, type) and issubclass(found, wanted)


def _problem_of_policy(kind: ProviderKind) -> str | None:
    try:
        policy_for(kind, {})
    except ValidationError as exc:
        return f"has a policy that is none: {exc.errors()[0]['msg']}"
    return None
