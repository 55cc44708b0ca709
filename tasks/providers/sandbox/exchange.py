"""One HTTP exchange as plain values, so that the APIs know nothing of sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import UUID

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DIGITS = re.compile(r"[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body` is sent as JSON, text as it stands, None as nothing."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """The body's bytes and its content type."""
        if isinstance(self.body, str):
            return self.body.encode(), "text/html; charset=utf-8"
        if self.body is None:
            return b"", JSON_TYPE
        return json.dumps(self.body, separators=(",", ":")).encode(), JSON_TYPE


class Problem(NamedTuple):
    """What is wrong with one field of a request; `field` is empty for the whole body."""

    field: str
    message: str
    code: str = "invalid"


class Refusal(Exception):
    """A request that is answered with `reply` and goes no further."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Invalid(Exception):
    """A request that does not validate; `malformed` where its body is no JSON at all."""

    def __init__(self, *problems: Problem, malformed: bool = False) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.malformed = malformed


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request; `path` is without the provider's prefix, `args` are the path's variable parts."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    args: tuple[str, ...] = ()

    def json(self) -> Any:
        """The body's JSON. Raises Invalid where it is none, or is not declared as such."""
        self._require_type(JSON_TYPE)
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise Invalid(Problem("", "the body is not JSON"), malformed=True) from exc

    def form(self) -> dict[str, str]:
        """The body's fields. Raises Invalid where it is no form, is not declared as one, or has a field twice."""
        self._require_type(FORM_TYPE)
        try:
            pairs = parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=bool(self.body))
        except ValueError as exc:
            raise Invalid(Problem("", "the body is no form"), malformed=True) from exc
        if len(dict(pairs)) != len(pairs):
            raise Invalid(Problem("", "a field stands twice"), malformed=True)
        return dict(pairs)

    def _require_type(self, wanted: str) -> None:
        declared = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if declared != wanted:
            raise Invalid(Problem("", f"Content-Type must be {wanted}"), malformed=True)

    def only(self, *known: str) -> None:
        """Raises Invalid for a query parameter that is not *known*: a misspelt filter must not go unseen."""
        strange = [Problem(name, "unknown parameter") for name in self.query if name not in known]
        if strange:
            raise Invalid(*strange)

    def text(self, name: str) -> str:
        """A query parameter's value, empty where it is missing."""
        return self.query.get(name, [""])[0]

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A query parameter as a whole number from *low* to *high*. Raises Invalid."""
        text = self.text(name) or str(default)
        return bounded(name, int(text) if text.isdecimal() else text, low, high)


class Check(NamedTuple):
    """What a field's value must be: a test, and the words for its failing."""

    test: Callable[[Any], bool]
    message: str
    code: str = "invalid"


def bounded(name: str, value: Any, low: int, high: int) -> int:
    """*value* where it is a whole number from *low* to *high*. Raises Invalid."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Invalid(Problem(name, f"must be a whole number from {low} to {high}"))
    return value


def check_object(
    value: Any, required: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> dict[str, Any]:
    """*value* where it is an object of just these fields. Raises Invalid with every problem."""
    if not isinstance(value, dict):
        raise Invalid(Problem("", "must be an object"))
    known = {**(optional or {}), **required}
    problems = [Problem(name, f"{name} is required", "missing") for name in required if name not in value]
    problems += [Problem(name, f"{name} is unknown", "unknown") for name in value if name not in known]
    problems += [
        Problem(name, f"{name} {check.message}", check.code)
        for name, check in known.items()
        if name in value and not check.test(value[name])
    ]
    if problems:
        raise Invalid(*problems)
    return value


def is_uuid(value: Any) -> bool:
    """Whether *value* is a UUID in its usual spelling."""
    if not isinstance(value, str):
        return False
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False


def is_e164(value: Any) -> bool:
    """Whether *value* is E.164 with the plus."""
    return isinstance(value, str) and _E164.fullmatch(value) is not None


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and _DIGITS.fullmatch(value) is not None


TEXT = Check(lambda value: isinstance(value, str) and bool(value), "must be a string that is not empty")
E164 = Check(is_e164, "must be E.164, like +14155550100", "not_e164")
DIGITS = Check(_is_digits, "must be digits only, like 919876543210")
UUID_TEXT = Check(is_uuid, "must be a UUID")
