"""What each provider's sandbox is made of: an API that reads its requests and writes its answers."""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import phonenumbers

from tasks.providers.sandbox.exchange import Incoming, Invalid, Refusal, Reply
from tasks.providers.sandbox.inventory import Inventory
from tasks.providers.sandbox.ledger import Ledger, Record

LineState = Literal["sold", "refused", "missing"]
RefusalReason = Literal["refused", "not_for_sale", "owned", "compliance"]
AccountReason = Literal["credentials", "balance", "quota"]


class Route(NamedTuple):
    """One documented call. `reader` names the API's method for it; None means a purchase.

    Where it gives a number back, that finds the record, None where there is none. Raises Invalid or Refusal.
    """

    method: str
    pattern: re.Pattern[str]
    reader: str | None = None
    gives_back: bool = False


@dataclass(frozen=True, kw_only=True)
class Order:
    """A valid purchase call: `numbers` are E.164 with the plus; `extra` stays with the owned number.

    `partial` says for this call alone whether it sells some where it refuses others; None goes by the provider.
    """

    account: str
    numbers: Sequence[str]
    extra: Mapping[str, Any] = field(default_factory=dict)
    partial: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """What became of one number of an order; `record` is what the answer shows."""

    number: str
    state: LineState
    record: Record
    reason: RefusalReason = "refused"


class SandboxApi(ABC):
    """One provider: its paths, its checks and the exact shapes of its answers."""

    routes: ClassVar[tuple[Route, ...]]
    success: ClassVar[int] = 200
    has_ids: ClassVar[bool] = True
    # Whether a call sells some of its numbers where it refuses others.
    partial: ClassVar[bool] = False

    def __init__(self, *, kind: str, ledger: Ledger, inventory: Inventory, token: str) -> None:
        self.kind = kind
        self.ledger = ledger
        self.inventory = inventory
        self.token = token

    def authorize(self, incoming: Incoming) -> None:
        """Raises Refusal where the credentials are not the sandbox's."""
        if incoming.headers.get("Authorization", "") != f"Bearer {self.token}":
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:  # noqa: ARG002 - most providers know one account a token
        """Whose numbers a call is about."""
        return ""

    def id_of(self, record: Record) -> str | None:
        """The id that the provider shows for an owned number, None where it shows none."""
        return record.id if self.has_ids else None

    @abstractmethod
    def read_order(self, incoming: Incoming) -> Order:
        """The purchase that a call asks for. Raises Invalid or Refusal."""

    @abstractmethod
    def describe(self, record: Record) -> dict[str, Any]:
        """An owned number as this provider shows it."""

    @abstractmethod
    def invalid(self, exc: Invalid) -> Reply:
        """The answer to a request that does not validate."""

    @abstractmethod
    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:
        """The answer where credentials, balance or quota are wanting."""

    @abstractmethod
    def throttled(self) -> Reply:
        """The 429, without its Retry-After."""

    @abstractmethod
    def failed(self) -> Reply:
        """The 500."""

    @abstractmethod
    def sold(self, lines: Sequence[Line]) -> Reply:
        """The answer to a purchase whose lines are settled."""

    def take(self, lines: Sequence[Line]) -> None:  # noqa: B027 - most keep none
        """Keep the order of a purchase that was executed, where one stands that did not sell all of its numbers."""

    def withholds(self, order: Order, number: str) -> bool:  # noqa: ARG002 - few providers reserve numbers
        """Whether *number* is kept, and not for this order."""
        return False

    def given_back(self, record: Record) -> Reply:  # noqa: ARG002 - some show it
        """The answer to a number that was given back."""
        return Reply(204, None)

    def not_found(self) -> Reply:
        """The answer to an id that is nobody's."""
        return Reply(404, {"error": "Not Found"})

    def for_sale(self, country: str, prefix: str) -> Iterator[str]:
        """Numbers that a search shows: owned ones are left out, unless *prefix* is one whole national number.

        A second purchase must stay possible where a provider sells by what its search has shown.
        """
        owned = self.ledger.shown(self.kind)
        whole = f"+{phonenumbers.country_code_for_region(country)}{prefix}"
        candidates = self.inventory.candidates(self.kind, country, prefix)
        return (number for number in candidates if number not in owned or number == whole)


class SingleNumberApi(SandboxApi):
    """A provider that sells one number in a call."""

    @abstractmethod
    def refused(self, reason: RefusalReason) -> Reply:
        """The answer to a valid purchase of a number that cannot be had."""

    def sold(self, lines: Sequence[Line]) -> Reply:
        """The number's record, or its refusal."""
        line = lines[0]
        if line.state == "refused":
            return self.refused(line.reason)
        return Reply(self.success, {} if line.state == "missing" else self.describe(line.record))


def route(method: str, path: str, reader: str | None = None, *, gives_back: bool | None = None) -> Route:
    """A route whose path writes its variable parts as {name}. A DELETE gives a number back unless told otherwise."""
    pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", path))
    return Route(method, pattern, reader, method == "DELETE" if gives_back is None else gives_back)


def basic_credentials(incoming: Incoming) -> tuple[str, str]:
    """User and password of HTTP Basic, both empty where there are none."""
    scheme, _, value = incoming.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
