"""An order's progress on a screen: a bar per provider, and why it waits; the same as one plain line."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workers.cli.order.wishes.view import in_short
from workers.views.orders.progress import COUNTS, Part, Progress, summary
from workers.views.words import plain

MIN_WIDTH = 80
"""Columns: below that numbers would be cut, and be other numbers."""

_SELDOM = ("cancelled", "released")
"""Shown only where there is any."""
_STYLES = {
    "bought": "green",
    "failed": "red",
    "held": "yellow",
    "cancelled": "red",
    "released": "red",
    "waiting": "cyan",
}


def render(progress: Progress, note: str | None, elapsed: float, width: int) -> RenderableType:
    """The whole display; plain lines where the table does not fit."""
    if width < MIN_WIDTH:
        return Text(line_of(progress, note))
    wishes = [Text(plain(in_short(progress.wishes)), style="cyan")] if progress.wishes else []
    return Group(_heading(progress, elapsed), _table(progress), *wishes, *_reasons(progress), *_notes(note))


def line_of(progress: Progress, note: str | None) -> str:
    """Everything that matters in one line."""
    data = summary(progress)
    parts = [f"{data[name]:,} {name}" for name in COUNTS if data[name] or name == "bought"]
    reasons = [f"{part.provider}: {'; '.join(part.why)}" for part in progress.parts if part.why]
    text = f"order {data['order_id']} {data['status']}: {', '.join(parts)} of {data['lines']:,}"
    wishes = [in_short(progress.wishes)] if progress.wishes else []
    return " | ".join([text, *wishes, *reasons, *([note] if note else [])])


def _heading(progress: Progress, elapsed: float) -> Text:
    order = progress.order
    title = Text(f"Order {order['id']}", style="bold")
    name = f"  {plain(order['name'])}" if order["name"] else ""
    return title.append(f"{name}  {order['status']}, watched for {_clock(elapsed)}  (Ctrl-C: it goes on)", style="dim")


def _table(progress: Progress) -> Table:
    shown = [name for name in COUNTS if name not in _SELDOM or any(getattr(part, name) for part in progress.parts)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("provider", no_wrap=True)
    # the one column that gives way on a narrow screen: a number that is cut would be another number
    table.add_column("", min_width=1, max_width=28)
    table.add_column("", justify="right", no_wrap=True)
    for name in (*shown, "per s", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in progress.parts:
        table.add_row(*_row(part, shown))
    if len(progress.parts) > 1:
        table.add_row(*_row(_total(progress), shown), style="bold")
    return table


def _row(part: Part, shown: list[str]) -> list[RenderableType]:
    total = max(1, part.lines)
    bar = ProgressBar(total=total, completed=part.settled, complete_style="green", finished_style="green")
    share = f"{100 * part.settled // total}%"
    counts = [Text(f"{getattr(part, name):,}", style=_STYLES[name] if getattr(part, name) else "dim") for name in shown]
    return [
        Text(part.provider),
        bar,
        Text(share),
        *counts,
        Text(_rate(part.rate)),
        Text(_left(part)),
    ]


def _total(progress: Progress) -> Part:
    fields = ("lines", *COUNTS)
    sums = {name: sum(getattr(part, name) for part in progress.parts) for name in fields}
    rates = [part.rate for part in progress.parts if part.rate is not None]
    lefts = [part.left for part in progress.parts]
    known = [left for left in lefts if left is not None]
    longest = max(known) if len(known) == len(lefts) else None
    return Part(provider="all", **sums, rate=sum(rates) if rates else None, left=longest)


def _reasons(progress: Progress) -> list[Text]:
    """Each provider's reasons for waiting, those of several under one another."""
    width = max((len(part.provider) for part in progress.parts), default=0)
    return [
        Text(f"{part.provider:<{width}}  ", style="dim").append(plain("; ".join(part.why)), style="cyan")
        for part in progress.parts
        if part.why
    ]


def _notes(note: str | None) -> list[Text]:
    return [Text(plain(note), style="bold yellow")] if note else []


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1f}"


def _left(part: Part) -> str:
    if part.waiting == 0:
        return "done"
    return "?" if part.left is None else _clock(part.left)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
