"""Vogent's fields of [providers.ALIAS]."""

from __future__ import annotations

from typing import Literal

from schemas.config.provider import ProviderConfig


class VogentConfig(ProviderConfig):
    """`purchase_endpoint` may choose the deprecated endpoint of its page."""

    purchase_endpoint: Literal["phone_numbers", "phone_numbers/purchase"] = "phone_numbers"
