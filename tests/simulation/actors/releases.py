"""Workers of an older release beside today's, while a deploy rolls: they know neither the newer messages nor timers.

What they do know they do as today's do: an older program has the faults that were mended since. Real ones run beside
today's in `tests/integration/deploys/test_side_by_side.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from schemas.requests import RequestError
from tasks.lifecycle.release_and_sweep import BUY, LOOK
from tasks.messages.public_names import BUY_NUMBER, SUBMIT_ORDER
from tests.simulation.scheduler.clockwork import Broken
from workers.broker.incoming import _keep

if TYPE_CHECKING:
    from tests.simulation.scheduler.clockwork import Process
    from tests.simulation.world import World

IS_OLDER = "a worker is of the release before"
KNOWS = (BUY, LOOK, BUY_NUMBER, SUBMIT_ORDER)
"""The messages that an older one knows: neither batches nor pools, wishes, releases or audits."""
TICKS = ("release", "sweep", "history", "relay", "clock")
"""Its timers."""
_KEPT = "SELECT 1 FROM rejected_request WHERE message_id = ?"


def starts(world: World, process: Process) -> None:
    """Draw whether it is of the release before."""
    process.older = world.faults.happens(IS_OLDER, about=())
    if process.older:
        world.clockwork.note(f"{process.name} is of the release before")


def drops(world: World, process: Process, message: Any, identity: str) -> bool:
    """Whether Celery drops a message there: it is kept and answered as one of a task that nobody has.

    Raises NotKept where the database does not take that, and Broken where it is dropped without.
    """
    if not process.older or message.task in KNOWS:
        return False
    restores = world.files.restores
    # What judges read there are the keyword arguments alone.
    body = json.dumps(message.kwargs)
    _keep(body.encode(), message.task, identity, RequestError(f"unknown task {message.task!r}", "unknown_task"))
    if world.judge.one(_KEPT, identity) is None and world.files.restores == restores:
        raise Broken(f"{message.task} was dropped by a worker that does not know it, and nobody was told")
    return True


def roll_on(world: World) -> None:
    """Replace those that are left; repeatable."""
    for life in world.staff.lives:
        if life.older and not life.dead:
            world.clockwork.note(f"{life.name} is replaced by one of today's")
            world.clockwork.kill(life)
