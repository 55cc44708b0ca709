from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import ProviderError
from tasks.providers.reading import lookups
from tasks.providers.reading.claims import Claims
from tasks.providers.reading.list_page import Entry, Page
from tasks.providers.reading.lookups import look_each, look_list, look_through, unclear, walk
from tests.tasks.providers.adapters import NUMBER, OTHER

A, B, C = (Entry(f"+1415555010{n}", f"id-{n}") for n in range(3))
PAGES = {
    None: Page(entries=[A], following="a"),
    "a": Page(entries=[], following="b"),
    "b": Page(entries=[B, C]),
}
OWNED = Look(kind=LookKind.OWNED)
UNREAD = Outcome(kind=OutcomeKind.UNKNOWN, error="unread")


def test_a_walk_gives_all_pages_in_order() -> None:
    assert list(walk(PAGES.__getitem__)) == [A, B, C]


def test_a_walk_fetches_only_what_is_asked_for() -> None:
    assert next(walk({None: PAGES[None]}.__getitem__)) == A


@pytest.mark.parametrize("circle", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}])
def test_a_walk_in_circles_ends(circle: dict[str | None, str]) -> None:
    with pytest.raises(ProviderError, match="no end") as caught:
        list(walk(lambda cursor: Page(entries=[], following=circle[cursor])))
    assert caught.value.outcome.error_code == "endless_list"


def test_a_page_that_comes_again_ends_the_walk() -> None:
    with pytest.raises(ProviderError, match="no end"):
        list(walk(lambda cursor: Page(entries=[A, B], following="b" if cursor is None else None)))


def test_a_walk_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MAX_PAGES", 7)
    calls: list[str | None] = []

    def fetch(cursor: str | None) -> Page:
        calls.append(cursor)
        return Page(entries=[], following=f"c{len(calls)}")

    with pytest.raises(ProviderError):
        list(walk(fetch))
    assert len(calls) == 7


@pytest.mark.parametrize("spoilt", PAGES)
def test_a_walk_past_what_cannot_be_read_shows_the_rest_and_raises(spoilt: str | None) -> None:
    good = PAGES[spoilt]
    pages = {**PAGES, spoilt: Page(entries=good.entries, following=good.following, unread=UNREAD)}
    shown = []
    with pytest.raises(ProviderError, match="unread"):
        shown.extend(walk(pages.__getitem__))
    assert list(lookups.owned(iter([A]))) == [OwnedNumber(number=A.number, provider_number_id="id-0")]
    found = look_through(walk(pages.__getitem__), [C.number, NUMBER[:-1] + "9"])
    assert [look.kind for look in found.values()] == [LookKind.OWNED, LookKind.UNCLEAR]


@pytest.mark.parametrize(
    ("totals", "whole"), [((3, 3), True), ((3, 4), True), ((4, 3), False), ((4, 4), False), ((4, None), False)]
)
def test_a_list_that_is_shorter_than_it_says_is_not_whole(totals: tuple[int | None, ...], whole: bool) -> None:
    pages = {
        None: Page(entries=[A], following="a", total=totals[0]),
        "a": Page(entries=[A, B, C], total=totals[1]),
    }
    if whole:
        assert list(walk(pages.__getitem__)) == [A, A, B, C]
        return
    with pytest.raises(ProviderError, match=r"shows 3 numbers and says that it has 4|became shorter"):
        list(walk(pages.__getitem__))


@pytest.mark.parametrize(("body", "header", "whole"), [(1, 1, True), (1, 2, False), (2, 1, False), (None, 2, False)])
def test_of_two_totals_on_one_page_the_larger_counts(body: int | None, header: int, whole: bool) -> None:
    page = Page(entries=[A], total=body, claims=Claims(total=header))
    if whole:
        assert list(walk(lambda _: page)) == [A]
        return
    with pytest.raises(ProviderError, match="shows 1 numbers and says that it has 2"):
        list(walk(lambda _: page))


def paged(*walks: list[list[Entry]]) -> tuple[Callable[[str | None], Page], list[str | None]]:
    """A list of pages, another at each walk through it; and the cursors that are asked for."""
    asked: list[str | None] = []

    def fetch(cursor: str | None) -> Page:
        asked.append(cursor)
        pages = walks[asked.count(None) - 1]
        index = int(cursor or 0)
        return Page(entries=pages[index], following=str(index + 1) if index + 1 < len(pages) else None)

    return fetch, asked


D = Entry("+14155550103", "id-3")


@pytest.mark.parametrize(
    ("walks", "found"),
    [
        ([[[A, B], [C]], [[A, B], [C]]], LookKind.ABSENT),
        # ours moves up as B goes, and is shown by the second walk alone
        ([[[A, B], [C]], [[A, D], [C]]], LookKind.OWNED),
        ([[[A, B], [C]], [[A, C]]], LookKind.UNCLEAR),
        ([[[A, B], [C]], [[A, Entry(B.number, "another")], [C]]], LookKind.UNCLEAR),
        # one more, in another state, in another order, in fewer pages
        ([[[A, B], [C]], [[A, B], [C, Entry(OTHER, "new")]]], LookKind.ABSENT),
        ([[[A, B], [C]], [[A, Entry(B.number, "id-1", LookKind.LOST)], [C]]], LookKind.ABSENT),
        ([[[A, B], [C]], [[C, B, A]]], LookKind.ABSENT),
    ],
)
def test_a_list_of_several_pages_is_read_twice_before_a_number_is_not_in_it(walks: Any, found: LookKind) -> None:
    fetch, asked = paged(*walks)
    assert look_list(fetch, [D.number])[D.number].kind is found
    assert asked.count(None) == 2


def test_a_list_is_read_once_where_it_has_one_page_or_shows_all() -> None:
    fetch, asked = paged([[A, B]])
    assert look_list(fetch, [D.number])[D.number].kind is LookKind.ABSENT
    assert asked == [None]
    fetch, asked = paged([[A, B], [D]])
    assert look_list(fetch, [D.number])[D.number].kind is LookKind.OWNED
    assert asked == [None, "1"]


def test_what_a_provider_has_shown_before_counts_beside_its_list() -> None:
    for kind in (LookKind.OWNED, LookKind.LOST):
        found = look_list(paged([[B, C]])[0], [NUMBER], [record(kind)])
        assert found[NUMBER].kind is kind


def outcome(kind: OutcomeKind) -> Outcome:
    return Outcome(kind=kind, error="why", retry_after=3.0 if kind is OutcomeKind.THROTTLED else None)


def breaking(*entries: Entry, kind: OutcomeKind = OutcomeKind.UNKNOWN) -> Iterator[Entry]:
    yield from entries
    raise ProviderError(outcome(kind))


def record(kind: LookKind, known: str = "id") -> Entry:
    return Entry(NUMBER, known, kind)


@pytest.mark.parametrize("entries", [[], [Entry(OTHER)], [Entry(OTHER, kind=LookKind.LOST)]])
def test_absent_is_what_a_whole_walk_does_not_show(entries: list[Entry]) -> None:
    assert look_through(entries, [NUMBER]) == {NUMBER: Look(kind=LookKind.ABSENT)}
    assert look_through(breaking(*entries), [NUMBER]) == {NUMBER: unclear(outcome(OutcomeKind.UNKNOWN))}


@pytest.mark.parametrize(
    ("kinds", "whole", "broken"),
    [
        ("owned", LookKind.OWNED, LookKind.OWNED),
        ("processing", LookKind.PROCESSING, LookKind.PROCESSING),
        ("lost", LookKind.LOST, LookKind.UNCLEAR),
        ("unclear", LookKind.UNCLEAR, LookKind.UNCLEAR),
        ("lost processing", LookKind.PROCESSING, LookKind.PROCESSING),
        ("processing owned", LookKind.OWNED, LookKind.OWNED),
        ("lost unclear", LookKind.UNCLEAR, LookKind.UNCLEAR),
        ("unclear processing", LookKind.PROCESSING, LookKind.PROCESSING),
    ],
)
def test_the_best_record_counts_and_lost_is_a_finding_too(kinds: str, whole: LookKind, broken: LookKind) -> None:
    records = [record(LookKind(kind)) for kind in kinds.split()]
    for entries in (records, records[::-1]):
        for walked, wanted in ((entries, whole), (breaking(*entries), broken)):
            found = look_through(walked, [NUMBER])[NUMBER]
            assert found.kind is wanted
            assert bool(found.error) is (wanted is LookKind.UNCLEAR)


def naming(number: str, other: str, kind: LookKind = LookKind.OWNED) -> Entry:
    return Entry(number, "id", kind, {"id": "id", "forwarded": [{"to": other}]})


@pytest.mark.parametrize("number", [OTHER, ""])
def test_an_entry_that_names_another_number_leaves_that_one_open(number: str) -> None:
    third = "+14155550102"
    found = look_through([naming(number, NUMBER)], [NUMBER, third])
    assert [one.kind for one in found.values()] == [LookKind.UNCLEAR, LookKind.ABSENT]
    assert f"the entry of {number or 'what is no number'}" in (found[NUMBER].error or "")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (LookKind.OWNED, LookKind.OWNED),
        (LookKind.PROCESSING, LookKind.PROCESSING),
        (LookKind.UNCLEAR, LookKind.UNCLEAR),
        (LookKind.LOST, LookKind.UNCLEAR),
    ],
)
def test_a_number_that_is_named_elsewhere_is_ours_where_it_is_shown(kind: LookKind, wanted: LookKind) -> None:
    entries = [naming(OTHER, NUMBER), record(kind), Entry("+14155550103")]
    for order in (entries, entries[::-1]):
        assert look_through(order, [NUMBER])[NUMBER].kind is wanted
    assert look_through(breaking(*entries[::2], kind=OutcomeKind.THROTTLED), [NUMBER])[NUMBER].throttled


def test_what_is_no_number_is_not_owned() -> None:
    assert list(lookups.owned([Entry("", "id"), A])) == [OwnedNumber(number=A.number, provider_number_id="id-0")]


def test_a_walk_ends_when_all_are_found() -> None:
    walked = iter([record(LookKind.OWNED, "first"), Entry(OTHER, "other"), record(LookKind.OWNED, "second")])
    found = look_through(walked, [NUMBER, OTHER])
    assert [look.provider_number_id for look in found.values()] == ["first", "other"]
    assert len(list(walked)) == 1


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
    flags = {"account": account, "throttled": throttled, "waiting": throttled, "unsent": kind is OutcomeKind.NOT_SENT}
    wanted = Look(kind=LookKind.UNCLEAR, error="why", retry_after=retry_after, **flags)
    assert unclear(outcome(kind)) == wanted


def test_a_look_that_we_held_back_waits_and_is_no_429() -> None:
    held = Outcome(kind=OutcomeKind.NOT_SENT, error="why", retry_after=9.0)
    assert unclear(held) == Look(kind=LookKind.UNCLEAR, error="why", waiting=True, retry_after=9.0)


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


@pytest.mark.parametrize(("kind", "left"), [(OutcomeKind.THROTTLED, "abc"), (OutcomeKind.UNKNOWN, "bc")])
def test_what_a_look_leaves_open_is_left_out_unless_no_further_call_can_be_made(kind: OutcomeKind, left: str) -> None:
    def look(number: str, known: str | None) -> Look | None:
        if number == "b":
            raise ProviderError(outcome(kind))
        return None if number == "a" else OWNED

    assert "".join(look_each(dict.fromkeys("abc"), look)) == left


def test_no_numbers_need_no_call() -> None:
    assert look_each({}, lambda _number, _known: OWNED) == {}
