"""Renewing a claim while the work under it goes on."""

from __future__ import annotations

import threading

from sqlalchemy.exc import OperationalError

from tasks.renewed_claim import renewed
from tests.waiting import eventually


def test_it_is_renewed_again_and_again_also_after_the_database_was_away() -> None:
    times: list[int] = []

    def renew() -> None:
        times.append(len(times))
        if len(times) < 3:
            raise OperationalError("update", {}, Exception("away"))

    with renewed(0.01, renew):
        eventually(lambda: len(times) > 4)


def test_nothing_is_renewed_once_the_work_is_over() -> None:
    before = threading.active_count()
    with renewed(60.0, lambda: None):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
