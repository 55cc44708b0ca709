"""What services send to take numbers from a pool and to give them back. Unknown fields are errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.config.errors import did_you_mean
from schemas.metadata import Metadata
from schemas.requests import E164, Key, RequestError, digest, refusal

MAX_TAKE = 1_000

UNKNOWN_POOL = "unknown_pool"

T = TypeVar("T", bound="PoolRequestFields")

Taker = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", description="who takes, or took")
]
PoolName = Annotated[str, Field(min_length=1, max_length=40, description="a pool of providers.toml")]


class PoolRequestFields(BaseModel):
    """What both have: the pool, the caller's id for the request, and who takes or took."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool: PoolName
    request_id: Key | None = None
    taker: Taker | None = None
    metadata: Metadata = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What the same `request_id` must come with."""
        return digest([type(self).__name__, self.model_dump(mode="json", exclude={"request_id"})])


class TakeNumber(PoolRequestFields):
    """Take `count` numbers, all of them or none."""

    count: int = Field(default=1, ge=1, le=MAX_TAKE, strict=True)


class ReturnNumber(PoolRequestFields):
    """Give back one number; with `taker`, only if it was taken by that one."""

    number: E164


def parse_take(fields: Mapping[str, Any], pools: Collection[str], former: Collection[str] = ()) -> TakeNumber:
    """Validate a take; *pools* are the configured ones, *former* those that are not any more. Raises RequestError."""
    request = _parse(TakeNumber, fields)
    if request.pool in former:
        hint = f"its numbers can be returned, and taken once [pools.{request.pool}] is in providers.toml again"
        raise RequestError(f"pool: {request.pool!r} is not configured any more: {hint}", UNKNOWN_POOL)
    return _known(request, pools)


def parse_return(fields: Mapping[str, Any], pools: Collection[str], former: Collection[str] = ()) -> ReturnNumber:
    """Validate a return; *pools* are the configured ones, *former* those that are not any more. Raises RequestError."""
    return _known(_parse(ReturnNumber, fields), [*pools, *former])


def _parse(model: type[T], fields: Mapping[str, Any]) -> T:
    try:
        return model.model_validate(dict(fields))
    except ValidationError as exc:
        raise refusal(exc, model) from exc


def _known(request: T, pools: Collection[str]) -> T:
    if request.pool not in pools:
        hint = did_you_mean(request.pool, pools) if pools else "providers.toml has no [pools.NAME]"
        raise RequestError(f"pool: {request.pool!r} is not configured: {hint}", UNKNOWN_POOL)
    return request
