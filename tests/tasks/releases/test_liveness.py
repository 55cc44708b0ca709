"""Numbers that are given back come to an end too, beside orders and a pool, wherever who works on them is killed.

The game of `tests.tasks.lifecycle.test_liveness`, at providers that take numbers back.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from sqlalchemy import select

from schemas.outcomes import Outcome
from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.releasing import ReleaseKind, ReleaseOutcome
from schemas.status import Status
from schemas.tables.pools import Slot
from schemas.tables.purchases import EVENT
from schemas.tables.releases import RELEASE, RELEASE_KEY
from tasks.ledger.releases.asking import Asking
from tasks.ledger.rows import Row
from tasks.lifecycle import give_back
from tasks.pools.requests import take_and_return
from tasks.providers.registry import kinds
from tasks.releases import giving_back
from tasks.replenish import replenish
from tests.tasks.killing import make_deadly
from tests.tasks.lifecycle.test_liveness import (
    ALIASES,
    Game,
    _small_chunks,  # noqa: F401 - a fixture of this module's, too
    _where,
    aliases,
    commits,
    picks,
)
from tests.tasks.playing import play
from tests.tasks.pools.supplying import NAME, Shop
from tests.tasks.releasing import DONE, LOST, REFUSED, TOO_RECENT
from tests.tasks.support import number
from workers.database.connections import SqlDatabase

EXAMPLES = int(os.environ.get("LIVENESS_EXAMPLES", "0"))
"""Games on each kind of database; without it as many as take half a minute."""

ACTS: dict[str, Callable[[TakesBack, str], ReleaseOutcome]] = {
    "takes it back": lambda shop, wanted: shop.take_back(wanted),
    "takes it back, unheard": lambda shop, wanted: shop.take_back(wanted) and LOST,
    "fails": lambda *_: LOST,
    "refuses": lambda *_: REFUSED,
    "is too early": lambda *_: TOO_RECENT,
    "throttles": lambda *_: ReleaseOutcome(kind=ReleaseKind.THROTTLED, retry_after=7.0),
    "denies": lambda *_: ReleaseOutcome(kind=ReleaseKind.ACCOUNT, error="refused"),
    "is not reached": lambda *_: ReleaseOutcome(kind=ReleaseKind.NOT_SENT, error="connection refused"),
}


class TakesBack(Shop):
    """A shop that gives no id twice, and takes back what it sold under that; `acts` say what it does next."""

    keeps_for: tuple[float, ...] = ()
    acts: list[str]
    sales = 0

    def charge(self, wanted: str, *, shows_after: float = 0.0) -> Outcome:
        self.sales += 1
        sold = super().charge(wanted, shows_after=shows_after)
        self.charged[-1] = wanted, f"sale-{self.sales}"
        return replace(sold, provider_number_id=f"sale-{self.sales}")

    def release(self, wanted: str, number_id: str) -> ReleaseOutcome:
        if (wanted, number_id) not in self.charged:
            return REFUSED
        return ACTS[self.acts.pop(0) if self.acts else "takes it back"](self, wanted)

    def take_back(self, wanted: str) -> ReleaseOutcome:
        self.charged = [sold for sold in self.charged if sold[0] != wanted]
        self.shows.pop(wanted, None)
        return DONE


class GivingBack(Game):
    """Beside the game's own rules: numbers are asked to be given back, called off, taken from the pool and returned."""

    @initialize(lookup=st.just("by_number"), daily_limit=st.sampled_from([0, 3]))
    def begin(self, lookup: str, daily_limit: int) -> None:
        super().begin(lookup, daily_limit)
        bindings = {}
        for alias, one in self.world.runtime.providers.items():
            shop = TakesBack(self.world.clock, [offer.number for offer in self.world.shop(alias).offers])
            shop.acts = []
            bindings[alias] = replace(one, adapter=shop)
        documented = dict.fromkeys(bindings, kinds()["twilio"])
        self.world.runtime = replace(self.world.runtime, providers=bindings, kinds=documented, database=self.database)
        self.deadly = make_deadly(self.world)
        for index in range(3):
            self.world.accept(number(index), provider="first", idempotency_key=f"own-{index}")
        self.all_is_well()

    @rule()
    def all_is_well(self) -> None:
        with suppress(replenish.NotNow):
            self.world.run()
        for _ in range(3):
            self.world.work()
            self.world.clock.advance(1)
            self.timers()

    @precondition(lambda self: self.ours())
    @rule(pick=picks, key=st.sampled_from("stuvwx"), commit=commits)
    def a_message_gives_back(self, pick: int, key: str, commit: int | None) -> None:
        """Delivered again where it came before, and refused where it is another's key."""
        row = self.one(self.ours(), pick)
        fields = {"number": row["number"], "provider": row["provider"], "idempotency_key": key}
        self.does(lambda: giving_back.release_number(self.world.runtime, fields, "m"), commit)

    @precondition(lambda self: self.ours())
    @rule(pick=picks, force=st.booleans(), commit=commits)
    def a_person_gives_back(self, pick: int, force: bool, commit: int | None) -> None:
        row, asking = self.one(self.ours(), pick), Asking(by="ann", force=force)
        self.does(lambda: giving_back.ask(self.world.runtime, row["id"], asking), commit)

    @precondition(lambda self: self.purchases(Status.RELEASING))
    @rule(pick=picks, commit=commits)
    def a_person_calls_off(self, pick: int, commit: int | None) -> None:
        row = self.one(self.purchases(Status.RELEASING), pick)
        self.does(lambda: giving_back.call_off(self.world.runtime, row["id"], "ann"), commit)

    @precondition(lambda self: self.ours())
    @rule(pick=picks, commit=commits)
    def a_person_tells_what_became_of_it(self, pick: int, commit: int | None) -> None:
        row = self.one(self.ours(), pick)
        says = giving_back.mark_kept if _where(row) in self.charged() else giving_back.mark_released
        self.does(lambda: says(self.world.runtime, row["id"], "ann", None), commit)

    @rule(alias=aliases, acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=3), commit=commits)
    def workers_give_back(self, alias: str, acts: list[str], commit: int | None) -> None:
        self.shop(alias).acts = [*acts]
        for _ in acts:
            self.does(lambda: give_back.step(self.world.runtime, self.world.runtime.providers[alias]), commit)
            self.world.clock.advance(6.0)

    @rule(key=st.sampled_from("kl"), returns=st.booleans(), commit=commits)
    def one_is_taken_or_returned(self, key: str, returns: bool, commit: int | None) -> None:
        taken = [place["number"] for place in self.world.places(Slot.TAKEN) if place["taker"] == key]
        if not returns:
            wanted = TakeNumber(pool=NAME, taker=key)
            self.does(lambda: take_and_return.take(self.world.runtime, wanted, key), commit)
        elif taken:
            given = ReturnNumber(pool=NAME, number=taken[0], taker=key)
            self.does(lambda: take_and_return.give_back(self.world.runtime, given, f"{key}{taken[0]}"), commit)

    def timers(self) -> None:
        super().timers()
        for binding in self.world.runtime.providers.values():
            give_back.step(self.world.runtime, binding)

    def is_over(self) -> bool:
        return super().is_over() and not self.purchases(Status.RELEASING)

    def everything_has_its_end(self) -> None:
        super().everything_has_its_end()
        status = {row["id"]: row["status"] for row in self.purchases()}
        assert Status.RELEASING not in status.values()
        ours = {place["purchase_id"] for slot in (Slot.AVAILABLE, Slot.TAKEN) for place in self.world.places(slot)}
        assert {status[one] for one in ours} <= {Status.PURCHASED}
        live = {place["number"] for place in self.world.places() if place["status"] not in (Slot.GONE, Slot.WANTED)}
        for place in self.world.places(Slot.GONE):
            assert status[place["purchase_id"]] == Status.RELEASED or place["number"] in live
        assert self.world.rows(select(RELEASE).where(RELEASE.c.status == "open")) == []
        self.each_request_is_told_its_end_once()

    def each_request_is_told_its_end_once(self) -> None:
        ends = ("dialstock.purchase.released", "dialstock.purchase.kept")
        told = [row["data"] for row in self.world.rows(select(EVENT).where(EVENT.c.type.in_(ends)))]
        keys = Counter((data["idempotency_key"], data["release_id"]) for data in told if "release_id" in data)
        asked = self.world.rows(select(RELEASE_KEY))
        assert keys == Counter((row["idempotency_key"], row["release_id"]) for row in asked)

    def ours(self) -> list[Row]:
        return self.purchases(Status.PURCHASED, Status.RELEASING)

    def one(self, rows: list[Row], pick: int) -> Row:
        return rows[pick % len(rows)]

    def shop(self, alias: str) -> TakesBack:
        found = self.world.shop(alias)
        assert isinstance(found, TakesBack)
        return found

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for alias in ALIASES:
                self.shop(alias).acts = []
        super().teardown()


def test_what_is_given_back_comes_to_an_end_too(database: SqlDatabase) -> None:
    phases = [Phase.reuse, Phase.generate]
    play(GivingBack, database, sqlite=EXAMPLES or 10, others=EXAMPLES or 2, stateful_step_count=25, phases=phases)
