"""Letting providers go on by a person's word, and telling of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.cli.terminal.output import emit_json, say, show
from workers.views.desk import Desk
from workers.views.errors import SOME_FAILED, Failure
from workers.views.providers.rows import resume_by_person

Row = dict[str, Any]

_REDIS_AWAY = "Redis cannot be asked (`dialstock doctor` tells why): where the provider asked to slow down, that stays."


def resume_one(desk: Desk, alias: str, reason: str, *, json: bool) -> None:
    """Raises Failure where it cannot go on."""
    done = _resumed(desk, alias, reason)
    if json:
        emit_json(done)
    else:
        _tell(done)


def resume_all(desk: Desk, reason: str, *, json: bool) -> int:
    """Each configured provider; returns the exit status: 1 where one cannot go on by this."""
    done, stay = [], {}
    for alias in sorted(desk.runtime.config.providers):
        try:
            done.append(_resumed(desk, alias, reason))
        except Failure as exc:
            stay[alias] = str(exc)
    if json:
        left = [{"provider": alias, "paused": True, "error": message} for alias, message in stay.items()]
        emit_json(sorted([*done, *left], key=lambda one: one["provider"]))
    else:
        _tell_all(done, stay)
    return SOME_FAILED if stay else 0


def _tell_all(done: Sequence[Row], stay: Mapping[str, str]) -> None:
    changed = [one for one in done if one["was_paused"] or one["was_cooling"]]
    for one in changed:
        _tell(one)
    if not (changed or stay):
        show("No provider was paused: nothing was done.")
    if any(one["was_cooling"] is None for one in done if one not in changed):
        show(_REDIS_AWAY)
    for message in stay.values():
        say(f"dialstock: {message}", "red")


def _resumed(desk: Desk, alias: str, reason: str) -> Row:
    ended, cooled = resume_by_person(desk, alias)
    return {"provider": alias, "paused": False, "was_paused": ended, "was_cooling": cooled, "reason": reason}


def _tell(done: Row) -> None:
    alias, cooled = done["provider"], done["was_cooling"]
    if done["was_paused"] or cooled:
        why = f" ({done['reason']})" if done["reason"] else ""
        show(f"{alias} goes on{why}.")
    else:
        show(f"{alias} was not paused: nothing was done.")
    if cooled:
        show("The provider had asked to slow down: that is lifted, and it may refuse again.")
    if cooled is None:
        show(_REDIS_AWAY)
