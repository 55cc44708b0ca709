"""What tests of deployments ask of the command line and of the table."""

from __future__ import annotations

import subprocess
from collections import Counter

from sqlalchemy import select

from schemas.tables.purchases import PURCHASE
from tests import forked
from tests.integration.place import Place
from tests.waiting import PATIENCE


def dialstock(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run(["dialstock", *arguments], env=place.environ, cwd=place.home, timeout=PATIENCE)


def submit(place: Place, *numbers: str, provider: str) -> None:
    """Accepted, and queued until a worker comes."""
    path = place.home / "numbers.csv"
    path.write_text("\n".join(["number,provider", *(f"{one},{provider}" for one in numbers)]) + "\n")
    done = dialstock(place, "order", "submit", str(path))
    assert done.returncode == 0, done.stderr


def statuses(place: Place, numbers: list[str]) -> Counter[str]:
    """Of the newest purchase of each."""
    query = select(PURCHASE.c.number, PURCHASE.c.status).where(PURCHASE.c.number.in_(numbers)).order_by(PURCHASE.c.id)
    with place.database.read() as conn:
        return Counter({row.number: row.status for row in conn.execute(query)}.values())
