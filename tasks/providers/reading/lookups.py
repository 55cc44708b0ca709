"""Walking lists, and looking numbers up.

**Absent is a finding.** A look says that a number is not ours, or was lost, only after a whole list: every page of the
documented shape, every entry read and another number. Whatever else came is *unclear*: a walk that breaks off or goes
round, a foreign word beside the list, an entry that cannot be read, a list that is shorter than it says, one that a
cache has kept (`freshness`), any status. So is, of a number, an entry of another one that names it in any other key.
A list of several pages is read twice, and must have lost nothing by the second time: what moves up to a page that was
read already is shown by none.
A number that was shown is ours whatever came with it. `look_through` is the one place that says so, for every provider.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain

from schemas.outcomes import NOTHING_SHOWN, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Known, ProviderError
from tasks.providers.reading.list_page import Entry, Page
from tasks.providers.reading.mentions import Mentions

# At 100 a page a million numbers: no account is larger, but a list without end could be.
MAX_PAGES = 10_000

_SHRANK = "the list became shorter while it was read"
_BEST_FIRST = (LookKind.OWNED, LookKind.PROCESSING, LookKind.UNCLEAR, LookKind.LOST)


def walk(fetch: Callable[[str | None], Page]) -> Iterator[Entry]:
    """All entries of a paged list. *fetch* gets what leads to a page, None for the first.

    Raises ProviderError where the list goes round in circles; at its end, where anything of it could not be read, or
    it has fewer entries than it said on every page; and what *fetch* raises. Whoever comes through has seen all of it
    that did not move meanwhile.
    """
    yield from _walk(fetch, _Whole())


def walk_twice(fetch: Callable[[str | None], Page]) -> Iterator[Entry]:
    """All entries of a list, as `walk` gives them, and those of several pages again: for who asks what is not there.

    A count would not do, for a list may gain an entry as it loses another; nor would a cursor, whose meaning nobody
    documents. Raises, beside what `walk` does, ProviderError where the list had lost an entry by the second time.
    """
    first, second = _Whole(), _Whole()
    yield from _walk(fetch, first)
    if first.pages > 1:
        yield from _walk(fetch, second)
        second.require_all_of(first)


def _walk(fetch: Callable[[str | None], Page], whole: _Whole) -> Iterator[Entry]:
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        page = fetch(cursor)
        yield from page.entries
        if not whole.grows(page):
            break
        cursor = page.following
        if cursor is None:
            whole.require()
            return
        if cursor in seen:
            break
        seen.add(cursor)
    raise _failed("endless_list", f"the list has no end: a page leads back, or beyond {MAX_PAGES} pages")


class _Whole:
    """Whether a walk has shown a whole list, and in how many pages."""

    def __init__(self) -> None:
        self.pages = 0
        self._shown: set[Entry] = set()
        self._seen = self._passed = self._about = 0
        self._total: int | None = None
        self._shrank = False
        self._unread: Outcome | None = None

    def grows(self, page: Page) -> bool:
        """Take a page. False where it shows, or says that there is, more of the same only."""
        self.pages += 1
        before = len(self._shown)
        shown = [entry for entry in page.entries if entry.number]
        self._shown.update(shown)
        self._check(page)
        self._seen += len(page.entries)
        self._passed += len(page.entries) - len(shown)
        return len(self._shown) > before or not shown

    def _check(self, page: Page) -> None:
        wrong = page.claims.wrong(page=self.pages, seen=self._seen, last=page.following is None)
        told = _failed("other_page", f"the list tells of {wrong}").outcome if wrong else None
        self._unread = self._unread or page.unread or told
        self._about = max(self._about, page.about or 0)
        totals = [total for total in (page.total, page.claims.total) if total is not None]
        if totals:
            # Of two on one page the larger; of those of several the least: a list may grow while it is walked.
            total = max(totals)
            self._shrank = self._shrank or (self._total is not None and total < self._total)
            self._total = total if self._total is None else min(self._total, total)

    def require(self) -> None:
        """Raises ProviderError where it is not whole."""
        if self._unread is not None:
            raise ProviderError(self._unread)
        if self._shrank:
            raise _failed("shrinking_list", _SHRANK)
        found = len(self._shown) + self._passed
        if self._total is not None and found < self._total:
            raise _failed("short_list", f"the list shows {found} numbers and says that it has {self._total}")
        # An estimate may be off, but not where it is of some and none is there.
        if self._about and not found:
            raise _failed("short_list", f"the list shows no number and says that it has about {self._about}")

    def require_all_of(self, earlier: _Whole) -> None:
        """Raises ProviderError where an entry is gone that an *earlier* walk has shown."""
        if earlier._names() - self._names():
            raise _failed("shrinking_list", _SHRANK)

    def _names(self) -> set[tuple[str, str | None]]:
        # Its state may change without its going.
        return {(entry.number, entry.provider_number_id) for entry in self._shown}


def owned(entries: Iterable[Entry]) -> Iterator[OwnedNumber]:
    """What a list shows as ours, without what the provider took back or never delivered."""
    for entry in entries:
        if entry.number and entry.kind is not LookKind.LOST:
            usable = entry.kind is LookKind.OWNED
            yield OwnedNumber(number=entry.number, provider_number_id=entry.provider_number_id or "", usable=usable)


def look_through(entries: Iterable[Entry], numbers: Collection[str]) -> dict[str, Look]:
    """What a walk says about *numbers*, read no further than needed. Of several records of a number the best counts:
    one that was given back and bought again has two.
    """
    best: dict[str, Entry] = {}
    mentions, doubted = Mentions(numbers), dict[str, Look]()
    otherwise = Look(kind=LookKind.ABSENT)
    try:
        for entry in entries:
            doubted |= dict.fromkeys(mentions.within(entry.rest, entry.number), _mentioned(entry))
            if entry.number not in numbers:
                continue
            best[entry.number] = min(best.get(entry.number, entry), entry, key=_rank)
            if len(best) == len(numbers) and all(one.kind is LookKind.OWNED for one in best.values()):
                break
    except ProviderError as exc:
        otherwise, doubted = unclear(exc.outcome), {}
    return {number: _shown(best.get(number), doubted.get(number, otherwise)) for number in numbers}


def look_list(
    fetch: Callable[[str | None], Page], numbers: Collection[str], shown: Iterable[Entry] = ()
) -> dict[str, Look]:
    """What a provider's list says about *numbers*, beside what it has *shown* of them already."""
    return look_through(chain(shown, walk_twice(fetch)), numbers)


def look_each(numbers: Mapping[str, Known | None], look: Callable[[str, Known], Look | None]) -> dict[str, Look]:
    """Look the numbers up one by one; those of which *look* says nothing are left out.

    After a 429, a refused account or a turn that does not come no further call is made, and all that are left are told
    so.
    """
    looks: dict[str, Look] = {}
    for number, known in numbers.items():
        try:
            found = look(number, known or Known())
        except ProviderError as exc:
            found = unclear(exc.outcome)
        if found is None:
            continue
        looks[number] = found
        if found.account or found.waiting:
            return {one: looks.get(one, found) for one in numbers}
    return looks


def unclear(outcome: Outcome) -> Look:
    """What a failed look-up says: nothing, and why."""
    throttled = outcome.kind is OutcomeKind.THROTTLED
    return Look(
        kind=LookKind.UNCLEAR,
        error=outcome.error,
        error_code=NOTHING_SHOWN if outcome.error_code == NOTHING_SHOWN else None,
        account=outcome.kind is OutcomeKind.ACCOUNT,
        throttled=throttled,
        waiting=throttled or outcome.held_back,
        unsent=outcome.kind is OutcomeKind.NOT_SENT and not outcome.held_back,
        retry_after=outcome.retry_after,
    )


def _rank(entry: Entry) -> int:
    return _BEST_FIRST.index(entry.kind)


def _shown(entry: Entry | None, otherwise: Look) -> Look:
    """What the best record of a number says; *otherwise* is said of those that a walk did not show."""
    if entry is None or (entry.kind is LookKind.LOST and otherwise.kind is LookKind.UNCLEAR):
        return otherwise
    error = "its state is not documented" if entry.kind is LookKind.UNCLEAR else None
    return Look(kind=entry.kind, provider_number_id=entry.provider_number_id, error=error)


def _mentioned(entry: Entry) -> Look:
    return Look(kind=LookKind.UNCLEAR, error=f"it is named by the entry of {entry.number or 'what is no number'}")


def _failed(code: str, error: str) -> ProviderError:
    return ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error_code=code, error=error))
