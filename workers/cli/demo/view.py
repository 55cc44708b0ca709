"""What the demo shows: the numbers as they are bought, and the reckoning at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.status import SETTLED, Status
from workers.cli.demo.script import FAULT_WORDS
from workers.cli.demo.tally import OPEN_DOUBT, Result
from workers.cli.terminal.output import error_console, say, show, show_table
from workers.views.words import plain

_PLAIN_EVERY = 3.0
"""Seconds between lines where there is no terminal."""

_BAR = 24
_STYLES = {"purchased": "green", "in doubt": "cyan", "held": "yellow", "failed": "red", "waiting": "", "charged": ""}
_COLUMNS = ("provider", "charged", "purchased", "held", "failed", "in doubt", "lost", "charged twice")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """All as it is now: for each provider how many numbers are how; why providers are paused; the pool in words."""

    over: bool
    parts: Mapping[str, Mapping[str, int]]
    paused: Mapping[str, str]
    pool: str

    @classmethod
    def of(
        cls,
        counts: Iterable[Mapping[str, Any]],
        charges: Iterable[Mapping[str, Any]],
        paused: Mapping[str, str],
        *,
        over: bool,
        pool: str,
    ) -> Moment:
        """From what the tables and the sandbox say."""
        charged = Counter(charge["kind"] for charge in charges)
        parts: dict[str, Counter[str]] = {}
        for row in counts:
            part = parts.setdefault(row["provider"], Counter(charged=charged[row["provider"]]))
            part[_column(Status(row["status"]))] += row["count"]
            part["settled"] += row["count"] if row["status"] in SETTLED else 0
            part["all"] += row["count"]
        return cls(over=over, parts=parts, paused=paused, pool=pool)

    @property
    def total(self) -> Counter[str]:
        """All providers."""
        return sum((Counter(part) for part in self.parts.values()), Counter())


class View:
    """The progress on standard error: a table on a terminal, a line every few seconds elsewhere."""

    def __init__(self, begun: float) -> None:
        self._begun = begun
        console = error_console()
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._said = float("-inf")

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """What happens before there are numbers to show."""
        if self._live:
            self._live.update(Text(f"{text} ...", style="dim"), refresh=True)
        else:
            say(f"{self._elapsed():>2.0f} s: {text}")

    def show(self, moment: Moment) -> None:
        """The numbers now."""
        if self._live:
            self._live.update(_render(moment, self._elapsed()), refresh=True)
        elif moment.over or time.monotonic() - self._said >= _PLAIN_EVERY:
            self._said = time.monotonic()
            say(_line(moment, self._elapsed()))

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun


def show_result(result: Result) -> None:
    """The reckoning, on standard output."""
    numbers = [(r.provider, r.charged, r.purchased, r.held, r.failed, r.in_doubt, r.lost, r.twice) for r in result.rows]
    show_table(_COLUMNS, numbers, numbers=_COLUMNS[1:])
    show(
        f"\ncharged is what the sandboxes' own ledger says; the rest is our status table, after {result.seconds:.0f} s."
    )
    _show_pool(result)
    _show_wish(result)
    _show_reasons("The sandboxes played:", {FAULT_WORDS[name]: count for name, count in result.faults.items()})
    if result.settled:
        show(f"\n{result.settled} purchases were in doubt for a while, and were settled by asking the provider.")
    _show_reasons("Failed, and not charged: the provider refused the number for good.", result.failed)
    _show_reasons("Held, for a person to decide: bought perhaps, and never bought again by itself.", result.held)
    _show_verdict(result)


def document(result: Result) -> dict[str, Any]:
    """The result for programs."""
    rows = [asdict(row) for row in result.rows]
    return {**asdict(result), "rows": rows[:-1], "total": rows[-1], "right": result.right}


def _show_pool(result: Result) -> None:
    pool = result.pool
    named = result.total.charged - pool.charged - sum(result.wish.charged.values())
    show(
        f"\nThe pool's part is {pool.charged:,} charged, the file's {named:,}. "
        f"Of {pool.given + pool.refused:,} services that asked the pool for a number at\nonce, {pool.given:,} got one "
        f"and {pool.refused:,} were told that it is empty; {pool.to_two:,} numbers went to two of them. At the end\n"
        f"{pool.available:,} of {pool.target:,} are there again."
    )


def _show_wish(result: Result) -> None:
    wish = result.wish
    where = ", ".join(f"{count} from {provider}" for provider, count in wish.charged.items())
    show(
        f"\nOf {wish.count} numbers by criteria {wish.bought} were found and bought: {where}; two of the three\n"
        f"ran out. {wish.held} are held, {wish.replaced} were refused and replaced, {wish.missing} are missing."
    )


def _show_reasons(title: str, reasons: Mapping[str, int]) -> None:
    if reasons:
        show(f"\n{title}")
    for reason, count in sorted(reasons.items(), key=itemgetter(1), reverse=True):
        show(f"  {count:>4} x {reason}")


def _show_verdict(result: Result) -> None:
    total = result.total
    show()
    if not result.complete:
        show(f"Not finished: {total.waiting + total.in_doubt} numbers made no progress any more.", "red")
    if not result.wish.right:
        show(f"The order by criteria is not as it must be: {asdict(result.wish)}.", "bold red")
    if not result.pool.right:
        show(f"The pool is not as it must be: {asdict(result.pool)}.", "bold red")
    if result.right:
        show("Nothing was lost, and nothing was bought twice.", "bold green")
    elif not total.right:
        wrong = f"{total.lost} lost, {total.twice} charged twice, {total.uncharged} recorded and never charged"
        show(f"That must not be: {wrong}.", "bold red")


def _column(status: Status) -> str:
    if status in OPEN_DOUBT:
        return "in doubt"
    return str(status) if status in SETTLED else "waiting"


def _render(moment: Moment, elapsed: float) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("provider", no_wrap=True)
    table.add_column("", width=_BAR)
    for name in _STYLES:
        table.add_column(name, justify="right", no_wrap=True)
    for provider, part in moment.parts.items():
        table.add_row(*_cells(provider, part))
    table.add_row(*_cells("all", moment.total), style="bold")
    notes = [Text(plain(f"{alias} is paused: {why}"), style="yellow") for alias, why in moment.paused.items()]
    return Group(table, Text(moment.pool), Text(f"{elapsed:.0f} s", style="dim"), *notes)


def _cells(provider: str, part: Mapping[str, int]) -> list[RenderableType]:
    bar = ProgressBar(
        total=max(1, part["all"]), completed=part["settled"], complete_style="green", finished_style="green"
    )
    counts = [Text(f"{part[name]:,}", style=style if part[name] else "dim") for name, style in _STYLES.items()]
    return [Text(provider), bar, *counts]


def _line(moment: Moment, elapsed: float) -> str:
    total = moment.total
    counts = ", ".join(f"{total[name]:,} {name}" for name in _STYLES if total[name])
    paused = "".join(f" | {alias} is paused: {why}" for alias, why in moment.paused.items())
    return f"{elapsed:>2.0f} s: {total['settled']:,} of {total['all']:,} settled: {counts} | {moment.pool}{paused}"
