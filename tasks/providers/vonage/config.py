"""Vonage's fields of [providers.ALIAS], and the options of a purchase."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import field_validator

from schemas.config.kinds import Options
from schemas.config.provider import ProviderConfig
from schemas.config.shapes import shaped
from schemas.numbering.regions import known_country


class VonageConfig(ProviderConfig):
    """The token is the API secret that belongs to `api_key`."""

    several_need_id: ClassVar[bool] = False
    balance_currency: ClassVar[str | None] = "EUR"
    api_key: Annotated[str, shaped(r"[A-Za-z0-9]{1,64}", "must be letters and digits, 64 at most")]

    def _own_account(self) -> str:
        return self.api_key

    def _former_account_id(self) -> str:
        return self.account_id or self.api_key


class VonageOptions(Options):
    """A purchase names the number's country; one that the number itself does not tell is given here."""

    country: str | None = None

    @field_validator("country")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and not known_country(value):
            raise ValueError("must be an ISO 3166-1 alpha-2 code, like US")
        return value
