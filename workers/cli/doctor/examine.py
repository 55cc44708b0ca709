"""What the doctor looks at, in order."""

# ruff: noqa: PLC0415 - a health check must be quick: what needs Celery is imported only where it is used
from __future__ import annotations

import os
from collections.abc import Generator, Iterator

from sqlalchemy.exc import SQLAlchemyError

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from tasks.server_errors import database_trouble
from workers.cli.doctor import here, servers
from workers.cli.doctor.connections import connections
from workers.cli.doctor.durability import durability
from workers.cli.doctor.findings import Finding, Level, fail, ok, warn
from workers.cli.doctor.rights import rights
from workers.cli.doctor.tables import ledger
from workers.health import is_usable
from workers.redaction import cleaning
from workers.server_urls import SettingsError
from workers.settings import Settings, load_settings
from workers.views.errors import AWAY, WRONG_USE

_LEFT_OUT = "without it these are not looked at: pools, accounts, history, workers, beat, tokens and cool-downs"


def examine(*, quick: bool) -> Iterator[Finding]:
    """Every finding as it is made; *quick*: of the database and Redis only.

    Starts nothing, and changes nothing: what it writes to either is taken back, or goes within a second.
    """
    try:
        settings = load_settings()
    except SettingsError as exc:
        yield fail("settings", str(exc), status=WRONG_USE)
        return
    if quick:
        yield servers.database(settings)
        yield from servers.servers_of(settings)[1]
        return
    yield ok("settings", f"home {settings.home}")
    yield here.python()
    config = yield from _configured(settings)
    yield here.disk(settings.home)
    database = servers.database(settings)
    yield database
    settings, findings = servers.servers_of(settings, config)
    yield from findings
    reading = ledger.Reading()
    if database.level is not Level.FAIL and is_usable(settings.database_url):
        reading = yield from _tables(settings, config)
    if config is None:
        yield warn("configuration", _LEFT_OUT, "mend it, and run this again")
    elif all(finding.level is not Level.FAIL for finding in findings):
        if database.level is not Level.FAIL and is_usable(settings.database_url):
            from workers.cli.doctor.tables.history import history

            yield from history(settings, config)
        from workers.cli.doctor.tokens import tokens

        yield from servers.cool_downs(settings, config)
        yield servers.workers(settings, config, reading.waiting)
        yield from servers.beat(settings, config, reading.beat_for)
        yield from tokens(config, os.environ)


def _configured(settings: Settings) -> Generator[Finding, None, Config | None]:
    from workers.config_file import read_config

    try:
        config = read_config(settings)
    except ConfigError as exc:
        yield fail("configuration", str(exc), status=WRONG_USE)
        return None
    yield here.configuration(settings, config)
    yield from here.secrets(config, os.environ)
    return config


def _tables(settings: Settings, config: Config | None) -> Generator[Finding, None, ledger.Reading]:
    """Returns what was read; where nothing could be, that is nothing."""
    url = settings.database_url
    try:
        kept = [*durability(url), *connections(url, settings.database_connections), *rights(url)]
        yield from kept
        reading = ledger.read(url, config)
    except SQLAlchemyError as exc:
        yield fail("database", f"it {database_trouble(exc).without(cleaning(url))}", status=AWAY)
        return ledger.Reading()
    yield from reading.findings
    return reading
