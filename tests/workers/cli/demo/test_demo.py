import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tasks.providers.registry import kinds
from tasks.sandbox.faults import FAULTS
from tests.waiting import eventually, is_gone
from tests.workers.cli.commands import Running, environment, execute
from workers.cli.demo import script
from workers.cli.demo.pool import PoolResult
from workers.cli.demo.tally import Result, Row, reasons, tally
from workers.cli.demo.view import Moment, document
from workers.cli.demo.wish import WishResult

# Whoever runs it has servers and providers of their own: the demo must not touch them.
FOREIGN = {
    "DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
    "REDIS_URL_FILE": "/nowhere",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "DIALSTOCK_CONFIG": "/nowhere/providers.toml",
    "DIALSTOCK_SANDBOX": "http://127.0.0.1:1",
    "DIALSTOCK_SANDBOX_TOKEN": "another",
    "DIALSTOCK_EMBEDDED": "no",
}


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo's own folder goes."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def test_every_number_is_accounted_for(tmp_path: Path, temporary: Path) -> None:
    home = tmp_path / "home"
    done = execute(*("demo", "--numbers", "20", "--json"), home=home, cwd=tmp_path, TMPDIR=str(temporary), **FOREIGN)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    total, pool = document["total"], document["pool"]
    assert (total["lost"], total["twice"], total["uncharged"], total["waiting"]) == (0, 0, 0, 0)
    assert (pool["given"], pool["refused"], pool["to_two"]) == (script.TARGET, script.TAKERS - script.TARGET, 0)
    assert (pool["available"], pool["on_the_way"]) == (script.TARGET, 0)
    assert pool["charged"] >= pool["bought"] == 2 * script.TARGET
    assert total["purchased"] + total["held"] + total["failed"] >= 20 + pool["bought"]
    assert total["charged"] >= total["purchased"] > 0
    assert [row["provider"] for row in document["rows"]] == sorted(kinds())
    wish = document["wish"]
    assert (wish["missing"], wish["bought"] + wish["held"]) == (0, script.WISHED)
    assert set(wish["charged"]) == set(script.WISHED_FROM)
    assert document["faults"]["account"] == 1
    assert "Shortened" in done.stderr
    assert "pool: emptied, and full again" in done.stderr
    assert list(temporary.iterdir()) == []
    assert not home.exists()


def test_its_pages_stay_up_for_a_look(tmp_path: Path, temporary: Path) -> None:
    environ = environment(tmp_path / "home", TMPDIR=str(temporary), FLOWER_BASIC_AUTH="ann:word", **FOREIGN)
    with Running("demo", "--numbers", "5", "--page", cwd=tmp_path, environ=environ) as demo:
        eventually(lambda: "Ctrl-C ends it" in demo.log, what="the demo is over")
        told = re.search(r"(http://127.0.0.1:[0-9]+/dialstock/) \(user dialstock, password (\S+)\)", demo.log)
        assert told is not None
        orders = httpx.get(told[1], auth=("dialstock", told[2]), headers={"Accept": "application/json"}, timeout=60)
        assert [one["status"] for one in orders.json()["orders"] if one["name"] == "demo"] == ["completed"]
        assert demo.stop(signal.SIGINT) == 0
    assert list(temporary.iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    environ = environment(tmp_path / "home", TMPDIR=str(temporary))
    with Running("demo", cwd=tmp_path, environ=environ) as demo:
        eventually(lambda: "waiting" in demo.log, what="the demo buys")
        family = psutil.Process(demo.process.pid).children(recursive=True)
        assert len(family) >= 2
        assert demo.stop(signal.SIGINT) == 130
    assert "Interrupted" in demo.log
    assert all(map(is_gone, family))
    assert list(temporary.iterdir()) == []
    assert str(temporary) not in _command_lines()


def _command_lines() -> str:
    return " ".join(part for process in psutil.process_iter(["cmdline"]) for part in process.info["cmdline"] or [])


def test_keep_keeps_what_there_is_to_look_at(tmp_path: Path, temporary: Path) -> None:
    done = execute(*("demo", "--numbers", "1", "--keep"), home=tmp_path, cwd=tmp_path, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stderr
    [home] = temporary.iterdir()
    assert str(home) in done.stderr
    kept = {"dialstock.db", "workers.log", "sandbox-ledger.jsonl", "numbers.csv", "providers.toml"}
    assert kept <= {path.name for path in home.iterdir()}
    assert "charged twice" in done.stdout
    assert f"At the end\n{script.TARGET} of {script.TARGET} are there again." in done.stdout
    assert "Nothing was lost, and nothing was bought twice." in done.stdout


def charge(number: str) -> dict[str, Any]:
    return {"kind": "bird", "number": number}


def purchase(number: str, status: str, error: str | None = None) -> dict[str, Any]:
    return {"provider": "bird", "number": number, "status": status, "error": error}


@pytest.mark.parametrize(
    ("charges", "status", "field"),
    [
        (1, "failed", "lost"),
        (1, "cancelled", "lost"),
        (1, "queued", "lost"),
        (1, None, "lost"),
        (2, "purchased", "twice"),
        (2, "held", "twice"),
        (0, "purchased", "uncharged"),
    ],
)
def test_the_reckoning_sees_what_must_not_be(charges: int, status: str | None, field: str) -> None:
    rows = tally([charge("+1")] * charges, [purchase("+1", status)] if status else [])
    assert getattr(rows[-1], field) == 1
    assert not rows[-1].right


@pytest.mark.parametrize(
    ("charges", "status"),
    [(1, "purchased"), (1, "held"), (1, "unknown"), (1, "processing"), (0, "held"), (0, "failed"), (0, "queued")],
)
def test_the_reckoning_is_right(charges: int, status: str) -> None:
    assert tally([charge("+1")] * charges, [purchase("+1", status)])[-1].right


def test_all_providers_are_summed_up() -> None:
    purchases = [purchase("+1", "purchased"), {**purchase("+1", "unknown"), "provider": "vogent"}]
    bird, vogent, total = tally([charge("+1")], purchases)
    assert (bird.provider, vogent.provider, total.provider) == ("bird", "vogent", "all")
    assert (total.charged, total.purchased, total.in_doubt) == (1, 1, 1)


def test_reasons_are_counted_by_what_they_have_in_common() -> None:
    purchases = [
        purchase("+1", "held", "cannot be told: one"),
        purchase("+2", "held", "cannot be told: two"),
        purchase("+3", "failed", "no: three"),
    ]
    assert reasons(purchases, "held", whole=False) == {"bird: cannot be told": 2}  # type: ignore[arg-type]
    assert reasons(purchases, "failed", whole=True) == {"bird: no: three": 1}  # type: ignore[arg-type]


def test_a_moment_counts_doubt_apart() -> None:
    counts = [
        {"provider": "bird", "status": status, "count": count}
        for status, count in {"purchased": 3, "unknown": 2, "processing": 1, "dispatched": 4, "held": 5}.items()
    ]
    moment = Moment.of(counts, [charge("+1")], {}, over=False, pool="")
    assert moment.total == {
        **{"purchased": 3, "in doubt": 3, "waiting": 4, "held": 5},
        **{"charged": 1, "settled": 8, "all": 15},
    }


def test_the_document_says_whether_all_is_right() -> None:
    row = Row(provider="all", **dict.fromkeys(COUNTS, 0))
    known = {"complete": True, "seconds": 1.0, "settled": 0, "faults": {}, "outcomes": {}, "held": {}, "failed": {}}
    result = Result(rows=[row], pool=pool_result(), wish=wish_result(), **known)  # type: ignore[arg-type]
    assert document(result)["right"] is True
    assert document(replace(result, wish=wish_result(missing=1)))["right"] is False
    assert document(replace(result, wish=wish_result(charged={"plivo": 31})))["right"] is False
    assert document(replace(result, pool=pool_result(available=1)))["right"] is False


def wish_result(**changes: Any) -> WishResult:
    """An order by criteria that has all."""
    found: dict[str, Any] = {
        "count": 30,
        "bought": 29,
        "held": 1,
        "replaced": 2,
        "missing": 0,
        "charged": {"plivo": 30},
    }
    return WishResult(**{**found, **changes})


def pool_result(**changes: int) -> PoolResult:
    """A pool that was emptied and filled again as it must be."""
    counts = {"charged": 2, "bought": 2, "given": 1, "available": 1}
    full = {name: count * script.TARGET for name, count in counts.items()}
    others = {"target": script.TARGET, "to_two": 0, "refused": script.TAKERS - script.TARGET, "on_the_way": 0}
    return PoolResult(**{**full, **others, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"to_two": 1},
        {"bought": 2 * script.TARGET + 1},
        {"available": script.TARGET + 1, "bought": 2 * script.TARGET + 1},
        {"given": script.TARGET - 1, "refused": script.TAKERS - script.TARGET + 1, "bought": 2 * script.TARGET - 1},
        {"refused": 0},
        {"on_the_way": 1},
    ],
)
def test_a_pool_that_is_not_as_it_must_be_is_seen(changes: dict[str, int]) -> None:
    assert pool_result().right
    assert not pool_result(**changes).right


COUNTS = ("charged", "purchased", "held", "failed", "in_doubt", "waiting", "lost", "twice", "uncharged")


def test_every_fault_of_the_script_exists_and_has_words() -> None:
    assert set(script.FAULTS) < set(FAULTS)
    assert set(script.FAULT_WORDS) == {*script.FAULTS, "account"}


def test_the_file_names_every_provider_and_no_number_twice() -> None:
    named = list(script.order_file(50))
    assert len({number for _, number in named}) == 50
    assert {provider for provider, _ in named} == set(kinds())
