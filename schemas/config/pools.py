"""The [pools.NAME] tables of providers.toml: stocks of bought numbers that are topped up by schedule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from schemas.by_criteria.preference import Preference
from schemas.config.accounts_file import alias_hint
from schemas.config.errors import Problem, TomlPath, describe
from schemas.config.kinds import Kind, currency_problem
from schemas.config.schedules import Schedule, ScheduleText, parse_schedule
from schemas.money import Money, MostMoney, parse_money
from schemas.numbering.national_prefix import Country, NationalPrefix

__all__ = ["PoolConfig", "Schedule", "read_pools"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class PoolConfig(BaseModel):
    """One pool. Fewer than `low` available or on their way: numbers are ordered, up to `target`.

    providers: aliases, in order of preference; several of one account are fine, for each may buy from another carrier.
    country, prefix: of the numbers; the prefix is how the national number begins.
    max_per_run: numbers ordered by one run. daily_limit: numbers bought in any 24 hours, 0 for no limit.
    max_price: a month, for numbers found by search. max_spend: the most that is spent in any 24 hours, on each number
    its setup and first month; what does not tell both in its currency is not bought.
    stock_file: numbers to choose from before any search.
    count_held: whether purchases that wait for a person count as on their way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: Preference = Field(min_length=1)
    country: Country = "US"
    prefix: NationalPrefix = ""
    low: int = Field(ge=1, strict=True)
    target: int = Field(ge=1, le=100_000, strict=True)
    max_per_run: int = Field(default=100, ge=1, le=1_000, strict=True)
    daily_limit: int = Field(ge=0, strict=True)
    schedule: ScheduleText = parse_schedule("1m")
    max_price: MostMoney | None = None
    max_spend: MostMoney | None = None
    stock_file: Path | None = None
    count_held: bool = Field(default=True, strict=True)

    # checks of fields and none of the model, so that one reading tells all that is wrong
    @field_validator("target")
    @classmethod
    def _not_below_low(cls, value: int, info: ValidationInfo) -> int:
        low = info.data.get("low", value)
        if value < low:
            raise ValueError(f"{value} is below low, {low}: raise target, or lower low")
        return value

    @field_validator("stock_file")
    @classmethod
    def _names_a_file(cls, value: Path | None) -> Path | None:
        if value and not value.name:
            raise ValueError("names no file: write it like 'support.csv'")
        return value

    @property
    def is_bounded(self) -> bool:
        """Whether there is a bound to what it buys in a day."""
        return bool(self.daily_limit) or self.max_spend is not None

    def beside(self, configuration: Path) -> Self:
        """The same, with a relative `stock_file` taken from the folder of the file *configuration*."""
        return self.model_copy(update={"stock_file": self.stock_file and configuration.parent / self.stock_file})


def read_pools(tables: Any, kinds: Mapping[str, Kind | None]) -> tuple[dict[str, PoolConfig], list[Problem]]:
    """The pools that are right, by name, and the problems of all that is not.

    *kinds* are the file's aliases, with None for a provider whose table is wrong.
    """
    if not isinstance(tables, dict):
        return {}, [Problem(("pools",), "pools must be a table: write [pools.NAME]")]
    pools: dict[str, PoolConfig] = {}
    problems: list[Problem] = []
    for name, table in tables.items():
        if problem := _misshaped(name, table):
            problems.append(problem)
            continue
        pool, wrong = _pool(table, ("pools", name), kinds)
        problems += wrong
        if pool is not None:
            pools[name] = pool
    return pools, problems


def _pool(
    table: dict[str, Any], path: TomlPath, kinds: Mapping[str, Kind | None]
) -> tuple[PoolConfig | None, list[Problem]]:
    problems = [*_of_providers(table, path, kinds)]
    if "max_spend" in table and "stock_file" in table:
        message = "max_spend: what numbers of a stock_file cost is not known: take out one of both"
        problems.append(Problem((*path, "max_spend"), message))
    try:
        return PoolConfig.model_validate(table), problems
    except ValidationError as exc:
        return None, [*problems, *describe(exc, PoolConfig, path)]


def _misshaped(name: str, table: Any) -> Problem | None:
    path = ("pools", name)
    if not _NAME.fullmatch(name):
        return Problem(path, f"pool {name!r}: use at most 40 of a-z, 0-9, - and _, and begin with a letter or a digit")
    if not isinstance(table, dict):
        return Problem(path, f"pools.{name} must be a table: write [pools.{name}]")
    return None


def _of_providers(table: dict[str, Any], path: TomlPath, kinds: Mapping[str, Kind | None]) -> Iterator[Problem]:
    """What is wrong between a pool and its providers, also where its other fields are wrong."""
    aliases = table.get("providers")
    if not isinstance(aliases, list) or not kinds:
        return
    for alias in dict.fromkeys(alias for alias in aliases if isinstance(alias, str)):
        if alias not in kinds:
            message = f"providers: {alias!r} is no provider of this file: {alias_hint(alias, kinds)}"
            yield Problem((*path, "providers"), message)
        elif kind := kinds[alias]:
            yield from _of_provider(table, path, alias, kind)


def _of_provider(table: dict[str, Any], path: TomlPath, alias: str, kind: Kind) -> Iterator[Problem]:
    who = f"{alias!r} ({kind.name})"
    if "stock_file" not in table and not kind.searches:
        message = f"providers: {who} cannot be searched: give its numbers in a stock_file, or take it out"
        yield Problem((*path, "providers"), message)
    if "stock_file" not in table and kind.needs_prefix and not table.get("prefix"):
        message = f"providers: {who} is searched by prefix only: give a prefix like '415', or a stock_file"
        yield Problem((*path, "providers"), message)
    for name in ("max_price", "max_spend"):
        if name not in table or not (kind.searches or name == "max_spend"):
            continue
        if not kind.tells_price:
            message = f"{name}: {who} tells no price when it is searched: take out {name} or {alias!r}"
            yield Problem((*path, name), message)
        elif problem := currency_problem(kind, _money(table[name])):
            yield Problem((*path, name), f"{name}: {who} {problem}, or take out {alias!r}")


def _money(value: Any) -> Money | None:
    try:
        return None if value is None else parse_money(value)
    except ValueError:
        # told where the field itself is read
        return None
