"""What a command works on: settings, configuration and database, without secrets, Redis or a Celery app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from schemas.config.errors import ConfigError, did_you_mean
from schemas.config.file import Config
from tasks.accounts import identity
from tasks.ledger import accounts
from tasks.providers.registry import installed
from tasks.runtime import Runtime
from workers.cli.terminal.in_force import tell_differences
from workers.cli.terminal.output import say
from workers.config_file import NoConfig, read_config, read_right_parts
from workers.database.connections import SqlDatabase, migrate
from workers.health import check_database
from workers.settings import Settings, load_settings
from workers.views.desk import Desk, open_redis, reading_runtime
from workers.views.errors import Failure

_NOBODY = Config(providers={})
NO_BEAT = "no beat seems to be running, so no pool is filled up and nothing is audited"


@contextmanager
def open_desk(
    *, configured: bool = True, reads: bool = False, whole: bool = False, buys: bool = False, only: str | None = None
) -> Iterator[Desk]:
    """Open the database, brought up to date where it is the embedded one; *configured* reads the configuration first.

    Without a configuration file nothing is opened, unless the command only *reads*. For one that *buys*, each alias
    must be the account that it was. What is wrong with others in the file stops nothing that only reads, or that is for
    *only* one alias, but where the file that is there must be *whole*. Raises SettingsError, ConfigError, and Away
    where the database is away or behind.
    """
    settings = load_settings()
    config, wrong = _config(settings, reads=reads, partly=only is not None) if configured else (_NOBODY, None)
    if whole and wrong is not None:
        raise wrong
    database = _open_database(settings)
    try:
        runtime = reading_runtime(settings, config, database)
        if buys and wrong is None:
            identity.settle(runtime)
        elif buys and only in config.providers:
            _require_known(runtime, only)
        if configured and wrong is None:
            tell_differences(runtime)
        yield Desk(settings, runtime)
    finally:
        database.close()


def check_accounts(settings: Settings, config: Config) -> None:
    """Raise AccountChanged where no worker would start, with a database that is in order."""
    database = SqlDatabase(settings.database_url)
    try:
        identity.settle(reading_runtime(settings, config, database))
    finally:
        database.close()


def known_kind(name: str) -> str:
    """The *name* of a kind that can be used. Raises Failure."""
    found = installed()
    if name in found.unusable:
        raise Failure(f"kind {name!r} cannot be used: {found.unusable[name]}")
    if name not in found.kinds:
        raise Failure(f"unknown kind {name!r}: {did_you_mean(name, found.kinds)}")
    return name


def beat_runs(settings: Settings, config: Config) -> bool | None:
    """Whether a beat sends what is due; None where nothing is scheduled, or where nobody can tell."""
    from workers.periodic.beat_schedule import beat_schedule  # noqa: PLC0415 - it imports Celery
    from workers.periodic.heartbeat import is_alive  # noqa: PLC0415

    if not beat_schedule(config):
        return None
    try:
        with open_redis(settings) as client:
            return is_alive(client)
    except RedisError:
        return None


def beat_hint(settings: Settings, config: Config) -> str | None:
    """What to do where no beat seems to run; None where one does, or none is missed."""
    if beat_runs(settings, config) is not False:
        return None
    return f"{NO_BEAT}: {mend_of_beat(settings)}"


def mend_of_beat(settings: Settings) -> str:
    """How a beat is started."""
    up = "dialstock --sandbox up" if settings.sandbox_url else "dialstock up"
    return f"start `dialstock beat`, which `{up}` does too"


def _config(settings: Settings, *, reads: bool, partly: bool) -> tuple[Config, ConfigError | None]:
    if not (reads or partly):
        return read_config(settings), None
    try:
        config, wrong = read_right_parts(settings, needed=not reads)
    except ConfigError as exc:
        if not reads or isinstance(exc, NoConfig):
            raise
        config, wrong = _NOBODY, exc
    if wrong is not None:
        say(f"What is wrong in the configuration is left aside here:\n{wrong}", "yellow")
    return config, wrong


def _require_known(runtime: Runtime, alias: str) -> None:
    """Raise ConfigError unless an alias is surely who it was: what cannot be read of the file may say otherwise."""
    account = runtime.providers[alias].account
    with runtime.database.read() as conn:
        known = accounts.remembered(conn).get(alias)
    if known is None or not known.settled or known.account != account:
        raise ConfigError(f"{alias} is not known as {account} yet: mend the file first, or start a worker with it")


def _open_database(settings: Settings) -> SqlDatabase:
    if not settings.embedded_database:
        check_database(settings.database_url)
    else:
        migrate(settings.database_url)
    return SqlDatabase(settings.database_url, connections=settings.database_connections)
