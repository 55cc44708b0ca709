"""Columns that a person names, and those that are none of ours."""

from __future__ import annotations

import json

import pytest

from tasks.orderfile import Naming

from .reading import lines, told

FRENCH = Naming({"t\u00e9l\u00e9phone": "number", "fournisseur": "provider", "ville": "metadata.city"})
N = "+12125550142"


@pytest.mark.parametrize(
    "header", ["T\u00e9l\u00e9phone;Fournisseur;Ville", "Te\u0301le\u0301phone;\u200bFOURNISSEUR ;ville"]
)
def test_a_column_is_found_by_the_name_that_was_given(header):
    (line,) = lines(f"{header}\n{N};bird;Lyon\n", naming=FRENCH)
    assert (line.request.number, line.request.provider, line.request.metadata) == (N, "bird", {"city": "Lyon"})
    element = dict(zip(header.split(";"), (N, "bird", "Lyon"), strict=True))
    assert lines(json.dumps(element), "x.ndjson", naming=FRENCH)[0].request == line.request


def test_a_column_that_was_named_leaves_none_to_choose():
    naming = Naming({"mobile": "number"}, "ignore")
    text = f"Phone,Mobile,provider,number\n+12125550143,{N},bird,+12125550144\n"
    assert [line.request.number for line in lines(text, naming=naming)] == [N]
    told_columns = [column for _, column, _ in told(text, naming=Naming({"mobile": "number"}))]
    assert told_columns == ["Phone", "number"]


def test_a_named_column_that_is_not_there_is_told_and_no_other_is_taken():
    found = told(f"number,provider\n{N},bird\n", naming=Naming({"handset": "number"}, "ignore"))
    assert found == [(1, "number", "there is no column 'handset', which it is to be")]


@pytest.mark.parametrize("name", ["order.csv", "order.json"])
def test_other_columns_are_refused_passed_over_or_kept(name):
    text = f"number,provider,Colour,Status\n{N},bird,red,new\n"
    if name == "order.json":
        text = json.dumps([{"number": N, "provider": "bird", "Colour": "red", "Status": "new"}])
    assert [column for _, column, _ in told(text, name)] == ["Colour", "Status"]
    assert lines(text, name, naming=Naming({}, "ignore"))[0].request.metadata == {}
    kept = {"Colour": "red", "Status": "new"}
    assert lines(text, name, naming=Naming({}, "metadata"))[0].request.metadata == kept


def test_an_exports_result_is_kept_where_that_is_asked():
    text = f"number,provider,status\n{N},bird,failed\n"
    assert lines(text)[0].request.metadata == {}
    assert lines(text, naming=Naming({}, "metadata"))[0].request.metadata == {"status": "failed"}


@pytest.mark.parametrize("others", ["ignore", "metadata"])
@pytest.mark.parametrize("name", ["provdier", "idempotency_kye", "options.stock_id", "nummber", "metadata."])
def test_what_was_perhaps_meant_is_never_passed_over(name, others):
    found = told(f"number,{name}\n{N},vogent\n", default_provider="bird", naming=Naming({}, others))
    assert [(line, column) for line, column, _ in found] == [(1, name)]


def test_kept_columns_collide_with_none():
    text = f"number,provider,Team,metadata.Team\n{N},bird,a,b\n"
    ((line, column, message),) = told(text, naming=Naming({}, "metadata"))
    assert (line, column) == (1, "metadata.Team")
    assert message.startswith("two columns may be it, 'Team' and 'metadata.Team'")
