"""Twilio's fields of [providers.ALIAS], its policy's defaults, and the options of a purchase."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from schemas.config.balances import ANY
from schemas.config.kinds import Options
from schemas.config.papers import Where
from schemas.config.provider import ProviderConfig
from schemas.config.shapes import shaped

# Error 20429: what is limited is how many calls an account makes at once, and the number is not published. So few are
# released at once; the rates are our choice. The timeout stays above the 26 s that Twilio itself may take.
POLICY = {"max_in_flight": 10}


def _sid(begin: str, of: str, digits: str = "0-9a-fA-F") -> AfterValidator:
    return shaped(f"{begin}[{digits}]{{32}}", f"must be {of}: {begin} and 32 hexadecimal digits")


_BundleSid = Annotated[str, _sid("BU", "a bundle's SID")]
_AddressSid = Annotated[str, _sid("AD", "an address's SID")]
_IdentitySid = Annotated[str, _sid("RI", "an identity's SID")]
_TrunkSid = Annotated[str, _sid("TK", "a trunk's SID")]
_ApplicationSid = Annotated[str, _sid("AP", "an application's SID")]
_AccountSid = Annotated[str, _sid("AC", "an account's SID", "0-9a-f")]
_KeySid = Annotated[str, _sid("SK", "an API key's SID", "0-9a-f")]
_Url = Annotated[
    str, shaped(r"https?://[!-~]{1,1990}", "must be a URL like https://example.com, 2000 characters at most")
]


class TwilioConfig(ProviderConfig):
    """The token is the account's auth token, or the secret of `api_key_sid`. Numbers are those of `account_sid` alone:
    a subaccount is a provider of its own.

    `bundles`, `addresses` and `identities` are the papers that countries want, per country and number type.
    """

    several_need_id: ClassVar[bool] = False
    balance_currency: ClassVar[str | None] = ANY
    account_sid: _AccountSid
    api_key_sid: _KeySid | None = None
    bundles: dict[Where, _BundleSid] = Field(default_factory=dict)
    addresses: dict[Where, _AddressSid] = Field(default_factory=dict)
    identities: dict[Where, _IdentitySid] = Field(default_factory=dict)

    def _own_account(self) -> str:
        return self.account_sid

    def _former_account_id(self) -> str:
        return self.account_id or self.account_sid


class TwilioOptions(Options):
    """A `friendly_name` takes the place of our own name of the call, by which a look could find the number."""

    friendly_name: str | None = Field(default=None, min_length=1, max_length=64)
    voice_url: _Url | None = None
    voice_application_sid: _ApplicationSid | None = None
    sms_url: _Url | None = None
    sms_application_sid: _ApplicationSid | None = None
    status_callback: _Url | None = None
    trunk_sid: _TrunkSid | None = None
    bundle_sid: _BundleSid | None = None
    address_sid: _AddressSid | None = None
    identity_sid: _IdentitySid | None = None
