"""Orphans given back: a purchase stands for each first, or nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.requests import RequestError
from schemas.settling import Finding
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import RELEASE
from tasks.audit.compare import Report
from tasks.audit.give_back_orphans import NotOrphan, give_back, named
from tasks.lifecycle import give_back as worker
from tasks.providers.registry import kinds
from tests.tasks.shops import Shop
from tests.tasks.support import number


@pytest.fixture
def vogent(open_shop: Callable[..., Shop]) -> Shop:
    """A provider that takes numbers back, with two numbers that nothing here knows of."""
    shop = open_shop("vogent")
    shop.runtime = replace(shop.runtime, kinds={"vogent": kinds()["vogent"]})
    shop.own(number(1), number(2))
    return shop


def orphan(shop: Shop, which: str) -> tuple[Report, Finding]:
    report = shop.audit()
    [found] = named(shop.runtime, shop.binding, report, [which, which])
    return report, found


def test_it_is_adopted_and_goes_by_the_ordinary_way(vogent: Shop) -> None:
    asked = give_back(vogent.runtime, *orphan(vogent, number(1)), "ann")
    assert (asked.purchase["status"], asked.purchase["already_owned"]) == (Status.RELEASING, True)
    while worker.step(vogent.runtime, vogent.binding):
        pass
    [row] = vogent.world.rows(select(PURCHASE))
    assert (row["number"], row["status"]) == (number(1), Status.RELEASED)
    assert vogent.sandbox.control.owned("vogent") == [number(2)]
    assert vogent.world.events() == ["purchased", "released"]


def test_what_somebody_asked_for_meanwhile_is_left(vogent: Shop) -> None:
    report, found = orphan(vogent, number(1))
    vogent.buy(number(1))
    with pytest.raises(RequestError, match="was asked for, or given back, meanwhile") as failure:
        give_back(vogent.runtime, report, found, "ann")
    assert failure.value.code == "asked_for"
    assert vogent.world.rows(select(RELEASE)) == []


def test_what_cannot_be_asked_for_is_not_adopted_either(vogent: Shop) -> None:
    report, found = orphan(vogent, number(1))
    nowhere = replace(vogent.runtime, providers={})
    with pytest.raises(RequestError, match="not configured"):
        give_back(nowhere, report, found, "ann")
    assert vogent.world.rows(select(PURCHASE)) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"usable": False}, "still set up"),
        ({"provider_number_ids": ("a", "b")}, "not one id, but a, b"),
        ({"provider_number_ids": ()}, "not one id, but none"),
    ],
)
def test_what_is_not_clear_is_left_to_a_person(vogent: Shop, changes: dict[str, object], why: str) -> None:
    report = vogent.audit()
    unclear = replace(report, findings=[replace(one, **changes) for one in report.findings])  # type: ignore[arg-type]
    with pytest.raises(NotOrphan, match=why):
        named(vogent.runtime, vogent.binding, unclear, [number(1)])
