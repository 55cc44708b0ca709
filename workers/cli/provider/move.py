"""Purchases under an alias that is renamed, gone, or another account now: a person says where they belong."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tasks.accounts import identity
from tasks.accounts.identity import AccountChanged, Left, Moved
from tasks.accounts.stranded import APART, homes_in
from tasks.runtime import Runtime
from workers.cli.terminal.output import say, show, show_table
from workers.views.desk import Desk, known_provider
from workers.views.words import count


def move(desk: Desk, source: str, target: str, account: str | None) -> Moved:
    """Have what stands under the alias *source*, for *account* where it is named, belong to *target*: the same account.

    Raises Failure, AccountElsewhere and AccountUnclear; Away or EmbeddedError where there is no Redis, which knows the
    newest calls of an account that is written anew.
    """
    known_provider(desk.runtime.config, target)
    done = identity.move(desk.runtime, source, homes_in(desk.runtime.config)[target], account)
    if not (done.left or done.apart):
        _settle(desk.runtime)
    return done


def _settle(runtime: Runtime) -> None:
    """Remember who each alias is, where this was the last thing to be done; else say what else there is."""
    try:
        identity.settle(runtime)
    except AccountChanged as exc:
        say(f"No worker starts yet:\n{exc}", "yellow")


def leave(runtime: Runtime, alias: str, account: str | None) -> Left:
    """End with what stands under *alias* for an account that it is not any more: *account* where it is named.

    Raises AccountElsewhere and AccountUnclear.
    """
    return identity.leave(runtime, alias, account)


def moved_document(source: str, target: str, done: Moved) -> dict[str, Any]:
    """For programs."""
    left = [{"purchase_id": row["id"], "number": row["number"], "status": row["status"]} for row in done.left]
    apart = {"apart": done.apart} if done.apart else {}
    return {"from": source, "to": target, "moved": done.count, "left": left, **apart}


def tell_moved(source: str, target: str, done: Moved) -> None:
    """For people."""
    show(f"{count(done.count, 'purchase')} of {source} go on under {target}.")
    if done.apart:
        show(f"{count(done.apart, 'purchase')} of {source} stay: {APART}.")
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
    if done.kept:
        show(f"{count(done.kept, 'number')} on the way back, and kept: see there whether they are ours still.")
    if done.under_way:
        show(f"{count(done.under_way, 'call')} under way: do it again in a minute.", "yellow")
