"""The hand-written task on huey, without results; a task that runs when its worker dies is lost, by design."""

from __future__ import annotations

import os
from collections.abc import Iterable

from huey import RedisHuey

from tests.bench.peers import by_hand

huey = RedisHuey("peers", url=os.environ["REDIS_URL"], results=False)


@huey.task()
def buy(number: str) -> None:
    """Buy one number."""
    by_hand.buy(number)


def send(numbers: Iterable[str]) -> None:
    """One message for each number."""
    for number in numbers:
        buy(number)
