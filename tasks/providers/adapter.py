"""What every provider adapter offers. An adapter turns HTTP exchanges into values and decides nothing else:
it knows no database, and its reading requests go when its caller lets them (`turns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, cast

from schemas.by_criteria.criteria import Feature, NumberType
from schemas.config.balances import Balance
from schemas.money import Price
from schemas.outcomes import Candidate, Check, Look, Outcome, OwnedNumber
from schemas.releasing import ReleaseOutcome

LookupWay = Literal["none", "by_number", "by_list"]


class ProviderError(Exception):
    """A reading call (search, list) that did not give its answer; `outcome` tells why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error or outcome.kind)
        self.outcome = outcome


class Unsupported(Exception):
    """A call that the provider's documents do not have; the message says what to do instead."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One number to buy: E.164 with the plus, and the request's typed options as plain data.

    `reference` is our own name of the call, for providers that keep one: 40 characters at the most, letters, digits and
    dashes; all numbers of one call share it. `since` is how many seconds ago the purchase's first call began.
    `reservation` is the provider's id of what keeps the number for us, where its purchase has to name that. `price` is
    what the search told by which it was chosen: it is not bought for more.
    """

    number: str
    options: Mapping[str, Any] = field(default_factory=dict)
    reference: str | None = None
    since: float = 0.0
    reservation: str | None = None
    price: Price | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a number that a look asks for: the provider's ids for it and for its order, and the references
    of calls that may have been executed.
    """

    number_id: str | None = None
    order_id: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """What to search for: `country` is ISO 3166-1 alpha-2, `prefix` national digits (an area code).

    `limit` is how many at the most; fewer where the provider shows fewer at once. `after` is what `Shown.following`
    said, with all else unchanged: what comes then.
    `type`, `features` and `contains`, digits of the national number, come to those kinds alone that are `asked_for`
    them.
    """

    country: str = "US"
    prefix: str = ""
    limit: int = 10
    after: str | None = None
    type: NumberType | None = None
    features: tuple[Feature, ...] = ()
    contains: str = ""


class Shown(list[Candidate]):
    """The numbers that one search shows.

    `following` leads to more of them, where searches have pages; `full` says that it shows as many as it can at once:
    there may be others. `flaw` is why it may lack what is for sale now, as a cache's answer does; None where nothing
    says so.
    """

    def __init__(
        self,
        found: Iterable[Candidate] = (),
        *,
        following: str | None = None,
        full: bool = False,
        flaw: str | None = None,
    ) -> None:
        super().__init__(found)
        self.following, self.full, self.flaw = following, full, flaw


class Releasing(Protocol):
    """What an adapter has beside, whose provider's documents say how a number is given back.

    `keeps_for` is for how many seconds after its purchase the provider keeps a number, under the terms that it has for
    different accounts: the shortest first, none where it does not say.
    """

    keeps_for: ClassVar[tuple[float, ...]]

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        """Make **one** call that gives *number* back, which the provider knows by *number_id*.

        *Released* is said of the documented answer only; what may have been executed is *unknown*. Reading requests
        that come before it (an access token) take their turn.
        """


def releasing(adapter: object) -> Releasing | None:
    """How *adapter* gives numbers back; None where no documents say how."""
    return cast(Releasing, adapter) if callable(getattr(adapter, "release", None)) else None


class TellsBalance(Protocol):
    """What an adapter has beside, whose provider's documents have a free call that tells what the account has left."""

    def balance(self) -> Balance:
        """What is left now. Raises ProviderError where that cannot be read."""


def tells_balance(adapter: object) -> TellsBalance | None:
    """How *adapter* tells its account's balance; None where no documents say how."""
    return cast(TellsBalance, adapter) if callable(getattr(adapter, "balance", None)) else None


class PreparesTogether(Protocol):
    """What an adapter has beside that can prepare several numbers of one purchase call by fewer calls than they are."""

    def prepare_together(self, asks: Sequence[Ask]) -> list[Ask | Outcome | None]:
        """Prepare each of *asks*, in their order; None for one that has to be prepared by itself."""


def prepares_together(adapter: object) -> PreparesTogether | None:
    """How *adapter* prepares several numbers at once; None where each is prepared by itself."""
    return cast(PreparesTogether, adapter) if callable(getattr(adapter, "prepare_together", None)) else None


class Reserving(Protocol):
    """What an adapter has beside, whose provider's documents say how numbers are kept for us before they are bought.

    `reserves_for` is for how many seconds, `reserves_at_once` how many numbers one call may carry.
    `names_reservations` is whether a reserved number is sold only where its reservation is named: then one that is in
    doubt is of no use, and `Ask.reservation` is what `prepare` gets, which hands it on to `buy`.
    """

    reserves_for: ClassVar[int]
    reserves_at_once: ClassVar[int]
    names_reservations: ClassVar[bool]

    def reserve(self, numbers: Sequence[str]) -> dict[str, str | None]:
        """Make **one** call that reserves numbers, which costs nothing; left alone, a reservation lapses.

        Returns the ids by which purchases have to name what is reserved, None where they need not. A number that is not
        there is not reserved; where purchases name reservations, it is not to be had. Raises ProviderError.
        """


class CancelsReservations(Protocol):
    """What an adapter has beside, whose provider's documents say how a reservation that is not needed is given back."""

    def cancel_reservation(self, reservation: str) -> None:
        """Make **one** call that ends a reservation, by its id. Raises ProviderError where it may stand still."""


def cancels_reservations(adapter: object) -> CancelsReservations | None:
    """How *adapter* gives a reservation back; None where no documents say how: it lapses then."""
    return cast(CancelsReservations, adapter) if callable(getattr(adapter, "cancel_reservation", None)) else None


def reserving(adapter: object) -> Reserving | None:
    """How *adapter* reserves numbers; None where no documents say how."""
    return cast(Reserving, adapter) if callable(getattr(adapter, "reserve", None)) else None


class Adapter(Protocol):
    """One account at one provider, made of its configuration and its token.

    `lookup` says how owned numbers can be asked for: each by itself, or all of them by walking through the list that
    they share; `max_batch` how many numbers one purchase call may carry; `prepares` whether `prepare` makes calls;
    `keeps_reference` whether the provider keeps our name of a call, and can be asked by it.
    All calls but `buy` are made within `transport.turns.in_turn`.
    """

    lookup: ClassVar[LookupWay]
    can_search: ClassVar[bool]
    max_batch: ClassVar[int]
    prepares: ClassVar[bool]
    keeps_reference: ClassVar[bool]

    def __init__(self, config: Any, token: str) -> None:
        """Raises ConfigError for a token that no HTTP header can carry."""

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Complete *ask* by calls that cost nothing (Bird's stock item); an Outcome where that cannot be done."""

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Make one purchase call for at most `max_batch` prepared asks; one outcome for each, in their order."""

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """Ask whether these numbers are ours.

        *Absent* is a finding, by the rule in `looks`; what failed or cannot be read is unclear. Raises Unsupported
        where `lookup` is 'none'.
        """

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale, as `Shown` where it can be told whether there are more.

        Raises ProviderError, or Unsupported where none is documented.
        """

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk all owned numbers, page by page.

        Raises ProviderError, at the end too, where that was not the whole list or a part of it could not be read;
        Unsupported where no list is documented.
        """

    def check(self) -> list[Check]:
        """Prove credentials, account and path by calls that cost nothing."""
