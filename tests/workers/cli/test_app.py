"""Exit statuses, messages and the purity of standard output, with real processes where it matters."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

import workers.cli.terminal.context
from tests.waiting import PATIENCE
from tests.workers.cli.running import Cli, simple_file

Start = Callable[..., "subprocess.Popen[str]"]


def test_help_imports_no_library_of_the_commands() -> None:
    heavy = ("celery", "redis", "alembic", "httpx", "sqlalchemy", "pydantic", "tornado")
    code = f"import sys, workers.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_command_does_not_search_what_it_imports_for_garbage() -> None:
    code = (
        "import atexit, gc, sys; sys.argv[1:] = ['--help']; from workers.cli import main; "
        "atexit.register(lambda: print(gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 0, file=sys.stderr)); "
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "True True"


@pytest.mark.parametrize(
    "command",
    [
        [],
        *(["order", name] for name in ("submit", "list", "show", "watch", "export", "retry", "cancel")),
        *(["provider", name] for name in ("list", "check", "pause", "resume")),
        *(["purchase", name] for name in ("list", "show", "cancel", "resolve")),
        *(["pool", name] for name in ("list", "show", "run", "take", "return")),
        ["number", "search"],
        ["buy"],
    ],
)
def test_every_command_has_help_and_json(cli: Cli, command: list[str]) -> None:
    shown = cli.ok(*command, "--help")
    assert cli.ok(*command, "-h") == shown
    assert "Usage: " in shown
    if command:
        assert "--json" in shown


def test_the_version_is_that_of_the_installed_package(cli: Cli) -> None:
    assert cli.ok("--version") == f"dialstock {version('dialstock')}\n"
    assert cli.ok("--sandbox", "--version").endswith(f"{version('dialstock')}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frob"], "No such command 'frob'"),
        ([""], "what stands after dialstock is empty: give it a value, or leave it out"),
        (
            ["provider", "pause", "bird", "--reason", ""],
            "after --reason is empty: give it a value, or leave it out where",
        ),
        (["order", "find", "--count", "1", "--exclude", ""], "what stands after --exclude is empty"),
        (["order", "find", "--count", "1", "--contains="], "what stands after --contains= is empty"),
        (["order", "submit", ""], "what stands after submit is empty"),
        (["number", "search", "--provider", "bird", "-o", ""], "what stands after -o is empty"),
        (["release", "--file", ""], "what stands after --file is empty"),
        (["order", "frob"], "No such command 'frob'"),
        (["order", "show"], "Missing argument 'ID'"),
        (["order", "list", "--limit", "0"], "Invalid value for '--limit': must be 1 or more\n"),
        (["sandbox", "--latency", "x"], "Invalid value for '--latency': must be a number\n"),
        (["order", "list", "--frob"], "No such option: --frob"),
        (["order", "show", "abc"], "is no id of an order: give at least its first or last 8 characters"),
        (["order", "show", "last"], "there is no order yet"),
        (["order", "watch", "0198c0de-0000"], "there is no order 0198c0de-0000: `dialstock order list`"),
        (["order", "export", "0198c0de"], "there is no order"),
        (["order", "retry", "0198c0de"], "there is no order"),
        (["order", "cancel", "0198c0de"], "there is no order"),
        (["purchase", "show", "0198c0de"], "there is no purchase"),
        (["purchase", "list", "--status", "lost"], "--status"),
        (["provider", "pause", "signalwir", "--reason", "x"], "did you mean 'signalwire'?"),
        (["provider", "resume", "frob"], "'frob' is not configured"),
        (["provider", "check", "frob"], "'frob' is not configured"),
        (["number", "search", "--provider", "frob"], "'frob' is not configured"),
        (["number", "search", "--provider", "bird", "--prefix", "4a"], "must be digits alone"),
        (["number", "search", "--provider", "bird", "--prefix", "1415"], "write the area code without 1, like 415"),
        (["number", "search", "--provider", "bird", "--prefix", "999"], "begins no number of US that is in use"),
        (["number", "search", "--provider", "bird", "--csv", "--json"], "both given"),
    ],
)
def test_wrong_use_is_told_in_one_message_with_status_2(cli: Cli, arguments: list[str], message: str) -> None:
    assert message in cli.refused(*arguments)


def test_wrong_settings_and_a_wrong_configuration_are_wrong_use(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("providers.toml").write_text('[providers.a]\nkind = "bird"\nbase_urk = "x"\n')
    assert "providers.toml:3: unknown field 'base_urk'" in cli.refused("provider", "list")
    monkeypatch.setenv("DATABASE_URL", "mysql://user:s3cr3t@host/x")
    told = cli.refused("order", "list")
    assert "DATABASE_URL" in told
    assert "s3cr3t" not in told


def test_a_database_that_is_away_or_behind_has_status_3(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:s3cr3t@127.0.0.1:1/x")
    told = cli.refused("order", "list", status=3)
    assert "is away" in told
    assert "s3cr3t" not in told
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    assert "dialstock migrate" in cli.refused("order", "list", status=3)


def test_the_embedded_database_migrates_by_itself(home: Path) -> None:
    assert Cli().json("order", "list") == []
    assert (home / "home" / "dialstock.db").is_file()


def test_a_bug_is_no_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.cli.terminal.context, "open_desk", lambda **_: 1 / 0)
    told = cli.refused("order", "list", status=1)
    assert "a bug: ZeroDivisionError: division by zero" in told


def test_a_real_process_prints_one_document_and_nothing_else(start: Start, home: Path) -> None:
    process = start("order", "submit", str(simple_file(home, 3)), "--json")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert json.loads(out)["lines"] == 3
    assert "no worker seems to be running" in err


def test_a_real_process_ends_with_the_status(start: Start, home: Path) -> None:
    process = start("order", "submit", "nowhere.csv")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, "")
    assert err == "dialstock: nowhere.csv: cannot be read: No such file or directory\n"


def test_a_reader_that_goes_away_is_no_traceback(cli: Cli, start: Start, home: Path) -> None:
    rows = "\n".join(f"+1415{n},timepay" for n in range(5_000_000, 5_002_000))
    (home / "many.csv").write_text(f"number,provider\n{rows}\n")
    cli.submit(home / "many.csv")
    process = start("order", "export", "last")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdout = None
    told = process.stderr.read()
    process.wait(PATIENCE)
    assert "Traceback" not in told
    assert "bug" not in told
