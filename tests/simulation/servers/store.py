"""Redis: a real Valkey runs our real Lua, and is given the time. Each call has a boundary before and after it.

What Redis itself would do by its own clock is done in the prelude by the world's: TIME, keys that expire, and
`master_replid`, which names the server's present life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisGone

from schemas.events import STREAM
from tests.simulation.scheduler.box import START
from tests.simulation.scheduler.clockwork import MICRO

if TYPE_CHECKING:
    from tests.simulation.scheduler.clockwork import Process
    from tests.simulation.world import World

_PRELUDE = """
local real, redis = redis, {error_reply = redis.error_reply, pcall = redis.pcall}
local second, micro, replid = string.match(table.remove(ARGV), '^(%d+) (%d+) (%w+)$')
local present = second * 1000000 + micro
local function lapse(key)
  local ends = real.call('GET', 'until:' .. key)
  if ends and tonumber(ends) <= present then real.call('DEL', key, 'until:' .. key) end
end
redis.call = function(name, key, value, how, milliseconds, ...)
  if name == 'TIME' then return {second, micro} end
  if name == 'INFO' then return 'master_replid:' .. replid end
  if name == 'GET' then lapse(key) end
  if how == 'PX' then
    real.call('SET', 'until:' .. key, string.format('%.0f', present + milliseconds * 1000))
    return real.call('SET', key, value)
  end
  if milliseconds ~= nil then return real.call(name, key, value, how, milliseconds, ...) end
  if how ~= nil then return real.call(name, key, value, how) end
  if value ~= nil then return real.call(name, key, value) end
  return real.call(name, key)
end
"""


AFTERWARDS = 4.0
"""Seconds after a step ahead in which slots from before it may meet others, where it is not noticed."""


class Line:
    """A connection to the server without redis-py's retries and pools, which took most of a call's time."""

    def __init__(self, url: str) -> None:
        # Without a time limit, which would be by the machine's clock.
        self._connection: Any = Redis.from_url(url, socket_timeout=None).connection_pool.get_connection()
        self._digests: dict[str, Any] = {}
        # Nobody restarts it.
        self.said("CONFIG", "SET", "appendonly", "no")

    def said(self, *command: Any) -> Any:
        """The answer to *command*."""
        self._connection.send_packed_command(self._connection.pack_command(*command))
        return self._connection.read_response()

    def load(self, script: str) -> Any:
        """The digest under which the server runs *script*."""
        if script not in self._digests:
            self._digests[script] = self.said("SCRIPT", "LOAD", script)
        return self._digests[script]

    def close(self) -> None:
        self._connection.disconnect()


class Store:
    """The server as one world knows it: which life it is in, and what its stream held before it was emptied.

    `forgot` is how often it lost what it knew.
    """

    def __init__(self, line: Line, world: World) -> None:
        self.line = line
        self.world = world
        self.life = 1
        self.forgot = 0
        self.skew = 0
        self._ahead: list[tuple[int, set[Process]]] = []
        self.published: list[bytes] = []
        line.said("FLUSHALL")

    @property
    def clock(self) -> str:
        """What the prelude is told."""
        now = int(START.timestamp()) * MICRO + self.world.clockwork.now + self.skew
        return f"{now // MICRO} {now % MICRO} {self.life:040d}"

    def set_clock(self, seconds: float) -> None:
        """Set its clock; where it is set ahead, who has read it before notices."""
        self.skew += round(seconds * MICRO)
        if seconds > 0:
            self._ahead.append((self.world.clockwork.now, self._readers()))

    def was_set_ahead(self, first: int, last: int) -> bool:
        """Whether its clock was set ahead so that calls between these two may be too many: one first read it since."""
        return any(
            first - AFTERWARDS * MICRO <= at <= last and not self._readers() <= readers for at, readers in self._ahead
        )

    def _readers(self) -> set[Process]:
        """The processes that have read its clock; who died counts until another takes its place."""
        return {process for process, runtime in self.world.staff.runtimes.items() if runtime.pace._clock.known}

    def empty(self, *, restarts: bool) -> None:
        """FLUSHALL; a server that *restarts* has another life, too."""
        self.published += self._stream()
        self.line.said("FLUSHALL")
        self.life += restarts
        self.forgot += 1
        self.world.judge.forgot()

    def copy(self) -> list[tuple[bytes, bytes]]:
        """All that it knows."""
        return [(key, self.line.said("DUMP", key)) for key in sorted(self.line.said("KEYS", "*"))]

    def restore(self, copy: list[tuple[bytes, bytes]]) -> None:
        """Start anew with what it knew then."""
        self.empty(restarts=True)
        for key, value in copy:
            self.line.said("RESTORE", key, 0, value)

    def all_published(self) -> list[bytes]:
        """Every event that ever stood in the stream, in order."""
        return self.published + self._stream()

    def _stream(self) -> list[bytes]:
        return [fields[fields.index(b"event") + 1] for _, fields in self.line.said("XRANGE", STREAM, "-", "+")]


class ProcessRedis:
    """One process's client: what code under test calls of redis-py."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def client(self) -> ProcessRedis:
        return self

    def register_script(self, script: str) -> Callable[..., Any]:
        digest = self._store.line.load(_PRELUDE + script)
        name = _name_of(script)

        def run(keys: Sequence[str] = (), args: Sequence[Any] = (), client: ProcessRedis | None = None) -> Any:
            what = args[0] if name == "pace" else name
            return (client or self)._call(f"redis {what}", "EVALSHA", digest, len(keys), *keys, *args, timed=True)

        return run

    def lrange(self, key: str, first: int, last: int) -> Any:
        return self._call("redis lrange", "LRANGE", key, first, last)

    def set(self, key: str, value: str) -> Any:
        return self._call("redis set", "SET", key, value)

    def hdel(self, key: str, *fields: str) -> Any:
        return self._call("redis hdel", "HDEL", key, *fields)

    def exists(self, key: str) -> Any:
        return self._call("redis exists", "EXISTS", key)

    @contextmanager
    def pipeline(self, *, transaction: bool) -> Iterator[_Pipeline]:
        assert not transaction
        yield _Pipeline(self._store)

    def _call(self, what: str, *command: Any, timed: bool = False) -> Any:
        return self._said(what, [(command, timed)])[0]

    def _said(self, what: str, commands: Sequence[tuple[Sequence[Any], bool]]) -> list[Any]:
        """One way there and back for all *commands*."""
        world = self._store.world
        world.clockwork.boundary(what)
        world.faults.redis_before(commands[0][0][0])
        # Redis's time is when it runs the script, and not when somebody asked it to.
        answers = [self._store.line.said(*one, *([self._store.clock] if timed else [])) for one, timed in commands]
        world.faults.redis_after()
        world.clockwork.boundary(f"{what}: answered")
        return answers


class _Pipeline(ProcessRedis):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.scripts: set[Any] = set()
        self._commands: list[tuple[Sequence[Any], bool]] = []

    def _call(self, what: str, *command: Any, timed: bool = False) -> Any:
        self._commands.append((command, timed))

    def execute(self) -> list[Any]:
        return self._said("redis pipeline", self._commands) if self._commands else []


def _name_of(script: str) -> str:
    for name, sign in {"pace": "'TIME'", "publish": "XADD", "lease": "'PX'", "mark": "LTRIM"}.items():
        if sign in script:
            return name
    return "script"


def gone() -> RedisGone:
    """What a client sees of a server that is away."""
    return RedisGone("Redis is away")
