"""Where a run keeps its files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests import scratch


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the one in memory; nothing chosen yet."""
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(scratch, "ROOM", 1)
    return tmp_path


def test_files_are_made_in_a_folder_of_the_run_from_then_on(memory: Path) -> None:
    folder = scratch.choose(memory)
    assert folder is not None
    assert folder.parent == memory
    made = subprocess.run(["mktemp"], capture_output=True, text=True, check=True).stdout.strip()
    assert {Path(made).parent, Path(tempfile.mkdtemp()).parent} == {folder}


def test_a_place_that_somebody_chose_stays(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/somewhere")
    assert scratch.choose(memory) is None
    assert os.environ["TMPDIR"] == "/somewhere"


def test_without_room_the_disk_is_taken(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "ROOM", 2**60)
    assert (scratch.choose(memory), scratch.choose(memory / "none"), list(memory.iterdir())) == (None, None, [])


def test_what_ended_runs_left_is_removed_and_nothing_of_another_that_goes_on(memory: Path) -> None:
    left = memory / "dialstock-run-left"
    left.mkdir()
    first = scratch.choose(memory)
    assert (left.exists(), first is not None) == (False, True)
    del os.environ["TMPDIR"]
    second = scratch.choose(memory)
    assert {*memory.iterdir()} == {first, second}
