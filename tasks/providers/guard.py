"""An adapter's errors are no answers: what it raises beyond what `Adapter` says settles nothing, and is logged.

So a fault of an adapter puts a purchase in no other doubt than a provider that does not answer.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, NoReturn, TypeVar

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from schemas.config.balances import Balance
from schemas.money import Price
from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import (
    Adapter,
    Ask,
    Known,
    ProviderError,
    SearchQuery,
    Shown,
    Unsupported,
    cancels_reservations,
    prepares_together,
    releasing,
    reserving,
    tells_balance,
)
from tasks.providers.transport.turns import Withheld

log = logging.getLogger(__name__)

T = TypeVar("T")

_END = object()

ADAPTER_ERROR = "adapter_error"

_COMES_OUT = (ProviderError, Unsupported, Withheld, RedisError, SQLAlchemyError)
"""What an adapter may raise, and what those who called it raise through it."""


class _Guard:
    """Comes before an adapter, so that `super()` is the adapter."""

    def _own(self, name: str) -> Any:
        return getattr(super(), name)

    def prepare(self, ask: Ask) -> Ask | Outcome:
        prepare = self._own("prepare")

        def prepared() -> Ask | Outcome:
            found = prepare(ask)
            return found if isinstance(found, Ask) else _of(Outcome, found)

        return _guarded(
            prepare,
            prepared,
            lambda error: Outcome(kind=OutcomeKind.NOT_SENT, error_code=ADAPTER_ERROR, error=error),
        )

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        buy = self._own("buy")
        return _guarded(
            buy,
            lambda: [_of(Outcome, outcome) for _, outcome in zip(asks, buy(asks), strict=True)],
            lambda error: [Outcome(kind=OutcomeKind.UNKNOWN, error_code=ADAPTER_ERROR, error=error)] * len(asks),
        )

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        look = self._own("look")

        def found() -> dict[str, Look]:
            looks = look(numbers)
            return {number: _of(Look, looks[number]) for number in numbers}

        return _guarded(look, found, lambda error: dict.fromkeys(numbers, Look(kind=LookKind.UNCLEAR, error=error)))

    def search(self, query: SearchQuery) -> list[Candidate]:
        search = self._own("search")
        return _guarded(search, lambda: _shown(search(query)), _no_answer)

    def owned(self) -> Iterator[OwnedNumber]:
        owned = self._own("owned")
        return _walk(owned, _guarded(owned, lambda: iter(owned()), _no_answer))

    def check(self) -> list[Check]:
        check = self._own("check")
        return _guarded(
            check,
            lambda: [_of(Check, one) for one in check()],
            lambda error: [Check(name="adapter", ok=False, message=error)],
        )


class _ReleaseGuard:
    """The same for an adapter that gives numbers back."""

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        release = getattr(super(), "release")  # noqa: B009 - it is the adapter's
        return _guarded(
            release,
            lambda: _of(ReleaseOutcome, release(number, number_id)),
            lambda error: ReleaseOutcome(kind=ReleaseKind.UNKNOWN, error_code=ADAPTER_ERROR, error=error),
        )


class _BalanceGuard:
    """The same for an adapter that tells the balance."""

    def balance(self) -> Balance:
        balance = getattr(super(), "balance")  # noqa: B009 - it is the adapter's
        return _guarded(balance, lambda: _of(Balance, balance()), _no_answer)


class _TogetherGuard:
    """The same for an adapter that prepares several numbers at once: where that fails, each is prepared by itself."""

    def prepare_together(self, asks: Sequence[Ask]) -> list[Ask | Outcome | None]:
        together = getattr(super(), "prepare_together")  # noqa: B009 - it is the adapter's

        def prepared() -> list[Ask | Outcome | None]:
            found = zip(asks, together(asks), strict=True)
            return [one if one is None or isinstance(one, Ask) else _of(Outcome, one) for _, one in found]

        return _guarded(together, prepared, lambda _: [None] * len(asks))


class _ReserveGuard:
    """The same for an adapter that reserves numbers."""

    def reserve(self, numbers: Sequence[str]) -> dict[str, str | None]:
        reserve = getattr(super(), "reserve")  # noqa: B009 - it is the adapter's

        def reserved() -> dict[str, str | None]:
            found = _of(dict, reserve(numbers))
            return {number: found[number] and _of(str, found[number]) for number in numbers if number in found}

        return _guarded(reserve, reserved, _no_answer)


class _CancelGuard:
    """The same for an adapter that gives reservations back."""

    def cancel_reservation(self, reservation: str) -> None:
        cancel = getattr(super(), "cancel_reservation")  # noqa: B009 - it is the adapter's
        _guarded(cancel, lambda: _of(type(None), cancel(reservation)), _no_answer)


@cache
def guarded(adapter: type[Adapter]) -> type[Adapter]:
    """The *adapter*, with its faults made into answers that settle nothing."""
    beside = (
        *((_ReleaseGuard, releasing), (_BalanceGuard, tells_balance)),
        *((_TogetherGuard, prepares_together), (_ReserveGuard, reserving), (_CancelGuard, cancels_reservations)),
    )
    guards = (_Guard, *(guard for guard, has in beside if has(adapter) is not None))
    return type(adapter.__name__, (*guards, adapter), {"__module__": adapter.__module__})


def _guarded(method: Callable[..., object], call: Callable[[], T], failed: Callable[[str], T]) -> T:
    """What *call* returns, or *failed* makes of the words for whatever the adapter's *method* raised.

    The words are without what was raised, and so is the log: that may hold a secret. The log has where it was raised.
    """
    try:
        return call()
    except _COMES_OUT:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever an adapter raises
        where, name = f"{method.__module__}.{method.__qualname__}", type(exc).__name__
        log.error(  # noqa: TRY400 - its words may hold a secret
            "%s raised %s: a fault of the adapter\n%s", where, name, "".join(traceback.format_tb(exc.__traceback__))
        )
        return failed(f"{where} raised {name}: a fault of the adapter, the log has its trace")


def _walk(owned: Callable[..., object], walk: Iterator[object]) -> Iterator[OwnedNumber]:
    while (entry := _guarded(owned, lambda: next(walk, _END), _no_answer)) is not _END:
        yield _guarded(owned, partial(_of, OwnedNumber, entry), _no_answer)


def _of(wanted: type[T], found: object) -> T:
    if not isinstance(found, wanted):
        raise TypeError(f"a {type(found).__name__} is no answer")
    return found


def _shown(found: list[Candidate]) -> list[Candidate]:
    for one in found:
        _of(Candidate, one)
        if one.price is not None:
            _of(Price, one.price)
    return found if isinstance(found, Shown) else list(found)


def _no_answer(error: str) -> NoReturn:
    raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error_code=ADAPTER_ERROR, error=error))
