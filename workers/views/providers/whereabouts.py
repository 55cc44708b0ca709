"""Whom a provider's calls go to, for people."""

from __future__ import annotations

from urllib.parse import urlsplit

from schemas.config.file import Config
from schemas.config.provider import SANDBOX_VARIABLE


def whereabouts(config: Config, alias: str) -> str:
    """The provider's kind, and the host that its calls go to."""
    provider = config.providers.get(alias)
    if provider is None:
        return "not configured: nothing is bought until it is"
    parts = urlsplit(provider.base_url)
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    sandbox = "the sandbox at " if provider.token_env == SANDBOX_VARIABLE else "at "
    return f"{provider.kind}, {sandbox}{host}"
