"""The database's clock as a run sees it: every process of it goes by the same one, which the suite sets by a file."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partialmethod
from pathlib import Path

from sqlalchemy import Connection

from tasks.runtime import utc_now
from workers.database import clock

STEP = 600.0
"""Seconds by which the suite sets it, ahead and back."""


class SetClock:
    """Tells the time, ahead of the machine's by what stands in the file `clock` of *folder*; none is nought."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"

    @property
    def ahead(self) -> float:
        """Seconds."""
        return float(self._file.read_text()) if self._file.exists() else 0.0

    def set(self, ahead: float) -> None:
        """Set it for everybody at once."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(ahead))
        fresh.rename(self._file)

    def __call__(self) -> datetime:
        return utc_now() + timedelta(seconds=self.ahead)


def go_by(folder: Path) -> None:
    """Have this process ask the run's clock wherever it asks the database's: SQLite has its machine's."""
    run, asked = SetClock(folder), clock._time_of

    def time_of(conn: Connection) -> datetime:
        return asked(conn) + timedelta(seconds=run.ahead)

    clock._time_of = time_of
    clock.DatabaseClock.__init__ = partialmethod(clock.DatabaseClock.__init__, local=run)  # type: ignore[method-assign, assignment]
