"""A pipe where a regular file has to be is told at once: nobody may ever write to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.config.accounts_file import read_contents
from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import read_token
from tasks.providers.configured import load_config
from tests.workers.cli.commands import execute
from workers.server_urls import SettingsError
from workers.settings import load_settings

TABLE = """
[providers.customers]
kind = "vogent"
base_url = "https://api.vogent.ai"
"""
OTHER = "is a pipe or a device, and has to be a regular file"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def written(folder: Path, more: str) -> Path:
    path = folder / "providers.toml"
    path.write_text(TABLE + more)
    return path


def test_an_accounts_file(pipe: Path) -> None:
    path = written(pipe.parent, 'token_env = "T"\naccounts_file = "pipe"\n')
    with pytest.raises(ConfigError, match=f"pipe cannot be read: {OTHER}"):
        load_config(path)
    assert read_contents(path).accounts == {"pipe": OTHER}
    done = execute(
        "provider", "add", "customers:acme", "token_env=T", home=pipe.parent / "home", cwd=pipe.parent, T="x"
    )
    assert done.returncode == 2
    assert OTHER in done.stderr


def test_a_device(tmp_path: Path) -> None:
    path = written(tmp_path, 'token_env = "T"\naccounts_file = "/dev/zero"\n')
    with pytest.raises(ConfigError, match=f"/dev/zero cannot be read: {OTHER}"):
        load_config(path)


def test_the_configuration_itself(pipe: Path) -> None:
    with pytest.raises(ConfigError, match=OTHER):
        load_config(pipe)
    pipe.rename(pipe.with_name("providers.toml"))
    for command in (["list"], ["add", "customers:acme", "token_env=T"]):
        done = execute("provider", *command, home=pipe.parent / "home", cwd=pipe.parent)
        assert (done.returncode, OTHER in done.stderr) == (2, True)


def test_a_token_file(pipe: Path) -> None:
    config: Config = load_config(written(pipe.parent, f'token_file = "{pipe}"\n'))
    with pytest.raises(ConfigError, match=f"cannot be read: {OTHER}"):
        read_token(config.providers["customers"], {})


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_the_file_of_an_address(pipe: Path, name: str) -> None:
    environ = {f"{name}_FILE": str(pipe)}
    with pytest.raises(SettingsError, match=f"{name}_FILE names {pipe}, which cannot be read: .*{OTHER}"):
        load_settings(environ)


@pytest.mark.parametrize("option", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
def test_the_files_of_tls_to_the_database(pipe: Path, option: str) -> None:
    with pytest.raises(SettingsError, match=f"{option} names a pipe"):
        load_settings({"DATABASE_URL": f"postgresql://a@h/b?{option}={pipe}"})


@pytest.mark.parametrize("options", ["ssl_ca_certs={0}", "ssl_certfile={0}", "ssl_certfile=/a&ssl_keyfile={0}"])
def test_the_files_of_tls_to_redis(pipe: Path, options: str) -> None:
    with pytest.raises(SettingsError, match=f"{pipe} is a pipe, and has to be a regular file"):
        load_settings({"REDIS_URL": f"rediss://h/0?{options.format(pipe)}"})
