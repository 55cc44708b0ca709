"""Whether the database knows what was bought, or went back in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from schemas.config.file import Config
from tasks.restored_database.lost_calls import Lost, lost_calls
from tasks.watermark import Watermark
from workers.cli.doctor.findings import Finding, fail, ok
from workers.database.connections import SqlDatabase
from workers.settings import Settings
from workers.views.desk import open_redis
from workers.views.explain import mend_of


def history(settings: Settings, config: Config) -> Iterator[Finding]:
    """A line for each account of which the database has lost calls to buy; one where it has lost none."""
    aliases = {provider.account: alias for alias, provider in sorted(config.providers.items())}
    try:
        found = _lost(settings, aliases)
    except (RedisError, SQLAlchemyError):
        return  # that they are away is told of already
    if not found:
        yield ok("history", "the database knows what was bought last")
    for lost in found:
        alias = aliases[lost.account]
        yield fail("history", str(lost), mend_of(alias, config.providers[alias].kind))


def _lost(settings: Settings, aliases: Mapping[str, str]) -> list[Lost]:
    database = SqlDatabase(settings.database_url)
    try:
        with open_redis(settings) as client:
            marks = Watermark(client)
            looks = {one: marks.newest(one, others=aliases.keys() - {one}) for one in marks.marked(aliases)}
        return [lost for account, newest in looks.items() if (lost := lost_calls(database, account, newest)).calls]
    finally:
        database.close()
