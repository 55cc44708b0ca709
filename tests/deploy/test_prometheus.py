"""The alerts: each fires when it is to and not before, and looks at what is measured."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from tasks.reports.measures import Measures
from tests.deploy.documents import DEPLOY, load_all
from tests.servers import unavailable
from workers.cli.app import app
from workers.pages.metrics import as_text, families

FOLDER = DEPLOY / "prometheus"


@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")])
def test_the_rules_do_what_they_say(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool") or unavailable("promtool", "apt-get install prometheus")
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_command_that_an_alert_leads_to_is_there() -> None:
    [rules] = load_all(FOLDER / "rules.yaml")
    told = [rule["annotations"]["command"] for group in rules["groups"] for rule in group["rules"]]
    runbook = (DEPLOY / "README.md").read_text().partition("## When it rings at night")[2].partition("\n## ")[0]
    told += re.findall(r"`(dialstock [^`]+)`", runbook)
    assert len(told) > len(rules)
    for one in told:
        command, (_, *words) = get_command(app), one.split()
        while isinstance(command, TyperGroup):
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= options, one


def test_each_rule_looks_at_what_is_measured_and_has_its_place_in_the_documents() -> None:
    [rules] = load_all(FOLDER / "rules.yaml")
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    told = as_text(families(Measures(at=datetime.now(UTC)))).decode()
    measured = {*re.findall(r"^# TYPE (\w+)", told, re.MULTILINE), "dialstock_database_up", "dialstock_redis_up"}
    tested = (FOLDER / "rules_test.yaml").read_text()
    runbook = (DEPLOY / "README.md").read_text()
    for alert in alerts:
        assert set(re.findall(r"dialstock_\w+", alert["expr"])) <= measured, alert["alert"]
        assert f"`{alert['alert']}`" in runbook
        assert tested.count(alert["alert"]) >= 2, "one that fires and one that does not"
        assert alert["annotations"]["command"].startswith("dialstock ")
