"""Worlds of a run's own seed, as many as a minute has: no fixed set finds what nobody has seen."""

from __future__ import annotations

import os

import pytest

from tests.simulation.search import search_from

SECONDS = 45.0
WORLDS = 2**31


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("_redis_program", "_postgres_package")
def test_fresh_worlds_keep_their_promises(database: str, seed: int) -> None:
    if os.environ.get("CI") != "true":
        pytest.skip("`make simulate MINUTES=2` does it; CI lives through fresh worlds in each run")
    report = search_from(seed % WORLDS, SECONDS, postgresql=database == "postgresql")
    assert report.worlds
    assert not report.found, report.text(SECONDS)
