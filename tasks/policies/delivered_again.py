"""A message that the broker delivers again, and that left no answer the first time, may come too late.

Its caller may have sent another one since, and what it names may be somebody else's by now.
"""

from __future__ import annotations

from datetime import timedelta

MAY_BE_LATE = timedelta(days=1)
"""How long before now a number must have come to who has it, so that the message means this one's.

The broker delivers again what is half an hour old (`workers.app.VISIBILITY_TIMEOUT`); a queue may be long.
"""

UNCLEAR = "unclear"
"""The `error_code` of what is not done then."""
