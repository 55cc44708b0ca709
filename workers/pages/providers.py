"""Providers: state, limits, what is under way; pause and resume."""

from __future__ import annotations

from schemas.status import Status
from tasks.policies.pause import Cause
from workers.pages.frame.drawing import bars
from workers.pages.frame.handler import Change, Page
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.providers.rows import (
    MINUTES,
    calls_of_the_hour,
    pause_by_person,
    provider_rows,
    resume_by_person,
    stranded_in_words,
)
from workers.views.words import count

FRESH = 10.0
"""Seconds for which what takes long to count is shown again: calls, and what waits under names of old."""


class Providers(Page):
    """All configured providers."""

    template = "providers"
    tab = "dialstock_providers"

    def read(self, desk: Desk, *_: str) -> Document:
        """One row for each, and what waits under names that nobody buys for."""
        calls = self.desk.shared.get("calls", FRESH, lambda: calls_of_the_hour(desk.runtime))
        rows = [
            {**row, "calls": calls.get(row["provider"], [0] * MINUTES), "actions": _actions(row)}
            for row in provider_rows(desk)
        ]
        stranded = self.desk.shared.get(
            ("stranded", desk.runtime.config.digest), FRESH, lambda: stranded_in_words(desk.runtime)
        )
        return {"providers": rows, "stranded": stranded, "held": Status.HELD}

    def shown(self, document: Document) -> Document:
        """The pictures of the last hour, by provider."""
        return {**document, "drawings": {row["provider"]: _of_the_hour(row) for row in document["providers"]}}


def _actions(row: Document) -> list[str]:
    """What would change a provider: a person's pause stands already, that of a lost history is ended by an audit."""
    cause = row["pause_cause"]
    stops = cause or row["no_purchases_until"] or row["no_lookups_until"]
    pause = [] if cause == Cause.PERSON else ["pause"]
    return [*pause, *(["resume"] if stops and cause != Cause.BEHIND else [])]


def _of_the_hour(row: Document) -> str:
    calls, limit = row["calls"], 60 / row["seconds_per_purchase"]
    most = f"{count(sum(calls), 'call')} in the last hour, at most {max(calls):,} a minute"
    return bars(calls, limit, f"{row['provider']}: {most}; the limit is {limit:,.0f} a minute")


class ChangeProvider(Change):
    """A pause, or its end."""

    def change(self, desk: Desk, *names: str) -> tuple[str, Document]:
        """By the form's `reason`."""
        alias, what = names
        if what == "pause":
            fresh = pause_by_person(desk.runtime, alias, self.form("reason"), self.who)
            told = (
                f"{alias} is paused."
                if fresh
                else f"{alias} was paused already: it stays so until a person resumes it."
            )
            return told, {"provider": alias, "paused": True}
        ended, cooled = resume_by_person(desk, alias)
        told = f"{alias} goes on." if ended or cooled else f"{alias} was not paused: nothing was done."
        return told, {"provider": alias, "paused": False, "was_paused": ended, "was_cooling": cooled}

    def shown_next(self, *_: str) -> str:
        """All of them."""
        return str(self.reverse_url("dialstock_providers"))
