"""More faults of our own: each takes back what keeps a number from being bought twice, or lost."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import tasks.audit.compare
import tasks.ledger.calls.looks
import tasks.ledger.calls.outcomes
import tasks.ledger.queue.requeue
import tasks.lifecycle.claim
import tasks.lifecycle.record
import tasks.providers.reading.lookups
import tasks.providers.transport.session
import workers.database.clock
from schemas.outcomes import Look, LookKind
from schemas.status import DEAD
from tasks.policies.watched_time import Watch
from tasks.providers.fluents.adapter import Fluents
from tasks.providers.reading.list_page import Listing
from tasks.providers.transport.freshness import Dates
from tasks.restored_database import detect, go_on
from tasks.runtime import Runtime, utc_now
from tasks.watermark import Watermark


def any_404_is_absent() -> AbstractContextManager[Any]:
    """A 404 to a look says that the number is not ours, whoever answers it."""
    careful = Fluents._get

    def get(self: Any, number: str, known: str | None) -> Look | None:
        found = careful(self, number, known)
        return Look(kind=LookKind.ABSENT) if found is None else found

    return patch.object(Fluents, "_get", get)


def entry_passed_over() -> AbstractContextManager[Any]:
    """An entry of a list that cannot be read is passed over."""
    return patch.object(Listing, "_unread", lambda *_: None)


def words_beside_ignored() -> AbstractContextManager[Any]:
    """What stands beside a list is not read: neither errors nor what is missing there."""
    return patch.object(Listing, "_wrong", lambda *_: iter(()))


def old_answer_believed() -> AbstractContextManager[Any]:
    """What a cache has kept is taken for an answer of now."""
    stack = ExitStack()
    stack.enter_context(patch.object(tasks.providers.transport.session, "kept", lambda _: None))
    stack.enter_context(patch.object(Dates, "kept", lambda *_: None))
    return stack


def list_read_once() -> AbstractContextManager[Any]:
    """A list of several pages is read once: what moves meanwhile to a page that was read is shown by none."""
    return patch.object(tasks.providers.reading.lookups, "walk_twice", tasks.providers.reading.lookups.walk)


def clock_believed() -> AbstractContextManager[Any]:
    """Looks go by the database's clock alone, whoever sets it."""
    return patch.object(Runtime, "watched", lambda self: Watch(now=self.now()))


def own_clock_believed() -> AbstractContextManager[Any]:
    """Each worker goes by its own machine's clock."""
    return patch.object(workers.database.clock, "_time_of", lambda _: utc_now())


def late_yes_dropped() -> AbstractContextManager[Any]:
    """Evidence for a purchase that has ended changes nothing."""
    careful = tasks.ledger.calls.outcomes.take_evidence

    def take(conn: Any, row: Any, *rest: Any) -> Any:
        return None if row["status"] in DEAD else careful(conn, row, *rest)

    stack = ExitStack()
    for module in (tasks.ledger.calls.outcomes, tasks.ledger.calls.looks):
        stack.enter_context(patch.object(module, "take_evidence", take))
    return stack


def answer_written_once() -> AbstractContextManager[Any]:
    """What a call came to is written if the database takes it at once."""
    return patch.object(tasks.lifecycle.record, "until_written", lambda _database, action, _holds: action())


def lost_order_not_asked() -> AbstractContextManager[Any]:
    """After a restore a list alone says what is not ours: an order that is pending stands in none."""
    careful = tasks.audit.compare._known

    def known(*given: Any) -> Any:
        return {number: replace(one, references=()) for number, one in careful(*given).items()}

    return patch.object(tasks.audit.compare, "_known", known)


def lost_name_not_marked() -> AbstractContextManager[Any]:
    """Our name of a call is kept in the database alone, which may lose it."""
    careful = tasks.lifecycle.claim._mark
    return patch.object(tasks.lifecycle.claim, "_mark", lambda claimed: replace(careful(claimed), reference=None))


def late_mark_accepted() -> AbstractContextManager[Any]:
    """What a server committed that another has replaced is marked, after others looked at the marks for that one."""
    careful = Watermark._write

    def write(self: Watermark, key: str, _server: str, *marks: Any) -> None:
        careful(self, key, "", *marks)

    return patch.object(Watermark, "_write", write)


def pause_alone_believed() -> AbstractContextManager[Any]:
    """An account goes on in a copy that has its pause, whether or not what an audit took in stands there."""
    return patch.object(go_on, "taken_in", lambda *_, **__: True)


def standing_pause_believed() -> AbstractContextManager[Any]:
    """An account that stands as stopped in a copy is taken for one whose lost calls are known."""
    stack = ExitStack()
    for module in (detect, go_on):
        stack.enter_context(patch.object(module, "unknown_to", lambda pauses, _calls: not [*pauses]))
    return stack


def kept_after_it_went_on() -> AbstractContextManager[Any]:
    """An audit keeps what is on its way back though another has let the account go on since."""
    careful = detect.keep_all

    def keep(*given: Any, even_under_way: bool = False, **_: Any) -> Any:
        return careful(*given, even_under_way=even_under_way)

    return patch.object(detect, "keep_all", keep)


def released_before_it_was_known() -> AbstractContextManager[Any]:
    """What was released before a restore was noticed is called for, whatever limits count by then."""
    return patch.object(tasks.ledger.queue.requeue, "take_back_limited", lambda *_: 0)


MUTANTS_OF_MONEY = (
    pause_alone_believed,
    standing_pause_believed,
    released_before_it_was_known,
    kept_after_it_went_on,
    late_mark_accepted,
    lost_name_not_marked,
    lost_order_not_asked,
    any_404_is_absent,
    entry_passed_over,
    words_beside_ignored,
    old_answer_believed,
    list_read_once,
    clock_believed,
    own_clock_believed,
    late_yes_dropped,
    answer_written_once,
)
