"""The requests that asked for a number to be given back: each has its key, and is told of the end under its own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, select, union_all

from schemas.tables.releases import RELEASE, RELEASE_KEY
from tasks.ledger.rows import Row, insert_once, own_data
from tasks.transactions import Raced

# A release of an older program has its first key in its own row alone.
ASKED = union_all(
    *(
        select(at.idempotency_key, at.fingerprint, release_id.label("release_id"))
        for at, release_id in ((RELEASE_KEY.c, RELEASE_KEY.c.release_id), (RELEASE.c, RELEASE.c.id))
    )
).subquery("asked")
"""Each key that was ever accepted, the fingerprint of its request, and the release that it was answered with."""

JOINED = exists().where(
    RELEASE_KEY.c.release_id == RELEASE.c.id,
    RELEASE_KEY.c.idempotency_key.is_distinct_from(RELEASE.c.idempotency_key),
)
"""Whether a release was asked for under another key than the one in its row, too."""


def answered(conn: Connection, key: str) -> Row | None:
    """The `fingerprint` that a key came with, and its `release_id`; None where it is new."""
    found = conn.execute(select(ASKED).where(ASKED.c.idempotency_key == key).limit(1)).mappings().first()
    return None if found is None else dict(found)


def remember(conn: Connection, release_id: str, request: Row, now: datetime) -> None:
    """Write down a request's key, fingerprint, metadata and `traceparent` with the release that answers it.

    The release's purchase is locked. Raises Raced where another transaction uses the key at this instant.
    """
    if not insert_once(conn, RELEASE_KEY, {**request, "release_id": release_id, "created_at": now}):
        raise Raced


def requesters(conn: Connection, release: Row) -> list[Row]:
    """The own data of those who asked for a release under a key, the first of them first.

    *release* has `joined`, which tells of `JOINED`.
    """
    asked = _further(conn, release["id"]) if release["joined"] else {}
    if release["idempotency_key"] is not None:
        asked = {release["idempotency_key"]: release, **asked}
    return [own_data(key, row["metadata"], None, row["traceparent"]) for key, row in asked.items()]


def _further(conn: Connection, release_id: str) -> dict[str, Row]:
    at = RELEASE_KEY.c
    query = select(RELEASE_KEY).where(at.release_id == release_id).order_by(at.created_at, at.idempotency_key)
    return {row["idempotency_key"]: dict(row) for row in conn.execute(query).mappings()}
