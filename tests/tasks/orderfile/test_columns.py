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
        ("Idempotency Key", "idempotency_key"),
        ("options.stock-item-id", "options.stock_item_id"),
        ("num\u200bber\ufeff", "number"),
        ("\u00a0pro\u00advider\u2060", "provider"),
        ("\u200bmetadata.a\u200b", "metadata.a\u200b"),
        ("metadata.phone", "metadata.phone"),
        ("", None),
        ("no", None),
        ("num\u00fcber", None),
        ("metadata", None),
        ("metadata. ", None),
        ("metadatax.a", None),
        ("options.stock", None),
    ],
)
def test_a_column_has_one_name(name, column):
    assert canonical(name) == column


USUAL = (
    *("Phone Number", "phone_number", "PHONE", "Phone No.", "Phone #", "phones", "Tel", "Tel.", "tel_no", "telephone"),
    *("Telephone Number", "Mobile", "mobile-number", "Cell Phone", "MSISDN", "E.164", "e164_number"),
    *("Number (E.164)", "DID", "DID Number", "DDI", "phoneNumber", "Numbers"),
)


@pytest.mark.parametrize("name", USUAL)
def test_the_numbers_column_has_its_usual_names(name):
    assert canonical(name) == "number"


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


def test_a_column_like_no_other_names_ours_and_not_each_option():
    columns = "number, provider, country, idempotency_key, options.NAME; metadata.NAME carries extra data"
    for name in ("zzz", "Town", "Region code", "options.zzz"):
        assert unknown(name) == f"unknown column {name!r}: known are {columns}"


@pytest.mark.parametrize("name", ["options.stock_id", "option.stock_item_id", "Options.Stock-Item"])
def test_what_is_nearly_an_option_names_it(name):
    assert "did you mean 'options.stock_item_id'?" in unknown(name)


@pytest.mark.parametrize("name", ["carrier", "Carrier Name", "PROVIDER", "provider_name"])
def test_the_providers_column_has_its_usual_names(name):
    assert canonical(name) == "provider"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("numb\u0435r", r"'numb\u0435r': did you mean 'number'"),
        ("pro\x07vider", r"'pro\u0007vider': did you mean 'provider'"),
        ("t\u00e9l\u00e9phone", "'t\u00e9l\u00e9phone': "),
        ("\u7535\u8bdd", "'\u7535\u8bdd': "),
    ],
)
def test_what_is_odd_in_a_name_is_shown_by_its_code(name, shown):
    assert unknown(name).startswith(f"unknown column {shown}")


def test_a_long_or_dirty_name_is_cut_and_cleaned():
    message = unknown("x\n\x1b" * 100_000)
    assert len(message) < len(unknown("zzz")) + 100
    assert "\x1b" not in message


def test_the_request_of_an_export_is_a_part_of_its_columns():
    assert set(EXPORT_COLUMNS) > REQUEST_COLUMNS
