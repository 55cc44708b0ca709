"""Following an order until it is completed: live on a terminal, else a plain line now and then, or NDJSON."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.live import Live

from tasks import orders
from tasks.operator.retry_order import refusal
from workers.cli.order.progress_bars import line_of, render
from workers.cli.terminal.output import emit_json, error_console, say, show
from workers.views.desk import Desk, worker_hint
from workers.views.errors import INTERRUPTED, SOME_FAILED
from workers.views.orders.progress import Progress, Sampler, summary
from workers.views.words import count

LIVE_EVERY = 0.5
PLAIN_EVERY = 3.0
JSON_EVERY = 1.0
HINT_EVERY = 5.0
_SHARE = 4.0
"""A sample that took t seconds is followed by none for four times as long: to watch must not slow the buying."""


def follow(desk: Desk, order_id: str, *, json: bool) -> int:
    """Follow the order to its end; returns the exit status. Ctrl-C ends the following, not the order."""
    try:
        last = _follow(desk, order_id, json=json)
    except KeyboardInterrupt:
        say(f"\nThe order goes on. Watch it again: dialstock order watch {order_id}")
        return INTERRUPTED
    if json:
        emit_json({"type": "end", **summary(last)})
    else:
        _tell_end(desk, last)
    return 0 if last.all_bought else SOME_FAILED


def _follow(desk: Desk, order_id: str, *, json: bool) -> Progress:
    watcher = _Watcher(desk, order_id)
    console = error_console()
    if json:
        return watcher.run(JSON_EVERY, lambda progress, _: emit_json({"type": "progress", **summary(progress)}))
    if not console.is_terminal:
        return watcher.run(PLAIN_EVERY, lambda progress, note: say(line_of(progress, note)))
    with Live(console=console, auto_refresh=False) as live:

        def draw(progress: Progress, note: str | None) -> None:
            live.update(render(progress, note, watcher.elapsed, console.width), refresh=True)

        last = watcher.run(LIVE_EVERY, draw)
        draw(last, None)
        return last


class _Watcher:
    """Samples an order until it is over."""

    def __init__(self, desk: Desk, order_id: str) -> None:
        self._desk = desk
        self._sampler = Sampler(desk.runtime, order_id)
        self._began = time.monotonic()
        self._asked = 0.0
        self._note: str | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the watching began."""
        return time.monotonic() - self._began

    def run(self, every: float, tell: Callable[[Progress, str | None], None]) -> Progress:
        """Call *tell* every so many seconds with the progress and a note; returns the last progress."""
        while True:
            began = time.monotonic()
            progress = self._sample()
            if progress.over:
                return progress
            tell(progress, self._hint())
            spent = time.monotonic() - began
            time.sleep(max(every - spent, _SHARE * spent))

    def _sample(self) -> Progress:
        progress = self._sampler.sample()
        if progress.over or progress.waiting:
            return progress
        # every line is settled: whoever sees it first completes the order
        orders.complete_finished(self._desk.runtime)
        return self._sampler.sample()

    def _hint(self) -> str | None:
        if time.monotonic() - self._asked > HINT_EVERY:
            self._note = worker_hint(self._desk.settings)
            self._asked = time.monotonic()
        return self._note


def _tell_end(desk: Desk, progress: Progress) -> None:
    end = summary(progress)
    show(line_of(progress, None))
    order_id = end["order_id"]
    if end["held"]:
        show(f"Held for a person:  dialstock order show {order_id} --lines --status held")
    if progress.wishes:
        if not progress.all_bought:
            show(f"Look for the rest again:  dialstock order retry {order_id}")
    elif end["failed"] or end["cancelled"]:
        show(_again(desk, order_id, end["failed"] + end["cancelled"]))
    show(f"Result of each line:  dialstock order export {order_id} -o results.csv")


def _again(desk: Desk, order_id: str, lines: int) -> str:
    """How so many lines are bought again: by a retry, or as the retry itself would say."""
    with desk.runtime.database.read() as conn:
        refused = refusal(conn, order_id, more=True)
    if refused is not None:
        return f"Not to be retried: {refused}"
    return f"Buy {count(lines, 'line')} again:  dialstock order retry {order_id}"
