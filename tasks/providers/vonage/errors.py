"""What Vonage's refusals mean.

Bodies are {"error-code", "error-code-label"}. 420 is its catch-all, and by its specification nothing was bought then:
an address is wanted, or the number is ours already, or `method failed`, which was also reported for too little credit.
So only the label tells: one that names an address is missing papers, which are given in the dashboard alone; one that
names credit is the account's; and all else refuses the number, whose look tells whether it is ours. That the same
refusal of many numbers is no number's fault is for the pause of the provider to find. A 420 without that code in its
body is not Vonage's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.outcomes import Outcome, OutcomeKind, clip
from tasks.providers.transport.answers import fields
from tasks.providers.transport.classify import Said, kind_of, read_said

CODE = "error-code"
CATCH_ALL = 420
LABEL = "error-code-label"
_ADDRESS = "address"
_FAILED = "method failed"
_PAPERS = "buy it in Vonage's dashboard, where the address is given, then dialstock purchase resolve NUMBER --bought"
_CREDIT = "Vonage says so of an account without credit, too: dialstock provider check tells the balance"
_COUNTRY = "where the number is of another country than it seems, give that as the option `country`"
_WORDS = 300
"""Characters of the provider's own sentence, where a mend follows it."""


def read_errors(body: Any) -> Said:
    """What an error's body says: its code and its label, else what errors say elsewhere."""
    return read_said({"code": fields(body).get(CODE), "error": fields(body).get(LABEL), **fields(body)})


def judge(status: int, said: Said) -> OutcomeKind:
    """The outcome of an answer outside 2xx."""
    if status != CATCH_ALL or str(CATCH_ALL) not in said.codes:
        return kind_of(status, said)
    if said.tells_of_account:
        return OutcomeKind.ACCOUNT
    return OutcomeKind.COMPLIANCE if _ADDRESS in (said.text or "").casefold() else OutcomeKind.REFUSED


def with_mend(outcome: Outcome) -> Outcome:
    """*outcome* with what to do about it."""
    if outcome.kind is OutcomeKind.COMPLIANCE:
        mend = _PAPERS
    elif outcome.kind is OutcomeKind.REFUSED and _FAILED in (outcome.error or "").casefold():
        mend = _CREDIT
    elif outcome.kind is OutcomeKind.REFUSED and outcome.http_status == 404:
        mend = _COUNTRY
    else:
        return outcome
    return replace(outcome, error=clip(f"{clip(outcome.error, _WORDS)}: {mend}"))
