"""What is marked: committed intents, as they stand in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import chain


class Replaced(Exception):
    """What is to be marked was committed on a server of the database that another has replaced: no mark, no call."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One committed intent: a purchase's attempt by its key, its number, and its times by the database's clock.

    `release_id` is the release whose attempt it is, at that one's revision, where the number is given back: such marks
    have a list of their own, for older programs know only calls to buy. `pool` is the pool that it is for, where that
    was asked for, and `reference` our name of the call, where it has one: they stand beside the marks, which older
    programs read.
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


def since_of(found: Mapping[str, Sequence[bytes | str]]) -> Since:
    """What lists say that were read since a mark, the newest first, by list."""
    return Since(
        marks=marks_of(found.values()), until={key: text_of(marks[0]) for key, marks in found.items() if marks}
    )


def marks_of(lists: Iterable[Iterable[bytes | str]]) -> list[Mark]:
    """The marks of several lists, in the order of their times, or of the one that there is, as they stand."""
    found = [list(dict.fromkeys(map(text_of, one))) for one in lists]
    marks = [_parsed(text) for text in dict.fromkeys(chain.from_iterable(found))]
    return marks if sum(map(bool, found)) < 2 else sorted(marks, key=lambda mark: mark.started_at, reverse=True)


@lru_cache(4096)
def _parsed(text: str) -> Mark:
    """Kept: the newest are read again and again."""
    return Mark.parse(text)


def text_of(said: bytes | str) -> str:
    """What Redis said, whichever way its client reads."""
    return said.decode() if isinstance(said, bytes) else said
