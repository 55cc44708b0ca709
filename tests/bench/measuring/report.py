"""Where results go: tables to build/bench/report.md and to the screen, pictures beside them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.bench.measuring.harness import FOLDER, Measure

Row = Sequence[str]


def publish(title: str, header: Row, rows: Sequence[Row], *, notes: str, picture: Path | None = None) -> None:
    """Append a table to the report, and print it."""
    shown = [f"![{title}]({picture.name})", ""] if picture else []
    lines = [f"## {title}", "", *_table(header, rows), "", notes, "", f"_{_machine()}_", "", *shown]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "report.md").open("a", encoding="utf-8") as report:
        report.write("\n".join([*lines, ""]))
    print("\n\n" + "\n".join(lines))


def picture_path(name: str) -> Path:
    """Where the picture *name* goes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER / f"{name}.png"


MEASURE_HEADER = ("", "calls/s", "ratio", "CPU ms", "ratio", "database ms", "MB")


def measure_rows(results: Mapping[str, Measure], yardsticks: Mapping[str, str]) -> list[Row]:
    """A row for each result, set against the result that *yardsticks* names for it."""
    return [_measure_row(name, one, results[yardsticks[name]]) for name, one in results.items()]


def _measure_row(name: str, one: Measure, base: Measure) -> Row:
    rate = (f"{one.rate:.0f}", f"{one.rate / base.rate:.2f}")
    cpu = (f"{one.cpu:.2f}", f"{one.cpu / base.cpu:.2f}")
    database = f"{one.database_cpu:.2f}" if one.database_cpu else "-"
    return (name, *rate, *cpu, database, f"{one.memory:.0f}")


def _table(header: Row, rows: Sequence[Row]) -> list[str]:
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [_line(header, widths), _line(rule, widths), *(_line(row, widths) for row in rows)]


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    size = f"{os.cpu_count()} cores, {memory:.0f} GB, load {os.getloadavg()[0]:.1f} at the end"
    return f"{when} UTC, Python {platform.python_version()}, {platform.system()} {platform.machine()}, {size}"
