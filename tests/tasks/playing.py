"""How a model of Hypothesis is run on a database."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from workers.database.connections import SqlDatabase


def play(game: type[RuleBasedStateMachine], database: SqlDatabase, *, sqlite: int, others: int, **how: Any) -> None:
    """Run *game*, which has a `database`, on *database*: *sqlite* examples on SQLite, *others* where each is slower."""
    examples = sqlite if database.engine.dialect.name == "sqlite" else others
    run_state_machine_as_test(
        type(game.__name__, (game,), {"database": database}),
        settings=settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), **how),
    )
