"""Whether Redis Sentinel could name another master, and nobody would stay at the old one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workers.cli.doctor.findings import Finding, warn
from workers.redis_access.master import Master
from workers.redis_access.sentinel_url import parse


def sentinels(url: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    """What to know of those that *url* names, and of the master's own answer to INFO."""
    for where, why in Master(parse(url)).troubles().items():
        yield warn("redis", f"the sentinel {where} is of no use: {why}", "start it, or take it out of REDIS_URL")
    replicas = info.get("connected_slaves", 0)
    if not replicas:
        yield warn("redis", "the master has no replica that could take over", "start one, and look into its log")
    # With one alone, the master that it becomes would take no writes.
    if replicas > 1 and "min_slaves_good_slaves" not in info:
        message = "a master that is cut off from its sentinels goes on as one, and providers' limits count twice"
        yield warn("redis", message, "set min-replicas-to-write 1 and min-replicas-max-lag 10 on all of its servers")
