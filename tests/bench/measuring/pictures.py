"""The pictures of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.measuring.harness import LATENCY, THREADS, Measure
from tests.bench.measuring.report import picture_path
from tests.bench.measuring.windows import by_second

OURS, THEIRS, BASE, LINE = "#2563eb", "#9ca3af", "#4b5563", "#dc2626"

mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10})


def limit(arrivals: Mapping[tuple[int, int], Sequence[float]]) -> Path:
    """Calls a second at the provider over time: a column for each limit, a row for each number of workers."""
    limits, workers = (sorted({key[place] for key in arrivals}) for place in (0, 1))
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    figure.suptitle("Calls at the provider, all worker processes together")
    grid = figure.subplots(len(workers), len(limits), sharex="col", sharey="col", squeeze=False)
    for row, processes in enumerate(workers):
        for column, rate in enumerate(limits):
            _draw_calls(grid[row][column], arrivals[rate, processes], rate)
            grid[row][column].set_title(f"{processes} worker process{'es' if processes > 1 else ''}, limit {rate}/s")
    for axes in grid[-1]:
        axes.set_xlabel("seconds since the first call")
    for axes in grid[:, 0]:
        axes.set_ylabel("calls per second")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="upper right", ncols=2, frameon=False)
    return _save(figure, "limit")


def peers(results: Mapping[str, Measure], yardstick: str) -> Path:
    """Throughput and CPU time of everything that was measured."""
    names = list(results)[::-1]
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    figure.suptitle(f"One worker process of {THREADS} threads, a provider of {LATENCY * 1000:.0f} ms")
    left, right = figure.subplots(1, 2, sharey=True)
    colours = [BASE if name == yardstick else OURS if name.startswith("dialstock") else THEIRS for name in names]
    _draw_bars(left, names, [results[name].rate for name in names], colours, "{:.0f}")
    left.set(title="Throughput", xlabel="purchases per second", xlim=(0, THREADS / LATENCY * 1.05))
    left.axvline(THREADS / LATENCY, color=LINE, linestyle="--", linewidth=1, label="most possible")
    figure.legend(*left.get_legend_handles_labels(), loc="upper left", frameon=False)
    _draw_bars(right, names, [results[name].cpu for name in names], colours, "{:.1f}")
    right.set(title="CPU time of the worker", xlabel="milliseconds per purchase")
    return _save(figure, "peers")


def accounts(costs: Mapping[str, tuple[float, float]], before: Mapping[str, float]) -> Path:
    """An idle worker's share of a core and the numbers bought in a second, by accounts; and what the share was once."""
    names = list(costs)[::-1]
    figure = Figure(figsize=(8.4, 2.8), layout="constrained")
    figure.suptitle("One worker process for many accounts, on SQLite")
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(names, [before.get(name, 0.0) for name in names], color=THEIRS, label="before")
    left.barh(names, [costs[name][0] for name in names], height=0.4, color=OURS, label="now")
    left.set(title="Idle", xlabel="share of a core")
    left.legend(loc="upper right", frameon=False)
    _draw_bars(right, names, [costs[name][1] for name in names], [OURS] * len(names), "{:.0f}")
    right.set(title="Throughput", xlabel="numbers per second")
    return _save(figure, "accounts")


def distance(used: Mapping[str, float], aims: Mapping[str, float], before: Mapping[str, float]) -> Path:
    """Which part of its limit was used, by the distance of the servers; what it was once, and what it should be."""
    names = list(used)[::-1]
    figure = Figure(figsize=(8.4, 2.6), layout="constrained")
    figure.suptitle("Use of a limit, by the way to PostgreSQL and Redis")
    axes = figure.subplots()
    axes.barh(names, [before[name] for name in names], color=THEIRS, label="before")
    bars = axes.barh(names, [used[name] for name in names], height=0.4, color=OURS, label="now")
    axes.bar_label(bars, [f"{used[name]:.3f}" for name in names], label_type="center", fontsize=8, color="white")
    for place, name in enumerate(names):
        line = axes.vlines(aims[name], place - 0.4, place + 0.4, color=LINE, linewidth=1.5)
        line.set_label("aim" if place == 0 else "")
    axes.set(xlabel="numbers bought, as a share of what the limit allows", xlim=(0, 1))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return _save(figure, "distance")


def _draw_calls(axes: Axes, times: Sequence[float], rate: int) -> None:
    counts = by_second(times)
    axes.stairs(counts, fill=True, color=OURS, alpha=0.75, label="calls")
    axes.axhline(rate, color=LINE, linestyle="--", linewidth=1, label="limit")
    axes.set_ylim(0, rate * 1.25)


def _draw_bars(axes: Axes, names: list[str], values: list[float], colours: list[str], label: str) -> None:
    bars = axes.barh(names, values, color=colours)
    texts = axes.bar_label(bars, [label.format(value) for value in values], label_type="center", fontsize=8)
    for text in texts:
        text.set_color("white")


def _save(figure: Figure, name: str) -> Path:
    path = picture_path(name)
    figure.savefig(path, dpi=110)
    return path
