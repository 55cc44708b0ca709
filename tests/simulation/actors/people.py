"""Those outside: callers who send until they are answered, and people on call who may do anything, and seldom err."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from schemas.config.errors import ConfigError
from schemas.requests import RequestError, parse_order
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.audit import compare, schedule
from tasks.ledger.orders import cancel
from tasks.ledger.queue import pausing
from tasks.ledger.resolve import Resolution
from tasks.lifecycle.outbox_relay import Relay, Selection, relay_token, replay
from tasks.operator import resolve, retry_order
from tasks.policies.pause import Cause, Pause
from tasks.provider_reaction import pause_provider
from tasks.providers.adapter import ProviderError
from tasks.restored_database import go_on
from tasks.transactions import Raced
from tests.simulation.actors import days, releases, returns
from tests.simulation.actors.edits import desk, kind_of
from tests.simulation.judges.judge import BEHIND
from tests.simulation.requests import PATIENCE
from tests.simulation.scheduler.box import START

if TYPE_CHECKING:
    from tests.simulation.world import World

_LEFT_LOADING = "SELECT id FROM purchase_order WHERE status = 'loading' AND idempotency_key IS NULL ORDER BY id"
_PAUSED = "SELECT provider FROM provider_state WHERE paused_at IS NOT NULL ORDER BY provider"
ERRS = "a person errs"
"""Says of what was bought that it failed."""
AT_ONCE = 0.5
"""How often a person looks first after the accounts for which a restored database is behind."""
_SAID_NO = (RequestError, ValueError, RedisError, SQLAlchemyError, Raced, ProviderError, ConfigError)


def caller(world: World) -> None:
    """Sends every request of the world, by message, and again where it was lost."""
    rng = world.chance("caller")
    for request in world.requests:
        world.asked.update(request.wanted)
        world.broker.post(request.message, request.key)
        world.clockwork.sleep(rng.choice((0.01, 0.1, 1.0)))
    while True:
        world.clockwork.sleep(PATIENCE)
        for request in world.judge.unanswered(world.requests):
            world.clockwork.note(f"sends {request.key} again")
            world.broker.post(request.message, request.key)


def person(world: World) -> None:
    """Someone on call, who does something now and then as long as faults are on."""
    rng = world.chance("on call")
    acts = [
        _cancel,
        _cancel_order,
        _retry,
        _resolve,
        _resolve,
        _pause,
        _resume,
        _resume,
        _audit,
        _audit_by_machine,
        _order_at_most,
        _replay,
        _say_where_it_belongs,
        _say_where_it_belongs,
        *(returns.ACTS if world.returns.on else ()),
    ]
    # Some do little else than a few of these: what takes several in a row is met by chance too seldom.
    acts = rng.sample(acts, rng.choice((2, 4, len(acts))))
    if "list shows what is gone" in world.faults.theme:
        # While it is shown.
        acts += [_audit] * len(acts)
    while world.faults.on:
        world.clockwork.sleep(rng.choice((0.3, 1.0, 5.0)))
        act = rng.choice(acts)
        if world.weather.went_back and rng.random() < AT_ONCE:
            act = _audit_what_is_behind
        _do(world, act)


def settler(world: World) -> None:
    """Someone who settles what is held, soon after it is: the call's own answer may be on its way."""
    rng = world.chance("settler")
    while world.faults.on:
        world.clockwork.sleep(rng.choice((0.3, 1.0, 5.0)))
        _do(world, _resolve)


def auditor(world: World) -> None:
    """Someone who audits whatever a restored database is behind for, while the person on call does."""
    rng = world.chance("auditor")
    while world.faults.on:
        world.clockwork.sleep(rng.choice((0.3, 1.0)))
        _do(world, _audit_what_is_behind)


def _do(world: World, act: Callable[[World], None]) -> None:
    try:
        act(world)
    except _SAID_NO as exc:
        world.clockwork.note(f"{act.__name__} is answered with {type(exc).__name__}")


def _order_at_most(world: World) -> None:
    """`dialstock order submit --max`: more numbers than are to be bought."""
    runtime, rng = world.staff.runtime, world.clockwork.rng
    numbers = sorted({number for request in world.requests for _, number in request.wanted})
    aliases = sorted(runtime.providers)
    wanted = [(rng.choice(aliases), one) for one in rng.sample(numbers, min(len(numbers), rng.randint(2, 8)))]
    if not wanted:
        return
    most = rng.randint(1, len(wanted))
    world.clockwork.note(f"a person orders {most} of {len(wanted)} numbers")
    world.asked.update((kind_of(alias), one) for alias, one in wanted)
    fields = {"requests": [{"provider": kind, "number": number} for kind, number in wanted]}
    lines = list(enumerate(parse_order(fields, runtime.kinds).requests, 1))
    order = orders.begin(runtime, name="at most", max_purchases=most)
    orders.load(runtime, order["id"], lines)
    orders.finish(runtime, order["id"])


def _one(world: World, query: Any) -> Any:
    """One row of *query*'s, by the seed; None where there is none."""
    with world.staff.runtime.database.read() as conn:
        rows = conn.execute(query).all()
    return rows[world.clockwork.rng.randrange(len(rows))] if rows else None


def _cancel(world: World) -> None:
    runtime, at = world.staff.runtime, PURCHASE.c
    if row := _one(world, select(at.id).order_by(at.id)):
        world.clockwork.note(f"a person cancels {row.id}")
        runtime.database.run(lambda conn: cancel.cancel(conn, row.id, runtime.now()))


def _cancel_order(world: World) -> None:
    if row := _one(world, select(ORDER.c.id).order_by(ORDER.c.id)):
        world.clockwork.note(f"a person cancels the order {row.id}")
        orders.cancel(world.staff.runtime, row.id)


def _retry(world: World) -> None:
    if row := _one(world, select(ORDER.c.id).order_by(ORDER.c.id)):
        world.clockwork.note(f"a person retries the order {row.id}")
        retry_order.retry(world.staff.runtime, row.id)


def _resolve(world: World) -> None:
    """Settle what is held by what the provider's own books say."""
    at = PURCHASE.c
    query = select(at.id, at.provider, at.account, at.number).where(at.status == Status.HELD).order_by(at.id)
    row = _one(world, query)
    if row is None or world.network.under_way[kind_of(row.provider), row.number]:
        # Nobody can tell yet.
        return
    one = desk(kind_of(row.provider), row.account), row.number
    bought = world.judge.charged[one] > 0
    verdict = Verdict.BOUGHT if bought else world.clockwork.rng.choice((Verdict.RETRY, Verdict.FAIL))
    if bought and world.faults.happens(ERRS, about=[row.id]):
        verdict = Verdict.FAIL
        world.judge.misjudged[row.id] = one
        world.judge.unseen.add(one)
    world.clockwork.note(f"a person says of {row.id}: {verdict}")
    resolve.resolve(world.staff.runtime, [Resolution(purchase_id=row.id, verdict=verdict)], "a person")


def _say_where_it_belongs(world: World) -> None:
    """`dialstock provider move`, or `leave`, after the file was edited."""
    world.edits.settle()


def _replay(world: World) -> None:
    """`dialstock events replay` of all that is kept."""
    runtime = world.staff.runtime
    world.clockwork.note("a person replays the events")
    for _ in replay(runtime, Relay(runtime, relay_token()), Selection(since=START), wait=0.5):
        pass


def _pause(world: World) -> None:
    alias = world.clockwork.rng.choice(sorted(world.staff.runtime.providers))
    world.clockwork.note(f"a person pauses {alias}")
    pause_provider(world.staff.runtime, alias, Pause(cause=Cause.PERSON, reason="by hand", cooldown=None))


def _resume(world: World) -> None:
    resume_all(world)


def resume_all(world: World) -> None:
    """End every pause."""
    runtime = world.staff.runtime
    for (alias,) in world.judge.all(
        "SELECT provider FROM provider_state WHERE paused_at IS NOT NULL ORDER BY provider"
    ):
        runtime.database.run(lambda conn, alias=alias: pausing.resume(conn, alias, runtime.now(), by_machine=False))  # type: ignore[misc]


def _audit(world: World) -> None:
    take_in(world, world.clockwork.rng.choice(sorted(world.staff.runtime.providers)))


def _audit_what_is_behind(world: World) -> None:
    for alias in sorted(world.staff.runtime.providers):
        if world.judge.one(BEHIND, alias):
            take_in(world, alias)


def _audit_by_machine(world: World) -> None:
    alias = world.clockwork.rng.choice(sorted(world.staff.runtime.providers))
    world.clockwork.note(f"a machine audits {alias}")
    schedule.scheduled(world.staff.runtime, alias)


def take_in(world: World, alias: str) -> None:
    """`dialstock audit --adopt`; where there is no list, somebody answers for what a database has lost."""
    runtime = world.staff.runtime
    binding = runtime.providers[alias]
    # Vonage shows an account without numbers as no list at all.
    if not world.can_look(alias) or (alias == "vonage" and not world.network.control.ledger.everywhere(alias)):
        if world.judge.one(BEHIND, alias):
            world.clockwork.note(f"a person answers for what the database has lost at {alias}")
            go_on.believe(runtime, binding, "a person", "looked at the dashboard")
        return
    world.clockwork.note(f"a person audits {alias}")
    report = compare.audit(runtime, binding)
    done = compare.adopt(runtime, binding, report, "a person")
    going = go_on.take_in(runtime, binding, report, done, "a person")
    # Where an order stands without a number that it was made for, nothing else ends it.
    if going is not None and (going.shows_none or (going.unclear and not world.faults.on)):
        go_on.believe(runtime, binding, "a person", "checked the token")


def mend_all(world: World) -> None:
    """End every pause, give up what nobody loads any more, and take in what a database has lost.

    What does not succeed is tried again.
    """
    try:
        releases.roll_on(world)
        world.stocks.give_up()
        days.give_up(world)
        resume_all(world)
        returns.say_so(world)
        returns.say_kept(world)
        returns.say_gone(world)
        for (order_id,) in world.judge.all(_LEFT_LOADING):
            orders.cancel(world.staff.runtime, order_id)
        world.edits.give_up()
        world.edits.settle()
        for alias in sorted(world.staff.runtime.providers):
            if world.judge.one(BEHIND, alias) or world.judge.adrift:
                take_in(world, alias)
    except _SAID_NO as exc:
        world.clockwork.note(f"what was to be mended is answered with {type(exc).__name__}")
