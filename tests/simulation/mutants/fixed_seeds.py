"""The worlds that every run of the tests lives through: together they find most mutants, so that few worlds tell much.

`python -m tests.simulation.mutants.hunting --fixed` tries each mutant in the world that is to find it.
"""

from __future__ import annotations

FINDS: dict[int, tuple[str, ...]] = {
    0: (
        "posted_before_asked",
        "intent_after_call",
        "bought_without_claim",
        "nothing_swept",
    ),
    1: (
        "doubt_forgotten",
        "marked_unpublished",
        "newest_first",
        "counted_once",
        "taken_each_time",
        "given_back_by_anybody",
    ),
    2: ("answer_written_once",),
    3: ("limiter_starts_full",),
    7: ("wish_left_open",),
    8: (
        "no_slot",
        "max_forgotten",
        "pool_limit_by_orders",
    ),
    9: (
        "own_clock_believed",
        "lost_release_is_kept",
    ),
    10: (
        "unclear_is_absent",
        "cancelled_and_bought",
        "old_answer_believed",
    ),
    11: ("doubt_not_counted",),
    26: ("missed_slot_used",),
    29: (
        "one_look",
        "dropped_without_a_word",
    ),
    34: ("short_at_once",),
    39: ("limiter_from_the_past",),
    40: ("late_mark_accepted",),
    42: (
        "strangers_left",
        "left_as_it_is",
    ),
    46: (
        "lost_call_is_queued",
        "claim_without_revision",
        "restored_and_bought",
        "doubt_replaced",
    ),
    53: ("account_by_alias",),
    56: ("released_each_time",),
    57: ("marked_by_number",),
    208: ("bought_by_whoever_it_is_now",),
    234: ("pause_alone_believed",),
    318: ("answer_by_revision",),
    429993292: ("standing_pause_believed",),
}
"""Seeds, and the mutants of `every.py` that each finds. What draws otherwise makes other worlds of them."""
