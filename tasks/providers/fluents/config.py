"""Fluents' fields of [providers.ALIAS], and the options of a purchase."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.config.kinds import Options
from schemas.config.provider import ProviderConfig


class FluentsConfig(ProviderConfig):
    """Numbers are bought through a linked telephony account connection (a UUID).

    One Fluents account may have several, and its list shows the numbers of all: those aliases have one `account_id`.
    """

    telephony_provider: str
    telephony_account_connection: str = Field(min_length=1)

    def _own_account(self) -> str:
        return self.telephony_account_connection


class FluentsOptions(Options):
    """Page 'Buy number': the agent that answers the number."""

    inbound_agent: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")] | None = None
