"""*Absent* is a finding: what an answer hides, or does not say, is never taken for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.outcomes import LookKind
from tasks.conformance.fixtures import NUMBER, OTHER, at, look
from tasks.conformance.gateway import SPOILED, by_path, gateway
from tasks.providers.adapter import ProviderError
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer

WHICH: tuple[Callable[[int], bool], ...] = (
    lambda _: True,
    lambda number: number == 0,
    lambda number: number > 0,
)
"""Which of the answers are spoiled: all, the first, all but the first."""


@pytest.mark.parametrize("way", SPOILED)
def test_a_number_that_is_ours_is_never_absent(sandbox: SandboxServer, kind: str, way: str) -> None:
    sandbox.control.own(kind, [OTHER, NUMBER])
    if kinds()[kind].lists_owned:
        for which in WHICH:
            with gateway(sandbox.url, SPOILED[way], which) as url:
                seen = look(at(url, kind))
            assert seen.kind in (LookKind.OWNED, LookKind.PROCESSING, LookKind.UNCLEAR), seen.error


def test_the_answer_about_another_number_makes_none_absent(sandbox: SandboxServer, kind: str) -> None:
    sandbox.control.own(kind, [OTHER, NUMBER])
    if kinds()[kind].lists_owned:
        with gateway(sandbox.url, kept=by_path()) as url:
            provider = at(url, kind)
            assert look(provider, OTHER).kind in (LookKind.OWNED, LookKind.PROCESSING)
            seen = look(provider)
        assert seen.kind in (LookKind.OWNED, LookKind.PROCESSING, LookKind.UNCLEAR), seen.error


@pytest.mark.parametrize("way", SPOILED)
def test_a_list_that_was_spoiled_is_no_list(sandbox: SandboxServer, kind: str, way: str) -> None:
    sandbox.control.own(kind, [OTHER, NUMBER])
    if kinds()[kind].lists_owned:
        with gateway(sandbox.url, SPOILED[way], WHICH[0]) as url, pytest.raises(ProviderError):
            list(at(url, kind).owned())
