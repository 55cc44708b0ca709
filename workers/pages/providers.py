"""Providers: state, limits, what is under way; pause and resume."""

from __future__ import annotations

from schemas.status import Status
from workers.pages.frame.handler import Change, Page
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.providers.rows import pause_by_person, provider_rows, resume_by_person, said, stranded_in_words


class Providers(Page):
    """All configured providers."""

    template = "providers"
    tab = "dialstock_providers"

    def read(self, desk: Desk, *_: str) -> Document:
        """One row for each, and what waits under names that nobody buys for."""
        return {"providers": provider_rows(desk), "stranded": stranded_in_words(desk.runtime), "held": Status.HELD}


class ChangeProvider(Change):
    """A pause, or its end."""

    def change(self, desk: Desk, *names: str) -> tuple[str, Document]:
        """By the form's `reason`."""
        alias, what = names
        if what == "pause":
            fresh = pause_by_person(desk.runtime, alias, f"{said(self.form('reason'))} ({self.who})")
            told = (
                f"{alias} is paused."
                if fresh
                else f"{alias} was paused already: it stays so until a person resumes it."
            )
            return told, {"provider": alias, "paused": True}
        ended, _ = resume_by_person(desk, alias)
        told = f"{alias} goes on." if ended else f"{alias} was not paused: nothing was done."
        return told, {"provider": alias, "paused": False, "was_paused": ended}

    def shown_next(self, *_: str) -> str:
        """All of them."""
        return str(self.reverse_url("dialstock_providers"))
