"""Messages lost, duplicated and reordered, in the queues themselves: one Lua script, so that no worker looks on."""

from __future__ import annotations

import json
import random
import time

from redis import Redis

_SCRIPT = """
math.randomseed(tonumber(ARGV[1]))
local touched = 0
for _, queue in ipairs(KEYS) do
  local waiting = redis.call('LRANGE', queue, 0, -1)
  local kept = {}
  for _, message in ipairs(waiting) do
    local fate = math.random()
    if fate >= 0.25 then table.insert(kept, math.random(#kept + 1), message) end
    if fate >= 0.75 then table.insert(kept, math.random(#kept + 1), message) end
  end
  redis.call('DEL', queue)
  for _, message in ipairs(kept) do redis.call('RPUSH', queue, message) end
  touched = touched + #waiting
end
return touched
"""


def tamper(client: Redis, rng: random.Random, queues: list[str], *, wanted: int, seconds: float) -> int:
    """A quarter of the waiting messages is lost, a quarter doubled, and what workers hold is delivered again.

    Again and again until *wanted* messages were touched or *seconds* have passed; returns how many were.
    """
    script = client.register_script(_SCRIPT)
    touched, deadline = 0, time.monotonic() + seconds
    while touched < wanted and time.monotonic() < deadline:
        touched += int(script(keys=queues, args=[rng.randrange(2**31)])) + _deliver_again(client)
        time.sleep(0.05)
    return touched


def _deliver_again(client: Redis) -> int:
    """What kombu does with a message whose worker has not acknowledged it in time."""
    held = [json.loads(value) for value in client.hvals("unacked")]
    for message, _, queue in held:
        client.rpush(queue, json.dumps(message))
    return len(held)
