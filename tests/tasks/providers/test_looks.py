from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from tasks.providers import looks
from tasks.providers.base import ProviderError
from tasks.providers.looks import look_each, unclear, walk

PAGES: dict[str | None, tuple[list[Mapping[str, Any]], str | None]] = {
    None: ([{"n": 1}], "a"),
    "a": ([], "b"),
    "b": ([{"n": 2}, {"n": 3}], None),
}
OWNED = Look(kind=LookKind.OWNED)


def test_a_walk_gives_all_pages_in_order() -> None:
    assert [entry["n"] for entry in walk(PAGES.__getitem__)] == [1, 2, 3]


def test_a_walk_fetches_only_what_is_asked_for() -> None:
    assert next(walk({None: PAGES[None]}.__getitem__)) == {"n": 1}


@pytest.mark.parametrize("circle", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}])
def test_a_walk_in_circles_ends(circle: dict[str | None, str]) -> None:
    with pytest.raises(ProviderError, match="no end") as caught:
        list(walk(lambda cursor: ([], circle[cursor])))
    assert caught.value.outcome.error_code == "endless_list"


def test_a_walk_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MAX_PAGES", 7)
    calls: list[str | None] = []

    def fetch(cursor: str | None) -> looks.Page:
        calls.append(cursor)
        return [], f"c{len(calls)}"

    with pytest.raises(ProviderError):
        list(walk(fetch))
    assert len(calls) == 7


def outcome(kind: OutcomeKind) -> Outcome:
    return Outcome(kind=kind, error="why", retry_after=3.0 if kind is OutcomeKind.THROTTLED else None)


def refusing(cursor: str | None, kind: OutcomeKind) -> Callable[[str | None], looks.Page]:
    """Pages of which the one at *cursor* comes only when it is asked for the third time."""
    asked: list[str | None] = []

    def fetch(wanted: str | None) -> looks.Page:
        asked.append(wanted)
        if wanted == cursor and asked.count(cursor) < 3:
            raise ProviderError(outcome(kind))
        return PAGES[wanted]

    return fetch


@pytest.mark.parametrize("cursor", PAGES)
def test_a_walk_goes_on_after_a_429_where_its_caller_waits(cursor: str | None) -> None:
    told: list[float | None] = []
    found = walk(
        refusing(cursor, OutcomeKind.THROTTLED),
        lambda throttled: told.append(throttled.outcome.retry_after if throttled else None),
    )
    assert [entry["n"] for entry in found] == [1, 2, 3]
    before = [None] * (list(PAGES).index(cursor) + 1)
    assert told == [*before, 3.0, 3.0, *[None] * (3 - len(before))]


@pytest.mark.parametrize("kind", [OutcomeKind.THROTTLED, OutcomeKind.UNKNOWN])
def test_a_walk_that_nobody_waits_for_ends_with_the_first_refusal(kind: OutcomeKind) -> None:
    found = walk(refusing("a", kind))
    assert next(found) == {"n": 1}
    with pytest.raises(ProviderError) as caught:
        next(found)
    assert caught.value.outcome.kind is kind


@pytest.mark.parametrize(
    ("kind", "account", "retry_after"),
    [
        (OutcomeKind.ACCOUNT, True, None),
        (OutcomeKind.THROTTLED, False, 3.0),
        (OutcomeKind.NOT_SENT, False, None),
        (OutcomeKind.UNKNOWN, False, None),
        (OutcomeKind.REFUSED, False, None),
    ],
)
def test_a_failed_look_is_unclear(kind: OutcomeKind, account: bool, retry_after: float | None) -> None:
    throttled = kind is OutcomeKind.THROTTLED
    flags = {"account": account, "throttled": throttled, "waiting": throttled}
    wanted = Look(kind=LookKind.UNCLEAR, error="why", retry_after=retry_after, **flags)
    assert unclear(outcome(kind)) == wanted


@pytest.mark.parametrize(
    ("kind", "asked"), [(OutcomeKind.ACCOUNT, "ab"), (OutcomeKind.THROTTLED, "ab"), (OutcomeKind.UNKNOWN, "abc")]
)
def test_looks_go_on_unless_nobody_gets_through(kind: OutcomeKind, asked: str) -> None:
    calls = []

    def look(number: str, known: str | None) -> Look:
        calls.append(number)
        if number == "b":
            raise ProviderError(outcome(kind))
        return OWNED

    found = look_each(dict.fromkeys("abc"), look)
    assert "".join(calls) == asked
    assert found["a"] is OWNED
    assert found["b"] == unclear(outcome(kind))
    assert found["c"] == (OWNED if asked == "abc" else found["b"])


def test_no_numbers_need_no_call() -> None:
    assert look_each({}, lambda _number, _known: OWNED) == {}
