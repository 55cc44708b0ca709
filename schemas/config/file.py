"""The configuration file providers.toml: which providers there are, their policies, and the pools.

A request names a provider by its alias. Secrets never stand here: each provider says in which environment
variable (`token_env`) or file (`token_file`) its token is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.config.errors import ConfigError, Problem, describe, did_you_mean, not_toml, report
from schemas.config.kinds import Kind, policy_for
from schemas.config.policy import Policy
from schemas.config.pools import PoolConfig, read_pools
from schemas.config.provider import ProviderConfig

_ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Config(BaseModel):
    """The whole file: providers by alias, pools by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: dict[str, ProviderConfig]
    pools: dict[str, PoolConfig] = Field(default_factory=dict)


def load_config(path: Path, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> Config:
    """Read and check *path*; a pool's stock file is not opened. Raises ConfigError naming the line of each problem.

    *kinds* are those that there are, by name; *unusable* says of others why they cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    config = parse_config(text, str(path), kinds, unusable)
    return config.model_copy(update={"pools": {name: pool.beside(path) for name, pool in config.pools.items()}})


def parse_config(text: str, name: str, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> Config:
    """Check the text of a configuration file as `load_config` does; *name* stands in the messages."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise not_toml(exc, text, name) from exc
    providers, problems = _read(data, kinds, unusable)
    bound = {alias: provider and kinds[provider.kind] for alias, provider in providers.items()}
    pools, found = read_pools(data.get("pools", {}), bound)
    if problems or found:
        raise report([*problems, *found], text, name)
    return Config(providers=providers, pools=pools)


def read_providers(tables: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, ProviderConfig]:
    """The providers of checked *tables*, by alias. Raises ConfigError, which names no line."""
    providers, problems = _read({"providers": tables}, kinds, {})
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problem.message for problem in problems)))
    return providers


def _read(
    data: Mapping[str, Any], kinds: Mapping[str, Kind], unusable: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
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
        providers[alias], found = _provider(alias, table, kinds, unusable)
        problems += found
    return providers, problems + _unlike_twins(providers) + _nameless_twins(providers) + _split_twins(providers)


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


def _nameless_twins(providers: dict[str, Any]) -> list[Problem]:
    """Aliases of one kind that may be one account: where nothing tells, a number could be bought once for each."""
    aliases: dict[str, list[str]] = {}
    for alias, provider in providers.items():
        if provider is not None and provider.several_need_id:
            aliases.setdefault(provider.kind, []).append(alias)
    return [
        Problem(
            ("providers", alias), f"several aliases are of kind {kind}: give {alias!r} the account_id of its account"
        )
        for kind, several in aliases.items()
        for alias in several
        if len(several) > 1 and not providers[alias].account_id
    ]


def _split_twins(providers: dict[str, Any]) -> list[Problem]:
    """Aliases that the kind says are one account, and account_id says are two: a number could be bought for each."""
    first: dict[str, tuple[str, str]] = {}
    problems = []
    for alias, provider in providers.items():
        own = provider and provider.own_account
        if own is None:
            continue
        other, account = first.setdefault(own, (alias, provider.account))
        if account != provider.account:
            same = f"{alias!r} is the same account as {other!r} at the provider"
            problems.append(Problem(("providers", alias), f"{same}: give both the same account_id, or none"))
    return problems


def _provider(
    alias: str, table: Any, kinds: Mapping[str, Kind], unusable: Mapping[str, str]
) -> tuple[ProviderConfig | None, list[Problem]]:
    path = ("providers", alias)
    if problem := _misshaped(alias, table, kinds, unusable):
        return None, [problem]
    kind = kinds[table["kind"]]
    problems: list[Problem] = []
    policy = Policy()
    try:
        policy = policy_for(kind, table.get("policy", {}))
    except ValidationError as exc:
        problems += describe(exc, Policy, (*path, "policy"), "policy")
    if policy.max_batch > kind.max_batch:
        message = f"policy.max_batch: {kind.name} takes {kind.max_batch} in a call: lower it"
        problems.append(Problem((*path, "policy", "max_batch"), message))
    # with a wrong policy too, so that one reading of the file tells everything
    try:
        provider = kind.config.model_validate({**table, "policy": policy})
    except ValidationError as exc:
        return None, [*problems, *describe(exc, kind.config, path)]
    provider._alias = alias
    return provider, problems


def _misshaped(alias: str, table: Any, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> Problem | None:
    path = ("providers", alias)
    if not _ALIAS.fullmatch(alias):
        message = f"alias {alias!r}: use at most 40 of a-z, 0-9, - and _, and begin with a letter or a digit"
        return Problem(path, message)
    if not isinstance(table, dict):
        return Problem(path, f"{'.'.join(path)} must be a table: write [{'.'.join(path)}]")
    kind = table.get("kind")
    if kind is None:
        return Problem(path, f"'kind' is missing: give one of {', '.join(kinds)}")
    if not isinstance(kind, str) or kind not in kinds:
        return Problem((*path, "kind"), f"{_no_kind(kind, kinds, unusable)}")
    if not isinstance(table.get("policy", {}), dict):
        return Problem((*path, "policy"), f"policy must be a table: write [{'.'.join(path)}.policy]")
    return None


def _no_kind(kind: Any, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> str:
    if isinstance(kind, str) and kind in unusable:
        return f"kind {kind!r} cannot be used: {unusable[kind]}"
    return f"unknown kind {kind!r}: {did_you_mean(str(kind), kinds)}"
