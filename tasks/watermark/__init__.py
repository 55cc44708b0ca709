"""The watermark: which calls were committed last, kept outside the database, which can go back in time.

A restored backup, or a replica that lagged and was promoted, does not know the newest purchases, and would buy their
numbers again; and what was given back since it takes for ours. So each committed intent is marked in Redis *before its
call goes out* (commit, mark, call): what was called for is marked, whatever dies; what was rolled back is not, and
raises no alarm. An intent that was committed and not marked was not called for. One write marks all that a group commit
wrote for an account.

A mark names its attempt, and the database is behind where that attempt is not in it: no clock and no order is compared.
Attempts are deleted long after their purchase ended, and all of it at once, which the database can tell. Marks stand in
the order in which they were written, which is nearly that of their commits: what was committed before a mark and marked
after it was under way meanwhile. A database that went back lost what was committed last, so if anything marked is lost,
one of the newest marks is, among as many as the account has calls under way. That is why not the newest alone is looked
at. What a server that was replaced marks late may have many newer ones before it: so all that was marked since the last
look is looked at too.

An account that is written anew has marks under each of its names, and answers for all of them under each: a file may
go back in time with its database. So its names stand in both, and Redis is told them again before each look.

Who has committed on a server that was replaced meanwhile marks too late for whoever looked at the new one. So the
server that was looked at last stands in Redis as well, written down before the marks are read, and nobody marks what
was committed on another.

Redis emptied, or itself back in time, forgets marks and raises no alarm. Both back in time at once cannot be told.
"""

from tasks.watermark.marks import Mark, Newest, Replaced, Since
from tasks.watermark.store import KEPT, Watermark

__all__ = ["KEPT", "Mark", "Newest", "Replaced", "Since", "Watermark"]
