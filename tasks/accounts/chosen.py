"""Which accounts a command is for: one that the file does not have, or that it has under another alias."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from schemas.config.errors import ConfigError
from schemas.config.provider import kind_in
from tasks.accounts.stranded import File, mend, named
from tasks.ledger import accounts as ledger
from tasks.ledger.accounts import Home, Stranded


class AccountElsewhere(ConfigError):
    """Purchases are of an account that the file has under another alias."""


class AccountUnclear(ConfigError):
    """Several accounts may be meant and none was named, or one was named that is none of them."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """What stands under an alias: what is alive, and the accounts of that and of all else."""

    alias: str
    alive: Sequence[Stranded]
    accounts: Sequence[str]

    @property
    def living(self) -> list[str]:
        """The accounts of what is alive."""
        return [one.account for one in self.alive]


def read_stand(conn: Connection, alias: str) -> Stand:
    """What stands under an alias now."""
    return Stand(alias=alias, alive=ledger.alive_under(conn, alias), accounts=ledger.accounts_under(conn, alias))


def to_move(file: File, stand: Stand, home: Home, account: str | None) -> tuple[list[str], list[str]]:
    """What goes to *home* by its alias alone, and what is written anew: one account, *account* where a person names it.

    Raises AccountElsewhere and AccountUnclear.
    """
    _refuse_named(file, stand, home, account)
    here = (home.provider, home.account)
    theirs = [one for one in stand.accounts if one in home.spellings and (stand.alias, one) != here]
    if account is not None:
        theirs = [one for one in theirs if one == account]
    if account in home.spellings or (theirs and stand.alias != home.provider):
        return theirs, []
    anew = _written_anew(file, stand, home, account)
    if not (theirs or anew):
        _refuse_elsewhere(stand.alive, file, home)
    return theirs, anew


def to_leave(file: File, stand: Stand, account: str | None) -> list[str]:
    """What is ended with: one account, *account* where a person names it, or none where nothing is there to end.

    One that was left is ended with once more where there is no other, or where it is named. Raises AccountElsewhere and
    AccountUnclear.
    """
    home = file.homes.get(stand.alias)
    former = [] if home is None else [one for one in stand.living if one == home.former]
    _refuse_named(file, stand, home, account)
    gone = [one for one in stand.living if one not in file.aliases]
    fresh = [one for one in gone if one not in file.ended]
    was = [one for one in _was(file, stand) if one not in file.aliases]
    possible = {*gone, *was, *former, *file.gone, *file.returned, *file.ended}
    ended = _one(stand, fresh or was or former or gone, possible, account)
    if account is None and (home is not None or not ended):
        _refuse_elsewhere(stand.alive, file, home)
    return ended


def is_apart(account: str, file: File, home: Home) -> bool:
    """Whether what is alive for an account, and is not left, can never be *home*'s."""
    return account not in file.aliases and account not in file.ended and kind_in(account) != kind_in(home.account)


def _written_anew(file: File, stand: Stand, home: Home, account: str | None) -> list[str]:
    """What the file has no more, of what stands there and of what the alias was, and a person says is *home*."""
    stood = {*stand.accounts, *_was(file, stand)}
    stood |= {account} & {*file.gone, *file.left} if account is not None else set()
    lost = [one for one in sorted(stood) if one not in file.aliases and kind_in(one) == kind_in(home.account)]
    if stand.alias != home.provider:
        lost = [one for one in lost if file.movable(stand.alias, one, home.provider)]
    fresh = [one for one in lost if one not in file.ended]
    living, was = ([one for one in fresh if one in there] for there in (stand.living, _was(file, stand)))
    return _one(stand, living or was or fresh, lost, account)


def _was(file: File, stand: Stand) -> list[str]:
    was = file.known.get(stand.alias)
    return [] if was is None else [was.account]


def _one(stand: Stand, found: Sequence[str], possible: Collection[str], account: str | None) -> list[str]:
    """The one account that is meant: the only one that was found, or one that is possible and was named."""
    if account is None and len(found) <= 1:
        return [*found]
    if account is not None:
        if account in possible:
            return [account]
        raise AccountUnclear(f"nothing under {stand.alias!r} that this could be done with is of {account!r}")
    several = f"purchases under {stand.alias!r} are of several accounts that the file does not have"
    raise AccountUnclear(f"{several}: say which, {' or '.join(named(one) for one in found)}")


def _refuse_named(file: File, stand: Stand, home: Home | None, account: str | None) -> None:
    _refuse_elsewhere([one for one in stand.alive if one.account == account], file, home)


def _refuse_elsewhere(alive: Sequence[Stranded], file: File, home: Home | None) -> None:
    """Raise AccountElsewhere for what is alive and of an account of the file that is not *home*'s."""
    own = () if home is None else home.spellings
    found = [one for one in alive if one.account in file.aliases and one.account not in own]
    if found:
        raise AccountElsewhere("\n".join(_elsewhere(one, file) for one in found))


def _elsewhere(one: Stranded, file: File) -> str:
    what = f"{one.count:,} purchases under {one.provider!r} are of {one.account}"
    here = file.homes.get(one.provider)
    if here is not None and one.account in here.spellings:
        return f"{what}, as the file has it: a number belongs to the account that bought it"
    wrong = f"if that is wrong, first take [providers.{file.aliases[one.account]}] out of the file"
    return f"{what}: {mend(one, file)}; {wrong}, or give it another account_id"
