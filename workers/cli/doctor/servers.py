"""The database, Redis and the workers."""

# ruff: noqa: PLC0415 - a health check must be quick: Celery is imported only where the workers are asked
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from schemas.config.file import Config
from tasks.runtime import PUBLIC_QUEUE, queue_of
from workers.cli.doctor.findings import Finding, Level, fail, ok, warn
from workers.cli.doctor.other_keys import other_keys
from workers.cli.doctor.sentinels import sentinels
from workers.database.versions import Fit
from workers.health import Away, check_database_writes, check_redis_writes, database_versions, redis_info
from workers.processes.embedded_redis import EmbeddedError, find_server
from workers.processes.redis_supervisor import Files, answers
from workers.redaction import redacted
from workers.redis_access.sentinel_url import is_sentinel
from workers.redis_access.tls_options import is_unverified
from workers.settings import Settings
from workers.views.errors import AWAY

Queues = dict[str, set[str]]

PING_SECONDS = 1.0
_MUCH = 0.9
"""Of Redis's memory: from there on the doctor warns."""


def database(settings: Settings) -> Finding:
    """Whether it can be reached, has this version's tables, and takes writes."""
    where = redacted(settings.database_url)
    if settings.embedded_database and not Path(make_url(settings.database_url).database or "").exists():
        return ok("database", f"{where} is made at the first start")
    try:
        found = database_versions(settings.database_url)
    except Away as exc:
        return fail("database", str(exc), status=AWAY)
    if found.fit is Fit.SAME:
        return _written(settings.database_url) or ok("database", f"{where} is at revision {found.present}")
    message = found.said_of(where)
    if found.fit is Fit.AHEAD:
        return _written(settings.database_url) or warn("database", message, found.mend)
    if settings.embedded_database and found.fit in (Fit.EMPTY, Fit.BEHIND):
        return warn("database", message, "it is brought up to date at the next start, or by `dialstock migrate`")
    return fail("database", message, found.mend, AWAY)


def _written(url: str) -> Finding | None:
    try:
        check_database_writes(url)
    except Away as exc:
        return fail("database", str(exc), status=AWAY)
    return None


def servers_of(settings: Settings, config: Config | None = None) -> tuple[Settings, list[Finding]]:
    """The settings with the embedded server's address, where it runs, and what there is to say about Redis."""
    queues = [PUBLIC_QUEUE, *map(queue_of, config.providers if config else ())]
    if not settings.embedded_redis:
        urls = dict.fromkeys((settings.redis_url, settings.broker_url))
        return settings, [finding for url in urls for finding in redis(url, settings.key_prefix, queues)]
    try:
        program = find_server(os.environ)
    except EmbeddedError as exc:
        return settings, [fail("redis", str(exc), status=AWAY)]
    url = Files(settings.home).read_url() if (settings.home / "redis").is_dir() else None
    if not url or not answers(url):
        return settings, [ok("redis", f"the embedded one starts with what needs it: {program}")]
    return settings.with_redis(url), redis(url, settings.key_prefix, queues)


def redis(url: str, key_prefix: str = "", queues: Iterable[str] = ()) -> list[Finding]:
    """Whether it can be reached, is new enough, takes writes, holds what is ours, and is set up to keep that."""
    try:
        info = redis_info(url)
        check_redis_writes(url, key_prefix)
        if others := list(other_keys(url, key_prefix, queues)):
            return others
    except Away as exc:
        return [fail("redis", str(exc), status=AWAY)]
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info["redis_version"]
    found = ok("redis", f"{redacted(url)} is {name} {version}")
    if is_unverified(url):
        message = f"{redacted(url)} is not verified: whoever answers there is believed"
        found = warn(
            "redis", message, "take ssl_cert_reqs and ssl_check_hostname out, and name its CA with ssl_ca_certs"
        )
    return [found, *_keeps(info), *(sentinels(url, info) if is_sentinel(url) else ())]


def _keeps(info: dict[str, Any]) -> Iterator[Finding]:
    if info.get("role", "master") != "master":
        message = "it is a replica: what is written there goes when its master is heard of"
        yield fail("redis", message, "name the master in REDIS_URL", AWAY)
    if "err" in (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status")):
        message = "it could not save to its disk the last time, and may soon take no writes"
        yield fail("redis", message, "make room there; its own log tells why", AWAY)
    if (limit := info.get("maxmemory", 0)) and info.get("used_memory", 0) > _MUCH * limit:
        yield warn("redis", f"it uses {info['used_memory']:,} bytes of its maxmemory {limit:,}", "raise maxmemory")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield warn("redis", f"it may throw messages away: maxmemory-policy {policy}", "set maxmemory-policy noeviction")
    if not info.get("aof_enabled"):
        message = "a restart loses messages that no worker has read: it keeps no append-only file"
        yield warn("redis", message, "set appendonly yes (accepted purchases are in the database and safe)")


def cool_downs(settings: Settings, config: Config) -> Iterator[Finding]:
    """A line for each provider that asked to slow down."""
    from workers.views.providers import cooldown

    for alias, found in sorted(cooldown.cool_downs(settings, config).items()):
        if words := cooldown.cool_down_in_words(found):
            yield warn("providers", f"{alias} {words}", f"sooner, at its risk: dialstock provider resume {alias}")


def beat(settings: Settings, config: Config, runs_for: timedelta | None = None) -> Iterator[Finding]:
    """Whether any sends what is due; nothing where nothing is scheduled, or where that cannot be told.

    *runs_for* is how long one has run; a new one has sent nothing before its first tick, and is not missed.
    """
    from workers.cli.terminal.context import NO_BEAT, beat_runs, mend_of_beat
    from workers.periodic.beat_schedule import beat_schedule
    from workers.periodic.heartbeat import kept_for
    from workers.views.desk import worker_hint

    runs = beat_runs(settings, config)
    if runs:
        yield ok("beat", "one sends what is due")
    elif runs is False and runs_for is not None and runs_for.total_seconds() < (kept_for(beat_schedule(config)) or 0):
        yield ok("beat", "one has just started, and sends what is due within minutes")
    elif runs is False:
        # Where nothing runs at all, none is missed yet.
        level = Level.FAIL if worker_hint(settings) is None else Level.WARN
        yield Finding(name="beat", level=level, message=NO_BEAT, mend=mend_of_beat(settings))


def workers(answered: Callable[[], Queues], config: Config, waiting: int) -> Finding:
    """Whether any *answered*, and whether every provider has one. *waiting* is how many purchases need them."""
    from workers.fleet import FleetError

    try:
        found = answered()
    except FleetError as exc:
        return fail("workers", f"they could not be asked: {exc}")
    if not found:
        level = Level.FAIL if waiting else Level.WARN
        message = f"none answers, and {waiting:,} purchases wait" if waiting else "none answers"
        return Finding(name="workers", level=level, message=message, mend="start `dialstock up`, or `dialstock worker`")
    served = set().union(*found.values())
    idle = [alias for alias in config.providers if queue_of(alias) not in served]
    if idle:
        mend = "they take over an edited file within 5 s: their logs tell what they refuse; restart those with -Q"
        return fail("workers", f"none of {len(found)} works for {', '.join(idle)}", mend)
    return ok("workers", f"{len(found)} answered")


def asking_workers() -> Callable[[Settings], Queues]:
    """What asks them, for another thread: what it needs is imported here."""
    from workers.fleet import listening

    def ask(settings: Settings) -> Queues:
        """What each worker that answers within PING_SECONDS listens to, by its name. Raises FleetError."""
        if not settings.broker_url:
            return {}
        return listening(settings.broker_url, timeout=PING_SECONDS, key_prefix=settings.key_prefix)

    return ask
