"""The pace on a real Redis."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrate_limiter import GCRA, Rate
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from schemas.config.policy import Policy
from tasks.policies.pace import HORIZON, Lane, Later, Pace, Slot, buying_lane, looking_lane
from tasks.policies.redis_clock import DRIFT, STEP, TRIES
from tests.servers import RedisServer
from tests.tasks.pacing import FROM_REDIS, MICRO, Bench, rules
from tests.tasks.support import policy

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(1, 30)),
        st.tuples(st.just("pass"), st.floats(0, 5)),
        st.tuples(st.just("refund"), st.just(0)),
        st.tuples(st.just("penalise"), st.floats(0, 1)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("set back"), st.floats(0, 20)),
    ),
    max_size=25,
)


@FROM_REDIS
@given(rules=rules(), steps=STEPS, warm=st.booleans())
def test_no_window_ever_holds_more_than_its_limit(
    redis: Redis, rules: Policy, steps: list[tuple[str, float]], warm: bool
) -> None:
    bench = Bench(redis, rules, warm=warm)
    grants: list[int] = []
    latest: tuple[Slot, int] | None = None
    for step, amount in steps:
        if step == "reserve":
            for _ in range(int(amount)):
                if found := bench.reserve():
                    latest = found
                    grants.append(found[1])
        elif step == "pass":
            bench.pass_time(amount)
        elif step == "penalise":
            bench.pace.penalise(bench.lane, amount)
        elif step == "set back":
            bench.set_back(amount)
        elif step == "flush":
            redis.flushall()
        elif latest and bench.refund(*latest):
            grants.remove(latest[1])
            latest = None
    bench.check(grants)


@FROM_REDIS
@given(rules=rules(), gaps=st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_every_slot_is_one_that_another_gcra_grants_and_none_comes_later_than_need_be(
    redis: Redis, rules: Policy, gaps: list[float]
) -> None:
    bench = Bench(redis, rules)
    oracle = GCRA()
    guard = round(rules.rate_guard * 1000)
    rates = [Rate(r.limit - rules.burst + 1, round(r.window * 1000) + guard, rules.burst) for r in rules.rate_limits]
    state = oracle.initial(rates)
    for gap in gaps:
        bench.pass_time(gap)
        found = bench.reserve()
        if found is None:
            continue
        slot, goes = found
        if slot.wait > 0:
            # a microsecond earlier it would be too early
            _, early = oracle.step(rates, state, Fraction(goes - 1, 1000), 1)  # type: ignore[arg-type]
            assert not early.allowed
        state, decision = oracle.step(rates, state, Fraction(goes, 1000), 1)  # type: ignore[arg-type]
        assert decision.allowed


def test_a_lane_that_redis_does_not_know_starts_empty(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"], burst=5, rate_guard=0), warm=False)
    first = bench.pace.reserve(bench.lane)
    assert isinstance(first, Later)
    assert first.wait == pytest.approx(HORIZON + bench.lane.interval, abs=0.01)
    bench.pass_time(HORIZON)
    goes = [found[1] for _ in range(3) if (found := bench.reserve())]
    # no burst is saved up
    assert len(goes) == 3
    assert all(later - sooner > 0.9 * bench.lane.interval * MICRO for sooner, later in pairwise(goes))


def test_a_burst_goes_at_once_after_a_silence(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/minute"], burst=5))
    assert [bench.pace.reserve(bench.lane).wait for _ in range(5)] == [0.0] * 5
    assert bench.pace.reserve(bench.lane).wait > 5


def test_beyond_the_horizon_nothing_is_taken(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/minute"], rate_guard=0))
    taken = [bench.pace.reserve(bench.lane) for _ in range(6)]
    assert [type(one) for one in taken] == [Slot, Later, Later, Later, Later, Later]
    first = taken[0]
    assert isinstance(first, Slot)
    bench.pass_time(60 - 0.9 * HORIZON)
    found = bench.reserve()
    assert found is not None
    assert found[1] == first.token + 60 * MICRO


def test_a_short_horizon_takes_only_what_is_near(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/minute"]))
    assert isinstance(bench.pace.reserve(bench.lane, horizon=-1.0), Later)
    assert isinstance(bench.pace.reserve(bench.lane, horizon=0.0), Slot)
    assert isinstance(bench.pace.reserve(bench.lane, horizon=0.5), Later)


def test_no_slot_is_nearer_than_its_notice_nor_beyond_the_horizon(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/second"], rate_guard=0))
    lane = bench.lane
    first, second = bench.pace.reserve(lane, notice=0.5), bench.pace.reserve(lane, horizon=1.6, notice=0.5)
    assert isinstance(first, Slot)
    assert isinstance(second, Slot)
    assert first.wait == pytest.approx(0.5, abs=0.001)
    assert second.token - first.token == MICRO
    bench.pass_time(10)
    near = bench.pace.reserve(lane, horizon=0.1, notice=0.5)
    assert isinstance(near, Slot)
    assert near.wait == pytest.approx(0.1, abs=0.001)


def test_asking_when_takes_nothing(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/minute"]))
    assert [bench.pace.next_in(bench.lane) for _ in range(3)] == [0.0] * 3
    assert bench.pace.reserve(bench.lane) != Later(0.0)
    redis.script_flush()
    assert bench.pace.next_in(bench.lane) > 30


def test_only_the_latest_slot_is_given_back_and_only_once(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/second"], rate_guard=0))
    first, second = bench.pace.reserve(bench.lane), bench.pace.reserve(bench.lane)
    assert isinstance(first, Slot)
    assert isinstance(second, Slot)
    assert not bench.pace.refund(bench.lane, first)
    assert bench.pace.refund(bench.lane, second)
    assert not bench.pace.refund(bench.lane, second)
    again = bench.pace.reserve(bench.lane)
    assert isinstance(again, Slot)
    assert again.token == second.token


def test_a_penalty_holds_everything_back_and_is_never_shortened(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"]))
    bench.pace.penalise(bench.lane, 30)
    bench.pace.penalise(bench.lane, 1)
    assert bench.pace.next_in(bench.lane) == pytest.approx(30, abs=10)
    assert isinstance(bench.pace.reserve(bench.lane), Later)


def test_a_penalty_cools_this_process_at_once_and_its_lane_only(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"]))
    assert not bench.pace.cooling(bench.lane)
    bench.pace.penalise(bench.lane, 30)
    bench.pace.penalise(bench.lane, 0)
    assert bench.pace.cooling(bench.lane)
    assert not bench.pace.cooling(buying_lane("another", policy()))


def test_a_penalty_can_be_shown_and_lifted(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/minute"], rate_guard=0))
    assert [type(bench.pace.reserve(bench.lane)) for _ in range(4)] == [Slot, Later, Later, Later]
    assert bench.pace.cools_for(bench.lane) == 0.0
    bench.pace.penalise(bench.lane, 3600)
    assert bench.pace.cools_for(bench.lane) == pytest.approx(3600, abs=10)
    assert bench.pace.lift(bench.lane)
    assert not bench.pace.lift(bench.lane)
    assert bench.pace.cools_for(bench.lane) == 0.0


def test_a_process_holds_back_only_the_slots_that_it_had(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"]))
    bench.pace.penalise(bench.lane, 3600)
    over = time.monotonic() + HORIZON
    monkeypatch.setattr("tasks.policies.pace.time.monotonic", lambda: over)
    assert not bench.pace.cooling(bench.lane)


def test_a_penalty_for_an_unknown_lane_leaves_it_empty(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"]), warm=False)
    bench.pace.penalise(bench.lane, 0)
    assert isinstance(bench.pace.reserve(bench.lane), Later)


def test_many_clients_at_once_share_one_lane(redis_server: RedisServer, redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["50/second"], burst=3))
    slots: list[int] = []

    def work() -> None:
        with Redis.from_url(redis_server.url) as client:
            pace = Pace(client)
            found = [pace.reserve(bench.lane) for _ in range(20)]
        slots.extend(one.token for one in found if isinstance(one, Slot))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slots) == 80
    bench.check(slots)


def test_two_aliases_of_one_account_share_a_lane_and_looks_have_their_own() -> None:
    rules = policy()
    assert buying_lane("account", rules) == buying_lane("account", rules)
    keys = {buying_lane("a", rules).key, buying_lane("b", rules).key, looking_lane("a", rules).key}
    assert len(keys) == 3


def test_what_a_lane_has_room_for_is_never_nothing() -> None:
    slow = buying_lane("a", policy(rate_limits=["1/hour"]))
    quick = buying_lane("a", policy(rate_limits=["100/second", "200/10 seconds"], burst=4, rate_guard=0))
    assert slow.calls_within(0.5) == 1
    assert quick.calls_within(1.0) == 4 + 19


def test_without_redis_there_is_no_slot(redis_server: RedisServer) -> None:
    with Redis.from_url(redis_server.url, retry=None) as client:
        pace, lane = Pace(client), Lane(key="x", windows=((1, 1),))
        redis_server.kill()
        with pytest.raises(RedisConnectionError):
            pace.reserve(lane)


def test_a_thread_that_has_slots_gets_more_after_a_restart(redis: Redis, redis_server: RedisServer) -> None:
    pace, lane = Pace(redis), Lane(key="x", windows=((1, 1),))
    pace.reserve(lane)
    redis_server.kill()
    with pytest.raises(RedisConnectionError):
        pace.reserve(lane)
    redis_server.restart()
    assert isinstance(pace.reserve(lane, horizon=HORIZON), Slot | Later)


class Answers:
    """A Redis whose clock and whose answers a test makes up: each is how far it is ahead, and when it was heard."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment = 100.0
        self.before: Iterator[tuple[float, float]] = itertools.repeat((0.001, 0.001))
        self.pace = Pace(self)
        self.forgotten = 0
        monkeypatch.setattr("tasks.policies.pace.time.monotonic", lambda: self.moment)

    def client(self) -> Answers:
        return self

    def register_script(self, _: str) -> Callable[..., tuple[int, int, str]]:
        def run(*, args: Sequence[object], **_: object) -> tuple[int, int, str]:
            self.forgotten += args[0] == "forget"
            there, back = (self.there, self.back) if args[0] == "reserve" else next(self.before)
            self.moment += there
            wait = MICRO if args[0] == "reserve" else 0
            told = round((self.moment + self.ahead) * MICRO) + wait
            self.moment += back
            return 1, wait, str(told)

        return run

    def since(self, *, ahead: float, there: float = 0.001, back: float = 0.001) -> float:
        """How much later than Redis gave it a slot is taken to be given."""
        self.ahead, self.there, self.back = ahead, there, back
        slot = self.pace.reserve(buying_lane("account", policy()))
        assert isinstance(slot, Slot)
        assert slot.at == slot.since + 1.0
        return round(slot.since - (self.moment - back), 6)


def test_an_answer_that_is_heard_late_does_not_make_its_slot_late(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch)
    assert answers.since(ahead=5000.0, back=4.0) == 0.001
    assert answers.since(ahead=5000.0) == 0.001
    assert answers.since(ahead=5000.0, back=0.3) == 0.001


def test_a_redis_that_is_slow_at_first_is_asked_for_its_time_until_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch)
    answers.before = iter([(0.001, 3.0), (2.0, 0.001), (0.001, 0.002)])
    assert answers.since(ahead=5000.0, back=4.0) == 0.001
    assert list(answers.before) == []


def test_a_redis_that_is_always_slow_has_its_slots_late_and_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch)
    answers.before = itertools.repeat((0.001, 0.2), TRIES)
    assert answers.since(ahead=5000.0, back=4.0) == 0.2


@pytest.mark.parametrize("ahead", [-4000.0, 4000.0])
def test_a_redis_whose_clock_is_set_makes_no_slot_early(monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    answers = Answers(monkeypatch)
    answers.since(ahead=0.0)
    # not before it was asked, not after it was heard
    assert -0.001 <= answers.since(ahead=ahead) <= 0.001
    assert -0.001 <= answers.since(ahead=ahead, back=0.3) <= 0.001


def test_a_clock_that_goes_a_little_quicker_was_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch)
    answers.since(ahead=5000.0)
    answers.moment += 3600.0
    answers.since(ahead=5000.0 + 3600.0 * DRIFT / 2)
    assert answers.forgotten == 0
    answers.since(ahead=5000.0 + 3600.0 * DRIFT / 2 + 2 * STEP)
    assert answers.forgotten == 1


def test_a_call_is_late_sooner_where_its_slot_is_less_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch)
    answers.before = itertools.repeat((0.0, 0.006))
    answers.ahead, answers.there, answers.back = 5000.0, 0.0, 0.006
    slot = answers.pace.reserve(buying_lane("account", policy()))
    assert isinstance(slot, Slot)
    assert slot.unsure == pytest.approx(0.006, abs=0.0001)
    answers.moment = slot.at + 0.010
    assert not slot.missed(guard=0.040)
    assert slot.missed(guard=0.025)
