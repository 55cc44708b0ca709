"""What the commands that run things check before anything starts."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.config.file import Config
    from workers.config_file import Source
    from workers.settings import Settings


def checked(*, buys: bool = True) -> tuple[Settings, Config]:
    """What `checked_source` returns, for who does not go on with the file."""
    settings, source = checked_source(buys=buys)
    return settings, source.config


def checked_source(*, buys: bool = True) -> tuple[Settings, Source]:
    """Settings and configuration, and the servers that are not embedded found usable. Starts nothing.

    For a process that *buys*, every provider's secret must be there, and the database in order; others do without.
    Raises SettingsError, ConfigError or Away.
    """
    from workers.config_file import read_source
    from workers.health import check_database, redis_info
    from workers.settings import load_settings
    from workers.wiring import bind_providers

    settings = load_settings()
    source = read_source(settings)
    if buys:
        bind_providers(source.config, os.environ)
        if not settings.embedded_database:
            check_database(settings.database_url)
    for url in {settings.redis_url, settings.broker_url} - {""}:
        redis_info(url)
    return settings, source


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on *host*."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
