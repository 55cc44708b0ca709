"""Who gives a command."""

from __future__ import annotations

import getpass
import os
from typing import NoReturn

import pytest

from workers.views.errors import Failure
from workers.views.operator import person


def test_the_login_name_is_the_default() -> None:
    assert person(None) == getpass.getuser()
    assert person(" ann ") == "ann"


@pytest.mark.parametrize("error", [OSError, KeyError])
def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def nobody() -> NoReturn:
        raise error("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert person(None) == f"uid {os.getuid()}"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(Failure, match="is no name: give 1 to 100 printable characters"):
        person(name)
