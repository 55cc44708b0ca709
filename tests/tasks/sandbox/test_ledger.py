from __future__ import annotations

import json
from pathlib import Path

from tasks.providers.sandbox.ledger import Ledger, new_record
from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import KINDS, NUMBER, OTHER, Shopper


def test_a_restarted_sandbox_remembers(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with SandboxServer(ledger_path=path) as first:
        shopper = Shopper(first.url)
        for kind in KINDS:
            shopper.buy(kind, NUMBER)
        shopper.client.close()
        charges = first.control.charges()
    assert [json.loads(line) for line in path.read_text().splitlines()] == charges
    with SandboxServer(ledger_path=path) as second:
        assert second.control.charges() == charges
        shopper = Shopper(second.url)
        found = shopper.get("/signalwire/api/relay/rest/phone_numbers", filter_number=NUMBER).json()["data"]
        assert [item["id"] for item in found] == [charges[2]["provider_number_id"]]
        assert found[0]["created_at"] == charges[2]["at"]
        shopper.buy("vogent", OTHER)
        shopper.client.close()
    assert len(path.read_text().splitlines()) == len(KINDS) + 1


def test_a_line_cut_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).charge(new_record("vogent", "", NUMBER), 1)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "vog')
    ledger = Ledger(path)
    assert [charge["number"] for charge in ledger.charges] == [NUMBER]
    ledger.charge(new_record("vogent", "", OTHER), 1)
    assert [charge["number"] for charge in Ledger(path).charges] == [NUMBER, OTHER]


def test_clearing_empties_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.charge(new_record("vogent", "", NUMBER), 1)
    ledger.clear()
    assert Ledger(path).charges == []


def test_ids_follow_from_kind_account_and_number() -> None:
    assert new_record("vogent", "", NUMBER).id == new_record("vogent", "", NUMBER).id
    others = [("bird", "", NUMBER), ("vogent", "a", NUMBER), ("vogent", "", OTHER), ("vogent", "", NUMBER)]
    assert len({new_record(*other).id for other in others}) == 4


def test_a_list_may_show_for_a_while_what_was_given_back_and_nothing_else_does() -> None:
    ledger = Ledger()
    kept, gone = (ledger.charge(new_record("vogent", "", number), 1) for number in (NUMBER, OTHER))
    ledger.lists_gone_for = 3_600.0
    ledger.give_back(gone)
    assert ledger.owned("vogent", "") == [kept, gone]
    assert ledger.find("vogent", "", OTHER) is None
    assert ledger.by_id("vogent", "", gone.id) is None
    assert ledger.numbers("vogent") == [NUMBER]
