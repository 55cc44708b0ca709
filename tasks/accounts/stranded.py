"""What stands where it does not belong: the one rule by which no worker starts, and by which `doctor` tells of it.

Purchases follow their account, never the alias that they were bought under. An account that the file has, under
whichever alias, is never bought for twice: one number of it is alive once. One that was used and that the file has no
more may be one of the file, written in another way, and would be bought for again: while purchases of it are alive, a
person says which it is. What was said is remembered: an account that was left is not asked for again, unless it comes
back by a name that its kind says is the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from sqlalchemy import Connection

from schemas.config.file import Config
from schemas.config.provider import is_tried_out, kind_in
from tasks.ledger import accounts
from tasks.ledger.accounts import Home, Stranded
from tasks.providers.registry import tells_apart

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

APART = "the sandbox and a real account share no purchases"
_OTHER_HOME = "another DIALSTOCK_HOME or DATABASE_URL"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why no worker starts for *stray*, and what a person can do about it."""

    stray: Stranded
    what: str
    mend: str


@dataclass(frozen=True, kw_only=True)
class File:
    """Who each alias of the file is, and who aliases are remembered to have been, of the file or not.

    *left*: the accounts that were left, and who each was by its kind alone.
    """

    homes: Mapping[str, Home]
    known: Mapping[str, Home]
    left: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The accounts of the file, in every spelling, and the first alias of each."""
        return {
            account: alias for alias, home in sorted(self.homes.items(), reverse=True) for account in home.spellings
        }

    @cached_property
    def changed(self) -> list[Home]:
        """The aliases that are not known as what they are, in order."""
        return [home for alias, home in sorted(self.homes.items()) if self.known.get(alias) != home]

    @cached_property
    def gone(self) -> dict[str, Home]:
        """The accounts that were used, and that the file has no more."""
        return {one.account: one for _, one in sorted(self.known.items()) if one.account not in self.aliases}

    @cached_property
    def returned(self) -> list[str]:
        """The accounts that were left, and that the file has again by another name: the kind itself says so."""
        return sorted(one for one in self.left if one not in self.aliases and self._by_kind(one))

    @cached_property
    def ended(self) -> frozenset[str]:
        """The accounts that were left, and are: nobody is asked for them."""
        return frozenset(self.left) - {*self.aliases, *self.returned, *self.gone}

    def heirs(self, account: str) -> list[Home]:
        """Who of the file may be an account that it has no more: also whoever was it, by another `account_id` now.

        One that was left is whom its kind says, and nobody else.
        """
        if account in self.left and account in self.returned:
            return self._by_kind(account)
        gone = self.gone.get(account)
        if gone is None:
            return []
        was = [alias for alias in self._known_as[account] if self.may_be_written_anew(alias, account)]
        found = {home.provider: home for home in (*self._may_be(gone), *(self.homes[alias] for alias in was))}
        return [home for _, home in sorted(found.items())]

    def _may_be(self, gone: Home) -> list[Home]:
        """Those of whom `_may_be_one` is true, each found by what decides it: of thousands not one by one."""
        kind = kind_in(gone.account)
        same = self._by_own.get((kind, gone.own), []) if gone.own is not None else []
        if gone.own is not None and tells_apart(gone.account):
            return same
        some = [homes for (of, *_), homes in self._alike.items() if of == kind and _untold(gone, homes[0])]
        return [*same, *chain(*some)]

    @cached_property
    def _by_own(self) -> dict[tuple[str, str | None], list[Home]]:
        return _grouped(self._sorted, lambda home: (kind_in(home.account), home.own))

    @cached_property
    def _alike(self) -> dict[tuple[str, bool, bool], list[Home]]:
        return _grouped(self._sorted, _look)

    @cached_property
    def _spelled(self) -> dict[str, list[Home]]:
        pairs = [(account, home) for home in self._sorted for account in home.spellings]
        return {account: [home for _, home in some] for account, some in _grouped(pairs, itemgetter(0)).items()}

    @cached_property
    def _known_as(self) -> dict[str, list[str]]:
        return _grouped(self.known, lambda alias: self.known[alias].account)

    @cached_property
    def _sorted(self) -> list[Home]:
        return [home for _, home in sorted(self.homes.items())]

    @cached_property
    def passed_on(self) -> dict[str, list[str]]:
        """The aliases that are another account than they are remembered as, or are to be forgotten, and who may be it.

        A former name that is remembered as an account of the file is read with that, and passes nothing on.
        """
        return {
            alias: [one.provider for one in self._are(was.account)]
            for alias, was in self.known.items()
            if (self.homes[alias].account != was.account if alias in self.homes else was.account in self.gone)
        }

    def _are(self, account: str) -> list[Home]:
        return self._spelled.get(account) or self.heirs(account)

    def _by_kind(self, account: str) -> list[Home]:
        own = self.left[account]
        return [] if own is None else self._owning.get(own, [])

    @cached_property
    def _owning(self) -> dict[str | None, list[Home]]:
        return _grouped(self._sorted, lambda home: home.own)

    def may_be_written_anew(self, alias: str, account: str) -> bool:
        """Whether an alias may be an account by another name: of one kind, and never two aliases at one time."""
        home = self.homes.get(alias)
        if home is None or kind_in(home.account) != kind_in(account):
            return False
        return account not in self.gone or home.account not in self._known_as

    def movable(self, source: str, account: str, target: str) -> bool:
        """Whether what *source* has of an account that the file has no more may go on under another alias.

        Of an alias that the file has only what nothing tells apart from the other; of one that is gone, what it was.
        What was left goes to whom its kind says it is, wherever it stands.
        """
        if source in self.homes or account in self.returned:
            return any(heir.provider == target for heir in self.heirs(account))
        return account in self.gone or source not in self.known


def _look(home: Home) -> tuple[str, bool, bool]:
    """What of an account of the file decides `_untold`."""
    return kind_in(home.account), home.own is None, _named(home, home.own)


def _grouped(every: Iterable[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for one in every:
        found.setdefault(by(one), []).append(one)
    return found


def homes_in(config: Config) -> dict[str, Home]:
    """Who each alias of a configuration is."""
    return {
        alias: Home(provider=alias, account=one.account, own=one.own_account, former=one.former_account)
        for alias, one in config.providers.items()
    }


def read_file(conn: Connection, homes: Mapping[str, Home]) -> File:
    """The file, beside what is remembered."""
    return File(homes=homes, known=accounts.remembered(conn), left=accounts.left(conn))


def waiting(conn: Connection, file: File) -> list[Stranded]:
    """What waits under an alias that the file does not have, or that is another account now."""
    configured = {alias: home.account for alias, home in file.homes.items()}
    return accounts.mark_crowded(conn, accounts.stranded(conn, configured), file.aliases)


def refusals(conn: Connection, file: File) -> list[Refusal]:
    """Why no worker starts: first what the file itself says how to mend."""
    changed = {home.provider for home in file.changed}
    astray = accounts.alive_astray(conn, file.changed, [*file.gone, *file.returned], file.ended)
    found = [
        (one.account not in file.aliases, Refusal(stray=one, what=what, mend=mend(one, file)))
        for one in accounts.mark_crowded(conn, astray, file.aliases)
        if (what := _why(one, file, changed=one.provider in changed))
    ]
    return [refusal for _, refusal in sorted(found, key=lambda one: one[0])]


def mend(one: Stranded, file: File) -> str:
    """What a person can do about purchases under an alias that are not of its account."""
    if one.account in file.aliases:
        there = file.aliases[one.account]
        return f"the file has that account as {there!r}: dialstock provider move {one.provider} {there}"
    return "; ".join(_mends(one, file))


def _why(one: Stranded, file: File, *, changed: bool) -> str | None:
    home = file.homes.get(one.provider)
    heirs = " or ".join(f"[providers.{heir.provider}]" for heir in file.heirs(one.account))
    if one.account in file.returned:
        left = f"{one.account}, which was left with {one.count:,} purchases under {one.provider!r}"
        return f"{heirs} is by its kind the account {left}, and would buy them again"
    if home is not None and changed and one.account not in home.spellings:
        is_now = f"[providers.{one.provider}] is the account {home.account}"
        return f"{is_now}, and {one.count:,} purchases under it are of {one.account}"
    if not heirs:
        return None
    gone = f"{one.account}, which is gone from the file with {one.count:,} purchases under {one.provider!r}"
    return f"{heirs} may be the account {gone}, and would buy them again"


def named(account: str) -> str:
    """How a command is told of one account."""
    return f"--account {shlex.quote(account)}"


def _mends(one: Stranded, file: File) -> Iterator[str]:
    account = f" {named(one.account)}" if one.crowded else ""
    leave = f"dialstock provider leave {one.provider}{account}"
    if one.account in file.ended:
        yield f"that account was left: {leave}"
        return
    heirs = _offered(one, file)
    for alias in heirs:
        yield f"where {alias!r} is that account, written anew: dialstock provider move {one.provider} {alias}{account}"
    if one.account in file.returned:
        yield f"where what it bought is not to count there: {leave}"
        return
    home = file.homes.get(one.provider)
    present = [home] if home is not None else [*file.homes.values()]
    trial = bool(present) and all(is_tried_out(each.account) for each in present)
    if trial and not is_tried_out(one.account):
        yield f"{APART}, so try things out with {_OTHER_HOME}"
        return
    if is_tried_out(one.account) and not trial and not heirs:
        yield f"{APART}: name {_OTHER_HOME}"
    elif home is not None:
        yield "where it is another: give it another alias"
    elif not heirs:
        yield "name it in the file again"
    yield f"where that account is not used any more: {leave}"


def _offered(one: Stranded, file: File) -> list[str]:
    """Who of the file these purchases may be moved to: its own alias first."""
    if one.account in file.returned:
        return [heir.provider for heir in file.heirs(one.account)]
    own = [one.provider] if file.may_be_written_anew(one.provider, one.account) else []
    if one.account in file.gone:
        return own + [heir.provider for heir in file.heirs(one.account) if heir.provider not in own]
    gone = Home(provider=one.provider, account=one.account)
    others = [alias for alias, home in sorted(file.homes.items()) if alias not in own and _may_be_one(gone, home)]
    return own + [alias for alias in others if file.movable(one.provider, one.account, alias)]


def _may_be_one(gone: Home, new: Home) -> bool:
    """Whether nothing tells that two accounts of one kind are two.

    Where the kind itself says who an account is, that does, whatever `account_id` calls them. Where it says no more
    than how the account buys, as a connection does, it can say that two are one; that they are two says only
    the `account_id` of both.
    """
    if kind_in(gone.account) != kind_in(new.account):
        return False
    return (gone.own is not None and gone.own == new.own) or _untold(gone, new)


def _untold(gone: Home, new: Home) -> bool:
    """Whether nothing tells two accounts of one kind apart that are not one by their kind."""
    if tells_apart(new.account):
        return gone.own is None
    return not (_named(gone, new.own) and _named(new, new.own))


def _named(home: Home, own: str | None) -> bool:
    """Whether `account_id` named an account; *own* is what another of its kind says, None where the kind is silent."""
    if own is None:
        return not home.account.partition("|")[2].startswith("@")
    return home.own is not None and home.account != home.own
