"""SignalWire's fields of [providers.ALIAS], and its policy's defaults."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.config.provider import ProviderConfig

# Page 'Rate limits': POST 13,800 per 10 s, GET unlimited in effect; 1,000 numbers a project.
POLICY = {
    "rate_limits": ("1300/second", "13800/10 seconds"),
    "lookup_rate_limits": ("100/second",),
    "max_in_flight": 50,
    "daily_limit": 1000,
}


class SignalWireConfig(ProviderConfig):
    """`base_url` is https://SPACE.signalwire.com; the token needs the Numbers scope."""

    several_need_id: ClassVar[bool] = False
    project_id: str = Field(min_length=1)

    def _own_account(self) -> str:
        return self.project_id

    def _former_account_id(self) -> str:
        return self.account_id or self.project_id
