"""Reservations of what a wish found, before it is written down: nobody else can buy it while it waits for its call.

They cost nothing, and none of our promises rests on them: what is not surely reserved is bought as it would be without,
or passed over where its provider would not sell it so; and one that is not needed is given back (`unneeded`), or
lapses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from schemas.outcomes import OutcomeKind
from tasks.chunks import chunks
from tasks.ledger.orders import reservations
from tasks.providers.adapter import ProviderError, Reserving, reserving
from tasks.runtime import Binding, Runtime
from tasks.supply.offers import Offer
from tasks.supply.reading import reading


def reserve(
    runtime: Runtime, wish: tuple[str, int], offers: Sequence[Offer], count: int
) -> tuple[list[Offer], str | None]:
    """*offers* without those that are not to be had, the first *count* reserved as far as can be; and what was not
    reserved, and why.

    *wish* is its order and position; once it is open no more, nothing more is reserved for it. Raises redis.RedisError
    where a call needs its turn and Redis is away.
    """
    tries, taken, left = dict[str, _At](), list[Offer](), [*offers]
    while left and len(taken) < count:
        next_ones, left = left[: count - len(taken)], left[count - len(taken) :]
        for alias in dict.fromkeys(offer.provider for offer in next_ones):
            at = tries.setdefault(alias, _At(runtime, runtime.providers[alias], wish))
            at.reserve([offer.number for offer in next_ones if offer.provider == alias])
        taken += [offer for offer in next_ones if offer.number not in tries[offer.provider].passed]
    return taken + left, "; ".join(told for at in tries.values() if (told := at.in_words())) or None


@dataclass
class _At:
    """What one provider reserves for a wish. `problem` is why it reserves no more, `passed` what is not to be had."""

    runtime: Runtime
    binding: Binding
    wish: tuple[str, int]
    asked: int = 0
    kept: int = 0
    passed: set[str] = field(default_factory=set)
    problem: str | None = None
    stopped: bool = False
    began: datetime | None = None

    def in_words(self) -> str | None:
        """What was not reserved, and why; None where all was."""
        if self.kept == self.asked:
            return None
        gone = [f"{len(self.passed)} passed over"] if self.passed else []
        why = "; ".join([*gone, *filter(None, [self.problem])])
        return f"{self.binding.alias} reserved {self.kept} of {self.asked}{f': {why}' if why else ''}"

    def reserve(self, numbers: Sequence[str]) -> None:
        """Ask for *numbers*, as many a call as it may carry, until it is of no use."""
        self.asked += len(numbers)
        adapter = reserving(self.binding.adapter)
        if adapter is None:
            self.problem, self.stopped = "it knows no reservations", True
            return
        for chunk in chunks(numbers, adapter.reserves_at_once):
            if not self.stopped:
                self._chunk(adapter, chunk)

    def _chunk(self, adapter: Reserving, numbers: Sequence[str]) -> None:
        now = self.runtime.now()
        self.began = self.began or now
        if now - self.began > timedelta(seconds=adapter.reserves_for) / reservations.SPARE:
            self.problem, self.stopped = "the first of them would lapse too soon after the last", True
            return
        found = self._call(adapter, numbers)
        if found is None:
            return
        if adapter.names_reservations:
            self.passed.update(number for number in numbers if number not in found)
        self.runtime.reached("reserving")
        lapses = now + timedelta(seconds=adapter.reserves_for)
        kept, wanted = self.runtime.database.run(lambda conn: self._keep(conn, found, now, lapses))
        self.kept, self.stopped = self.kept + kept, not wanted

    def _call(self, adapter: Reserving, numbers: Sequence[str]) -> Mapping[str, str | None] | None:
        """What is reserved by now; None where that is not known, and nothing more is asked for."""
        try:
            with reading(self.runtime, self.binding):
                return adapter.reserve(numbers)
        except ProviderError as exc:
            self.problem, self.stopped = str(exc), True
            if adapter.names_reservations and exc.outcome.kind is OutcomeKind.UNKNOWN:
                # It may be kept under a name that nobody knows: an order without that buys nothing.
                self.passed.update(numbers)
            return None

    def _keep(
        self, conn: Connection, found: Mapping[str, str | None], now: datetime, lapses: datetime
    ) -> tuple[int, bool]:
        """Write down what has to be named: how many are kept, and whether more are wanted."""
        order_id, position = self.wish
        kept = 0
        for number, known in found.items():
            row = {"account": self.binding.account, "provider": self.binding.alias, "number": number}
            times = {"reserved_at": now, "lapses_at": lapses}
            here = {"order_id": order_id, "position": position, "reservation_id": known, **times}
            kept += known is None or reservations.keep(conn, row | here)
        return kept, reservations.is_wanted(conn, order_id, position)
