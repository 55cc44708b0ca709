"""A file is there whole or not at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.orderfile import Problem
from workers.views.errors import Failure
from workers.views.orders.check_file import Checked
from workers.views.whole_file import whole_file


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """As where there is no room for more than *most* bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write(output: Path, *texts: Any) -> None:
    with whole_file(output) as target:
        for text in texts:
            target.write(text)


def add_problems(checked: Checked, count: int) -> None:
    for line in range(count):
        checked.add_problem(Problem(line, None, "is wrong"))


def test_nothing_is_left_of_one_that_has_no_room(tmp_path: Path) -> None:
    output = tmp_path / "bad.csv"
    with full_disk(20_000), pytest.raises(Failure, match=r"bad\.csv: cannot be written: File too large"):
        write(output, "+14155550100,bird\n" * 5_000)
    assert [*tmp_path.iterdir()] == []


def test_what_was_there_stays_where_it_breaks_off(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("mine")
    with pytest.raises(TypeError):
        write(output, "theirs", None)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["mine"]


def test_of_two_that_write_a_file_anew_at_once_one_is_told(tmp_path: Path) -> None:
    def late() -> None:
        with whole_file(output, anew=True) as target:
            with whole_file(output, anew=True) as first:
                first.write("first")
            target.write("late")

    output = tmp_path / "bad.csv"
    with pytest.raises(Failure, match=r"bad\.csv: cannot be written: File exists"):
        late()
    assert [one.read_text() for one in tmp_path.iterdir()] == ["first"]


def test_a_temporary_file_that_has_no_room_names_its_folder() -> None:
    checked = Checked()
    with full_disk(20_000), pytest.raises(Failure, match="cannot be written: File too large: TMPDIR names another"):
        add_problems(checked, 2_000)
    checked.close()


def test_a_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="/dev/full: cannot be written: No space left on device"):
        write(Path("/dev/full"), "x")
    with pytest.raises(Failure, match="cannot be written: Is a directory"):
        write(tmp_path, "x")
