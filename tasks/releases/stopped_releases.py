"""Numbers on their way back that are kept: of an account that was left, or whose database went back in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from schemas.outcomes import HISTORY_LOST
from tasks.ledger.locking import locked
from tasks.ledger.releases import stopping
from tasks.ledger.releases.stopping import Kept, Why
from tasks.ledger.rows import Row
from tasks.pools import leaving
from tasks.runtime import Runtime
from tasks.transactions import always

WENT_BACK: Why = (
    "the database went back in time: the number may have been given back and bought again since, and is kept",
    HISTORY_LOST,
)
LEFT: Why = ("its account is not used any more: see there whether the number is ours still", "account_left")


def keep_all(
    runtime: Runtime,
    accounts: Sequence[str],
    why: Why,
    *,
    even_under_way: bool = False,
    still: Callable[[Connection], bool] = always,
) -> list[Row]:
    """Keep what is on its way back at *accounts*, each by itself. Returns the purchases after.

    Without *even_under_way* not what a call may be under way for yet; and nothing more once *still* says no, which is
    asked while nobody else can begin or end a release of the number.
    """
    with runtime.database.read() as conn:
        ids = stopping.purchases_on_their_way(conn, accounts)
    keep = partial(_keep, runtime, why, even_under_way=even_under_way, still=still)
    kept = [runtime.database.run(partial(keep, one)) for one in ids]
    return [one.purchase for one in kept if one is not None]


def _keep(
    runtime: Runtime,
    why: Why,
    purchase_id: str,
    conn: Connection,
    *,
    even_under_way: bool,
    still: Callable[[Connection], bool],
) -> Kept | None:
    now = runtime.now()
    leaving.lock(conn, purchase_id)
    locked(conn, [purchase_id])
    kept = stopping.keep(conn, purchase_id, why, now, even_under_way=even_under_way) if still(conn) else None
    # Nobody takes out of a pool what may be gone.
    if kept is not None and not kept.in_doubt:
        leaving.come_back(conn, purchase_id, now)
    return kept
