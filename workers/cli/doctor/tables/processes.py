"""Whether all that runs has the configuration in force that this command reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection

from schemas.events import utc_text
from tasks.processes import Running, running, silent
from workers.cli.doctor.findings import Finding, fail, ok
from workers.views.words import count, moment

_ELSEWHERE = "it takes over a changed file within 5 s: else it reads another file, or lacks this one on its machine"


def examine_processes(conn: Connection, digest: str | None, now: datetime) -> Iterator[Finding]:
    """A line for each process that refuses its file or has another configuration; one for all where none does.

    *digest* is that of our own; None where it cannot be read.
    """
    found = running(conn, now)
    problems = [finding for one in found if (finding := _examine(one, digest))]
    if found and not problems and digest is not None:
        yield ok("processes", f"{len(found)} have this configuration in force, {digest}")
    yield from problems
    yield from _gone_silent(conn, now)


def _gone_silent(conn: Connection, now: datetime) -> Iterator[Finding]:
    """A line for each role of which all processes fell silent; one that was stopped took itself out."""
    for role, found in groupby(sorted(silent(conn, now), key=lambda one: one.role), key=lambda one: one.role):
        last, *others = sorted(found, key=lambda one: one.seen_at, reverse=True)
        more = f", and {count(len(others), 'other')} before it" if others else ""
        message = f"no {role} runs: {last} gave its last sign of life at {moment(last.seen_at)}{more}"
        mend = f"it hangs or was killed: end it where it still stands, and start `dialstock {role}`"
        yield fail("processes", message, mend)


def _examine(one: Running, digest: str | None) -> Finding | None:
    since = f"{one.digest} of {utc_text(one.since)[:19]}Z"
    if one.refused is not None:
        message = f"{one} keeps the configuration that it had, {since}: it refuses its file: {one.refused}"
        return fail("processes", message, "mend the file: it is tried again every 5 s")
    if digest not in (None, one.digest):
        message = f"{one} has another configuration in force than this command reads: {since}, and not {digest}"
        return fail("processes", message, _ELSEWHERE)
    return None
