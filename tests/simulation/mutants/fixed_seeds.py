"""The worlds that every run of the tests lives through: together they find most mutants, so that few worlds tell much.

`python -m tests.simulation.mutants.hunting --fixed` tries each mutant in the world that is to find it.
"""

from __future__ import annotations

FINDS: dict[int, tuple[str, ...]] = {
    0: ("left_as_it_is",),
    1: (
        "posted_before_asked",
        "lost_call_is_queued",
        "doubt_forgotten",
        "intent_after_call",
        "claim_without_revision",
        "bought_without_claim",
        "marked_unpublished",
        "nothing_swept",
        "cancelled_and_bought",
        "newest_first",
        "counted_once",
        "taken_each_time",
        "given_back_by_anybody",
    ),
    3: (
        "answer_written_once",
        "short_at_once",
    ),
    10: ("missed_slot_used",),
    11: ("doubt_not_counted",),
    13: ("released_each_time",),
    21: ("restored_and_bought",),
    27: (
        "unclear_is_absent",
        "no_slot",
        "limiter_starts_full",
        "dropped_without_a_word",
        "any_404_is_absent",
        "old_answer_believed",
        "wish_left_open",
    ),
    29: ("one_look",),
    32: ("doubt_replaced",),
    39: ("limiter_from_the_past",),
    50: ("lost_release_is_kept",),
    51: ("strangers_left",),
    53: (
        "account_by_alias",
        "own_clock_believed",
    ),
    63: ("gone_is_adopted",),
    68: ("gone_is_there",),
    69: ("marked_by_number",),
    91: ("pool_limit_by_orders",),
    97: ("max_forgotten",),
    107: ("refusal_is_gone",),
    111: ("taken_and_released",),
    113: ("late_mark_accepted",),
    118: ("wish_counted_once",),
    165: ("words_beside_ignored",),
    297: ("entry_passed_over",),
}
"""Seeds, and the mutants of `every.py` that each finds. What draws otherwise makes other worlds of them."""
