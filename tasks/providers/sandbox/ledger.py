"""What was bought, and which purchase calls came in."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict
from uuid import NAMESPACE_URL, uuid5


class Charge(TypedDict):
    """One executed purchase: money spent. `at` is ISO 8601 in UTC, `call` the purchase call's number."""

    kind: str
    account: str
    number: str
    provider_number_id: str | None
    at: str
    call: int


class Call(TypedDict):
    """One purchase call as it arrived; `monotonic` in seconds. `status` is None while nothing was answered."""

    call: int
    kind: str
    account: str | None
    numbers: list[str]
    monotonic: float
    at: str
    fault: str | None
    status: int | None


class Return(TypedDict):
    """One call that gives a number back; `executed` is whether it did."""

    kind: str
    account: str
    number: str
    provider_number_id: str
    executed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An owned number. `account` None means every account of the kind.

    `shown_at` and `ready_at` are time.monotonic seconds: when look-ups begin to show it, when it is usable;
    `fulfilled` is False for an order that ends in a rejection.
    """

    kind: str
    account: str | None
    number: str
    id: str
    at: str
    shown_at: float = 0.0
    ready_at: float = 0.0
    fulfilled: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    def visible(self, account: str, now: float) -> bool:
        """Whether look-ups of *account* show this number."""
        return self.shown_at <= now and self.account in (None, account)


class Ledger:
    """Charges, owned numbers and calls. With *path*, charges are kept there as JSON lines and read again.

    Raises OSError where that file cannot be written, and ValueError or KeyError where it is no ledger.

    `lists_pending` is whether a list has the numbers of orders that are not delivered yet, and `lists_gone_for` for how
    many seconds it has what is given back from now on.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.charges: list[Charge] = []
        self.calls: list[Call] = []
        self.returns: list[Return] = []
        self.lists_pending = True
        self.lists_gone_for = 0.0
        self._gone: list[tuple[float, Record]] = []
        self._given_back: Counter[tuple[str, str | None, str]] = Counter()
        self._records: dict[str, dict[tuple[str | None, str], Record]] = {}
        self._ids: dict[str, Record] = {}
        self._taken: list[Record] = []
        self._path = path
        if path is not None:
            # what cannot be written is told now, and not by a charge that nobody wrote down
            path.open("ab").close()
            self._reload(path)

    def clear(self) -> None:
        """Forget everything, in the file too."""
        self.charges.clear()
        self.calls.clear()
        self.returns.clear()
        self._given_back.clear()
        self._records.clear()
        self._ids.clear()
        self._taken.clear()
        self._gone.clear()
        if self._path is not None:
            self._path.write_bytes(b"")

    def arrive(self, kind: str) -> Call:
        """Note a purchase call that has just arrived."""
        call = Call(
            call=len(self.calls) + 1,
            kind=kind,
            account=None,
            numbers=[],
            monotonic=time.monotonic(),
            at=now_text(),
            fault=None,
            status=None,
        )
        self.calls.append(call)
        return call

    def charge(self, record: Record, call: int, *, known: str | None = None) -> Record:
        """Charge for *record*, which the provider calls *known*, and own it.

        A number that is owned already is charged again and stays as it was.
        """
        charge = Charge(
            kind=record.kind,
            account=record.account or "",
            number=record.number,
            provider_number_id=known,
            at=now_text(),
            call=call,
        )
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(json.dumps(charge, separators=(",", ":")).encode() + b"\n")
        self.charges.append(charge)
        return self.own(record)

    def own(self, record: Record) -> Record:
        """Own *record* without a charge; returns the one that stands."""
        standing = self._records.setdefault(record.kind, {}).setdefault((record.account, record.number), record)
        self._ids[standing.id] = standing
        return standing

    def named(self, record: Record) -> Record:
        """*record*, with another id where its number was given back before."""
        times = self._given_back[record.kind, record.account, record.number]
        return replace(record, id=str(uuid5(NAMESPACE_URL, f"{record.id}/{times}"))) if times else record

    def give_back(self, record: Record) -> None:
        """Own *record* no more."""
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(json.dumps({"given_back": [record.kind, record.account, record.number]}).encode() + b"\n")
        self._disown(record.kind, record.account, record.number)

    def _disown(self, kind: str, account: str | None, number: str) -> None:
        found = self._records.get(kind, {}).pop((account, number), None)
        if found is not None:
            if self.lists_gone_for:
                self._gone.append((time.monotonic() + self.lists_gone_for, found))
            self._ids.pop(found.id, None)
            self._given_back[kind, account, number] += 1

    def take(self, record: Record) -> Record:
        """Keep a number whose order was taken and sold it not: it failed, or waits. `extra` is what it says of it."""
        self._taken.append(record)
        return record

    def orders(self, kind: str, account: str) -> list[list[Record]]:
        """The orders of *account*, each as its numbers: `extra` has the `order_id` that they share.

        One is shown with all of its numbers, or not yet.
        """
        found: dict[str, list[Record]] = {}
        taken = [record for record in self._taken if record.kind == kind]
        for record in (*self._records.get(kind, {}).values(), *taken):
            if record.extra:
                found.setdefault(record.extra["order_id"], []).append(record)
        now = time.monotonic()
        return [order for order in found.values() if all(record.visible(account, now) for record in order)]

    def numbers(self, kind: str) -> list[str]:
        """Every owned number of *kind*, in the order bought, shown in look-ups or not."""
        return list(dict.fromkeys(number for _, number in self._records.get(kind, {})))

    def shown(self, kind: str) -> set[str]:
        """The numbers that somebody's look-ups show."""
        now = time.monotonic()
        return {record.number for record in self._records.get(kind, {}).values() if record.shown_at <= now}

    def owned(self, kind: str, account: str) -> list[Record]:
        """What lists of *account* show, in the order bought; then what was given back, where they show that still."""
        now = time.monotonic()
        gone = [record for until, record in self._gone if record.kind == kind and until > now]
        return [record for record in (*self._records.get(kind, {}).values(), *gone) if record.visible(account, now)]

    def lists(self, record: Record) -> bool:
        """Whether lists of numbers have *record*, of a kind that delivers later."""
        return self.lists_pending or record.ready_at <= time.monotonic()

    def everywhere(self, kind: str) -> list[Record]:
        """What the look-ups of any account of *kind* show."""
        now = time.monotonic()
        return [record for record in self._records.get(kind, {}).values() if record.shown_at <= now]

    def find(self, kind: str, account: str, number: str) -> Record | None:
        """The record of *number* that look-ups of *account* show."""
        records, now = self._records.get(kind, {}), time.monotonic()
        both = (records.get((account, number)), records.get((None, number)))
        return next((record for record in both if record and record.visible(account, now)), None)

    def by_id(self, kind: str, account: str, record_id: str) -> Record | None:
        """The record with this id that look-ups of *account* show."""
        record = self._ids.get(record_id)
        shown = record is not None and record.kind == kind and record.visible(account, time.monotonic())
        return record if shown else None

    def _reload(self, path: Path) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            # A process killed while it wrote leaves half a line, which was never answered for.
            path.write_bytes(whole)
        for line in whole.splitlines():
            found = json.loads(line)
            if "given_back" in found:
                self._disown(*found["given_back"])
                continue
            charge: Charge = found
            self.charges.append(charge)
            self.own(self.named(new_record(charge["kind"], charge["account"], charge["number"], at=charge["at"])))


def new_record(kind: str, account: str | None, number: str, *, at: str | None = None, **fields: Any) -> Record:
    """A record whose id follows from kind, account and number."""
    record_id = str(uuid5(NAMESPACE_URL, f"{kind}/{account}/{number}"))
    return Record(kind=kind, account=account, number=number, id=record_id, at=at or now_text(), **fields)


def of_kind(entries: Iterable[Any], kind: str | None) -> list[Any]:
    """Copies of the entries of *kind*, of all for None."""
    return [dict(entry) for entry in entries if kind is None or entry["kind"] == kind]


def now_text() -> str:
    """The present moment as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
