from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas import wording
from schemas.wording import _WORDS, listed, nearest, plain_words


class Inner(BaseModel):
    x: int = 0


class Model(BaseModel):
    model_config = ConfigDict(strict=False)

    key: Annotated[str, Field(min_length=1, max_length=3, pattern=r"^[!-~]+$")] = "k"
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$")] = "n"
    items: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    word: Annotated[str, Field(min_length=2)] = "wo"
    pairs: Annotated[list[int], Field(min_length=2)] = [1, 2]
    pair: tuple[int, ...] = ()
    data: dict[str, Any] = {}
    inner: Inner = Inner()
    count: Annotated[int, Field(ge=1, le=5)] = 1
    uuid: UUID | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    flag: bool = False
    way: Literal["a", "b"] = "a"
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] = "i"
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "US"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"key": 5}, "must be text, in quotes"),
        ({"key": ""}, "is empty: give at least one character"),
        ({"key": "xxxx"}, "is too long: 3 characters at most"),
        ({"key": "a b"}, "has a character that it cannot have: use letters, digits and signs of ASCII, without spaces"),
        ({"name": "\x01"}, "has a character that it cannot have: leave out control characters"),
        ({"items": 5}, "must be a list"),
        ({"items": []}, "is empty: give at least one"),
        ({"word": "w"}, "is too short: give 2 characters or more"),
        ({"pairs": [1]}, "has too few entries: give 2 or more"),
        ({"items": [1, 2, 3]}, "has 3 entries: 2 at most, split it"),
        ({"pair": 5}, "must be a list"),
        ({"data": []}, "must be an object of names and values"),
        ({"inner": 5}, "must be an object of names and values"),
        ({"count": "x"}, "must be a whole number"),
        ({"count": 1.5}, "must be a whole number"),
        ({"count": None}, "must be a whole number"),
        ({"count": 0}, "must be 1 or more"),
        ({"count": 6}, "must be 5 or less"),
        ({"share": "x"}, "must be a number"),
        ({"share": None}, "must be a number"),
        ({"share": 0}, "must be more than 0"),
        ({"share": 1}, "must be less than 1"),
        ({"flag": "x"}, "must be true or false"),
        ({"flag": None}, "must be true or false"),
        ({"way": "c"}, "must be 'a' or 'b'"),
        ({"id": "a/b"}, "has a character that it cannot have: use letters, digits and -"),
        ({"code": "usa"}, "must match ^[A-Z]{2}$"),
        ({"uuid": "zz"}, "must be a UUID, like 01890a5d-ac96-774b-bcce-b302099a8057"),
        ({"uuid": 5}, "must be a UUID, like 01890a5d-ac96-774b-bcce-b302099a8057"),
    ],
)
def test_every_problem_has_its_mend(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(fields)
    assert plain_words(caught.value.errors()[0]) == words


def test_what_has_no_words_of_ours_keeps_its_own() -> None:
    assert plain_words({"type": "value_error", "msg": "Value error, is odd"}) == "is odd"
    assert "value_error" not in _WORDS


def test_of_many_names_the_first_are_told() -> None:
    assert listed(f"a{n}" for n in range(20)) == ", ".join(f"a{n}" for n in range(20))
    told = listed(f"a{n}" for n in range(1000))
    assert told.endswith("a19 and 980 more")
    assert (listed([]), listed(["a"])) == ("", "a")


ACCOUNTS = [f"customers:a{place:05d}" for place in range(5_000)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("customers:a01234x", "customers:a01234"),
        ("customers:A01234", "customers:a01234"),
        (" customers:a01234", "customers:a01234"),
        ("", None),
        ("\ud800", None),
        ("zzz", None),
    ],
)
def test_what_is_nearest_among_many(name: str, expected: str | None) -> None:
    assert nearest(name, ACCOUNTS) == expected


def test_a_slip_costs_no_more_the_more_names_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def note(_name: str, names: list[str], _most: int) -> list[str]:
        compared.append(len(names))
        return []

    monkeypatch.setattr(wording.difflib, "get_close_matches", note)
    for count in (10, 50, 51, 5_000):
        nearest("customers:a02500", ACCOUNTS[:count])
    assert compared == [10, 50, 25, 50]
