"""The processes: workers with task threads and timers, wired as `workers.wiring` does, and begun again when dead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from schemas.config.errors import ConfigError
from schemas.config.provider import SANDBOX_TOKEN, SANDBOX_VARIABLE
from schemas.retention import Retention
from tasks.policies.pace import Pace
from tasks.providers.registry import kinds_of
from tasks.runtime import Runtime
from tasks.watermark import Watermark
from tests.simulation.actors import releases
from tests.simulation.scheduler.clockwork import MICRO, Process
from tests.simulation.servers.store import ProcessRedis
from tests.simulation.servers.tables import Clock, ProcessDatabase
from workers.database.clock import EVERY, DatabaseClock
from workers.periodic.timers import Timer, Timers
from workers.wiring import bind_providers, prepare_providers

if TYPE_CHECKING:
    from tests.simulation.world import World

THREADS = 2
TIMERS = ("release", "sweep", "history", "give-back", "relay")
FOR_WISHES = ("wishes", "reservations")
AGAIN = 0.5
"""Seconds between two looks after who died, and after a start that failed."""
BEGINS = 0.25
"""The share of looks after who died at which he is begun again."""

OFF = (-3600.0, -20.0, -1.5, 1.5, 20.0, 3600.0)
"""Seconds by which a machine's own clock is off."""
CLOCK_IS_OFF = "a worker's clock is off"

_SETTINGS: Any = SimpleNamespace(stream_length=1_000_000, event_retention=7 * 86_400.0, retention=Retention())


def runtime_of(world: World, number: int) -> Runtime:
    """A runtime of its own for the world's process *number*, with one of the configurations."""
    config = world.balances.file(world.edits.file(world.clockwork.rng.choice(world.configs)))
    database = ProcessDatabase(world, world.files.engine(number))
    redis = ProcessRedis(world.store)
    providers = bind_providers(config, {SANDBOX_VARIABLE: SANDBOX_TOKEN})
    clock: Any = Clock(world.clockwork)
    now = DatabaseClock(clock)
    return Runtime(
        config=config,
        providers=providers,
        kinds=kinds_of(config),
        database=database,
        redis=redis,
        pace=Pace(redis),
        watermark=Watermark(redis),
        send=world.broker.send,
        now=now,
        watch=now.watch,
        sleep=world.faults.sleep,
        reached=world.clockwork.boundary,
    )


class Staff:
    """Who works: `runtimes` has each living process's own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.runtimes: dict[Process, Runtime] = {}
        self.lives: list[Process] = []
        self._bodies: list[Any] = []
        self._clocks = world.chance("clocks of workers")

    @property
    def runtime(self) -> Runtime:
        """The running actor's: what `tasks.runtime.current` is."""
        me = self._world.clockwork.me
        assert me is not None
        return self.runtimes[me.process]

    def hire(self, name: str, body: Any) -> None:
        """A process that runs *body* whenever it is started."""
        number = len(self.lives)
        self._bodies.append(body)
        self.lives.append(self._start(name, number))

    def set_clock(self, life: Process) -> None:
        """Have the clock of its machine be off by some other time; the database's goes on."""
        life.skew = round(self._clocks.choice(OFF) * MICRO)
        self._world.clockwork.note(f"the clock of {life.name} is off by {life.skew / MICRO:+g} s")

    def watch(self) -> None:
        """Begin again who died, some time later; for ever."""
        while True:
            self._world.clockwork.sleep(AGAIN)
            for number, life in enumerate(self.lives):
                begins = self._world.edits.at_once or self._world.clockwork.rng.random() < BEGINS
                if life.gone and begins:
                    self._world.broker.bury(life)
                    self.runtimes.pop(life, None)
                    self.lives[number] = self._start(life.name, number)

    def _start(self, name: str, number: int) -> Process:
        process = Process(name)
        if self._world.faults.happens(CLOCK_IS_OFF, about=()):
            self.set_clock(process)
        releases.starts(self._world, process)

        def begin() -> None:
            self.runtimes[process] = runtime_of(self._world, number)
            self._bodies[number]()

        self._world.clockwork.note(f"{name} starts")
        self._world.clockwork.spawn(name, process, begin)
        return process


def worker(world: World) -> None:
    """A worker's main thread: everything is made ready, then threads and timers begin."""
    runtime, me = world.staff.runtime, world.clockwork.me
    assert me is not None
    while not _ready(world, runtime):
        world.clockwork.sleep(AGAIN)
    for number in range(THREADS):
        world.clockwork.spawn(f"{me.name}/task {number + 1}", me.process, lambda: _work(world))
    now: Any = runtime.now
    for timer in [*Timers(runtime, _SETTINGS)._timers, Timer("clock", EVERY, now.ask)]:
        if _is_needed(world, timer.name) and (not me.process.older or timer.name in releases.TICKS):
            world.clockwork.spawn(f"{me.name}/{timer.name}", me.process, lambda timer=timer: _tick(world, timer))  # type: ignore[misc]


def _is_needed(world: World, timer: str) -> bool:
    if timer == "pools":
        return world.stocks.pool is not None
    if timer in FOR_WISHES:
        return bool(world.wishes.orders)
    return timer in TIMERS or (timer == "clock" and world.faults.rates["database's clock is set"] > 0)


def _ready(world: World, runtime: Runtime) -> bool:
    try:
        prepare_providers(runtime)
    except (SQLAlchemyError, RedisError, ConfigError) as exc:
        world.clockwork.note(f"cannot start: {type(exc).__name__}")
        return False
    return True


def _work(world: World) -> None:
    while True:
        world.broker.work(world.broker.take())


def _tick(world: World, timer: Timer) -> None:
    while True:
        world.idle.rest(timer.name, timer._once() or 0.001)
