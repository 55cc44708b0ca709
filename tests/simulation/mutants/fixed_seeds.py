"""The worlds that every run of the tests lives through: together they find most mutants, so that few worlds tell much.

`python -m tests.simulation.mutants.hunting --fixed` tries each mutant in the world that is to find it.
"""

from __future__ import annotations

FINDS: dict[int, tuple[str, ...]] = {
    0: (
        "unclear_is_absent",
        "posted_before_asked",
        "intent_after_call",
        "bought_without_claim",
        "nothing_swept",
        "cancelled_and_bought",
        "left_as_it_is",
        "old_answer_believed",
    ),
    1: (
        "doubt_forgotten",
        "marked_unpublished",
        "newest_first",
        "counted_once",
        "taken_each_time",
    ),
    2: (
        "lost_call_is_queued",
        "answer_written_once",
    ),
    3: (
        "claim_without_revision",
        "limiter_starts_full",
    ),
    4: ("dropped_without_a_word",),
    6: ("strangers_left",),
    7: (
        "doubt_replaced",
        "wish_left_open",
    ),
    8: (
        "no_slot",
        "max_forgotten",
        "pool_limit_by_orders",
    ),
    9: (
        "own_clock_believed",
        "given_back_by_anybody",
    ),
    11: ("doubt_not_counted",),
    13: (
        "restored_and_bought",
        "released_each_time",
    ),
    26: ("one_look",),
    28: ("lost_release_is_kept",),
    34: ("short_at_once",),
}
"""Seeds, and the mutants of `every.py` that each finds. What draws otherwise makes other worlds of them."""
