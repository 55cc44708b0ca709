"""The marks in Redis, and what is asked of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, takewhile
from typing import Any

from tasks.redis_keys import named
from tasks.watermark.marks import Mark, Replaced, Since, marks_of, since_of, text_of

KEPT = 20_000
"""Marks of each account, the newest; about 140 bytes each, and 90 more where calls have names of ours.

No fewer than twice the most calls that a policy allows.
"""

# KEYS[1] the server that was met, then a list for each account. ARGV[1] the server that has committed; then for each
# list how many marks, whose pools they are for, and our names of their calls, and these.
_WRITE = f"""
local met = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' and met and met ~= ARGV[1] then return {{}} end
local place, lengths = 2, {{}}
local function keep(key, count)
  local first = place
  place = place + count
  if place == first then return 0 end
  local length = redis.call('LPUSH', key, unpack(ARGV, first, place - 1))
  redis.call('LTRIM', key, 0, {KEPT - 1})
  return length
end
for list = 2, #KEYS do
  local marks, pools, references = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  place = place + 3
  lengths[list - 1] = keep(KEYS[list], marks)
  keep(KEYS[list] .. ':pools', pools)
  keep(KEYS[list] .. ':references', references)
end
return lengths
"""

# What was marked since a mark that is known; all where it is not there.
_SINCE = """
local place = redis.call('LPOS', KEYS[1], ARGV[1])
if place == 0 then return {} end
return redis.call('LRANGE', KEYS[1], 0, (place or 0) - 1)
"""

# Whether an account has another name, then of each kind the newest marks, and all that came since one that is known.
_LOOK = """
local function list(name, known)
  local place = redis.call('LPOS', name, known)
  return redis.call('LRANGE', name, 0, place and math.max(place, ARGV[1]) - 1 or -1)
end
return {redis.call('EXISTS', KEYS[1] .. ':names'), list(KEYS[1], ARGV[2]), list(KEYS[1] .. ':releases', ARGV[3])}
"""

_LINK = """
redis.call('SADD', KEYS[1] .. ':names', ARGV[1] .. KEYS[2])
redis.call('SADD', KEYS[2] .. ':names', ARGV[1] .. KEYS[1])
"""
_SAME, _MAYBE = "=", "?"

_Said = tuple[list[str], list[str], list[str]]
"""Marks, whose pools they are for, and our names of their calls, as they stand in Redis."""

# Which accounts have any mark, or another name that may have.
_MARKED = """
local found = {}
for place, key in ipairs(KEYS) do
  if redis.call('EXISTS', key, key .. ':releases', key .. ':names') > 0 then found[#found + 1] = place end
end
return found
"""

# Which accounts have another last mark than the one that is known, of either kind, or another name that may have.
_CHANGED = """
local found = {}
local function is_last(list, mark) return (redis.call('LRANGE', list, 0, 0)[1] or '') == mark end
for place, key in ipairs(KEYS) do
  local same = is_last(key, ARGV[2 * place - 1]) and is_last(key .. ':releases', ARGV[2 * place])
  if not same or redis.call('EXISTS', key .. ':names') > 0 then found[#found + 1] = place end
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
        self._look = redis.register_script(_LOOK)
        self._changed = redis.register_script(_CHANGED)
        self._known: dict[str, str] = {}
        self._links: Sequence[tuple[str, str, bool]] = ()

    def meet(self, server: str) -> None:
        """Write down that *server* of the database is the present one, before any marks are read for it."""
        if server:
            self._redis.set(self._server, server)

    def write(self, marks: Mapping[str, Sequence[Mark]], server: str = "") -> None:
        """Keep these marks of each account, the newest last, in one round trip; its names too, where Redis has been
        emptied.

        Raises Replaced where they were committed on another *server* than was met last.
        """
        self._write({self._key(account): _said(its) for account, its in marks.items()}, server)

    def write_release(self, account: str, mark: Mark, server: str = "") -> None:
        """Keep the mark of a call that gives a number of *account* back. Raises Replaced."""
        self._write({_releases(self._key(account)): ([mark.text], [], [])}, server)

    def _write(self, said: Mapping[str, _Said], server: str) -> None:
        args = [one for lists in said.values() for one in chain(map(len, lists), *lists)]
        lengths = self._script(keys=[self._server, *said], args=[server, *args])
        if len(lengths) < len(said):
            raise Replaced
        if any(length == len(texts) for length, (texts, *_) in zip(lengths, said.values(), strict=True)):
            self.relink(self._links)

    def newest(self, account: str, count: int = KEPT, others: Iterable[str] = ()) -> list[Mark]:
        """At most *count* marks of each kind of *account* under each of its names, the newest first."""
        found = self.newest_of({account: count})
        if account in found:
            return found[account]
        return marks_of([self._redis.lrange(one, 0, count - 1) for one in self._lists(account, others)])

    def newest_of(self, counts: Mapping[str, int]) -> dict[str, list[Mark]]:
        """The same of many accounts in one round trip; nothing of those with other names. *counts* says how many."""
        with self._redis.pipeline(transaction=False) as pipe:
            for account, count in counts.items():
                key = self._key(account)
                pipe.exists(f"{key}:names")
                for one in (key, _releases(key)):
                    pipe.lrange(one, 0, count - 1)
            told = iter(pipe.execute())
        by_account = zip(counts, zip(*[told] * 3, strict=True), strict=True)
        return {account: marks_of(lists) for account, (others, *lists) in by_account if not others}

    def pools(self, account: str, others: Iterable[str] = ()) -> dict[str, str]:
        """Which pools the marked calls of *account* were for, by purchase."""
        return dict(said.split(" ") for said in self._beside("pools", account, others))

    def references(self, account: str, others: Iterable[str] = ()) -> dict[tuple[str, int], list[str]]:
        """Our names of the marked calls of *account*, by purchase and revision: after a restore those of several."""
        found: dict[tuple[str, int], list[str]] = {}
        for said in dict.fromkeys(self._beside("references", account, others)):
            purchase_id, revision, reference = said.split(" ")
            found.setdefault((purchase_id, int(revision)), []).append(reference)
        return found

    def _beside(self, what: str, account: str, others: Iterable[str]) -> Iterator[str]:
        lists = (self._redis.lrange(f"{key}:{what}", 0, -1) for key in self._lists(account, others))
        return map(text_of, chain.from_iterable(lists))

    def since_known(self, account: str, others: Iterable[str] = ()) -> Since:
        """The marks of *account* since those that `known` was told of; all, in a process that has not looked yet."""
        found = {key: self._since(keys=[key], args=[self._known.get(key, "")]) for key in self._lists(account, others)}
        return since_of(found)

    def marked(self, accounts: Iterable[str]) -> list[str]:
        """Those of *accounts* that have marks, or another name: of no other there is anything to look up."""
        every = [*accounts]
        return [every[place - 1] for place in self._marked(keys=[self._key(one) for one in every])] if every else []

    def unchanged(self, accounts: Iterable[str]) -> dict[str, list[Mark]]:
        """Those of *accounts* of which nothing was marked since `known` was told, and the last mark of each kind.

        None that has another name. In one round trip.
        """
        every = {account: self._key(account) for account in accounts}
        last = {one: [self._known.get(key, ""), self._known.get(_releases(key), "")] for one, key in every.items()}
        places = self._changed(keys=[*every.values()], args=[*chain(*last.values())]) if every else []
        changed = set(places)
        return {one: marks_of([[*filter(None, last[one])]]) for at, one in enumerate(every, 1) if at not in changed}

    def looks(self, counts: Mapping[str, int]) -> dict[str, tuple[list[Mark], Since]]:
        """What `newest` and `since_known` say of many accounts in one round trip; nothing of those with other names.

        *counts* says for each how many of the newest.
        """
        lists = {one: (key, _releases(key)) for one, key in ((account, self._key(account)) for account in counts)}
        with self._redis.pipeline(transaction=False) as pipe:
            for account, (key, releases) in lists.items():
                known = (self._known.get(one, "") for one in (key, releases))
                self._look(keys=[key], args=[counts[account], *known], client=pipe)
            told = pipe.execute()
        return {
            account: (
                marks_of(one[: counts[account]] for one in found),
                self._since_in(dict(zip(names, found, strict=True))),
            )
            for (account, names), (others, *found) in zip(lists.items(), told, strict=True)
            if not others
        }

    def _since_in(self, found: Mapping[str, Sequence[bytes | str]]) -> Since:
        """What stands before the known mark in each list."""
        texts = {key: [text_of(one) for one in its] for key, its in found.items()}
        return since_of({key: [*takewhile(self._known.get(key, "").__ne__, its)] for key, its in texts.items()})

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
        return [one for key in map(text_of, found) for one in (key, _releases(key))]

    def _key(self, account: str) -> str:
        return named(self._redis, _name(account))


def _said(marks: Sequence[Mark]) -> _Said:
    pools = [f"{mark.purchase_id} {mark.pool}" for mark in marks if mark.pool]
    references = [f"{mark.purchase_id} {mark.revision} {mark.reference}" for mark in marks if mark.reference]
    return [mark.text for mark in marks], pools, references


@cache
def _name(account: str) -> str:
    return f"dialstock:watermark:{hashlib.sha256(account.encode()).hexdigest()[:16]}"


def _releases(key: str) -> str:
    return f"{key}:releases"
