"""The order of a run: its numbers for the pool's wanted places, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from schemas.requests import BuyNumber, RequestError
from schemas.tables.purchases import KEY
from tasks.ledger.orders.cancel import cancel
from tasks.ledger.requests.accept import Entry, accept_lines, begin_order, open_order
from tasks.ledger.rows import Row, new_id
from tasks.pools import stock
from tasks.replenish.needs import Run
from tasks.supply.offers import Offer
from tasks.transactions import Raced


def give_way(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> None:
    """Cancel locked purchases that wait in a queue; their places are wanted again."""
    for purchase_id in purchase_ids:
        cancel(conn, purchase_id, now)
    stock.vacate(conn, purchase_ids, now)


def order_numbers(conn: Connection, this: Run, wanted: int, chosen: Sequence[Offer], now: datetime) -> str | None:
    """Order the chosen numbers for the pool's first *wanted* places; all of them or none.

    Raises Raced where somebody else has ordered one of them, or used a key of ours, meanwhile.
    """
    places = stock.make_places(conn, this.name, wanted, now)
    if not chosen:
        return None
    places = _next_tries(conn, this.name, places[: len(chosen)])
    order_id, about = new_id(), {"pool": this.name}
    order = {"id": order_id, "name": f"pool {this.name}", "idempotency_key": None, "fingerprint": None}
    begin_order(conn, {**order, "metadata": about}, now)
    requests = [
        BuyNumber(
            number=offer.number,
            provider=offer.provider,
            idempotency_key=_key(this.name, place),
            options=dict(offer.options),
            metadata=about,
        )
        for place, offer in zip(places, chosen, strict=True)
    ]
    accounts = {alias: binding.account for alias, binding in this.runtime.providers.items()}
    entries = [
        Entry(request=one, account=accounts[one.provider], line=line, pool=this.name, price=offer.price)
        for line, (one, offer) in enumerate(zip(requests, chosen, strict=True), 1)
    ]
    try:
        accepted = accept_lines(conn, order_id, entries, now)
    except RequestError as exc:
        raise Raced from exc
    if not all(one.created for one in accepted):
        raise Raced
    open_order(conn, order_id, now)
    stock.fill(conn, this.name, places, [one.row for one in accepted], now)
    this.runtime.reached("ordering")
    return order_id


def _next_tries(conn: Connection, name: str, places: Sequence[Row]) -> list[Row]:
    """The places at their next try; one whose key somebody else has used is passed over."""
    tried = [{**place, "tries": place["tries"] + 1} for place in places]
    while True:
        keys = select(KEY.c.idempotency_key).where(KEY.c.idempotency_key.in_([_key(name, one) for one in tried]))
        used = set(conn.execute(keys).scalars())
        if not used:
            return tried
        tried = [{**one, "tries": one["tries"] + (_key(name, one) in used)} for one in tried]


def _key(name: str, place: Row) -> str:
    return f"pool:{name}:{place['slot']}:{place['tries']}"
