"""The configuration file providers.toml: which providers there are, their policies, and the pools.

A request names a provider by its alias. Secrets never stand here: each provider says in which environment
variable (`token_env`) or file (`token_file`) its token is. One that has many accounts may name an `accounts_file`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Set
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from schemas.config.accounts_file import MISNAMED, Contents, expand, read_contents
from schemas.config.errors import ConfigError, Problem, Text, describe, did_you_mean, heading, not_toml, report
from schemas.config.kinds import Kind, currency_problem, policy_for
from schemas.config.policy import Policy
from schemas.config.pools import PoolConfig, read_pools
from schemas.config.provider import ProviderConfig
from schemas.config.twins import between


class Config(BaseModel):
    """The whole file: providers by alias, pools by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: dict[str, ProviderConfig]
    pools: dict[str, PoolConfig] = Field(default_factory=dict)
    _digest: str = PrivateAttr(default="")

    @property
    def digest(self) -> str:
        """What tells it from another one: of what it says, not of how or where it is written.

        Of a secret only the name of its variable or file goes in.
        """
        return self._digest or _digest_of(self)


def load_config(path: Path, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> Config:
    """Read and check *path*; a pool's stock file is not opened. Raises ConfigError naming the line of each problem.

    *kinds* are those that there are, by name; *unusable* says of others why they cannot be used.
    """
    return config_in(read_contents(path), path, kinds, unusable)


def config_in(contents: Contents, path: Path, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> Config:
    """What `load_config` makes of *contents*, which stood in *path* and beside it. Raises ConfigError."""
    text = _decoded(contents.main, path)
    return _beside(parse_config(text, str(path), kinds, unusable, contents.accounts), path)


def right_parts_in(
    contents: Contents, path: Path, kinds: Mapping[str, Kind], unusable: Mapping[str, str]
) -> tuple[Config, ConfigError | None]:
    """The providers and pools with which nothing is wrong, and what is wrong with others.

    For what concerns one of them, or only reads: nothing is to be bought by it. Raises ConfigError where the file
    cannot be read at all.
    """
    text = _decoded(contents.main, path)
    config, problems, files = _parse(text, str(path), kinds, unusable, contents.accounts)
    wrong = {problem.path[:2] for problem in problems}
    right = _without(config, wrong)
    right._digest = _digest_of(right)
    return _beside(right, path), report(problems, text, str(path), files) if problems else None


def _without(config: Config, wrong: Set[tuple[str, ...]]) -> Config:
    providers = {alias: one for alias, one in config.providers.items() if one and ("providers", alias) not in wrong}
    pools = {
        name: pool
        for name, pool in config.pools.items()
        if ("pools", name) not in wrong and providers.keys() >= {*pool.providers}
    }
    return Config(providers=providers, pools=pools)


def parse_config(
    text: str,
    name: str,
    kinds: Mapping[str, Kind],
    unusable: Mapping[str, str],
    accounts: Mapping[str, bytes | str] = MappingProxyType({}),
) -> Config:
    """Check the text of a configuration file as `load_config` does; *name* stands in the messages.

    *accounts*: what stands in the accounts files that it names, or why it cannot be read.
    """
    config, problems, files = _parse(text, name, kinds, unusable, accounts)
    if problems:
        raise report(problems, text, name, files)
    config._digest = _digest_of(config)
    return config


def _parse(
    text: str,
    name: str,
    kinds: Mapping[str, Kind],
    unusable: Mapping[str, str],
    accounts: Mapping[str, bytes | str],
) -> tuple[Config, list[Problem], Mapping[str, Text]]:
    """What could be read, with None for a provider whose table is wrong, all problems, and the accounts files.

    Raises ConfigError.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise not_toml(exc, text, name) from exc
    tables, problems = _tables_in(data)
    expanded = expand(tables, accounts, Path(name).parent)
    providers, wrong = _read(expanded.tables, kinds, unusable)
    bound = {alias: provider and kinds[provider.kind] for alias, provider in providers.items()}
    pools, found = read_pools(data.get("pools", {}), bound)
    config = Config.model_construct(providers=providers, pools=pools)
    return config, [*problems, *expanded.problems, *wrong, *found], expanded.files


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc


def _beside(config: Config, path: Path) -> Config:
    providers = {alias: one.beside(path) for alias, one in config.providers.items()}
    pools = {name: pool.beside(path) for name, pool in config.pools.items()}
    return config.model_copy(update={"providers": providers, "pools": pools})


def _digest_of(config: Config) -> str:
    # What is left out and what is given as it is by default are one; a field that a later version adds is none here.
    said = config.model_dump(mode="json", exclude_defaults=True, serialize_as_any=True)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def read_providers(tables: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, ProviderConfig]:
    """The providers of checked *tables*, by alias. Raises ConfigError, which names no line."""
    expanded = expand(tables, {}, Path())
    providers, wrong = _read(expanded.tables, kinds, {})
    if problems := [*expanded.problems, *wrong]:
        raise ConfigError("\n".join(dict.fromkeys(problem.message for problem in problems)))
    return providers


def _tables_in(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
    """The tables of the providers, and what is wrong with the file as a whole."""
    problems = [
        Problem((key,), f"unknown table {key!r}: only [providers.ALIAS] and [pools.NAME] are known")
        for key in data
        if key not in ("providers", "pools")
    ]
    tables = data.get("providers")
    if not isinstance(tables, dict) or not tables:
        return {}, [*problems, Problem(("providers",), "names no provider: add a table like [providers.NAME]")]
    return tables, problems


def _read(
    tables: Mapping[str, Any], kinds: Mapping[str, Kind], unusable: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    """The providers that are right, by alias, with None for the others, and the problems of all that is not."""
    problems: list[Problem] = []
    providers: dict[str, Any] = {}
    for alias, table in tables.items():
        providers[alias], found = _provider(alias, table, kinds, unusable)
        problems += found
    return providers, problems + between(providers)


def _provider(
    alias: str, table: Any, kinds: Mapping[str, Kind], unusable: Mapping[str, str]
) -> tuple[ProviderConfig | None, list[Problem]]:
    path = ("providers", alias)
    if table is MISNAMED:
        return None, []
    if problem := _misshaped(alias, table, kinds, unusable):
        return None, [problem]
    kind = kinds[table["kind"]]
    policy, problems = _policy(alias, table.get("policy", {}), kind)
    # with a wrong policy too, so that one reading of the file tells everything
    try:
        provider = kind.config.model_validate({**table, "policy": policy})
    except ValidationError as exc:
        return None, [*problems, *describe(exc, kind.config, path)]
    provider._alias = alias
    return provider, problems


def _policy(alias: str, table: Any, kind: Kind) -> tuple[Policy, list[Problem]]:
    """What is said of one provider, or what holds for all where that is wrong."""
    path = ("providers", alias, "policy")
    problems: list[Problem] = []
    try:
        policy = policy_for(kind, table)
    except ValidationError as exc:
        policy = Policy()
        problems += describe(exc, Policy, path, "policy")
    if policy.max_batch > kind.max_batch:
        message = f"policy.max_batch: {kind.name} takes {kind.max_batch} in a call: lower it"
        problems.append(Problem((*path, "max_batch"), message))
    if other := currency_problem(kind, policy.max_spend):
        problems.append(Problem((*path, "max_spend"), f"policy.max_spend: {kind.name} {other}"))
    return policy, problems


def _misshaped(alias: str, table: Any, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> Problem | None:
    path = ("providers", alias)
    if not isinstance(table, dict):
        return Problem(path, f"{'.'.join(path)} must be a table: write [{'.'.join(path)}]")
    kind = table.get("kind")
    if kind is None:
        return Problem(path, f"'kind' is missing: give one of {', '.join(kinds)}")
    if not isinstance(kind, str) or kind not in kinds:
        return Problem((*path, "kind"), f"{_no_kind(kind, kinds, unusable)}")
    if not isinstance(table.get("policy", {}), dict):
        return Problem((*path, "policy"), f"policy must be a table: write [{heading(path)}.policy]")
    return None


def _no_kind(kind: Any, kinds: Mapping[str, Kind], unusable: Mapping[str, str]) -> str:
    if isinstance(kind, str) and kind in unusable:
        return f"kind {kind!r} cannot be used: {unusable[kind]}"
    return f"unknown kind {kind!r}: {did_you_mean(str(kind), kinds)}"
