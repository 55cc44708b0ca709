"""Criteria that only some searches can be asked for: each kind's sandbox is asked, and its answer is checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.by_criteria.criteria import Criteria
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tasks.supply.candidates import Found, find
from tests.tasks.shops import bind
from tests.tasks.support import World


def search(world: World, sandbox: SandboxServer, alias: str, **fields: Any) -> Found:
    binding = bind(sandbox.url, alias)
    runtime = replace(world.runtime, providers={alias: binding}, kinds={alias: kinds()[alias]})
    return find(runtime, Criteria.model_validate({"prefix": "415", "providers": [alias], **fields}), 3)


@pytest.mark.parametrize("alias", ["twilio", "telnyx", "signalwire", "vonage"])
def test_types_are_asked_for(world: World, sandbox: SandboxServer, alias: str) -> None:
    assert len(search(world, sandbox, alias, type="local").offers) >= 3


@pytest.mark.parametrize("alias", ["twilio", "telnyx", "signalwire", "vonage", "plivo"])
def test_features_are_read_from_the_answer(world: World, sandbox: SandboxServer, alias: str) -> None:
    assert len(search(world, sandbox, alias, features=["voice", "sms"]).offers) >= 3


@pytest.mark.parametrize("alias", ["telnyx", "vonage", "plivo"])
def test_what_the_answer_does_not_show_a_number_does_not_have(world: World, sandbox: SandboxServer, alias: str) -> None:
    sandbox.control.stock(alias, [f"+1415555{n:04d}" for n in range(5)])
    assert search(world, sandbox, alias, features=["mms"]).offers == []


def test_digits_in_a_number(world: World, sandbox: SandboxServer) -> None:
    found = search(world, sandbox, "twilio", contains="777")
    assert len(found.offers) >= 3
    assert all("777" in one.number for one in found.offers)
    assert "2 digits or more" in search(world, sandbox, "twilio", contains="7").reasons["twilio"]


@pytest.mark.parametrize(
    ("alias", "fields", "told"),
    [
        ("fluents", {"type": "local"}, "cannot be asked for type"),
        ("vogent", {"features": ["sms"], "contains": "55"}, "cannot be asked for features and contains"),
        ("signalwire", {"contains": "555"}, "cannot be asked for contains"),
        ("signalwire", {"type": "mobile"}, "SignalWire sells local and toll-free numbers only"),
        ("twilio", {"max_price": "1 USD"}, "tells no price when it is searched"),
        ("timepay", {}, "cannot be searched"),
    ],
)
def test_who_cannot_tell_is_passed_over_with_a_reason(
    world: World, sandbox: SandboxServer, alias: str, fields: dict[str, Any], told: str
) -> None:
    found = search(world, sandbox, alias, **fields)
    assert found.offers == []
    assert told in found.reasons[alias]
    assert found.later == set()


def test_the_cheapest_come_first(world: World, sandbox: SandboxServer) -> None:
    aliases = ("telnyx", "plivo", "vonage")
    for n, alias in enumerate(aliases):
        sandbox.control.stock(alias, [f"+1415555{n}{tail:03d}" for tail in range(5)])
    bindings = {alias: bind(sandbox.url, alias) for alias in aliases}
    runtime = replace(world.runtime, providers=bindings, kinds={alias: kinds()[alias] for alias in aliases})
    criteria = Criteria.model_validate({"prefix": "415", "providers": aliases, "prefer": "cheapest"})
    found = find(runtime, criteria, 3)
    prices = [one.price.monthly for one in found.offers if one.price and one.price.monthly is not None]
    assert prices == sorted(prices)
    assert found.offers[0].provider == "plivo"
    assert found.reasons["vonage"].startswith("its prices are in EUR, and those of others in USD")
