"""`provider kinds`: what each kind says of itself, without a configuration."""

from __future__ import annotations

from tasks.providers.registry import kinds
from tests.workers.cli.running import Cli


def test_each_kind_tells_its_fields_and_its_options(cli: Cli) -> None:
    rows = {row["kind"]: row for row in cli.json("provider", "kinds")}
    assert list(rows) == list(kinds())
    for name, kind in kinds().items():
        assert rows[name]["options"] == list(kind.options.model_fields)
        assert rows[name]["in a call"] == kind.max_batch
        assert set(kind.sandbox.fields) <= {*rows[name]["needs"], *rows[name]["may have"]}
        assert rows[name]["reserve"] is (name in ("telnyx", "bandwidth"))
        assert rows[name]["unreserve"] is (name == "bandwidth")
        assert rows[name]["release"] is True or rows[name]["release"] == kind.portal
    assert rows["bird"]["needs"] == ["workspace_id", "organization_id"]
    assert rows["telnyx"]["may have"][0] == "connection_id"


def test_some_kinds_alone(cli: Cli) -> None:
    shown = cli.ok("provider", "kinds", "fluents", "vonage")
    assert "inbound_agent" in shown
    assert "stock_item_id" not in shown
    assert "provider kinds" in cli.ok("buy", "--help")


def test_a_kind_that_is_none_is_named(cli: Cli) -> None:
    assert "did you mean 'bandwidth'?" in cli.refused("provider", "kinds", "bandwith")
