"""What can be told without any server: Python, configuration, secrets, room on the disk."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import read_token
from schemas.wording import listed
from workers.cli.doctor.findings import Finding, fail, ok, warn
from workers.settings import Settings
from workers.shared_secrets import shared_secrets
from workers.views.errors import WRONG_USE

MIN_PYTHON = (3, 11)
_LITTLE, _TOO_LITTLE = 1_000_000_000, 100_000_000
"""Bytes of room in DIALSTOCK_HOME below which the doctor warns, and fails."""


def python() -> Finding:
    """The interpreter."""
    version = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        return fail("python", f"{version} is too old", "use Python 3.11 or newer", WRONG_USE)
    return ok("python", f"{version} in {sys.prefix}")


def configuration(settings: Settings, config: Config) -> Finding:
    """Which providers are known."""
    where = f"the sandbox at {settings.sandbox_url}" if settings.sandbox_url else settings.config_path
    return ok("configuration", f"{where}: {listed(config.providers)}")


def secrets(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each provider's token is there; never what it is."""
    wrong = 0
    for alias, provider in config.providers.items():
        try:
            read_token(provider, environ)
        except ConfigError as exc:
            wrong += 1
            yield fail("secrets", f"provider {alias}: {exc}", status=WRONG_USE)
    for line in shared_secrets(config, environ):
        wrong += 1
        yield fail("secrets", line, status=WRONG_USE)
    if not wrong:
        yield ok("secrets", f"the tokens of all {len(config.providers)} providers are there")


def disk(home: Path) -> Finding:
    """Room for the data under DIALSTOCK_HOME."""
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    message = f"{free / 1e9:,.1f} GB free in {home}"
    if free < _TOO_LITTLE:
        return fail("disk", message, "make room, or name another DIALSTOCK_HOME: purchases cannot be written down")
    return warn("disk", message, "make room soon") if free < _LITTLE else ok("disk", message)
