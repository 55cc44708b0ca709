"""Bandwidth's fields of [providers.ALIAS], and its policy's defaults."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from schemas.config.provider import ProviderConfig
from schemas.config.shapes import shaped

_Digits = Annotated[str, shaped(r"[0-9]{1,20}", "must be a number as text, like '1234': 20 digits at most")]

# Limits are by groups of endpoints, and not published: the usual modest pace is our choice.
POLICY: dict[str, Any] = {}


class BandwidthConfig(ProviderConfig):
    """The token is the secret of the API credential `client_id`; `account_number` is the accountId of its paths.

    Numbers are ordered into the sub-account `site_id`, and its location `peer_id` where one is named.
    """

    several_need_id: ClassVar[bool] = False
    client_id: Annotated[str, shaped(r"[!-9;-~]{1,200}", "must be letters, digits and signs of ASCII, but a colon")]
    account_number: _Digits
    site_id: _Digits
    peer_id: _Digits | None = None

    def _own_account(self) -> str:
        return self.account_number

    def _former_account_id(self) -> str:
        return self.account_id or self.account_number
