"""The names of columns, and what is said about one that there is not."""

from __future__ import annotations

import pytest

from tasks.orderfile.columns import EXPORT_COLUMNS, REQUEST_COLUMNS, canonical, unknown


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("number", "number"),
        (" Provider ", "provider"),
        ("IDEMPOTENCY_KEY", "idempotency_key"),
        ("Options.Inbound_Agent", "options.inbound_agent"),
        ("METADATA. Team.Name ", "metadata.Team.Name"),
        ("metadata", None),
        ("metadata. ", None),
        ("metadatax.a", None),
        ("options.stock", None),
        ("", None),
    ],
)
def test_a_column_has_one_name(name, column):
    assert canonical(name) == column


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("phone_number", "number"),
        ("Numbers", "number"),
        ("providr", "provider"),
        ("key_idempotency", "idempotency_key"),
    ],
)
def test_an_unknown_column_names_the_nearest(name, near):
    assert unknown(name) == f"unknown column {name!r}: did you mean {near!r}? metadata.NAME carries extra data"


def test_a_column_like_no_other_lists_all():
    assert "known are number, provider, idempotency_key, options.inbound_agent, options.stock_item_id" in unknown("zzz")


def test_a_long_or_dirty_name_is_cut_and_cleaned():
    message = unknown("x\n\x1b" * 100_000)
    assert len(message) < 300
    assert "\x1b" not in message


def test_the_request_of_an_export_is_a_part_of_its_columns():
    assert set(EXPORT_COLUMNS) > REQUEST_COLUMNS
