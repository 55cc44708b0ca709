"""Searches that a cache answers: what they show is bought, and that they show no more is no end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tasks.conformance.gateway import SPOILED, Answer, gateway
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests.tasks.pools.supplying import area
from tests.tasks.shops import bind
from tests.tasks.wishes.wishing import Wishing

KINDS = [name for name, kind in kinds().items() if kind.searches]
Cached = Callable[[str], None]


@pytest.fixture
def cached(world: Wishing, sandbox: SandboxServer) -> Iterator[Cached]:
    """Has all be bought of one kind, over a socket, behind what answers as a cache does."""
    with ExitStack() as stack:

        def open_one(kind: str, spoil: Callable[[Answer], Answer] = aged) -> None:
            binding = bind(stack.enter_context(gateway(sandbox.url, spoil)), kind)
            world.runtime = replace(world.runtime, providers={kind: binding}, kinds={kind: kinds()[kind]})

        yield open_one


def aged(answer: Answer) -> Answer:
    """As it is, and said to be old."""
    return answer._replace(headers={**answer.headers, "Age": "240"})


def searches(world: Wishing) -> int:
    return int(world.wishes()[0]["searches"])


def searched(world: Wishing, times: int) -> None:
    """Let so many further searches be made, each as soon as it may be."""
    until = searches(world) + times
    for _ in range(100):
        if searches(world) >= until:
            return
        world.later(seconds=20)
        world.turn()
    raise AssertionError(world.wishes())


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_shows_is_bought_and_the_rest_is_waited_for(
    world: Wishing, sandbox: SandboxServer, cached: Cached, kind: str
) -> None:
    cached(kind)
    sandbox.control.stock(kind, area(415, 3))
    order = world.wish(4, providers=[kind], prefix="415")
    searched(world, 5)
    assert world.alive() == area(415, 3)
    state, reason = world.state()
    assert state == "open"
    assert f"{kind}: the search may lack some, for it was answered with a list that a cache has kept" in str(reason)
    sandbox.control.stock(kind, area(415, 4))
    searched(world, 1)
    world.until_completed(order)
    assert (world.alive(), world.state()[0]) == (area(415, 4), "reached")


def test_it_ends_once_answers_are_of_now(world: Wishing, sandbox: SandboxServer, cached: Cached) -> None:
    spoiled = [SPOILED["a copy of some cache"]]
    cached("signalwire", lambda answer: spoiled[0](answer) if spoiled else answer)
    sandbox.control.stock("signalwire", [])
    order = world.wish(2, providers=["signalwire"], prefix="415")
    searched(world, 4)
    assert world.state()[0] == "open"
    spoiled.clear()
    searched(world, 2)
    world.until_completed(order)
    assert world.state()[0] == "failed"
