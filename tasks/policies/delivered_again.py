"""A message that the broker delivers again, and that left no answer the first time, may come too late.

Its caller may have sent another one since, and what it names may be somebody else's by now.
"""

from __future__ import annotations

from datetime import timedelta

MAY_BE_LATE = timedelta(hours=2)
"""How long before now a number must have come to who has it, so that the message means this one's.

The broker delivers again what was not answered within half an hour (`workers.app.VISIBILITY_TIMEOUT`), before all else
in the queue; so this is time for some deliveries that came to nothing. Longer would refuse more that is meant: what a
worker had not begun when it was stopped is delivered again, too.
"""

UNCLEAR = "unclear"
"""The `error_code` of what is not done then."""
