"""The demo from its first line to its last."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from schemas.status import OrderStatus
from tasks.reports.queries import find_order, provider_states, status_counts
from workers.cli.demo.pool import Act, PoolPlay
from workers.cli.demo.script import SHORTENED, TARGET, WISHED, order_file
from workers.cli.demo.stage import WORKERS, Home, Stage, staged
from workers.cli.demo.tally import Result, measure
from workers.cli.demo.view import Moment, View, document, show_result
from workers.cli.demo.wish import is_over, lay_out, order
from workers.cli.processes import children
from workers.cli.terminal.output import emit_json, say
from workers.fleet import wait_for
from workers.processes.children import Signals
from workers.views.errors import INTERRUPTED, SOME_FAILED, Failure
from workers.views.orders.check_file import check_file
from workers.views.orders.load import load_order
from workers.views.words import count

START_TIMEOUT = 60.0
"""Seconds that the workers have until they answer."""

PATIENCE = 60.0
"""Seconds without any change after which the demo gives up waiting."""

_TICK = 0.25
_LOG_TAIL = 2000


class Interrupted(Exception):
    """A signal asked for the end."""


@dataclass
class _Clock:
    """When something last changed."""

    seen: Any = None
    at: float = 0.0

    def stands_still(self, now: Any) -> bool:
        if now != self.seen:
            self.seen, self.at = now, time.monotonic()
        return time.monotonic() - self.at > PATIENCE


def play(numbers: int, seed: int, *, keep: bool, page: bool, json: bool) -> int:
    """Run the demo and show its result. Returns the exit status."""
    home = Home(keep=keep)
    _introduce(numbers, seed, home)
    try:
        with Signals() as signals, staged(home, seed, signals) as stage:
            say(f"\nWatch it, once the workers answer: {_address(stage)}\n", "bold")
            result = _perform(stage, numbers, signals)
            home.keep = keep or not result.right
            _tell(result, seed, home, json=json)
            if page:
                _stay(stage, signals)
            say("Stopping the workers and the sandbox.")
    except Interrupted:
        say("Interrupted: everything is stopped.")
        return INTERRUPTED
    if home.keep:
        say(f"Kept in {home.path}: dialstock.db, workers.log, sandbox-ledger.jsonl, numbers.csv")
    return 0 if result.right and result.complete else SOME_FAILED


def _introduce(numbers: int, seed: int, home: Home) -> None:
    say(f"Dialstock buys {count(numbers, 'number')} from sandboxes of all providers that fail on purpose,", "bold")
    say(f"finds {WISHED} more by criteria, and keeps a pool of {TARGET} for services to take.", "bold")
    say(f"Seed {seed}. Everything runs on this machine, in {home.path}; nothing of yours is touched.")
    say(f"\n{SHORTENED}")


def _tell(result: Result, seed: int, home: Home, *, json: bool) -> None:
    if json:
        emit_json({**document(result), "seed": seed, "home": str(home.path) if home.keep else None})
    else:
        show_result(result)


def _perform(stage: Stage, numbers: int, signals: Signals) -> Result:
    begun = time.monotonic()
    named = list(order_file(numbers))
    lay_out(stage.sandbox.control, named)
    order_id, wish_id = _submit(stage, named), order(stage)
    pool = PoolPlay(stage.runtime)
    with View(begun) as view:
        view.say(f"starting {WORKERS} worker processes")
        _wait_for_workers(stage, signals)
        stage.supervisor.start(children.OTHERS)
        clock = _Clock(at=time.monotonic())

        def over() -> bool:
            pool.step()
            moment = _moment(stage, order_id, wish_id, pool)
            view.show(moment)
            return moment.over or clock.stands_still(moment)

        _until(over, stage, signals)
    with stage.runtime.database.read() as conn:
        now, seconds = stage.runtime.now(), time.monotonic() - begun
        return measure(conn, order_id, wish_id, stage.sandbox.control, now=now, seconds=seconds)


def _wait_for_workers(stage: Stage, signals: Signals) -> None:
    deadline = time.monotonic() + START_TIMEOUT

    def answer() -> bool:
        if time.monotonic() > deadline:
            log = (stage.home / "workers.log").read_text(encoding="utf-8")[-_LOG_TAIL:]
            raise Failure(
                f"the workers do not answer after {START_TIMEOUT:g} s; the end of their log:\n{log}", SOME_FAILED
            )
        return wait_for(stage.settings.broker_url, stage.nodes, 0.5, key_prefix=stage.settings.key_prefix)

    _until(answer, stage, signals)


def _submit(stage: Stage, named: Sequence[tuple[str, str]]) -> str:
    """What `dialstock order submit` does with a file."""
    path = stage.home / "numbers.csv"
    rows = "".join(f"{number},{provider}\n" for provider, number in named)
    path.write_text(f"number,provider\n{rows}", encoding="utf-8")
    with path.open("rb") as source:
        checked = check_file(stage.runtime, source, name=str(path), format=None, provider=None, country=None)
    try:
        return load_order(stage.runtime, checked, name="demo", metadata={}).order_id
    finally:
        checked.close()


def _until(done: Callable[[], bool], stage: Stage, signals: Signals) -> None:
    """Ask *done* again and again; raises Interrupted at a signal."""
    while not done():
        if signals.count:
            raise Interrupted
        if given_up := stage.supervisor.check():
            raise Failure(f"{given_up} does not stay alive: see above", SOME_FAILED)
        time.sleep(_TICK)


def _stay(stage: Stage, signals: Signals) -> None:
    """Leave the pages up until a signal."""
    say(f"\nLook at it: {_address(stage)}. Ctrl-C ends it.", "bold")
    with suppress(Interrupted):
        _until(lambda: False, stage, signals)


def _address(stage: Stage) -> str:
    pages = stage.flower.facts
    return f"{pages['url']}/dialstock/ (user {pages['user']}, password {pages['password']})"


def _moment(stage: Stage, order_id: str, wish_id: str, pool: PoolPlay) -> Moment:
    with stage.runtime.database.read() as conn:
        named = find_order(conn, order_id) or {}
        counts = status_counts(conn)
        states = provider_states(conn, stage.runtime.accounts.values())
        found = is_over(conn, wish_id)
    paused = {alias: row["reason"] for alias, row in states.items() if row["paused_at"] is not None}
    over = named["status"] == OrderStatus.COMPLETED and found and pool.act is Act.OVER
    return Moment.of(counts, stage.sandbox.control.charges(), paused, over=over, pool=pool.words)
