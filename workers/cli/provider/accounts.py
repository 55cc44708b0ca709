"""`dialstock provider add` and `remove`: an account of an accounts file, which is written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.config.accounts_file import FIELD, Contents, misnamed_account, name_of, read_contents
from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import ProviderConfig, read_token
from schemas.regular_file import opened_regular, read_regular
from schemas.wording import listed
from tasks.accounts.stranded import homes_in, read_file, refusals
from tasks.ledger.accounts import held_under, stranded
from tasks.ledger.orders.wishes import only_at
from tasks.providers.configured import config_in
from workers.cli.provider.accounts_text import with_account, without_account
from workers.config_file import require_file
from workers.settings import Settings
from workers.shared_secrets import shared_secrets
from workers.views.desk import Desk
from workers.views.errors import Failure


@dataclass(frozen=True)
class AccountsFile:
    """The accounts file of one provider, as it is now."""

    config_path: Path
    contents: Contents
    name: str

    @property
    def path(self) -> Path:
        """Where it stands."""
        return self.config_path.parent / self.name

    @property
    def text(self) -> str:
        """What it says; nothing where there is none yet. Raises Failure where it cannot be read."""
        content = self.contents.accounts[self.name]
        if isinstance(content, str) and not os.path.lexists(self.path):
            return ""
        try:
            return (content if isinstance(content, bytes) else read_regular(self.path)).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as exc:
            raise Failure(f"{self.path} cannot be read: {exc}") from exc

    def configured(self, text: str) -> Config:
        """The configuration with *text* in the accounts file. Raises ConfigError."""
        accounts = {**self.contents.accounts, self.name: text.encode()}
        return config_in(replace(self.contents, accounts=accounts), self.config_path)


def add_account(
    desk: Desk, alias: str, fields: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Path, ProviderConfig]:
    """Write the table of a new account; returns the file and what it says. Raises Failure, ConfigError, SettingsError.

    Nothing is written that a worker would refuse: another slip in the configuration, a secret that is not there or that
    another account has.
    """
    with _accounts_file(desk.settings, alias) as (file, account):
        if problem := misnamed_account(name_of(alias), account):
            raise Failure(problem)
        before = file.text
        if account in _tables(file, before):
            raise Failure(f"{alias} is in {file.path} already: change it there")
        text = with_account(before, account, fields)
        config = _configured_with(file, alias, before, text)
        _require_secret(config, alias, environ)
        _require_startable(desk, config)
        _write(file, text)
        return file.path, config.providers[alias]


def remove_account(desk: Desk, alias: str) -> Path:
    """Take an account's table out; returns the file. Raises Failure where anything of it is under way or held."""
    with _accounts_file(desk.settings, alias) as (file, account):
        tables = _tables(file, file.text)
        if account not in tables:
            # never another one in its place: that customer's account would be taken out
            raise Failure(f"{alias} is not in {file.path}, which has {listed(tables)}: correct the account")
        if len(tables) == 1:
            raise Failure(f"{alias} is the last account: take [providers.{name_of(alias)}] out of {file.config_path}")
        _require_in_no_pool(file, alias)
        text = without_account(file.text, account)
        if text is None:
            raise Failure(f"{account} is written in {file.path} so that a person has to take it out there")
        config = file.configured(text)
        _require_idle(desk, config, alias, file.path)
        _require_startable(desk, config)
        _write(file, text)
        return file.path


@contextmanager
def _accounts_file(settings: Settings, alias: str) -> Iterator[tuple[AccountsFile, str]]:
    """The accounts file that an alias belongs to, and the account's name; no other command writes it meanwhile."""
    path = settings.config_path
    name, colon, account = alias.partition(":")
    if settings.sandbox_url:
        raise Failure("the sandbox has no accounts file: name a configuration file, and leave --sandbox out")
    if not (name and colon and account):
        raise Failure(f"{alias!r} is no account of an accounts file: write it like NAME:ACCOUNT")
    require_file(settings)
    try:
        with opened_regular(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            contents = read_contents(path)
            yield AccountsFile(path, contents, _file_of(name, contents, path)), account
    except OSError as exc:
        problem = f"{exc.filename or path} cannot be written: {exc.strerror}"
        raise Failure(f"{problem}: change it where it comes from") from exc


def _file_of(name: str, contents: Contents, path: Path) -> str:
    try:
        providers = tomllib.loads(contents.main.decode("utf-8-sig")).get("providers", {})
    except ValueError as exc:
        raise ConfigError(f"{path}: is not TOML: {exc}") from exc
    table = providers.get(name) if isinstance(providers, dict) else None
    if not isinstance(table, dict):
        raise Failure(f"{path} has no [providers.{name}]: write it there, with an {FIELD}")
    found = table.get(FIELD)
    if not isinstance(found, str) or found not in contents.accounts:
        raise Failure(f'[providers.{name}] of {path} has no {FIELD}: add {FIELD} = "{name}.toml" to it')
    return found


def _tables(file: AccountsFile, text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except ValueError as exc:
        raise ConfigError(f"{file.path}: is not TOML: {exc}") from exc


def _configured_with(file: AccountsFile, alias: str, before: str, text: str) -> Config:
    """As `configured`; a line that the file does not have, for *text* is not written yet, is told as the account's."""
    lines = len(before.splitlines())

    def place(found: re.Match[str]) -> str:
        return found[0] if int(found[1]) <= lines else f"{alias}: "

    try:
        return file.configured(text)
    except ConfigError as exc:
        raise ConfigError(re.sub(rf"^{re.escape(str(file.path))}:(\d+): ", place, str(exc), flags=re.M)) from exc


def _require_secret(config: Config, alias: str, environ: Mapping[str, str]) -> None:
    try:
        read_token(config.providers[alias], environ)
    except ConfigError as exc:
        raise Failure(f"{alias}: {exc}, and then add the account: no worker takes it over without") from exc
    if shared := [*shared_secrets(config, environ)]:
        raise Failure("\n".join(shared))


def _require_startable(desk: Desk, config: Config) -> None:
    with desk.runtime.database.read() as conn:
        found = refusals(conn, read_file(conn, homes_in(config)))
    if found:
        raise Failure("\n".join(f"{one.what}: {one.mend}" for one in found))


def _require_in_no_pool(file: AccountsFile, alias: str) -> None:
    """By the text: where a table is wrong there is no configuration yet, and removing the account may mend it."""
    pools = tomllib.loads(file.contents.main.decode("utf-8-sig")).get("pools")
    for name, pool in pools.items() if isinstance(pools, dict) else ():
        providers = pool.get("providers") if isinstance(pool, dict) else None
        if not isinstance(providers, list) or alias not in providers:
            continue
        mend = "take it out of its `providers` first"
        if len(providers) == 1:
            mend = f"give it another provider, or take [pools.{name}] out, first"
        raise Failure(f"pool {name!r} buys from {alias}: {mend}, in {file.config_path}")


def _require_idle(desk: Desk, config: Config, alias: str, path: Path) -> None:
    with desk.runtime.database.read() as conn:
        waiting = stranded(conn, {other: one.account for other, one in config.providers.items()})
        under_way = sum(one.count for one in (*waiting, *held_under(conn, alias)) if one.provider == alias)
        looking = only_at(conn, alias, config.providers)
    if under_way:
        raise Failure(
            f"{under_way:,} purchases of {alias} are under way or held, and nobody would see to them: wait until they "
            f"are done, or settle them (dialstock purchase list --provider {alias}); where the account is not used "
            f"any more, take it out of {path} by hand, and then: dialstock provider leave {alias}"
        )
    if looking:
        raise Failure(
            f"{len(looking):,} orders look for numbers at {alias} alone, and would find no more: wait until they are "
            f"done, or end them: dialstock order cancel {looking[0]}"
        )


def _write(file: AccountsFile, text: str) -> None:
    """Beside it, and renamed: who reads it sees the one or the other. What a link points to is written."""
    path = file.path.resolve()
    like = (path if path.exists() else file.config_path).stat()
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(text.encode())
            new.flush()
            os.fchmod(descriptor, like.st_mode & 0o777)
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fsync(descriptor)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """The name of what was renamed in it stays."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
