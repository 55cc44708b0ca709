"""Commands that talk to a provider themselves, by free calls: the configuration and the secrets, no database."""

from __future__ import annotations

import os
from collections.abc import Mapping

from schemas.config import Config, ProviderConfig, read_token
from tasks.providers.base import Provider
from tasks.providers.registry import build
from workers.cli.context import known_provider
from workers.settings import load_settings
from workers.wiring import read_config


def read_providers() -> Config:
    """The configured providers. Raises SettingsError or ConfigError."""
    return read_config(load_settings())


def adapter_of(config: Config, alias: str, environ: Mapping[str, str] | None = None) -> Provider:
    """The adapter of one provider; others may lack their secrets. Raises Failure or ConfigError."""
    provider: ProviderConfig = known_provider(config, alias)
    return build(provider, read_token(provider, os.environ if environ is None else environ))
