"""One world: what the seed makes of it, its life under faults, and its end without them."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from schemas.config.file import Config
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import kinds as all_kinds
from tests.quick_policy import QUICK
from tests.simulation.actors import days, people, returns, staff, stocks
from tests.simulation.actors.balances import Balances
from tests.simulation.actors.edits import Edits, kind_of
from tests.simulation.actors.wishes import Wishes
from tests.simulation.faults import BY_THE_LAST_LOOK, WITHIN, WITHIN_RATES, Faults
from tests.simulation.handed_in import handed_in
from tests.simulation.judges.judge import Judge
from tests.simulation.requests import Request, numbers_of
from tests.simulation.scheduler import box
from tests.simulation.scheduler.clockwork import Broken, Clockwork, Process
from tests.simulation.scheduler.idle import Idle
from tests.simulation.servers.broker import Broker
from tests.simulation.servers.network import Network
from tests.simulation.servers.paging import SHRINKS, Paging
from tests.simulation.servers.store import Line, Store
from tests.simulation.servers.tables import Files
from tests.simulation.servers.weather import ANOTHER, REPLACED, Weather

URL = "http://127.0.0.1:1"
"""No socket leads there: `network.Network` answers."""
BEATS = ("beat", "beat 2")
ACTORS = (
    "worker 2",
    "worker 3",
    "on call",
    "weather",
    "taker",
    "giver",
    "bookkeeper",
    "beat 2",
    "deployer",
    "settler",
    "auditor",
)
"""Who may be left out."""
KINDS = tuple(all_kinds())
POLICY: dict[str, Any] = {
    **QUICK,
    "settle_after": 0,
    "audit_every": 5.0,
}
"""The defaults' minutes as seconds; a sandbox shows a purchase 2 s late at most, before the last look."""

RATE_LIMITS = ("2/second", "5/second", "20/second", "3/2 seconds")

BATCH = 5
"""The most numbers of one call, where calls are of several."""

NAMED = 0.75
"""The share of worlds in which the database's server tells itself from another, as PostgreSQL's do."""

SEVERAL = "several writers"
SHARED = 0.5
"""The share of worlds on PostgreSQL in which several write at once."""

SETTLED_WITHIN = 300.0
"""Virtual seconds after the faults in which everything is settled: a pause that grew, and all looks after it."""


@dataclass(frozen=True)
class Lived:
    """What came of a world: `broken` is None where every promise held.

    `faults` is how often each was met, and `states` by the status of what it hit; `drawn` are those that had a rate
    above 0; `keys` are the requests'.
    """

    seed: int
    broken: BaseException | None
    steps: int
    purchases: int
    charges: int
    virtual: float
    statuses: Counter[str]
    faults: Counter[str]
    states: Counter[tuple[str, str]]
    drawn: frozenset[str]
    told: Sequence[tuple[int, str, str]]
    without: frozenset[str]
    keys: tuple[str, ...]

    @cached_property
    def trace(self) -> tuple[str, ...]:
        """What happened, a line each."""
        return tuple(f"{at / 1e6:11.6f}  {who}: {what}" for at, who, what in self.told)

    @property
    def digest(self) -> str:
        """What two runs of a seed have in common, byte for byte."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class World:
    """Everything of one run; *files* and *line* are used by one world at a time.

    *without* are faults, actors and requests that are left out, and single occurrences of a fault (`name#2`).
    """

    def __init__(self, seed: int, files: Files, line: Line, without: frozenset[str] = frozenset()) -> None:
        self.seed = seed
        self.without = without
        self.files = files
        files.begin()
        files.named = self.chance("servers").random() < NAMED
        self.clockwork = Clockwork(seed)
        rng = self.clockwork.rng
        self.clockwork.switching = rng.choice((0.05, 0.3, 0.8))
        self.faults = Faults(self)
        self._share(self.chance("writers"))
        some = rng.sample(KINDS, rng.choice((1, 1, 2, 2, 5)))
        self.kinds = sorted({*self.faults.kinds, *(() if self.faults.alone else some)})
        # Where a clock that is set ahead saves more of the wait than the looks after it take.
        timeout = 8.0 if self.faults.rates["database's clock is set"] else 2.0
        self.by_the_last_look = timeout + BY_THE_LAST_LOOK
        # No file is edited where there is a pool.
        pools = {} if self.faults.edited else stocks.draw(rng, self.kinds)
        self.daily = days.draw(self)
        configs = _configs(rng, self.kinds, timeout, self.faults, daily=self.daily)
        self.configs = [one.model_copy(update={"pools": pools}) for one in configs]
        self.stocks = stocks.Stocks(self, pools)
        # All together stay within the looser limit.
        self.config = max(self.configs, key=_looseness)
        self.clockwork.may_happen = self.faults.at_boundary
        self.weather = Weather(self)
        self.store = Store(line, self)
        self.broker = Broker(self)
        self.network = Network(self)
        self._draw_providers(rng)
        self.judge = Judge(self)
        self.paging = Paging(self)
        self.staff = staff.Staff(self)
        self.returns = returns.draw(self)
        self.balances = Balances(self)
        self.edits = Edits(self)
        self.idle = Idle(self)
        self.asked: set[tuple[str, str]] = set()
        self.requests = [one for one in _requests(rng, self.kinds) if one.key not in without]
        self.wishes = Wishes(self)
        self.requests += self.wishes.orders

    def _draw_providers(self, rng: random.Random) -> None:
        """What goes wrong at them by itself, and what they do about pending orders and numbers that are sold."""
        control = self.network.control
        control.rates(self.seed, _at_most_one(self.faults.provider))
        seldom = 0.5 - self.faults.rates["pending for long"] / 2
        control.list_pending(self.chance("lists").random() < seldom)
        control.refuse_owned(rng.random() < 0.5)

    def _share(self, rng: random.Random) -> None:
        """Whether several write at once, where the database can; then some stand still with a lock now and then."""
        if rng.random() < SHARED and SEVERAL not in self.without:
            self.files.share(self.clockwork)
            self.faults.rates[WITHIN] = rng.choice(WITHIN_RATES) * self.files.shared

    def chance(self, name: str) -> random.Random:
        """Chance of its own for *name*: leaving another out changes nothing for it."""
        return random.Random(f"{self.seed} {name}")

    def can_look(self, kind: str) -> bool:
        """Whether a provider, by its kind or alias, shows what it sold."""
        return all_kinds()[kind_of(kind)].lists_owned

    def live(self) -> Lived:
        """Run to the end."""
        broken: BaseException | None = None
        with box.closed(self.clockwork), handed_in(self):
            self._people()
            try:
                self.clockwork.run()
            except BaseException as exc:
                broken = exc
        return self._told(broken)

    def _people(self) -> None:
        rng = self.clockwork.rng
        for number in range(rng.choice((1, 2, 3))):
            self._hire(f"worker {number + 1}", lambda: staff.worker(self))
        self._hire("on call", lambda: people.person(self))
        for name, body in (
            ("caller", lambda: people.caller(self)),
            ("supervisor", self.staff.watch),
            ("weather", self.weather.happens),
            ("director", self._direct),
            *((("settler", lambda: people.settler(self)),) if self.faults.rates[people.ERRS] else ()),
            *((("auditor", lambda: people.auditor(self)),) if self.faults.rates[ANOTHER] else ()),
            *((("deployer", self.edits.deploy),) if self.edits.kind else ()),
            *(((name, lambda: stocks.beat(self)) for name in BEATS) if self.stocks.pool else ()),
            *((("taker", lambda: stocks.taker(self)),) if self.stocks.pool else ()),
            *((("bookkeeper", self.balances.beat),) if self.balances.watched else ()),
            *((("giver", lambda: returns.giver(self)),) if self.returns.on else ()),
        ):
            if name not in self.without:
                self._immortal(name, body)

    def _hire(self, name: str, body: Any) -> None:
        if name not in self.without:
            self.staff.hire(name, body)

    def _immortal(self, name: str, body: Any) -> None:
        process = Process(name, mortal=False)

        def begin() -> None:
            self.staff.runtimes[process] = staff.runtime_of(self, OUTSIDE[name])
            body()

        self.clockwork.spawn(name, process, begin if name in OUTSIDE else body)

    def _direct(self) -> None:
        """Faults for a while; then none, and everything must come to its end."""
        end, more = self.clockwork.rng.choice((20.0, 30.0, 60.0)), self.stocks.pool is not None or self.returns.on
        while self.clockwork.seconds() < end and (more or self.judge.unsettled() or self.clockwork.rng.random() < 0.5):
            self.clockwork.sleep(2.0)
        self.clockwork.note("no more faults from here on")
        self.faults.on = False
        self.network.control.planner.clear()
        me = self.clockwork.me
        assert me is not None
        self.staff.runtimes[me.process] = staff.runtime_of(self, OUTSIDE["director"])
        began = self.clockwork.seconds()
        while left := self._left():
            people.mend_all(self)
            if self.clockwork.seconds() > began + SETTLED_WITHIN:
                raise Broken(f"not settled {SETTLED_WITHIN:g} s after the last fault: {'; '.join(left[:5])}")
            self.clockwork.sleep(2.0)
        self.judge.at_the_end()
        self.balances.at_the_end()
        self.wishes.at_the_end()
        self.clockwork.stop()

    def _left(self) -> list[str]:
        """What the machine, or somebody outside, still waits for."""
        found = self.judge.unsettled() + self.stocks.unsettled() + self.returns.unsettled()
        if "bookkeeper" not in self.without:
            found += self.balances.unsettled()
        return found or self.judge.behind()

    def _told(self, broken: BaseException | None) -> Lived:
        rows = self.judge.rows("SELECT status, count(*) AS n FROM purchase GROUP BY status")
        return Lived(
            seed=self.seed,
            broken=broken,
            steps=self.clockwork.steps,
            purchases=sum(row["n"] for row in rows),
            charges=self.judge.charged.total(),
            virtual=self.clockwork.seconds(),
            statuses=Counter({row["status"]: row["n"] for row in rows}),
            faults=self.faults.counts + self.files.met,
            states=self.faults.states,
            drawn=self.faults.drawn,
            without=self.without,
            keys=tuple(request.key for request in self.requests),
            told=self.clockwork.trace,
        )


OUTSIDE = {"director": 9, "settler": 10, "auditor": 11}
"""Who has a database beside the processes that die, and its number."""


def _configs(rng: Any, kinds: list[str], timeout: float, faults: Faults, *, daily: int) -> list[Config]:
    """One configuration, or two of workers that run at the same time: they differ in limits."""
    same = {
        **POLICY,
        "timeout": timeout,
        "rate_guard": rng.choice((0.025, 0.2)),
        # A list of many pages takes many calls.
        "lookup_rate_limits": [rng.choice(("20/second",) if faults.rates[SHRINKS] else ("2/second", "20/second"))],
    }
    batch = max(rng.choice((1, 1, BATCH)), BATCH if faults.batched else 1)
    own: dict[str, dict[str, Any]] = {kind: {"max_batch": min(batch, all_kinds()[kind].max_batch)} for kind in kinds}
    for policy in own.values():
        policy["daily_limit"] = daily
    if "timepay" in own:
        own["timepay"]["on_unknown"] = "hold"
    found = []
    for _ in range(rng.choice((1, 1, 2))):
        # Who comes too late for its slot has another while its intent is good.
        rates = [rng.choice(RATE_LIMITS[2:3] if faults.theme.get(REPLACED) else RATE_LIMITS)]
        rules = {**same, "rate_limits": rates, "max_in_flight": rng.choice((2, 5, 20))}
        whole = sandbox_config(URL, {kind: {**rules, **own[kind]} for kind in kinds})
        found.append(Config(providers={kind: whole.providers[kind] for kind in kinds}))
    return found


def _looseness(config: Config) -> float:
    """Calls a second: all providers of a configuration have the same limits."""
    [rate] = next(iter(config.providers.values())).policy.rate_limits
    return rate.limit / rate.window


def _requests(rng: Any, kinds: list[str]) -> list[Request]:
    """Single purchases and orders; some ask for the same numbers."""
    count = rng.choice((5, 15, 40))
    numbers = numbers_of(count)
    found = []
    for number in range(count):
        some = rng.sample(numbers, rng.randint(1, min(count, 8))) if rng.random() < 0.15 else [rng.choice(numbers)]
        wanted = [(rng.choice(kinds), one) for one in some]
        found.append(Request(f"key-{number}", wanted, order=len(some) > 1))
    return found


def _at_most_one(rates: dict[str, float]) -> dict[str, float]:
    total = max(1.0, sum(rates.values()))
    return {name: rate / total for name, rate in rates.items()}
