"""schemas.config.errors: the line of a problem, however the file writes its keys."""

from __future__ import annotations

import pytest

from schemas.config.errors import Problem, did_you_mean, report

TEXT = """\
top = 1
[ providers . "a" ]   # first
base = "x"
 'quoted'= 1
policy.burst = 1
policy.limit = [
  "a",
]
inline = { deep = { er = 1 } }

[providers.b.policy]
burst = 2
[providers.b]
kind = "x"
[providers."c.d"]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("providers", "a"), 2),
        (("providers", "a", "base"), 3),
        (("providers", "a", "quoted"), 4),
        (("providers", "a", "policy"), 5),
        (("providers", "a", "policy", "burst"), 5),
        (("providers", "a", "policy", "limit", "0"), 6),
        (("providers", "a", "inline", "deep", "er"), 9),
        (("providers", "a", "missing"), 2),
        (("providers", "b", "policy", "burst"), 12),
        (("providers", "b", "policy", "missing"), 11),
        (("providers", "b"), 13),
        (("providers", "c.d"), 15),
        (("nowhere",), 1),
    ],
)
def test_a_problem_stands_at_the_deepest_key_that_the_file_shows(path, line):
    assert str(report([Problem(path, "is wrong")], TEXT, "f")) == f"f:{line}: is wrong"


def test_problems_are_told_in_the_order_of_their_lines():
    problems = [Problem(("providers", "b"), "late"), Problem(("top",), "one"), Problem(("top",), "two")]
    assert str(report(problems, TEXT, "f")) == "f:1: one\nf:1: two\nf:13: late"


def test_the_nearest_name_or_all_are_offered():
    assert did_you_mean("brid", ["bird", "vogent"]) == "did you mean 'bird'?"
    assert did_you_mean("zzz", ["bird", "vogent"]) == "known are bird, vogent"
