"""How far an order is, why it waits, and what the screen makes of it."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from schemas.status import Status
from tasks.ledger.queue import pausing
from tasks.policies.pause import Cause, Pause
from tests.workers.cli.running import NUMBERS, Cli, due_in, sandbox_config_text, settle, simple_file
from workers.cli.order.progress_bars import line_of, render
from workers.cli.terminal.context import open_desk
from workers.views.desk import Desk
from workers.views.orders.progress import Part, Progress, Sampler, per_second


def only(desk: Desk, order: str) -> Part:
    parts = Sampler(desk.runtime, order).sample().parts
    assert len(parts) == 1
    return parts[0]


def test_counts_and_reasons_on_both_databases(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 9))
    assert only(desk, order).why == ("waiting for its turn, at most 4.9/s",)
    for number, status in zip(
        NUMBERS, (Status.PURCHASED, Status.FAILED, Status.HELD, Status.CANCELLED, Status.PURCHASING), strict=False
    ):
        settle(desk, number, status)
    settle(desk, NUMBERS[5], Status.UNKNOWN, due_at=desk.runtime.now() + timedelta(seconds=50))
    settle(desk, NUMBERS[6], Status.PROCESSING, due_at=desk.runtime.now() + timedelta(seconds=60))
    part = only(desk, order)
    assert (part.lines, part.bought, part.failed, part.held, part.cancelled, part.waiting) == (9, 1, 1, 1, 1, 5)
    assert part.why[1] == "1 under way"
    assert part.why[2].startswith("1 in doubt, 1 not usable yet, next look in ")


def test_backing_off(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    due_in(desk, NUMBERS[0], 45)
    assert only(desk, order).why[0].startswith("backing off, next try in 4")


def test_a_pause_stops_the_clock(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 2))
    assert only(desk, order).left == pytest.approx(2 * 1.025 / 5)
    with desk.runtime.database.write() as conn:
        pausing.pause(conn, "timepay", Pause(cause=Cause.ACCOUNT, reason="402", cooldown=60), desk.runtime.now())
    part = only(desk, order)
    assert "(account): 402; one purchase may try again in" in part.why[0]
    assert part.paused
    assert part.left is None


def test_what_may_be_spent_a_day(cli: Cli, home: Path) -> None:
    """Seen by the order, `provider list` and the doctor."""
    bound = 'max_spend = "3 USD"\ncost_if_unknown = "2 USD"'
    text = sandbox_config_text("http://127.0.0.1:9").replace("daily_limit = 0", bound, 1)
    (home / "providers.toml").write_text(text)
    order = cli.submit(simple_file(home, 3))
    with open_desk() as desk:
        now = desk.runtime.now()
        settle(desk, NUMBERS[0], Status.PURCHASED, call_deadline=now)
        for number in NUMBERS[1:3]:
            due_in(desk, number, 60)
        assert only(desk, order).why[0].endswith("; max_spend: 1.00 USD of 3.00 USD is left in 24 h")
        settle(desk, NUMBERS[1], Status.PURCHASED, call_deadline=now)
        due_in(desk, NUMBERS[2], 0)
        assert only(desk, order).why == ("max_spend: 0.00 USD of 3.00 USD is left in 24 h",)
    [row] = [one for one in cli.json("provider", "list") if one["queued"]]
    assert row["max_spend_left"] == "0.00 USD"
    assert row["limits"].endswith("/second, 0.00 USD of 3.00 USD is left in 24 h")


def test_a_provider_that_is_gone_from_the_configuration(cli: Cli, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    text = sandbox_config_text("http://127.0.0.1:9").replace("[providers.timepay", "[providers.other")
    (home / "providers.toml").write_text(text)
    with open_desk() as desk:
        part = only(desk, order)
    assert "not configured any more" in part.why[0]
    assert part.left is None


def test_the_rate_is_what_was_seen(cli: Cli, desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = cli.submit(simple_file(home, 10))
    clock = [100.0]
    monkeypatch.setattr("workers.views.orders.progress.time.monotonic", lambda: clock[0])
    sampler = Sampler(desk.runtime, order)
    assert sampler.sample().parts[0].rate is None
    for number in NUMBERS[:4]:
        settle(desk, number, Status.PURCHASED)
    clock[0] += 10
    part = sampler.sample().parts[0]
    assert (part.rate, part.left) == (pytest.approx(0.4), pytest.approx(15))
    clock[0] += 30
    assert sampler.sample().parts[0].rate == 0


def test_over_and_all_bought(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    assert not Sampler(desk.runtime, order).sample().over
    settle(desk, NUMBERS[0], Status.PURCHASED)
    progress = Sampler(desk.runtime, order).sample()
    assert progress.all_bought
    assert progress.waiting == 0


@pytest.mark.parametrize("width", [80, 140])
def test_the_screen_shows_everything_at_any_width(width: int) -> None:
    parts = (
        Part(
            provider="signalwire",
            lines=5000,
            bought=1200,
            failed=3,
            held=1,
            cancelled=0,
            released=0,
            waiting=3796,
            why=("paused: [red]x[/red]",),
            rate=12.34,
            left=3725.0,
        ),
        Part(provider="bird", lines=2, bought=2, failed=0, held=0, cancelled=0, released=0, waiting=0, left=0.0),
    )
    order = {"id": "0198c0de-0000-7000-8000-000000000001", "name": "a\x1b[31m[b]file", "status": "open"}
    progress = Progress(order=order, parts=parts)
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(render(progress, "no worker", 65, width))
    shown = out.getvalue()
    for text in ("signalwire", "1,200", "3,796", "1:02:05", "12.3", "[red]x[/red]", "no worker", "done", "1:05"):
        assert text in shown.replace("\n", " "), (text, shown)
    assert "\x1b" not in shown
    assert render(progress, None, 65, 60) == Text(line_of(progress, None))
    line = line_of(progress, "no worker")
    assert "1,202 bought, 3 failed, 1 held, 3,796 waiting of 5,002" in line
    assert "signalwire: paused: [red]x[/red]" in line


def test_a_pace_for_people() -> None:
    assert [per_second(interval) for interval in (0.000785, 0.205, 4.0, 60.0)] == [
        "1,273.9/s",
        "4.9/s",
        "0.2/s",
        "1 every 60 s",
    ]
