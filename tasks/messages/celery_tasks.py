"""The Celery tasks: thin entries to the domain code. Callers use the six public ones by name.

    dialstock.buy_number      one purchase: number, provider; optional idempotency_key, options, metadata
    dialstock.submit_order    an order of many: requests; optional idempotency_key, metadata
    dialstock.order_numbers   an order by criteria: count; optional country, prefix, type, features, contains,
                              providers, prefer, max_price, max_spend, at_least, reserve, exclude,
                              idempotency_key, metadata
    dialstock.take_number     numbers out of a pool: pool; optional count, request_id, taker, metadata
    dialstock.return_number   a number back to its pool: pool, number; optional request_id, taker, metadata
    dialstock.release_number  a number back to its provider: number, provider; optional idempotency_key, metadata

The public tasks take any arguments, so that a misspelt one gets an answer and not a bare TypeError; whatever is raised,
their message is answered, or goes back to the queue.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Reject
from celery.worker import state
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from schemas.requests import RequestError
from schemas.tables.accounts import BALANCE_CHECK
from schemas.tables.audits import AUDIT_RUN
from tasks import balances, orders
from tasks.audit import schedule
from tasks.ledger.outdated import Outdated
from tasks.ledger.rows import some_numbers
from tasks.lifecycle import accept, purchase, reconcile
from tasks.lifecycle.release_and_sweep import BUY, BUY_BATCH, LOOK
from tasks.messages.answered_before import accepted_before, rejected_before
from tasks.messages.daily_looks import send_due
from tasks.messages.known_elsewhere import may_be_known
from tasks.messages.public_names import (
    BUY_NUMBER,
    INTERNAL,
    LATER,
    ORDER_NUMBERS,
    RELEASE_NUMBER,
    RETURN_NUMBER,
    SUBMIT_ORDER,
    TAKE_NUMBER,
    body_of,
)
from tasks.outages.database_away import is_away, patiently
from tasks.outages.readiness import READINESS
from tasks.outages.waits import WAITS
from tasks.pools.requests import reading, take_and_return
from tasks.releases import giving_back
from tasks.replenish import replenish
from tasks.reports.queries import numbers_of
from tasks.runtime import Runtime, current
from tasks.semaphores import place
from tasks.telemetry import traces
from tasks.transactions import Raced
from tasks.wishes import accepting, run
from tasks.wishes.due import FIND_NUMBERS

log = logging.getLogger(__name__)

AUDIT = "dialstock.internal.audit"
BALANCE = "dialstock.internal.balance"
REPLENISH = "dialstock.internal.replenish"

AWAY = "this worker is without its database"

TELL_EVERY = 60.0
"""Seconds between two lines in the log about messages that wait for a worker with another file."""

PublicTask = Callable[[Runtime, dict[str, Any], object], object]


@shared_task(name=BUY_NUMBER, bind=True, acks_late=True, ignore_result=True)
def buy_number(self: Task[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    """Accept one purchase."""
    _public(self, args, kwargs, accept.buy_number)


@shared_task(name=SUBMIT_ORDER, bind=True, acks_late=True, ignore_result=True)
def submit_order(self: Task[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    """Accept an order of many purchases: all of it or nothing."""
    _public(self, args, kwargs, orders.submit_order)


@shared_task(name=ORDER_NUMBERS, bind=True, acks_late=True, ignore_result=True)
def order_numbers(self: Task[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    """Accept an order by criteria: its numbers are found by the workers."""
    _public(self, args, kwargs, accepting.order_numbers)


@shared_task(name=TAKE_NUMBER, bind=True, acks_late=True, ignore_result=True)
def take_number(self: Task[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    """Take numbers from a pool: all that are asked for or none."""
    _public(self, args, kwargs, _take)


@shared_task(name=RETURN_NUMBER, bind=True, acks_late=True, ignore_result=True)
def return_number(self: Task[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    """Give a number back to its pool."""
    _public(self, args, kwargs, partial(_give_back, again=_redelivered(self)))


@shared_task(name=RELEASE_NUMBER, bind=True, acks_late=True, ignore_result=True)
def release_number(self: Task[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    """Accept one release. Run twice, the second finds the first by its key."""
    _public(self, args, kwargs, partial(giving_back.release_number, again=_redelivered(self)))


@shared_task(name=BUY, acks_late=True, ignore_result=True)
def buy(purchase_id: str, revision: int, provider: str, probe: bool = False) -> None:  # noqa: FBT001, FBT002
    """Make one purchase call. Run twice, the second finds another revision and leaves."""
    # No intent or no pace, no purchase: the row is due again when its release has run out.
    with _left_for_later(BUY, lambda: _named([purchase_id])):
        purchase.buy(current(), purchase_id, revision, provider, probe=probe)


@shared_task(name=BUY_BATCH, acks_late=True, ignore_result=True)
def buy_batch(provider: str, items: list[tuple[str, int]]) -> None:
    """Make one purchase call for several numbers. Run twice, the second finds other revisions and leaves."""
    with _left_for_later(BUY_BATCH, lambda: _named([purchase_id for purchase_id, _ in items])):
        purchase.buy_batch(current(), [(purchase_id, revision) for purchase_id, revision in items], provider)


@shared_task(name=LOOK, acks_late=True, ignore_result=True)
def look(provider: str, items: list[tuple[str, int]]) -> None:
    """Ask a provider about purchases in doubt. Run twice, the second finds other revisions and leaves."""
    with _left_for_later(LOOK, lambda: f"a look at {_named([purchase_id for purchase_id, _ in items])}"):
        reconcile.look(current(), provider, [(purchase_id, revision) for purchase_id, revision in items], _shuts_down)


@shared_task(name=AUDIT, acks_late=True, ignore_result=True)
def audit(provider: str | None) -> None:
    """Audit a provider where it is due; without one, have each audited that is. Run twice, the second finds none."""
    name = "audits" if provider is None else f"the audit of {provider}"
    with _left_for_later(name, lambda: name):
        if provider is None:
            send_due(current(), AUDIT, AUDIT_RUN, schedule.audited(current()))
        else:
            schedule.scheduled(current(), provider, _shuts_down)


@shared_task(name=BALANCE, acks_late=True, ignore_result=True)
def look_at_balance(provider: str | None) -> None:
    """Look at a provider's balance where that is due; without one, have each looked at that is."""
    if provider is None:
        send_due(current(), BALANCE, BALANCE_CHECK, balances.watched(current()))
    else:
        balances.scheduled(current(), provider, _shuts_down)


@shared_task(name=REPLENISH, acks_late=True, ignore_result=True)
def replenish_pool(pool: str) -> None:
    """Top a pool up where it is due. Run twice, the second finds that it is not."""
    runtime = current()
    if pool not in runtime.config.pools:
        log.error("the pool %r is due, and this worker's file lacks it: `dialstock doctor` tells which has it", pool)
        return
    name = f"pool {pool}"
    try:
        with _left_for_later(name, lambda: name), place(runtime.searches) as may:
            if may:
                replenish.run(runtime, pool)
    except (replenish.NotNow, replenish.RunFailed) as exc:
        log.debug("%s", exc)


@shared_task(name=FIND_NUMBERS, acks_late=True, ignore_result=True)
def find_numbers(order_id: str, position: int) -> None:
    """Look for what a wish is missing. Run twice, the second finds that the first has it, or that nothing is."""
    name = f"wish {position} of order {order_id}"
    runtime = current()
    with _left_for_later(name, lambda: name), place(runtime.searches) as may:
        if may:
            run.run(runtime, order_id, position)


@contextmanager
def _left_for_later(name: str, who: Callable[[], str]) -> Iterator[None]:
    """What a server refuses is due again soon, and is told of once, with *who* waits.

    Raises Reject, which has another worker do it at once, where this one is without its database.
    """
    if not READINESS.ready:
        raise Reject(AWAY, requeue=True)
    try:
        yield
    except (RedisError, SQLAlchemyError) as exc:
        if not isinstance(exc, RedisError) and not is_away(exc):
            raise
        if not READINESS.ready:
            raise Reject(AWAY, requeue=True) from exc
        WAITS.refused(name, exc, who)
    else:
        WAITS.done(name)


def _shuts_down() -> bool:
    """Whether this worker was told to stop: a walk through a long list does not hold it up."""
    return state.should_stop is not None and state.should_stop is not False


def _keywords(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if args:
        raise RequestError(f"send keyword arguments only: {len(args)} positional given")
    return kwargs


def _take(runtime: Runtime, fields: dict[str, Any], message_id: object) -> None:
    take_and_return.take(runtime, reading.read_take(runtime, fields), message_id)


def _give_back(runtime: Runtime, fields: dict[str, Any], message_id: object, *, again: bool) -> None:
    take_and_return.give_back(runtime, reading.read_return(runtime, fields), message_id, again=again)


def _public(self: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], do: PublicTask) -> None:
    """Do what a caller asks for; back to the queue where the database stays away, kept and told in all other cases."""
    runtime, message_id = current(), self.request.id
    body = body_of(args, kwargs)

    def answer() -> None:
        if not (_redelivered(self) and rejected_before(runtime, self.name, message_id, body)):
            do(runtime, _keywords(args, kwargs), message_id)

    with traces.accepting(self.name, self.request.get("traceparent")):
        _answered(runtime, self, body, answer)


def _answered(runtime: Runtime, self: Task[Any, Any], body: dict[str, Any], answer: Callable[[], None]) -> None:
    """The answer, or a rejection that is kept and told. Raises Reject where the message goes back to the queue."""
    message_id = self.request.id
    try:
        patiently(answer, self.name, lambda: READINESS.ready)
    except Outdated as exc:
        _tell_outdated(str(exc))
        raise Reject(LATER, requeue=True) from None
    except RequestError as exc:
        if may_be_known(runtime, exc, self.name, message_id):
            raise Reject(LATER, requeue=True) from None
        _reject(runtime, self, body, exc)
    except Exception as exc:
        if is_away(exc) or isinstance(exc, Raced):
            raise Reject(type(exc).__name__, requeue=True) from exc
        log.exception("%s ended in an error that nobody foresaw, message %r", self.name, message_id)
        _reject(runtime, self, body, RequestError(INTERNAL, "internal_error"))


def _redelivered(self: Task[Any, Any]) -> bool:
    return bool((self.request.delivery_info or {}).get("redelivered"))


def _reject(runtime: Runtime, self: Task[Any, Any], body: dict[str, Any], exc: RequestError) -> None:
    """Keep and tell it; where even that fails, the message goes back to its queue, later, so that it does not spin."""

    def tell() -> None:
        # What it names may have left the configuration since it was accepted.
        if not (_redelivered(self) and accepted_before(runtime, self.name, body, self.request.id)):
            accept.reject(runtime, self.name, self.request.id, body, exc)

    try:
        patiently(
            tell,
            f"a rejection by {self.name}",
            lambda: READINESS.ready,
        )
    except Exception as failed:
        if not is_away(failed):
            log.exception("a message of %s could not be kept, and goes back to the queue", self.name)
        raise Reject(LATER, requeue=True) from failed


_outdated_told: dict[str, float] = {}


def _tell_outdated(why: str) -> None:
    """Once a minute for each reason: all messages of an alias come again and again."""
    if time.monotonic() - _outdated_told.get(why, float("-inf")) >= TELL_EVERY:
        _outdated_told[why] = time.monotonic()
        log.error("messages go back to the queue: %s", why)


def _named(ids: Sequence[str]) -> str:
    """The numbers of purchases for the log; their ids where the database is away too."""
    try:
        with current().database.read() as conn:
            return some_numbers(numbers_of(conn, ids))
    except SQLAlchemyError:
        return ", ".join(ids)
