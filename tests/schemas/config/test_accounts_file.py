"""schemas.config.accounts_file: a provider's accounts in a file of their own, and the line of what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.config.accounts_file import alias_hint, read_contents
from schemas.config.errors import ConfigError
from schemas.config.file import Config
from tasks.providers.configured import load_config, right_parts_of

TABLE = """\
[providers.customers]
kind = "signalwire"
base_url = "https://example.signalwire.com"
token_env = "T"
accounts_file = "customers.toml"
"""
ACCOUNTS = """\
# one line is enough
acme = { project_id = "p-1", token_file = "/run/secrets/acme" }

[beta-2]
project_id = "p-2"
"""
TELNYX = TABLE.replace("signalwire", "telnyx").replace('"T"', '"T"\npolicy = { burst = 2, max_in_flight = 9 }')


def read(folder: Path, table: str = TABLE, accounts: str | bytes | None = ACCOUNTS) -> Config:
    (folder / "providers.toml").write_text(table)
    if accounts is not None:
        (folder / "customers.toml").write_bytes(accounts if isinstance(accounts, bytes) else accounts.encode())
    return load_config(folder / "providers.toml")


def problems(folder: Path, table: str = TABLE, accounts: str | bytes | None = ACCOUNTS) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, table, accounts)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_each_account_is_a_provider_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path).providers
    assert [*found] == ["customers:acme", "customers:beta-2"]
    acme, beta = found.values()
    assert (acme.kind, acme.base_url) == ("signalwire", "https://example.signalwire.com")
    # a secret of its own takes the place of the one for all
    assert (acme.token_env, acme.token_file) == (None, Path("/run/secrets/acme"))
    assert (beta.token_env, beta.token_file) == ("T", None)
    assert [one.account for one in found.values()] == ["signalwire|p-1", "signalwire|p-2"]


def test_an_account_has_the_policy_of_all_with_its_own_on_top(tmp_path: Path) -> None:
    accounts = 'acme = { account_id = "a" }\n[beta]\naccount_id = "b"\npolicy = { burst = 3, daily_limit = 7 }\n'
    acme, beta = (one.policy for one in read(tmp_path, TELNYX, accounts).providers.values())
    assert (acme.burst, acme.max_in_flight, acme.daily_limit) == (2, 9, 0)
    assert (beta.burst, beta.max_in_flight, beta.daily_limit) == (3, 9, 7)


def test_the_digest_tells_what_the_accounts_say_and_not_how(tmp_path: Path) -> None:
    one = read(tmp_path)
    again = '[acme]\nproject_id = "p-1"\ntoken_file = "/run/secrets/acme"\n[beta-2]\nproject_id = "p-2"\n'
    other = read(tmp_path, accounts=again.replace("p-2", "p-3"))
    assert one.digest == read(tmp_path, accounts=again).digest != other.digest


def test_what_is_read_tells_each_file_that_is_named(tmp_path: Path) -> None:
    read(tmp_path)
    before = read_contents(tmp_path / "providers.toml")
    assert before == read_contents(tmp_path / "providers.toml")
    (tmp_path / "customers.toml").write_text(ACCOUNTS + " ")
    assert before != read_contents(tmp_path / "providers.toml")
    (tmp_path / "customers.toml").unlink()
    assert read_contents(tmp_path / "providers.toml").accounts == {"customers.toml": "No such file or directory"}


def test_what_names_a_file_may_be_escaped(tmp_path: Path) -> None:
    found = read(tmp_path, TABLE.replace("accounts_file", '"\\u0061ccounts_file"')).providers
    assert "customers:acme" in found


def test_pools_take_accounts(tmp_path: Path) -> None:
    pool = '[pools.p]\nproviders = ["customers:acme"]\nlow = 1\ntarget = 2\ndaily_limit = 0\n'
    assert read(tmp_path, TABLE + pool).pools["p"].providers == ("customers:acme",)
    [wrong] = problems(tmp_path, TABLE + pool.replace("acme", "acne"))
    told = "'customers:acne' is no provider of this file: correct the account, or add it to the accounts_file of "
    assert wrong.endswith(f"{told}[providers.customers]")


@pytest.mark.parametrize(
    ("alias", "hint"),
    [
        ("customers:zz", "correct the account, or add it to the accounts_file of [providers.customers]"),
        ("customers:c0001", "correct the account, or add it to the accounts_file of [providers.customers]"),
        ("Customers/c0021", "did you mean 'customers:c0021'?"),
        ("customer", "known are brid, customers:c0021"),
        ("c0021", "known are brid, customers:c0021"),
        ("customer:c0021", "known are brid, customers:c0021"),
        ("brid:c0021", "known are brid, customers:c0021"),
        ("bird", "did you mean 'brid'?"),
    ],
)
def test_no_account_is_proposed_in_place_of_another(alias: str, hint: str) -> None:
    assert alias_hint(alias, ["brid", "customers:c0021"]) == hint


P1 = 'project_id = "p-1"'


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        (None, "providers.toml:5: accounts_file: customers.toml cannot be read: No such file or directory"),
        ("", "providers.toml:5: accounts_file: customers.toml names no account: add a table like [acme], or take"),
        (b"\xff", "providers.toml:5: accounts_file: customers.toml cannot be read: 'utf-8' codec"),
        ("\n[acme", "providers.toml:5: accounts_file: customers.toml:2: is not TOML"),
        (f"[acme]\n{P1}\n[acme]\n", "providers.toml:5: accounts_file: customers.toml:3: is not TOML: Cannot declare"),
        ("acme = 3", "customers.toml:1: acme must be a table: write [acme]"),
        (f"\n[Acme]\n{P1}", "customers.toml:2: account 'Acme': use at most 30 of a-z, 0-9, - and _"),
        (f"[{'x' * 31}]\n{P1}", f"customers.toml:1: account '{'x' * 31}': use at most 30 of a-z"),
        (f'["a:b"]\n{P1}', "customers.toml:1: account 'a:b': use at most 30 of a-z"),
        ("[acme]", "customers.toml:1: 'project_id' is missing: [acme] needs it"),
        ('[acme]\nprojectid = "p"\nproject_id = "p"', "customers.toml:2: unknown field 'projectid': did you mean"),
        (f"[acme]\n{P1}\nburst = 2", "customers.toml:3: unknown field 'burst': it belongs in [acme.policy]"),
        (f"[acme]\n{P1}\npolicy = {{ burst = 0 }}", "customers.toml:3: policy.burst: "),
        (f'[acme]\n{P1}\nkind = "bird"', "customers.toml:3: kind: is said for all accounts, in [providers.customers]"),
        (f'[acme]\n{P1}\ntoken = "s3cr3t"', "customers.toml:3: unknown field 'token': did you mean 'token_env'?"),
        (f"[acme]\n{P1}\n[beta]\n{P1}", "customers.toml:3: 'customers:beta' is the account 'customers:acme': take one"),
        (f'[acme]\n{P1}\n[beta]\n{P1}\naccount_id = "b"', "customers.toml:3: 'customers:beta' is the account"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(
    tmp_path: Path, accounts: str | bytes | None, expected: str
) -> None:
    wrong = problems(tmp_path, accounts=accounts)
    assert any(line.startswith(expected) for line in wrong), wrong
    assert "s3cr3t" not in "".join(wrong)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("accounts_file = 3", "providers.toml:5: accounts_file: must be the name of a file, as text"),
        ('accounts_file = ""', "providers.toml:5: accounts_file: must be the name of a file, as text"),
        ('accounts_file = "\\u0000"', "providers.toml:5: accounts_file: \0 cannot be read: embedded null byte"),
        (
            'accounts_file = "customers.toml"\naccount_id = "a"',
            "providers.toml:6: account_id: all accounts would be one",
        ),
        ('accounts_file = "customers.toml"\npolicy = 3', "providers.toml:6: policy must be a table"),
    ],
)
def test_what_is_wrong_for_all_is_told_once(tmp_path: Path, more: str, expected: str) -> None:
    wrong = problems(tmp_path, TABLE.replace('accounts_file = "customers.toml"', more))
    assert [line for line in wrong if line.startswith(expected)] == wrong
    assert len(wrong) == 1


def test_a_fault_in_the_table_of_all_is_no_fault_of_each(tmp_path: Path) -> None:
    assert problems(tmp_path, TABLE.replace("https", "ftp")) == [
        "providers.toml:3: base_url: must be a URL like https://api.example.com"
    ]
    many = "\n".join(f"[a{n}]" for n in range(1000))
    told = problems(tmp_path, accounts=many)
    assert len(told) == 51
    assert told[-1] == "and 950 more problems"


def test_an_alias_of_the_file_has_no_colon(tmp_path: Path) -> None:
    own = '[providers."customers:acme"]\nkind = "vogent"\nbase_url = "https://x.example"\ntoken_env = "T"\n'
    assert problems(tmp_path, own)[0].startswith("providers.toml:1: alias 'customers:acme': use at most 40 of a-z")


def test_two_providers_have_two_files(tmp_path: Path) -> None:
    told = problems(tmp_path, TABLE + TABLE.replace("customers]", "others]"))
    assert told == [
        "providers.toml:10: accounts_file: customers.toml is that of [providers.customers] already: give each its own"
    ]


def test_an_account_that_nothing_else_names_has_an_account_id_from_the_first_on(tmp_path: Path) -> None:
    assert problems(tmp_path, TELNYX, "[acme]\n") == [
        "customers.toml:1: there may be several of kind telnyx: give 'customers:acme' the account_id of its account"
    ]
    assert read(tmp_path, TELNYX, '[acme]\naccount_id = "a"\n').providers["customers:acme"].account == "telnyx|a"
    both = '[acme]\naccount_id = "a"\n[beta]\naccount_id = "a"\n'
    assert problems(tmp_path, TELNYX, both) == [
        "customers.toml:3: 'customers:beta' is the account 'customers:acme': take one of both out"
    ]


def test_what_only_reads_goes_on_with_the_accounts_that_are_right(tmp_path: Path) -> None:
    (tmp_path / "providers.toml").write_text(TABLE)
    (tmp_path / "customers.toml").write_text(ACCOUNTS + "[third]\n[Fourth]\n")
    config, wrong = right_parts_of(tmp_path / "providers.toml")
    assert [*config.providers] == ["customers:acme", "customers:beta-2"]
    assert "customers.toml:6: 'project_id' is missing: [third] needs it" in str(wrong)
    assert "customers.toml:7: account 'Fourth'" in str(wrong)
