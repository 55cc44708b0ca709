"""All that there is of a kind is in its package, which stays small: the core names none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tasks.providers.registry import kinds

ROOT = Path(__file__).parents[3]
PROVIDERS = ROOT / "tasks" / "providers"
OURS = sorted(path.parent.name for path in PROVIDERS.glob("*/adapter.py"))
NAMING = (PROVIDERS / "registry.py", ROOT / "workers" / "cli" / "demo" / "script.py")
"""The list of our kinds, and what `dialstock demo` plays."""


def core() -> list[Path]:
    found = [path for folder in ("schemas", "tasks", "workers") for path in (ROOT / folder).rglob("*.py")]
    packages = [PROVIDERS / name for name in OURS]
    return [path for path in found if path not in NAMING and not any(path.is_relative_to(one) for one in packages)]


def test_the_packages_are_the_kinds() -> None:
    assert sorted(name for name in kinds() if (PROVIDERS / name).is_dir()) == OURS
    assert len(OURS) == 10


@pytest.mark.parametrize(("name", "most"), [("adapter.py", 200), ("sandbox.py", 250)])
def test_an_adapter_and_a_sandbox_are_short(name: str, most: int) -> None:
    lengths = {kind: len((PROVIDERS / kind / name).read_text().splitlines()) for kind in OURS}
    assert {kind: length for kind, length in lengths.items() if length > most} == {}


def test_the_core_names_no_kind_and_imports_none() -> None:
    named = []
    for path in core():
        for node in ast.walk(ast.parse(path.read_text())):
            words: list[str] = []
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = [node.value]
            elif isinstance(node, ast.ImportFrom):
                words = (node.module or "").split(".")
            named += [f"{path.relative_to(ROOT)}:{node.lineno}: {word}" for word in words if word in OURS]
    assert named == []
