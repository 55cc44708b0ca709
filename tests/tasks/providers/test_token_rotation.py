"""A token file that is written anew while the process runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import SANDBOX_TOKEN
from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from tasks.providers import token_rotation as module
from tasks.providers.adapter import (
    Adapter,
    Ask,
    CancelsReservations,
    PreparesTogether,
    ProviderError,
    Reserving,
    SearchQuery,
    TellsBalance,
)
from tasks.providers.token_rotation import rotating
from tasks.providers.transport.turns import in_turn
from tasks.sandbox import SandboxServer
from tests.tasks.providers.adapters import NUMBER, ask, config
from tests.waiting import eventually
from workers.wiring import bind_providers

OLD, NEW = "s3cr3t-OLD", "s3cr3t-NEW"
REFUSED = Outcome(kind=OutcomeKind.ACCOUNT, http_status=401, error="no")
YES = Outcome(kind=OutcomeKind.PURCHASED)


class Shop:
    """An adapter that takes one token alone, and calls `during` while it is called."""

    lookup, can_search, max_batch, prepares, keeps_reference = "by_number", True, 3, True, False
    good = NEW
    calls: list[str]
    during: Callable[[], object]

    def __init__(self, token: str) -> None:
        if "\n" in token:
            raise ConfigError("the token has characters that no header can carry")
        self.token = token

    def buy(self, asks: list[Ask]) -> list[Outcome]:
        self.calls.append(self.token)
        self.during()
        return [YES if self.token == self.good else REFUSED for _ in asks]

    def prepare(self, ask: Ask) -> Ask | Outcome:
        self.calls.append(self.token)
        return ask if self.token == self.good else REFUSED

    reserves_for, reserves_at_once, names_reservations = 60, 9, True

    def reserve(self, numbers: list[str]) -> dict[str, Any]:
        return dict.fromkeys(numbers, self.search(SearchQuery()))

    def cancel_reservation(self, _: str) -> None:
        self.search(SearchQuery())

    def prepare_together(self, asks: list[Ask]) -> list[Ask | Outcome]:
        return [self.prepare(ask) for ask in asks]

    def look(self, numbers: dict[str, Any]) -> dict[str, Look]:
        self.calls.append(self.token)
        kind = LookKind.ABSENT if self.token == self.good else LookKind.UNCLEAR
        return dict.fromkeys(numbers, Look(kind=kind, account=kind is LookKind.UNCLEAR))

    def search(self, _: SearchQuery) -> list[Any]:
        self.calls.append(self.token)
        if self.token != self.good:
            raise ProviderError(REFUSED)
        return []

    def owned(self) -> Iterator[Any]:
        yield from self.search(SearchQuery())

    def check(self) -> list[Any]:
        return []

    def balance(self) -> Any:
        return self.search(SearchQuery())


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Shop, "calls", [], raising=False)
    monkeypatch.setattr(Shop, "during", lambda _: None, raising=False)
    path = tmp_path / "token"
    write(path, OLD)
    return path


@pytest.fixture
def shop(file: Path) -> Adapter:
    def read() -> str:
        text = file.read_text().strip() if file.exists() else ""
        if not text:
            raise ConfigError(f"token_file {file} is not set or empty")
        return text

    return rotating("acme", file, read, Shop)  # type: ignore[arg-type]


def write(path: Path, text: str, *, age: float = 60.0) -> None:
    """Have the file hold *text*, as if since *age* seconds."""
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))


def buy(shop: Adapter) -> str:
    """What a call comes to, and at once again what the next one does."""
    (outcome,) = shop.buy([Ask(number=NUMBER)])
    return str(outcome.kind)


def asks_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)


CALLS: dict[str, Callable[[Adapter], object]] = {
    "buy": lambda shop: shop.buy([Ask(number=NUMBER)]),
    "prepare": lambda shop: shop.prepare(Ask(number=NUMBER)),
    "prepare_together": lambda shop: cast(PreparesTogether, shop).prepare_together([Ask(number=NUMBER)]),
    "reserve": lambda shop: cast(Reserving, shop).reserve([NUMBER]),
    "cancel_reservation": lambda shop: cast(CancelsReservations, shop).cancel_reservation("1"),
    "look": lambda shop: shop.look({NUMBER: None}),
    "search": lambda shop: shop.search(SearchQuery()),
    "owned": lambda shop: list(shop.owned()),
    "balance": lambda shop: cast(TellsBalance, shop).balance(),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_refusal_has_the_file_read_at_once_and_repeats_nothing(shop: Adapter, file: Path, name: str) -> None:
    CALLS["prepare"](shop)
    stamp = file.stat()
    write(file, NEW)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    try:
        CALLS[name](shop)
    except ProviderError:
        assert name in ("search", "owned", "balance", "reserve", "cancel_reservation")
    assert Shop.calls == [OLD, OLD]
    CALLS[name](shop)
    assert Shop.calls == [OLD, OLD, NEW]


def test_a_file_that_changes_is_read_before_the_next_call(
    shop: Adapter, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asks_now(monkeypatch)
    write(file, NEW)
    assert buy(shop) == "purchased"
    assert Shop.calls == [NEW]
    assert "provider acme: " in caplog.text
    assert "has another token, which is used from now on" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_file_is_not_looked_at_before_each_call(shop: Adapter, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shop, "good", OLD)
    looks: list[int] = []
    monkeypatch.setattr(module._Token, "renewed", lambda *_, **__: looks.append(1))
    assert {buy(shop) for _ in range(50)} == {"purchased"}
    assert len(looks) == 1


@pytest.mark.parametrize("what", ["", "  \n", None, "two\nlines"])
def test_a_file_that_holds_no_token_keeps_the_old_one_and_says_so_once(
    shop: Adapter,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str | None,
) -> None:
    asks_now(monkeypatch)
    monkeypatch.setattr(Shop, "good", OLD)
    file.unlink()
    if what is not None:
        write(file, what)
    assert [buy(shop) for _ in range(5)] == ["purchased"] * 5
    assert caplog.text.count("provider acme keeps the token that it had") == 1
    monkeypatch.setattr(Shop, "good", NEW)
    write(file, NEW)
    assert buy(shop) == "purchased"


def test_half_a_token_is_not_taken(shop: Adapter, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks_now(monkeypatch)
    monkeypatch.setattr(module, "AT_REST", 0.3)
    write(file, NEW[:5], age=0)
    assert buy(shop) == "account"
    write(file, NEW, age=0)
    eventually(lambda: buy(shop) == "purchased")
    assert set(Shop.calls) == {OLD, NEW}


def test_a_clock_that_is_behind_the_files_delays_it_only(
    shop: Adapter, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_now(monkeypatch)
    monkeypatch.setattr(module, "AT_REST", 0.1)
    write(file, NEW, age=-3600)
    assert buy(shop) == "account"
    eventually(lambda: buy(shop) == "purchased")


def test_a_call_under_way_keeps_the_token_it_began_with(
    shop: Adapter, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_now(monkeypatch)
    inner: list[str] = []

    def rotate() -> None:
        if not inner:
            write(file, NEW)
            inner.append("")
            inner[0] = buy(shop)

    monkeypatch.setattr(Shop, "during", lambda _: rotate())
    monkeypatch.setattr(Shop, "good", OLD)
    assert buy(shop) == "purchased"
    assert (inner, Shop.calls) == (["account"], [OLD, NEW])


def test_what_a_worker_is_wired_with_takes_a_real_change_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks_now(monkeypatch)
    file = tmp_path / "token"
    write(file, "not-the-token")
    with SandboxServer() as server:
        found = config("signalwire", f"{server.url}/signalwire", token_env=None, token_file=file)
        bound = bind_providers(Config(providers={"signalwire": found}), {})["signalwire"]
        assert (bound.adapter.lookup, bound.batch, bound.adapter.can_search) == ("by_number", 1, True)
        with in_turn(lambda _: None):
            [refused] = bound.adapter.buy([ask("signalwire")])
            assert (refused.kind, server.control.charges()) == (OutcomeKind.ACCOUNT, [])
            write(file, SANDBOX_TOKEN)
            [bought] = bound.adapter.buy([ask("signalwire")])
        assert bought.kind is OutcomeKind.PURCHASED
        assert len(server.control.charges()) == 1
