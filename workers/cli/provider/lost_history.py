"""A person's word that a provider may go on, although the database lost what was bought there."""

from __future__ import annotations

from dataclasses import replace

from tasks.ledger.rows import Row
from tasks.restored_database.go_on import believe
from tasks.watermark import Watermark
from workers.cli.terminal.output import show, show_line
from workers.views.desk import Desk, known_provider, open_redis
from workers.views.providers.rows import said
from workers.views.words import count

_NOTHING = "Nothing goes on by that: `dialstock provider list` tells what else waits."


def go_on_by_word(desk: Desk, alias: str, reason: str, by: str) -> tuple[list[str], list[Row]]:
    """Hold what lost calls may have bought, and end the pause of the account's aliases.

    Returns the aliases that go on, and what was held. Raises Failure, and redis.RedisError where Redis is away: it
    alone knows what was lost.
    """
    known_provider(desk.runtime.config, alias)
    why = said(reason)
    with open_redis(desk.settings) as client:
        runtime = replace(desk.runtime, redis=client, watermark=Watermark(client))
        return believe(runtime, runtime.providers[alias], by, why)


def tell_gone_on(aliases: list[str], held: list[Row]) -> None:
    """What was done, for people."""
    for row in held:
        show_line(f"held  {row['number']:<16}  {row['id']}")
    if held:
        settle = "`dialstock purchase resolve ID --bought`, or --retry or --fail"
        show(f"{count(len(held), 'purchase')} may have been bought: see at the provider, then {settle}.")
    show(f"{', '.join(aliases)} goes on." if aliases else _NOTHING)
