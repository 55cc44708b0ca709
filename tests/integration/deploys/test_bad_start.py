"""A worker that cannot work says why in one message, and ends at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.containers import LocalProcess, LocalWorker
from tests.integration.place import Place

COMMANDS = {"dialstock": ["dialstock", "worker"], "celery": LocalWorker.command()}


@pytest.fixture
def idle_place(tmp_path: Path, sqlite_url: str, redis_server: object) -> Place:
    """A deployment in good order, in which nothing runs."""
    place = Place(tmp_path, sqlite_url, redis_server)  # type: ignore[arg-type]
    with place:
        return place


def misspell_a_field(place: Place) -> dict[str, str]:
    path = place.home / "providers.toml"
    path.write_text(path.read_text().replace("max_attempts", "max_atempts").replace("timeout =", "timeuot =", 1))
    return {}


CASES: dict[str, tuple[Callable[[Place], dict[str, str]], int, list[str]]] = {
    "misspelt field": (misspell_a_field, 2, ["providers.toml:", "timeuot", "did you mean", "timeout"]),
    "no such file": (lambda _: {"DIALSTOCK_CONFIG": "/nowhere/p.toml"}, 2, ["/nowhere/p.toml", "DIALSTOCK_CONFIG"]),
    "missing secret": (
        lambda _: {"PROVIDERS_TOKEN": ""},
        2,
        ["[providers.timepay]", "[providers.bird]", "PROVIDERS_TOKEN is not set"],
    ),
    "wrong database": (lambda _: {"DATABASE_URL": "mysql://u:hush@h/d"}, 2, ["DATABASE_URL", "'mysql'"]),
    "no tables": (lambda place: {"DATABASE_URL": f"sqlite:///{place.home}/new.db"}, 3, ["run dialstock migrate"]),
}


@pytest.mark.parametrize(("change", "status", "told"), CASES.values(), ids=CASES)
def test_a_worker_with_a_bad_start_tells_once_and_exits(
    idle_place: Place, change: Callable[[Place], dict[str, str]], status: int, told: list[str]
) -> None:
    environ = {**idle_place.environ, **change(idle_place), "PYTHONWARNINGS": "ignore::UserWarning"}
    if change is misspell_a_field:
        environ["PYTHONHASHSEED"] = "0"  # started afresh
    with ExitStack() as stack:
        processes = [
            LocalProcess(name, command, environ, idle_place.home / f"{name}.log") for name, command in COMMANDS.items()
        ]
        for process in processes:
            stack.callback(process.stop)
        assert [process.wait() for process in processes] == [status] * len(COMMANDS)
    for process in processes:
        text = process.logs().decode()
        assert [part for part in told if part not in text] == [], text
        assert "Traceback" not in text
        assert "hush" not in text
        lines = [line for line in text.splitlines() if line and not is_about_root(line)]
        assert len(lines) <= 1 + text.count("[providers."), text


def is_about_root(line: str) -> bool:
    """Celery's warning about superuser privileges, which is none of ours."""
    warning = "superuser|SecurityWarning|not recommended|different user|User information|_warn_or"
    return re.search(warning, line) is not None
