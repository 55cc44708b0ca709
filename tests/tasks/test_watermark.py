"""The watermark, in a real Redis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tasks import watermark
from tasks.watermark import Mark, Replaced, Watermark
from tests.servers import RedisServer
from tests.tasks.clock import START
from tests.tasks.support import number

ONE = Mark(
    purchase_id="019a0000-0000-7000-8000-000000000001",
    revision=2,
    number=number(1),
    started_at=START + timedelta(microseconds=1),
    deadline=START + timedelta(seconds=32),
)
ACCOUNT = "https://one.example|a b|ü"


def mark(index: int) -> Mark:
    return replace(ONE, number=number(index), revision=index)


def numbers(marks: list[Mark]) -> list[str]:
    return [one.number for one in marks]


def test_a_mark_is_read_as_it_was_written(redis: Redis) -> None:
    Watermark(redis).write({ACCOUNT: [ONE]})
    assert Watermark(redis).newest(ACCOUNT) == [ONE]


def test_marks_of_several_workers_stand_newest_first_and_apart_by_account(redis: Redis) -> None:
    one, two = Watermark(redis), Watermark(redis)
    one.write({ACCOUNT: [mark(1), mark(2)]})
    two.write({ACCOUNT: [mark(3)]})
    two.write({"other": [mark(4)]})
    assert numbers(one.newest(ACCOUNT)) == [number(3), number(2), number(1)]
    assert numbers(one.newest(ACCOUNT, 2)) == [number(3), number(2)]
    assert numbers(one.newest("other")) == [number(4)]
    assert one.newest("nobody") == []


def test_only_so_many_are_kept_and_those_the_newest(redis: Redis) -> None:
    for first in range(0, 22_500, 2_500):
        Watermark(redis).write({ACCOUNT: [mark(first + index) for index in range(2_500)]})
    kept = Watermark(redis).newest(ACCOUNT, 100_000)
    assert (len(kept), kept[0], kept[-1]) == (watermark.KEPT, mark(22_499), mark(2_500))


def test_one_call_of_many_marks_is_one_command(redis: Redis) -> None:
    marks = Watermark(redis)
    marks.write({ACCOUNT: [mark(1)]})
    before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    marks.write({ACCOUNT: [mark(index) for index in range(100)]})
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_redis_away_is_told(redis_server: RedisServer) -> None:
    marks = Watermark(Redis.from_url(redis_server.url))
    redis_server.kill()
    with pytest.raises(RedisError):
        marks.write({ACCOUNT: [ONE]})
    with pytest.raises(RedisError):
        marks.newest(ACCOUNT)


@pytest.mark.parametrize("text", ["", "a b c", "a x +1415 2026-01-01 2026-01-01"])
def test_what_is_no_mark_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        Mark.parse(text)


def at(index: int, microseconds: int) -> Mark:
    return replace(mark(index), started_at=START + timedelta(microseconds=microseconds))


@pytest.mark.parametrize("same", [True, False])
def test_each_name_of_an_account_has_the_marks_of_all_in_the_order_of_their_times(redis: Redis, same: bool) -> None:
    marks = Watermark(redis)
    marks.write({"former": [at(1, 0), at(2, 5), at(3, 2_000_000)]})
    marks.write({ACCOUNT: [at(4, 3), at(5, 1_000_000)]})
    for _ in range(2):
        marks.link("former", "between", same=same)
        marks.link("between", ACCOUNT, same=same)
    marks.write({ACCOUNT: [at(6, 4)]})
    for name in ("former", "between", ACCOUNT):
        assert numbers(marks.newest(name)) == [number(index) for index in (3, 5, 2, 6, 4, 1)]
        assert {*numbers(marks.newest(name, 1))} == {number(3), number(6)}
        assert len(marks.since_known(name).marks) == 6
    assert marks.newest("other") == []


def test_who_may_be_one_has_marks_of_its_own_where_the_file_has_both(redis: Redis) -> None:
    marks = Watermark(redis)
    for index, name in enumerate(("one", "two", "three")):
        marks.write({name: [mark(index)]})
    marks.link("one", "two", same=False)
    marks.link("two", "three", same=False)
    for how in (marks.newest, lambda *args, **more: marks.since_known(*args, **more).marks):
        assert {*numbers(how("one", others=["two"]))} == {number(0)}
        assert {*numbers(how("one", others=["three"]))} == {number(0), number(1)}
        assert {*numbers(how("three", others=["one"]))} == {number(2), number(1)}
    marks.link("one", "two", same=True)
    assert {*numbers(marks.newest("one", others=["two", "three"]))} == {number(0), number(1)}


def test_what_was_marked_since_the_last_look_is_all_that_is_not_known(redis: Redis) -> None:
    marks, another = Watermark(redis), Watermark(redis)
    assert marks.since_known(ACCOUNT).marks == []
    marks.write({ACCOUNT: [mark(1), mark(2)]})
    since = marks.since_known(ACCOUNT)
    marks.write({ACCOUNT: [mark(3)]})
    assert numbers(since.marks) == [number(2), number(1)]
    marks.known(since)
    assert numbers(marks.since_known(ACCOUNT).marks) == [number(3)]
    marks.known(marks.since_known(ACCOUNT))
    marks.known(marks.since_known(ACCOUNT))
    assert marks.since_known(ACCOUNT).marks == []
    assert len(another.since_known(ACCOUNT).marks) == 3
    redis.flushall()
    marks.write({ACCOUNT: [mark(4), mark(5)]})
    assert numbers(marks.since_known(ACCOUNT).marks) == [number(5), number(4)]


def test_the_pools_of_calls_stand_beside_their_marks(redis: Redis) -> None:
    """An older program reads the marks, too: they have no more words than it knows."""
    kept = Watermark(redis)
    kept.write({ACCOUNT: [ONE]})
    assert kept.pools(ACCOUNT) == {}
    kept.write({ACCOUNT: [replace(mark(2), purchase_id="b", pool="support"), replace(mark(3), purchase_id="c")]})
    kept.link(ACCOUNT, "anew", same=True)
    assert kept.pools(ACCOUNT) == kept.pools("anew") == {"b": "support"}
    assert [len(one.text.split()) for one in kept.newest(ACCOUNT)] == [5, 5, 5]


def test_of_many_accounts_is_told_at_once_what_each_alone_would_tell(
    redis: Redis,
) -> None:
    marks, names = Watermark(redis), [f"account{index}" for index in range(300)]
    for index in (0, 7, 299):
        marks.write({names[index]: [mark(2 * index), mark(2 * index + 1)]})
    marks.write_release(names[8], replace(mark(3000), release_id="019a0000-0000-7000-8000-0000000000aa"))
    marks.link("former", names[9], same=True)
    marked = [names[index] for index in (0, 7, 8, 9, 299)]
    assert marks.marked(names) == marked
    marks.known(marks.since_known(names[7]))
    looks = marks.looks(dict.fromkeys(marked, 1))
    assert looks == {name: (marks.newest(name, 1), marks.since_known(name)) for name in marked if name != names[9]}
    assert [len(looks[name][1].marks) for name in (names[0], names[7], names[8])] == [2, 0, 1]
    assert (marks.marked([]), marks.looks({})) == ([], {})


def test_many_are_asked_at_once_whose_marks_are_the_last_that_are_known(redis: Redis) -> None:
    marks, other = Watermark(redis), Watermark(redis)
    names = ["bought", "given back", "other name", "emptied", "new", *(f"account{index}" for index in range(300))]
    released = replace(mark(3), release_id="019a0000-0000-7000-8000-0000000000aa")
    other.write({name: [mark(1), mark(2)] for name in names[:4]})
    other.write_release(names[1], released)
    other.link("former", names[2], same=True)
    assert marks.unchanged(names) == {name: [] for name in names[4:]}
    for name in names:
        marks.known(marks.since_known(name))
    redis.delete(marks._key("emptied"))
    still = {"bought": [mark(2)], "given back": [mark(2), released]}
    assert marks.unchanged(names[:5]) == {**still, "new": []}
    other.write({name: [mark(4)] for name in ("bought", "new")})
    assert marks.unchanged(names[:5]) == {"given back": [mark(2), released]}
    other.write_release(names[1], replace(released, revision=9))
    assert (marks.unchanged(names[:5]), marks.unchanged([])) == ({}, {})


def test_nobody_marks_what_was_committed_on_a_server_that_was_replaced(redis: Redis) -> None:
    old, new = Watermark(redis), Watermark(redis)
    old.write({ACCOUNT: [mark(1)]}, "one")
    old.meet("one")
    old.write({ACCOUNT: [mark(2)]}, "one")
    new.meet("two")
    for write in (
        lambda: old.write({ACCOUNT: [mark(3)]}, "one"),
        lambda: old.write_release(ACCOUNT, replace(mark(4), release_id="r"), "one"),
    ):
        with pytest.raises(Replaced):
            write()
    new.write({ACCOUNT: [mark(5)]}, "two")
    old.write({ACCOUNT: [mark(6)]})
    assert numbers(new.newest(ACCOUNT)) == [number(6), number(5), number(2), number(1)]


def test_all_names_of_the_calls_at_one_revision_are_kept_once_each(redis: Redis) -> None:
    called = [mark(1), replace(mark(2), reference="one")]
    Watermark(redis).write({ACCOUNT: called})
    # The answer was lost, and after a restore the same revision comes again.
    Watermark(redis).write({ACCOUNT: called})
    Watermark(redis).write({ACCOUNT: [replace(mark(2), reference="two")]})
    assert Watermark(redis).references(ACCOUNT) == {(ONE.purchase_id, 2): ["two", "one"]}


def test_accounts_are_marked_together_each_under_its_own_name(redis: Redis) -> None:
    marks = Watermark(redis)
    first = [replace(mark(1), pool="support"), replace(mark(2), reference="one")]
    marks.write({"one": first, "two": [mark(3)]})
    assert [one.purchase_id for one in marks.newest("one")] == [one.purchase_id for one in reversed(first)]
    assert marks.newest("two") == [mark(3)]
    assert list(marks.pools("one").values()) == ["support"]
    assert list(marks.references("one").values()) == [["one"]]
    assert (marks.pools("two"), marks.references("two")) == ({}, {})
