"""The alerts: each fires when it is to and not before, and looks at what is measured."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from tasks.measures import Measures
from tests.deploy.documents import DEPLOY, load_all
from tests.servers import unavailable
from workers.pages.metrics import as_text, families

FOLDER = DEPLOY / "prometheus"


@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")])
def test_the_rules_do_what_they_say(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool") or unavailable("promtool", "apt-get install prometheus")
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
