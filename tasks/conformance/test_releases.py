"""Giving numbers back: the documented answer alone says that it is done, and the list shows it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.conformance.fixtures import NUMBER, OTHER, adapter, look
from tasks.providers.adapter import Adapter, releasing
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer


def owned(provider: Adapter, number: str = NUMBER) -> str:
    """The id by which the provider knows a number of ours."""
    found = look(provider, number)
    assert found.kind is LookKind.OWNED
    assert found.provider_number_id
    return found.provider_number_id


def give_back(provider: Adapter, number: str, known: str) -> ReleaseOutcome:
    found = releasing(provider)
    assert found is not None
    return found.release(number, known)


@pytest.fixture
def provider(sandbox: SandboxServer, kind: str) -> Adapter:
    """An adapter of a kind that gives numbers back, with two numbers."""
    if not kinds()[kind].releases:
        assert releasing(adapter(sandbox, kind)) is None
        pytest.skip("no documents say how a number of this kind is given back")
    sandbox.control.own(kind, [OTHER, NUMBER])
    return adapter(sandbox, kind)


def test_a_number_is_given_back_once_and_no_other(sandbox: SandboxServer, kind: str, provider: Adapter) -> None:
    known = owned(provider)
    assert give_back(provider, NUMBER, known).kind in (ReleaseKind.RELEASED, ReleaseKind.ACCEPTED)
    assert look(provider).kind is LookKind.ABSENT
    assert sandbox.control.owned(kind) == [OTHER]
    again = give_back(provider, NUMBER, known)
    assert again.kind is ReleaseKind.REFUSED
    assert [one["executed"] for one in sandbox.control.returns(kind)] == [True]


@pytest.mark.parametrize(
    ("fault", "params", "wanted", "gone"),
    [
        ("throttle", {"retry_after": 7}, ReleaseKind.THROTTLED, False),
        ("account", {"reason": "credentials"}, ReleaseKind.ACCOUNT, False),
        ("error_before", {}, ReleaseKind.UNKNOWN, False),
        ("error_after", {}, ReleaseKind.UNKNOWN, True),
        ("cut_before", {}, ReleaseKind.UNKNOWN, False),
        ("cut_after", {}, ReleaseKind.UNKNOWN, True),
        ("status", {"status": 503}, ReleaseKind.UNKNOWN, False),
        ("status", {"status": 302, "headers": {"Location": "/elsewhere"}}, ReleaseKind.UNKNOWN, False),
        ("status", {"status": 404}, ReleaseKind.REFUSED, False),
        ("status", {"status": 410}, ReleaseKind.UNKNOWN, False),
    ],
)
def test_faults(
    sandbox: SandboxServer, kind: str, provider: Adapter, *, fault: str, params: Any, wanted: ReleaseKind, gone: bool
) -> None:
    known = owned(provider)
    sandbox.control.plan(kind, fault, on="release", **params)
    outcome = give_back(provider, NUMBER, known)
    assert outcome.kind is wanted
    assert outcome.error
    assert outcome.retry_after == params.get("retry_after")
    assert len(sandbox.control.returns(kind)) == 1
    assert (NUMBER not in sandbox.control.owned(kind)) is gone


@pytest.mark.parametrize(
    ("status", "body"), [(200, {}), (200, {"data": {}}), (200, "<html></html>"), (204, "x"), (206, None)]
)
def test_an_answer_that_is_not_the_documented_one_is_no_release(
    sandbox: SandboxServer, kind: str, provider: Adapter, status: int, body: Any
) -> None:
    known = owned(provider)
    sandbox.control.plan(kind, "status", on="release", status=status, body=body)
    outcome = give_back(provider, NUMBER, known)
    if status != 204:  # whose body HTTP leaves out
        assert outcome.kind in (ReleaseKind.UNKNOWN, ReleaseKind.ACCEPTED)


@pytest.mark.parametrize("known", ["../numbers", "a/b", "", "x" * 101, "a b", "%2e", "id?x=1"])
def test_an_id_that_is_none_goes_into_no_path(sandbox: SandboxServer, kind: str, provider: Adapter, known: str) -> None:
    outcome = give_back(provider, NUMBER, known)
    assert (outcome.kind, outcome.error_code) == (ReleaseKind.REFUSED, "bad_id")
    assert sandbox.control.returns(kind) == []


def test_what_was_bought_again_is_not_given_back_by_its_former_id(
    sandbox: SandboxServer, kind: str, provider: Adapter
) -> None:
    known = owned(provider)
    give_back(provider, NUMBER, known)
    sandbox.control.own(kind, [NUMBER])
    if owned(provider) == known:
        pytest.skip("the number is all that names it")
    assert give_back(provider, NUMBER, known).kind is ReleaseKind.REFUSED
    assert NUMBER in sandbox.control.owned(kind)
