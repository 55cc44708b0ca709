"""What a packed answer may unpack to, on real connections: a bomb costs no memory, and leaves a doubt."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest

from schemas.outcomes import LookKind, OutcomeKind
from tasks.providers.transport import coding
from tasks.providers.transport.http import Doubtful, HttpClient
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import KINDS, NUMBER, adapter, buy, success

BODY = json.dumps({"a": ["é", 1]}).encode()
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "": bytes,
}
HUGE = 400 * 1024 * 1024
LARGEST = 100 * 1024 * 1024
"""Bytes that reading one answer may take: packed, unpacked, and as text."""

_READING = """
import resource, sys
from tasks.providers.transport.http import Doubtful, HttpClient
calls = HttpClient(sys.argv[1], {}, connect_timeout=5.0, timeout=60.0)
calls.request("GET", "/")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    calls.request("GET", "/")
except Doubtful as exc:
    print(exc.reason, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def bare(content: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(content) + packing.flush()


def packed(content: bytes, name: str) -> bytes:
    return reply(200, content, {"Content-Encoding": name})


def get(url: str) -> object:
    return HttpClient(url, {}, connect_timeout=2.0, timeout=30.0).request("GET", "/").body


def reason(url: str) -> str:
    with pytest.raises(Doubtful) as caught:
        get(url)
    return caught.value.reason


@pytest.mark.parametrize("name", PACK)
def test_one_coding_that_was_asked_for_is_read(server: ScriptedServer, name: str) -> None:
    server.queue(packed(PACK[name](BODY), name))
    assert get(server.url) == json.loads(BODY)
    assert server.seen[0].headers["accept-encoding"] == "gzip, deflate"


def test_deflate_without_its_header_is_read(server: ScriptedServer) -> None:
    server.queue(packed(bare(BODY), "deflate"))
    assert get(server.url) == json.loads(BODY)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
        (gzip.compress(zlib.compress(BODY)), "deflate, gzip"),
        (BODY, "br"),
        (BODY, "zstd"),
        (BODY, "x-unknown"),
        (BODY, "gzip"),
        (gzip.compress(BODY), "deflate"),
        (gzip.compress(BODY)[:-4], "gzip"),
        (gzip.compress(BODY) + gzip.compress(b" "), "gzip"),
        (zlib.compress(BODY) + b"more", "deflate"),
    ],
    ids=["twice", "two", "br", "zstd", "unknown", "not packed", "another", "cut off", "two members", "more behind"],
)
def test_several_codings_unknown_and_broken_ones_leave_a_doubt(
    server: ScriptedServer, content: bytes, name: str
) -> None:
    server.queue(packed(content, name))
    assert reason(server.url) == "decoding_error"


def test_two_headers_are_several_codings(server: ScriptedServer) -> None:
    content = gzip.compress(gzip.compress(BODY))
    head = (
        f"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\ncontent-encoding: gzip\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    server.queue(head.encode() + content)
    assert reason(server.url) == "decoding_error"


def test_an_empty_answer_has_nothing_to_unpack(server: ScriptedServer) -> None:
    server.queue(packed(b"", "gzip"))
    assert get(server.url) is None


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("name", ["gzip", "deflate", "identity"])
def test_the_largest_answer_is_read_and_no_larger_one(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, name: str, over: int
) -> None:
    monkeypatch.setattr(coding, "MAX_BODY", 100_000)
    server.queue(packed(PACK[name](b"1".ljust(100_000 + over)), name))
    assert (reason(server.url) if over else get(server.url)) == ("too_large" if over else 1)


@pytest.mark.parametrize("name", ["gzip", "deflate", "gzip, gzip"])
def test_a_bomb_takes_no_memory(server: ScriptedServer, name: str) -> None:
    pack = zlib.compressobj(1, wbits=zlib.MAX_WBITS + (0 if name == "deflate" else 16))
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(HUGE >> 20)) + pack.flush()
    server.queue(reply(200, {}), packed(gzip.compress(bomb) if name == "gzip, gzip" else bomb, name))
    why, taken = _read_elsewhere(server.url)
    assert why == ("decoding_error" if name == "gzip, gzip" else "too_large")
    assert taken < LARGEST


@pytest.mark.parametrize("value", [b"[],", b'{"a":1},'])
def test_a_small_text_of_very_many_values_takes_no_memory(server: ScriptedServer, value: bytes) -> None:
    many = b"[" + value * (coding.MAX_BODY // len(value) - 1) + b"0]"
    server.queue(reply(200, {}), packed(gzip.compress(many), "gzip"))
    why, taken = _read_elsewhere(server.url)
    assert (why, taken < LARGEST) == ("too_large", True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 201, 401, 404, 422])
def test_a_purchase_answered_so_is_unknown_whatever_its_status(server: ScriptedServer, kind: str, status: int) -> None:
    body = gzip.compress(gzip.compress(json.dumps(success(kind)[1]).encode()))
    server.queue(reply(status, body, {"Content-Encoding": "gzip, gzip"}))
    outcome = buy(adapter(kind, server.url), kind)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, "decoding_error")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "timepay"])
@pytest.mark.parametrize("status", [200, 404])
def test_a_look_answered_so_is_unclear(server: ScriptedServer, kind: str, status: int) -> None:
    answer = reply(status, gzip.compress(gzip.compress(b"{}")), {"Content-Encoding": "gzip, gzip"})
    server.otherwise = lambda _: answer
    assert adapter(kind, server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR


def _read_elsewhere(url: str) -> tuple[str, int]:
    """Why a fresh process does not read the second answer, and the bytes that its memory grew by meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", _READING, url], capture_output=True, text=True, check=True, timeout=120
    )
    why, taken = done.stdout.split()
    return why, int(taken)
