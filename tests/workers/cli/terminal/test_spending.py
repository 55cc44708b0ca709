"""What is about to be spent on is said before it is: from whom, where, and how many."""

from pathlib import Path

from schemas.status import Status
from tasks.providers.configured import parse_config, sandbox_config
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, sandbox_config_text, settle, simple_file
from workers.views.desk import Desk
from workers.views.providers.whereabouts import whereabouts

BIRD = "from bird (bird, the sandbox at 127.0.0.1:8790)"


def test_trying_one_out_says_that_it_is_the_sandbox(cli: Cli) -> None:
    assert f"Buying up to 1 number {BIRD}\n" in cli("buy", NUMBERS[0], "--provider", "bird").stderr


def test_buying_one_says_where_it_goes(cli: Cli, home: Path) -> None:
    (home / "providers.toml").write_text(sandbox_config_text("https://shop.example"))
    told = cli("buy", NUMBERS[1], "--provider", "bird").stderr
    assert "Buying up to 1 number from bird (bird, at shop.example)\n" in told


def test_an_order_says_how_many_go_to_each_provider(cli: Cli, home: Path) -> None:
    path = csv_file(home, [*(f"{number},bird" for number in NUMBERS[:3]), f"{NUMBERS[3]},vogent", "12,vogent"])
    told = cli("order", "submit", str(path), "--skip-invalid").stderr
    assert f"Buying up to 3 numbers {BIRD}\n" in told
    assert "Buying up to 1 number from vogent (vogent, the sandbox at 127.0.0.1:8790)\n" in told
    assert "Buying" not in cli("order", "submit", str(path)).output
    assert "Buying" not in cli("order", "submit", str(path), "--skip-invalid", "--dry-run").output
    limited = cli("order", "submit", str(path), "--skip-invalid", "--max", "2").stderr
    assert f"Buying up to 3 numbers {BIRD}, and of all no more than 2\n" in limited


def test_a_retry_says_how_many_are_bought_again(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 3, "bird"))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.FAILED)
    settle(desk, NUMBERS[2], Status.CANCELLED)
    assert f"Buying up to 2 numbers {BIRD}\n" in cli("order", "retry", order).stderr
    assert "Buying" not in cli("order", "retry", order).output
    assert "Buying" not in cli("order", "cancel", order).output


def test_a_persons_retry_says_before_from_whom_it_buys_again(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(csv_file(home, [*(f"{number},bird" for number in NUMBERS[:3]), f"{NUMBERS[3]},vogent"]))
    for number in NUMBERS[:4]:
        settle(desk, number, Status.HELD)
    ids = [purchases(desk)[number]["id"] for number in NUMBERS[:4]]
    (home / "d.csv").write_text("id,decision\n" + "\n".join(f"{one},retry" for one in (ids[0], *ids[2:])) + "\n")
    assert "Buying" not in both("purchase", "resolve", ids[1], "--fail").output
    assert "Buying" not in both("purchase", "resolve", *ids, "--retry").output
    told = both("purchase", "resolve", "--file", "d.csv")
    assert told.stderr.startswith(f"Buying up to 2 numbers {BIRD}\n")
    assert "Buying up to 1 number from vogent (vogent, the sandbox at 127.0.0.1:8790)\n" in told.stderr
    assert "3 purchases settled" in told.stdout


def test_a_persons_retry_says_what_no_worker_buys(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 3, "bird"))
    for number in NUMBERS[:3]:
        settle(desk, number, Status.HELD)
    ids = [purchases(desk)[number]["id"] for number in NUMBERS[:3]]
    (home / "providers.toml").write_text(sandbox_config_text("https://shop.example"))
    told = cli("purchase", "resolve", ids[0], "--retry").stderr
    assert "1 number under bird will wait: no worker buys there for the account sandbox:bird|sandbox-workspace" in told
    assert "Buying" not in told
    (home / "providers.toml").unlink()
    told = cli("purchase", "resolve", ids[1], "--retry").stderr
    assert "Buying up to 1 number from bird (not configured: nothing is bought until it is)\n" in told
    (home / "providers.toml").write_text("[providers")
    assert "providers.toml" in cli.refused("purchase", "resolve", ids[2], "--retry")
    (home / "d.csv").write_text(f"id,decision\n{ids[2]},retry\n")
    assert "providers.toml" in cli.refused("purchase", "resolve", "--file", "d.csv")
    (home / "d.csv").write_text(f"id,decision\n{ids[2]},fail\n")
    assert "1 purchase settled" in cli.ok("purchase", "resolve", "--file", "d.csv")


def test_a_host_is_told_without_what_stands_before_and_behind_it() -> None:
    config = parse_config(sandbox_config_text("https://gate.example:8443/path"), "providers.toml")
    assert whereabouts(config, "vogent") == "vogent, at gate.example:8443"
    assert whereabouts(sandbox_config(), "vogent") == "vogent, the sandbox at 127.0.0.1:8790"
    assert whereabouts(config, "gone") == "not configured: nothing is bought until it is"
