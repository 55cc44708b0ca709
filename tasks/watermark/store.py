"""The watermark: which calls were committed last, kept outside the database, which can go back in time.

A restored backup, or a replica that lagged and was promoted, does not know the newest purchases, and would buy their
numbers again; and what was given back since it takes for ours. So each committed intent is marked in Redis *before its
call goes out* (commit, mark, call): what was called for is marked, whatever dies; what was rolled back is not, and
raises no alarm. An intent that was committed and not marked was not called for. One write marks all that a group commit
wrote for an account.

A mark names its attempt, and the database is behind where that attempt is not in it: no clock and no order is compared.
Attempts are deleted long after their purchase ended, and all of it at once, which the database can tell. Marks stand in
the order in which they were written, which is nearly that of their commits: what was committed before a mark and marked
after it was under way meanwhile. A database that went back lost what was committed last, so if anything marked is lost,
one of the newest marks is, among as many as the account has calls under way. That is why not the newest alone is looked
at. What a server that was replaced marks late may have many newer ones before it: so all that was marked since the last
look is looked at too.

An account that is written anew has marks under each of its names, and answers for all of them under each: a file may
go back in time with its database. So its names stand in both, and Redis is told them again before each look.

Who has committed on a server that was replaced meanwhile marks too late for whoever looked at the new one. So the
server that was looked at last stands in Redis as well, written down before the marks are read, and nobody marks what
was committed on another.

Redis emptied, or itself back in time, forgets marks and raises no alarm. Both back in time at once cannot be told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from tasks.redis_keys import named

KEPT = 20_000
"""Marks of each account, the newest; about 140 bytes each. No fewer than twice the most calls that a policy allows."""

# The marks first, ARGV[1] of them, then ARGV[2] times whose pools they are for, then our names of their calls, which
# the server ARGV[3] has committed.
_WRITE = f"""
local met = redis.call('GET', KEYS[2])
if ARGV[3] ~= '' and met and met ~= ARGV[3] then return -1 end
local function keep(key, first, last)
  if first > last then return 0 end
  local length = redis.call('LPUSH', key, unpack(ARGV, first, last))
  redis.call('LTRIM', key, 0, {KEPT - 1})
  return length
end
local marks, pools = 3 + ARGV[1], 3 + ARGV[1] + ARGV[2]
keep(KEYS[1] .. ':pools', marks + 1, pools)
keep(KEYS[1] .. ':references', pools + 1, #ARGV)
return keep(KEYS[1], 4, marks)
"""

# What was marked since a mark that is known; all where it is not there.
_SINCE = """
local place = redis.call('LPOS', KEYS[1], ARGV[1])
if place == 0 then return {} end
return redis.call('LRANGE', KEYS[1], 0, (place or 0) - 1)
"""

_LINK = """
redis.call('SADD', KEYS[1] .. ':names', ARGV[1] .. KEYS[2])
redis.call('SADD', KEYS[2] .. ':names', ARGV[1] .. KEYS[1])
"""
_SAME, _MAYBE = "=", "?"

# Which accounts have any mark, or another name that may have.
_MARKED = """
local found = {}
for place, key in ipairs(KEYS) do
  if redis.call('EXISTS', key, key .. ':releases', key .. ':names') > 0 then found[#found + 1] = place end
end
return found
"""

# The lists of an account, under all of its names.
_NAMES = f"""
local others, seen, found, place = {{}}, {{[KEYS[1]] = true}}, {{KEYS[1]}}, 1
for _, key in ipairs(ARGV) do others[key] = true end
while found[place] do
  for _, link in ipairs(redis.call('SMEMBERS', found[place] .. ':names')) do
    local how, key = string.sub(link, 1, 1), string.sub(link, 2)
    if not seen[key] and (how == '{_SAME}' or not others[key]) then
      seen[key] = true
      found[#found + 1] = key
    end
  end
  place = place + 1
end
return found
"""


class Replaced(Exception):
    """What is to be marked was committed on a server of the database that another has replaced: no mark, no call."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One committed intent: a purchase's attempt by its key, its number, and its times by the database's clock.

    `release_id` is the release whose attempt it is, at that one's revision, where the number is given back: such marks
    have a list of their own, for older programs know only calls to buy. `pool` is the pool that it is for, where that
    was asked for, and `reference` our name of the call, where it is that of another purchase's (a batch has one): they
    stand beside the marks, which older programs read.
    """

    purchase_id: str
    revision: int
    number: str
    started_at: datetime
    deadline: datetime
    release_id: str | None = None
    pool: str | None = field(default=None, compare=False)
    reference: str | None = field(default=None, compare=False)

    @property
    def caller(self) -> str:
        """The id of what has the attempt: the release, or the purchase."""
        return self.release_id or self.purchase_id

    @property
    def text(self) -> str:
        """How it stands in Redis."""
        times = f"{self.started_at.isoformat()} {self.deadline.isoformat()}"
        released = f" {self.release_id}" if self.release_id else ""
        return f"{self.purchase_id} {self.revision} {self.number} {times}{released}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Raises ValueError for what is no mark."""
        purchase_id, revision, number, started_at, deadline, *released = text.split(" ")
        return cls(
            purchase_id=purchase_id,
            revision=int(revision),
            number=number,
            started_at=datetime.fromisoformat(started_at),
            deadline=datetime.fromisoformat(deadline),
            release_id=next(iter(released), None),
        )


@dataclass(frozen=True, kw_only=True)
class Newest:
    """The newest marks of an account, read after the database's *server* was written down: "" where it has no name."""

    marks: Sequence[Mark]
    server: str = ""


@dataclass(frozen=True, kw_only=True)
class Since:
    """What was marked since the last look, and how far that is, by list."""

    marks: list[Mark]
    until: Mapping[str, str]


class Watermark:
    """The marks in Redis. Every method raises redis.RedisError while Redis is away: no mark, no call.

    *others* are the further accounts of the file: they have their own marks, unless a person said that they are one.
    """

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._server = named(redis, "dialstock:watermark:server")
        self._script = redis.register_script(_WRITE)
        self._since = redis.register_script(_SINCE)
        self._link = redis.register_script(_LINK)
        self._names = redis.register_script(_NAMES)
        self._marked = redis.register_script(_MARKED)
        self._known: dict[str, str] = {}
        self._links: Sequence[tuple[str, str, bool]] = ()

    def meet(self, server: str) -> None:
        """Write down that *server* of the database is the present one, before any marks are read for it."""
        if server:
            self._redis.set(self._server, server)

    def write(self, account: str, marks: Iterable[Mark], server: str = "") -> None:
        """Keep these marks of *account*, the newest last; its names too, where Redis has been emptied.

        Raises Replaced where they were committed on another *server* than was met last.
        """
        kept = [*marks]
        pools = [f"{mark.purchase_id} {mark.pool}" for mark in kept if mark.pool]
        references = [f"{mark.purchase_id} {mark.revision} {mark.reference}" for mark in kept if mark.reference]
        self._write(self._key(account), server, [mark.text for mark in kept], pools, references)

    def write_release(self, account: str, mark: Mark, server: str = "") -> None:
        """Keep the mark of a call that gives a number of *account* back. Raises Replaced."""
        self._write(_releases(self._key(account)), server, [mark.text])

    def _write(
        self, key: str, server: str, texts: Sequence[str], pools: Sequence[str] = (), references: Sequence[str] = ()
    ) -> None:
        said = [len(texts), len(pools), server, *texts, *pools, *references]
        length = self._script(keys=[key, self._server], args=said)
        if length < 0:
            raise Replaced
        if length == len(texts):
            self.relink(self._links)

    def newest(self, account: str, count: int = KEPT, others: Iterable[str] = ()) -> list[Mark]:
        """At most *count* marks of each kind of *account* under each of its names, the newest first."""
        return _marks([self._redis.lrange(key, 0, count - 1) for key in self._lists(account, others)])

    def pools(self, account: str, others: Iterable[str] = ()) -> dict[str, str]:
        """Which pools the marked calls of *account* were for, by purchase."""
        return dict(said.split(" ") for said in self._beside("pools", account, others))

    def references(self, account: str, others: Iterable[str] = ()) -> dict[tuple[str, int], str]:
        """Our names of the marked calls of *account* that are another purchase's, by purchase and revision."""
        found = (said.split(" ") for said in self._beside("references", account, others))
        return {(purchase_id, int(revision)): reference for purchase_id, revision, reference in found}

    def _beside(self, what: str, account: str, others: Iterable[str]) -> Iterator[str]:
        lists = (self._redis.lrange(f"{key}:{what}", 0, -1) for key in self._lists(account, others))
        return map(_text, chain.from_iterable(lists))

    def since_known(self, account: str, others: Iterable[str] = ()) -> Since:
        """The marks of *account* since those that `known` was told of; all, in a process that has not looked yet."""
        found = {key: self._since(keys=[key], args=[self._known.get(key, "")]) for key in self._lists(account, others)}
        return _since(found)

    def marked(self, accounts: Iterable[str]) -> list[str]:
        """Those of *accounts* that have marks, or another name: of no other there is anything to look up."""
        every = [*accounts]
        return [every[place - 1] for place in self._marked(keys=[self._key(one) for one in every])] if every else []

    def looks(self, counts: Mapping[str, int]) -> dict[str, tuple[list[Mark], Since]]:
        """What `newest` and `since_known` say of many accounts in one round trip; nothing of those with other names.

        *counts* says for each how many of the newest.
        """
        keys = {account: self._key(account) for account in counts}
        with self._redis.pipeline(transaction=False) as pipe:
            for account, key in keys.items():
                pipe.exists(f"{key}:names")
                for one in (key, _releases(key)):
                    pipe.lrange(one, 0, counts[account] - 1)
                    self._since(keys=[one], args=[self._known.get(one, "")], client=pipe)
            told = iter(pipe.execute())
        found = {}
        for account, (others, *lists) in zip(counts, zip(*[told] * 5, strict=True), strict=True):
            if not others:
                since = dict(zip((keys[account], _releases(keys[account])), lists[1::2], strict=True))
                found[account] = _marks(lists[::2]), _since(since)
        return found

    def known(self, since: Since) -> None:
        """Remember, in this process, that the database knows all of these."""
        self._known.update(since.until)

    def link(self, former: str, account: str, *, same: bool) -> None:
        """Have both names answer for the marks of each other.

        *same*: a person said so. Else they may be one, and are not where the file has both.
        """
        self._link(keys=[self._key(former), self._key(account)], args=[_SAME if same else _MAYBE])

    def relink(self, links: Sequence[tuple[str, str, bool]]) -> None:
        """Have Redis know all these names: the former, the present, and whether they are the same. It may have been
        emptied, and is again: what is marked then is told these too.
        """
        self._links = links
        for former, account, same in links:
            self.link(former, account, same=same)

    def _lists(self, account: str, others: Iterable[str]) -> list[str]:
        key = self._key(account)
        # Of a thousand others, only where there is another name.
        linked = self._redis.exists(f"{key}:names")
        found = self._names(keys=[key], args=[self._key(one) for one in others]) if linked else [key]
        return [one for key in map(_text, found) for one in (key, _releases(key))]

    def _key(self, account: str) -> str:
        return named(self._redis, _name(account))


@cache
def _name(account: str) -> str:
    return f"dialstock:watermark:{hashlib.sha256(account.encode()).hexdigest()[:16]}"


def _releases(key: str) -> str:
    return f"{key}:releases"


def _since(found: Mapping[str, Sequence[bytes | str]]) -> Since:
    return Since(marks=_marks(found.values()), until={key: _text(marks[0]) for key, marks in found.items() if marks})


def _marks(lists: Iterable[Iterable[bytes | str]]) -> list[Mark]:
    """The marks of several lists, in the order of their times, or of the one that there is, as they stand."""
    found = [list(dict.fromkeys(map(_text, one))) for one in lists]
    marks = [Mark.parse(text) for text in dict.fromkeys(chain.from_iterable(found))]
    return marks if sum(map(bool, found)) < 2 else sorted(marks, key=lambda mark: mark.started_at, reverse=True)


def _text(said: bytes | str) -> str:
    return said.decode() if isinstance(said, bytes) else said
