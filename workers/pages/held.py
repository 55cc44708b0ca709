"""What waits for a person, and the answers that a person can give."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from schemas.outcomes import HISTORY_LOST
from schemas.settling import Verdict
from schemas.status import Status
from tasks.ledger.resolve import Resolution, resolutions_of
from tasks.ledger.rows import Row, find
from tasks.operator.resolve import ResolveError, resolve
from tasks.reports.queries import last_attempts, list_purchases
from tasks.runtime import Runtime
from workers.pages.frame.handler import Change, Page, Refusal, refused
from workers.pages.frame.listing import before, number_of, page_of
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.operator import MAX_NOTE
from workers.views.purchases import describe_each
from workers.views.words import count, moment

ANSWERS = {
    Verdict.BOUGHT: "It is ours at the provider: it ends as purchased.",
    Verdict.RETRY: "It is not ours: it is bought again, and may cost money. (An order that stands is followed.)",
    Verdict.FAIL: "It is not ours, and not wanted any more: it ends as failed.",
}

_SHOWN = ("id", "order_id", "number", "provider", "account", "error_code", "error", "doubt", "version", "updated_at")
_CONDITIONS = ("provider", "account", "error_code")


class Held(Page):
    """All that waits for a person, with the provider's own words and its next step."""

    template = "held"
    tab = "dialstock_held"

    def read(self, desk: Desk, *_: str) -> Document:
        """A page of them; those of a provider, an account, an error code, a number."""
        wanted = {**{name: self.query(name) for name in _CONDITIONS}, "number": number_of(self)}
        equal = {name: value for name, value in wanted.items() if value is not None}
        begin = before(self)
        with desk.runtime.database.read() as conn:
            rows, more = page_of(lambda limit: list_purchases(conn, limit, before=begin, status=Status.HELD, **equal))
            calls = last_attempts(conn, [row["id"] for row in rows])
            steps = describe_each(desk.runtime, conn, rows)
        shown = [
            {**{name: row[name] for name in _SHOWN}, **_last_call(row, calls), "next": step}
            for row, step in zip(rows, steps, strict=True)
        ]
        return {"held": shown, "next": more, "asked": equal, "answers": ANSWERS}


class Settle(Change):
    """One or many settled, all of them or none."""

    def change(self, desk: Desk, *_: str) -> tuple[str, Document]:
        """By the form's `purchase` (an id and a version, with a space between; many), `decision`, `note`."""
        wanted = self._wanted()
        try:
            done = resolve(desk.runtime, wanted, self.who)
        except ResolveError as exc:
            raise _unsettled(desk.runtime, str(exc), exc.problems[0].resolution) from None
        if done.moved and not done.settled:
            raise _unsettled(desk.runtime, "it moved on meanwhile", done.moved[0])
        settled = [{"purchase_id": one.purchase_id, "status": one.status} for one in done.settled]
        document = {"settled": settled, "moved": [one.purchase_id for one in done.moved], "by": self.who}
        moved = f" {count(len(done.moved), 'other')} moved on meanwhile: left as they are." if done.moved else ""
        return f"{count(len(done.settled), 'purchase')} settled by {self.who}.{moved}", document

    def shown_next(self, *_: str) -> str:
        """What else is held."""
        return str(self.reverse_url("dialstock_held"))

    def _wanted(self) -> list[Resolution]:
        decision = self.form("decision")
        if decision not in ANSWERS:
            raise refused(f"decision {decision!r} is not known: it is one of {', '.join(ANSWERS)}")
        note = self.form("note") or None
        if note is not None and not (len(note) <= MAX_NOTE and note.isprintable()):
            raise refused(f"the note must be one line of at most {MAX_NOTE} characters")
        chosen = self.get_body_arguments("purchase")
        if not chosen:
            raise refused("no purchase was chosen: tick those that this answer is for")
        return [_resolution(text, Verdict(decision), note) for text in chosen]


def _last_call(row: Row, calls: Mapping[str, Row]) -> Row:
    """The purchase's last call; none where the database lost that: an earlier one's answer says nothing of it."""
    lost = row["error_code"] == HISTORY_LOST
    return {"last_call": None if lost else calls.get(row["id"]), "last_call_lost": lost}


def _resolution(text: str, verdict: Verdict, note: str | None) -> Resolution:
    """The version is what the purchase was when it was shown: a decision on what has moved on since is refused."""
    identity, _, version = text.partition(" ")
    if not version:
        raise refused(f"purchase {identity[:60]!r} comes without its version: load the page again")
    return Resolution(purchase_id=identity, verdict=verdict, note=note, version=version)


def _unsettled(runtime: Runtime, why: str, one: Resolution) -> Refusal:
    """Why nothing was settled; where somebody else was first, what he did."""
    with runtime.database.read() as conn:
        there = find(conn, one.purchase_id) is not None
        earlier = resolutions_of(conn, one.purchase_id)[-1:]
    did = "".join(f" {_did(last)}" for last in earlier)
    status = HTTPStatus.CONFLICT if there else HTTPStatus.NOT_FOUND
    return Refusal(status, f"nothing was settled: {why}.{did}")


def _did(one: Row) -> str:
    note = f" ({one['note']})" if one["note"] else ""
    return f"{one['by']} settled it as {one['decision']} at {moment(one['at'])}{note}."
