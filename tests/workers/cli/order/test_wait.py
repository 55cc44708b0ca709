"""The whole way: a file, a worker process on the embedded server, a sandbox of each kind, and the status at the end."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests import forked
from tests.waiting import PATIENCE
from tests.workers.cli.running import NUMBERS, Cli, csv_file, sandbox_config_text
from workers.launch import celery_command

KINDS = tuple(kinds())
# The guard is for turns to read, which a busy machine would miss: a search that fails is another provider's order.
POLICY = 'rate_limits = ["300/second"]\nrate_guard = 5\nlookup_rate_limits = ["1000/second"]\npoll_every = 0.5\n'


@pytest.fixture
def worker(cli: Cli, sandbox: SandboxServer, home: Path) -> Iterator[None]:
    """One worker process; it stops and takes the embedded server along when the test ends."""
    (home / "providers.toml").write_text(sandbox_config_text(sandbox.url, POLICY))
    program = celery_command(["worker", "--pool=threads", "--concurrency=20", "--without-mingle", "--without-gossip"])
    with (home / "worker.log").open("w") as log:
        process = forked.start(program, env=os.environ, stdout=log, stderr=log, cwd=home)
        yield
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.usefixtures("worker")
def test_a_file_is_bought_and_watched_to_its_end(cli: Cli, sandbox: SandboxServer, home: Path) -> None:
    sandbox.control.stock("vogent", NUMBERS[4:])
    path = csv_file(home, (f"{number},{KINDS[n % len(KINDS)]}" for n, number in enumerate(NUMBERS[:20])))
    result = cli("order", "submit", str(path), "--wait", "--json")
    assert result.exit_code == 1, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert documents[0]["type"] == "accepted"
    assert {document["type"] for document in documents[1:-1]} == {"progress"}
    end = documents[-1]
    assert (end["status"], end["bought"], end["failed"], end["waiting"]) == ("completed", 19, 1, 0)
    exported = {line["number"]: line["status"] for line in cli.json("order", "export", "last")}
    assert exported == {**dict.fromkeys(NUMBERS[:20], "purchased"), NUMBERS[3]: "failed"}
    assert sorted(charge["number"] for charge in sandbox.control.charges()) == sorted(set(NUMBERS[:20]) - {NUMBERS[3]})
    sandbox.control.stock("vogent", None)
    cli.ok("order", "retry", "last")
    assert cli("order", "watch", "last").exit_code == 0
    bought = cli.json("buy", NUMBERS[50], "--provider", "bird", "--wait")
    assert bought["purchase"]["status"] == "purchased"
