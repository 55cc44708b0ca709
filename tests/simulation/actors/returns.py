"""Numbers that are given back: those who ask for it, by message and by hand, and the judge of what goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from schemas.events import EventType
from schemas.status import Status
from tasks.ledger.releases.asking import Asking
from tasks.lifecycle import give_back
from tasks.messages.public_names import RELEASE_NUMBER
from tasks.providers.registry import kinds
from tasks.providers.signalwire.adapter import SignalWire
from tasks.releases import giving_back
from tasks.releases.stopped_releases import LEFT, WENT_BACK
from tasks.runtime import Message
from tests.simulation.actors.edits import desk, kind_of
from tests.simulation.requests import PATIENCE, PUBLIC, Request
from tests.simulation.scheduler.clockwork import Broken
from tests.simulation.servers.weather import ANOTHER

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARE = 0.6
"""The share of worlds in which numbers are given back, where a provider takes them."""
KEEPS_FOR = (3.0, 9.0)
"""Seconds in the place of SignalWire's days."""

_OURS = "SELECT id, provider, account, number FROM purchase WHERE status = 'purchased' ORDER BY id"
_GOING = "SELECT id, provider, account, number FROM purchase WHERE status = 'releasing' ORDER BY id"
_GONE = "SELECT provider, number FROM purchase WHERE status = 'released' ORDER BY id"
_ANSWERED = "SELECT idempotency_key FROM release_key UNION SELECT idempotency_key FROM number_release"
_OPEN = "SELECT p.number, r.error_code FROM number_release r JOIN purchase p ON p.id = r.purchase_id"
_CALLS = f"""SELECT p.provider, p.account, r.asked_for, p.id,
        (SELECT count(*) FROM purchase_order_line l WHERE l.purchase_id = p.id)
        + (SELECT count(*) FROM purchase_key k WHERE k.purchase_id = p.id) AS asked,
        (SELECT n.taker FROM pool_number n WHERE n.purchase_id = p.id AND n.status = 'taken') AS taker
    FROM purchase p JOIN number_release r ON r.purchase_id = p.id JOIN release_attempt a ON a.release_id = r.id
    WHERE p.number = ? AND p.status = '{Status.RELEASING}' AND r.status = 'open' AND (a.outcome IS NULL OR ?)"""
_UNDER_WAY = """SELECT p.provider, p.account, p.number FROM purchase p JOIN number_release r ON r.purchase_id = p.id
    JOIN release_attempt a ON a.release_id = r.id WHERE a.outcome IS NULL ORDER BY p.id"""
_ASKED = """SELECT r.id, r.by, k.idempotency_key FROM number_release r
    LEFT JOIN release_key k ON k.release_id = r.id ORDER BY r.id"""


def draw(world: World) -> Returns:
    """Who gives back in this world, if anybody."""
    return Returns(world, any(kinds()[kind].releases for kind in world.kinds))


def giver(world: World) -> None:
    """Asks by message for numbers to be given back, until it is answered; and for some of what is gone anew."""
    rng, sent = world.chance("giver"), dict[str, tuple[Message, float]]()
    while True:
        world.clockwork.sleep(rng.choice((0.3, 1.0, 3.0)))
        now, answered = world.clockwork.seconds(), world.returns.answered()
        again = [key for key in sent if key not in answered and now - sent[key][1] > PATIENCE]
        if world.faults.on:
            again += [key for key in sent if rng.random() < 1 / (2 * len(sent))]
            if message := _to_go(world, rng, f"back-{len(sent)}"):
                sent[message.kwargs["idempotency_key"]] = message, now
                again += [message.kwargs["idempotency_key"]]
            _ask_anew(world, rng)
        for key in again:
            sent[key] = sent[key][0], now
            world.broker.post(sent[key][0], key)
        world.returns.waiting = [key for key in sent if key not in answered]


def _to_go(world: World, rng: Any, key: str) -> Message | None:
    """Mostly one that is ours."""
    ours = world.judge.all(_OURS)
    if not ours or key in world.without:
        return None
    row = ours[rng.randrange(len(ours))]
    world.returns.asked.add(key)
    wanted = {"number": row["number"], "provider": row["provider"], "idempotency_key": key}
    return Message(task=RELEASE_NUMBER, queue=PUBLIC, kwargs=wanted)


def _ask_anew(world: World, rng: Any) -> None:
    gone, key = world.judge.all(_GONE), f"again-{len(world.requests)}"
    if not gone or rng.random() < 0.5 or key in world.without:
        return
    row = gone[rng.randrange(len(gone))]
    request = Request(key, [(row["provider"], row["number"])], order=False)
    world.asked.add((kind_of(row["provider"]), row["number"]))
    world.requests.append(request)
    world.broker.post(request.message, request.key)


def ask_back(world: World) -> None:
    """`dialstock release NUMBER`, now and then with --force."""
    row, by = _one(world, _OURS), world.returns.person()
    if row is not None:
        world.clockwork.note(f"a person has {row['number']} given back ({by})")
        force = world.clockwork.rng.random() < 0.5
        giving_back.ask(world.staff.runtime, row["id"], Asking(by=by, force=force))


def call_off(world: World) -> None:
    """`dialstock release --cancel NUMBER`."""
    row = _one(world, _GOING)
    if row is not None:
        world.clockwork.note(f"a person calls the release of {row['id']} off")
        giving_back.call_off(world.staff.runtime, row["id"], "a person")


def by_hand(world: World) -> None:
    """Give a number back at the provider's portal, and say so with `dialstock purchase mark-released`."""
    row = _one(world, _OURS)
    if row is None or row["number"] in world.stocks.taken:
        return
    kind = kind_of(row["provider"])
    world.clockwork.note(f"a person gives {row['number']} back at {kind}'s portal")
    if world.network.give_back(kind, row["account"], row["number"]):
        world.returns.by_hand((desk(kind, row["account"]), row["number"]))
        say_so(world)


def keep(world: World) -> None:
    """`dialstock purchase mark-kept` of what is on its way back, and is ours still by the provider's books.

    Those are true once no request is on its way there.
    """
    row = _one(world, _GOING)
    if row is None or world.network.going or world.network.under_way.total():
        return
    if world.judge.charged[desk(kind_of(row["provider"]), row["account"]), row["number"]]:
        world.clockwork.note(f"a person says that {row['number']} is ours still")
        giving_back.mark_kept(world.staff.runtime, row["id"], "a person", None)


def say_so(world: World) -> None:
    """Tell of each number that was given back by hand, and of which nothing here knows yet."""
    for row in world.judge.all("SELECT * FROM purchase WHERE status IN ('purchased', 'releasing') ORDER BY id"):
        if (desk(kind_of(row["provider"]), row["account"]), row["number"]) in world.returns.lost:
            world.returns.handed.add(row["number"])
            giving_back.mark_released(world.staff.runtime, row["id"], "a person", None)


def say_kept(world: World) -> None:
    """`dialstock purchase mark-kept` of what the provider accepted to let go, and shows as ours still: nothing ends it.

    Its books are true once no call is under way.
    """
    for row in world.judge.all(_ACCEPTED) if not world.network.under_way.total() else ():
        if world.judge.charged[desk(kind_of(row["provider"]), row["account"]), row["number"]]:
            giving_back.mark_kept(world.staff.runtime, row["id"], "a person", None)


def say_gone(world: World) -> None:
    """`dialstock purchase mark-released` of the last number of an account at Vonage, which shows no list then.

    What the README says that nothing else ends; its books are true once no call is under way.
    """
    for row in world.judge.all(_UNREAD) if not world.network.under_way.total() else ():
        shown = world.network.control.ledger.everywhere("vonage")
        if not (shown or world.judge.charged[desk("vonage", row["account"]), row["number"]]):
            giving_back.mark_released(world.staff.runtime, row["id"], "a person", None)


ACTS = (ask_back, ask_back, call_off, by_hand, keep)
"""What a person does about numbers, each as often as it stands here."""


def _one(world: World, query: str) -> Any:
    rows = world.judge.all(query) if world.returns.on else []
    return rows[world.clockwork.rng.randrange(len(rows))] if rows else None


class Returns:
    """The judge of releases. `asked` are keys, and names of people, each of which is good for one release.

    `lost` is what was given back, and the table has as ours: by hand, and nobody has said so yet; by a database that
    went back to before; or by a call that a restore met under way, until somebody noticed. `handed` are the numbers
    that a person ever gave back, or said to be, whoever had taken them.
    """

    def __init__(self, world: World, possible: bool) -> None:
        self._world = world
        # What goes between two pages is told of by a person.
        needed = {"list shows what is gone", ANOTHER} & world.faults.theme.keys()
        always = bool(world.paging.size or needed)
        self.on = (possible and world.chance("returns").random() < SHARE) or always
        self.asked: set[str] = set()
        self.waiting: list[str] = []
        self.lost: set[tuple[str, str]] = set()
        self.handed: set[str] = set()
        self._ever: set[tuple[str, str]] = set()
        self._going: set[tuple[str, str]] = set()
        self._noticed: set[str] = set()
        self._unnoticed: set[tuple[str, str]] = set()

    def person(self) -> str:
        """A name that nobody had."""
        name = f"person {len(self.asked)}"
        self.asked.add(name)
        return name

    def answered(self) -> set[str]:
        """The requests that were accepted, or rejected."""
        rejected = self._world.judge.all("SELECT body FROM rejected_request")
        found = {json.loads(body).get("idempotency_key") for (body,) in rejected}
        return found | {key for (key,) in self._world.judge.all(_ANSWERED)}

    def gone(self, one: tuple[str, str], *, late: bool, forgotten: bool) -> None:
        """A call has given a number back. Raises Broken where that was not to be.

        *late*: its sender may have given up; *forgotten*: the database has gone back since.
        """
        self._world.judge.charged.pop(one, None)
        self._ever.add(one)
        if forgotten:
            self.lost.add(one)
            return
        number = one[1]
        rows = [
            row
            for row in self._world.judge.all(_CALLS, number, late)
            if desk(kind_of(row["provider"]), row["account"]) == one[0]
        ]
        if not rows and one in self._going:
            self.lost.add(one)
            return
        if not rows:
            raise Broken(f"{number} at {one[0]} is given back, and no intent stands in the table")
        if not any(row["asked"] == row["asked_for"] for row in rows):
            raise Broken(f"{number} at {one[0]} is given back, and somebody asked for it since")
        if taker := rows[0]["taker"]:
            raise Broken(f"{number} at {one[0]} is given back, and {taker} has taken it")
        self._note_unnoticed(one, rows[0]["account"])

    def _note_unnoticed(self, one: tuple[str, str], account: str) -> None:
        """Whether it goes before a restore was noticed, or before its account has gone on since."""
        if self._world.weather.went_back and (account not in self._noticed or account in self._behind()):
            self._unnoticed.add(one)
        else:
            self._unnoticed.discard(one)

    def _behind(self) -> set[str]:
        """The accounts that the database is behind for, as somebody has noticed."""
        return {account for (account,) in self._world.judge.all(_BEHIND)}

    def forgotten(self, number: str) -> bool:
        """Whether it was given back, and a database that went back may not know: then two calls bought it."""
        return self._world.weather.went_back > 0 and any(number == one[1] for one in self._ever)

    def by_hand(self, one: tuple[str, str]) -> None:
        """A person has given it back."""
        self._world.judge.charged.pop(one, None)
        self._ever.add(one)
        self.lost.add(one)
        self.handed.add(one[1])

    def kept_unseen(self, one: tuple[str, str]) -> bool:
        """Whether it is kept though a call gave it back: since its account was left, where nobody looks any more, or
        since a restore was noticed that was not before the call.
        """
        why = {LEFT[1]} if one in self._ever else set()
        why |= {WENT_BACK[1]} if one in self._unnoticed else set()
        rows = [row for code in sorted(why) for row in self._world.judge.all(_KEPT, one[1], code)]
        found = any(desk(kind_of(alias), account) == one[0] for alias, account in rows)
        self.lost |= {one} if found else set()
        return found

    def goes_back(self) -> None:
        """The database is about to: calls that are under way may still go out."""
        going = self._world.judge.all(_UNDER_WAY)
        self._going |= {(desk(kind_of(alias), account), number) for alias, account, number in going}

    def restored(self) -> None:
        """A database that went back has as ours what was given back since, or comes to think so."""
        self.lost |= self._ever
        self._noticed.clear()

    def after_commit(self, standing: dict[tuple[str, str], str]) -> None:
        """Raises Broken where a release was asked for by nobody, or one request gives back two numbers."""
        if not self.on:
            return
        self.lost = {one for one in self.lost & standing.keys() if not self._world.judge.charged[one]}
        if self._world.weather.went_back:
            self._noticed |= self._behind()
        known = dict[str, str]()
        for release, by, key in self._world.judge.all(_ASKED):
            who = by if by != giving_back.BY_MESSAGE else key
            if who is None:
                raise Broken(f"a message that was answered before asked for the release {release}")
            for one in {who, key} - {None}:
                if one not in self.asked or known.setdefault(one, release) != release:
                    raise Broken(f"{one} asked for no release, or for another one than {release}")

    def unsettled(self) -> list[str]:
        """What the machine, or who asks, still waits for."""
        goes = [
            f"the release of {number} is open ({code})"
            for number, code in self._world.judge.all(f"{_OPEN} WHERE r.status = 'open'")
        ]
        stuck = [f"{number} is releasing" for (number,) in self._world.judge.all(_STUCK)]
        standing = self._world.judge.standing() if self.lost else {}
        untold = [
            f"{one[1]} was given back, and is told as ours" for one in sorted(self.lost) if standing.get(one) in _OWN
        ]
        return [*goes, *stuck, *untold, *(f"{key} was never answered" for key in self.waiting)]

    def at_the_end(self, events: list[Any]) -> None:
        """Raises Broken where a request was not told of its end once."""
        told = [json.loads(one["data"]) | {"type": one["type"]} for one in events]
        for release, key, status in self._world.judge.all(_ENDS):
            wanted = EventType.RELEASED if status == "released" else EventType.KEPT
            its = [one for one in told if (one.get("release_id"), one.get("idempotency_key")) == (release, key)]
            ends = [one for one in its if one["type"] in (EventType.RELEASED, EventType.KEPT)]
            types = [one["type"] for one in ends]
            # A call's own answer may come after its number was kept for a database that went back.
            answered = types == [EventType.KEPT, EventType.RELEASED] and ends[0]["error_code"] == WENT_BACK[1]
            if types != [wanted] and not answered:
                raise Broken(f"the release {release} is {status}, and {key} was told {types}")


_ACCEPTED = """SELECT p.* FROM number_release r JOIN purchase p ON p.id = r.purchase_id
    WHERE r.status = 'open' AND r.error_code = 'accepted' ORDER BY p.id"""
_UNREAD = """SELECT p.* FROM number_release r JOIN purchase p ON p.id = r.purchase_id
    WHERE r.status = 'open' AND r.error_code = 'look_failed' AND p.provider = 'vonage' ORDER BY p.id"""
_KEPT = """SELECT p.provider, p.account FROM number_release r JOIN purchase p ON p.id = r.purchase_id
    WHERE p.number = ? AND r.status = 'kept' AND r.error_code = ?"""
_BEHIND = "SELECT account FROM provider_state WHERE cause = 'database_behind'"
_OWN = (Status.PURCHASED, Status.RELEASING)
_STUCK = "SELECT number FROM purchase WHERE status = 'releasing'"
_ENDS = """SELECT r.id, k.idempotency_key, r.status FROM number_release r JOIN release_key k ON k.release_id = r.id
    ORDER BY r.id"""


@contextmanager
def in_hand(world: World) -> Iterator[None]:
    """Who takes a step of a release has its purchase in hand; and SignalWire's days are seconds."""

    def holding(step: Any) -> Any:
        def held(work: Any) -> None:
            me = world.clockwork.me
            assert me is not None
            me.hand = (work.taken.row["purchase_id"],)
            try:
                step(work)
            finally:
                me.hand = ()

        return held

    with (
        patch.object(give_back, "_release", holding(give_back._release)),
        patch.object(give_back, "_look", holding(give_back._look)),
        patch.object(SignalWire, "keeps_for", KEEPS_FOR),
    ):
        yield
