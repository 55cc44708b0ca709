"""One call that gives a number back, and what its answer comes to. Its moment is its caller's (`deadline.Bounds`).

Only the answer that the documents have for it says *released*; any other 2xx says nothing, and so does one that is not
of now (`freshness`): a gateway that keeps records has that of a number which is ours still. A refusal does not say that
the number is not ours: a 404 is a gateway's word too. Whoever called looks then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from schemas.numbering.numbers import digits_only
from schemas.outcomes import Outcome, OutcomeKind
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

_PATH_ID = re.compile(r"[A-Za-z0-9-]{1,100}")


def release(
    session: Session,
    path: str,
    number_id: str,
    says_done: Callable[[Answer], bool],
    *,
    form: Mapping[str, str] | None = None,
    too_recent: Collection[str] = (),
) -> ReleaseOutcome:
    """Delete what stands at *path*, whose part `{id}` is *number_id*, or post *form* there, once.

    *says_done*: whether a 2xx is the documented answer. *too_recent* are the error codes of a number that the provider
    does not let go yet. An id that no path should carry is refused here: nothing is sent.
    """
    if not _PATH_ID.fullmatch(number_id):
        return unsent("bad_id", f"{session.name} gave an id that is none")
    answer = session.act("DELETE" if form is None else "POST", path.format(id=number_id), form=form)
    if isinstance(answer, Outcome):
        return _no(answer, too_recent)
    if answer.flaw:
        return ReleaseOutcome.of(session.unsettled(answer, "kept_answer", answer.flaw))
    if says_done(answer):
        return ReleaseOutcome(kind=ReleaseKind.RELEASED, http_status=answer.status, detail=session.clean(answer.text))
    return ReleaseOutcome.of(session.unsettled(answer, "no_record", "no word that the number was given back"))


def no_content(answer: Answer) -> bool:
    """Whether an answer is a 204, as the documents have it."""
    return answer.status == 204 and not answer.text


def by_digits(session: Session, number: str, number_id: str) -> ReleaseOutcome | None:
    """The refusal of an id that is not *number*'s digits, where these are all that names it."""
    return None if number_id == digits_only(number) else unsent("bad_id", f"{session.name}'s id of {number} is another")


def unsent(code: str, error: str) -> ReleaseOutcome:
    """A number that cannot be asked for: our own refusal, before anything is sent."""
    return ReleaseOutcome(kind=ReleaseKind.REFUSED, error_code=code, error=f"{error}: nothing was sent")


def _no(outcome: Outcome, too_recent: Collection[str]) -> ReleaseOutcome:
    if outcome.kind in (OutcomeKind.REFUSED, OutcomeKind.COMPLIANCE):
        recent = outcome.error_code in too_recent
        return ReleaseOutcome.of(outcome, ReleaseKind.TOO_RECENT if recent else ReleaseKind.REFUSED)
    return ReleaseOutcome.of(outcome)
