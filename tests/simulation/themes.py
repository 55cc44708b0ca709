"""What some worlds have much of: `faults.py` draws one for each world."""

from __future__ import annotations

from random import Random
from typing import TypeAlias

ACCOUNTS = ("signalwire", "bird")
"""Kinds whose accounts may be told apart."""

ORDERING = ("telnyx", "bandwidth")
"""Kinds whose calls are orders of many numbers, under a name of ours."""

PAGED = ("vogent", "signalwire", "bird", "twilio", "plivo")
"""Kinds whose lists go on on a second page, of whatever order and by whatever token."""

UNCOUNTED = ("signalwire", "bird", "twilio", "vogent")
"""Kinds whose lists say nowhere how many numbers there are."""

GIVEN_BACK = ("vogent", "twilio", "plivo", "vonage", "telnyx", "bandwidth")
"""Kinds that take numbers back at once, some of which have an id for each sale."""

Theme: TypeAlias = tuple[dict[str, float], tuple[str, ...]]
"""Rates of faults, and the kinds of providers of which one is in such a world; any, where there is none."""

PUBLISHED: Theme = ({"database restored": 0.4, "stands still with what is published": 0.8}, ())
"""What is published is marked in a database that went back, and gives the events' numbers to others."""

ANSWERED: Theme = (
    {
        "database restored": 0.3,
        "stands still with an answer": 0.6,
        "provider refuse": 0.3,
        "redis is read-only": 0.05,
    },
    (),
)
"""An answer of a call that was lost comes to another call for the same number."""

ASKED_ANEW: Theme = ({"list shows what is gone": 0.9, "provider refuse": 0.6}, GIVEN_BACK)
"""What is asked for anew is refused, and looked for at once, while a list shows what was given back."""

LOST_ORDER: Theme = (
    {"restored to before a call": 0.4, "database restored": 0.0, "pending for long": 0.1},
    ORDERING,
)
"""What was ordered is lost, and stands in no list before it is delivered; calls are of up to five numbers."""

TOO_LATE: Theme = (
    {"restored to before a call": 0.3, "another audits meanwhile": 0.8, "giving back loses its answer": 0.8},
    GIVEN_BACK,
)
"""Who lets an account go on comes too late for that: what is given back by then is no more what a restore brought."""

AUDIT_REPLACED: Theme = (
    {"restored to before a call": 0.3, "database restored": 0.0, "replaced within an audit": 0.7},
    (),
)
"""What an audit took in is lost once more, and the pause that it ends is not."""

SHRINKING: Theme = (
    {"list shrinks while it is paged": 0.95, "provider error_after": 0.6, "reading fails": 0.0},
    ("vogent",),
)
"""Whose list says not how many there are, and has no filter by number: what moves between two pages is seen by none."""

CLOCK_SET: Theme = ({"database's clock is set": 0.3, "shows at the last look": 0.4}, ())
"""Looks that go by it are over before what they look for shows."""

THEMES: tuple[Theme, ...] = (
    *(({}, ()),) * 2,
    # What is refused then is in doubt all the same: an earlier call has bought it.
    ({"shows after the last look": 0.6}, ()),
    # Where the file is edited: an alias may be pointed at another account.
    *(({}, ACCOUNTS),) * 2,
    ({"gateway loses an answer": 0.4}, ()),
    ({"gateway loses an answer": 0.4}, ("fluents", "vogent")),
    ({"gateway loses an answer": 0.3, "database's clock is set": 0.2}, ()),
    # Whose orders may stand in no list before they are delivered; calls are of up to five numbers.
    ({"database restored": 0.3, "pending for long": 0.5}, ORDERING),
    ({"redis restored": 0.2, "redis starts anew": 0.1}, ()),
    ({"giving back fails": 0.5, "gateway loses an answer": 0.2}, ()),
    # Who cannot be asked: what is in doubt is a person's at once.
    ({"stands still with an answer": 0.4, "a person errs": 0.8}, ("timepay",)),
    # A slot that is missed meets those after it.
    ({"stands still": 0.1, "sleeps too long": 0.8}, ()),
    ({"replaced before the mark": 0.3, "message doubled": 0.5}, ()),
    ({"list shrinks while it is paged": 0.7, "database restored": 0.2}, PAGED),
)
"""What some worlds have much of, and little else: what takes several faults in a row is met by chance too seldom."""

SCARCE: tuple[Theme, ...] = (
    # Who is asked for one number: a 404 may be the gateway's.
    ({"gateway loses an answer": 0.4}, ("fluents",)),
    # An entry that nobody can read may be any number.
    ({"gateway loses an answer": 0.4}, ("vogent",)),
    # What stands beside a list says whether it is one.
    ({"gateway loses an answer": 0.4}, UNCOUNTED),
    *(LOST_ORDER,) * 3,
    *(AUDIT_REPLACED,) * 2,
    *(TOO_LATE,) * 2,
    # What was released for one account, or is in doubt there, comes to who calls the same alias another one.
    ({"pointed at another account": 1.0}, ACCOUNTS),
    # Who has claimed on a server that was replaced marks that too late for who claims the same on the next, at the same
    # revision, and makes no call.
    ({"replaced before the mark": 0.3, "message doubled": 0.7}, ()),
    *(ASKED_ANEW,) * 2,
    # What was given out before a server came back is not in it.
    ({"redis restored": 0.3}, ()),
    PUBLISHED,
    ANSWERED,
    SHRINKING,
    CLOCK_SET,
)
"""What shows in one of many worlds of its theme: SHARE of all worlds have one of these.

Where such a theme has kinds, the world has no others.
"""

SHARE = 0.5

BESIDE_A_THEME = 0.3
"""The share that is left of all other rates in such a world."""


def theme_of(seed: int) -> Theme:
    """What the world of *seed* has much of."""
    chance = Random(f"{seed} theme")
    return chance.choice(SCARCE if chance.random() < SHARE else THEMES)
