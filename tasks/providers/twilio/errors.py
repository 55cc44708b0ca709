"""What Twilio's error codes say of a purchase, from its error pages and its published catalogue.

The statuses that go with them are not in its specification; third-party code has seen 400 for most. The vendor refines
its codes all the time and advises against branching on them, so a code that does not stand here goes by its status, and
none counts beside a status that may have been executed.

    21422                      not available: not Twilio's, or kept for another account
    21421 21401                no number;  21451 21452   nothing in that area code
    21631 21615 21613          an address is missing;  21649 a bundle;  21650 an identity;  21651 its document
    20003 20006                credentials, access denied;  20008   test credentials
    20005 10001                the account is not active;  10002 21404   a trial's limits;  22300   barred for now
    20429                      too many calls at once: never executed
"""

from __future__ import annotations

from dataclasses import replace

from schemas.config.papers import papers_mend
from schemas.outcomes import Outcome, OutcomeKind, clip
from tasks.providers.transport.classify import by_code

_BY_CODE = {
    **dict.fromkeys(("21422", "21421", "21401", "21451", "21452"), OutcomeKind.REFUSED),
    **dict.fromkeys(("21631", "21615", "21613", "21649", "21650", "21651"), OutcomeKind.COMPLIANCE),
    **dict.fromkeys(
        ("20003", "20006", "20008", "20005", "10001", "10002", "21404", "22300"),
        OutcomeKind.ACCOUNT,
    ),
    "20429": OutcomeKind.THROTTLED,
    **dict.fromkeys(("20500", "20503"), OutcomeKind.UNKNOWN),
}
judge = by_code(_BY_CODE)
"""The outcome of an answer outside 2xx."""

_PAPERS = {"21649": "bundles", "21650": "identities"}
_LIVE = "these are test credentials, which buy nothing: configure the live account_sid and its token"
_WORDS = 250
"""Characters of the provider's own sentence, where a mend follows it."""


def with_mend(outcome: Outcome, number: str) -> Outcome:
    """*outcome* with what to do about it."""
    if outcome.kind is OutcomeKind.COMPLIANCE:
        mend = papers_mend(_PAPERS.get(outcome.error_code or "", "addresses"), number)
    elif outcome.error_code == "20008":
        mend = _LIVE
    else:
        return outcome
    return replace(outcome, error=clip(f"{clip(outcome.error, _WORDS)}: {mend}"))
