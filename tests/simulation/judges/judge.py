"""The promises, asked of the provider's books and the committed rows: at every call, every commit, and the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from schemas.events import EVENT_OF, EventType
from schemas.status import DEAD, UNSETTLED, OrderStatus, Status
from tests.simulation.actors import days
from tests.simulation.actors.edits import REPOINTED, desk, kind_of
from tests.simulation.judges.order_limits import OrderLimits
from tests.simulation.judges.standing import IN_DOUBT, MAY_BE_CHARGED, Standing
from tests.simulation.scheduler.clockwork import MICRO, Broken

if TYPE_CHECKING:
    from tests.simulation.requests import Request
    from tests.simulation.world import World

BEHIND = """SELECT 1 FROM provider_state one
    JOIN provider_state its ON its.provider = one.provider OR its.account = one.account
    WHERE one.provider = ? AND its.cause = 'database_behind'"""
"""Whether an alias stands still: its account's pause may be under another name, which the file may have no more."""
NOTHING = "nothing"
"""The status of who has no purchase in hand."""
TERMINAL = (Status.PURCHASED, Status.FAILED, Status.CANCELLED, Status.RELEASED)
_DEAD = ", ".join(f"'{status}'" for status in sorted(DEAD))
_INTENTS = """SELECT p.provider, p.account, p.number, a.outcome FROM purchase p
    JOIN purchase_attempt a ON a.purchase_id = p.id ORDER BY p.id"""
_CALLS = """SELECT p.provider, p.account, p.status, a.purchase_id, a.revision, a.started_at, a.outcome FROM purchase p
    JOIN purchase_attempt a ON a.purchase_id = p.id WHERE p.number = ?"""
_CANCELLED = "SELECT id, provider, account, number FROM purchase WHERE status = 'cancelled'"
_YES_AND_DEAD = """SELECT p.provider, p.account, p.number, p.status FROM purchase p
    JOIN purchase_attempt a ON a.purchase_id = p.id
    WHERE p.status IN ('failed', 'cancelled') AND a.outcome = 'purchased'"""


class Judge:
    """Raises Broken, which code under test cannot catch. `charged` is the provider's own count by kind and number.

    `ever` has what was given back since, too.
    `unseen` is what showed, or will, after the last look: that may have been bought again, but never failed. `adrift`
    is what a database that went back in time does not know of, until an audit or a person told it; `untold` is
    what nobody can tell it. `misjudged` are purchases that a person said to have failed, though they were charged, and
    `called_off` those that were cancelled while they were adrift, and nobody had noticed.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.charged: Counter[tuple[str, str]] = Counter()
        self.ever: set[tuple[str, str]] = set()
        self.unseen: set[tuple[str, str]] = set()
        self.adrift: set[tuple[str, str]] = set()
        self.untold: set[tuple[str, str]] = set()
        self.misjudged: dict[str, tuple[str, str]] = {}
        self.called_off: set[str] = set()
        self._cancelled: set[str] = set()
        self._charged_by: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._calls_before: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
        self._under_way: dict[tuple[str, str], int | None] = {}
        self._forgot: int | None = None
        self._order_limits = OrderLimits(world)
        self.stands = Standing(world.files)

    def rows(self, query: str, *given: Any) -> list[dict[str, Any]]:
        """What is committed now."""
        return [dict(row) for row in self.all(query, *given)]

    def all(self, query: str, *given: Any) -> list[Any]:
        """The same as they come: columns by place and by name."""
        return self._world.files.ask(query, given)

    def after_call(self, kind: str, log: Sequence[int], charges: Sequence[Any], *, buying: bool, late: bool) -> None:
        """A provider has executed a request; a *late* one may be given up, but was meant."""
        self._pace(kind, log, buying=buying)
        for charge in charges:
            self._charge(desk(charge["kind"], charge["account"]), charge["number"], late=late)
        if charges:
            self._order_limits.after_charge([(desk(one["kind"], one["account"]), one["number"]) for one in charges])

    @property
    def has_copy(self) -> bool:
        """Whether there is a copy of the database to go back to."""
        return self._forgot is not None

    def copied(self) -> None:
        """A copy of the database was put away."""
        self._forgot = self._world.store.forgot

    def goes_back(self) -> None:
        """The database is about to go back: calls that are under way, and marked, may still go out, or arrive late."""
        late = self._world.network.under_way
        for alias, account, number, outcome in self.all(_INTENTS):
            if outcome is None or late[kind_of(alias), number]:
                self._under_way[desk(kind_of(alias), account), number] = self._forgot
        self._world.returns.goes_back()

    def restored(self) -> None:
        """The database is as it was when it was copied. Where Redis forgot since then, nothing is promised."""
        self._world.returns.restored()
        self._world.edits.restored()
        standing = self.standing()
        for one in self.charged:
            calls = {_call(row) for row in self._calls(one)}
            by_another = standing.get(one) in IN_DOUBT and self._charged_by.get(one) not in calls
            if by_another:
                self._calls_before[one] = calls
            if by_another or standing.get(one) not in MAY_BE_CHARGED:
                self.adrift.add(one)
        if self._forgot != self._world.store.forgot:
            self.forgot()
        left = {one for one in self.adrift if self._world.edits.left(one[0])}
        self.unseen |= left
        self.untold |= left
        self._world.stocks.restored()
        self.after_commit()

    def forgot(self) -> None:
        """Redis lost its marks: both back in time at once cannot be told."""
        self.unseen |= self.adrift
        self.untold |= self.adrift

    def after_commit(self) -> None:
        """Whatever was charged is in the hands of a row that may be, and what is purchased was charged."""
        self._world.idle.stir()
        self._world.stocks.after_commit()
        self._world.wishes.after_commit()
        standing = self.standing()
        self._world.returns.after_commit(standing)
        self._note_cancelled()
        self.adrift = {one for one in self.adrift if self._is_adrift(one, standing)}
        self._order_limits.after_commit()
        excused = self.adrift | self.untold | set(self.misjudged.values())
        for one in sorted(self.charged.keys() - self.stands.may_be_charged - excused):
            told = one in standing or self._ended(one, Status.RELEASED) or self._is_lost(one)
            if one not in self.unseen or not told:
                raise Broken(f"{one[1]} at {one[0]} was charged, and its purchase is {standing.get(one, 'gone')}")

    def _note_cancelled(self) -> None:
        """The first restore is noticed with the pause. A later one may be to a copy that has it."""
        cancelled = {row["id"]: row for row in self.all(_CANCELLED)} if self.adrift else {}
        for purchase in cancelled.keys() - self._cancelled:
            _, alias, account, number = cancelled[purchase]
            one = desk(kind_of(alias), account), number
            noticed = self._world.weather.went_back == 1 and self.one(BEHIND, alias) and one not in self.untold
            if one in self.adrift and not noticed:
                self.called_off.add(purchase)
        self._cancelled |= cancelled.keys()

    def _is_adrift(self, one: tuple[str, str], standing: dict[tuple[str, str], str]) -> bool:
        """Whether its row tells of no call that may have charged it: what is in doubt may be so for an earlier one."""
        if standing.get(one) not in IN_DOUBT:
            return standing.get(one) not in MAY_BE_CHARGED
        return one in self._calls_before and {_call(row) for row in self._calls(one)} == self._calls_before[one]

    def _calls(self, one: tuple[str, str]) -> list[Any]:
        return [row for row in self.all(_CALLS, one[1]) if desk(kind_of(row["provider"]), row["account"]) == one[0]]

    def _is_lost(self, one: tuple[str, str]) -> bool:
        """Whether it failed, and a restore lost the call that charged it: an audit before it shows says not ours."""
        if one in self._charged_by:
            lost = self._charged_by[one] not in {_call(row) for row in self._calls(one)}
        else:
            lost = one in self._under_way
        return lost and self._ended(one, Status.FAILED)

    def _ended(self, one: tuple[str, str], status: Status) -> bool:
        """Whether it came to *status*; what was given back before it showed may be taken for gone."""
        rows = self.all("SELECT provider, account FROM purchase WHERE number = ? AND status = ?", one[1], status)
        return any(desk(kind_of(alias), account) == one[0] for alias, account in rows)

    def standing(self) -> dict[tuple[str, str], str]:
        """The status of what is alive, by account and number. Raises Broken where what is told as ours is not."""
        stands = self.stands.look()
        for kind, number in sorted(stands.purchased - self.charged.keys() - self._world.returns.lost):
            if not (self._world.returns.kept_unseen((kind, number)) or self._world.paging.went((kind, number))):
                raise Broken(f"{number} at {kind} is purchased, and was never charged")
        return stands.of

    def one(self, query: str, *given: Any) -> Any:
        """The first column of the first row of what is committed now; None where there is none."""
        rows = self.all(query, *given)
        return rows[0][0] if rows else None

    def statuses(self, ids: Sequence[str]) -> list[str]:
        """The status of each purchase; where there is none in hand, it says so."""
        known = self.stands.look().statuses if ids else {}
        return [known.get(one, NOTHING) for one in ids] or [NOTHING]

    def unanswered(self, requests: Sequence[Request]) -> list[Request]:
        """The requests that were neither accepted nor rejected."""
        known = {row["key"] for row in self.rows("SELECT idempotency_key AS key FROM purchase_key")}
        loaded = "SELECT idempotency_key AS key FROM purchase_order WHERE status <> 'loading'"
        known |= {row["key"] for row in self.rows(loaded)}
        known |= {_key_of(row["body"]) for row in self.rows("SELECT body FROM rejected_request")}
        return [request for request in requests if request.key not in known]

    def unsettled(self) -> list[str]:
        """What the machine still has work with, in words."""
        open_ = ", ".join(f"'{status}'" for status in sorted(UNSETTLED))
        found = [
            f"{row['provider']} {row['number']} is {row['status']} ({row['error_code']}), due {row['due_at']}"
            for row in self.rows(f"SELECT * FROM purchase WHERE status IN ({open_})")
        ]
        loose = "SELECT id, status FROM purchase_order WHERE status IN ('loading', 'open')"
        found += [f"order {row['id']} is {row['status']}" for row in self.rows(loose)]
        left = self.rows("SELECT type FROM outbox_event WHERE published_at IS NULL")
        found += [f"{row['type']} is not published" for row in left]
        return found + [f"{request.key} was never answered" for request in self.unanswered(self._world.requests)]

    def behind(self) -> list[str]:
        """What the database does not know of, and must be told, in words."""
        return [
            f"{number} at {kind} was charged, and no audit told so"
            for kind, number in sorted(self.adrift - self.unseen)
        ]

    def at_the_end(self) -> None:
        """Everything is settled: each request has its one end, told once, and published."""
        self.after_commit()
        events = self.rows("SELECT id, type, subject, data FROM outbox_event ORDER BY seq")
        told = Counter[tuple[str, str | None, str]]()
        for event in events:
            data = json.loads(event["data"])
            if "purchase_id" in data:
                told[data["purchase_id"], data.get("idempotency_key"), event["type"]] += 1
            if event["type"] == EventType.CHARGED_TWICE and not (
                self.unseen or self._world.returns.forgotten(data["number"])
            ):
                raise Broken(f"an event says that {data['number']} was charged twice")
        self._late_yes()
        self._one_end_each(told)
        self._world.returns.at_the_end(events)
        self._orders_told(Counter(event["subject"] for event in events if event["type"] == EventType.ORDER_COMPLETED))
        sent = [json.loads(one) for one in self._world.store.all_published()]
        published = {event["id"] for event in sent}
        self._in_order(sent)
        if missing := [event["type"] for event in events if event["id"] not in published]:
            raise Broken(f"never published: {missing[0]}, and {len(missing) - 1} more")

    def _late_yes(self) -> None:
        standing = self.standing()
        for alias, account, number, status in self.all(_YES_AND_DEAD):
            one = desk(kind_of(alias), account), number
            if self.charged[one] and one not in standing:
                raise Broken(f"{number} at {one[0]} is {status}, and the provider said that it sold it")

    def _charge(self, kind: str, number: str, *, late: bool) -> None:
        self.charged[kind, number] += 1
        if self.charged[kind, number] > 1 and (kind, number) not in self.unseen:
            raise Broken(f"{number} at {kind} is charged twice")
        self.ever.add((kind, number))
        days.after_charge(self._world, kind)
        self._world.stocks.charged(kind, number)
        if (kind.partition("/")[0], number) not in self._world.asked:
            raise Broken(f"{number} at {kind} is charged, and nobody asked for it")
        calls = [row for row in self._calls((kind, number)) if row["outcome"] is None or late]
        if may := [_call(row) for row in calls if row["status"] in MAY_BE_CHARGED]:
            self._charged_by[kind, number] = max(may)
            return
        if (kind, number) not in self._under_way:
            if late and (kind, number) in self.unseen:
                return
            raise Broken(f"{number} at {kind} is charged, and no intent stands in the table")
        self.adrift.add((kind, number))
        self._calls_before[kind, number] = {_call(row) for row in self._calls((kind, number))}
        if self._under_way[kind, number] != self._world.store.forgot:
            self.forgot()

    def _pace(self, kind: str, log: Sequence[int], *, buying: bool) -> None:
        edits = self._world.edits
        if edits.done and (edits.kind, edits.how) == (kind, REPOINTED):
            # Two accounts, each with limits of its own.
            return
        policy = self._world.config.providers[kind].policy
        for rate in policy.rate_limits if buying else policy.lookup_rate_limits:
            recent = sorted(log[-2 * rate.limit :])
            for first, beyond in zip(recent, recent[rate.limit :], strict=False):
                if beyond - first < rate.window * MICRO and not self._world.store.was_set_ahead(first, beyond):
                    what = "purchase" if buying else "reading"
                    took = (beyond - first) / MICRO
                    raise Broken(f"{kind}: {rate.limit + 1} {what} calls within {took:.3f} s, its limit is {rate}")

    def _in_order(self, sent: Sequence[Any]) -> None:
        """Each purchase's events, where each came first. A database that went back tells its story anew."""
        if self._world.weather.went_back:
            return
        known, last = set[str](), dict[str, str]()
        for event in sent:
            purchase = event["data"].get("purchase_id")
            if event["id"] not in known and purchase is not None and "sequence" in event:
                if event["sequence"] < last.get(purchase, ""):
                    raise Broken(f"{event['subject']}: {event['type']} came after a later event")
                last[purchase] = event["sequence"]
            known.add(event["id"])

    def _one_end_each(self, told: Counter[tuple[str, str | None, str]]) -> None:
        for row in self.rows("SELECT id, number, provider, status, idempotency_key AS key FROM purchase"):
            keys = {row["key"]} | {
                one["key"]
                for one in self.rows("SELECT idempotency_key AS key FROM purchase_key WHERE purchase_id = ?", row["id"])
            }
            for key in sorted(keys, key=str):
                found = [status for status in TERMINAL for _ in range(told[row["id"], key, EVENT_OF[status]])]
                wanted = _ends(row["status"])
                if row["id"] in self.misjudged and row["status"] != Status.FAILED:
                    found = [status for status in found if status != Status.FAILED]
                if row["id"] in self.called_off and row["status"] != Status.CANCELLED:
                    found = [status for status in found if status != Status.CANCELLED]
                if found != wanted:
                    raise Broken(f"{row['number']} at {row['provider']} is {row['status']}; {key} was told {found}")

    def _orders_told(self, completed: Counter[str]) -> None:
        for order in self.rows("SELECT id, status FROM purchase_order"):
            wanted = int(order["status"] == OrderStatus.COMPLETED)
            if completed[order["id"]] != wanted:
                raise Broken(f"order {order['id']} is {order['status']}, completed by {completed[order['id']]} events")


def _call(row: Any) -> tuple[Any, ...]:
    """What tells a call from all others, also from one that was lost, at the same revision; the newest is the last."""
    return row["started_at"], row["purchase_id"], row["revision"]


def _ends(status: str) -> list[str]:
    """The ends that who asked for a purchase is told of: what was given back was bought before."""
    return [Status.PURCHASED, status] if status == Status.RELEASED else [status] if status in TERMINAL else []


def _key_of(body: str) -> str | None:
    try:
        found: str | None = json.loads(body).get("idempotency_key")
    except ValueError:
        return None
    return found
