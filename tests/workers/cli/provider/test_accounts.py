"""`provider add` and `remove`: an accounts file is written whole, and only as workers would take it over."""

from __future__ import annotations

import fcntl
import os
import threading
import tomllib
from pathlib import Path

import pytest

from schemas.status import Status
from tasks.sandbox import SandboxServer
from tests.waiting import eventually
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from workers.cli.provider.accounts_text import with_account, without_account
from workers.views.desk import Desk

NEW = ("provider", "add", "customers:acme", "project_id=p-1", "token_file=acme.token")


@pytest.fixture
def accounts(sandbox: SandboxServer, home: Path) -> Path:
    """An accounts file that is not there yet, and the secret of an account."""
    table = f'kind = "signalwire"\nbase_url = "{sandbox.url}/signalwire"\ntoken_env = "SANDBOX_TOKEN"\n'
    with (home / "providers.toml").open("a") as file:
        file.write(f'[providers.customers]\n{table}accounts_file = "customers.toml"\n')
    (home / "acme.token").write_text("sandbox")
    return home / "customers.toml"


def test_an_account_is_added_and_taken_out_again(cli: Cli, accounts: Path) -> None:
    told = cli.json(*NEW)
    assert told == {"provider": "customers:acme", "added": True, "file": str(accounts), "token_env": None}
    assert accounts.read_text() == '[acme]\nproject_id = "p-1"\ntoken_file = "acme.token"\n'
    assert "customers:beta is in" in cli.ok("provider", "add", "customers:beta", "project_id=p-2")
    rows = {row["provider"]: row["account"] for row in cli.json("provider", "list")}
    assert rows["customers:acme"] == "signalwire|p-1"
    assert rows["customers:beta"] == "signalwire|p-2"
    assert cli.json("provider", "remove", "customers:beta")["removed"] is True
    assert [*tomllib.loads(accounts.read_text())] == ["acme"]
    assert [path.name for path in accounts.parent.iterdir() if path.name.startswith(".")] == []


def test_a_variable_that_running_processes_may_lack_is_told(
    cli: Cli, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_file = " ".join(cli.ok(*NEW).split())
    assert "What runs takes the change over within 5 s" in by_file
    assert "restart" not in by_file
    monkeypatch.setenv("EPS_TOKEN", "sandbox")
    add = ("provider", "add", "customers:eps", "project_id=p-2", "token_env=EPS_TOKEN")
    told = " ".join(cli.ok(*add).split())
    assert "variable EPS_TOKEN, which running processes do not have unless they were started with it: restart" in told
    assert "What runs takes" not in told
    cli.ok("provider", "remove", "customers:eps")
    assert cli.json(*add)["token_env"] == "EPS_TOKEN"


def test_a_relative_token_file_is_beside_the_configuration(
    cli: Cli, accounts: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    monkeypatch.setenv("DIALSTOCK_CONFIG", str(home / "providers.toml"))
    cli.ok(*NEW)
    (home / "acme.token").rename(home / "elsewhere" / "acme.token")
    told = " ".join(cli.refused("provider", "add", "customers:beta", "project_id=p-2", "token_file=acme.token").split())
    assert f"token_file {home / 'acme.token'} cannot be read" in told


def test_the_file_keeps_its_rights_and_its_link(cli: Cli, accounts: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.toml"
    real.write_text('# ours\n[beta]\nproject_id = "p-2"\n')
    real.chmod(0o640)
    accounts.symlink_to(real)
    cli.ok(*NEW)
    assert accounts.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_text().startswith('# ours\n[beta]\nproject_id = "p-2"\n\n[acme]\n')


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("customers:beta", "project_id=p-2", "token=s3cr3t"), "customers:beta: unknown field 'token': did you mean"),
        (("customers:beta", "project_id=p-2", "token_env=s3-cr3t"), "the name of an environment variable, and not the"),
        (("customers:beta", "project_id=p-2", "token_env=NOT_THERE"), "environment variable NOT_THERE is not set"),
        (
            ("customers:beta", "project_id=p-2", "token_file=none"),
            "No such file or directory: put the token there, and then add the account: no",
        ),
        (("customers:beta", "project_id=p-1"), "'customers:beta' is the account 'customers:acme'"),
        (("customers:beta",), "'project_id' is missing: [beta] needs it"),
        (("customers:beta", "policy.burst=2"), "'policy.burst' is no field"),
        (("customers:beta", "project_id"), "'project_id' is not KEY=VALUE: write it like token_file=PATH"),
        (("customers:Beta", "project_id=p-2"), "account 'Beta': use at most 30 of a-z"),
        (("customers:ü", "project_id=p-2"), "account 'ü': use at most 30 of a-z"),
        (('customers:x"y', "project_id=p-2"), """account 'x"y': use at most 30 of a-z"""),
        (("customers:x/y", "project_id=p-2"), "account 'x/y': use at most 30 of a-z"),
        (("customers:UPPER x", "project_id=p-2"), "account 'UPPER x': use at most 30 of a-z"),
        (("customers:a.b", "project_id=p-2"), "account 'a.b': use at most 30 of a-z"),
        (("customers:acme", "project_id=p-2"), "customers:acme is in"),
        (("customers", "project_id=p-2"), "'customers' is no account of an accounts file: write it like NAME:ACCOUNT"),
        (("bird:acme", "project_id=p-2"), 'has no accounts_file: add accounts_file = "bird.toml" to it'),
        (("nobody:acme", "project_id=p-2"), "has no [providers.nobody]"),
    ],
)
def test_nothing_is_written_that_no_worker_would_take(
    cli: Cli, accounts: Path, arguments: tuple[str, ...], expected: str
) -> None:
    cli.ok(*NEW)
    before = accounts.read_bytes()
    told = " ".join(cli.refused("provider", "add", *arguments).split())
    assert expected in told
    assert "s3cr3t" not in told
    assert "customers.toml:" not in told
    assert accounts.read_bytes() == before


def test_a_slip_elsewhere_in_the_configuration_is_told_first(cli: Cli, accounts: Path) -> None:
    accounts.write_text("[beta\n")
    assert "customers.toml: is not TOML" in cli.refused(*NEW)
    accounts.unlink()
    with (accounts.parent / "providers.toml").open("a") as file:
        file.write("[pools.x]\n")
    assert "'low' is missing" in cli.refused(*NEW)
    assert not accounts.exists()


def test_an_account_with_purchases_under_way_stays(both: Cli, accounts: Path, home: Path) -> None:
    both.ok(*NEW)
    both.ok("provider", "add", "customers:beta", "project_id=p-2")
    both.submit(simple_file(home, 3, "customers:acme"))
    before = accounts.read_bytes()
    told = " ".join(both.refused("provider", "remove", "customers:acme").split())
    assert "3 purchases of customers:acme are under way or held" in told
    assert "dialstock provider leave customers:acme" in told
    assert accounts.read_bytes() == before
    both.ok("provider", "remove", "customers:beta")


def test_an_account_that_an_order_by_criteria_looks_at_alone_stays(both: Cli, accounts: Path) -> None:
    both.ok(*NEW)
    both.ok("provider", "add", "customers:beta", "project_id=p-2")
    find = ("order", "find", "--count", "3", "--prefix", "415", "--provider", "customers:beta")
    alone = both.json(*find)["order_id"]
    shared = both.json(*find, "--provider", "bird")["order_id"]
    told = " ".join(both.refused("provider", "remove", "customers:beta").split())
    assert "1 orders look for numbers at customers:beta alone" in told
    assert f"dialstock order cancel {alone}" in told
    both.ok("order", "cancel", alone)
    both.ok("provider", "remove", "customers:beta")
    assert both.json("order", "show", shared)["status"] == "open"


def test_what_is_bought_keeps_no_account_and_what_is_held_does(
    both: Cli, accounts: Path, home: Path, request: pytest.FixtureRequest
) -> None:
    both.ok(*NEW)
    both.ok("provider", "add", "customers:beta", "project_id=p-2")
    both.submit(simple_file(home, 2, "customers:acme"))
    desk: Desk = request.getfixturevalue("desk")
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.HELD)
    assert "1 purchases of customers:acme" in " ".join(both.refused("provider", "remove", "customers:acme").split())
    both.ok("purchase", "resolve", NUMBERS[1], "--fail")
    both.ok("provider", "remove", "customers:acme")
    assert "purchased" in both.ok("purchase", "list", "--number", NUMBERS[0])


def test_the_last_account_and_one_that_is_not_there(cli: Cli, accounts: Path) -> None:
    cli.ok(*NEW)
    assert "take [providers.customers] out of" in " ".join(cli.refused("provider", "remove", "customers:acme").split())
    told = " ".join(cli.refused("provider", "remove", "customers:acne").split())
    assert told.endswith("customers.toml, which has acme: correct the account")
    assert "no accounts file" in " ".join(cli.refused("--sandbox", *NEW).split())


@pytest.mark.parametrize(
    ("others", "mend"),
    [
        ('"signalwire", ', "take it out of its `providers` first, in"),
        ("", "give it another provider, or take [pools.support] out, first, in"),
    ],
)
def test_an_account_that_a_pool_buys_from_stays(cli: Cli, accounts: Path, others: str, mend: str) -> None:
    cli.ok(*NEW)
    cli.ok("provider", "add", "customers:beta", "project_id=p-2")
    pool = f'[pools.support]\nproviders = [{others}"customers:acme"]\nlow = 1\ntarget = 2\ndaily_limit = 9\n'
    with (accounts.parent / "providers.toml").open("a") as file:
        file.write(pool)
    before = accounts.read_bytes()
    told = " ".join(cli.refused("provider", "remove", "customers:acme").split())
    assert f"pool 'support' buys from customers:acme: {mend} " in told
    assert "did you mean" not in told
    assert accounts.read_bytes() == before
    cli.ok("provider", "remove", "customers:beta")


def test_another_customers_account_is_proposed_nowhere(cli: Cli, accounts: Path, home: Path) -> None:
    cli.ok("provider", "add", "customers:c0021", "project_id=p-1", "token_file=acme.token")
    file = simple_file(home, 1, "customers:c0001")
    for command in (
        ("buy", NUMBERS[0], "--provider", "customers:c0001"),
        ("order", "submit", str(file)),
        ("order", "submit", str(simple_file(home, 1, name="plain.csv")), "--provider", "customers:c0001"),
        ("order", "find", "--count", "3", "--prefix", "415", "--provider", "customers:c0001"),
        ("provider", "pause", "customers:c0001", "--reason", "why"),
    ):
        result = cli(*command)
        assert result.exit_code != 0
        assert "correct the account, or add it to" in " ".join(result.output.split()), result.output
        assert "c0021" not in result.output


def test_one_command_at_a_time_writes_the_file(cli: Cli, accounts: Path) -> None:
    with (accounts.parent / "providers.toml").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=cli.ok, args=NEW)
        other.start()
        inode = os.fstat(lock.fileno()).st_ino
        eventually(lambda: f":{inode} " in _waiting_for_locks(), what="it waits")
        assert not accounts.exists()
    other.join()
    assert accounts.exists()


def _waiting_for_locks() -> str:
    return "\n".join(line for line in Path("/proc/locks").read_text().splitlines() if "->" in line)


TEXT = """\
# customers
quick = { a = "1" }

# Acme Ltd
[acme]
a = "x"  # why

[acme.policy]
burst = 2

# Beta Ltd
[beta]
a = "y"
"""


def test_what_people_wrote_beside_an_account_stays() -> None:
    rest = '# customers\nquick = { a = "1" }\n\n# Acme Ltd\n\n\n# Beta Ltd\n[beta]\na = "y"\n'
    assert without_account(TEXT, "acme") == rest
    assert without_account(rest, "quick") == rest.replace('quick = { a = "1" }\n', "")
    assert without_account(rest, "beta") == rest.replace('[beta]\na = "y"\n', "")


@pytest.mark.parametrize(
    "text",
    [
        # what looks like a table of its own is text of another
        "[acme]\n[beta]\na = '''\n[acme]\n'''\n",
        "acme = { a = '''\n''' }\n[beta]\n",
        "[acme]\na = '''\n[b]\n'''\n[beta]\n",
    ],
)
def test_what_a_program_may_read_wrong_a_person_takes_out(text: str) -> None:
    assert without_account(text, "acme") is None


def test_an_added_account_says_what_was_given() -> None:
    value = 'q"uo\\te\u00e9\n'
    text = with_account("# c", "new", {"a": value})
    assert text.startswith("# c\n\n[new]\n")
    assert tomllib.loads(text) == {"new": {"a": value}}
    assert tomllib.loads(with_account(TEXT, "new", {})) == {**tomllib.loads(TEXT), "new": {}}
