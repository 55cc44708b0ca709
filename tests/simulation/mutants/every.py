"""Faults of our own, put in on purpose: a simulation that does not find them proves nothing.

`python -m tests.simulation.mutants.hunting [--seconds N]` searches each and prints the table.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.simulation.mutants.accounts import MUTANTS_OF_ACCOUNTS
from tests.simulation.mutants.money import MUTANTS_OF_MONEY
from tests.simulation.mutants.pools import MUTANTS_OF_POOLS
from tests.simulation.mutants.purchases import MUTANTS_OF_PURCHASES
from tests.simulation.mutants.releases import MUTANTS_OF_RELEASES
from tests.simulation.mutants.wishes import MUTANTS_OF_WISHES

MUTANTS: tuple[Callable[[], AbstractContextManager[Any]], ...] = (
    *MUTANTS_OF_PURCHASES,
    *MUTANTS_OF_ACCOUNTS,
    *MUTANTS_OF_MONEY,
    *MUTANTS_OF_POOLS,
    *MUTANTS_OF_RELEASES,
    *MUTANTS_OF_WISHES,
)
