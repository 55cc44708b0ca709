"""A stock file: all of it is checked, and each bad row is told by its line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from schemas.config.kinds import Kind
from tasks.orderfile import text
from tasks.providers.registry import kinds
from tasks.replenish import stock_file
from tasks.replenish.stock_file import StockFileError, read_stock

TWO = {"acme": kinds()["fluents"], "shop": kinds()["signalwire"]}
ONE = {"acme": kinds()["fluents"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "support.csv"


def refused(path: Path, content: str, known: Mapping[str, Kind] = ONE) -> str:
    path.write_text(content)
    with pytest.raises(StockFileError) as caught:
        read_stock(path, known, "US")
    return str(caught.value)


def test_numbers_with_and_without_their_provider(path: Path) -> None:
    path.write_text("number,provider\n+14155550100,shop\n(415) 555-0101,acme\n")
    found = [(one.number, one.provider) for one in read_stock(path, TWO, "US")]
    assert found == [("+14155550100", "shop"), ("+14155550101", "acme")]
    path.write_text("number;options.inbound_agent\n+14155550100;agent-1\n")
    [one] = read_stock(path, ONE, "US")
    assert (one.provider, one.options) == ("acme", {"inbound_agent": "agent-1"})


def test_every_bad_row_is_told_by_its_line(path: Path) -> None:
    content = "number\n+14155550100\nnonsense\n+14155550100\n\n+1415\n"
    lines = refused(path, content).split("; ")
    assert [line.split(" ")[0] for line in lines] == [f"{path}:{n}:" for n in (3, 4, 6)]
    assert "line 2 again" in lines[1]


def test_no_more_than_five_are_told(path: Path) -> None:
    told = refused(path, "number\n" + "x\n" * 8)
    assert told.count(f"{path}:") == 5
    assert told.endswith("; and 3 more")


@pytest.mark.parametrize(
    ("content", "known", "told"),
    [
        ("number,provider\n+14155550100,shpo\n", TWO, ":2: provider: 'shpo' is not configured: did you mean 'shop'?"),
        ("number,provider\n+14155550100,shop\n", ONE, ":2: provider: 'shop' is not configured"),
        ("number\n+14155550100\n", TWO, ":1: provider: the column is missing"),
        ("number,provider\n+14155550100,\n", TWO, ":2: provider: is missing"),
        ("number,idempotency_key\n+14155550100,k\n", ONE, ":2: idempotency_key: a pool sets its own"),
        ("number,metadata.a\n+14155550100,k\n", ONE, ":2: metadata: a pool sets its own"),
        (
            "number,price\n+14155550100,1\n",
            ONE,
            ":1: price: unknown column: a stock file has number, provider, country and options.*",
        ),
        ("", ONE, ": is empty"),
        ("number\n", ONE, ": has no rows"),
        ("+14155550100\n", ONE, ": line 1 is no header"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(path: Path, content: str, known: Mapping[str, Kind], told: str) -> None:
    assert f"{path}{told}" in refused(path, content, known)


def test_a_file_that_is_none(path: Path) -> None:
    for make, problem in ((lambda: None, "no such file"), (path.mkdir, "is a directory")):
        make()
        with pytest.raises(StockFileError, match=rf"support\.csv: {problem}"):
            read_stock(path, ONE, "US")
    path.rmdir()
    # opening it would wait for a writer for ever
    os.mkfifo(path)
    with pytest.raises(StockFileError, match="no such file"):
        read_stock(path, ONE, "US")


def test_a_file_that_is_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_file, "MAX_ROWS", 3)
    path.write_text("number\n" + "".join(f"+1415555010{n}\n" for n in range(3)))
    assert len(read_stock(path, ONE, "US")) == 3
    assert "has more than 3 rows" in refused(path, "number\n" + "".join(f"+1415555010{n}\n" for n in range(9)))
    monkeypatch.setattr(text, "MAX_BYTES", 20)
    assert "is larger than" in refused(path, "number\n" + "".join(f"+1415555010{n}\n" for n in range(9)))
