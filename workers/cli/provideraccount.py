"""Purchases under an alias that is renamed, gone, or another account now: a person says where they belong."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from tasks import accounts
from tasks.accounts import Left, Moved
from tasks.ledger.accounts import Home, Under
from tasks.runtime import Runtime
from tasks.watermark import Watermark
from workers.cli.context import Desk, known_provider
from workers.cli.errors import Failure
from workers.cli.output import count, show, show_table
from workers.cli.servers import open_redis


def move(desk: Desk, source: str, target: str) -> Moved:
    """Have what stands under the alias *source* belong to *target*, which is the same account.

    Raises Failure; Away or EmbeddedError where there is no Redis, which knows the account's newest calls.
    """
    runtime = desk.runtime
    account = known_provider(runtime.config, target).account
    own = runtime.providers.get(source)
    if source != target and own is not None and own.account != account:
        message = (
            f"{source!r} and {target!r} are two accounts in the file, and a number belongs to the one that bought it"
        )
        raise Failure(f"{message}: mend the file first, or name the alias that is gone")
    under = Under(provider=source, but=account if source == target else None)
    home = Home(provider=target, account=account)
    with open_redis(desk.settings) as client:
        accounts.move_marks(replace(runtime, redis=client, watermark=Watermark(client)), under, home)
    done = accounts.move(runtime, under, home)
    if not (done.left or done.apart):
        accounts.settle(runtime, [target])
    return done


def leave(runtime: Runtime, alias: str) -> Left:
    """End with what stands under *alias* for an account that it is not any more."""
    own = runtime.providers.get(alias)
    return accounts.leave(runtime, Under(provider=alias, but=None if own is None else own.account))


def moved_document(source: str, target: str, done: Moved) -> dict[str, Any]:
    """For programs."""
    left = [{"purchase_id": row["id"], "number": row["number"], "status": row["status"]} for row in done.left]
    apart = {"apart": done.apart} if done.apart else {}
    return {"from": source, "to": target, "moved": done.count, "left": left, **apart}


def tell_moved(source: str, target: str, done: Moved) -> None:
    """For people."""
    show(f"{count(done.count, 'purchase')} of {source} go on under {target}.")
    if done.apart:
        show(f"{count(done.apart, 'purchase')} of {source} stay: {accounts.APART}.")
    if done.left:
        show("These stay: their number is alive there already. See at the provider how often it was charged:")
        show_table(("purchase", "number", "status"), [(row["id"], row["number"], row["status"]) for row in done.left])


def left_document(alias: str, done: Left) -> dict[str, Any]:
    """For programs."""
    return {"provider": alias, **asdict(done)}


def tell_left(alias: str, done: Left) -> None:
    """For people."""
    show(f"{alias}: {count(done.cancelled, 'purchase')} cancelled, {done.held:,} held. What is bought stays as it is.")
    if done.held:
        show("Settle what is held:  dialstock purchase list --status held")
    if done.under_way:
        show(f"{count(done.under_way, 'call')} under way: do it again in a minute.", "yellow")
