"""Orders of several numbers, where a provider takes them and tells later: by our name of the call, by the adapters."""

from __future__ import annotations

import pytest

from schemas.outcomes import LookKind
from tasks.providers.adapter import Ask, Known
from tasks.sandbox import SandboxServer
from tests.tasks.shops import bind

NUMBERS = FIRST, SECOND = ("+14155550101", "+14155550102")
REFERENCE = "a call of ours"


def looks(sandbox: SandboxServer, kind: str) -> list[LookKind]:
    """Buy both in one call, and ask for each by the call's name."""
    adapter = bind(sandbox.url, kind).adapter
    sandbox.control.provisioning(0)
    asks = [Ask(number=number, reference=REFERENCE) for number in NUMBERS]
    assert [adapter.prepare(ask) for ask in asks] == asks
    adapter.buy(asks)
    found = adapter.look(dict.fromkeys(NUMBERS, Known(references=(REFERENCE,))))
    return [found[number].kind for number in NUMBERS]


@pytest.mark.parametrize("kind", ["telnyx", "bandwidth"])
@pytest.mark.parametrize("fault", ["error_after", "cut_after", "html", "slow"])
def test_an_order_names_what_it_refused_whatever_became_of_its_answer(
    sandbox: SandboxServer, kind: str, fault: str
) -> None:
    sandbox.control.plan(kind, "refuse", FIRST)
    sandbox.control.plan(kind, fault, SECOND)
    assert looks(sandbox, kind) == [LookKind.REFUSED, LookKind.OWNED]


@pytest.mark.parametrize("kind", ["telnyx", "bandwidth"])
@pytest.mark.parametrize("fault", ["error_before", "cut_before", "throttle", "account"])
def test_what_was_not_executed_is_no_order(sandbox: SandboxServer, kind: str, fault: str) -> None:
    sandbox.control.plan(kind, "refuse", FIRST)
    sandbox.control.plan(kind, fault, SECOND)
    assert looks(sandbox, kind) == [LookKind.ABSENT] * 2


@pytest.mark.parametrize("kind", ["telnyx", "bandwidth"])
def test_an_order_shows_all_of_its_numbers_or_not_yet(sandbox: SandboxServer, kind: str) -> None:
    sandbox.control.plan(kind, "late_show", SECOND, seconds=600)
    assert looks(sandbox, kind) == [LookKind.OWNED, LookKind.ABSENT]
