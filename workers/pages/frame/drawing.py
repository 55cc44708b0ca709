"""Pictures as SVG in the page: they need no script, and take their colours from the page's style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from tornado.escape import xhtml_escape

_WIDE, _HIGH = 720, 180
_LEFT, _TOP, _BELOW = 56, 20, 24
_SMALL_WIDE, _SMALL_HIGH = 180, 36
_DAY = timedelta(days=1)


def steps(points: Sequence[tuple[datetime, int]], lines: Mapping[str, int], about: str) -> str:
    """A level that stays until it changes, oldest first, with *lines* across it; *about* says it to who does not see.

    There are two points at least.
    """
    begin, end = points[0][0], points[-1][0]
    top = max(1, *(level for _, level in points), *lines.values())

    def x(at: datetime) -> float:
        return _LEFT + (at - begin) / (end - begin) * (_WIDE - _LEFT)

    def y(level: float) -> float:
        return _TOP + (1 - level / top) * (_HIGH - _TOP - _BELOW)

    path = f"M{x(begin):.1f} {y(points[0][1]):.1f}"
    path += "".join(f"H{x(at):.1f}V{y(level):.1f}" for at, level in points[1:])
    area = f"{path}V{y(0):.1f}H{x(begin):.1f}Z"
    parts = [f'<path class="dialstock-area" d="{area}"/><path class="dialstock-line" d="{path}"/>', _axis(0, top, y)]
    parts += [_line_across(name, level, y) for name, level in lines.items()]
    midnight = (begin + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    while midnight < end:
        parts.append(_text(x(midnight), _HIGH - 6, f"{midnight:%d %b}", "middle"))
        midnight += _DAY
    return _svg(_WIDE, _HIGH, about, parts)


def bars(counts: Sequence[int], limit: float, about: str) -> str:
    """How often something was done in each step, oldest first, below the *limit* of a step."""
    top = max(1.0, limit, *counts)
    wide = _SMALL_WIDE / len(counts)
    line = _SMALL_HIGH * (1 - limit / top)
    parts = [
        f'<rect class="dialstock-bar" x="{n * wide:.1f}" y="{_SMALL_HIGH * (1 - count / top):.1f}" '
        f'width="{wide * 0.8:.1f}" height="{_SMALL_HIGH * count / top:.1f}"/>'
        for n, count in enumerate(counts)
        if count
    ]
    parts.append(f'<path class="dialstock-limit" d="M0 {line + 0.5:.1f}H{_SMALL_WIDE}"/>')
    parts.append(f'<path class="dialstock-axis" d="M0 {_SMALL_HIGH - 0.5}H{_SMALL_WIDE}"/>')
    return _svg(_SMALL_WIDE, _SMALL_HIGH, about, parts)


def _axis(low: int, high: int, y: Callable[[float], float]) -> str:
    ends = "".join(_text(_LEFT - 6, y(level) + 4, f"{level:,}", "end") for level in (low, high))
    return f'<path class="dialstock-axis" d="M{_LEFT} {y(0):.1f}H{_WIDE}"/>{ends}'


def _line_across(name: str, level: int, y: Callable[[float], float]) -> str:
    line = f'<path class="dialstock-limit" d="M{_LEFT} {y(level):.1f}H{_WIDE}"/>'
    return line + _text(_WIDE - 4, y(level) - 4, f"{name} {level:,}", "end")


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{xhtml_escape(said)}</text>'


def _svg(wide: int, high: int, about: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="dialstock-picture" role="img" aria-label="{xhtml_escape(about)}" viewBox="0 0 {wide} {high}" '
        f'width="{wide}" height="{high}"><title>{xhtml_escape(about)}</title>{"".join(parts)}</svg>'
    )
