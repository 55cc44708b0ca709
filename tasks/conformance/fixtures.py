"""A pytest plugin: the sandbox, and the kinds that the suite is for (`--kind`, all where none is named)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from schemas.config.provider import SANDBOX_TOKEN
from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from tasks.providers.adapter import Adapter, Ask, Known
from tasks.providers.configured import sandbox_provider
from tasks.providers.registry import build, kinds
from tasks.providers.transport.turns import at_once, in_turn
from tasks.sandbox import SandboxServer

NUMBER, OTHER = "+14155550100", "+14155550101"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --kind."""
    parser.addoption("--kind", action="append", default=[], help="a kind of providers; all where none is named")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test for each kind."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", metafunc.config.getoption("--kind") or list(kinds()))


@pytest.fixture(autouse=True)
def _every_call_has_its_turn() -> Iterator[None]:
    with in_turn(at_once):
        yield


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxServer]:
    """One sandbox for all tests."""
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    """The sandbox, as new."""
    running.control.reset()
    running.control.provisioning(0)
    return running


def adapter(sandbox: SandboxServer, kind: str, token: str = SANDBOX_TOKEN, **policy: Any) -> Adapter:
    """An adapter for the sandbox, with time-outs for a loaded machine."""
    return at(sandbox.url, kind, token, **policy)


def at(url: str, kind: str, token: str = SANDBOX_TOKEN, **policy: Any) -> Adapter:
    """An adapter for a sandbox at *url*."""
    patient = {"timeout": 20.0, "connect_timeout": 10.0, **policy}
    return build(sandbox_provider(kind, url, patient), token)


def buy(provider: Adapter, number: str = NUMBER) -> Outcome:
    """What one purchase comes to."""
    with in_turn(at_once):  # a thread has its own
        ask = provider.prepare(Ask(number=number))
    if isinstance(ask, Outcome):
        return ask
    (outcome,) = provider.buy([ask])
    return bought(provider, outcome, number)


def bought(provider: Adapter, outcome: Outcome, number: str = NUMBER) -> Outcome:
    """What a yes comes to that tells only later of the number: its end, and the number's id."""
    order = outcome.provider_order_id
    nameless = outcome.kind is OutcomeKind.PROCESSING and outcome.provider_number_id is None
    if not outcome.yes or (order is None and not nameless):
        return outcome
    if outcome.kind is OutcomeKind.PURCHASED and outcome.provider_number_id:
        return outcome
    ended: list[Look] = []

    def over() -> bool:
        with in_turn(at_once):
            found = provider.look({number: Known(order_id=order)})[number]
        ended.append(found)
        return found.kind is not LookKind.PROCESSING

    wait_until(over)
    kind = {LookKind.OWNED: OutcomeKind.PURCHASED, LookKind.REFUSED: OutcomeKind.REFUSED}.get(ended[-1].kind)
    assert kind is not None, ended[-1]
    end = ended[-1]
    return replace(
        outcome, kind=kind, provider_number_id=end.provider_number_id, error=end.error, error_code=end.error_code
    )


def look(provider: Adapter, number: str = NUMBER, known: str | None = None) -> Look:
    """What a look at one number finds."""
    looks = provider.look({number: Known(number_id=known)})
    assert list(looks) == [number]
    return looks[number]


def wait_until(done: Callable[[], bool]) -> None:
    """Wait until it is so, 20 seconds at most."""
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline, "waited for 20 seconds"
        time.sleep(0.02)


def charged(sandbox: SandboxServer, kind: str) -> list[str]:
    """The numbers that were charged, in order."""
    return [charge["number"] for charge in sandbox.control.charges(kind)]
