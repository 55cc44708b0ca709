"""What every adapter must do, against its sandbox, over a real socket."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from schemas.outcomes import LookKind, OutcomeKind
from tasks.conformance.fixtures import NUMBER, OTHER, adapter, bought, buy, charged, look, wait_until
from tasks.providers.adapter import Ask, Known, ProviderError, SearchQuery, Unsupported
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer

UNKNOWN = OutcomeKind.UNKNOWN


def test_a_purchase_is_charged_once_and_known_by_its_id(sandbox: SandboxServer, kind: str) -> None:
    outcome = buy(adapter(sandbox, kind))
    assert outcome.kind is OutcomeKind.PURCHASED
    (charge,) = sandbox.control.charges(kind)
    assert charge["number"] == NUMBER
    assert outcome.provider_number_id == (charge["provider_number_id"] if kinds()[kind].sandbox.api.has_ids else None)
    assert len(sandbox.control.calls(kind)) == 1


@pytest.mark.parametrize(
    ("fault", "params", "wanted", "charges"),
    [
        ("throttle", {"retry_after": 7}, OutcomeKind.THROTTLED, 0),
        ("throttle", {"retry_after": None}, OutcomeKind.THROTTLED, 0),
        ("refuse", {}, OutcomeKind.REFUSED, 0),
        ("account", {"reason": "credentials"}, OutcomeKind.ACCOUNT, 0),
        ("account", {"reason": "balance"}, OutcomeKind.ACCOUNT, 0),
        ("account", {"reason": "quota"}, OutcomeKind.ACCOUNT, 0),
        ("error_before", {}, UNKNOWN, 0),
        ("error_after", {}, UNKNOWN, 1),
        ("cut_before", {}, UNKNOWN, 0),
        ("cut_after", {}, UNKNOWN, 1),
        ("html", {}, UNKNOWN, 1),
        ("missing_item", {}, UNKNOWN, 1),
        ("wrong_number", {}, UNKNOWN, 1),
        ("slow", {"seconds": 0.2}, OutcomeKind.PURCHASED, 1),
        ("drip", {"seconds": 0.3}, OutcomeKind.PURCHASED, 1),
        ("status", {"status": 503, "body": {"message": "down"}}, UNKNOWN, 0),
        ("status", {"status": 302, "headers": {"Location": "/elsewhere"}}, UNKNOWN, 0),
        ("status", {"status": 200, "body": {}, "charge": True}, UNKNOWN, 1),
    ],
)
def test_faults(sandbox: SandboxServer, kind: str, fault: str, params: Any, wanted: OutcomeKind, charges: int) -> None:
    provider = adapter(sandbox, kind)
    sandbox.control.plan(kind, fault, **params)
    outcome = buy(provider)
    assert outcome.kind is wanted
    assert outcome.retry_after == (params.get("retry_after") if fault == "throttle" else None)
    assert (outcome.error_code is None) is outcome.yes
    assert len(charged(sandbox, kind)) == charges
    assert len(sandbox.control.calls(kind)) == 1


@pytest.mark.parametrize(("fault", "charges"), [("silence_before", 0), ("silence_after", 1), ("drip", 1), ("slow", 1)])
def test_the_deadline_is_for_the_whole_call(sandbox: SandboxServer, kind: str, fault: str, charges: int) -> None:
    provider = adapter(sandbox, kind)
    ask = provider.prepare(Ask(number=NUMBER))
    assert isinstance(ask, Ask)
    seconds: Any = {} if fault.startswith("silence") else {"seconds": 30.0}
    hasty = adapter(sandbox, kind, timeout=0.3)
    wait_until(lambda: isinstance(hasty.prepare(ask), Ask))
    sandbox.control.plan(kind, fault, **seconds)
    began = time.monotonic()
    (outcome,) = hasty.buy([ask])
    assert time.monotonic() - began < 15
    assert (outcome.kind, outcome.error_code) == (UNKNOWN, "read_timeout")
    wait_until(lambda: len(charged(sandbox, kind)) == charges)


@pytest.mark.parametrize(("fault", "found"), [("cut_after", LookKind.OWNED), ("cut_before", LookKind.ABSENT)])
def test_a_doubt_is_settled_by_a_look(sandbox: SandboxServer, kind: str, fault: str, found: LookKind) -> None:
    provider = adapter(sandbox, kind)
    sandbox.control.own(kind, [OTHER])
    sandbox.control.plan(kind, fault)
    assert buy(provider).kind is UNKNOWN
    if provider.lookup == "none":
        with pytest.raises(Unsupported):
            look(provider)
        return
    seen = look(provider)
    assert seen.kind is found
    if found is LookKind.OWNED:
        assert seen.provider_number_id == sandbox.control.charges(kind)[0]["provider_number_id"]


def test_a_purchase_that_shows_late_is_absent_first(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind)
    if provider.lookup == "none":
        pytest.skip("no look-up is documented")
    sandbox.control.own(kind, [OTHER])
    sandbox.control.plan(kind, "late_show", seconds=1.0)
    began = time.monotonic()
    assert buy(provider).kind is UNKNOWN
    first = look(provider).kind
    assert first is LookKind.ABSENT or time.monotonic() - began > 1.0
    wait_until(lambda: look(provider).kind is LookKind.OWNED)
    assert charged(sandbox, kind) == [NUMBER]


def test_many_numbers_are_looked_up_at_once(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind)
    if provider.lookup == "none":
        pytest.skip("no look-up is documented")
    ours = [f"+1415555{n:04d}" for n in range(0, 210, 2)]
    sandbox.control.own(kind, ours)
    asked = [f"+1415555{n:04d}" for n in range(200, 208)]
    looks = provider.look(dict.fromkeys(asked))
    assert [number for number, seen in looks.items() if seen.kind is LookKind.OWNED] == asked[::2]
    assert [number for number, seen in looks.items() if seen.kind is LookKind.ABSENT] == asked[1::2]


@pytest.mark.parametrize("fault", ["error_before", "cut_before", "html", "throttle", "account"])
def test_a_reading_call_that_fails_settles_nothing(sandbox: SandboxServer, kind: str, fault: str) -> None:
    provider = adapter(sandbox, kind)
    if provider.lookup == "none":
        pytest.skip("no reading call is documented")
    sandbox.control.own(kind, [NUMBER])
    sandbox.control.plan(kind, fault, on="read")
    seen = look(provider)
    assert seen.kind is LookKind.UNCLEAR
    assert seen.account is (fault == "account")
    assert seen.retry_after == (1.0 if fault == "throttle" else None)
    assert look(provider).kind is LookKind.OWNED
    for call in (lambda: provider.search(SearchQuery(prefix="415")), lambda: list(provider.owned())):
        # Who gets a new token after a 401 asks twice.
        sandbox.control.plan(kind, fault, on="read", times=2)
        with pytest.raises(ProviderError):
            call()
        with suppress(ProviderError):
            list(provider.owned())


def test_what_a_search_offers_can_be_bought(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind)
    if not provider.can_search:
        with pytest.raises(Unsupported):
            provider.search(SearchQuery())
        return
    found = provider.search(SearchQuery(country="US", prefix="415", limit=3))
    assert len({candidate.number for candidate in found}) == 3
    assert all(candidate.number.startswith("+1415") for candidate in found)
    options = {"stock_item_id": found[0].stock_item_id} if found[0].stock_item_id else {}
    (outcome,) = provider.buy([Ask(number=found[0].number, options=options)])
    assert bought(provider, outcome, found[0].number).kind is OutcomeKind.PURCHASED
    assert charged(sandbox, kind) == [found[0].number]


def test_owned_walks_every_page(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind)
    ours = {f"+1415555{n:04d}" for n in range(1205)}
    sandbox.control.own(kind, ours)
    if provider.lookup == "none":
        with pytest.raises(Unsupported):
            provider.owned()
        return
    walked = list(provider.owned())
    assert len(walked) == len(ours)
    assert {entry.number for entry in walked} == ours
    assert len({entry.provider_number_id for entry in walked}) == len(ours)


def test_a_number_that_is_not_for_sale_is_refused(sandbox: SandboxServer, kind: str) -> None:
    sandbox.control.stock(kind, [OTHER])
    provider = adapter(sandbox, kind)
    assert buy(provider).kind is OutcomeKind.REFUSED
    assert buy(provider, OTHER).kind is OutcomeKind.PURCHASED
    assert charged(sandbox, kind) == [OTHER]


def test_a_wrong_token_is_the_account_s_matter(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind, token="wrong-token")  # noqa: S106 - it is wrong
    outcome = buy(provider)
    assert (outcome.kind, outcome.http_status) == (OutcomeKind.ACCOUNT, 401)
    if provider.lookup != "none":
        assert look(provider).account
        assert [(check.name, check.ok) for check in provider.check()] == [("connection", True), ("token", False)]
    assert charged(sandbox, kind) == []


def test_the_check_costs_nothing(sandbox: SandboxServer, kind: str) -> None:
    checks = adapter(sandbox, kind).check()
    assert checks[0].name == "connection"
    assert all(check.ok is not False for check in checks)
    assert sandbox.control.calls(kind) == []


def test_nothing_is_sent_where_nobody_listens(kind: str) -> None:
    with SandboxServer(port=0) as stopped:
        provider = adapter(stopped, kind)
    assert buy(provider).kind is OutcomeKind.NOT_SENT
    if provider.lookup != "none":
        assert look(provider).kind is LookKind.UNCLEAR
    assert next((check.name, check.ok) for check in provider.check()) == ("connection", False)


def test_one_adapter_serves_many_threads(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind)
    numbers = [f"+1415555{n:04d}" for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: buy(provider, number), numbers))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.PURCHASED}
    assert sorted(charged(sandbox, kind)) == numbers


def test_a_batch_is_mapped_back_number_by_number(sandbox: SandboxServer, kind: str) -> None:
    provider = adapter(sandbox, kind)
    size = provider.max_batch
    if size == 1:
        pytest.skip("one number in a call is documented")
    numbers = [f"+1415555{n:04d}" for n in range(size)]
    asks = [ask for number in numbers if isinstance(ask := provider.prepare(Ask(number=number)), Ask)]
    sandbox.control.plan(kind, "missing_item", number=numbers[1])
    outcomes = provider.buy(asks)
    assert len(sandbox.control.calls(kind)) == 1
    found = [bought(provider, outcome, number).kind for number, outcome in zip(numbers, outcomes, strict=True)]
    assert found == [UNKNOWN if number == numbers[1] else OutcomeKind.PURCHASED for number in numbers]
    assert charged(sandbox, kind) == numbers


@pytest.mark.parametrize(
    ("fault", "params", "wanted", "charges"),
    [
        ("error_before", {}, UNKNOWN, 0),
        ("error_after", {}, UNKNOWN, 3),
        ("cut_before", {}, UNKNOWN, 0),
        ("cut_after", {}, UNKNOWN, 3),
        ("html", {}, UNKNOWN, 3),
        ("status", {"status": 400}, UNKNOWN, 0),
        ("status", {"status": 422}, UNKNOWN, 0),
        ("status", {"status": 403}, UNKNOWN, 0),
        ("status", {"status": 429}, UNKNOWN, 0),
        ("account", {"reason": "credentials"}, OutcomeKind.ACCOUNT, 0),
    ],
)
def test_a_batch_that_is_answered_as_a_whole_is_in_doubt_number_by_number(
    sandbox: SandboxServer, kind: str, fault: str, params: Any, wanted: OutcomeKind, charges: int
) -> None:
    provider = adapter(sandbox, kind)
    if provider.max_batch == 1:
        pytest.skip("one number in a call is documented")
    numbers = [f"+1415555{n:04d}" for n in range(3)]
    asks = [
        replace(ask, reference="call-1")
        for number in numbers
        if isinstance(ask := provider.prepare(Ask(number=number)), Ask)
    ]
    sandbox.control.own(kind, [OTHER])
    sandbox.control.plan(kind, fault, **params)
    assert [outcome.kind for outcome in provider.buy(asks)] == [wanted] * 3
    assert len(charged(sandbox, kind)) == charges
    if provider.lookup != "none":
        looks = provider.look(dict.fromkeys(numbers, Known(references=("call-1",) if provider.keeps_reference else ())))
        assert {look.kind for look in looks.values()} == {LookKind.OWNED if charges else LookKind.ABSENT}
