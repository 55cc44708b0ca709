"""What callers send to have numbers found and bought: an order by criteria. Unknown fields are errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from schemas.by_criteria.criteria import Criteria
from schemas.config.kinds import Kind, currency_problem
from schemas.metadata import Metadata
from schemas.money import Money, MostMoney
from schemas.numbering.national_prefix import unused
from schemas.requests import E164, Alias, Key, RequestError, digest, problems_of, refusal, unknown_provider

MAX_COUNT = 100_000
"""Numbers of one order."""

MAX_WISHES = 1_000
MAX_EXCLUDED = 10_000

Count = Annotated[int, Field(ge=1, le=MAX_COUNT, strict=True)]
Prefixes = Annotated[
    tuple[str, ...],
    Field(max_length=MAX_WISHES),
    BeforeValidator(
        lambda value: value if isinstance(value, list | tuple) else [value],
        json_schema_input_type=str | Annotated[list[str], Field(max_length=MAX_WISHES)],
    ),
    Field(description="what the national number begins with: '415', or ['415', '212:20']"),
]

_MAX_SPEND: TypeAdapter[Money] = TypeAdapter(MostMoney)
_CRITERIA = ("country", "type", "features", "contains", "providers", "prefer", "max_price")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """So many numbers by some criteria; fewer than `at_least` found are a failure, before any is bought.

    With `reserve` what was found is reserved before it is bought, where its provider does so.
    """

    count: int
    criteria: Criteria
    at_least: int = 1
    reserve: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What the same key must come with."""
        criteria = self.criteria.model_dump(mode="json")
        criteria["exclude"] = sorted(criteria["exclude"])
        more = [True] if self.reserve else []
        return digest([self.count, self.at_least, criteria, dict(self.metadata), *more])


class OrderNumbers(BaseModel):
    """`count` numbers by criteria: so many of each `prefix` that has no count of its own, like '212:20'.

    An empty prefix, or contains, is refused: where a caller's variable is empty, numbers that nobody asked for would be
    bought.

    max_spend: what all of them may cost, each its setup and first month; what does not tell both is not bought.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: Count
    country: str = "US"
    prefix: Prefixes = ()
    # These are checked by Criteria.
    type: Any = None
    features: Any = ()
    contains: Any = ""
    providers: tuple[Alias, ...] = ()
    prefer: Any = None
    max_price: Any = None
    max_spend: MostMoney | None = Field(default=None, description="for all of them, each its setup and first month")
    at_least: Count = Field(default=1, description="where fewer are found, none is bought")
    reserve: Annotated[bool, Field(strict=True, description="before it is bought, where its provider does so")] = False
    exclude: Annotated[tuple[E164, ...], Field(max_length=MAX_EXCLUDED, description="numbers that are left out")] = ()
    idempotency_key: Key | None = None
    metadata: Metadata = Field(default_factory=dict)

    @field_validator("prefix")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        seen = [one.partition(":")[0] for one in value]
        for prefix in seen:
            if not prefix:
                raise ValueError("is empty: give digits like 415, or leave it out for any number of the country")
            if seen.count(prefix) > 1:
                raise ValueError(f"{prefix!r} is there twice: name each prefix once, with its count like {prefix}:20")
        return value

    @field_validator("contains")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("is empty: give digits like 555, or leave it out for any number")
        return value

    @field_validator("at_least")
    @classmethod
    def _not_above_count(cls, value: int, info: ValidationInfo) -> int:
        count = info.data.get("count", value)
        if value > count:
            raise ValueError(f"{value} is above count, {count}: lower at_least, or raise count")
        return value

    def wishes(self) -> list[Wish]:
        """One for each prefix. Raises RequestError."""
        common = {name: getattr(self, name) for name in _CRITERIA}
        return [
            _wish(self, {**common, "prefix": prefix}, self.count if count is None else count)
            for prefix, count in map(_counted, self.prefix or ("",))
        ]

    @property
    def fingerprint(self) -> str:
        """What the same key must come with. Raises RequestError."""
        return fingerprint_of(self.wishes(), self.metadata, self.max_spend)


def fingerprint_of(wishes: Sequence[Wish], metadata: Mapping[str, Any], max_spend: Money | None = None) -> str:
    """What an order by criteria with the same key must come with."""
    bound = [] if max_spend is None else [str(max_spend)]
    return digest([[wish.fingerprint for wish in wishes], dict(metadata), *bound])


def parse_numbers_order(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> tuple[OrderNumbers, list[Wish]]:
    """The request and its wishes; *kinds* maps the known aliases. Raises RequestError."""
    try:
        order = OrderNumbers.model_validate(dict(fields))
    except ValidationError as exc:
        raise refusal(exc, OrderNumbers) from exc
    wishes = order.wishes()
    check_wishes(wishes, kinds, order.max_spend)
    return order, wishes


def check_wishes(wishes: Sequence[Wish], kinds: Mapping[str, Kind], max_spend: Money | None = None) -> None:
    """Raise RequestError where they are too many, of no numbers in use, or of a provider that cannot do what they ask.

    *max_spend* is what all of them may cost.
    """
    if (total := sum(one.count for one in wishes)) > MAX_COUNT:
        raise _refused("count", f"{total:,} numbers in all: {MAX_COUNT:,} at most in one order, split it")
    for criteria in dict.fromkeys(one.criteria for one in wishes):
        _check_criteria(criteria, kinds, max_spend)


def _check_criteria(criteria: Criteria, kinds: Mapping[str, Kind], max_spend: Money | None) -> None:
    if problem := unused(criteria.country, criteria.prefix):
        raise _refused("prefix", f"{criteria.prefix!r} {problem}")
    price = criteria.max_price
    if max_spend and price and price.currency != max_spend.currency:
        raise _refused(
            "max_spend", f"is in {max_spend.currency}, and max_price in {price.currency}: write one currency"
        )
    for alias in criteria.providers:
        if alias not in kinds:
            raise unknown_provider("providers", alias, kinds)
        _check_provider(alias, kinds[alias], criteria, max_spend)


def _check_provider(alias: str, kind: Kind, criteria: Criteria, max_spend: Money | None) -> None:
    """Raise RequestError where a provider that the wish names cannot do what it asks."""
    who = f"{alias!r} ({kind.name})"
    for place, limit in (("max_price", criteria.max_price), ("max_spend", max_spend)):
        if problem := currency_problem(kind, limit):
            raise _refused(place, f"{who} {problem}")
    if problem := cannot(kind, criteria, max_spend):
        raise _refused("providers", f"{who} {problem}: take out {alias!r}")


def read_max_spend(text: str | None) -> Money | None:
    """What an order may cost; None for any. Raises RequestError."""
    try:
        return None if text is None else _MAX_SPEND.validate_python(text)
    except ValidationError as exc:
        raise _refused("max_spend", problems_of(exc, OrderNumbers)[0][1]) from exc


def cannot(kind: Kind, criteria: Criteria, max_spend: Money | None = None) -> str | None:
    """Why a provider of a *kind* cannot be searched by *criteria*, or held against *max_spend*; None where it can."""
    if not kind.searches:
        return "cannot be searched"
    if kind.needs_prefix and not criteria.prefix:
        return "is searched by prefix only"
    if missing := [name for name in criteria.asked if name not in kind.asked_for]:
        return f"cannot be asked for {' and '.join(missing)}"
    if (criteria.by_price or max_spend) and not kind.tells_price:
        return "tells no price when it is searched"
    return currency_problem(kind, criteria.max_price) or currency_problem(kind, max_spend)


def _wish(order: OrderNumbers, fields: dict[str, Any], count: int) -> Wish:
    try:
        criteria = Criteria.model_validate(fields)
    except ValidationError as exc:
        raise RequestError(
            "; ".join(f"{place}: {message}" for place, message in problems_of(exc, Criteria)),
            problems=problems_of(exc, Criteria),
        ) from exc
    if order.at_least > count:
        above = f"{order.at_least} is above the count of prefix {criteria.prefix}, {count}"
        raise _refused("at_least", f"{above}: lower it")
    found = without(criteria, order.exclude)
    return Wish(count=count, criteria=found, at_least=order.at_least, reserve=order.reserve, metadata=order.metadata)


def without(criteria: Criteria, numbers: tuple[str, ...]) -> Criteria:
    """The criteria with those of *numbers* left out that they might find."""
    return criteria.model_copy(update={"exclude": frozenset(one for one in numbers if criteria.prefix in one)})


def _counted(text: str) -> tuple[str, int | None]:
    """A prefix and its own count, if it has one. Raises RequestError."""
    prefix, colon, many = text.partition(":")
    if not colon:
        return prefix, None
    if not (many.isascii() and many.isdigit() and 0 < int(many) <= MAX_COUNT):
        raise _refused("prefix", f"{text!r} has no count from 1 to {MAX_COUNT:,} after its colon: write it like 212:20")
    return prefix, int(many)


def _refused(place: str, message: str) -> RequestError:
    return RequestError(f"{place}: {message}", problems=((place, message),))
