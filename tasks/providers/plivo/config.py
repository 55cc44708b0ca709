"""Plivo's fields of [providers.ALIAS], its policy's defaults, and the options of a purchase."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.config.kinds import Options
from schemas.config.papers import Papers
from schemas.config.provider import ProviderConfig
from schemas.config.shapes import shaped

# Page 'Account limits': 300 requests in 5 s for an account, over all of its APIs. What is left is for its other uses.
POLICY = {"rate_limits": ("20/second",), "lookup_rate_limits": ("20/second",)}


class PlivoConfig(ProviderConfig):
    """`compliance_applications` are the applications that regulated numbers want when they are bought, per country and
    number type.
    """

    several_need_id: ClassVar[bool] = False
    balance_currency: ClassVar[str | None] = ""
    auth_id: Annotated[str, shaped(r"[A-Za-z0-9]{1,64}", "must be letters and digits, 64 at most")]
    compliance_applications: Papers = Field(default_factory=dict)

    def _own_account(self) -> str:
        return self.auth_id

    def _former_account_id(self) -> str:
        return self.account_id or self.auth_id


class PlivoOptions(Options):
    """`app_id` is the application that answers; a `compliance_application_id` takes the configured one's place."""

    app_id: str | None = Field(default=None, min_length=1, max_length=64)
    compliance_application_id: str | None = Field(default=None, min_length=1, max_length=64)
