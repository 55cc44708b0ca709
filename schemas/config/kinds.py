"""What is checked about providers of one kind; the kinds are given by who knows how to call them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from schemas.config.policy import Policy
from schemas.config.provider import ProviderConfig
from schemas.money import Money


class Options(BaseModel):
    """The options of a purchase: none. A kind that has some declares them in a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kind(Protocol):
    """A kind of providers, as configuration and requests know it."""

    @property
    def name(self) -> str:
        """The `kind` of [providers.ALIAS]."""

    @property
    def config(self) -> type[ProviderConfig]:
        """The model of [providers.ALIAS]."""

    @property
    def options(self) -> type[Options]:
        """The model of a purchase's options."""

    @property
    def policy(self) -> Mapping[str, Any]:
        """What differs from `Policy`'s defaults."""

    @property
    def max_batch(self) -> int:
        """The most numbers that one purchase call may carry."""

    @property
    def searches(self) -> bool:
        """Whether a search of numbers for sale is documented."""

    @property
    def needs_prefix(self) -> bool:
        """Whether the search is by prefix only."""

    @property
    def asked_for(self) -> Collection[str]:
        """Which of type, features and contains its search can be asked for, and what its answer shows bears out."""

    @property
    def releases(self) -> bool:
        """Whether the documents say how a number is given back."""

    @property
    def keeps_for(self) -> tuple[float, ...]:
        """For how many seconds after its purchase the provider keeps a number; the shortest first."""

    @property
    def portal(self) -> str:
        """What a person does to give a number back, where no documents say how a program does."""

    @property
    def tells_price(self) -> bool:
        """Whether the search shows prices."""

    @property
    def narrows(self) -> tuple[int, int] | None:
        """The fewest and the most digits of a prefix that a search without pages can be asked for a part by."""

    @property
    def price_currency(self) -> str:
        """The ISO 4217 code that all its prices are documented in; empty where each tells its own."""


def currency_problem(kind: Kind, limit: Money | None) -> str | None:
    """Why no price of a *kind*'s can be held against *limit*, and the mend; None where one can, or might."""
    told = kind.price_currency
    if limit is None or not told or limit.currency == told:
        return None
    return f"tells its prices in {told}, not in {limit.currency}: write an amount in {told}"


def policy_for(kind: Kind, overrides: Mapping[str, Any]) -> Policy:
    """The kind's defaults with *overrides* on top. Raises pydantic.ValidationError."""
    return Policy.model_validate({**kind.policy, **overrides})
