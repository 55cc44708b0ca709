"""The problems of a file as a person reads them: those that are alike together, with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.cli.terminal.output import say

MAX_LINES = 10
MAX_GROUPS = 1_000

# the cell's own text, which is another in each row
_CELL = re.compile(r"""(?:'[^']*'|"[^"]*")""")


@dataclass
class _Group:
    """Problems with one column and one reason; the first of them stands for all."""

    first: Mapping[str, Any]
    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        self.count += 1
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)

    def told(self) -> str:
        place = self.first.get("place")
        column = f", {self.first['column']}" if self.first["column"] else ""
        if self.count == 1:
            return f"{place or 'line {line}'.format(**self.first)}{column}: {self.first['message']}"
        first = f", first {place}" if place else ""
        more = f" and {self.count - len(self.lines):,} more" if self.count > len(self.lines) else ""
        where = f"{'rows' if place else 'lines'} {', '.join(map(str, self.lines))}{more}"
        return f"{self.count:,} times{first}{column}: {self.first['message']} ({where})"


def list_problems(problems: Iterable[Mapping[str, Any]], shown: int) -> None:
    """Tell the problems on standard error, *shown* kinds of them at most."""
    groups: dict[tuple[Any, str], _Group] = {}
    beyond = 0
    for problem in problems:
        key = (problem["column"], _CELL.sub("", problem["message"], count=1))
        if key not in groups and len(groups) == MAX_GROUPS:
            beyond += 1
            continue
        groups.setdefault(key, _Group(problem)).add(problem["line"])
    told = [*groups.values()][:shown]
    for group in told:
        say(f"  {group.told()}")
    if any("name the country" in group.first["message"] for group in told):
        say(
            "Numbers without a country code: --country says which country they are of, a column `country` says it of "
            "each row"
        )
    left = sum(group.count for group in [*groups.values()][shown:]) + beyond
    if left:
        say(f"  and {left:,} more (--json gives all, --max-problems-shown more)")
