"""One provider of providers.toml: what all kinds have, who its account is, and where its secret is."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from schemas.config.balances import ANY, LowBalance
from schemas.config.errors import ConfigError
from schemas.config.policy import Policy
from schemas.regular_file import read_regular
from schemas.wording import ACCOUNT_ID

SANDBOX_VARIABLE = "DIALSTOCK_SANDBOX_TOKEN"
SANDBOX_URL = "http://127.0.0.1:8790"
SANDBOX_TOKEN = "sandbox"  # noqa: S105 - the sandbox sells nothing
SANDBOX_ACCOUNT = "sandbox:"
"""How each account of the sandbox begins, and none of another."""

_VISIBLE = re.compile(r"[!-~]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIGITS_OF_A_UUID = 32

AccountId = Annotated[str, Field(min_length=1, max_length=200, pattern=ACCOUNT_ID)]


class ProviderConfig(BaseModel):
    """What all kinds have; each kind adds its own fields in a subclass, and says who its account is.

    `low_balance`: at this amount or below it `provider check` and a daily event tell that the balance is low.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    base_url: str
    token_env: str | None = None
    token_file: Path | None = None
    account_id: AccountId | None = None
    low_balance: LowBalance | None = None
    policy: Policy
    # Whether only `account_id` can tell if two aliases of the kind are one account.
    several_need_id: ClassVar[bool] = True
    # What currency the balance is told in, ANY for one that it names itself, none for an amount alone; None where the
    # documents have no call that tells it.
    balance_currency: ClassVar[str | None] = None
    _alias: str = PrivateAttr(default="")

    @field_validator("base_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        return _plain_url(value)

    @field_validator("token_env")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("must be the name of an environment variable, and not the token itself")
        return value

    @model_validator(mode="after")
    def _as_the_balance_is_told(self) -> Self:
        if self.low_balance is None:
            return self
        told, given = self.balance_currency, self.low_balance.currency
        if told is None:
            raise ValueError(f"low_balance: {self.kind} documents no call that tells a balance: leave it out")
        if given != told and not (told == ANY and given):
            wanted = f"{self.low_balance.amount:f} {'USD' if told == ANY else told}".rstrip()
            raise ValueError(f"low_balance: write it as {self.kind} tells the balance, like {wanted!r}")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError("give token_env or token_file, and only one of them")
        return self

    @model_validator(mode="after")
    def _sandbox_is_here(self) -> Self:
        if self.is_sandbox and not _is_loopback(urlsplit(self.base_url).hostname or ""):
            message = f"{SANDBOX_VARIABLE} is the token of `dialstock sandbox`, which is on this machine"
            raise ValueError(f"token_env: {message}: name another variable for a real account")
        return self

    def beside(self, configuration: Path) -> Self:
        """The same, with a relative `token_file` taken from the folder of the file *configuration*.

        By the working folder it would be another file for each process.
        """
        if self.token_file is None:
            return self
        return self.model_copy(update={"token_file": configuration.parent / self.token_file})

    @property
    def account(self) -> str:
        """Who the account is at the provider, never how it is reached: aliases that share it share their purchases.

        `account_id`, else what the kind says is the account, else the alias. A sandbox's account is never another's.
        """
        return self._account(self.account_id or self._own_account() or f"@{self._alias}")

    @property
    def own_account(self) -> str | None:
        """The account as the kind alone says it, whatever `account_id` calls it; None where the kind does not say."""
        own = self._own_account()
        return None if own is None else self._account(own)

    @property
    def former_account(self) -> str:
        """How `account` was written while it hung on the base URL: rows of that time are found by it."""
        parts = urlsplit(self.base_url)
        default = {"http": 80, "https": 443}[parts.scheme]
        port = f":{parts.port}" if parts.port and parts.port != default else ""
        base = f"{parts.scheme}://{(parts.hostname or '').lower()}{port}{parts.path}"
        return f"{self.kind}|{base}|{self._former_account_id()}"

    @property
    def within_token(self) -> str | None:
        """Which of its token's accounts it is, for a kind whose token may have several and that does not say so."""
        return None

    @property
    def is_sandbox(self) -> bool:
        """Whether its token is that of `dialstock sandbox`, which sells nothing."""
        return self.token_env == SANDBOX_VARIABLE

    def _account(self, identity: str) -> str:
        sandbox = SANDBOX_ACCOUNT if self.is_sandbox else ""
        return f"{sandbox}{self.kind}|{_canonical(identity)}"

    def _own_account(self) -> str | None:
        return None

    def _former_account_id(self) -> str:
        return self.account_id or ""


def is_tried_out(account: str) -> bool:
    """Whether an account, as `ProviderConfig.account` writes it, is one of the sandbox."""
    return account.startswith(SANDBOX_ACCOUNT)


def kind_in(account: str) -> str:
    """The kind in an account, as `ProviderConfig.account` writes it, the sandbox's apart; empty where there is none."""
    return account.partition("|")[0] if "|" in account else ""


def read_token(provider: ProviderConfig, environ: Mapping[str, str]) -> str:
    """The provider's secret, from where its configuration says. Raises ConfigError where it is missing."""
    if provider.token_env is not None:
        source, token = f"environment variable {provider.token_env}", environ.get(provider.token_env, "").strip()
        if not token and provider.token_env == SANDBOX_VARIABLE:
            return SANDBOX_TOKEN
    else:
        source, token = f"token_file {provider.token_file}", _read_secret(provider.token_file or Path())
    if not token:
        raise ConfigError(f"{source} is not set or empty: put the token there")
    return token


def _read_secret(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8-sig").strip()
    except OSError as exc:
        denied = isinstance(exc, PermissionError)
        mend = "let the user that runs this read it" if denied else "put the token there"
        raise ConfigError(f"token_file {path} cannot be read: {exc.strerror}: {mend}") from exc
    except UnicodeDecodeError:
        # the error shows the file's bytes, and they are a secret
        raise ConfigError(f"token_file {path} is not text: put the token alone there") from None


@lru_cache(maxsize=64)
def _plain_url(value: str) -> str:
    """The URL that a provider is at; the accounts of one file have the same. Raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _VISIBLE.fullmatch(value):
        raise ValueError("must be a URL like https://api.example.com")
    if not _is_host(parts.hostname):
        raise ValueError("names a host that cannot be looked up: correct it")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be a plain URL, without user, password, query or fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (http:// is for loopback only)")
    _ = parts.port  # raises ValueError where it is none
    return value.rstrip("/")


def _canonical(identity: str) -> str:
    """A UUID in one spelling; anything else as it is."""
    if len(identity) < _DIGITS_OF_A_UUID:
        return identity
    try:
        return str(UUID(identity))
    except ValueError:
        return identity


def _is_host(host: str) -> bool:
    """Whether a look-up would take it: no part is empty or too long, and what follows xn-- is Punycode."""
    coded = [part.removeprefix("xn--").encode() for part in host.split(".") if part.startswith("xn--")]
    try:
        host.encode("idna")
        return all(part.decode("punycode") for part in coded)
    except UnicodeError:
        return False


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
