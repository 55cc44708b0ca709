"""An adapter whose token is in a file that others write anew: taken over between two calls, without a restart.

The file is looked at before a call, once a second at the most, and at once after the provider refused the account. No
call is repeated for it: a purchase that was refused for the account waits and is called for again anyway. A file that
is empty, gone, or not at rest keeps the token that there is: writers that do not write beside and rename leave half of
one there for a moment. The token itself is never logged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from schemas.config.balances import Balance
from schemas.config.errors import ConfigError
from schemas.outcomes import Candidate, Check, Look, Outcome, OutcomeKind, OwnedNumber
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import (
    Adapter,
    Ask,
    CancelsReservations,
    Known,
    PreparesTogether,
    ProviderError,
    Releasing,
    Reserving,
    SearchQuery,
    TellsBalance,
    cancels_reservations,
    prepares_together,
    releasing,
    reserving,
    tells_balance,
)
from tasks.telemetry.log_fields import about_provider

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at a file that nothing speaks against."""

AT_REST = 1.0
"""Seconds for which a file must not have changed before it is believed to be whole."""

Stamp = tuple[int, int, int]


def rotating(alias: str, path: Path, read: Callable[[], str], build: Callable[[str], Adapter]) -> Adapter:
    """The adapter that *build* makes of the token that *read* reads from *path*, now and whenever it is another.

    Raises ConfigError where there is none now.
    """
    return cast(Adapter, _Rotating(_Token(alias, path, read), build))


class _Token:
    """The token of a file, and what stands there since."""

    def __init__(self, alias: str, path: Path, read: Callable[[], str]) -> None:
        self._alias, self._path, self._read = alias, path, read
        self._stamp = self._stamped()
        self.text = read()
        self._pending: tuple[Stamp | None, str] | None = None
        self._since = 0.0
        self._told: str | None = None

    def renewed(self, *, refused: bool) -> str | None:
        """Another token, whole as far as can be told, that is not taken yet; None for none.

        *refused*: read it even where the file looks as it did: coarse times hide a change.
        """
        stamp = self._stamped()
        if stamp == self._stamp and self._pending is None and not refused:
            return None
        try:
            text = self._read()
        except ConfigError as exc:
            self.keep(str(exc))
            return None
        if text == self.text:
            self._settle(text, stamp)
            return None
        return text if self._rests(stamp, text) else None

    def take(self, text: str) -> None:
        """*text* is the token now."""
        self._settle(text, self._stamped())
        words = "provider %s: %s has another token, which is used from now on"
        log.warning(words, self._alias, self._path, extra=about_provider(self._alias))

    def keep(self, why: str) -> None:
        """Say once why what the file holds is not taken."""
        if why != self._told:
            self._told = why
            words = "provider %s keeps the token that it had: %s"
            log.error(words, self._alias, why, extra=about_provider(self._alias))

    def _settle(self, text: str, stamp: Stamp | None) -> None:
        self.text, self._stamp, self._pending, self._told = text, stamp, None, None

    def _rests(self, stamp: Stamp | None, text: str) -> bool:
        now = time.monotonic()
        if (stamp, text) != self._pending:
            self._pending, self._since = (stamp, text), now
        written = stamp is not None and time.time() - stamp[0] / 1e9 >= AT_REST
        return (written or now - self._since >= AT_REST) and self._stamped() == stamp

    def _stamped(self) -> Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


class _Rotating:
    """Hands each call to the adapter of the present token; one that is under way keeps the one that it began with."""

    def __init__(self, token: _Token, build: Callable[[str], Adapter]) -> None:
        self._token, self._build = token, build
        self._present = build(token.text)
        self._looks = threading.Lock()
        self._next = 0.0
        self.lookup, self.can_search = self._present.lookup, self._present.can_search
        self.max_batch, self.prepares = self._present.max_batch, self._present.prepares
        self.keeps_reference = self._present.keeps_reference
        self._offer_what_is_optional()

    def _offer_what_is_optional(self) -> None:
        if (found := releasing(self._present)) is not None:
            self.keeps_for, self.release = found.keeps_for, self._release
        if tells_balance(self._present) is not None:
            self.balance = self._balance
        if prepares_together(self._present) is not None:
            self.prepare_together = self._prepare_together
        if (keeping := reserving(self._present)) is not None:
            self.reserves_for, self.reserves_at_once = keeping.reserves_for, keeping.reserves_at_once
            self.names_reservations, self.reserve = keeping.names_reservations, self._reserve
        if cancels_reservations(self._present) is not None:
            self.cancel_reservation = self._cancel_reservation

    def prepare(self, ask: Ask) -> Ask | Outcome:
        found = self._adapter().prepare(ask)
        self._heard([found])
        return found

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        found = self._adapter().buy(asks)
        self._heard(found)
        return found

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        found = self._adapter().look(numbers)
        self._heard(found.values())
        return found

    def search(self, query: SearchQuery) -> list[Candidate]:
        try:
            return self._adapter().search(query)
        except ProviderError as exc:
            self._heard([exc.outcome])
            raise

    def owned(self) -> Iterator[OwnedNumber]:
        try:
            yield from self._adapter().owned()
        except ProviderError as exc:
            self._heard([exc.outcome])
            raise

    def check(self) -> list[Check]:
        return self._adapter().check()

    def _release(self, number: str, number_id: str) -> ReleaseOutcome:
        found = cast(Releasing, self._adapter()).release(number, number_id)
        self._heard([found])
        return found

    def _prepare_together(self, asks: Sequence[Ask]) -> list[Ask | Outcome | None]:
        found = cast(PreparesTogether, self._adapter()).prepare_together(asks)
        self._heard(found)
        return found

    def _reserve(self, numbers: Sequence[str]) -> dict[str, str | None]:
        try:
            return cast(Reserving, self._adapter()).reserve(numbers)
        except ProviderError as exc:
            self._heard([exc.outcome])
            raise

    def _cancel_reservation(self, reservation: str) -> None:
        try:
            cast(CancelsReservations, self._adapter()).cancel_reservation(reservation)
        except ProviderError as exc:
            self._heard([exc.outcome])
            raise

    def _balance(self) -> Balance:
        try:
            return cast(TellsBalance, self._adapter()).balance()
        except ProviderError as exc:
            self._heard([exc.outcome])
            raise

    def _heard(self, answers: Iterable[object]) -> None:
        """Look at the file at once where any of the answers refuses the account."""
        if any(_refuses(answer) for answer in answers):
            self._renew(refused=True)

    def _adapter(self) -> Adapter:
        if time.monotonic() >= self._next:
            self._renew(refused=False)
        return self._present

    def _renew(self, *, refused: bool) -> None:
        if not self._looks.acquire(blocking=False):
            return
        try:
            self._next = time.monotonic() + EVERY
            text = self._token.renewed(refused=refused)
            if text is not None:
                self._present = self._build(text)
                self._token.take(text)
        except ConfigError as exc:
            self._token.keep(str(exc))
        finally:
            self._looks.release()


def _refuses(answer: object) -> bool:
    if isinstance(answer, Look):
        return answer.account
    if isinstance(answer, ReleaseOutcome):
        return answer.kind is ReleaseKind.ACCOUNT
    return isinstance(answer, Outcome) and answer.kind is OutcomeKind.ACCOUNT
