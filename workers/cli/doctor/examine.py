"""What the doctor looks at, in order."""

# ruff: noqa: PLC0415 - a health check must be quick: what it does not need is imported only where it is used
from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from tasks.server_errors import database_trouble
from workers.cli.doctor import here, servers
from workers.cli.doctor.findings import Finding, Level, fail, ok, warn
from workers.health import is_usable
from workers.redaction import cleaning
from workers.server_urls import SettingsError
from workers.settings import Settings, load_settings
from workers.views.errors import AWAY, WRONG_USE

if TYPE_CHECKING:
    from workers.cli.doctor.tables.ledger import Reading

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
    yield from _examine_all(settings)


def _examine_all(settings: Settings) -> Iterator[Finding]:
    yield ok("settings", f"home {settings.home}")
    yield here.python()
    config = yield from _configured(settings)
    yield here.disk(settings.home)
    database = servers.database(settings)
    yield database
    settings, findings = servers.servers_of(settings, config)
    yield from findings
    asks = config is not None and all(finding.level is not Level.FAIL for finding in findings)
    with ThreadPoolExecutor(1) as pool:
        # They have a second to answer, in which the tables are read, and providers asked.
        queues = pool.submit(servers.asking_workers(), settings) if asks else None
        readable = database.level is not Level.FAIL and is_usable(settings.database_url)
        tables = (yield from _tables(settings, config)) if readable else None
        if config is None:
            yield warn("configuration", _LEFT_OUT, "mend it, and run this again")
        elif queues is not None:
            yield from _processes(settings, config, queues, tables, readable=readable)


def _processes(
    settings: Settings, config: Config, queues: Future[servers.Queues], tables: Reading | None, *, readable: bool
) -> Iterator[Finding]:
    """What needs Redis: *queues* are what the workers answer; *tables* what was read there, None for nothing."""
    if readable:
        from workers.cli.doctor.tables.history import history

        yield from history(settings, config)
    from workers.cli.doctor.tokens import tokens

    yield from servers.cool_downs(settings, config)
    yield from tokens(config, os.environ)
    yield servers.workers(queues.result, config, tables.waiting if tables else 0)
    yield from servers.beat(settings, config, tables.beat_for if tables else None)


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


def _tables(settings: Settings, config: Config | None) -> Generator[Finding, None, Reading | None]:
    """Returns what was read; None where nothing could be."""
    from workers.cli.doctor.connections import connections
    from workers.cli.doctor.durability import durability
    from workers.cli.doctor.rights import rights
    from workers.cli.doctor.tables import ledger

    url = settings.database_url
    try:
        kept = [*durability(url), *connections(url, settings.database_connections), *rights(url)]
        yield from kept
        reading = ledger.read(url, config)
    except SQLAlchemyError as exc:
        yield fail("database", f"it {database_trouble(exc).without(cleaning(url))}", status=AWAY)
        return None
    yield from reading.findings
    return reading
