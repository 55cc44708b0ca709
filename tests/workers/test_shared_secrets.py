"""workers.shared_secrets: where nothing but its secret tells who an account is, two with one secret are one."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from tasks.providers.configured import load_config
from workers.shared_secrets import shared_secrets
from workers.wiring import bind_providers

ENVIRON = {"ONE": "s3cr3t", "SAME": "s3cr3t", "OTHER": "an0ther"}


def read(folder: Path, kind: str, accounts: str, more: str = "") -> Config:
    table = f'[providers.c]\nkind = "{kind}"\nbase_url = "https://x.example"\naccounts_file = "c.toml"\n{more}\n'
    (folder / "providers.toml").write_text(table)
    (folder / "c.toml").write_text(accounts)
    return load_config(folder / "providers.toml")


def two(variable: str, *more: str) -> str:
    first, second = more or ("", "")
    return (
        f'[one]\naccount_id = "1"\ntoken_env = "ONE"\n{first}\n'
        f'[two]\naccount_id = "2"\ntoken_env = "{variable}"\n{second}\n'
    )


@pytest.mark.parametrize("variable", ["ONE", "SAME"])
@pytest.mark.parametrize("kind", ["telnyx", "vogent"])
def test_two_accounts_with_one_secret_are_not_begun_with(tmp_path: Path, kind: str, variable: str) -> None:
    config = read(tmp_path, kind, two(variable))
    [line] = shared_secrets(config, ENVIRON)
    assert line.startswith("[providers.c:two] has the secret of 'c:one'")
    with pytest.raises(ConfigError, match="has the secret of 'c:one'") as caught:
        bind_providers(config, ENVIRON)
    assert "s3cr3t" not in str(caught.value)
    assert len(bind_providers(read(tmp_path, kind, two("OTHER")), ENVIRON)) == 2


def test_what_is_written_in_two_files_is_compared(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("s3cr3t\n")
    accounts = "".join(f'[{name}]\naccount_id = "{name}"\ntoken_file = "{tmp_path / name}"\n' for name in "ab")
    [line] = shared_secrets(read(tmp_path, "telnyx", accounts), {})
    assert "s3cr3t" not in line
    (tmp_path / "b").unlink()
    # which is told as missing
    assert [*shared_secrets(read(tmp_path, "telnyx", accounts), {})] == []


def test_a_token_of_several_organisations_is_for_each(tmp_path: Path) -> None:
    theirs = ('org_id = "a"', 'org_id = "b"')
    assert [*shared_secrets(read(tmp_path, "timepay", two("SAME", *theirs), 'telephony_provider = "x"'), ENVIRON)] == []
    same = ('org_id = "a"', 'org_id = "a"')
    assert [*shared_secrets(read(tmp_path, "timepay", two("SAME", *same), 'telephony_provider = "x"'), ENVIRON)]


def test_a_kind_that_says_who_an_account_is_may_have_one_secret_for_all(tmp_path: Path) -> None:
    accounts = '[one]\nproject_id = "p-1"\n[two]\nproject_id = "p-2"\n'
    config = read(tmp_path, "signalwire", accounts, 'token_env = "ONE"')
    assert [*shared_secrets(config, ENVIRON)] == []
    assert len(bind_providers(config, ENVIRON)) == 2
