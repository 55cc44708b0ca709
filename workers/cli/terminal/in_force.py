"""A note where what runs has another configuration in force than a command reads."""

from __future__ import annotations

from tasks.processes import running
from tasks.runtime import Runtime
from workers.cli.terminal.output import say


def tell_differences(runtime: Runtime) -> None:
    """One line on standard error; nothing where all have the same, or nothing runs."""
    now, digest = runtime.now(), runtime.config.digest
    with runtime.database.read() as conn:
        others = [one for one in running(conn, now) if one.digest != digest]
    if others:
        more = f" and {len(others) - 1} more" if others[1:] else ""
        have = "have" if more else "has"
        why = "an edit is in force within 5 s; if it stays so, `dialstock doctor` tells why"
        say(f"Note: {others[0]}{more} {have} another configuration in force than this command reads: {why}", "yellow")
