"""TimePay's fields of [providers.ALIAS], and its policy's defaults."""

from __future__ import annotations

from schemas.config.provider import ProviderConfig

# No limit and no look-up is documented on the page 'Buy Numbers': the usual modest pace is our choice, and a
# doubtful purchase can only be settled by a person.
POLICY = {"on_unknown": "hold"}


class TimePayConfig(ProviderConfig):
    """`telephony_provider` is the field `provider` of the page 'Buy Numbers'; `org_id` goes out as x-org-id."""

    telephony_provider: str
    org_id: str | None = None

    @property
    def within_token(self) -> str | None:
        """Page 'Buy Numbers': a token may belong to several organisations."""
        return self.org_id

    def _former_account_id(self) -> str:
        return self.account_id or self.org_id or ""
