"""Telnyx's fields of [providers.ALIAS], and the options of a purchase."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.config.balances import ANY
from schemas.config.kinds import Options
from schemas.config.papers import Papers
from schemas.config.provider import ProviderConfig

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]


class TelnyxConfig(ProviderConfig):
    """What goes out with each order. `requirement_groups` are the papers that countries want, per country and type."""

    balance_currency: ClassVar[str | None] = ANY
    connection_id: _Id | None = None
    messaging_profile_id: _Id | None = None
    billing_group_id: _Id | None = None
    requirement_groups: Papers = Field(default_factory=dict)


class TelnyxOptions(Options):
    """Each takes the place of what the configuration says."""

    connection_id: _Id | None = None
    messaging_profile_id: _Id | None = None
    billing_group_id: _Id | None = None
    requirement_group_id: _Id | None = None
