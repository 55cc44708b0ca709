"""The claim before a call: marked outside the database first, on a connection that was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import event, insert, select

from schemas.outcomes import Outcome
from schemas.status import Status
from schemas.tables.purchases import PROVIDER
from tasks.ledger import history
from tasks.ledger.calls import intents
from tasks.ledger.rows import Row
from tasks.lifecycle import claim, purchase
from tasks.restored_database import detect
from tasks.runtime import NEIGHBOURS
from tasks.transactions import server_of
from tasks.watermark import Mark, Newest, Watermark
from tests.tasks.support import NUMBER, OpenWatermark, World, number
from tests.waiting import eventually
from workers.database import group_commit
from workers.database.connections import SqlDatabase


class Watched(OpenWatermark):
    """Counts, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.read = 0
        self.looks = 0
        self.away = False

    def write(self, marks: Mapping[str, Sequence[Mark]], server: str = "") -> None:
        if self.away:
            raise RedisConnectionError
        self.written.append(sum(map(len, marks.values())))
        super().write(marks)

    def newest_of(self, counts: Mapping[str, int]) -> dict[str, list[Mark]]:
        self.looks += 1
        return super().newest_of(counts)

    def newest(self, account: str, count: int = 1, others: Iterable[str] = ()) -> list[Mark]:
        if self.away:
            raise RedisConnectionError
        self.read += 1
        return super().newest(account, count)


@pytest.fixture
def watched(world: World) -> Watched:
    """The world's watermark; none of its connections was looked at, and its server was compared."""
    found = Watched()
    world.runtime = replace(world.runtime, watermark=found)
    with world.runtime.database.read() as conn:
        world.runtime.compared.do(server_of(conn), lambda: None)
    again(world)
    return found


def again(world: World) -> None:
    """Have new connections from now on."""
    assert isinstance(world.runtime.database, SqlDatabase)
    world.runtime.database.close()


def test_the_intent_is_committed_then_marked_then_called_for(world: World, redis: Redis) -> None:
    world.runtime = replace(world.runtime, watermark=Watermark(redis))
    row = world.accept()
    seen = []

    def answer(wanted: str) -> Outcome:
        [mark] = Watermark(redis).newest(world.binding.account)
        seen.append((mark.purchase_id, mark.revision, mark.number, world.attempts(row["id"])))
        return world.provider.charge(wanted)

    world.provider.script.append(answer)
    world.work()
    assert seen == [(row["id"], row["revision"] + 1, NUMBER, [None])]


def test_without_a_mark_no_call_goes_out(world: World, watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    world.accept(number(1))
    world.work()
    row = world.accept(number(2))
    watched.away = True
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["error_code"], after["attempts"]) == (Status.QUEUED, "watermark", 0)
    assert world.provider.charged == [(number(1), "id-1")]
    assert f"no call is made for {number(2)}, intents cannot be marked: Redis is away" in caplog.text
    watched.away = False
    assert world.settle(row["id"])["status"] == Status.PURCHASED
    assert world.provider.charged == [(number(1), "id-1"), (number(2), "id-2")]


def test_a_connection_that_nobody_looked_at_claims_nothing_without_redis(world: World, watched: Watched) -> None:
    row = world.accept()
    watched.away = True
    with pytest.raises(RedisConnectionError):
        world.work()
    assert (world.row(row["id"])["status"], world.attempts(row["id"])) == (Status.DISPATCHED, [])


def test_connections_to_two_servers_are_made_anew(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler keeps its clients' connections while the server behind is replaced: each tells what it began with."""
    database, servers, renewed = world.runtime.database, cycle(["old", "new"]), []
    monkeypatch.setattr(history, "server_of", lambda _: "new" if renewed else next(servers))
    monkeypatch.setattr(database, "renew", lambda: renewed.append(watched.read))
    monkeypatch.setattr(world.runtime.compared, "is_done", lambda _: True)
    world.accept()
    world.work()
    assert (renewed, watched.read) == ([1], 2)
    assert world.provider.charged == [(NUMBER, "id-1")]


def test_connections_to_two_servers_are_not_compared_in_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    servers, renewed, compared = cycle(["old", "new"]), list[int](), list[str]()
    monkeypatch.setattr(detect, "server_of", lambda _: "new" if renewed else next(servers))
    monkeypatch.setattr(world.runtime.database, "renew", lambda: renewed.append(1))

    def compare(_: object) -> None:
        compared.append("once more")
        assert len(compared) < 5

    monkeypatch.setattr(detect, "compare", compare)
    assert detect.on_compared_server(world.runtime, lambda _: "done") == "done"
    assert (len(compared), renewed) == (2, [1])


def test_a_batch_is_one_write(world: World, watched: Watched) -> None:
    rows = [world.accept(number(index)) for index in range(3)]
    done = purchase.buy_batch(world.runtime, [(row["id"], row["revision"]) for row in rows], "acme")
    assert (done, watched.written) == ([Status.PURCHASED] * 3, [3])


def test_what_had_moved_on_is_not_marked(world: World, watched: Watched) -> None:
    world.accept()
    [message] = world.sent
    world.deliver(message)
    world.deliver(message)
    assert watched.written == [1]


def test_marks_are_read_once_for_each_connection(world: World, watched: Watched) -> None:
    for turn in range(2):
        for index in range(3):
            world.accept(number(10 * turn + index))
            world.work()
        assert watched.read == turn + 1
        again(world)
    assert len(world.provider.charged) == 6


def test_threads_that_come_to_a_new_connection_at_once_do_not_each_read_the_marks(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [world.accept(number(index)) for index in range(20)]
    monkeypatch.setattr(group_commit, "GATHER", 0.1)
    world.sent.clear()
    with ThreadPoolExecutor(len(rows)) as pool:
        buy = [pool.submit(purchase.buy_batch, world.runtime, [(row["id"], row["revision"])], "acme") for row in rows]
    assert [one.result() for one in buy] == [[Status.PURCHASED]] * len(rows)
    assert len(world.provider.charged) == len(rows)
    assert watched.read <= world.runtime.database.engine.pool.checkedin()  # type: ignore[attr-defined]


def test_threads_that_come_to_a_server_with_a_name_each_go_by_what_one_of_them_read(
    world: World, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [world.accept(number(index)) for index in range(6)]
    met: list[claim.Found] = []
    claimed, newest = claim._claimed, watched.newest

    def counting(found: claim.Found) -> claim.Claims:
        met.append(found)
        return claimed(found)

    def slow(*asked: Any) -> list[Mark]:
        eventually(lambda: len(met) >= len(rows), what="all have met a new connection")
        return newest(*asked)

    monkeypatch.setattr(history, "vouched", lambda _: set())
    monkeypatch.setattr(claim, "_claimed", counting)
    monkeypatch.setattr(watched, "newest", slow)
    with ThreadPoolExecutor(len(rows)) as pool:
        buy = [pool.submit(purchase.buy_batch, world.runtime, [(row["id"], row["revision"])], "acme") for row in rows]
    assert [one.result() for one in buy] == [[Status.PURCHASED]] * len(rows)
    assert len(world.provider.charged) == len(rows)
    with world.runtime.database.read() as conn:
        named = bool(server_of(conn))
    assert watched.read == (1 if named else len(rows))


def test_an_account_that_nobody_looked_at_rolls_back_nothing_that_shares_its_transaction(
    world: World, watched: Watched
) -> None:
    row = world.accept()
    wanted = intents.Wanted(row["id"], row["revision"], world.binding.account, None)
    with world.write() as conn:
        conn.execute(insert(PROVIDER).values(provider="another", updated_at=world.clock()))
        [found] = claim._claiming(world.runtime.now, 30.0)(conn, [(wanted, {})])
    assert isinstance(found, history.Unvouched)
    assert "another" in [one["provider"] for one in world.rows(select(PROVIDER))]
    assert world.row(row["id"]) == row
    assert watched.read == 0


def of_accounts(world: World, *accounts: str) -> tuple[list[intents.Wanted], list[Row]]:
    """A purchase of each account, and what claims it."""
    twin = world.runtime.providers["twin"]
    bindings = {account: replace(twin, alias=account, account=account) for account in accounts}
    world.runtime = replace(world.runtime, providers=bindings)
    rows = [world.accept(number(n), account) for n, account in enumerate(accounts)]
    return [intents.Wanted(row["id"], row["revision"], row["account"]) for row in rows], rows


def test_accounts_are_claimed_and_marked_together_but_those_that_nobody_looked_at(
    world: World, watched: Watched
) -> None:
    wanted, rows = of_accounts(world, "one", "two", "new")
    with world.write() as conn:
        history.vouched(conn).update(("one", "two"))
        *found, new = claim._claiming(world.runtime.now, 30.0)(conn, [(one, {}) for one in wanted])
    claims = claim._marking(watched, world.runtime.database.renew)(found)
    assert [one.marked for one in claims if isinstance(one, intents.Claim)] == [True, True]
    assert isinstance(new, history.Unvouched)
    assert watched.written == [2]
    assert {account: [one.number for one in its] for account, its in watched.marks.items()} == {
        "one": [rows[0]["number"]],
        "two": [rows[1]["number"]],
    }
    assert world.row(rows[2]["id"])["status"] == Status.DISPATCHED


def test_the_first_claims_of_many_accounts_on_a_connection_share_their_statements(world: World) -> None:
    wanted, rows = of_accounts(world, "one", "two", "behind", "new")
    claiming = claim._claiming(world.runtime.now, 30.0)
    now = world.clock()
    gone = Mark(purchase_id=rows[2]["id"], revision=2, number=number(2), started_at=now, deadline=now)
    again(world)
    with world.write() as conn:
        server = server_of(conn)
        marks = zip(wanted, ((), (), (gone,)), strict=False)
        newest = [{one.account: Newest(marks=its, server=server)} for one, its in marks]
        statements: list[str] = []
        event.listen(conn, "before_cursor_execute", lambda *args: statements.append(args[2]))
        *found, behind, new = claiming(conn, [*zip(wanted, [*newest, newest[0]], strict=True)])
    assert [isinstance(one, intents.Claim) for one in found] == [True, True]
    assert isinstance(behind, history.WentBack)
    assert isinstance(new, history.Unvouched)
    writing = [one for one in statements if one.startswith(("INSERT", "UPDATE"))]
    assert len(writing) == 2
    assert [world.row(row["id"])["status"] for row in rows[2:]] == [Status.DISPATCHED] * 2


def test_a_connection_is_looked_at_for_many_accounts_together(world: World, watched: Watched) -> None:
    names = [f"account{n}" for n in range(2 * NEIGHBOURS + 1)]
    of_accounts(world, *names)
    world.work()
    assert len(world.provider.charged) == len(names)
    assert (watched.looks, watched.read) == (3, len(names))
