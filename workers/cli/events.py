"""`dialstock events`: replay, tail."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli.terminal.output import Json, Meter, emit_json, show, show_line
from workers.views.words import count

if TYPE_CHECKING:
    from redis import Redis

    from tasks.lifecycle.outbox_relay import Selection
    from workers.views.desk import Desk

_BLOCK = 2000
"""Milliseconds that one read of the stream waits: below the client's time-out."""

_WHEN = "a time like 2026-01-31T12:00Z (UTC where it names no zone), or how long ago, like 90s, 30m, 6h, 2d"

Since = Annotated[str, typer.Option(metavar="WHEN", help=f"From when on: {_WHEN}.")]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Until when, in the same way; else until now.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Only this type, like purchase.held; may be repeated."),
]
Subject = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Only this subject: a number like +14155550100, or an order's id.")
]


def register(app: typer.Typer) -> None:
    """Add `events` and its commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="What is told on the results channel: send it again, or watch it.",
    )
    group.command()(replay)
    group.command()(tail)
    app.add_typer(group, name="events")


def replay(
    *, since: Since, until: Until = None, type: Types = None, subject: Subject = None, json: Json = False
) -> None:
    """Send kept events again, to the stream and to the channel, in their order and with the same ids.

    Readers that drop the ids they have seen lose and repeat nothing. What is sent again keeps its order; events that
    are new meanwhile come in between, so a purchase's *sequence* may step back while the replay lasts. Events are kept
    for 7 days (DIALSTOCK_EVENT_RETENTION).
    """
    from datetime import timedelta

    from tasks.lifecycle import outbox_relay
    from workers.cli.terminal.context import open_desk
    from workers.cli.terminal.times import event_type, point_in_time
    from workers.views.errors import Failure
    from workers.views.redis_server import open_redis

    with open_desk(configured=False) as desk:
        now = desk.runtime.now()
        wanted = outbox_relay.Selection(
            since=point_in_time(since, "--since", now),
            until=None if until is None else point_in_time(until, "--until", now),
            types=tuple(event_type(text) for text in type or ()),
            subject=subject,
        )
        if wanted.until is not None and wanted.until <= wanted.since:
            raise Failure(f"--until {until!r} is not after --since {since!r}: nothing lies between them")
        kept_since = now - timedelta(seconds=desk.settings.event_retention)
        with open_redis(desk.settings) as client:
            sent = _replay(desk, client, wanted)
    if json:
        emit_json({"replayed": sent, "since": wanted.since, "until": wanted.until})
        return
    show(f"{count(sent, 'event')} sent again.")
    if wanted.since < kept_since:
        show("Events from before the time for which they are kept may be gone: see DIALSTOCK_EVENT_RETENTION.")


def tail(*, json: Json = False) -> None:
    """Show events as they come, until Ctrl-C; with --json each as one line of JSON."""
    import json as encoding

    from workers.settings import load_settings
    from workers.views.redis_server import open_redis

    with open_redis(load_settings()) as client:
        for text in _follow(client):
            show_line(text if json else _in_words(encoding.loads(text)))
            sys.stdout.flush()


def _follow(client: Any) -> Iterator[str]:
    from schemas.events import STREAM
    from tasks.redis_keys import named

    stream = named(client, STREAM)
    newest = client.xrevrange(stream, count=1)
    last = newest[0][0] if newest else "0-0"
    while True:
        for _, entries in client.xread({stream: last}, block=_BLOCK, count=500) or ():
            yield from (fields[b"event"].decode() for _, fields in entries)
            last = entries[-1][0]


def _replay(desk: Desk, client: Redis, wanted: Selection) -> int:
    from dataclasses import replace

    from tasks.lifecycle import outbox_relay

    runtime = replace(desk.runtime, redis=client)
    relay = outbox_relay.Relay(runtime, outbox_relay.relay_token(), stream_length=desk.settings.stream_length)
    sent = 0
    try:
        with Meter("sending events again", outbox_relay.count_kept(runtime, wanted)) as meter:
            for batch in outbox_relay.replay(runtime, relay, wanted):
                sent += batch
                meter.advance(batch)
    finally:
        relay.release()
    return sent


def _in_words(event: dict[str, Any]) -> str:
    data = event["data"]
    about = data.get("provider") or event["source"]
    details = [f"{name} {data[name]}" for name in ("status", "error", "reason", "counts") if data.get(name)]
    return f"{event['time']}  {event['type']:<32}  {event.get('subject') or '':<16}  {about}  {', '.join(details)}"
