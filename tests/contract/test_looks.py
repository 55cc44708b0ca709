"""A look must not fail open: what is no whole, well-formed answer says of no number that it is not ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate

import pytest

from schemas.outcomes import LookKind
from tasks.providers.adapter import Adapter, Ask, Known, ProviderError, SearchQuery
from tasks.providers.transport import freshness
from tasks.providers.transport.turns import Gate, in_turn
from tests.contract.caches import FRESH, KEPT
from tests.contract.documented import (
    BEGINS,
    CONTAINING,
    FIFTH,
    FILTER,
    FOURTH,
    LOOKS,
    NUMBER,
    OTHER,
    THIRD,
    Said,
    gets,
    hostile,
    listed,
    looked,
    naming,
    of_another_question,
    page,
)
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import ID, adapter

OPERATIONS: dict[str, Callable[[Adapter], object]] = {
    "look": lambda provider: provider.look({NUMBER: Known(number_id=ID)}),
    "look at two": lambda provider: provider.look({NUMBER: Known(number_id=ID), FIFTH: Known(number_id=ID)}),
    "owned": lambda provider: list(provider.owned()),
    "search": lambda provider: provider.search(SearchQuery(prefix="415")),
    "prepare": lambda provider: provider.prepare(Ask(number=NUMBER)),
    "check": lambda provider: provider.check(),
}


@pytest.fixture(params=LOOKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(kind: str, server: ScriptedServer) -> Adapter:
    return adapter(kind, server.url, policy={"timeout": 20.0})


def look(provider: Adapter, server: ScriptedServer, answers: list[Said]) -> LookKind:
    server.clear()
    server.queue(*(one.raw for one in answers))
    return provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind


def test_a_whole_list_without_the_number_makes_it_absent(kind: str, provider: Adapter, server: ScriptedServer) -> None:
    for pages in ((), ([],), ([OTHER, THIRD],), ([OTHER], [FOURTH], [THIRD])):
        answers = looked(kind, *pages)
        server.seen.clear()
        assert look(provider, server, answers) is LookKind.ABSENT
        assert len(server.seen) == len(answers)


def test_a_number_that_is_shown_is_ours_whatever_comes_with_it(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    first, last = listed(kind, [OTHER, NUMBER], [THIRD])
    assert look(provider, server, [*gets(kind), first, last]) is LookKind.OWNED
    for strange in (Said(500, None), Said(200, {**last.body, "errors": ["x"]})):
        assert look(provider, server, [*gets(kind), first, strange]) is LookKind.OWNED
    first = listed(kind, [OTHER], [NUMBER])[0]
    spoilt = Said(200, {**first.body, "errors": ["x"]})
    assert look(provider, server, [*gets(kind), spoilt, listed(kind, [OTHER], [NUMBER])[1]]) is LookKind.OWNED


def test_a_hostile_answer_at_any_request_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    """Each at the get and at each page of the list; as that is read again, at one page, and the next at the other."""
    good = looked(kind)
    pages = len(listed(kind))
    first_time = len(good) - pages
    for turn, strange in enumerate(hostile(kind)):
        for index in (*range(first_time), first_time + turn % pages):
            if index < len(gets(kind)) and (strange.status == 404 or strange == gets(kind)[index]):
                continue  # as documented: the list decides
            answers = [*good[:index], strange, *good[index + 1 :]]
            assert look(provider, server, answers) is LookKind.UNCLEAR, (index, strange)


def test_a_hostile_answer_to_every_request_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    for strange in hostile(kind):
        assert look(provider, server, [strange] * 10) is LookKind.UNCLEAR, strange


@pytest.mark.parametrize(
    ("second", "found"),
    [
        (([OTHER, NUMBER], [FOURTH]), LookKind.OWNED),
        (([OTHER, FOURTH],), LookKind.UNCLEAR),
        (([OTHER], [FOURTH, FIFTH]), LookKind.UNCLEAR),
        (([OTHER, THIRD], [FOURTH, FIFTH]), LookKind.ABSENT),
    ],
)
def test_a_list_that_loses_an_entry_while_it_is_paged_leaves_no_number_absent(
    kind: str, provider: Adapter, server: ScriptedServer, second: tuple[list[str], ...], found: LookKind
) -> None:
    """THIRD goes once the first page is read, and ours moves up to it; another may come at the end meanwhile."""
    first = listed(kind, [OTHER, THIRD], [FOURTH])
    assert look(provider, server, [*gets(kind), *first, *listed(kind, *second)]) is found


def test_an_entry_of_another_number_that_names_ours_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    for strange in naming(kind):
        assert look(provider, server, [*gets(kind), strange]) is LookKind.UNCLEAR, strange
    server.queue(*(one.raw for one in gets(kind)), strange.raw)
    shorter = OTHER[:-1]
    assert provider.look({shorter: Known(number_id=ID)})[shorter].kind is LookKind.ABSENT


@pytest.mark.parametrize("kind", FILTER, indirect=True)
def test_a_list_that_shows_what_was_not_asked_for_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    for strange in of_another_question(kind):
        assert look(provider, server, [*gets(kind), strange]) is LookKind.UNCLEAR, strange
    allowed = LookKind.UNCLEAR if kind in BEGINS else LookKind.ABSENT
    assert look(provider, server, [*gets(kind), *listed(kind, [OTHER, CONTAINING])]) is allowed
    assert look(provider, server, [*gets(kind), *listed(kind, ["+14155550100", NUMBER])]) is LookKind.OWNED
    assert server.seen[-1].query[FILTER[kind]][0].strip("+") == NUMBER[1:]


@pytest.mark.parametrize("kind", sorted({*LOOKS} - {*FILTER}), indirect=True)
def test_a_list_without_a_filter_shows_any_number(kind: str, provider: Adapter, server: ScriptedServer) -> None:
    pages = listed(kind, ["+14155550100", CONTAINING])
    assert look(provider, server, [*gets(kind), *pages]) is LookKind.ABSENT
    assert all("number" not in key.lower() for seen in server.seen[len(gets(kind)) :] for key in seen.query)


def test_a_list_that_a_cache_has_kept_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    """Each header at one of the pages, at another for the next kind: each at each of them, and each for each kind."""
    pages = listed(kind, [OTHER], [THIRD]) * 2
    said = [*((one, LookKind.UNCLEAR) for one in KEPT), *((one, LookKind.ABSENT) for one in FRESH)]
    for index, (headers, found) in enumerate(said, LOOKS.index(kind)):
        server.clear()
        kept = [reply(one.status, one.body, headers if n == index % 4 else {}) for n, one in enumerate(pages)]
        server.queue(*(one.raw for one in gets(kind)), *kept)
        assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is found, headers
    assert {seen.headers["cache-control"] for seen in server.seen} == {"no-cache"}


def test_headers_that_say_of_a_page_what_was_asked_leave_a_list_whole(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    said: tuple[Callable[[int], dict[str, str]], ...] = (
        lambda n: {"Content-Range": f"items {n}-{n}/2", "X-Total-Count": "2", "X-Total": "2", "X-Total-Pages": "2"},
        lambda n: {"Content-Range": f"{n}-{n}/*", "X-Page": str(n), "X-Per-Page": "100"},
        lambda n: {"X-Page": str(n + 1), "X-Next-Page": "" if n else "2", "X-Prev-Page": "1" if n else ""},
        lambda n: {"X-Has-More": "false" if n else "true", "X-Partial": "false", "Accept-Ranges": "items"},
        lambda n: {"Link": '</a.css>; rel=preload, </x>; rel="first"' + ("" if n else ', </x?page=2>; rel="next"')},
        lambda n: {"Link": '</x>; rel=prev; title="next"' if n else "</docs>; rel=describedby; title='rel=next'"},
    )
    for headers in said:
        server.clear()
        pages = [reply(one.status, one.body, headers(n)) for n, one in enumerate(listed(kind, [OTHER], [THIRD]))]
        server.queue(*(one.raw for one in gets(kind)), *pages, *pages)
        seen = provider.look({NUMBER: Known(number_id=ID)})[NUMBER]
        assert seen.kind is LookKind.ABSENT, (headers(0), seen.error)
    for empty in ({"X-Total-Count": "0"}, {"Content-Range": "items */0"}, {"Content-Range": "0-0/0"}, {"X-Total": ""}):
        (none,) = listed(kind, [])
        server.clear()
        server.queue(*(one.raw for one in gets(kind)), reply(none.status, none.body, empty))
        assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is LookKind.ABSENT, empty


def test_an_estimate_of_some_numbers_and_a_list_of_none_settle_nothing(server: ScriptedServer) -> None:
    provider = adapter("fluents", server.url, policy={"timeout": 20.0})
    for total, found in ((5, LookKind.UNCLEAR), (1, LookKind.UNCLEAR), (0, LookKind.ABSENT), (None, LookKind.ABSENT)):
        about = Said(200, {**page("fluents"), "total": total, "total_is_estimated": True})
        assert look(provider, server, [*gets("fluents"), about]) is found, total


def test_a_page_before_the_first_is_another_page(server: ScriptedServer) -> None:
    provider = adapter("signalwire", server.url, policy={"timeout": 20.0})
    (only,) = listed("signalwire", [OTHER])
    address = "/api/relay/rest/phone_numbers"
    asked = f"{address}?filter_number=%2B{NUMBER[1:]}&page_size=100"
    for links, found in (
        ({"self": f"{asked}&page_number=0", "first": f"{asked}&page_number=0", "prev": None}, LookKind.ABSENT),
        ({"self": f"{asked}&page_number=0&page_token=PA1", "first": "", "prev": ""}, LookKind.ABSENT),
        ({"self": asked, "prev": f"{asked}&page_number=0"}, LookKind.UNCLEAR),
        ({"self": f"{asked}&page_number=1"}, LookKind.UNCLEAR),
    ):
        assert look(provider, server, [Said(200, {**only.body, "links": links})]) is found, links


def test_a_list_that_is_dated_long_before_other_answers_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    """Whatever the provider's clock says, or ours."""
    for now in (time.time(), time.time() - 86_400, time.time() + 86_400, 0.0):
        provider = adapter(kind, server.url, policy={"timeout": 20.0})
        for age, found in ((0, LookKind.ABSENT), (300, LookKind.ABSENT), (350, LookKind.UNCLEAR)):
            first, *rest = listed(kind, [OTHER], [THIRD]) * 2
            server.clear()
            server.queue(*(one.raw for one in gets(kind)), reply(first.status, first.body, {"Date": formatdate(now)}))
            server.queue(*(reply(one.status, one.body, {"Date": formatdate(now - age)}) for one in rest))
            assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is found, (now, age)


def test_a_list_whose_date_stands_still_leaves_a_look_unclear(
    kind: str, provider: Adapter, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache keeps one page; all other answers are of now."""
    began, first = time.time(), time.monotonic()
    for passed, found in ((0, LookKind.ABSENT), (120, LookKind.UNCLEAR), (240, LookKind.UNCLEAR)):
        monkeypatch.setattr(freshness, "steady", lambda passed=passed: first + passed)
        one, *rest = listed(kind, [OTHER], [THIRD]) * 2
        server.clear()
        server.queue(*(one.raw for one in gets(kind)), reply(one.status, one.body, {"Date": formatdate(began)}))
        server.queue(*(reply(one.status, one.body, {"Date": formatdate(began + passed)}) for one in rest))
        assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is found, passed


def test_a_number_is_ours_though_a_cache_has_kept_its_list(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    (shown,) = listed(kind, [NUMBER])
    server.queue(*(one.raw for one in gets(kind)), reply(shown.status, shown.body, {"Age": "9", "X-Cache": "HIT"}))
    assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is LookKind.OWNED


def test_no_answer_at_any_request_leaves_a_look_unclear(kind: str, provider: Adapter, server: ScriptedServer) -> None:
    good = looked(kind)
    for index in range(len(good)):
        server.clear()
        server.queue(*(one.raw for one in good[:index]), CUT)
        assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is LookKind.UNCLEAR


def test_a_hostile_answer_at_any_page_spoils_the_list_of_what_is_owned(
    kind: str, provider: Adapter, server: ScriptedServer
) -> None:
    good = listed(kind)
    server.queue(*(one.raw for one in good))
    assert [one.number for one in provider.owned()] == [OTHER, THIRD]
    for strange in hostile(kind):
        for index in range(len(good)):
            server.clear()
            server.queue(*(one.raw for one in good[:index]), strange.raw, *(one.raw for one in good[index + 1 :]))
            with pytest.raises(ProviderError):
                list(provider.owned())


@pytest.mark.parametrize("following", [[OTHER], []])
def test_a_list_that_shows_the_same_page_for_ever_comes_to_an_end(
    kind: str, provider: Adapter, server: ScriptedServer, following: list[str]
) -> None:
    server.queue(*(one.raw for one in gets(kind)), *[reply(200, page(kind, *following, last=False))] * 20)
    assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is LookKind.UNCLEAR
    assert len(server.seen) <= 3


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_request_has_a_turn_of_its_own(
    kind: str, provider: Adapter, server: ScriptedServer, operation: str
) -> None:
    """At each turn, and at its gate, the server has seen as many requests as there were turns before."""
    pages = [one.raw for one in listed(kind, [OTHER], [FOURTH], [THIRD])]
    server.queue(*([one.raw for one in gets(kind)] if operation.startswith("look") else []), *pages)
    turns: list[int] = []
    gates: list[int] = []

    def turn(_: ProviderError | None) -> Gate:
        turns.append(len(server.seen))
        return lambda: gates.append(len(server.seen))

    with in_turn(turn), suppress(ProviderError):
        OPERATIONS[operation](provider)
    assert turns == gates == list(range(len(server.seen)))
    assert len(turns) >= (operation != "prepare" or provider.prepares)
    if operation in ("look", "owned"):
        assert len(turns) >= len(pages)


def test_a_429_at_any_request_is_told_as_one(kind: str, provider: Adapter, server: ScriptedServer) -> None:
    good = looked(kind)
    for index in range(len(good)):
        server.clear()
        server.queue(*(one.raw for one in good[:index]), reply(429, {}, {"Retry-After": "7"}))
        found = provider.look({NUMBER: Known(number_id=ID)})[NUMBER]
        assert (found.kind, found.throttled, found.waiting, found.retry_after) == (LookKind.UNCLEAR, True, True, 7.0)
