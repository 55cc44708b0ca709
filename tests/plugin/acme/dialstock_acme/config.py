"""Acme's fields of [providers.ALIAS], and the options of a purchase."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.config.kinds import Options
from schemas.config.provider import ProviderConfig


class AcmeConfig(ProviderConfig):
    """The team owns the numbers: it is the account."""

    several_need_id: ClassVar[bool] = False
    team: str = Field(min_length=1, pattern=r"^[A-Za-z0-9-]+$")

    def _own_account(self) -> str:
        return self.team


class AcmeOptions(Options):
    """What the number is called at Acme."""

    label: str | None = Field(default=None, max_length=50)
