"""Filling a pool up from the command line: the order is made here, and workers buy it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from schemas.money import price_columns
from schemas.tables.pools import PoolStatus
from tasks.replenish.candidates import STOCK_FILE
from tasks.replenish.replenish import NotNow, Report
from tasks.replenish.replenish import run as replenish
from tasks.runtime import Runtime
from tasks.supply.offers import Offer
from workers.cli.terminal.context import open_desk
from workers.cli.terminal.output import emit_json, say, show, show_table, working
from workers.cli.terminal.searching import searching
from workers.views.desk import worker_hint
from workers.views.errors import SOME_FAILED, WRONG_USE, Failure
from workers.views.pools import known_pool
from workers.views.providers.whereabouts import whereabouts
from workers.views.words import count

_COLUMNS = ("number", "provider", "price")


def run_pool(name: str, *, dry_run: bool, without_held: bool, json: bool) -> int:
    """Run and tell; returns the exit status. Raises Failure, ConfigError, Away and EmbeddedError."""
    with open_desk(buys=True) as desk:
        with searching(desk, known_pool(desk.runtime.config, name).providers) as runtime:
            if not dry_run:
                _say_spending(runtime, name)
            try:
                with working(f"filling {name}"):
                    report = replenish(runtime, name, by_person=True, without_held=without_held, dry_run=dry_run)
            except NotNow as exc:
                raise Failure(str(exc), SOME_FAILED) from exc
        if json:
            candidates = [_document(one) for one in report.candidates]
            emit_json({"dry_run": dry_run, **asdict(report), "candidates": candidates})
        else:
            _tell(report, desk.runtime.config.pools[name].low, dry_run=dry_run)
        if report.order_id and (hint := worker_hint(desk.settings)):
            say(f"Note: {hint}", "yellow")
    if STOCK_FILE in report.reasons:
        return WRONG_USE
    return 0 if report.status is PoolStatus.OK else SOME_FAILED


def _say_spending(runtime: Runtime, name: str) -> None:
    pool = runtime.config.pools[name]
    most = min(pool.target, pool.max_per_run)
    where = "; ".join(f"{alias} ({whereabouts(runtime.config, alias)})" for alias in pool.providers)
    say(f"Buying up to {count(most, 'number')} for {name} from {where}")


def _document(offer: Offer) -> dict[str, Any]:
    plain = asdict(offer)
    del plain["price"]
    return {**plain, **price_columns(offer.price)}


def _tell(report: Report, low: int, *, dry_run: bool) -> None:
    if not report.missing and not report.candidates:
        show(f"Nothing is missing: {report.level:,} are there or on their way, and low is {low:,}.")
    elif dry_run:
        _tell_candidates(report)
    elif report.order_id is None:
        show(f"Nothing was ordered{_wanted(report)}.")
    else:
        show(f"Order {report.order_id} is in: {count(report.ordered, 'number')}{_wanted(report)}.")
        show(f"Watch it:  dialstock order watch {report.order_id}")
    if report.status is not PoolStatus.OK:
        would = "would be" if dry_run else "is"
        say(f"{report.pool} {would} {report.status}: {report.reason}", "yellow")
        say(f"What to do: `dialstock pool show {report.pool}`")


def _tell_candidates(report: Report) -> None:
    if report.candidates:
        show_table(_COLUMNS, [[getattr(one, name) for name in _COLUMNS] for one in report.candidates])
    numbers = count(len(report.candidates), "number")
    show(f"{numbers} would be ordered{_wanted(report)}. Nothing was ordered: this was a dry run.")


def _wanted(report: Report) -> str:
    """What the order is for."""
    moved = f", {report.moved:,} in place of numbers that waited where nothing is bought now" if report.moved else ""
    return moved + (f", of {report.missing:,} missing" if report.missing or not moved else "")
