"""TimePay's fields of [providers.ALIAS]."""

from __future__ import annotations

from schemas.provider_config import ProviderConfig


class TimePayConfig(ProviderConfig):
    """`telephony_provider` is the field `provider` of the page 'Buy Numbers'; `org_id` goes out as x-org-id."""

    telephony_provider: str
    org_id: str | None = None

    def _former_account_id(self) -> str:
        return self.account_id or self.org_id or ""
