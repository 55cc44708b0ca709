"""The worlds that every run of the tests lives through: together they find most mutants, so that few worlds tell much.

`python -m tests.simulation.mutants.hunting --fixed` tries each mutant in the world that is to find it.
"""

from __future__ import annotations

FINDS: dict[int, tuple[str, ...]] = {
    0: ("refusal_is_gone",),
    1: (
        "posted_before_asked",
        "intent_after_call",
        "bought_without_claim",
        "marked_unpublished",
        "nothing_swept",
        "cancelled_and_bought",
        "counted_once",
        "taken_each_time",
    ),
    2: (
        "given_back_by_anybody",
        "pool_limit_by_orders",
    ),
    3: (
        "claim_without_revision",
        "restored_and_bought",
    ),
    4: ("strangers_left",),
    5: ("max_forgotten",),
    7: (
        "unclear_is_absent",
        "lost_call_is_queued",
        "missed_slot_used",
        "newest_first",
        "lost_release_is_kept",
        "released_each_time",
    ),
    8: ("no_slot",),
    10: ("old_answer_believed",),
    20: ("doubt_replaced",),
    27: ("limiter_starts_full",),
    29: ("doubt_forgotten",),
    33: (
        "lost_name_not_marked",
        "lost_order_not_asked",
    ),
    38: ("any_404_is_absent",),
    49: (
        "doubt_not_counted",
        "short_at_once",
    ),
    53: ("own_clock_believed",),
    56: ("marked_by_number",),
    60: (
        "limiter_from_the_past",
        "answer_written_once",
        "wish_left_open",
    ),
    67: (
        "account_by_alias",
        "left_as_it_is",
    ),
    68: (
        "gone_is_there",
        "gone_is_adopted",
    ),
    74: ("pause_alone_believed",),
    86: ("late_mark_accepted",),
    96: ("taken_and_released",),
    97: ("dropped_without_a_word",),
    117: ("words_beside_ignored",),
    170: ("kept_after_it_went_on",),
    222: ("one_look",),
    346: ("clock_believed",),
    355: ("late_yes_dropped",),
    401: ("entry_passed_over",),
    801: ("list_read_once",),
}
"""Seeds, and the mutants of `every.py` that each finds. What draws otherwise makes other worlds of them."""
