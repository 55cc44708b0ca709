"""The configuration file providers.toml: which providers there are, their policies, and the pools.

A request names a provider by its alias. Secrets never stand here: each provider says in which environment
variable (`token_env`) or file (`token_file`) its token is.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.config_errors import ConfigError, Problem, describe, did_you_mean, not_toml, report
from schemas.policy import MAX_BATCH, Kind, Policy, policy_for
from schemas.pools import PoolConfig, read_pools

__all__ = [
    "BirdConfig",
    "Config",
    "ConfigError",
    "FluentsConfig",
    "ProviderConfig",
    "SignalWireConfig",
    "TimePayConfig",
    "VogentConfig",
    "load_config",
    "parse_config",
    "read_token",
    "sandbox_config",
]

SANDBOX_URL = "http://127.0.0.1:8790"
SANDBOX_VARIABLE = "DIALSTOCK_SANDBOX_TOKEN"
SANDBOX_TOKEN = "sandbox"  # noqa: S105 - the sandbox sells nothing
_ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_VISIBLE = re.compile(r"[!-~]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Provider(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    base_url: str
    token_env: str | None = None
    token_file: Path | None = None
    account_id: str = ""
    policy: Policy

    @field_validator("base_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
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

    @field_validator("token_env")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("must be the name of an environment variable, and not the token itself")
        return value

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError("give token_env or token_file, and only one of them")
        return self

    @model_validator(mode="after")
    def _known_batch(self) -> Self:
        kind: Kind = getattr(self, "kind")  # noqa: B009 - declared by each subclass as its own literal
        if self.policy.max_batch > MAX_BATCH[kind]:
            raise ValueError(f"policy.max_batch: {kind} takes {MAX_BATCH[kind]} in a call: lower it")
        return self

    @property
    def account(self) -> str:
        """Kind, base URL and account id: aliases that share it share their purchases."""
        parts = urlsplit(self.base_url)
        default = {"http": 80, "https": 443}[parts.scheme]
        port = f":{parts.port}" if parts.port and parts.port != default else ""
        return f"{self.kind}|{parts.scheme}://{(parts.hostname or '').lower()}{port}{parts.path}|{self._account_id()}"

    def _account_id(self) -> str:
        return self.account_id


class TimePayConfig(_Provider):
    """TimePay. `telephony_provider` is the field `provider` of its page; `org_id` goes out as x-org-id."""

    kind: Literal[Kind.TIMEPAY]
    telephony_provider: str
    org_id: str | None = None

    def _account_id(self) -> str:
        return self.account_id or self.org_id or ""


class FluentsConfig(_Provider):
    """Fluents. Numbers are bought through a linked telephony account connection (a UUID)."""

    kind: Literal[Kind.FLUENTS]
    telephony_provider: str
    telephony_account_connection: str


class SignalWireConfig(_Provider):
    """SignalWire. `base_url` is https://SPACE.signalwire.com; the token needs the Numbers scope."""

    kind: Literal[Kind.SIGNALWIRE]
    project_id: str = Field(min_length=1)

    def _account_id(self) -> str:
        return self.account_id or self.project_id


class VogentConfig(_Provider):
    """Vogent. `purchase_endpoint` may choose the deprecated endpoint of its page."""

    kind: Literal[Kind.VOGENT]
    purchase_endpoint: Literal["phone_numbers", "phone_numbers/purchase"] = "phone_numbers"


class BirdConfig(_Provider):
    """Bird. The workspace buys; the organization's stock is searched."""

    kind: Literal[Kind.BIRD]
    workspace_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9-]+$")
    organization_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9-]+$")

    def _account_id(self) -> str:
        return self.account_id or self.workspace_id


ProviderConfig = Annotated[
    TimePayConfig | FluentsConfig | SignalWireConfig | VogentConfig | BirdConfig, Field(discriminator="kind")
]
_CLASSES: dict[Kind, type[_Provider]] = {
    Kind.TIMEPAY: TimePayConfig,
    Kind.FLUENTS: FluentsConfig,
    Kind.SIGNALWIRE: SignalWireConfig,
    Kind.VOGENT: VogentConfig,
    Kind.BIRD: BirdConfig,
}


class Config(BaseModel):
    """The whole file: providers by alias, pools by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: dict[str, ProviderConfig]
    pools: dict[str, PoolConfig] = Field(default_factory=dict)


def load_config(path: Path) -> Config:
    """Read and check *path*; a pool's stock file is not opened. Raises ConfigError naming the line of each problem."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    config = parse_config(text, str(path))
    return config.model_copy(update={"pools": {name: pool.beside(path) for name, pool in config.pools.items()}})


def parse_config(text: str, name: str) -> Config:
    """Check the text of a configuration file; *name* stands in the messages. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise not_toml(exc, text, name) from exc
    providers, problems = _read(data)
    kinds = {alias: provider and provider.kind for alias, provider in providers.items()}
    pools, found = read_pools(data.get("pools", {}), kinds)
    if problems or found:
        raise report([*problems, *found], text, name)
    return Config(providers=providers, pools=pools)


def sandbox_config(base_url: str = SANDBOX_URL, policies: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """The five sandboxes of `dialstock sandbox` at *base_url*, each under its kind as alias."""
    extra: dict[Kind, dict[str, str]] = {
        Kind.TIMEPAY: {"telephony_provider": "plivo"},
        Kind.FLUENTS: {
            "telephony_provider": "twilio",
            "telephony_account_connection": "550e8400-e29b-41d4-a716-446655440000",
        },
        Kind.SIGNALWIRE: {"project_id": "sandbox-project"},
        Kind.VOGENT: {},
        Kind.BIRD: {"workspace_id": "sandbox-workspace", "organization_id": "sandbox-organization"},
    }
    tables = {
        str(kind): {
            "kind": str(kind),
            "base_url": f"{base_url}/{kind}",
            "token_env": SANDBOX_VARIABLE,
            "policy": dict((policies or {}).get(str(kind), {})),
            **fields,
        }
        for kind, fields in extra.items()
    }
    providers, problems = _read({"providers": tables})
    if problems:
        raise ConfigError("\n".join(f"sandbox: {problem.message}" for problem in problems))
    return Config(providers=providers)


def read_token(provider: _Provider, environ: Mapping[str, str]) -> str:
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
        return path.read_text(encoding="utf-8-sig").strip()
    except OSError as exc:
        raise ConfigError(f"token_file {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError:
        # the error shows the file's bytes, and they are a secret
        raise ConfigError(f"token_file {path} is not text: put the token alone there") from None


def _read(data: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The providers that are right, by alias, and the problems of all that is not."""
    problems = [
        Problem((key,), f"unknown table {key!r}: only [providers.ALIAS] and [pools.NAME] are known")
        for key in data
        if key not in ("providers", "pools")
    ]
    tables = data.get("providers")
    if not isinstance(tables, dict) or not tables:
        return {}, [*problems, Problem(("providers",), "names no provider: add a table like [providers.signalwire]")]
    providers: dict[str, Any] = {}
    for alias, table in tables.items():
        providers[alias], found = _provider(alias, table)
        problems += found
    return providers, problems + _unlike_twins(providers)


_SHARED = ("rate_limits", "burst", "rate_guard", "lookup_rate_limits", "max_in_flight", "daily_limit")


def _unlike_twins(providers: dict[str, Any]) -> list[Problem]:
    """Aliases of one account share its limits, so each must know the same ones."""
    first: dict[str, tuple[str, Policy]] = {}
    problems = []
    for alias, provider in providers.items():
        if provider is None:
            continue
        other, policy = first.setdefault(provider.account, (alias, provider.policy))
        unlike = [name for name in _SHARED if getattr(policy, name) != getattr(provider.policy, name)]
        if unlike:
            message = f"{alias!r} is the same account as {other!r}, so {', '.join(unlike)} must be the same in both"
            problems.append(Problem(("providers", alias), message))
    return problems


def _provider(alias: str, table: Any) -> tuple[_Provider | None, list[Problem]]:
    path = ("providers", alias)
    if problem := _misshaped(alias, table):
        return None, [problem]
    kind = Kind(table["kind"])
    problems: list[Problem] = []
    policy = Policy()
    try:
        policy = policy_for(kind, table.get("policy", {}))
    except ValidationError as exc:
        problems += describe(exc, Policy, (*path, "policy"), "policy")
    # with a wrong policy too, so that one reading of the file tells everything
    try:
        return _CLASSES[kind].model_validate({**table, "policy": policy}), problems
    except ValidationError as exc:
        return None, [*problems, *describe(exc, _CLASSES[kind], path)]


def _misshaped(alias: str, table: Any) -> Problem | None:
    path = ("providers", alias)
    if not _ALIAS.fullmatch(alias):
        message = f"alias {alias!r}: use at most 40 of a-z, 0-9, - and _, and begin with a letter or a digit"
        return Problem(path, message)
    if not isinstance(table, dict):
        return Problem(path, f"{'.'.join(path)} must be a table: write [{'.'.join(path)}]")
    kind = table.get("kind")
    if kind is None:
        return Problem(path, f"'kind' is missing: give one of {', '.join(Kind)}")
    if kind not in list(Kind):
        return Problem((*path, "kind"), f"unknown kind {kind!r}: {did_you_mean(str(kind), list(Kind))}")
    if not isinstance(table.get("policy", {}), dict):
        return Problem((*path, "policy"), f"policy must be a table: write [{'.'.join(path)}.policy]")
    return None


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
