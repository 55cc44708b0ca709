"""What holds for order files of any format: no rows, too many rows, memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from tasks.orderfile import Line, OrderFileError, reader
from tasks.providers.registry import kinds

from .reading import HEADER, Pipe, lines, read


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", "\n".encode("utf-16"), b" \t\r\n,,,\n"])
def test_an_empty_file_says_so(data):
    with pytest.raises(OrderFileError, match=r"^order\.csv: is empty"):
        read(data)


def test_a_header_alone_is_nothing_to_buy():
    with pytest.raises(OrderFileError, match="has no rows: nothing to buy"):
        read(HEADER)


def test_the_rows_are_bounded(monkeypatch):
    monkeypatch.setattr(reader, "MAX_ROWS", 3)
    rows = [f"+1415555010{i},bird,\n" for i in range(4)]
    # several problems on one line are one row, and a blank line is none
    assert len(read(HEADER + "x,zzz,\n\n" + "".join(rows[:2]))) == 4
    with pytest.raises(OrderFileError, match="has more than 3 rows: split it"):
        read(HEADER + "".join(rows))


def wide_rows(count: int, start: str, row: str, end: str = "") -> Iterator[bytes]:
    """Rows of 4 kB, made while they are read."""
    yield start.encode()
    for i in range(count):
        yield (row % (f"+1415{2_000_000 + i:07d}", "x" * 4000)).encode()
    yield end.encode()


@pytest.mark.parametrize(
    ("name", "start", "row", "end"),
    [
        ("x.csv", "number,provider,metadata.a\n", "%s,bird,%s\n", ""),
        ("x.ndjson", "", '{"number": "%s", "provider": "bird", "metadata": {"a": "%s"}}\n', ""),
        ("x.json", "[null\n", ',{"number": "%s", "provider": "bird", "metadata": {"a": "%s"}}', "]"),
    ],
)
def test_a_large_file_takes_little_memory(name, start, row, end):
    count = 3000
    pipe = Pipe(block for block in wide_rows(count, start, row, end) if block)
    order = reader.read_order(
        pipe, name=name, format=None, kinds={"bird": kinds()["bird"]}, default_provider=None, country=None
    )
    tracemalloc.start()
    try:
        found = sum(isinstance(item, Line) for item in order)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == count
    assert pipe.given > 12_000_000
    assert peak < 6_000_000


def test_a_hundred_thousand_rows_are_read():
    rows = (f"+1415{i:07d},bird,k-{i}\n" for i in range(2_000_000, 2_100_000))
    assert len(lines(HEADER + "".join(rows))) == 100_000
