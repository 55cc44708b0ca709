"""The benchmark of the limit is only as good as its counting."""

from __future__ import annotations

from tests.bench.measuring.windows import by_second, largest


def test_largest_window_wherever_it_begins():
    assert largest([0.0, 0.9, 1.0, 1.1, 1.89, 5.0], 1.0) == 4
    assert largest([0.0, 1.0, 2.0], 1.0) == 1
    assert largest([3.0, 3.0], 0.5) == 2
    assert largest([], 1.0) == 0


def test_whole_seconds_after_the_first_call():
    assert by_second([10.0, 10.5, 11.0, 12.9, 13.2]) == [2, 1, 1]
    assert by_second([10.0]) == []
    assert by_second([]) == []
