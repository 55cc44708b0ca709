"""`dialstock purchase mark-kept`: a person saw at the provider that numbers on their way back are ours still."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from workers.cli.purchase.mark_released import Ids, Note, say_what_became
from workers.cli.terminal.options import By
from workers.cli.terminal.output import Json


def mark_kept(ids: Ids, *, note: Note = None, by: By = None, json: Json = False) -> None:
    """Write down that numbers which were to be given back are ours still, and stay so.

    For what no look at the provider settles: see there first. Nothing is called any more: it is purchased as before,
    in its pool too, and may be given back anew. What the provider carries out later all the same is found by the audit.
    So too for what was kept while nobody could tell whether it is gone (history_lost), and is in no pool since.
    The status is 1 where one is none of that, or a call of ours to give it back has not ended.
    """
    from schemas.status import Status
    from tasks.releases import giving_back

    say_what_became(ids, (Status.RELEASING, Status.PURCHASED), giving_back.mark_kept, note, by, json=json)
