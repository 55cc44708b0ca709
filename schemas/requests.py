"""What callers send: one purchase, or an order of many. Unknown fields are errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.config.accounts_file import alias_hint
from schemas.config.kinds import Kind
from schemas.metadata import Metadata
from schemas.numbering.numbers import parse_e164
from schemas.numbering.spelling import quoted
from schemas.outcomes import clip
from schemas.plain import is_storable
from schemas.wording import nearest, plain_words

MAX_ORDER = 10_000
MAX_PROBLEMS = 5
MAX_PLACE = 100
MAX_NAME = 200
"""Characters of an order's name; a longer one is cut."""

MAX_KEY = 200
Key = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_KEY,
        pattern=r"^[!-~]+$",
        description="names the request: sent again, it is answered as before; without it, the message's id does",
    ),
]


class RequestError(ValueError):
    """A request that is refused. `code` is for programs, like invalid_request, unknown_provider, key_conflict, in_pool.

    `problems` are pairs of field and message, where the refusal is about fields.
    """

    def __init__(self, message: str, code: str = "invalid_request", problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = problems


Alias = Annotated[str, Field(min_length=1, max_length=40, description="an alias of providers.toml")]
E164 = Annotated[
    str,
    BeforeValidator(lambda value: parse_e164(value) if isinstance(value, str) else value),
    Field(description="E.164, with or without the plus"),
]


class BuyNumber(BaseModel):
    """One purchase: `number` as E.164, `provider` as an alias of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: E164
    provider: Alias
    idempotency_key: Key | None = None
    options: dict[str, Any] = Field(default_factory=dict, description="by kind: see `dialstock provider kinds`")
    metadata: Metadata = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What the same key must come with: number, provider, options and metadata."""
        return digest([self.number, self.provider, self.options, self.metadata])


class SubmitOrder(BaseModel):
    """An order of 1 to 10,000 purchases in one message; larger ones go in by `dialstock order submit`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Annotated[list[BuyNumber], Field(min_length=1, max_length=MAX_ORDER)]
    idempotency_key: Key | None = None
    metadata: Metadata = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What the same key must come with."""
        return digest([[request.fingerprint for request in self.requests], self.metadata])


def parse_buy(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> BuyNumber:
    """Validate one request; *kinds* maps the known aliases. Raises RequestError with every problem in one message."""
    try:
        request = BuyNumber.model_validate(dict(fields))
    except ValidationError as exc:
        raise refusal(exc, BuyNumber) from exc
    return check_provider(request, kinds)


def parse_order(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> SubmitOrder:
    """Validate a whole order: all of it or nothing. Raises RequestError."""
    try:
        order = SubmitOrder.model_validate(dict(fields))
    except ValidationError as exc:
        raise refusal(exc, SubmitOrder) from exc
    checked = []
    for index, request in enumerate(order.requests):
        try:
            checked.append(check_provider(request, kinds))
        except RequestError as exc:
            problems = tuple((f"requests.{index}.{place}", message) for place, message in exc.problems)
            raise RequestError(_joined(problems), exc.code, problems) from exc
    _refuse_key_twice(checked)
    return order.model_copy(update={"requests": checked})


def check_provider(request: BuyNumber, kinds: Mapping[str, Kind]) -> BuyNumber:
    """The request with its options checked by the provider's kind. Raises RequestError."""
    kind = kinds.get(request.provider)
    if kind is None:
        raise unknown_provider("provider", request.provider, kinds)
    if not request.options:
        return request
    model = kind.options
    try:
        options = model.model_validate(request.options).model_dump(mode="json", exclude_none=True)
    except ValidationError as exc:
        raise refusal(exc, model, "options.") from exc
    return request.model_copy(update={"options": options})


def unknown_provider(field: str, alias: str, kinds: Mapping[str, Kind]) -> RequestError:
    """The refusal of a request whose *field* names a provider that is not among *kinds*."""
    problem = (field, f"{quoted(alias)} is not configured: {alias_hint(alias, sorted(kinds))}")
    return RequestError(": ".join(problem), "unknown_provider", (problem,))


def key_of_message(message_id: object, longest: int | None = MAX_KEY) -> str:
    """The id of a message, as the key of a request that came without. Raises RequestError (invalid_message_id).

    It has *longest* characters at most, None for any.
    """
    if is_storable(message_id) and 0 < len(message_id) <= (longest or len(message_id)):
        return message_id
    most = "" if longest is None else f" of at most {longest} characters"
    wanted = f"a text{most} without NUL and halves of surrogate pairs"
    raise RequestError(f"the message's id is not {wanted}: send another id, or a key of your own", "invalid_message_id")


def problems_of(exc: ValidationError, model: type[BaseModel], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Pairs of field and message, with the mend, for the first five problems; *prefix* goes before each field."""
    return tuple(_problem(error, model, prefix) for error in exc.errors(include_url=False)[:MAX_PROBLEMS])


def _refuse_key_twice(requests: list[BuyNumber]) -> None:
    seen: dict[str, tuple[int, str]] = {}
    for index, request in enumerate(requests):
        key = request.idempotency_key
        if key is None:
            continue
        first, fingerprint = seen.setdefault(key, (index, request.fingerprint))
        if fingerprint != request.fingerprint:
            raise RequestError(
                f"requests.{index}.idempotency_key: {key!r} is that of requests.{first}, which differs: "
                "give each request its own key",
                "key_conflict",
            )


def refusal(exc: ValidationError, model: type[BaseModel], prefix: str = "") -> RequestError:
    """The first problems as one error: where, what, and the mend."""
    problems = problems_of(exc, model, prefix)
    more = exc.error_count() - len(problems)
    return RequestError(_joined(problems) + (f"; and {more} more" if more > 0 else ""), problems=problems)


def _joined(problems: tuple[tuple[str, str], ...]) -> str:
    return "; ".join(f"{place}: {message}" for place, message in problems)


def _problem(error: Any, model: type[BaseModel], prefix: str) -> tuple[str, str]:
    place = clip(prefix + ".".join(str(part) for part in error["loc"]), MAX_PLACE) or ""
    if error["type"] == "extra_forbidden":
        # inside an order's requests the fields are a purchase's
        fields = BuyNumber.model_fields if len(error["loc"]) > 1 else model.model_fields
        return place, f"unknown field: {_hint(str(error['loc'][-1])[:MAX_PLACE], list(fields))}"
    if error["type"] == "missing":
        return place, "is required"
    if error["type"] == "string_unicode" and not error["loc"]:
        place += "the name of a field"
    return place, plain_words(error)


def _hint(name: str, known: list[str]) -> str:
    if near := nearest(name, known):
        return f"did you mean {near!r}?"
    return f"known are {', '.join(known)}" if known else "this provider takes none"


def digest(value: Any) -> str:
    """A fingerprint of plain data: equal for what is equal as JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
