"""The bounds and the encodings of order files, from files and pipes."""

from __future__ import annotations

import io
import os
import threading
import time

import pytest

from tasks.orderfile import OrderFileError, text

from .reading import HEADER, Pipe, lines, read


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "is damaged, or no spreadsheet: open it, and save it"),
        (b"\x1f\x8b\x08\x00\x00", "is not text"),
        ("number,provider\n".encode("utf-16-le"), "is not text"),
        (b"number,provider\n+14155550100,bird\n\xff\xfe\n", "line 3 is not UTF-8 text: save the file as 'CSV UTF-8'"),
        (b"number,provider,metadata.ort\n+14155550100,bird,Z\xfcrich\n", "line 2 is not UTF-8 text"),
        ("number,provider\n".encode("utf-16") + b"x", "line 2 or one soon after is not UTF-8 text"),
    ],
)
def test_what_is_not_text_is_refused(data, reason):
    with pytest.raises(OrderFileError, match=reason):
        read(data)


def test_json_that_is_not_text_is_refused():
    with pytest.raises(OrderFileError, match="is not UTF-8 text"):
        read(b'[{"number": "\xff"}]', "x.json")


def test_a_sparse_gigabyte_is_refused_at_once(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(1024**3)
    started = time.thread_time()
    with path.open("rb") as file, pytest.raises(OrderFileError, match=r"larger than 256 MiB: split it into several"):
        read(file, "huge.csv")
    assert time.thread_time() - started < 5


def test_a_pipe_is_refused_as_soon_as_it_gave_too_much(monkeypatch):
    monkeypatch.setattr(text, "MAX_BYTES", 1024 * 1024)
    row = b"+14155550100,bird," + b"x" * 4000 + b"\n"
    pipe = Pipe(iter([HEADER.encode(), *[row] * 1000]))
    with pytest.raises(OrderFileError, match="larger than 1 MiB"):
        read(pipe)
    assert pipe.given < 1_200_000


def test_a_pipe_is_read_as_it_comes():
    data = (HEADER + "+14155550100,bird,\n").encode("utf-16")
    assert len(lines(Pipe(data[i : i + 1] for i in range(len(data))))) == 1


def test_a_real_pipe_is_read_to_its_end():
    reading, writing = os.pipe()
    rows = "".join(f"+1415555{i:04d},bird,\n" for i in range(3000))

    def write():
        with os.fdopen(writing, "wb") as file:
            file.write((HEADER + rows).encode())

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as file:
        assert len(lines(file, "-")) == 3000
    writer.join()


def test_a_file_is_left_open_for_its_owner():
    stream = io.BytesIO((HEADER + "+14155550100,bird,\n").encode())
    lines(stream)
    assert not stream.closed


def test_a_line_without_end_is_refused():
    with pytest.raises(OrderFileError, match="line 1 is longer than 1,048,576 characters"):
        read(b"x" * 3_000_000)


def test_an_element_without_end_is_refused():
    with pytest.raises(OrderFileError, match="element 1 is not JSON"):
        read(b'["' + b"x" * 3_000_000, "x.json")
