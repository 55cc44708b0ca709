"""What commands and pages both need stands below both of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import workers

ROOT = Path(workers.__file__).parent


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file of *folder*, with each module that it imports from anywhere within."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                yield str(path), node.module or ""
            elif isinstance(node, ast.Import):
                yield from ((str(path), one.name) for one in node.names)


@pytest.mark.parametrize(
    ("folder", "above"), [("views", ("workers.cli", "workers.pages", "typer", "rich")), ("pages", ("workers.cli",))]
)
def test_nothing_stands_on_what_is_above_it(folder: str, above: tuple[str, ...]) -> None:
    names = tuple(f"{name}." for name in above)
    assert [one for one in imported(ROOT / folder) if f"{one[1]}.".startswith(names)] == []
